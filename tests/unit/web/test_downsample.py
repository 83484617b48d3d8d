"""Steps against the definition of each aggregate, written out sample by sample."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaconsole.store.downsample import AGGREGATES, downsample, grid, rates

FROM = 1_000_000
_SAMPLES = st.dictionaries(
    st.integers(0, 5_000), st.floats(-1e6, 1e6).map(lambda value: round(value, 3)), max_size=60
).map(lambda found: sorted((FROM + at, value) for at, value in found.items()))

_OF_STEP: dict[str, Callable[[list[float]], float]] = {
    "avg": lambda values: math.fsum(values) / len(values),
    "min": min,
    "max": max,
    "last": lambda values: values[-1],
    "sum": math.fsum,
}


def reference(samples: list[tuple[int, float]], start: int, end: int, aggregate: str) -> float | None:
    if aggregate == "rate":
        pairs = [(a, b) for a, b in pairwise(samples) if start <= b[0] < end]
        if not pairs:
            return None
        rise = math.fsum(b[1] - a[1] if b[1] >= a[1] else b[1] for a, b in pairs)
        return rise / (sum(b[0] - a[0] for a, b in pairs) / 1000)
    within = [value for at, value in samples if start <= at < end]
    return _OF_STEP[aggregate](within) if within else None


@given(_SAMPLES, st.integers(1, 3_000), st.sampled_from(AGGREGATES), st.integers(0, 4_000))
def test_every_step_is_what_its_definition_says(
    samples: list[tuple[int, float]], step: int, aggregate: str, length: int
) -> None:
    steps = grid(FROM, FROM + length, step)
    times = np.array([at for at, _ in samples], dtype=np.int64)
    values = np.array([value for _, value in samples], dtype=np.float64)
    got = downsample(times, values, steps, step, aggregate)  # type: ignore[arg-type]
    assert len(got) == len(steps) == math.ceil(length / step)
    for start, value in zip(steps.tolist(), got.tolist(), strict=True):
        expected = reference(samples, start, start + step, aggregate)
        if expected is None:
            assert math.isnan(value)
        else:
            assert value == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_a_counter_that_starts_again_counts_from_zero() -> None:
    times, values = rates(np.array([0, 1000, 3000]), np.array([10.0, 20.0, 4.0]))
    assert times.tolist() == [1000, 3000]
    assert values.tolist() == [10.0, 2.0]


def test_one_sample_has_no_rate() -> None:
    times, values = rates(np.array([5]), np.array([1.0]))
    assert len(times) == len(values) == 0
