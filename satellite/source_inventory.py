"""The inventory of a source: asked for once a minute while it is open, sooner after events, and spooled as it changes.

The one promise: changes that found no room on the disk are made up for by the whole inventory.
"""

import asyncio
import math
from collections.abc import Iterable
from typing import Final

from satellite.clock import Clock
from satellite.collector import Collector, SourceError
from satellite.inventory import InventoryTracker
from satellite.source_clock import SourceClock
from satellite.source_output import SourceOutput
from satellite.threads import within
from shared.model import Inventory
from shared.pb import inventory_pb2, uplink_pb2

_EVERY: Final = 60.0
_AFTER_EVENT: Final = 0.5  # seconds from an event to the inventory that it changed


class SourceInventory:
    """Asks one source for what exists, and for its clock by the way."""

    def __init__(self, collector: Collector, output: SourceOutput, clock: Clock, source_clock: SourceClock) -> None:
        self.due = math.inf  # monotonic seconds; not before the source is open
        self.full_wanted = False
        self._collector, self._output, self._clock, self._source_clock = collector, output, clock, source_clock
        self._tracker = InventoryTracker(output.source)
        self._ordered = asyncio.Lock()  # what discover finds and what the source tells by itself, one after the other

    def begin(self) -> None:
        """Ask at once: the source was opened."""
        self.due = self._clock.monotonic()

    def end(self) -> None:
        """Ask no more: the source is closed."""
        self.due = math.inf

    def hasten(self) -> None:
        """Ask soon: something happened at the source."""
        if math.isfinite(self.due):
            self.due = min(self.due, self._clock.monotonic() + _AFTER_EVENT)

    async def discover(self, seconds: float) -> bool:
        """Ask within so many seconds and spool what changed; return whether the source answered."""
        self.due = self._clock.monotonic() + _EVERY
        try:
            async with within(seconds):
                inventory = await self._collector.discover()
            # At once: what the source tells by itself meanwhile is newer, and must not come before it.
            await self.take(inventory)
            async with within(seconds):
                await self._source_clock.measure(self._collector)
        except Exception as error:  # noqa: BLE001 - whatever a collector does, it does to its own source only
            self._output.tell(
                f"its inventory could not be read: {type(error).__name__}: {error}",
                None if isinstance(error, SourceError | TimeoutError) else error,
            )
            return False
        return True

    async def take(self, inventory: Inventory) -> None:
        """Spool what changed in an inventory since the last one."""
        async with self._ordered:
            await self._put(self._tracker.update(inventory, self._clock.now_ms()))

    async def send_full(self) -> None:
        """Spool everything that was last seen once more."""
        self.full_wanted = False
        async with self._ordered:
            await self._put(self._tracker.full())

    async def _put(self, deltas: Iterable[inventory_pb2.InventoryDelta]) -> None:
        told = False
        try:
            for delta in deltas:
                frame = uplink_pb2.Frame(inventory=delta)
                del delta  # it may be large, and was copied
                if not await self._output.put(frame):
                    return
                del frame  # before the next one is made
            told = True
        finally:  # cancelled or out of room: what was not told is not told by later changes
            self.full_wanted |= not told
