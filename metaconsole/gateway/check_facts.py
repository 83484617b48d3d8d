"""Check what is not measured but told: inventory deltas, events and gaps. They are stored as sent.

The one promise: whatever passes here is bounded and uses known words only, so that a reader can store all of it.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from math import isfinite
from typing import Final

from metaconsole.gateway.refused import RefusedError, count, instant, text
from metaconsole.gateway.window import Window
from metaconsole.store.frames import LogKind, LogRow
from shared.inventory_parts import between, bounds, is_part, place_of
from shared.limits import ATTRIBUTES, CLAIMS, KEY, MESSAGE, NAME
from shared.model import Kind, RelationType, State
from shared.pb import events_pb2, inventory_pb2, telemetry_pb2

RESOURCES: Final = 20_000
RELATIONS: Final = 50_000
EVENTS: Final = 10_000
GAPS: Final = 10_000
_KINDS: Final = frozenset(Kind)
_STATES: Final = frozenset(State)
_RELATIONS: Final = frozenset(RelationType)
_WORD: Final = re.compile(r"[a-z][a-z0-9_.]{0,99}")


def check_inventory(delta: inventory_pb2.InventoryDelta, sources: Mapping[str, int], window: Window) -> LogRow:
    """Return the row of an inventory delta; raises RefusedError."""
    text(delta.source, NAME, "the name of a source", required=True)
    instant(delta.observed_ms, window, "the time of an inventory")
    count(len(delta.resources) + len(delta.removed), RESOURCES, "resources in an inventory delta")
    count(len(delta.relations) + len(delta.removed_relations), RELATIONS, "relations in an inventory delta")
    for resource in delta.resources:
        _check_resource(resource)
    for removal in delta.removed:
        _check_key(removal.kind, removal.key)
    keys = [(resource.kind, resource.key) for resource in delta.resources]
    keys += [(removal.kind, removal.key) for removal in delta.removed]
    if len(set(keys)) != len(keys):
        raise RefusedError("malformed", "a resource stands twice in an inventory delta")
    for relation in (*delta.relations, *delta.removed_relations):
        if relation.type not in _RELATIONS:
            raise RefusedError("malformed", f"{relation.type[:NAME]!r} is not a type of relation")
        _check_reference(getattr(relation, "from"))
        _check_reference(relation.to)
    _check_part(delta)
    at = delta.observed_ms
    return LogRow(LogKind.INVENTORY, at, at, delta.SerializeToString(), source_id=sources.get(delta.source))


def check_events(events: events_pb2.EventList, window: Window) -> LogRow:
    """Return the row of a list of events; raises RefusedError."""
    count(len(events.events), EVENTS, "events in a frame")
    text(events.position, KEY, "the position of events")
    for event in events.events:
        text(event.id, KEY, "the id of an event", required=True)
        text(event.source, NAME, "the name of a source", required=True)
        text(event.message, MESSAGE, "the message of an event")
        instant(event.time_ms, window, "the time of an event")
        if not _WORD.fullmatch(event.type):
            raise RefusedError("malformed", f"{event.type[:NAME]!r} is not a type of event")
        if event.severity not in events_pb2.Severity.values()[1:]:
            raise RefusedError("malformed", f"severity {event.severity} is not known here")
        if event.HasField("resource"):
            _check_reference(event.resource)
        _check_attributes(event.attributes)
    times = [event.time_ms for event in events.events] or [window.now]
    return LogRow(LogKind.EVENTS, min(times), max(times), events.SerializeToString())


def check_gaps(gaps: telemetry_pb2.GapList, window: Window) -> LogRow:
    """Return the row of a list of gaps; raises RefusedError."""
    count(len(gaps.gaps), GAPS, "gaps in a frame")
    for gap in gaps.gaps:
        text(gap.source, NAME, "the name of a source")
        text(gap.plan, NAME, "the name of a plan")
        text(gap.detail, 1000, "the detail of a gap")
        instant(gap.from_ms, window, "the begin of a gap")
        instant(gap.to_ms, window, "the end of a gap")
        if gap.from_ms > gap.to_ms or gap.reason not in telemetry_pb2.GapReason.values()[1:]:
            raise RefusedError("malformed", "a gap ends before it begins, or its reason is not known here")
        if gap.HasField("resource"):
            _check_reference(gap.resource)
    spans = [(gap.from_ms, gap.to_ms) for gap in gaps.gaps] or [(window.now, window.now)]
    first, last = min(begin for begin, _ in spans), max(end for _, end in spans)
    return LogRow(LogKind.GAPS, first, last, gaps.SerializeToString())


def _check_part(delta: inventory_pb2.InventoryDelta) -> None:
    """Check the bounds of a part of a full inventory, and that it is nothing else; raises RefusedError."""
    if not is_part(delta):
        return
    if delta.full or delta.removed or delta.removed_relations:
        raise RefusedError("malformed", "a part of a full inventory is not full by itself, and removes nothing by name")
    for name in ("part_begin", "part_end"):
        if delta.HasField(name):
            _check_bound(getattr(delta, name))
    begin, end = bounds(delta)
    if begin is not None and end is not None and begin >= end:
        raise RefusedError("malformed", "a part of an inventory ends before it begins")
    places = chain(map(place_of, delta.resources), map(place_of, delta.relations))
    if not all(between(place, begin, end) for place in places):
        raise RefusedError("malformed", "a part of an inventory names what is outside of its bounds")


def _check_bound(bound: inventory_pb2.Relation) -> None:
    if bound.type and bound.type not in _RELATIONS:
        raise RefusedError("malformed", f"{bound.type[:NAME]!r} is not a type of relation")
    for end in (getattr(bound, "from"), bound.to) if bound.type else (getattr(bound, "from"),):
        _check_reference(end)
    if bound.HasField("to") and not bound.type:
        raise RefusedError("malformed", "the place of a resource has no other end")


def _check_resource(resource: inventory_pb2.Resource) -> None:
    _check_key(resource.kind, resource.key)
    text(resource.name, KEY, "the name of a resource")
    text(resource.state_reason, 1000, "the reason of a state")
    if resource.state not in _STATES:
        raise RefusedError("malformed", f"{resource.state[:NAME]!r} is not a state")
    _check_attributes(resource.attributes)
    count(len(resource.claims), CLAIMS, "identity claims of a resource")
    for claim in resource.claims:
        text(claim.value, KEY, "the value of an identity claim", required=True)
        if not _WORD.fullmatch(claim.type) or claim.strength > 100:
            raise RefusedError("malformed", "an identity claim has no plain type, or a strength above 100")


def _check_reference(reference: telemetry_pb2.ResourceRef) -> None:
    text(reference.source, NAME, "the name of a source")
    _check_key(reference.kind, reference.key)


def _check_key(kind: str, key: str) -> None:
    if kind not in _KINDS:
        raise RefusedError("malformed", f"{kind[:NAME]!r} is not a kind of resource")
    text(key, KEY, "the key of a resource", required=True)


def _check_attributes(attributes: Mapping[str, inventory_pb2.AttributeValue]) -> None:
    count(len(attributes), ATTRIBUTES, "attributes")
    for name, value in _items(attributes):
        text(name, NAME, "the name of an attribute", required=True)
        text(value.text, MESSAGE, f"the attribute {name}")
        if not isfinite(value.number):
            raise RefusedError("malformed", f"the attribute {name} is not a finite number")


def _items(
    attributes: Mapping[str, inventory_pb2.AttributeValue],
) -> Iterable[tuple[str, inventory_pb2.AttributeValue]]:
    return attributes.items()
