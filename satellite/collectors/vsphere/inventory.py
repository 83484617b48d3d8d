"""Everything that a server holds, as resources and relations of the model.

The one promise: the objects of what did not change are handed over again, for the next look compares them all.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from satellite.collectors.vsphere import compute, guests, network, storage
from satellite.collectors.vsphere.described import Described, member_of
from satellite.collectors.vsphere.facts import Facts
from satellite.collectors.vsphere.identity import KINDS
from satellite.collectors.vsphere.library import clean
from shared.model import (
    AttributeValue,
    Kind,
    Relation,
    Resource,
    ResourceKey,
    State,
)

_NETWORKS: Final = frozenset({"Network", "OpaqueNetwork", "DistributedVirtualPortgroup"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of an object beside its facts: alarms in words, tags by category, custom attributes by name."""

    shared_uuid: bool = False
    alarms: str = ""
    tags: Sequence[tuple[str, str]] = ()
    custom: Sequence[tuple[str, str]] = ()


def describe(facts: Facts, hosts: Sequence[State], *, alone: bool) -> Described:
    """Return an object in the words of the model; hosts: the states of those of a cluster."""
    if facts.type == "VirtualMachine":
        return guests.guest(facts, alone=alone)
    if facts.type == "HostSystem":
        return compute.host(facts, alone=alone)
    if facts.type == "ClusterComputeResource":
        return compute.cluster(facts, hosts)
    if facts.type in {"ResourcePool", "VirtualApp"}:
        return compute.pool(facts)
    if facts.type == "Datastore":
        return storage.datastore(facts)
    if facts.type == "StoragePod":
        return storage.pod(facts)
    if facts.type in _NETWORKS:
        return network.network(facts)
    if KINDS[facts.type] is Kind.NETWORK:
        return network.switch(facts)
    return Described(State.UP, edges=member_of(facts, "parent"))  # a folder or a datacenter


def resource(key: ResourceKey, facts: Facts, described: Described, around: Surroundings) -> Resource:
    """Return the resource of an object."""
    attributes: dict[str, AttributeValue] = {"vsphere.type": facts.type, "vsphere.id": facts.id}
    attributes |= described.attributes
    if around.shared_uuid:
        attributes["duplicate_uuid"] = True
    if around.alarms:
        attributes["vsphere.alarms"] = around.alarms
    attributes |= {f"tag.{category}": tag for category, tag in around.tags}
    attributes |= {f"custom.{name}": value for name, value in around.custom}
    name = facts.text("name") or facts.id
    return Resource(key, name, described.state, described.reason, attributes, tuple(described.claims))


def relations(
    own: ResourceKey, described: Described, find: Callable[[str], ResourceKey | None]
) -> tuple[Relation, ...]:
    """Return an object's relations; find returns the key that stands for a reference, None for what is not seen."""
    return tuple(dict.fromkeys(_edges(own, described, find)))


def server(instance_uuid: str, name: str, about: Mapping[str, str]) -> Resource:
    """Return the vCenter itself."""
    attributes: dict[str, AttributeValue] = {"vsphere.type": "VirtualCenter", **about}
    return Resource(ResourceKey(Kind.SERVICE, instance_uuid), clean(name), State.UP, "", attributes)


def _edges(own: ResourceKey, described: Described, find: Callable[[str], ResourceKey | None]) -> Iterator[Relation]:
    for edge in described.edges:
        other = find(edge.other)
        if other is not None and other != own:
            source, target = (other, own) if edge.incoming else (own, other)
            yield Relation(source, edge.type, target)
