"""The merger: makes chunks and rollups of the parts of days that are over, once nothing came for an hour.

The one promise: a slab's parts count as merged from the transaction on that writes its chunks and rollups; what comes
late for a merged day, or while it is merged, is merged into its chunks in the same way, an hour of quiet later.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from metaconsole.readers.base import BACKOFF_SECONDS
from metaconsole.readers.hours import aggregates_of, held_of
from metaconsole.store import merging
from metaconsole.store.aggregates import Aggregates
from metaconsole.store.database import AsyncConnection, UnavailableError, connected, transaction
from metaconsole.store.merging import HOURS, Chunks, Day, Piece, Place, Rollups
from metaconsole.store.pieces import DAY_MS, HOUR_MS, SLAB, pack_rows, pack_times, unpack_rows, unpack_times
from metaconsole.store.runs import Run, merge, split
from shared.catalogue import catalogue
from shared.columns import I64
from shared.failpoints import failpoint

LEVEL: Final = 4  # of pcodec: a chunk stays for years
QUIET_SECONDS: Final = 3600.0
LOOK_SECONDS: Final = 60.0
SLABS: Final = 1024 // SLAB  # merged in one transaction: 1,024 series
_log = logging.getLogger(__name__)


class Merger:
    """`run` is a task that ends by cancellation."""

    def __init__(self, url: str, quiet_seconds: float = QUIET_SECONDS, now_ms: int | None = None) -> None:
        """Merge by the machine's clock, or as if that stood still."""
        self._url = url
        self._quiet = quiet_seconds
        self._now_ms = now_ms

    async def run(self) -> None:
        """Merge what is due every minute until cancelled; while PostgreSQL is away, try again."""
        told: set[str] = set()  # why it waits
        while True:
            try:
                async with connected(self._url, application="nephoscope merger") as connection:
                    while True:
                        await self.look(connection)
                        told.clear()
                        await asyncio.sleep(LOOK_SECONDS)
            except UnavailableError as error:
                if str(error) not in told:
                    _log.error("the merger waits for PostgreSQL: %s", error, extra={"event": "merger.waits"})
                told.add(str(error))
                await asyncio.sleep(BACKOFF_SECONDS)

    async def look(self, connection: AsyncConnection) -> int:
        """Merge every day that is due, and return how many series were merged; raises UnavailableError."""
        now = time.time_ns() // 1_000_000 if self._now_ms is None else self._now_ms
        # A day is over once even its last hour had the time to become parts.
        before = int((now - self._quiet * 1000) // DAY_MS)
        async with transaction(connection):
            days = await merging.due(connection, self._quiet, before)
        merged = 0
        for day in days:
            while count := await self._merge(connection, day):
                merged += count
                await asyncio.sleep(0)
        return merged

    async def _merge(self, connection: AsyncConnection, day: Day) -> int:
        """Merge the next slabs of a day and return the number of series; 0 when none is left, or others work on it."""
        async with transaction(connection):
            if (place := await merging.claim(connection, day, self._quiet)) is None:
                return 0
            merged = await _merge_next(connection, day, place)
            if not merged:
                await merging.finish(connection, day)
            failpoint("merger.commit.before")
        failpoint("merger.commit.after")
        return merged


async def _merge_next(connection: AsyncConnection, day: Day, place: Place) -> int:
    """Merge the next slabs of a day that is claimed, and return the number of series."""
    if (through := await merging.last_slab(connection, day, place, SLABS)) is None:
        return 0
    pieces = await merging.pieces(connection, day, place, through)
    series = sorted({piece.series for piece in pieces})
    metrics = await merging.metrics(connection, day.site_id, series)
    chunks, rollups = chunks_of(pieces, metrics)
    await merging.replace(connection, day, series, chunks, rollups)
    await merging.move(connection, day, through)
    return len(series)


def chunks_of(pieces: Sequence[Piece], metrics: dict[int, str]) -> tuple[list[Chunks], list[Rollups]]:
    """Return the chunks and rollups of one day that hold all samples of the pieces, each once."""
    chunks, rollups = [], []
    for kind, interval_ms, runs in _groups(pieces, metrics):
        for run in merge(runs):
            name, times = pack_times(run.times)
            contents = pack_rows(run.values, run.starts, LEVEL)
            chunks.append(Chunks(run.series, interval_ms, len(run.times), name, times, contents))
            rollups.append(rollup_of(run, kind, interval_ms))
    return chunks, rollups


def rollup_of(run: Run, kind: str, interval_ms: int) -> Rollups:
    """Aggregate the hours of a run of one day."""
    hours: dict[int, Aggregates] = {}
    held: list[dict[int, list[float]]] = [{} for _ in run.series]
    for hour, part in split(run, HOUR_MS):
        hours[hour] = aggregates_of(part, kind)
        if kind == "state":
            for mine, found in zip(held, held_of(part, interval_ms), strict=True):
                for code, seconds in (found or {}).items():
                    mine.setdefault(code, [0.0] * HOURS)[hour % HOURS] = seconds
    return Rollups(run.series, kind, hours, held if kind == "state" else [None] * len(run.series))


def _groups(pieces: Sequence[Piece], metrics: dict[int, str]) -> Iterator[tuple[str, int, list[Run]]]:
    """Yield runs by kind of metric, interval and type, of series that were seen at the same instants all day."""
    by_series: dict[int, list[Piece]] = {}
    for piece in pieces:
        by_series.setdefault(piece.series, []).append(piece)
    alike: dict[tuple[Any, ...], list[list[Piece]]] = {}
    for series, mine in by_series.items():
        mine.sort(key=lambda piece: piece.hour)
        metric = catalogue().get(metrics.get(series, ""))
        kind = "gauge" if metric is None else metric.kind
        interval = max(piece.interval_ms for piece in mine)
        alike.setdefault((kind, interval, *(piece.times for piece in mine)), []).append(mine)
    times: dict[bytes, I64] = {}
    for (kind, interval, *_), members in alike.items():
        columns = [_run(column, times) for column in zip(*members, strict=True)]
        if len({column.values.dtype for column in columns}) > 1:  # a metric that became a float
            columns = [Run(one.series, one.times, one.values.astype(np.float64), one.starts) for one in columns]
        follows = all(one.times[-1] < other.times[0] for one, other in pairwise(columns))
        yield kind, interval, [_joined(columns)] if follows else columns


def _run(pieces: Sequence[Piece], known: dict[bytes, I64]) -> Run:
    """Decode pieces of different series at the same instants."""
    stored = pieces[0].times
    if (times := known.get(stored)) is None:
        times = known[stored] = unpack_times(stored, pieces[0].samples)
    values, starts = unpack_rows([piece.content for piece in pieces], len(times))
    return Run(np.array([piece.series for piece in pieces]), times, values, starts)


def _joined(columns: Sequence[Run]) -> Run:
    """Join runs of the same series that follow each other in time."""
    if len(columns) == 1:
        return columns[0]
    starts = None
    if any(column.starts is not None for column in columns):
        starts = np.concatenate(
            [np.zeros(one.values.shape, np.int64) if one.starts is None else one.starts for one in columns], axis=1
        )
    values = np.concatenate([column.values for column in columns], axis=1)
    return Run(columns[0].series, np.concatenate([column.times for column in columns]), values, starts)
