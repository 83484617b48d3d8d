"""The reader that turns what satellites tell into rows: inventory, events and gaps. It counts all rows as well."""

from collections.abc import Sequence

from metaconsole.readers.base import Follower
from metaconsole.store.database import AsyncConnection
from metaconsole.store.facts import insert_events, insert_gaps
from metaconsole.store.frames import LogKind
from metaconsole.store.inventory import apply_inventory
from metaconsole.store.positions import Entry
from metaconsole.store.tallies import count
from shared.pb import events_pb2, inventory_pb2, telemetry_pb2


class FactsReader(Follower):
    """Its output is in the database, in the transaction of its position."""

    name = "facts"
    kinds = frozenset({LogKind.INVENTORY, LogKind.EVENTS, LogKind.GAPS})

    async def passed(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:
        """Count every row."""
        await count(connection, entries)

    async def process(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:
        """Write the facts of each row."""
        for entry in entries:
            if entry.kind is LogKind.INVENTORY:
                delta = inventory_pb2.InventoryDelta.FromString(entry.payload)
                await apply_inventory(connection, entry.site_id, delta)
            elif entry.kind is LogKind.EVENTS:
                events = events_pb2.EventList.FromString(entry.payload).events
                await insert_events(connection, entry.site_id, events)
            else:
                gaps = telemetry_pb2.GapList.FromString(entry.payload).gaps
                await insert_gaps(connection, entry.site_id, entry.satellite_id, gaps)
