"""What the compactor reads and writes: rows of the log by their directories, and parts.

The one promise: everything here runs inside the caller's transaction, so that a step is whole or has not been.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import numpy as np

from metaconsole.store import copying
from metaconsole.store.aggregates import Aggregates
from metaconsole.store.database import AsyncConnection
from metaconsole.store.frames import LogKind
from metaconsole.store.pieces import HOUR_MS, SLAB
from metaconsole.store.positions import Position
from metaconsole.store.sql import statements
from shared.columns import I64

READER: Final = "compactor"
_DAY: Final = 24  # hours
_SQL: Final = statements("compaction")


@dataclass(frozen=True, slots=True)
class State:
    """How far a satellite's log is compacted beyond the position; see the table compaction."""

    through_ms: int
    seen: int


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the log without its payload. offsets has one more element than metrics."""

    ordinal: int
    received_at: datetime
    kind: LogKind
    source_id: int | None
    interval_ms: int
    first_ms: int
    last_ms: int
    samples: int
    metrics: Sequence[int]
    offsets: Sequence[int]
    times: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Hours:
    """Hours of series, all arrays and lists of equal length; aggregates' times are UTC milliseconds.

    grids are names in `times`; held is None for what is no state.
    """

    series: I64
    hours: I64
    intervals: I64
    grids: I64
    pieces: Sequence[bytes]
    aggregates: Aggregates
    held: Sequence[dict[int, float] | None]


async def due(connection: AsyncConnection, boundary_ms: int, rows: int) -> list[int]:
    """Return the sites with a satellite whose log is not compacted through the boundary, or has so many new rows."""
    parameters = {"reader": READER, "boundary_ms": boundary_ms, "rows": rows}
    found = await (await connection.execute(_SQL["due"], parameters)).fetchall()
    return [site_id for (site_id,) in found]


async def state(connection: AsyncConnection, position: Position) -> State:
    """Return the state of a satellite whose position is claimed."""
    row = await (await connection.execute(_SQL["state"], _who(position))).fetchone()
    return State(0, position.ordinal) if row is None else State(row[0], max(row[1], position.ordinal))


async def new_rows(connection: AsyncConnection, position: Position, after: int, limit: int) -> list[Row]:
    """Return the rows of every kind behind an ordinal, in order."""
    parameters = {**_who(position), "after": after, "received_at": position.received_at, "rows": limit}
    return _rows(await (await connection.execute(_SQL["new_rows"], parameters)).fetchall())


async def late_samples(connection: AsyncConnection, position: Position, known: State) -> int:
    """Return how many samples lie in new rows that begin before the boundary."""
    parameters = {
        **_who(position),
        "after": known.seen,
        "received_at": position.received_at,
        "through_ms": known.through_ms,
    }
    row = await (await connection.execute(_SQL["late_samples"], parameters)).fetchone()
    return 0 if row is None else int(row[0])


async def held_rows(connection: AsyncConnection, position: Position, known: State) -> list[Row]:
    """Return the rows that were seen before and hold samples that are not compacted."""
    parameters = {
        **_who(position),
        "after": position.ordinal,
        "seen": known.seen,
        "through_ms": known.through_ms,
        "received_at": position.received_at,
    }
    return _rows(await (await connection.execute(_SQL["held_rows"], parameters)).fetchall())


async def blocks(
    connection: AsyncConnection, position: Position, rows: Sequence[Row], spans: Sequence[tuple[int, int]]
) -> list[bytes]:
    """Return of each row the bytes of its payload from the first to the second of its span."""
    parameters = {
        **_who(position),
        "ordinals": [row.ordinal for row in rows],
        "begins": [begin for begin, _ in spans],
        "sizes": [end - begin for begin, end in spans],
        "first": rows[0].ordinal,
        "last": rows[-1].ordinal,
        "received_from": min(row.received_at for row in rows),
        "received_to": max(row.received_at for row in rows),
    }
    cursor = connection.cursor(binary=True)
    found = await (await cursor.execute(_SQL["blocks"], parameters)).fetchall()
    return [data for _, data in found]


async def received_at(connection: AsyncConnection, position: Position, ordinal: int) -> datetime:
    """Return when a row came."""
    parameters = {**_who(position), "ordinal": ordinal, "received_at": position.received_at}
    row = await (await connection.execute(_SQL["received_at"], parameters)).fetchone()
    return position.received_at if row is None else row[0]


async def touch_days(connection: AsyncConnection, site_id: int, days: Sequence[int]) -> dict[int, int]:
    """Note that days get parts, before any is written, and return of each day the round that they belong to.

    From here to the end of the transaction nobody merges these days, and nobody drops the pieces that hold their parts.
    """
    parameters = {"site_id": site_id, "days": sorted(days)}
    return dict(await (await connection.execute(_SQL["touch_days"], parameters)).fetchall())


async def write_parts(
    connection: AsyncConnection,
    site_id: int,
    rounds: Mapping[int, int],
    hours: Hours,
    grids: Sequence[tuple[int, int, bytes]],
) -> int:
    """Write hours of series as part rows, with the grids (hour, name, times) that they use; returns the rows.

    rounds are those of their days.
    """
    parameters = {
        "site_id": site_id,
        "hours": [hour for hour, _, _ in grids],
        "grids": [name for _, name, _ in grids],
        "times": [times for _, _, times in grids],
    }
    await connection.execute(_SQL["keep_grids"], parameters)
    data, count = _part_rows(site_id, rounds, hours)
    async with connection.cursor().copy(_SQL["copy_parts"]) as copy:
        await copy.write(data)
    return count


async def settle(connection: AsyncConnection, position: Position, new: State) -> None:
    """Keep the state that goes with the position's next place."""
    await connection.execute(_SQL["settle"], {**_who(position), "through_ms": new.through_ms, "seen": new.seen})


def _part_rows(site_id: int, rounds: Mapping[int, int], hours: Hours) -> tuple[bytes, int]:
    slabs = hours.series // SLAB
    order = np.lexsort((hours.series, hours.hours, slabs))
    slabs, at, series = slabs[order], hours.hours[order], hours.series[order]
    # A series that stands twice in a step, because two sources tell of it, goes into a row of its own.
    new_row = np.append(True, (slabs[1:] != slabs[:-1]) | (at[1:] != at[:-1]) | (series[1:] == series[:-1]))
    begins = np.flatnonzero(new_row)
    bounds = [*begins.tolist(), len(order)]
    found = hours.aggregates.take(order)
    pieces = [hours.pieces[place] for place in order.tolist()]
    lengths = np.array([len(piece) for piece in pieces], np.int64)
    ends = np.cumsum(lengths)
    before = np.repeat((ends - lengths)[begins], np.diff(bounds))
    since = at * HOUR_MS
    data = copying.rows(
        copying.numbers(np.full(len(begins), site_id), "int8"),
        copying.numbers(slabs[begins], "int8"),
        copying.numbers(at[begins], "int4"),
        copying.numbers(np.array([rounds[day] for day in (at[begins] // _DAY).tolist()], np.int64), "int4"),
        copying.numbers(hours.intervals[order][begins], "int4"),
        copying.arrays(series, "int8", bounds),
        copying.arrays(hours.grids[order], "int8", bounds),
        copying.arrays(ends - before, "int4", bounds),
        copying.arrays(found.samples, "int4", bounds),
        copying.arrays(found.first_ms - since, "int4", bounds),
        copying.arrays(found.last_ms - since, "int4", bounds),
        *(copying.arrays(values, "float8", bounds) for values in (found.first, found.last)),
        *(copying.arrays(values, "float8", bounds) for values in (found.min, found.max, found.sum, found.increase)),
        copying.arrays(found.covered_ms, "int4", bounds),
        copying.arrays(found.resets, "int4", bounds),
        copying.arrays(found.start_ms, "int8", bounds),
        copying.jsonbs(_held([hours.held[place] for place in order.tolist()], bounds)),
        copying.byteas(b"".join(pieces[begin:end]) for begin, end in pairwise(bounds)),
    )
    return data, len(begins)


def _held(held: Sequence[dict[int, float] | None], bounds: Sequence[int]) -> list[str | None]:
    rows = [held[begin:end] for begin, end in pairwise(bounds)]
    return [json.dumps(row) if any(one is not None for one in row) else None for row in rows]


def _who(position: Position) -> dict[str, Any]:
    return {"site_id": position.site_id, "satellite_id": position.satellite_id}


def _rows(found: Sequence[tuple[Any, ...]]) -> list[Row]:
    return [Row(ordinal, received, LogKind(kind), *rest) for ordinal, received, kind, *rest in found]
