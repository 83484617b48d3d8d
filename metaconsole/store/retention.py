"""What leaves the database by whole pieces of tables: the log once read, parts once merged, and what is too old.

The one promise: nothing goes that somebody still has to read, to compact or to merge, unless the rule for the log says
that it is too old; then it is a gap, and the readers go on behind it. Dropping holds no writer up.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg import sql

from metaconsole.store import compaction
from metaconsole.store.database import AsyncConnection, transaction
from metaconsole.store.partitions import (
    CHUNK,
    CHUNK_GRID,
    LOG,
    PART,
    PART_GRID,
    ROLLUP,
    Partition,
    Partitioned,
    drop,
    list_partitions,
)
from metaconsole.store.retention_rules import Rule, Rules, Tier
from metaconsole.store.sql import statements
from shared.failpoints import failpoint

READERS: Final = (compaction.READER, "facts")  # without their positions nothing leaves the log
LOG_STAYS: Final = timedelta(minutes=20)  # after its last receipt; the live view is rebuilt from the newest 15 minutes
PATIENCE: Final = timedelta(days=7)  # with other readers, such as the live view's of a machine that may be gone
# After their day is over and they were merged: a question that began before, and has not come to the parts yet, finds
# them here and their chunks not yet.
PARTS_STAY: Final = timedelta(minutes=10)
_LOST: Final = "It was as old as the retention of the log allows, and no reader had read it."
# The pieces that go together, and the tier whose rules they follow. Grids go with what they are the times of.
_TIERS: Final[tuple[tuple[Partitioned, Partitioned | None, Tier], ...]] = (
    (PART, PART_GRID, "raw"),
    (CHUNK, CHUNK_GRID, "raw"),
    (ROLLUP, None, "rollup"),
)
_DAY: Final = 24  # hours
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SQL: Final = statements("retention")
_log = logging.getLogger(__name__)


async def take_turn(connection: AsyncConnection) -> bool:
    """Tell whether this connection is the one that keeps the storage; it is until it ends. Raises UnavailableError."""
    async with transaction(connection):
        row = await (await connection.execute(_SQL["turn"])).fetchone()
    return row is not None and bool(row[0])


async def load_rules(connection: AsyncConnection) -> Rules:
    """Return the rules as they are now; raises UnavailableError."""
    async with transaction(connection):
        rows = await (await connection.execute(_SQL["rules"])).fetchall()
    return Rules([Rule(*row) for row in rows])


async def drop_read_log(connection: AsyncConnection, now: datetime, days: int) -> list[str]:
    """Drop the pieces of the log that every reader has passed, or that are older than the days; return their names.

    Raises UnavailableError.
    """
    dropped = []
    for piece in await list_partitions(connection, LOG):
        ended = now - _end(piece)
        if ended < LOG_STAYS:
            continue
        unread = await _holds_unread(connection, piece, patient=ended < PATIENCE)
        if unread and ended < timedelta(days=days):
            continue
        if unread:
            _log.error("%s is dropped unread: it is older than the %s days that the log may be", piece.name, days)
        if await _drop(connection, [piece], lost=unread):
            dropped.append(piece.name)
        elif unread:
            break  # the next piece must not let the readers pass this one's rows
    if dropped:
        async with transaction(connection):
            await connection.execute(_SQL["forget_readers"], {"readers": list(READERS), "before": now - PATIENCE})
    return dropped


async def drop_merged_parts(connection: AsyncConnection, now: datetime) -> list[str]:
    """Drop the pieces of days that are over and merged at every site; return their names. Raises UnavailableError."""
    dropped = []
    for piece, *grids in await _together(connection, PART, PART_GRID):
        if now - _end(piece) < PARTS_STAY:
            continue

        async def merged(connection: AsyncConnection, piece: Partition = piece) -> bool:
            days = {"begin": piece.begin // _DAY, "end": piece.end // _DAY, "before": now - PARTS_STAY}
            if await _needs_parts(connection, days):
                return False
            await connection.execute(_SQL["hold_days"])
            if await _needs_parts(connection, days):  # again: parts may have been written before the lock
                return False
            await connection.execute(_SQL["forget_days"], days)
            failpoint("retention.drop.before")
            return True

        if await drop(connection, [piece, *grids], merged):
            failpoint("retention.drop.after")
            dropped += [one.name for one in (piece, *grids)]
    return dropped


async def drop_expired(connection: AsyncConnection, now: datetime, rules: Rules) -> list[str]:
    """Drop the pieces of parts, chunks and rollups that no rule wants any more; raises UnavailableError."""
    dropped = []
    for table, grid, tier in _TIERS:
        days = rules.longest(tier)
        for pieces in await _together(connection, table, grid):
            if now - _end(pieces[0]) >= timedelta(days=days) and await _drop(connection, pieces):
                dropped += [piece.name for piece in pieces]
    oldest = (now - _EPOCH).days - rules.longest("raw")
    async with transaction(connection):
        await connection.execute(_SQL["forget_days"], {"begin": 0, "end": oldest})
    return dropped


async def _together(connection: AsyncConnection, table: Partitioned, grid: Partitioned | None) -> list[list[Partition]]:
    """Return the pieces of a table, oldest first, each with the piece of its grids if there is one."""
    pieces = await list_partitions(connection, *filter(None, (table, grid)))
    grids = {(piece.begin, piece.end): piece for piece in pieces if piece.table is grid}
    return [[piece, *filter(None, (grids.get((piece.begin, piece.end)),))] for piece in pieces if piece.table is table]


async def _drop(connection: AsyncConnection, pieces: list[Partition], *, lost: bool = False) -> bool:
    async def pass_lost(connection: AsyncConnection) -> bool:
        if lost:
            for name in ("note_lost", "pass_lost", "see_lost"):  # the first one reads what the second one changes
                statement = sql.SQL(_SQL[name]).format(piece=sql.Identifier(pieces[0].name))
                await connection.execute(statement, {"readers": list(READERS), "detail": _LOST})
        return True

    if await drop(connection, pieces, pass_lost):
        return True
    _log.warning("%s stays for now: it is in use", pieces[0].name)
    return False


async def _needs_parts(connection: AsyncConnection, days: dict[str, Any]) -> bool:
    row = await (await connection.execute(_SQL["needs_parts"], days)).fetchone()
    return row is None or bool(row[0])


async def _holds_unread(connection: AsyncConnection, piece: Partition, *, patient: bool) -> bool:
    statement = sql.SQL(_SQL["holds_unread"]).format(piece=sql.Identifier(piece.name))
    async with transaction(connection):
        cursor = await connection.execute(statement, {"readers": list(READERS), "patient": patient})
        row = await cursor.fetchone()
    return row is None or bool(row[0])


def _end(piece: Partition) -> datetime:
    return _EPOCH + timedelta(hours=piece.end)
