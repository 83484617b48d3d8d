"""What is told of an inventory, cut to messages one after the other: changes as they come, everything in its order.

The one promise: no more than one message is made before it is asked for, and each fits what a metaconsole takes.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import Final, TypeAlias

from satellite import encoding
from shared.batches import MESSAGE_BYTES
from shared.inventory_parts import bound_of, place_of
from shared.model import Relation, Resource, ResourceKey
from shared.pb import inventory_pb2 as pb

Room: TypeAlias = tuple[int, int]  # bytes, and resources and relations together
ROOM: Final[Room] = (MESSAGE_BYTES - 512 * 1024, 20_000)
Named: TypeAlias = pb.Resource | pb.Removal | pb.Relation
Item: TypeAlias = tuple[str, Named]  # the field that it belongs to, and itself
_PART_BYTES: Final = 1024 * 1024  # a message takes about ten times its bytes while it is made, copied and written
_OVERHEAD: Final = 8  # bytes of an item's tag and length, at most
_EDGE_ORDER: Final[tuple[Callable[[Relation], str], ...]] = (
    lambda edge: edge.type.value,
    lambda edge: edge.source.kind.value,
    lambda edge: encoding.clean(edge.source.key),
    lambda edge: edge.target.kind.value,
    lambda edge: encoding.clean(edge.target.key),
)


def changes(source: str, items: Iterable[Item], room: Room = ROOM) -> Iterator[pb.InventoryDelta]:
    """Yield deltas that name the items; none where there are none."""
    for delta, _ in _cut(source, items, room):
        if len(delta.ListFields()) > 1:  # the source is one
            yield delta
        del delta  # it may be large, and the next one is made meanwhile


def everything(
    source: str, resources: Collection[Resource], relations: Collection[Relation], room: Room = ROOM
) -> Iterator[pb.InventoryDelta]:
    """Yield a full inventory, in parts where it is too large for one message."""
    if not _fits(chain(map(changed, resources), (related(source, edge) for edge in relations)), room):
        room = min(room[0], _PART_BYTES), room[1]
    begin: pb.Relation | None = None
    for delta, following in _cut(source, _in_order(source, resources, relations), room):
        delta.full = begin is None and following is None
        if begin is not None:
            delta.part_begin.CopyFrom(begin)
        if following is not None:
            begin = bound_of(following)
            delta.part_end.CopyFrom(begin)
        yield delta
        del delta  # it may be large, and the next one is made meanwhile


def changed(item: Resource) -> Item:
    """Return a resource that is new or changed."""
    return "resources", encoding.resource(item)


def removed(key: ResourceKey) -> Item:
    """Return a resource that is gone."""
    return "removed", pb.Removal(kind=key.kind.value, key=encoding.clean(key.key))


def related(source: str, edge: Relation) -> Item:
    """Return a relation that is there."""
    return "relations", encoding.relation(source, edge)


def unrelated(source: str, edge: Relation) -> Item:
    """Return a relation that is gone."""
    return "removed_relations", encoding.relation(source, edge)


def _fits(items: Iterable[Item], room: Room) -> bool:
    octets, most = room
    for count, (_, item) in enumerate(items, 1):
        octets -= item.ByteSize() + _OVERHEAD
        if octets < 0 or count > most:
            return False
    return True


def _in_order(source: str, resources: Iterable[Resource], relations: Iterable[Relation]) -> Iterator[Item]:
    things = sorted(resources, key=lambda item: (item.key.kind.value, encoding.clean(item.key.key)))
    edges = list(relations)
    for text in reversed(_EDGE_ORDER):  # one text after the other: a tuple for each edge would take megabytes
        edges.sort(key=text)
    before = None
    for name, item in chain(map(changed, things), (related(source, edge) for edge in edges)):
        place = place_of(item)
        if place != before:  # what a source names by two keys may be one when it is made safe to travel
            yield name, item
        before = place


def _cut(source: str, items: Iterable[Item], room: Room) -> Iterator[tuple[pb.InventoryDelta, Named | None]]:
    """Yield messages, each with the item that the next one begins with; an empty one where there are no items."""
    octets, most = room
    delta, size, count = pb.InventoryDelta(source=source), 0, 0
    for name, item in items:
        added = item.ByteSize() + _OVERHEAD
        if count and (size + added > octets or count == most):
            yield delta, item
            delta, size, count = pb.InventoryDelta(source=source), 0, 0
        getattr(delta, name).append(item)
        size, count = size + added, count + 1
    yield delta, None
