"""What the merger reads and writes: the parts of a day, and its chunks and rollups.

The one promise: everything here runs inside the transaction that holds the day's row of part_day, which the compactor
locks before it writes parts of that day: nothing counts as merged that was not read. Parts are not deleted: the row
says which of them are merged.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from metaconsole.store import copying
from metaconsole.store.aggregates import Aggregates
from metaconsole.store.database import AsyncConnection
from metaconsole.store.pieces import HOUR_MS
from metaconsole.store.sql import statements
from shared.columns import I64

HOURS: Final = 24
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
    held: Sequence[Mapping[int, Sequence[float]] | None]


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


async def pieces(connection: AsyncConnection, day: Day, place: Place, through: int) -> list[Piece]:
    """Return all samples of the series in the next parts through a slab: the parts' and those of chunks of that day."""
    cursor = connection.cursor(binary=True)
    parameters = {**day.parameters, "round": place.round, "after": place.slab, "through": through}
    parts = await (await cursor.execute(_SQL["parts"], parameters)).fetchall()
    named = sorted({(hour, name) for hour, _, _, names, *_ in parts for name in names})
    wanted = {**day.parameters, "hours": [hour for hour, _ in named], "grids": [name for _, name in named]}
    stored = await (await cursor.execute(_SQL["part_grids"], wanted)).fetchall()
    grids = {(hour, grid): times for hour, grid, times in stored}
    found = []
    for hour, interval_ms, series, names, ends, samples, content in parts:
        begins = [0, *ends[:-1]]
        for one, name, begin, end, count in zip(series, names, begins, ends, samples, strict=True):
            found.append(Piece(one, hour, interval_ms, count, grids[hour, name], content[begin:end]))
    return [*found, *await _chunk_pieces(connection, day, sorted({piece.series for piece in found}))]


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


async def _chunk_pieces(connection: AsyncConnection, day: Day, series: Sequence[int]) -> list[Piece]:
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


def _chunk_rows(day: Day, chunks: Sequence[Chunks]) -> bytes:
    counts = [len(chunk.series) for chunk in chunks]
    total = sum(counts)

    def each(values: Sequence[int], kind: str) -> copying.Column:
        return copying.numbers(np.repeat(np.array(values, np.int64), counts), kind)

    return copying.rows(
        copying.numbers(np.full(total, day.site_id), "int8"),
        copying.numbers(np.concatenate([chunk.series for chunk in chunks]), "int8"),
        copying.numbers(np.full(total, day.day), "int4"),
        each([chunk.interval_ms for chunk in chunks], "int4"),
        each([chunk.samples for chunk in chunks], "int4"),
        each([chunk.grid for chunk in chunks], "int8"),
        copying.byteas(content for chunk in chunks for content in chunk.contents),
    )


def _rollup_rows(day: Day, rollups: Sequence[Rollups]) -> bytes:
    columns: list[list[bytes]] = [[] for _ in range(16)]
    for rollup in rollups:
        for column, more in zip(columns, _rollup_columns(day, rollup), strict=True):
            column.extend(more)
    return copying.rows(*columns)


def _rollup_columns(day: Day, rollup: Rollups) -> list[copying.Column]:
    count = len(rollup.series)
    gauge, counter = rollup.kind == "gauge", rollup.kind == "counter"
    bounds = range(0, count * HOURS + 1, HOURS)
    nothing: copying.Column = [copying.NULL] * count

    def array(name: str, kind: str, *, since: bool = False) -> copying.Column:
        values: npt.NDArray[Any] = np.zeros((count, HOURS), np.float64 if kind == "float8" else np.int64)
        for hour, found in rollup.hours.items():
            values[:, hour - day.day * HOURS] = getattr(found, name) - (hour * HOUR_MS if since else 0)
        return copying.arrays(values.ravel(), kind, bounds)

    extent = [array(name, "float8") if gauge else nothing for name in ("min", "max", "sum")]
    steps = [("increase", "float8"), ("covered_ms", "int4"), ("resets", "int4"), ("start_ms", "int8")]
    return [
        copying.numbers(np.full(count, day.site_id), "int8"),
        copying.numbers(rollup.series, "int8"),
        copying.numbers(np.full(count, day.day), "int4"),
        array("samples", "int4"),
        array("first_ms", "int4", since=True),
        array("last_ms", "int4", since=True),
        array("first", "float8"),
        array("last", "float8"),
        *extent,
        *(array(name, kind) if counter else nothing for name, kind in steps),
        copying.jsonbs(None if one is None else json.dumps(one) for one in rollup.held),
    ]
