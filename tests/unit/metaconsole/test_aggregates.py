"""Aggregates are a monoid: however samples are cut, what is combined is what the whole has."""

import math
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaconsole.store.aggregates import BROKEN, Aggregates, combine, concatenate, empty, held, of_samples
from metaconsole.store.downsample import rates
from shared.columns import I64

_SAMPLES = st.dictionaries(
    st.integers(0, 10**7),
    st.tuples(st.floats(-1e9, 1e9).map(lambda v: round(v, 3)), st.integers(0, 10**7) | st.just(BROKEN)),
    min_size=1,
).map(lambda found: sorted((at, *rest) for at, rest in found.items()))


def edges(length: int, cuts: set[int]) -> I64:
    """Return where groups begin when so many things are cut before these places."""
    return np.array(sorted({0, *(cut % length for cut in cuts)}), np.int64)


def same(one: Aggregates, other: Aggregates) -> None:
    for field in fields(Aggregates):
        got, expected = getattr(one, field.name), getattr(other, field.name)
        assert got.dtype == expected.dtype, field.name
        assert got.tolist() == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-4), field.name


@given(_SAMPLES, st.sets(st.integers(0, 1000)), st.sets(st.integers(0, 1000)), st.booleans())
def test_what_is_combined_is_what_the_whole_has(
    samples: list[tuple[int, float, int]], fine: set[int], coarse: set[int], has_starts: bool
) -> None:
    times, values, began = (np.array(column) for column in zip(*samples, strict=True))
    starts = began.astype(np.int64) if has_starts else None
    outer = edges(len(times), coarse)
    inner = np.union1d(edges(len(times), fine), outer)
    whole = of_samples(times, values.astype(np.float64), starts, outer)
    parts = of_samples(times, values.astype(np.float64), starts, inner)
    same(combine(parts, np.searchsorted(inner, outer)), whole)
    # and the order in which neighbours are combined does not matter
    halves = np.array(sorted({0, len(outer) // 2}))
    same(
        combine(combine(whole, np.arange(len(whole))), np.array([0])),
        combine(combine(whole, halves), np.array([0])),
    )


@given(_SAMPLES)
def test_a_whole_is_what_its_definition_says(samples: list[tuple[int, float, int]]) -> None:
    times, values, starts = (np.array(column) for column in zip(*samples, strict=True))
    whole = of_samples(times, values.astype(np.float64), starts.astype(np.int64), np.array([0]))
    rise, covered, resets = 0.0, 0, 0
    for (before, low, _), (at, high, began) in pairwise(samples):
        if began > before:
            rise, covered, resets = rise + high, covered + at - before, resets + 1
        elif high >= low and began != BROKEN:
            rise, covered = rise + high - low, covered + at - before
    assert (whole.samples[0], whole.first_ms[0], whole.last_ms[0]) == (len(samples), samples[0][0], samples[-1][0])
    assert (whole.first[0], whole.last[0]) == (samples[0][1], samples[-1][1])
    assert (whole.min[0], whole.max[0]) == (min(s[1] for s in samples), max(s[1] for s in samples))
    assert whole.sum[0] == pytest.approx(math.fsum(s[1] for s in samples), rel=1e-9, abs=1e-4)
    assert whole.increase[0] == pytest.approx(rise, rel=1e-9, abs=1e-4)
    assert (whole.covered_ms[0], whole.resets[0], whole.start_ms[0]) == (covered, resets, samples[0][2])


def test_what_is_no_counter_has_no_steps() -> None:
    found = of_samples(np.array([0, 10]), np.array([1.0, 3.0]), np.array([1, 1]), np.array([0]), counter=False)
    assert (found.increase[0], found.covered_ms[0], found.resets[0], found.start_ms[0]) == (0, 0, 0, 0)
    assert found.sum[0] == 4


def test_nothing_is_combined_to_nothing() -> None:
    nothing = np.empty(0, np.int64)
    of_none = of_samples(nothing, nothing.astype(np.float64), None, nothing)
    assert len(of_none) == len(combine(empty(), nothing)) == len(concatenate([])) == 0
    one = of_samples(np.array([5]), np.array([1.0]), None, np.array([0]))
    same(concatenate([empty(), one]), one)
    same(one.take(np.array([0])), one)


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 3)), min_size=1, max_size=40),
    st.sets(st.integers(0, 1000)),
    st.integers(1, 30),
)
def test_a_state_holds_until_the_next_sample_and_two_intervals_at_most(
    samples: list[tuple[int, int]], cuts: set[int], interval: int
) -> None:
    times, codes = np.cumsum([gap for gap, _ in samples]), np.array([code for _, code in samples])
    groups = edges(len(samples), cuts)
    found = held(times, codes, groups, np.full(len(groups), interval))
    bounds = [*groups.tolist(), len(samples)]
    for number, (begin, end) in enumerate(pairwise(bounds)):
        expected: dict[int, float] = {}
        for at in range(begin, end - 1):
            seconds = min(int(times[at + 1] - times[at]), 2 * interval) / 1000
            expected[int(codes[at])] = expected.get(int(codes[at]), 0.0) + seconds
        assert found[number] == pytest.approx(expected)


def test_where_a_clock_was_set_back_no_rate_is_of_two_clocks() -> None:
    # 5 a second. The clock was 600 s fast, and is right from label 300 on: both passes stand between 300 and 900.
    fast, right = np.arange(0, 901, 10), np.arange(300, 1501, 10)
    times = np.concatenate((fast * 1000, right * 1000 + 5))
    values = np.concatenate((5.0 * (fast - 600), 5.0 * right)) + 10_000
    marked = np.concatenate((np.zeros(len(fast), bool), right <= 910))  # as satellite.planned marks them
    order = np.argsort(times)
    times, values, starts = times[order], values[order], np.where(marked, BROKEN, 0)[order]
    _, found = rates(times, values, starts, "rate")
    assert found[np.isfinite(found)] == pytest.approx(5.0)
    assert np.isfinite(found).sum() == 30 + 59
    whole = of_samples(times, values, starts, np.array([0]))
    assert whole.increase[0] == pytest.approx(5.0 * whole.covered_ms[0] / 1000)
    _, unmarked = rates(times, values, np.zeros(len(times), np.int64), "rate")
    assert np.nanmax(unmarked) > 100_000, "what the marks keep out"
