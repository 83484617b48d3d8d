"""How many series a site may have in the dictionary, how many it has, and what is refused because it has them all.

The one promise: the count of a site changes in the transaction that inserts or deletes its series, under the site's
lock; nobody ever counts rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from metaconsole.store.database import AsyncConnection, transaction
from metaconsole.store.definitions import Definition, churn
from metaconsole.store.sql import statements

SERIES: Final = 2_000_000  # of a site, until somebody sets another number
MOST_SERIES: Final = 1_000_000_000  # that somebody may set
REFUSED: Final = -1  # the global id of a definition that is refused for the quota
_SQL: Final = statements("quota")


@dataclass(frozen=True, slots=True)
class Excess:
    """Definitions of one message that were refused because the site has its series."""

    definitions: int
    quota: int
    source: str
    kind: str
    metric: str
    label: str
    values: int

    def __str__(self) -> str:
        label = f"the attribute {self.label!r}" if self.label else "the key of the resource"
        return (
            f"{self.definitions} series are refused, because the site has the {self.quota} that it may have; most are "
            f"of source {self.source!r}, kind {self.kind}, metric {self.metric}: {label} has {self.values} new values"
        )


@dataclass(frozen=True, slots=True)
class Room:
    """How many series a site may have, and has."""

    quota: int
    series: int

    @property
    def left(self) -> int:
        """How many more it may have."""
        return max(0, self.quota - self.series)


async def room(connection: AsyncConnection, site_id: int) -> Room:
    """Return how much room a site has; inside a transaction that holds the site's lock."""
    row = await (await connection.execute(_SQL["room"], {"site_id": site_id})).fetchone()
    return Room(*row) if row else Room(SERIES, 0)


async def count(connection: AsyncConnection, site_id: int, added: int) -> None:
    """Count series that were inserted, or deleted (negative), in the transaction that did it."""
    if added:
        await connection.execute(_SQL["count"], {"site_id": site_id, "series": added})


async def sites_with_room(connection: AsyncConnection, sites: Sequence[int]) -> set[int]:
    """Return which of the sites have room for a series; raises UnavailableError."""
    async with transaction(connection):
        rows = await (await connection.execute(_SQL["sites_with_room"], {"sites": list(sites)})).fetchall()
    return {site_id for (site_id,) in rows}


async def note_refused(
    connection: AsyncConnection,
    site_id: int,
    satellite_id: UUID,
    epoch: UUID,
    refused: Sequence[Definition],
    quota: int,
) -> Excess:
    """Note which definitions of an epoch were refused, in the transaction that does."""
    most = churn(refused)
    parameters: dict[str, Any] = {
        "site_id": site_id,
        "satellite_id": satellite_id,
        "epoch": epoch,
        "definitions": len(refused),
        "source": most.source,
        "kind": most.kind,
        "metric_id": most.metric_id,
        "label": most.label,
        "label_values": most.values,
    }
    row = await (await connection.execute(_SQL["note_refused"], parameters)).fetchone()
    assert row is not None
    return Excess(len(refused), quota, most.source, most.kind, row[0], most.label, most.values)
