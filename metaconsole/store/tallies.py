"""Counting the log: which sequences of an epoch are stored, with how many samples, and which were declared as lost.

The one promise: each row is counted once, in the transaction that moves the reader's position behind it.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from metaconsole.store.database import AsyncConnection, transaction
from metaconsole.store.frames import LogKind
from metaconsole.store.positions import Entry
from metaconsole.store.sql import statements
from shared.tallies import BLOCK

DAYS: Final = 100  # after its last row a tally goes; satellites tell what they produced for 35 days
QUOTA: Final = "refused: quota"  # as log.lost has it of whole frames
LOOKS_BACK: Final = timedelta(hours=3)  # for the row of a frame that comes again: the log has hardly more
_SQL: Final = statements("reconciliation")


async def count(connection: AsyncConnection, entries: Sequence[Entry]) -> None:
    """Count rows of one satellite that follow each other; inside the transaction that moves the position."""
    received = [entry.received_at for entry in entries]  # a clock may have stepped: not in the order of the rows
    parameters: dict[str, Any] = {
        "site_id": entries[0].site_id,
        "satellite_id": entries[0].satellite_id,
        "after": entries[0].ordinal - 1,
        "through": entries[-1].ordinal,
        "received_from": min(received),
        "received_to": max(received),
        "before_from": min(received) - LOOKS_BACK,
        "block": BLOCK,
        "quota": QUOTA,
    }
    await connection.execute(_SQL["count"], parameters)
    if any(entry.kind is LogKind.GAPS for entry in entries):
        await connection.execute(_SQL["give_up"], parameters)


async def forget(connection: AsyncConnection) -> None:
    """Delete what was counted too long ago; raises UnavailableError."""
    async with transaction(connection):
        await connection.execute(_SQL["forget"], {"days": DAYS})
