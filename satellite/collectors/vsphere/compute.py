"""Hosts, clusters, resource pools and vApps.

The one promise: a host that vCenter does not reach is unknown, never down.
"""

import re
from collections.abc import Sequence
from typing import Final

from satellite.collectors.vsphere.described import Described, Measured, kept, member_of
from satellite.collectors.vsphere.devices import Cards
from satellite.collectors.vsphere.facts import Facts, when
from satellite.collectors.vsphere.identity import uuid
from shared.model import AttributeValue, IdentityClaim, State, claim

_UNREACHED: Final = {
    "disconnected": "it is disconnected from vCenter",
    "notResponding": "it does not answer vCenter",
}
_NO_SERIAL: Final = re.compile(
    r"none|n/?a|unknown|default string|not specified|to be filled.*|.*serial number|[0x.\- ]*|123.*"
)
_FQDN: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+")


def host(facts: Facts, *, alone: bool) -> Described:
    """Return a host; alone: no other one has its UUID. What it lies in is looked up by the inventory."""
    state, reason = _host_state(facts)
    measured = Measured(
        logical_cpus=facts.whole("hardware.cpuInfo.numCpuThreads"),
        physical_cpus=facts.whole("hardware.cpuInfo.numCpuCores"),
        memory=facts.whole("hardware.memorySize"),
    )
    claims = _host_claims(facts, alone=alone)
    return Described(state, reason, _host_attributes(facts), claims, member_of(facts, "parent"), measured)


def reached(facts: Facts) -> bool:
    """Return whether a host answers."""
    return _host_state(facts)[0] in {State.UP, State.MAINTENANCE, State.DEGRADED}


def cluster(facts: Facts, hosts: Sequence[State]) -> Described:
    """Return a cluster, which is as well as its hosts are: the server's own view of it is not told when it changes."""
    attributes: dict[str, AttributeValue | None] = {
        "cluster.ha": facts.flag("configuration.dasConfig.enabled"),
        "cluster.drs": facts.flag("configuration.drsConfig.enabled"),
        "cluster.drs.mode": facts.text("configuration.drsConfig.defaultVmBehavior"),
    }
    return Described(*_together(hosts), kept(attributes), (), member_of(facts, "parent"))


def pool(facts: Facts) -> Described:
    """Return a resource pool or a vApp."""
    attributes: dict[str, AttributeValue | None] = {
        "pool.cpu.limit": facts.whole("config.cpuAllocation.limit", 10**6),
        "pool.cpu.reserved": facts.whole("config.cpuAllocation.reservation", 10**6) or None,
        "pool.memory.limit": facts.whole("config.memoryAllocation.limit", 2**20),
        "pool.memory.reserved": facts.whole("config.memoryAllocation.reservation", 2**20) or None,
    }
    edges = member_of(facts, "parent", "parentFolder")
    return Described(State.UP, "", kept(attributes), (), edges)


def _together(hosts: Sequence[State]) -> tuple[State, str]:
    wanted = [state for state in hosts if state is not State.MAINTENANCE]
    up, unknown = wanted.count(State.UP), wanted.count(State.UNKNOWN)
    if up == len(wanted):
        return State.UP, ""
    words = f"{len(wanted) - up} of {len(hosts)} hosts are not up" + (f", {unknown} of them unknown" if unknown else "")
    if up or State.DEGRADED in wanted:
        return State.DEGRADED, words
    return (State.UNKNOWN if unknown else State.DOWN), words


def _host_state(facts: Facts) -> tuple[State, str]:
    if words := _UNREACHED.get(facts.text("runtime.connectionState")):
        return State.UNKNOWN, words
    power = facts.text("runtime.powerState")
    if power == "standBy":
        return State.DOWN, "in standby"
    if power == "poweredOff":
        return State.DOWN, "powered off"
    if facts.flag("runtime.inMaintenanceMode"):
        return State.MAINTENANCE, "in maintenance mode"
    if facts.flag("runtime.inQuarantineMode"):
        return State.DEGRADED, "in quarantine mode"
    if facts.text("runtime.connectionState") == "connected":
        return State.UP, ""
    return State.UNKNOWN, "vSphere does not tell its state"


def _host_attributes(facts: Facts) -> dict[str, AttributeValue]:
    sockets, cores = facts.whole("hardware.cpuInfo.numCpuPackages"), facts.whole("hardware.cpuInfo.numCpuCores")
    threads, started = facts.whole("hardware.cpuInfo.numCpuThreads"), facts.whole("runtime.bootTime")
    cards = facts.values.get("config.network.pnic")
    return kept(
        {
            "host.vendor": facts.text("hardware.systemInfo.vendor"),
            "host.model": facts.text("hardware.systemInfo.model"),
            "host.serial": _serial(facts),
            "host.cpu.model": facts.text("summary.hardware.cpuModel"),
            "host.cpu.logical.count": threads,
            "host.cpu.frequency": facts.whole("hardware.cpuInfo.hz"),
            "host.cpu.topology": f"{sockets} sockets, {cores} cores, {threads} threads" if sockets and cores else "",
            "host.memory.size": facts.whole("hardware.memorySize"),
            "host.network.cards": cards.cards if isinstance(cards, Cards) else "",
            "host.started": when(started) if started else "",
            "hypervisor.type": facts.text("config.product.name"),
            "hypervisor.version": facts.text("config.product.version"),
            "hypervisor.build": facts.text("config.product.build"),
        }
    )


def _host_claims(facts: Facts, *, alone: bool) -> tuple[IdentityClaim, ...]:
    found = uuid(facts.text("hardware.systemInfo.uuid"))
    claims = [claim("dmi_uuid", found)] if found and alone else []
    claims += [claim("serial", serial)] if (serial := _serial(facts)) else []
    cards = facts.values.get("config.network.pnic")
    claims += [claim("mac", each) for each in (cards.macs if isinstance(cards, Cards) else ())]
    name = facts.text("name").lower()
    return (*claims, *([claim("fqdn", name)] if _FQDN.fullmatch(name) and not name[-1].isdigit() else []))


def _serial(facts: Facts) -> str:
    serial = facts.text("hardware.systemInfo.serialNumber") or facts.text("hardware.systemInfo.otherIdentifyingInfo")
    return "" if _NO_SERIAL.fullmatch(serial.lower()) else serial
