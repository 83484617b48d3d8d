"""Samples as columns, and how the stretches of many series that were found here and there become columns.

The one promise: each sample comes once, in order of series and time, and of two values for one instant the larger.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from metaconsole.store.runs import Run
from shared.columns import F64, I64

SAMPLES: Final = 5_000_000  # what one answer may hold
HELD: Final = 20_000_000  # what may be in memory at once while it is aggregated
DECODED: Final = 100_000_000  # what may be decoded for it


class QueryTooLargeError(ValueError):
    """A query that would answer, or read, more than one query may."""


class StoredFormatError(ValueError):
    """Stored bytes in a format that this program does not know."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Samples sorted by (series, time): arrays of equal length, times in UTC milliseconds.

    starts is when the counter of a sample began, 0 where nobody told; None where nobody told of any.
    """

    series: I64
    times: I64
    values: F64
    starts: I64 | None = None

    def __len__(self) -> int:
        return len(self.times)

    def of(self, series_id: int) -> tuple[I64, F64]:
        """Return the times and values of one series, as views."""
        start, end = self.bounds(series_id)
        return self.times[start:end], self.values[start:end]

    def starts_of(self, series_id: int) -> I64 | None:
        """Return the starts of one series, as a view."""
        start, end = self.bounds(series_id)
        return None if self.starts is None else self.starts[start:end]

    def bounds(self, series_id: int) -> tuple[int, int]:
        """Return where the samples of a series begin and end."""
        start, end = np.searchsorted(self.series, [series_id, series_id + 1]).tolist()
        return start, end


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Samples of one series, ascending in time; there is at least one."""

    series: int
    times: I64
    values: F64 | I64
    starts: I64 | None


class Budget:
    """What is left of the limits of one question, of whose samples so many may be in memory at once."""

    def __init__(self, samples: int = SAMPLES) -> None:
        self._limit = samples
        self._samples = 0
        self._decoded = 0

    def spend(self, decoded: int, samples: int) -> None:
        """Count what is about to be decoded, and how much of it is wanted; raises QueryTooLargeError."""
        self._decoded += decoded
        if self._decoded > DECODED:
            raise QueryTooLargeError("the range holds too much to read in one query; ask for a shorter one")
        self._samples += samples
        if self._samples > self._limit:
            raise QueryTooLargeError(f"the range holds more than {self._limit} samples; ask for less or a shorter one")

    def release(self, samples: int) -> None:
        """Count samples that were aggregated and are in memory no more."""
        self._samples -= samples


def empty() -> Columns:
    """Return no samples."""
    nothing = np.empty(0, dtype=np.int64)
    return Columns(nothing, nothing, np.empty(0))


def aligned(stretches: Iterable[Stretch]) -> tuple[list[Run], list[Stretch]]:
    """Return matrices of the series whose stretches lie on the same instants, one after the other, and the rest."""
    of_series: dict[int, list[Stretch]] = {}
    for one in stretches:
        of_series.setdefault(one.series, []).append(one)
    alike: dict[tuple[int, ...], list[list[Stretch]]] = {}
    for some in of_series.values():
        some.sort(key=lambda one: int(one.times[0]))
        alike.setdefault(tuple(id(one.times) for one in some), []).append(some)
    runs, rest = [], []
    for rows in alike.values():
        times = np.concatenate([one.times for one in rows[0]])
        if (times[1:] > times[:-1]).all():
            runs.append(_run(times, rows))
        else:
            rest += [one for some in rows for one in some]
    return runs, rest


def _run(times: I64, rows: Sequence[Sequence[Stretch]]) -> Run:
    values = np.empty((len(rows), len(times)))
    starts = None
    if any(one.starts is not None for some in rows for one in some):
        starts = np.zeros(values.shape, np.int64)
    for row, some in enumerate(rows):
        begin = 0
        for one in some:
            end = begin + len(one.times)
            values[row, begin:end] = one.values
            if starts is not None and one.starts is not None:
                starts[row, begin:end] = one.starts
            begin = end
    return Run(np.array([some[0].series for some in rows], np.int64), times, values, starts)


def join(stretches: Iterable[Stretch]) -> Columns:
    """Return the samples of all stretches."""
    ordered = sorted(stretches, key=lambda one: (one.series, int(one.times[0])))
    if not ordered:
        return empty()
    lengths = [len(one.times) for one in ordered]
    series = np.repeat(np.array([one.series for one in ordered], dtype=np.int64), lengths)
    times = np.concatenate([one.times for one in ordered])
    values = np.concatenate([one.values for one in ordered], dtype=np.float64)
    return _in_order(series, times, values, _starts(ordered))


def _starts(stretches: Sequence[Stretch]) -> I64 | None:
    if all(one.starts is None for one in stretches):
        return None
    return np.concatenate(
        [np.zeros(len(one.times), np.int64) if one.starts is None else one.starts for one in stretches]
    )


def _in_order(series: I64, times: I64, values: F64, starts: I64 | None) -> Columns:
    """Sort the series whose stretches overlap, and only those; then each instant stays once."""
    ahead = (times[1:] > times[:-1]) | (series[1:] != series[:-1])
    if ahead.all():
        return Columns(series, times, values, starts)
    # All samples of a series stand together, so that a sorted series fits where it was.
    mixed = np.flatnonzero(np.isin(series, np.unique(series[1:][~ahead])))
    began = np.zeros(len(mixed), np.int64) if starts is None else starts[mixed]
    order = mixed[np.lexsort((began, values[mixed], times[mixed], series[mixed]))]
    times[mixed], values[mixed] = times[order], values[order]
    if starts is not None:
        starts[mixed] = starts[order]
    last = np.append((times[1:] != times[:-1]) | (series[1:] != series[:-1]), True)
    return Columns(series[last], times[last], values[last], None if starts is None else starts[last])
