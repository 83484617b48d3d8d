"""Samples to steps: what a graph shows of a series, one value per step, NaN where nothing was seen.

The one promise: a step's value depends on the samples that are given and on nothing else, neither order nor chunking.
"""

from typing import Final, Literal, TypeAlias, get_args

import numpy as np

from shared.columns import F64, I64

Aggregate: TypeAlias = Literal["avg", "min", "max", "last", "sum", "rate"]
AGGREGATES: Final[tuple[str, ...]] = get_args(Aggregate)


def grid(from_ms: int, to_ms: int, step_ms: int) -> I64:
    """Return the starts of the steps that cover from_ms to to_ms (excluded)."""
    return np.arange(from_ms, to_ms, step_ms, dtype=np.int64)


def rates(times: I64, values: F64) -> tuple[I64, F64]:
    """Return the increase per second since the sample before, at each sample but the first; a drop counts from 0."""
    if len(times) < 2:
        return times[:0], values[:0]
    return times[1:], _increases(values) / (np.diff(times) / 1000.0)


def downsample(times: I64, values: F64, steps: I64, step_ms: int, aggregate: Aggregate) -> F64:
    """Aggregate samples (times ascending and distinct, UTC milliseconds) into the steps; NaN for a step not seen.

    A step holds the samples from its start to the next one's, end excluded. rate is the increase per second between
    neighbouring samples, counted in the step of the later one, so that a counter's first sample tells nothing.
    """
    result = np.full(len(steps), np.nan)
    if aggregate == "rate":
        seconds = np.diff(times) / 1000.0
        times, values = times[1:], _increases(values)
    if not len(times) or not len(steps):
        return result
    edges = np.append(steps, steps[-1] + step_ms)
    bounds = np.searchsorted(times, edges)
    counts = np.diff(bounds)
    seen = counts > 0
    starts, ends = bounds[:-1][seen], bounds[1:][seen]
    if not len(starts):
        return result
    if aggregate == "last":
        result[seen] = values[ends - 1]
    elif aggregate == "min":
        result[seen] = np.minimum.reduceat(values[: bounds[-1]], starts)
    elif aggregate == "max":
        result[seen] = np.maximum.reduceat(values[: bounds[-1]], starts)
    else:
        # Not differences of one running sum: those would lose what is small beside what is large.
        sums = np.add.reduceat(values[: bounds[-1]], starts)
        if aggregate == "avg":
            sums = sums / counts[seen]
        elif aggregate == "rate":
            sums = sums / np.add.reduceat(seconds[: bounds[-1]], starts)
        result[seen] = sums
    return result


def _increases(values: F64) -> F64:
    steps = np.diff(values)
    return np.where(steps < 0, values[1:], steps)
