"""Runs become hours of series: pieces, grids and aggregates, ready to be written as parts.

The one promise: every sample that was added is in exactly one of the hours.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from metaconsole.store.aggregates import Aggregates, concatenate, held, of_rows
from metaconsole.store.compaction import Hours
from metaconsole.store.pieces import HOUR_MS, pack_rows, pack_times
from metaconsole.store.runs import Run, merge, split
from shared.columns import I64

LEVEL: Final = 0  # of pcodec: an hour is written again within a day; 2 takes twice as long for a tenth less bytes


class HourPacker:
    """Gathers the hours of one unit of work."""

    def __init__(self) -> None:
        self._series: list[I64] = []
        self._hours: list[I64] = []
        self._intervals: list[I64] = []
        self._grids: list[I64] = []
        self._pieces: list[bytes] = []
        self._aggregates: list[Aggregates] = []
        self._held: list[dict[int, float] | None] = []
        self._times: dict[tuple[int, int], bytes] = {}

    def add(self, runs: Sequence[Run], kind: str, interval_ms: int) -> None:
        """Add the samples of one metric; kind is the catalogue's, interval_ms that of the plan that saw them."""
        for values in (np.float64, np.int64):
            for run in merge([run for run in runs if run.values.dtype == values]):
                for hour, part in split(run, HOUR_MS):
                    self._add(hour, part, kind, interval_ms)

    def _add(self, hour: int, run: Run, kind: str, interval_ms: int) -> None:
        count = len(run.series)
        name, times = pack_times(run.times)
        self._times[hour, name] = times
        self._series.append(run.series)
        self._hours.append(np.full(count, hour))
        self._intervals.append(np.full(count, interval_ms))
        self._grids.append(np.full(count, name))
        self._pieces += pack_rows(run.values, run.starts, LEVEL)
        self._aggregates.append(aggregates_of(run, kind))
        self._held += held_of(run, interval_ms) if kind == "state" else [None] * count

    def packed(self) -> tuple[Hours, list[tuple[int, int, bytes]]]:
        """Return the hours and the grids (hour, name, times) that they use."""
        hours = Hours(
            _joined(self._series),
            _joined(self._hours),
            _joined(self._intervals),
            _joined(self._grids),
            self._pieces,
            concatenate(self._aggregates),
            self._held,
        )
        return hours, [(hour, name, times) for (hour, name), times in self._times.items()]


def _joined(arrays: Sequence[I64]) -> I64:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)


def aggregates_of(run: Run, kind: str) -> Aggregates:
    """Aggregate each series of a run."""
    values = run.values.astype(np.float64, copy=False)
    return of_rows(run.times, values, run.starts, counter=kind == "counter")


def held_of(run: Run, interval_ms: int) -> list[dict[int, float] | None]:
    """Return the seconds that each series of a state held each code."""
    count, length = run.values.shape
    groups = np.arange(count) * length
    times, codes = np.tile(run.times, count), run.values.ravel().astype(np.int64)
    return list(held(times, codes, groups, np.full(count, interval_ms)))
