"""Datastores and the pods (clusters of datastores) that they stand in.

The one promise: what changes all the time, such as free space, is no part of it.
"""

from typing import Final

from satellite.collectors.vsphere.described import Described, Edge, kept, member_of
from satellite.collectors.vsphere.facts import Facts
from shared.model import AttributeValue, RelationType, State

_MAINTENANCE: Final = frozenset({"inMaintenance", "enteringMaintenance"})


def datastore(facts: Facts) -> Described:
    """Return a datastore."""
    attributes: dict[str, AttributeValue | None] = {
        "storage.type": facts.text("summary.type"),
        "storage.path": facts.text("summary.url"),
        "storage.shared": facts.flag("summary.multipleHostAccess"),
    }
    edges = member_of(facts, "parent")
    edges += [Edge(RelationType.ATTACHED_TO, host) for host in facts.listed("host")]
    return Described(*_state(facts), kept(attributes), (), edges)


def pod(facts: Facts) -> Described:
    """Return a cluster of datastores."""
    flag = facts.values.get("podStorageDrsEntry.storageDrsConfig.podConfig.enabled")
    attributes = kept({"pool.drs": flag if isinstance(flag, bool) else None})
    return Described(State.UP, "", attributes, (), member_of(facts, "parent"))


def _state(facts: Facts) -> tuple[State, str]:
    if facts.values.get("summary.accessible") is False:
        return State.DOWN, "no host can reach it"
    if facts.text("summary.maintenanceMode") in _MAINTENANCE:
        return State.MAINTENANCE, "in maintenance mode"
    if facts.flag("summary.accessible"):
        return State.UP, ""
    return State.UNKNOWN, "vSphere does not tell its state"
