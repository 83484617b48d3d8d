"""The log's partitions: pieces of 6 h by receipt, made ahead.

The one promise: after `ensure_log_partitions` every instant from now to 48 h ahead has its partition, whatever the
day, and however many processes ask at once.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from psycopg import sql

from metaconsole.store.database import AsyncConnection, transaction
from metaconsole.store.sql import statements

SPAN: Final = timedelta(hours=6)
AHEAD: Final = timedelta(hours=48)
_SQL: Final = statements("partitions")


def partitions_wanted(now: datetime) -> list[tuple[str, datetime, datetime]]:
    """Return name, begin and end of the partitions from the one that holds now to 48 h ahead, in UTC."""
    now = now.astimezone(UTC)
    begin = now.replace(hour=now.hour - now.hour % 6, minute=0, second=0, microsecond=0)
    wanted = []
    while begin <= now + AHEAD:
        wanted.append((f"log_{begin:%Y%m%d%H}", begin, begin + SPAN))
        begin += SPAN
    return wanted


async def ensure_log_partitions(connection: AsyncConnection, now: datetime) -> list[str]:
    """Create what is missing and return its names; raises UnavailableError."""
    async with transaction(connection):
        await connection.execute(_SQL["lock"])
        rows = await (await connection.execute(_SQL["existing"])).fetchall()
        existing = {row[0] for row in rows}
        missing = [wanted for wanted in partitions_wanted(now) if wanted[0] not in existing]
        for name, begin, end in missing:
            # Names and bounds of a partition can't be parameters; these are made above, of nothing from outside.
            statement = sql.SQL(_SQL["create"]).format(
                name=sql.Identifier(name), begin=sql.Literal(begin.isoformat()), end=sql.Literal(end.isoformat())
            )
            await connection.execute(statement)
    return [name for name, _, _ in missing]
