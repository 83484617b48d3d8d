"""How many series and resources a site may have, how many it has, and what is refused because it has them all.

The one promise: the counts of a site change in the transaction that inserts or deletes its rows, under the site's
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
RESOURCES: Final = 500_000
MOST: Final = 1_000_000_000  # that somebody may set
REFUSED: Final = -1  # the global id of a definition that is refused for a quota
_SQL: Final = statements("quota")


@dataclass(frozen=True, slots=True)
class Excess:
    """Definitions of one message that were refused because the site has its series, or its resources."""

    definitions: int
    quota: int
    source: str
    kind: str
    metric: str
    label: str
    values: int
    for_resources: int = 0  # of the definitions: those of new resources, for which there is no room
    resource_quota: int = RESOURCES

    def __str__(self) -> str:
        label = f"the attribute {self.label!r}" if self.label else "the key of the resource"
        full = [f"{self.quota} series"] if self.definitions > self.for_resources else []
        full += [f"{self.resource_quota} resources"] if self.for_resources else []
        return (
            f"{self.definitions} series are refused, because the site has the {' and the '.join(full)} that it may "
            f"have; most are of source {self.source!r}, kind {self.kind}, metric {self.metric}: {label} has "
            f"{self.values} new values"
        )


@dataclass(frozen=True, slots=True)
class Room:
    """How many of something a site may have, and has."""

    quota: int
    used: int

    @property
    def left(self) -> int:
        """How many more it may have."""
        return max(0, self.quota - self.used)


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a site may have, and has."""

    series: Room
    resources: Room

    @classmethod
    def of(cls, row: Sequence[int] | None) -> "Rooms":
        """Return what a row of the statements named rooms says; None is a site that has nothing yet."""
        quota, series, resource_quota, resources = row or (SERIES, 0, RESOURCES, 0)
        return cls(Room(quota, series), Room(resource_quota, resources))


async def rooms(connection: AsyncConnection, site_id: int) -> Rooms:
    """Return how much room a site has; inside a transaction that holds the site's lock."""
    return Rooms.of(await (await connection.execute(_SQL["rooms"], {"site_id": site_id})).fetchone())


async def count(connection: AsyncConnection, site_id: int, *, series: int = 0, resources: int = 0) -> None:
    """Count what was inserted, or deleted (negative), in the transaction that did it."""
    if series or resources:
        await connection.execute(_SQL["count"], {"site_id": site_id, "series": series, "resources": resources})


async def have_room(connection: AsyncConnection) -> set[tuple[int, UUID]]:
    """Return the satellites, by site, that lack what there is room for now; raises UnavailableError."""
    async with transaction(connection):
        rows = await (await connection.execute(_SQL["have_room"])).fetchall()
    return {(site_id, satellite_id) for site_id, satellite_id in rows}


async def note_refused(
    connection: AsyncConnection,
    site_id: int,
    satellite_id: UUID,
    epoch: UUID,
    refused: Sequence[Definition],
    for_resources: int,
    found: Rooms,
) -> Excess:
    """Note which definitions of an epoch were refused, in the transaction that does."""
    most = churn(refused)
    parameters: dict[str, Any] = {
        "site_id": site_id,
        "satellite_id": satellite_id,
        "epoch": epoch,
        "definitions": len(refused),
        "for_resources": for_resources,
        "source": most.source,
        "kind": most.kind,
        "metric_id": most.metric_id,
        "label": most.label,
        "label_values": most.values,
    }
    row = await (await connection.execute(_SQL["note_refused"], parameters)).fetchone()
    assert row is not None
    quotas = (found.series.quota, found.resources.quota)
    most_are = (most.source, most.kind, row[0], most.label, most.values)
    return Excess(len(refused), quotas[0], *most_are, for_resources, quotas[1])
