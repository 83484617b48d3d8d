"""Alarms of a server that are triggered, and what they are about.

The one promise: they are read in one place, the root folder, which lists those of everything below it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from satellite.collectors.vsphere.facts import instant, joined, referred, when

_MOST: Final = 20_000
_WORDS: Final = {"red": "critical", "yellow": "warning", "green": "ok", "gray": "unknown"}


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm on one object; alarm and entity are references."""

    entity: str
    alarm: str
    status: str
    since_ms: int
    acknowledged: bool


def alarms(value: Any) -> tuple[Alarm, ...]:
    """Return triggeredAlarmState in short."""
    found = (_alarm(each) for each in value[:_MOST])
    return tuple(alarm for alarm in found if alarm is not None)


def by_entity(triggered: Iterable[Alarm], names: Mapping[str, str]) -> Mapping[str, str]:
    """Return what stands at each object, in words."""
    texts: dict[str, list[str]] = {}
    for each in sorted(triggered, key=lambda alarm: (alarm.status, alarm.since_ms, alarm.alarm)):
        words = f"{names.get(each.alarm, each.alarm.partition(':')[2])}: {_WORDS.get(each.status, 'unknown')}"
        words += f" since {when(each.since_ms)}" if each.since_ms else ""
        texts.setdefault(each.entity, []).append(words + (", acknowledged" if each.acknowledged else ""))
    return {entity: joined(some) for entity, some in texts.items()}


def _alarm(state: Any) -> Alarm | None:
    entity, alarm = referred(state.entity), referred(state.alarm)
    if entity is None or alarm is None:
        return None
    return Alarm(entity, alarm, str(state.overallStatus), instant(state.time) or 0, state.acknowledged is True)
