"""Partitions: which there are, how they are made ahead and on demand, and how they go.

The one promise: neither making nor dropping one keeps a writer waiting for longer than the lock timeout of 100 ms, and
after `ensure_…` what was asked for is there, however many processes ask at once.

Bounds are read from the catalogue, in hours since 1970-01-01 00:00 UTC: pieces of other spans, of an earlier release,
stay valid, and new ones fill what they leave open.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from psycopg import sql

from metaconsole.store.database import AsyncConnection, LockedError, transaction, translated
from metaconsole.store.sql import statements

AHEAD: Final = timedelta(hours=48)
TRIES: Final = 5  # to get a lock, in one call
PAUSE_SECONDS: Final = 0.5  # between two tries, for whoever waited meanwhile
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BOUNDS: Final = re.compile(r"FOR VALUES FROM \('?([^')]+)'?\) TO \('?([^')]+)'?\)")
_SQL: Final = statements("partitions")


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A partitioned table: the span of a new piece, and the unit of its key (0: instants), both in hours.

    What passes is written once, read soon, and goes within days.
    """

    name: str
    span: int
    unit: int
    passes: bool = False


LOG: Final = Partitioned("log", 1, 0, passes=True)
PART: Final = Partitioned("part", 24, 1, passes=True)
PART_GRID: Final = Partitioned("part_grid", 24, 1, passes=True)
CHUNK: Final = Partitioned("chunk", 7 * 24, 24)
CHUNK_GRID: Final = Partitioned("chunk_grid", 7 * 24, 24)
ROLLUP: Final = Partitioned("rollup", 28 * 24, 24)
BY_DAY: Final = (PART, PART_GRID, CHUNK, CHUNK_GRID, ROLLUP)
PARTITIONED: Final = {table.name: table for table in (LOG, *BY_DAY)}


@dataclass(frozen=True, slots=True)
class Partition:
    """A piece of a table: the hours from begin to before end."""

    table: Partitioned
    name: str
    begin: int
    end: int


def log_partitions(now: datetime, ahead: timedelta = AHEAD) -> list[Partition]:
    """Return the pieces of the log from the hour of now to that of now + ahead."""
    last = int((now + ahead - _EPOCH) / timedelta(hours=LOG.span))
    return [_piece(LOG, hour) for hour in range(int((now - _EPOCH) / timedelta(hours=1)), last + 1)]


def day_partitions(days: Iterable[int]) -> list[Partition]:
    """Return the pieces of every table by day that hold these days since 1970-01-01, each once."""
    return list(dict.fromkeys(_piece(table, day * 24) for table in BY_DAY for day in sorted(days)))


async def ensure_log_partitions(connection: AsyncConnection, now: datetime, ahead: timedelta = AHEAD) -> list[str]:
    """Make what is missing of the log from now on, and return the names; raises UnavailableError."""
    return await _ensure(connection, log_partitions(now, ahead))


async def ensure_day_partitions(connection: AsyncConnection, days: Iterable[int]) -> list[str]:
    """Make what is missing for samples of these days since 1970-01-01, and return the names; raises UnavailableError.

    Outside any transaction: what is made must be there for others, too.
    """
    return await _ensure(connection, day_partitions(days))


async def lack_day_partitions(connection: AsyncConnection, days: Iterable[int]) -> bool:
    """Tell whether a piece for samples of these days is missing; inside a transaction, which then knows what there is.

    PostgreSQL looks at what others have made when it locks a table that it had not locked: here the catalogue, each
    time anew.
    """
    async with translated(), connection.transaction(force_rollback=True):
        return bool(await _missing(connection, day_partitions(days)))


async def list_partitions(connection: AsyncConnection, *tables: Partitioned) -> list[Partition]:
    """Return the pieces of these tables, oldest first; raises UnavailableError."""
    async with transaction(connection):
        found = await _existing(connection, tables)
    return sorted(found, key=lambda piece: (piece.begin, piece.name))


async def drop(
    connection: AsyncConnection,
    pieces: Sequence[Partition],
    first: Callable[[AsyncConnection], Awaitable[bool]] | None = None,
) -> bool:
    """Drop pieces together, and tell whether they are gone; raises UnavailableError.

    `first` runs in the transaction of the drop, and may forbid it. False too when somebody used a piece through all
    tries: try again later.
    """
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        try:
            async with transaction(connection):
                await connection.execute(_SQL["lock_timeout"])
                if first is not None and not await first(connection):
                    return False
                names = sql.SQL(", ").join(sql.Identifier(piece.name) for piece in pieces)
                await connection.execute(sql.SQL(_SQL["drop"]).format(names=names))
        except LockedError:
            continue
        return True
    return False


async def _ensure(connection: AsyncConnection, wanted: Sequence[Partition]) -> list[str]:
    async with transaction(connection):
        missing = await _missing(connection, wanted)
    return [piece.name for piece in missing if await _make(connection, piece)]


async def _make(connection: AsyncConnection, piece: Partition) -> bool:
    """Make one piece in a transaction of its own, and tell whether nobody else did."""
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        try:
            async with transaction(connection):
                await connection.execute(_SQL["lock"])
                await connection.execute(_SQL["lock_timeout"])
                if not await _missing(connection, [piece]):
                    return False
                await _create(connection, piece)
        except LockedError:
            continue
        return True
    raise LockedError(f"{piece.name} was not made: {piece.table.name} stayed locked by others")


async def _missing(connection: AsyncConnection, wanted: Sequence[Partition]) -> list[Partition]:
    tables = tuple({piece.table.name: piece.table for piece in wanted}.values())
    existing = await _existing(connection, tables)
    return [piece for piece in wanted if not any(_overlap(piece, other) for other in existing)]


def _overlap(one: Partition, other: Partition) -> bool:
    return one.table == other.table and one.begin < other.end and other.begin < one.end


async def _create(connection: AsyncConnection, piece: Partition) -> None:
    # Names and bounds of a partition can't be parameters; these are made here, of nothing from outside.
    name, parent = sql.Identifier(piece.name), sql.Identifier(piece.table.name)
    begin, end = (sql.Literal(_key(piece.table, hour)) for hour in (piece.begin, piece.end))
    await connection.execute(sql.SQL(_SQL["create"]).format(name=name, parent=parent))
    if piece.table.passes:
        await connection.execute(sql.SQL(_SQL["leave_unvacuumed"]).format(name=name))
    await connection.execute(sql.SQL(_SQL["attach"]).format(name=name, parent=parent, begin=begin, end=end))


async def _existing(connection: AsyncConnection, tables: Iterable[Partitioned]) -> list[Partition]:
    cursor = await connection.execute(_SQL["existing"], {"parents": [table.name for table in tables]})
    found = []
    for parent, name, bounds in await cursor.fetchall():
        if (match := _BOUNDS.fullmatch(bounds or "")) is not None:
            table = PARTITIONED[parent]
            found.append(Partition(table, name, _hour(table, match[1]), _hour(table, match[2])))
    return found


def _piece(table: Partitioned, hour: int) -> Partition:
    begin = hour - hour % table.span
    moment = _EPOCH + timedelta(hours=begin)
    return Partition(
        table, f"{table.name}_{moment:{'%Y%m%d' if table.unit else '%Y%m%d%H'}}", begin, begin + table.span
    )


def _key(table: Partitioned, hour: int) -> int | str:
    return hour // table.unit if table.unit else (_EPOCH + timedelta(hours=hour)).isoformat()


def _hour(table: Partitioned, bound: str) -> int:
    if table.unit:
        return int(bound) * table.unit
    return int((datetime.fromisoformat(bound) - _EPOCH) / timedelta(hours=1))
