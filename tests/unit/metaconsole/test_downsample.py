"""Steps against the definition of each aggregate, written out sample by sample."""

import math
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaconsole.store import downsample
from metaconsole.store.downsample import AGGREGATES, OF_COUNTERS, Span, rates
from metaconsole.store.samples import Columns

FROM = 10_000_000
Sample: TypeAlias = tuple[int, float, int]  # time, value, when its counter began

_SAMPLE = st.tuples(st.floats(-1e6, 1e6).map(lambda value: round(value, 3)), st.integers(0, 70_000))
_SAMPLES = st.dictionaries(st.integers(0, 70_000), _SAMPLE, max_size=40).map(
    lambda found: sorted(
        (FROM - 62_000 + at, value, began and FROM - 62_000 + began) for at, (value, began) in found.items()
    )
)


def increase(samples: list[Sample], start: int, end: int) -> tuple[float, int]:
    """Return what was counted by the samples of a step since the ones before, and in how many milliseconds."""
    rise, covered = 0.0, 0
    for (before, low, _), (at, high, began) in pairwise(samples):
        if start <= at < end and began > before:
            rise, covered = rise + high, covered + at - before
        elif start <= at < end and high >= low:
            rise, covered = rise + high - low, covered + at - before
    return rise, covered


def reference(samples: list[Sample], start: int, span: Span) -> float | None:
    end = start + span.step_ms
    if span.aggregate in OF_COUNTERS:
        earliest = span.from_ms - max(span.step_ms, 60_000)
        rise, covered = increase([one for one in samples if one[0] >= earliest], start, end)
        return (rise / (covered / 1000) if span.aggregate == "rate" else rise) if covered else None
    within = [value for at, value, _ in samples if start <= at < end]
    if not within:
        return None
    return {
        "avg": math.fsum(within) / len(within),
        "min": min(within),
        "max": max(within),
        "last": within[-1],
        "sum": math.fsum(within),
    }[span.aggregate]


def columns(series: dict[int, list[Sample]], begin: int, end: int) -> Columns:
    rows = [(one, *sample) for one, samples in sorted(series.items()) for sample in samples if begin <= sample[0] < end]
    ids, times, values, starts = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Columns(
        np.array(ids, np.int64), np.array(times, np.int64), np.array(values, np.float64), np.array(starts, np.int64)
    )


@given(
    st.lists(_SAMPLES, min_size=1, max_size=3),
    st.integers(1, 3_000),
    st.sampled_from(AGGREGATES),
    st.integers(1, 4_000),
    st.none() | st.integers(1, 5_000),
)
def test_every_step_is_what_its_definition_says(
    series: list[list[Sample]], step: int, aggregate: str, length: int, cut: int | None
) -> None:
    span = Span(FROM, FROM + length, step, aggregate)  # type: ignore[arg-type]
    by_id = {(number + 1) * 7: samples for number, samples in enumerate(series)}
    # cut into smaller entries first, as where rollups lie between, or at once
    entries = downsample.of_columns(columns(by_id, span.begin_ms, span.to_ms), span, cut)
    table = downsample.values(downsample.join([entries]), np.array(sorted(by_id)), span)
    assert table.shape == (len(series), math.ceil(length / step))
    for row, samples in zip(table.tolist(), series, strict=True):
        for start, value in zip(span.starts.tolist(), row, strict=True):
            expected = reference([one for one in samples if one[0] < span.to_ms], start, span)
            if expected is None:
                assert math.isnan(value)
            else:
                assert value == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_a_counter_that_starts_again_counts_from_zero_and_one_that_falls_tells_nothing() -> None:
    times, values, starts = np.array([0, 1000, 3000, 5000]), np.array([10.0, 20.0, 4.0, 1.0]), np.array([0, 0, 2000, 0])
    at, per_second = rates(times, values, starts, "rate")
    assert at.tolist() == [1000, 3000, 5000]
    assert per_second[:2].tolist() == [10.0, 2.0]
    assert math.isnan(per_second[2])
    assert rates(times, values, starts, "increase")[1][:2].tolist() == [10.0, 4.0]


def test_one_sample_has_no_rate() -> None:
    times, values = rates(np.array([5]), np.array([1.0]), None, "rate")
    assert len(times) == len(values) == 0
