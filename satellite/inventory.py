"""What exists at a source, sent once in full and then as changes.

The one promise: a delta builds on the revision before it, and a full one, or each part of it, stands for itself.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from satellite.inventory_cut import ROOM, Item, Room, changed, changes, everything, related, removed, unrelated
from shared.inventory_parts import is_part
from shared.model import Inventory, Relation, Resource, ResourceKey
from shared.pb import inventory_pb2 as pb

_FULL_EVERY_MS: Final = 24 * 3600 * 1000


class InventoryTracker:
    """The last inventory of a source and the revision it was sent as."""

    def __init__(self, source: str, room: Room = ROOM) -> None:
        self._source = source
        self._room = room  # of one message
        self._revision = 0
        self._resources: dict[ResourceKey, Resource] = {}
        self._relations: frozenset[Relation] = frozenset()
        self._observed_ms = 0
        self._full_ms = 0  # when the last full one was begun

    def update(self, inventory: Inventory, observed_ms: int) -> Iterator[pb.InventoryDelta]:
        """Return what changed since the last time, cut to fit; everything the first time and after a day.

        The state is the new one from now on; messages are made as they are asked for, and are to be asked for before
        the next update. Whoever stops before the last one has to ask for everything.
        """
        before, relations_before = self._resources, self._relations
        self._resources = {item.key: item for item in inventory.resources}
        self._relations, self._observed_ms = frozenset(inventory.relations), observed_ms
        if not self._revision or observed_ms - self._full_ms >= _FULL_EVERY_MS:
            return self.full()
        items = self._changes(before, self._resources, relations_before, self._relations)
        return self._numbered(changes(self._source, items, self._room))

    def full(self) -> Iterator[pb.InventoryDelta]:
        """Return everything as it was last seen, cut to fit; nothing before the first sight."""
        if not self._observed_ms:
            return iter(())
        self._full_ms = self._observed_ms
        return self._numbered(everything(self._source, self._resources.values(), self._relations, self._room))

    def _changes(
        self,
        before: dict[ResourceKey, Resource],
        after: dict[ResourceKey, Resource],
        relations_before: frozenset[Relation],
        relations: frozenset[Relation],
    ) -> Iterator[Item]:
        return chain(
            (changed(item) for key, item in after.items() if before.get(key) != item),
            (removed(key) for key in before.keys() - after.keys()),
            (related(self._source, edge) for edge in relations - relations_before),
            (unrelated(self._source, edge) for edge in relations_before - relations),
        )

    def _numbered(self, deltas: Iterable[pb.InventoryDelta]) -> Iterator[pb.InventoryDelta]:
        for delta in deltas:
            delta.base_revision = 0 if delta.full or is_part(delta) else self._revision
            self._revision += 1
            delta.revision = self._revision
            delta.observed_ms = self._observed_ms
            yield delta
            del delta  # it may be large, and the next one is made meanwhile
