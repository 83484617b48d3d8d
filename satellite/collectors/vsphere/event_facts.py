"""A vendor's event, or the end of a task, as an event of the model.

The one promise: whatever stands in it, the texts are one printable line each, and bounded.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from satellite.collectors.vsphere.event_position import instant
from satellite.collectors.vsphere.event_types import ALARM_SEVERITY, event_type
from satellite.collectors.vsphere.library import clean, fault_text, reference
from shared.model import AttributeValue, Event, ResourceKey, Severity

Resolve = Callable[[str], ResourceKey | None]  # "VirtualMachine:vm-42" -> the resource that we know it as
_MESSAGE: Final = 1000
_NAME: Final = 200

# What may stand in an event about objects: its field, the field of the reference in it, our word for its name. The
# first that is there is what the event is about.
_ARGUMENTS: Final = (
    ("vm", "vm", "guest"),
    ("host", "host", "host"),
    ("ds", "datastore", "datastore"),
    ("net", "network", "network"),
    ("dvs", "dvs", "switch"),
    ("computeResource", "computeResource", "cluster"),
    ("datacenter", "datacenter", "datacenter"),
)
# Fields of some classes, and our words for them.
_NAMED: Final = (
    ("sourceHost", "from_host"),
    ("destHost", "to_host"),
    ("sourceDatastore", "from_datastore"),
    ("destDatastore", "to_datastore"),
    ("alarm", "alarm"),
    ("entity", "entity"),
)
_PLAIN: Final = (
    ("from", "from"),
    ("to", "to"),
    ("oldName", "from"),
    ("newName", "to"),
    ("ipAddress", "address"),
    ("hostname", "address"),
    ("objectName", "object"),
)
_FAULTS: Final = ("reason", "fault")


def event_of(event: Any, identity: str, resolve: Resolve) -> Event:
    """Return an event of the history; identity is its id."""
    name = str(getattr(event, "eventTypeId", None) or type(event).__name__.rpartition(".")[2])
    kind, severity = event_type(name, getattr(event, "severity", None))
    if kind == "alarm.changed":
        severity = ALARM_SEVERITY.get(str(getattr(event, "to", "")), Severity.INFO)
    about = _about(event)
    return Event(
        id=identity,
        time_ms=instant(event.createdTime),
        type=kind,
        message=clean(_message(event) or name, _MESSAGE),
        severity=severity,
        resource=resolve(about) if about else None,
        attributes=_attributes(event, name),
    )


def _message(event: Any) -> str | None:
    if (info := getattr(event, "info", None)) is not None:  # the vendor's does not say of what it is, nor whose
        return f"{_whose(info)} was started"
    return str(event.fullFormattedMessage or "")


def _whose(info: Any) -> str:
    return f"{info.descriptionId or 'a task'} of {info.entityName or 'the server'} by {_owner(info) or 'the server'}"


def _about(event: Any) -> str:
    """Return type and id of the object that an event is about; empty where there is none."""
    for holder, field in (("info", "entity"), ("entity", "entity")):  # of a task, of an alarm
        if (found := getattr(getattr(event, holder, None), field, None)) is not None:
            return reference(found)
    if (found := getattr(event, "managedObject", None)) is not None:
        return reference(found)
    for argument, field, _ in _ARGUMENTS:
        if (found := getattr(getattr(event, argument, None), field, None)) is not None:
            return reference(found)
    kind, identity = getattr(event, "objectType", None), getattr(event, "objectId", None)
    return f"{kind.__name__.rpartition('.')[2]}:{identity}" if isinstance(kind, type) and identity else ""


def _attributes(event: Any, name: str) -> Mapping[str, AttributeValue]:
    texts = {"vsphere.event": name, "user": event.userName}
    texts |= {ours: getattr(getattr(event, field, None), "name", None) for field, _, ours in _ARGUMENTS}
    texts |= {ours: found for field, ours in _NAMED if (found := getattr(getattr(event, field, None), "name", None))}
    texts |= {ours: found for field, ours in _PLAIN if isinstance(found := getattr(event, field, None), str)}
    for field in _FAULTS:
        if (found := getattr(event, field, None)) is not None:
            texts["reason"] = found if isinstance(found, str) else fault_text(found)
    if (info := getattr(event, "info", None)) is not None:
        texts |= _task(info)
    return _clean(texts, event.chainId)


def _clean(texts: Mapping[str, Any], chain: Any) -> Mapping[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {key: clean(str(text), _NAME) for key, text in texts.items() if text}
    return attributes | ({"chain": chain} if isinstance(chain, int) else {})


def task_end(info: Any, identity: str, resolve: Resolve) -> Event:
    """Return the end of a task."""
    kind, how, severity = "task.finished", "has finished", Severity.INFO
    if info.cancelled:
        kind, how = "task.cancelled", "was cancelled"
    elif info.state == "error":
        why = fault_text(info.error) if info.error is not None else "no reason was given"
        kind, how, severity = "task.failed", f"has failed: {why}", Severity.WARNING
    about = reference(info.entity) if info.entity is not None else ""
    return Event(
        id=identity,
        time_ms=instant(info.completeTime),
        type=kind,
        message=clean(f"{_whose(info)} {how}", _MESSAGE),
        severity=severity,
        resource=resolve(about) if about else None,
        attributes=_clean(_task(info), info.eventChainId),
    )


def _task(info: Any) -> Mapping[str, str | None]:
    return {"task": info.key, "task.what": info.descriptionId, "entity": info.entityName, "user": _owner(info)}


def _owner(info: Any) -> str:
    """Return who or what started a task."""
    reason = info.reason
    for field in ("userName", "alarmName", "name"):
        if isinstance(found := getattr(reason, field, None), str):
            return found
    return ""
