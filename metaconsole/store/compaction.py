"""What the compactor reads and writes: rows of the log by their directories, and parts.

The one promise: everything here runs inside the caller's transaction, so that a step is whole or has not been.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np

from metaconsole.store import copying
from metaconsole.store.aggregates import Aggregates
from metaconsole.store.database import AsyncConnection
from metaconsole.store.frames import LogKind
from metaconsole.store.pieces import HOUR_MS, SLAB
from metaconsole.store.positions import Position, hole
from metaconsole.store.sql import statements
from shared.columns import I64

READER: Final = "compactor"
_DAY: Final = 24  # hours
BYTES: Final = 16 * 1024 * 1024  # of blocks, fetched at once
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


@dataclass(frozen=True, slots=True)
class Stored:
    """Where blocks of a row are: data[0] is what stands at `begin` of its payload."""

    data: bytes
    begin: int


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
    return _rows(await (await connection.cursor(binary=True).execute(_SQL["new_rows"], parameters)).fetchall())


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
    return _rows(await (await connection.cursor(binary=True).execute(_SQL["held_rows"], parameters)).fetchall())


async def blocks(
    connection: AsyncConnection, position: Position, rows: Sequence[Row], spans: Sequence[tuple[int, int]]
) -> list[Stored]:
    """Return of each row the bytes of its payload from the first to the second of its span."""
    found: list[Stored] = []
    for begin, end in pairwise([0, *_full([end - begin for begin, end in spans]), len(rows)]):
        found += await _blocks(connection, position, rows[begin:end], spans[begin:end])
    return found


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


def _full(sizes: Sequence[int]) -> list[int]:
    """Return where to cut so that what lies between is not much more than BYTES."""
    spans = np.cumsum(sizes) // BYTES
    return (np.flatnonzero(np.diff(spans)) + 1).tolist()


async def _blocks(
    connection: AsyncConnection, position: Position, rows: Sequence[Row], spans: Sequence[tuple[int, int]]
) -> list[Stored]:
    sizes = [end - begin for begin, end in spans]
    parameters = {
        **_who(position),
        "ordinals": [row.ordinal for row in rows],
        "begins": [begin for begin, _ in spans],
        "sizes": sizes,
        "first": min(row.ordinal for row in rows),
        "last": max(row.ordinal for row in rows),
        "received_from": min(row.received_at for row in rows),
        "received_to": max(row.received_at for row in rows),
    }
    cursor = connection.cursor(binary=True)
    row = await (await cursor.execute(_SQL["blocks"], parameters)).fetchone()
    assert row is not None  # an aggregate
    data: bytes = row[0] or b""
    if len(data) != sum(sizes):
        raise hole(position, rows[0].ordinal)
    ends = [0, *accumulate(sizes)]
    return [Stored(data, begin - at) for at, (begin, _) in zip(ends, spans, strict=False)]


def _part_rows(site_id: int, rounds: Mapping[int, int], hours: Hours) -> tuple[bytes, int]:
    slabs = hours.series // SLAB
    order = np.lexsort((hours.series, hours.hours, slabs))
    slabs, at, series = slabs[order], hours.hours[order], hours.series[order]
    # A series that stands twice in a step, because two sources tell of it, goes into a row of its own.
    new_row = np.append(True, (slabs[1:] != slabs[:-1]) | (at[1:] != at[:-1]) | (series[1:] == series[:-1]))
    begins = np.flatnonzero(new_row)
    bounds = [*begins.tolist(), len(order)]
    counts = np.diff(bounds)
    pieces = [hours.pieces[place] for place in order.tolist()]
    lengths = np.array([len(piece) for piece in pieces], np.int64)
    ends = np.cumsum(lengths)
    ends -= np.repeat((ends - lengths)[begins], counts)
    found = hours.aggregates.take(order)
    fixed: list[bytes] = [b""] * len(begins)
    for count in np.unique(counts).tolist():  # rows of as many series are as long up to here
        alike = np.flatnonzero(counts == count)
        first = begins[alike]
        every = first[:, None] + np.arange(count)
        since = at[every] * HOUR_MS
        records = copying.records(
            (np.full(len(first), site_id), "int8"),
            (slabs[first], "int8"),
            (at[first], "int4"),
            (np.array([rounds[day] for day in (at[first] // _DAY).tolist()], np.int64), "int4"),
            (hours.intervals[order[first]], "int4"),
            (series[every], "int8"),
            (hours.grids[order[every]], "int8"),
            (ends[every], "int4"),
            (found.samples[every], "int4"),
            (found.first_ms[every] - since, "int4"),
            (found.last_ms[every] - since, "int4"),
            *((values[every], "float8") for values in (found.first, found.last, found.min, found.max, found.sum)),
            (found.increase[every], "float8"),
            (found.covered_ms[every], "int4"),
            (found.resets[every], "int4"),
            (found.start_ms[every], "int8"),
        )
        for place, record in zip(alike.tolist(), records, strict=True):
            fixed[place] = record
    held = copying.jsonbs(_held([hours.held[place] for place in order.tolist()], bounds))
    contents = copying.byteas(b"".join(pieces[begin:end]) for begin, end in pairwise(bounds))
    return copying.rows(22, fixed, held, contents), len(begins)


def _held(held: Sequence[dict[int, float] | None], bounds: Sequence[int]) -> list[str | None]:
    rows = [held[begin:end] for begin, end in pairwise(bounds)]
    return [json.dumps(row) if any(one is not None for one in row) else None for row in rows]


def _who(position: Position) -> dict[str, Any]:
    return {"site_id": position.site_id, "satellite_id": position.satellite_id}


def _rows(found: Sequence[tuple[Any, ...]]) -> list[Row]:
    return [Row(ordinal, received, LogKind(kind), *rest) for ordinal, received, kind, *rest in found]
