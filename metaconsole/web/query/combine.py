"""The series of a group combined into one: a value per step, of all resources that had one.

The one promise: a step that no series of the group had a value for has none, but for `count`, which is then 0.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from shared.columns import F64, I64

Combination: TypeAlias = Literal["sum", "avg", "min", "max", "count", "p50", "p90", "p95", "p99"]
_UNSEEN: Final = {"sum": 0.0, "min": np.inf, "max": -np.inf}
_OVER: Final[dict[str, Callable[..., F64]]] = {
    "sum": np.add.reduceat,
    "min": np.minimum.reduceat,
    "max": np.maximum.reduceat,
}


def combine(table: F64, labels: Sequence[tuple[str, ...]], how: Combination) -> tuple[list[tuple[str, ...]], I64, F64]:
    """Return the groups in order of their labels, the rows that each has, and a row per group of a table of series."""
    names = sorted(set(labels))
    place = {name: number for number, name in enumerate(names)}
    of_row = np.array([place[label] for label in labels], np.int64)
    order = np.argsort(of_row, kind="stable")
    begins = np.searchsorted(of_row[order], np.arange(len(names)))
    sizes = np.diff(np.append(begins, len(order)))
    return names, sizes, _combined(table[order], begins, how)


def _combined(table: F64, begins: I64, how: Combination) -> F64:
    seen = ~np.isnan(table)
    count: F64 = np.add.reduceat(seen.astype(np.float64), begins, axis=0)
    if how == "count":
        return count
    if how.startswith("p"):
        return _percentile(table, np.append(begins, len(table)), float(how[1:]), count > 0)
    if how == "avg":
        total = np.add.reduceat(np.where(seen, table, 0.0), begins, axis=0)
        found: F64 = np.full(count.shape, np.nan)
        np.divide(total, count, out=found, where=count > 0)
        return found
    return np.where(count > 0, _OVER[how](np.where(seen, table, _UNSEEN[how]), begins, axis=0), np.nan)


def _percentile(table: F64, bounds: I64, percent: float, any_seen: npt.NDArray[np.bool_]) -> F64:
    """Interpolate linearly between the values of a step; those not seen count for nothing."""
    found = np.full(any_seen.shape, np.nan)
    for row, (begin, end) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        ordered = np.sort(table[begin:end], axis=0)  # NaN comes last
        seen = (~np.isnan(ordered)).sum(axis=0)
        steps = np.flatnonzero(any_seen[row])
        at = (seen[steps] - 1) * (percent / 100)
        low = np.floor(at).astype(np.int64)
        high = np.minimum(low + 1, seen[steps] - 1)
        lower, upper = ordered[low, steps], ordered[high, steps]
        found[row, steps] = lower + (upper - lower) * (at - low)
    return found
