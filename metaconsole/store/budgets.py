"""What the gateways read of the sites' settings: the budget of backfill."""

from dataclasses import dataclass
from typing import Final

from metaconsole.store.database import AsyncConnection
from metaconsole.store.sql import statements

_SQL: Final = statements("budgets")


@dataclass(frozen=True, slots=True)
class Budget:
    """How fast (kbit/s, 0: no limit) and when (minutes of the UTC day, the same: all day) a site may backfill."""

    kbit: int = 0
    from_minute: int = 0
    to_minute: int = 0


async def load_budgets(connection: AsyncConnection) -> dict[int, Budget]:
    """Return the budgets of the sites that have one; raises UnavailableError."""
    rows = await (await connection.execute(_SQL["load"])).fetchall()
    return {site_id: Budget(*values) for site_id, *values in rows}
