"""Networks, port groups and distributed switches.

The one promise: a virtual LAN is shown as the vendor's tools show it, whatever kind it is.
"""

from typing import Any

from satellite.collectors.vsphere.described import Described, Edge, kept, member_of
from satellite.collectors.vsphere.facts import MANY, Facts, joined
from shared.model import RelationType, State


def network(facts: Facts) -> Described:
    """Return a network or a distributed port group."""
    edges = member_of(facts, "parent", "config.distributedVirtualSwitch")
    attributes = kept({"network.vlan": facts.text("config.defaultPortConfig")})
    if facts.values.get("summary.accessible") is False:
        return Described(State.DOWN, "no host can reach it", attributes, (), edges)
    return Described(State.UP, "", attributes, (), edges)


def switch(facts: Facts) -> Described:
    """Return a distributed switch, to which its hosts are connected."""
    edges = member_of(facts, "parent")
    edges += [Edge(RelationType.CONNECTED_TO, host, incoming=True) for host in facts.listed("summary.hostMember")]
    attributes = kept(
        {"network.switch.uuid": facts.text("uuid"), "network.switch.ports": facts.whole("summary.numPorts")}
    )
    return Described(State.UP, "", attributes, (), edges)


def vlan(value: Any) -> str:
    """Return which virtual LANs the default configuration of a port group has: "12", "trunk 0-4094", "private 101"."""
    setting = getattr(value, "vlan", None)
    if (private := getattr(setting, "pvlanId", None)) is not None:
        return f"private {int(private)}"
    number = getattr(setting, "vlanId", None)
    if isinstance(number, list):
        return "trunk " + joined([f"{int(each.start)}-{int(each.end)}" for each in number[:MANY]])
    return str(int(number)) if number else ""
