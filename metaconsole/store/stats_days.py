"""What each tier takes on disk, noted day by day for the disk forecast."""

from typing import Final

from metaconsole.store.database import AsyncConnection, transaction
from metaconsole.store.sql import statements
from metaconsole.store.stats_tiers import TIERS

DAYS: Final = 400  # that are kept
_SQL: Final = statements("stats")


async def note_sizes(connection: AsyncConnection, day: int) -> None:
    """Note the sizes as those of a day since 1970-01-01; raises UnavailableError."""
    pairs = [(table, tier) for tier, tables in TIERS.items() for table in tables]
    parameters = {"day": day, "tables": [table for table, _ in pairs], "tiers": [tier for _, tier in pairs]}
    async with transaction(connection):
        await connection.execute(_SQL["note_sizes"], parameters)
        await connection.execute(_SQL["forget_sizes"], {"day": day - DAYS})
