"""The order of what an inventory names, by which a part of a full one stands for all that is between two places.

The one promise: both ends and the database put places into the same order, that of their texts' bytes in UTF-8.
"""

from typing import TypeAlias

from shared.pb import inventory_pb2 as pb
from shared.pb import telemetry_pb2

Place: TypeAlias = tuple[str, str, str, str, str]  # type, kind and key of from, kind and key of to


def place_of(item: pb.Resource | pb.Removal | pb.Relation) -> Place:
    """Return where a resource or a relation stands in the order: resources come first, their type is empty."""
    if not isinstance(item, pb.Relation):
        return place_of_key(item.kind, item.key)
    begin, end = getattr(item, "from"), item.to
    return item.type, begin.kind, begin.key, end.kind, end.key


def place_of_key(kind: str, key: str) -> Place:
    """Return where the resource of a key stands in the order."""
    return "", kind, key, "", ""


def bound_of(item: pb.Resource | pb.Removal | pb.Relation) -> pb.Relation:
    """Return the place of a resource or a relation as a part's bound."""
    relation_type, kind, key, to_kind, to_key = place_of(item)
    bound = pb.Relation(type=relation_type)
    getattr(bound, "from").MergeFrom(telemetry_pb2.ResourceRef(kind=kind, key=key))
    if relation_type:
        bound.to.MergeFrom(telemetry_pb2.ResourceRef(kind=to_kind, key=to_key))
    return bound


def is_part(delta: pb.InventoryDelta) -> bool:
    """Tell whether a delta is one of several parts of a full inventory."""
    return delta.HasField("part_begin") or delta.HasField("part_end")


def begins_whole(delta: pb.InventoryDelta) -> bool:
    """Tell whether a delta is a full inventory, or the first part of one."""
    return delta.full or (is_part(delta) and not delta.HasField("part_begin"))


def bounds(delta: pb.InventoryDelta) -> tuple[Place | None, Place | None]:
    """Return where a part begins, and where it ends, excluded; None for the very first and the very last."""
    return (
        place_of(delta.part_begin) if delta.HasField("part_begin") else None,
        place_of(delta.part_end) if delta.HasField("part_end") else None,
    )


def between(place: Place, begin: Place | None, end: Place | None) -> bool:
    """Tell whether a place is within bounds."""
    # Code points have the order of their bytes in UTF-8.
    return (begin is None or place >= begin) and (end is None or place < end)


def names_all_at(delta: pb.InventoryDelta, place: Place) -> bool:
    """Tell whether what could stand at a place, and is not named by the delta, is gone."""
    return delta.full or (is_part(delta) and between(place, *bounds(delta)))
