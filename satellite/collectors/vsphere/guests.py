"""A guest: its state, what it is made of, what VMware Tools say, and where it runs, lies and is stored.

The one promise: a guest of which little is known (cloning, orphaned, inaccessible) is told with what is known.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from satellite.collectors.vsphere.described import Described, Edge, Measured, kept, member_of
from satellite.collectors.vsphere.devices import Hardware
from satellite.collectors.vsphere.facts import Facts, joined, when
from satellite.collectors.vsphere.identity import uuid
from satellite.collectors.vsphere.snapshots import Snapshots
from shared.model import AttributeValue, IdentityClaim, RelationType, State, claim

_POWER: Final[Mapping[str, State]] = MappingProxyType(
    {"poweredOn": State.RUNNING, "poweredOff": State.STOPPED, "suspended": State.SUSPENDED}
)
# Of a guest whose host or files are out of reach vSphere tells the state that it had.
_OUT_OF_REACH: Final[Mapping[str, str]] = MappingProxyType(
    {
        "disconnected": "its host is not connected to vCenter",
        "inaccessible": "its files can't be read",
        "invalid": "its configuration is not valid",
        "orphaned": "its host does not have it any more",
    }
)
_TOOLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "guestToolsRunning": "running",
        "guestToolsNotRunning": "not running",
        "guestToolsExecutingScripts": "starting or stopping",
    }
)


def guest(facts: Facts, *, alone: bool) -> Described:
    """Return a guest; alone: no other one has its UUID."""
    state, reason = _state(facts)
    edges = member_of(facts, "parent", "parentVApp", "resourcePool")
    if host := facts.text("runtime.host"):
        edges.append(Edge(RelationType.RUNS_ON, host))
    edges += [Edge(RelationType.STORED_ON, each) for each in facts.listed("datastore")]
    edges += [Edge(RelationType.CONNECTED_TO, each) for each in facts.listed("network")]
    return Described(state, reason, _attributes(facts), _claims(facts, alone=alone), edges, _measured(facts))


def running(facts: Facts) -> bool:
    """Return whether a guest runs, as far as the server can see."""
    return _state(facts)[0] is State.RUNNING


def _state(facts: Facts) -> tuple[State, str]:
    if words := _OUT_OF_REACH.get(facts.text("runtime.connectionState")):
        return State.UNKNOWN, words
    if facts.flag("config.template"):
        return State.STOPPED, "a template"
    power = facts.text("runtime.powerState")
    return (_POWER[power], "") if power in _POWER else (State.UNKNOWN, "vSphere does not tell its power state")


def _attributes(facts: Facts) -> dict[str, AttributeValue]:
    started = facts.whole("runtime.bootTime")
    attributes: dict[str, AttributeValue | None] = {
        "guest.template": True if facts.flag("config.template") else None,
        "guest.os": facts.text("guest.guestFullName") or facts.text("config.guestFullName"),
        "guest.hostname": facts.text("guest.hostName"),
        "guest.address": facts.text("guest.ipAddress"),
        "guest.addresses": joined(facts.listed("guest.net")),
        "guest.cpu.count": facts.whole("config.hardware.numCPU"),
        "guest.cpu.cores_per_socket": facts.whole("config.hardware.numCoresPerSocket"),
        "guest.cpu.limit": facts.whole("config.cpuAllocation.limit", 10**6),
        "guest.memory.size": facts.whole("config.hardware.memoryMB", 2**20),
        "guest.memory.limit": facts.whole("config.memoryAllocation.limit", 2**20),
        "guest.machine": facts.text("config.version"),
        "guest.path": facts.text("config.files.vmPathName"),
        "guest.started": when(started) if started else "",
        "guest.tools": _TOOLS.get(facts.text("guest.toolsRunningStatus"), facts.text("guest.toolsRunningStatus")),
        "guest.tools.version": facts.text("guest.toolsVersion"),
        "guest.tools.support": facts.text("guest.toolsVersionStatus2").removeprefix("guestTools"),
    }
    if isinstance(devices := facts.values.get("config.hardware.device"), Hardware):
        attributes |= {
            "guest.disks": devices.disks,
            "guest.network.cards": devices.cards,
            "guest.devices": devices.others,
        }
    if isinstance(found := facts.values.get("snapshot"), Snapshots):
        attributes |= {
            "guest.snapshots": found.count,
            "guest.snapshots.oldest": when(found.oldest_ms) if found.oldest_ms else None,
            "guest.snapshots.tree": found.tree,
        }
    return kept(attributes)


def _measured(facts: Facts) -> Measured:
    memory, found = facts.whole("config.hardware.memoryMB", 2**20), facts.values.get("snapshot")
    had = found if isinstance(found, Snapshots) else Snapshots(0, 0, "")
    return Measured(
        logical_cpus=facts.whole("config.hardware.numCPU"),
        memory=memory,
        snapshots=had.count if memory is not None else None,  # of a guest without configuration nothing is known
        oldest_snapshot_ms=had.oldest_ms,
    )


def _claims(facts: Facts, *, alone: bool) -> tuple[IdentityClaim, ...]:
    claims = []
    if alone:  # what several have is evidence of none
        for name, path in (("instance_uuid", "config.instanceUuid"), ("dmi_uuid", "config.uuid")):
            claims += [claim(name, found)] if (found := uuid(facts.text(path))) else []
    devices = facts.values.get("config.hardware.device")
    macs = devices.macs if isinstance(devices, Hardware) else ()
    return (*claims, *(claim("mac", each) for each in macs))
