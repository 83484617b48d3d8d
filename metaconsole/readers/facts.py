"""The reader that turns what satellites tell into rows: inventory, events and gaps. It counts all rows as well.

The one promise: what it leaves out because a site has all its resources is counted, and told once a minute.
"""

import logging
from collections.abc import Sequence
from typing import Final

from metaconsole.readers.base import Follower
from metaconsole.seldom import Seldom
from metaconsole.store.database import AsyncConnection
from metaconsole.store.facts import insert_events, insert_gaps
from metaconsole.store.frames import LogKind
from metaconsole.store.inventory import apply_inventory
from metaconsole.store.left_out import LeftOut, begin_anew, note
from metaconsole.store.positions import Entry
from metaconsole.store.tallies import count
from shared.inventory_parts import begins_whole
from shared.pb import events_pb2, inventory_pb2, telemetry_pb2

_log: Final = logging.getLogger(__name__)


class FactsReader(Follower):
    """Its output is in the database, in the transaction of its position."""

    name = "facts"
    kinds = frozenset({LogKind.INVENTORY, LogKind.EVENTS, LogKind.GAPS})

    def __init__(self) -> None:
        self._seldom = Seldom()

    async def passed(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:
        """Count every row."""
        await count(connection, entries)

    async def process(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:
        """Write the facts of each row."""
        for entry in entries:
            if left_out := await _write(connection, entry):
                names = await note(connection, entry.site_id, entry.satellite_id, left_out)
                self._tell(left_out, *names)

    def _tell(self, left_out: LeftOut, satellite: str, site: str, quota: int) -> None:
        ((source, kind), resources), *_ = left_out.most_common(1)
        name = f"satellite {satellite} of site {site}"
        since = self._seldom.since(name, left_out.total())
        if since is not None:
            _log.error(
                "%s: what it tells of %s resources is left out, because they are new and the site has the %s that it "
                "may have; most are of source %r and kind %s (%s); %s since this was last told. See what invents names "
                "there, or raise it: nephoscope site series %s --resources N",
                name, left_out.total(), quota, source, kind, resources, since, site,
                extra={"event": "resources.left_out"},
            )  # fmt: skip


async def _write(connection: AsyncConnection, entry: Entry) -> LeftOut:
    """Write one row's facts and return what of them is left out."""
    if entry.kind is LogKind.INVENTORY:
        delta = inventory_pb2.InventoryDelta.FromString(entry.payload)
        if begins_whole(delta):
            await begin_anew(connection, entry.site_id, entry.satellite_id, delta.source)
        return await apply_inventory(connection, entry.site_id, delta)
    if entry.kind is LogKind.EVENTS:
        events = events_pb2.EventList.FromString(entry.payload).events
        return await insert_events(connection, entry.site_id, events)
    gaps = telemetry_pb2.GapList.FromString(entry.payload).gaps
    return await insert_gaps(connection, entry.site_id, entry.satellite_id, gaps)
