"""What exists at a source, sent once in full and then as changes.

The one promise: a delta builds on the revision before it, and a full one stands for itself.
"""

import logging
from collections.abc import Iterator
from typing import Final

from satellite import encoding
from shared.batches import MESSAGE_BYTES
from shared.model import Inventory, Relation, Resource, ResourceKey
from shared.pb import inventory_pb2 as pb

_log = logging.getLogger(__name__)
_FULL_EVERY_MS: Final = 24 * 3600 * 1000
_BYTES: Final = MESSAGE_BYTES - 512 * 1024


class InventoryTracker:
    """The last inventory of a source and the revision it was sent as."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._revision = 0
        self._resources: dict[ResourceKey, Resource] = {}
        self._relations: frozenset[Relation] = frozenset()
        self._observed_ms = 0
        self._full_ms = 0  # when the last full one was made

    def update(self, inventory: Inventory, observed_ms: int) -> list[pb.InventoryDelta]:
        """Return what changed since the last time, cut to fit; everything the first time and after a day."""
        resources = {item.key: item for item in inventory.resources}
        relations = frozenset(inventory.relations)
        before, relations_before = self._resources, self._relations
        self._resources, self._relations, self._observed_ms = resources, relations, observed_ms
        if not self._revision or observed_ms - self._full_ms >= _FULL_EVERY_MS:
            return self.full()
        delta = pb.InventoryDelta(source=self._source)
        for key, item in resources.items():
            if before.get(key) != item:
                delta.resources.append(encoding.resource(item))
        for key in before.keys() - resources.keys():
            delta.removed.add(kind=key.kind.value, key=encoding.clean(key.key))
        delta.relations.extend(encoding.relation(self._source, edge) for edge in relations - relations_before)
        delta.removed_relations.extend(encoding.relation(self._source, edge) for edge in relations_before - relations)
        return self._numbered(delta) if delta.ByteSize() > len(self._source) + 8 else []

    def full(self) -> list[pb.InventoryDelta]:
        """Return everything as it was last seen; nothing before the first sight."""
        if not self._observed_ms:
            return []
        self._full_ms = self._observed_ms
        inventory = Inventory(list(self._resources.values()), list(self._relations))
        return self._numbered(encoding.full_inventory(self._source, inventory))

    def _numbered(self, delta: pb.InventoryDelta) -> list[pb.InventoryDelta]:
        parts = [delta] if delta.ByteSize() <= _BYTES else list(_parts(delta))
        if len(parts) > 1 and delta.full:
            _log.warning("source %s: its inventory is too large for one message and goes as changes", self._source)
        for part in parts:
            part.base_revision = 0 if part.full else self._revision
            self._revision += 1
            part.revision = self._revision
            part.observed_ms = self._observed_ms
        return parts


def _parts(delta: pb.InventoryDelta) -> Iterator[pb.InventoryDelta]:
    # A part of everything is not everything: cut, a full inventory goes as changes.
    part, size = pb.InventoryDelta(source=delta.source), 0
    for name in ("resources", "removed", "relations", "removed_relations"):
        for item in getattr(delta, name):
            if size and size + item.ByteSize() > _BYTES // 2:
                yield part
                part, size = pb.InventoryDelta(source=delta.source), 0
            getattr(part, name).append(item)
            size += item.ByteSize() + 8
    yield part
