"""What leaves the database: the log once it was read, parts once they were merged.

The one promise: nothing goes that somebody still has to read or to compact, and dropping holds no writer up.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from psycopg import sql

from metaconsole.store.database import AsyncConnection, transaction
from metaconsole.store.partitions import LOG, PART, PART_GRID, Partition, drop, list_partitions
from metaconsole.store.sql import statements

READERS: Final = ("compactor", "facts")  # without their positions nothing leaves the log
LOG_STAYS: Final = timedelta(hours=2)  # after its last receipt; the live view is rebuilt from the newest 15 minutes
PATIENCE: Final = timedelta(days=7)  # with other readers, such as the live view's of a machine that may be gone
PARTS_STAY: Final = timedelta(days=2)  # after the end of their day
_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SQL: Final = statements("retention")
_log = logging.getLogger(__name__)


async def drop_read_log(connection: AsyncConnection, now: datetime) -> list[str]:
    """Drop the pieces of the log that every reader has passed, and return their names; raises UnavailableError."""
    dropped = []
    for piece in await list_partitions(connection, LOG):
        ended = now - _end(piece)
        if ended < LOG_STAYS or await _holds_unread(connection, piece, patient=ended < PATIENCE):
            continue
        if await drop(connection, [piece]):
            dropped.append(piece.name)
        else:
            _log.warning("%s stays for now: it is in use", piece.name)
    if dropped:
        async with transaction(connection):
            await connection.execute(_SQL["forget_readers"], {"readers": list(READERS), "before": now - PATIENCE})
    return dropped


async def drop_merged_parts(connection: AsyncConnection, now: datetime) -> list[str]:
    """Drop the pieces of old days whose parts were all merged, and return their names; raises UnavailableError."""
    pieces = await list_partitions(connection, PART, PART_GRID)
    grids = {(piece.begin, piece.end): piece for piece in pieces if piece.table is PART_GRID}
    dropped = []
    for piece in pieces:
        if piece.table is not PART or now - _end(piece) < PARTS_STAY:
            continue
        together = [piece, *filter(None, (grids.get((piece.begin, piece.end)),))]
        if await drop(connection, together, emptied=piece):
            dropped += [one.name for one in together]
    return dropped


async def _holds_unread(connection: AsyncConnection, piece: Partition, *, patient: bool) -> bool:
    statement = sql.SQL(_SQL["holds_unread"]).format(piece=sql.Identifier(piece.name))
    async with transaction(connection):
        cursor = await connection.execute(statement, {"readers": list(READERS), "patient": patient})
        row = await cursor.fetchone()
    return row is None or bool(row[0])


def _end(piece: Partition) -> datetime:
    return _EPOCH + piece.end * _HOUR
