"""What the merger reads and writes: the parts of a day, and its chunks and rollups.

The one promise: everything here runs inside the transaction that holds the day's row of part_day, which the compactor
locks before it writes parts of that day: nothing counts as merged that was not read. Parts are not deleted: the row
says which of them are merged.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from metaconsole.store import copying
from metaconsole.store.aggregates import Aggregates
from metaconsole.store.database import AsyncConnection
from metaconsole.store.pieces import HOUR_MS
from metaconsole.store.samples import StoredFormatError
from metaconsole.store.sent import ragged
from metaconsole.store.sql import statements
from shared.columns import F64, I64

HOURS: Final = 24
# of the statement "parts", in its order: that of Aggregates from the samples on
_ARRAYS: Final = (
    "int8", "int8", "int4", "int4", "int4", "float8", "int4", *["float8"] * 4, "int8", "float8", "int4", "int4"
)  # fmt: skip
_SQL: Final = statements("merging")


@dataclass(frozen=True, slots=True)
class Day:
    """A UTC day of a site, in days since 1970."""

    site_id: int
    day: int

    @property
    def parameters(self) -> dict[str, Any]:
        """What most statements are given."""
        return {"site_id": self.site_id, "day": self.day, "begin": self.day * HOURS, "end": (self.day + 1) * HOURS}


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Hours of series as parts hold them: all but `times` of equal length, in any order."""

    series: I64
    hours: I64
    intervals: I64
    grids: I64
    contents: Sequence[bytes]
    aggregates: Aggregates
    held: Sequence[Mapping[str, float] | None]
    times: Mapping[tuple[int, int], bytes]  # by hour and grid

    def piece(self, place: int) -> "Piece":
        """Return one of them by itself."""
        hour, samples = int(self.hours[place]), int(self.aggregates.samples[place])
        times = self.times[hour, int(self.grids[place])]
        return Piece(int(self.series[place]), hour, int(self.intervals[place]), samples, times, self.contents[place])


@dataclass(frozen=True, slots=True)
class Place:
    """How far the merge of a day is: through which slab the parts of its round are merged."""

    round: int
    slab: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples of one series: a slice of a part, or a chunk, with the bytes of their times."""

    series: int
    hour: int
    interval_ms: int
    samples: int
    times: bytes
    content: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Chunks:
    """Days of series that share their times: a name and the bytes of the times, and of each series the content."""

    series: I64
    interval_ms: int
    samples: int
    grid: int
    times: bytes
    contents: Sequence[bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Rollups:
    """The hours of a day of series of one kind; `hours` holds an entry per series for each hour that was seen."""

    series: I64
    kind: str
    hours: Mapping[int, Aggregates]  # by hour since 1970
    held: Sequence[Mapping[str, Sequence[float]] | None]


async def due(connection: AsyncConnection, quiet_seconds: float, before_day: int) -> list[Day]:
    """Return the days before one whose parts wait and were left alone for so long, or whose merge is under way."""
    parameters = {"quiet": quiet_seconds, "before": before_day}
    return [Day(*row) for row in await (await connection.execute(_SQL["due"], parameters)).fetchall()]


async def claim(connection: AsyncConnection, day: Day, quiet_seconds: float) -> Place | None:
    """Lock a day and begin its merge, or go on with it; None when somebody else has it, or parts came meanwhile."""
    parameters = {**day.parameters, "quiet": quiet_seconds}
    row = await (await connection.execute(_SQL["claim"], parameters)).fetchone()
    if row is None:
        return None
    merging, slab, begun = row
    if not begun:
        await connection.execute(_SQL["begin"], day.parameters)
    return Place(merging, slab)


async def last_slab(connection: AsyncConnection, day: Day, place: Place, limit: int) -> int | None:
    """Return the last one of the next slabs that have parts to be merged; None when there are none."""
    parameters = {**day.parameters, "round": place.round, "after": place.slab, "limit": limit}
    rows = await (await connection.execute(_SQL["slabs"], parameters)).fetchall()
    return rows[-1][0] if rows else None


async def parts(connection: AsyncConnection, day: Day, place: Place, through: int) -> Parts:
    """Return what is in the next parts through a slab."""
    cursor = connection.cursor(binary=True)
    parameters = {**day.parameters, "round": place.round, "after": place.slab, "through": through}
    row = await (await cursor.execute(_SQL["parts"], parameters)).fetchone()
    assert row is not None  # an aggregate
    times: dict[tuple[int, int], bytes] = {}
    found = _parts(row, times)
    named = np.unique(np.stack([found.hours, found.grids]), axis=1)
    wanted = {**day.parameters, "hours": named[0].tolist(), "grids": named[1].tolist()}
    stored = await (await cursor.execute(_SQL["part_grids"], wanted)).fetchall()
    times |= {(hour, grid): content for hour, grid, content in stored}
    return found


async def chunk_pieces(connection: AsyncConnection, day: Day, series: Sequence[int]) -> list[Piece]:
    """Return what is in the chunks of series already."""
    cursor = connection.cursor(binary=True)
    rows = await (await cursor.execute(_SQL["chunks"], {**day.parameters, "series": list(series)})).fetchall()
    if not rows:
        return []
    names = {**day.parameters, "grids": sorted({grid for _, _, _, grid, _ in rows})}
    times: dict[int, bytes] = dict(await (await cursor.execute(_SQL["chunk_grids"], names)).fetchall())
    first = day.day * HOURS
    return [
        Piece(one, first, interval, samples, times[grid], content) for one, interval, samples, grid, content in rows
    ]


async def metrics(connection: AsyncConnection, site_id: int, series: Sequence[int]) -> dict[int, str]:
    """Return the names of the metrics of series."""
    parameters = {"site_id": site_id, "series": list(series)}
    return dict(await (await connection.execute(_SQL["metrics"], parameters)).fetchall())


async def replace(
    connection: AsyncConnection,
    day: Day,
    series: Sequence[int],
    chunks: Sequence[Chunks],
    rollups: Sequence[Rollups],
) -> None:
    """Write chunks and rollups of series in the place of what was there before."""
    of_series = {**day.parameters, "series": list(series)}
    await connection.execute(_SQL["delete_chunks"], of_series)
    await connection.execute(_SQL["delete_rollups"], of_series)
    grids = {"grids": [chunk.grid for chunk in chunks], "times": [chunk.times for chunk in chunks]}
    await connection.execute(_SQL["keep_grids"], {**day.parameters, **grids})
    for name, rows in (("copy_chunks", _chunk_rows(day, chunks)), ("copy_rollups", _rollup_rows(day, rollups))):
        async with connection.cursor().copy(_SQL[name]) as copy:
            await copy.write(rows)


async def move(connection: AsyncConnection, day: Day, through: int) -> None:
    """Note that the parts through a slab are merged."""
    await connection.execute(_SQL["move"], {**day.parameters, "through": through})


async def finish(connection: AsyncConnection, day: Day) -> None:
    """Note that the whole round is merged."""
    await connection.execute(_SQL["finish"], day.parameters)


def _parts(row: Sequence[Any], times: Mapping[tuple[int, int], bytes]) -> Parts:
    hour, interval, size, *arrays = (value or b"" for value in row[:-2])
    counts, hours = np.frombuffer(size, ">i4").astype(np.int64), np.frombuffer(hour, ">i4").astype(np.int64)
    each = np.repeat(hours, counts)
    begins = each * HOUR_MS
    numbers = [ragged(array, kind, counts) for array, kind in zip(arrays, _ARRAYS, strict=True)]
    series, grids, ends, samples, first_at, first, last_at, last, low, high, total, *counted = numbers
    content: bytes = row[-1] or b""
    last_ends = ends[np.cumsum(counts) - 1]
    ends += np.repeat(np.cumsum(last_ends) - last_ends, counts)
    pieces = [content[begin:end] for begin, end in pairwise([0, *ends.tolist()])]
    if ends[-1:].sum() != len(content):
        raise StoredFormatError(f"parts hold {len(content)} bytes of samples, not {ends[-1:].sum()}")
    aggregates = Aggregates(samples, begins + first_at, first, begins + last_at, last, low, high, total, *counted)
    held = [one for told, count in zip(row[-2] or [], counts.tolist(), strict=True) for one in (told or [None] * count)]
    intervals = np.repeat(np.frombuffer(interval, ">i4").astype(np.int64), counts)
    return Parts(series, each, intervals, grids, pieces, aggregates, held, times)


def _chunk_rows(day: Day, chunks: Sequence[Chunks]) -> bytes:
    counts = [len(chunk.series) for chunk in chunks]
    total = sum(counts)

    def each(values: Sequence[int]) -> I64:
        return np.repeat(np.array(values, np.int64), counts)

    fixed = copying.records(
        (np.full(total, day.site_id), "int8"),
        (np.concatenate([chunk.series for chunk in chunks]), "int8"),
        (np.full(total, day.day), "int4"),
        (each([chunk.interval_ms for chunk in chunks]), "int4"),
        (each([chunk.samples for chunk in chunks]), "int4"),
        (each([chunk.grid for chunk in chunks]), "int8"),
    )
    return copying.rows(7, fixed, copying.byteas(content for chunk in chunks for content in chunk.contents))


def _rollup_rows(day: Day, rollups: Sequence[Rollups]) -> bytes:
    fixed = [record for rollup in rollups for record in _rollup_records(day, rollup)]
    held = (None if one is None else json.dumps(one) for rollup in rollups for one in rollup.held)
    return copying.rows(16, fixed, copying.jsonbs(held))


def _rollup_records(day: Day, rollup: Rollups) -> copying.Column:
    count = len(rollup.series)
    gauge, counter = rollup.kind == "gauge", rollup.kind == "counter"

    def hours(name: str, kind: str, *, since: bool = False, wanted: bool = True) -> tuple[F64 | I64 | None, str]:
        if not wanted:
            return None, kind
        values: npt.NDArray[Any] = np.zeros((count, HOURS), np.float64 if kind == "float8" else np.int64)
        for hour, found in rollup.hours.items():
            values[:, hour - day.day * HOURS] = getattr(found, name) - (hour * HOUR_MS if since else 0)
        return values, kind

    steps = [("increase", "float8"), ("covered_ms", "int4"), ("resets", "int4"), ("start_ms", "int8")]
    return copying.records(
        (np.full(count, day.site_id), "int8"),
        (rollup.series, "int8"),
        (np.full(count, day.day), "int4"),
        hours("samples", "int4"),
        hours("first_ms", "int4", since=True),
        hours("last_ms", "int4", since=True),
        hours("first", "float8"),
        hours("last", "float8"),
        *(hours(name, "float8", wanted=gauge) for name in ("min", "max", "sum")),
        *(hours(name, kind, wanted=counter) for name, kind in steps),
    )
