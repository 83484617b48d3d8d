"""The model as wire messages. Text from a source is made safe here: valid Unicode, no NUL, bounded.

The one promise: whatever a source names its things, the message can be serialized and stored.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from shared.limits import ATTRIBUTES, CLAIMS, KEY, MESSAGE, NAME
from shared.model import (
    AttributeValue,
    Event,
    Gap,
    GapReason,
    Relation,
    Resource,
    ResourceKey,
    SeriesKey,
    Severity,
)
from shared.pb import events_pb2, inventory_pb2, telemetry_pb2, uplink_pb2

_DETAIL_LIMIT: Final = 1000
_I64: Final = 2**63

_GAP_REASON: Final = {reason: f"GAP_REASON_{reason.name}" for reason in GapReason}
_SEVERITY: Final = {severity: f"SEVERITY_{severity.name}" for severity in Severity}


def clean(text: str, limit: int = KEY) -> str:
    """Return text that can travel and be stored: no lone surrogates, no NUL, at most limit characters."""
    if len(text) <= limit and text.isascii() and "\0" not in text:
        return text  # the same object: there are many, and most are like this
    return text[:limit].encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")


def resource_ref(source: str, key: ResourceKey) -> telemetry_pb2.ResourceRef:
    """Return a resource as the wire names it."""
    return telemetry_pb2.ResourceRef(source=source, kind=key.kind.value, key=clean(key.key))


def series_definition(source: str, series_id: int, key: SeriesKey) -> telemetry_pb2.SeriesDefinition:
    """Return the definition of a series."""
    attributes = {clean(name, NAME): clean(value) for name, value in key.attributes}
    return telemetry_pb2.SeriesDefinition(
        id=series_id, resource=resource_ref(source, key.resource), metric=key.metric, attributes=attributes
    )


def attribute_values(attributes: Mapping[str, AttributeValue]) -> dict[str, inventory_pb2.AttributeValue]:
    """Return attributes as the wire has them, as many as are taken; a number that is none is left out."""
    encoded: dict[str, inventory_pb2.AttributeValue] = {}
    for name, value in attributes.items():
        if len(encoded) < ATTRIBUTES and name and (message := _attribute(value)) is not None:
            encoded[clean(name, NAME)] = message
    return encoded


def _attribute(value: AttributeValue) -> inventory_pb2.AttributeValue | None:
    if isinstance(value, bool):
        return inventory_pb2.AttributeValue(flag=value)
    if isinstance(value, int) and -_I64 <= value < _I64:
        return inventory_pb2.AttributeValue(integer=value)
    if isinstance(value, float):
        return inventory_pb2.AttributeValue(number=value) if math.isfinite(value) else None
    return inventory_pb2.AttributeValue(text=clean(str(value), MESSAGE))


def resource(item: Resource) -> inventory_pb2.Resource:
    """Return a resource with its facts and identity claims."""
    return inventory_pb2.Resource(
        kind=item.key.kind.value,
        key=clean(item.key.key),
        name=clean(item.name),
        state=item.state.value,
        state_reason=clean(item.state_reason),
        attributes=attribute_values(item.attributes),
        claims=[
            inventory_pb2.IdentityClaim(type=claim.type, value=clean(claim.value), strength=claim.strength)
            for claim in [claim for claim in item.claims if claim.value][:CLAIMS]
        ],
    )


def relation(source: str, item: Relation) -> inventory_pb2.Relation:
    """Return an edge between two resources of a source."""
    message = inventory_pb2.Relation(type=item.type.value, to=resource_ref(source, item.target))
    getattr(message, "from").CopyFrom(resource_ref(source, item.source))
    return message


def event(source: str, item: Event) -> events_pb2.Event:
    """Return an event as the wire has it."""
    return events_pb2.Event(
        id=clean(item.id),
        time_ms=item.time_ms,
        source=source,
        type=clean(item.type),
        severity=_SEVERITY[item.severity],
        resource=resource_ref(source, item.resource) if item.resource else None,
        message=clean(item.message, MESSAGE),
        attributes=attribute_values(item.attributes),
    )


def events_frame(source: str, items: Sequence[Event]) -> uplink_pb2.Frame:
    """Return a frame of events of one source."""
    position = next((item.position for item in reversed(items) if item.position), "")
    events = [event(source, item) for item in items]
    return uplink_pb2.Frame(events=events_pb2.EventList(events=events, position=clean(position)))


def gap(source: str, item: Gap) -> telemetry_pb2.Gap:
    """Return a gap of a source."""
    return telemetry_pb2.Gap(
        source=source,
        plan=item.plan,
        resource=resource_ref(source, item.resource) if item.resource else None,
        from_ms=item.from_ms,
        to_ms=item.to_ms,
        reason=_GAP_REASON[item.reason],
        detail=clean(item.detail, _DETAIL_LIMIT),
    )


def gaps_frame(source: str, items: Iterable[Gap]) -> uplink_pb2.Frame:
    """Return a frame of gaps of one source."""
    return uplink_pb2.Frame(gaps=telemetry_pb2.GapList(gaps=[gap(source, item) for item in items]))
