"""Aggregates of samples as a monoid: what holds of a span follows from what holds of its parts, however it was cut.

The one promise: `combine(of_samples(pieces))` equals `of_samples(whole)` for every way to cut samples into pieces that
follow each other, up to the rounding of float64.

A counter's step from one sample to the next is an increase; where it began anew after the earlier sample it counted
from zero; where it fell without a new start nobody knows what it counted, and the step covers nothing (DESIGN §6).
Neither does a step to a sample whose start is BROKEN: the clock that stamped it was set, so that the time between is
not known.
"""

from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from shared.columns import F64, I64

_FLOATS: Final = frozenset({"first", "last", "min", "max", "sum", "increase"})
BROKEN: Final = -1  # as a start
_Numbers = TypeVar("_Numbers", F64, I64)


@dataclass(frozen=True, slots=True, eq=False)
class Aggregates:
    """One entry per group of samples: arrays of equal length. Times are UTC milliseconds, start_ms 0 is unknown.

    increase, covered_ms and resets are those of the steps between the group's own samples.
    """

    samples: I64
    first_ms: I64
    first: F64
    last_ms: I64
    last: F64
    min: F64
    max: F64
    sum: F64
    start_ms: I64  # of the first sample
    increase: F64
    covered_ms: I64
    resets: I64

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, index: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | I64) -> "Aggregates":
        """Return the entries at an index."""
        columns: list[Any] = [getattr(self, field.name)[index] for field in fields(self)]
        return Aggregates(*columns)


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """What a counter did between two samples: increase, the time it is known for, and whether it began anew."""

    increase: F64
    covered_ms: I64
    resets: I64


def steps(before_ms: I64, before: F64, after_ms: I64, after: F64, start_ms: I64) -> Steps:
    """Return the steps from samples to later ones; start_ms is when the counter of the later one began."""
    anew = start_ms > before_ms
    fell = ((after < before) & ~anew) | (start_ms < 0)
    increase = np.where(anew, after, np.where(fell, 0.0, after - before))
    covered = np.where(fell, 0, after_ms - before_ms)
    return Steps(increase, covered, anew.astype(np.int64))


def of_samples(times: I64, values: F64, starts: I64 | None, groups: I64, *, counter: bool = True) -> Aggregates:
    """Aggregate samples; group i holds those from groups[i] to groups[i + 1], and none is empty.

    Within a group times ascend. groups ascends from 0. Only a counter's steps count.
    """
    if not len(groups):
        return empty()
    ends = np.append(groups[1:], len(times)) - 1
    none = np.zeros(len(groups), np.int64)
    increase, covered, resets = none.astype(np.float64), none, none
    if counter:
        began = np.zeros(len(times), np.int64) if starts is None else starts
        between = steps(times[:-1], values[:-1], times[1:], values[1:], began[1:])
        increase, covered = _inside(between.increase, groups), _inside(between.covered_ms, groups)
        resets = _inside(between.resets, groups)
    return Aggregates(
        samples=ends + 1 - groups,
        first_ms=times[groups],
        first=values[groups],
        last_ms=times[ends],
        last=values[ends],
        min=np.minimum.reduceat(values, groups),
        max=np.maximum.reduceat(values, groups),
        sum=np.add.reduceat(values, groups),
        start_ms=began[groups] if counter else none,
        increase=increase,
        covered_ms=covered,
        resets=resets,
    )


def of_rows(times: I64, values: F64, starts: I64 | None, *, counter: bool) -> Aggregates:
    """Aggregate each row of a matrix (series, instants) whose rows share their times; only a counter's steps count."""
    count = len(values)
    none = np.zeros(count, np.int64)
    began = np.zeros((count, len(times)), np.int64) if starts is None else starts
    between = None
    if counter:
        between = steps(times[:-1], values[:, :-1], times[1:], values[:, 1:], began[:, 1:])
    return Aggregates(
        samples=np.full(count, len(times)),
        first_ms=np.full(count, times[0]),
        first=values[:, 0],
        last_ms=np.full(count, times[-1]),
        last=values[:, -1],
        min=values.min(axis=1),
        max=values.max(axis=1),
        sum=values.sum(axis=1),
        start_ms=began[:, 0] if counter else none,
        increase=none.astype(np.float64) if between is None else between.increase.sum(axis=1),
        covered_ms=none if between is None else between.covered_ms.sum(axis=1),
        resets=none if between is None else between.resets.sum(axis=1),
    )


def of_matrix(
    times: I64, values: F64, starts: I64 | None, groups: I64, *, counter: bool, only: frozenset[str]
) -> Aggregates:
    """Aggregate the groups of each row of a matrix (series, instants), row after row; only a counter's steps count.

    Of min, max and sum those that `only` does not name are left zero.
    """
    if not counter:
        return _of_columns(times, values, groups, only)
    # A row ends where the next begins: its last step leads out of its last group.
    count = len(values)
    flat = (np.arange(count)[:, None] * len(times) + groups).ravel()
    return of_samples(
        np.tile(times, count), values.ravel(), None if starts is None else starts.ravel(), flat, counter=True
    )


def _of_columns(times: I64, values: F64, groups: I64, only: frozenset[str]) -> Aggregates:
    count, ends = len(values), np.append(groups[1:], len(times)) - 1
    none, zeros = np.zeros(count * len(groups), np.int64), np.zeros(count * len(groups))

    def over(name: str, function: np.ufunc) -> F64:
        reduced: F64 = function.reduceat(values, groups, axis=1).ravel() if name in only else zeros
        return reduced

    return Aggregates(
        samples=np.tile(ends + 1 - groups, count),
        first_ms=np.tile(times[groups], count),
        first=values[:, groups].ravel(),
        last_ms=np.tile(times[ends], count),
        last=values[:, ends].ravel(),
        min=over("min", np.minimum),
        max=over("max", np.maximum),
        sum=over("sum", np.add),
        start_ms=none,
        increase=zeros,
        covered_ms=none,
        resets=none,
    )


def combine(parts: Aggregates, groups: I64) -> Aggregates:
    """Combine parts that follow each other in time; group i holds those from groups[i] to groups[i + 1]."""
    if not len(groups):
        return empty()
    ends = np.append(groups[1:], len(parts)) - 1
    between = steps(parts.last_ms[:-1], parts.last[:-1], parts.first_ms[1:], parts.first[1:], parts.start_ms[1:])
    return Aggregates(
        samples=np.add.reduceat(parts.samples, groups),
        first_ms=parts.first_ms[groups],
        first=parts.first[groups],
        last_ms=parts.last_ms[ends],
        last=parts.last[ends],
        min=np.minimum.reduceat(parts.min, groups),
        max=np.maximum.reduceat(parts.max, groups),
        sum=np.add.reduceat(parts.sum, groups),
        start_ms=parts.start_ms[groups],
        increase=np.add.reduceat(parts.increase, groups) + _inside(between.increase, groups),
        covered_ms=np.add.reduceat(parts.covered_ms, groups) + _inside(between.covered_ms, groups),
        resets=np.add.reduceat(parts.resets, groups) + _inside(between.resets, groups),
    )


def held(times: I64, codes: I64, groups: I64, interval_ms: I64) -> list[dict[int, float]]:
    """Return the seconds that each group of a state's samples held each code, between its own samples.

    A sample holds until the next one, two intervals of its plan at most: what is older is unknown. interval_ms has an
    element per group.
    """
    group_of = np.repeat(np.arange(len(groups)), np.diff(np.append(groups, len(times))))
    same = group_of[1:] == group_of[:-1]
    length = np.minimum(np.diff(times), 2 * interval_ms[group_of[1:]])[same]
    where, code = group_of[1:][same], codes[:-1][same]
    found: list[dict[int, float]] = [{} for _ in range(len(groups))]
    if len(where):
        # A state stays for long: what has to be sorted are its changes.
        change = np.flatnonzero(np.append(True, (where[1:] != where[:-1]) | (code[1:] != code[:-1])))
        where, code, length = where[change], code[change], np.add.reduceat(length, change)
        order = np.lexsort((code, where))
        where, code, length = where[order], code[order], length[order]
        edge = np.flatnonzero(np.append(True, (where[1:] != where[:-1]) | (code[1:] != code[:-1])))
        seconds = np.add.reduceat(length, edge) / 1000.0
        for group, one, total in zip(where[edge].tolist(), code[edge].tolist(), seconds.tolist(), strict=True):
            found[group][one] = total
    return found


def empty() -> Aggregates:
    """Return no entries."""
    columns: list[Any] = [
        np.empty(0, np.float64 if field.name in _FLOATS else np.int64) for field in fields(Aggregates)
    ]
    return Aggregates(*columns)


def concatenate(some: list[Aggregates]) -> Aggregates:
    """Return the entries of all, in order."""
    if not some:
        return empty()
    columns: list[Any] = [np.concatenate([getattr(one, field.name) for one in some]) for field in fields(Aggregates)]
    return Aggregates(*columns)


def _inside(between: _Numbers, groups: I64) -> _Numbers:
    """Sum what lies between neighbours of one group; between has one element less than there are neighbours."""
    inner = np.append(between, 0).astype(between.dtype)
    inner[np.append(groups[1:], len(inner)) - 1] = 0  # the step behind a group's last one leads out of it
    sums: _Numbers = np.add.reduceat(inner, groups)
    return sums
