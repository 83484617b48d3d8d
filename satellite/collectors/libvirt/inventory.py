"""What a libvirt host holds: itself, its guests, storage pools and networks, and how they hang together.

The one promise: keys stay when libvirtd, the host or a guest starts again.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from satellite.collectors.libvirt.client import Client, Guest
from satellite.collectors.libvirt.documents import DocumentError, clean, host_uuid
from satellite.collectors.libvirt.library import library, unsupported
from satellite.collectors.libvirt.states import guest_state
from satellite.collectors.libvirt.storage import Network, Pool
from shared.model import (
    AttributeValue,
    Inventory,
    Kind,
    Relation,
    RelationType,
    Resource,
    ResourceKey,
    State,
    claim,
)


@dataclass(frozen=True, slots=True)
class Host:
    """The machine behind a connection."""

    key: ResourceKey
    resource: Resource


def read_host(client: Client) -> Host:
    """Return the host of a connection. Raises SourceError."""
    connection = client.alive()
    with client.errors():
        name = clean(connection.getHostname())
        uuid = _stable_uuid(client)
        model, memory, cpus, megahertz, _, sockets, cores, threads = connection.getInfo()
        attributes: dict[str, AttributeValue] = {
            "host.arch": clean(model),
            "host.cpu.logical.count": cpus,
            "host.cpu.frequency": megahertz * 10**6,
            "host.cpu.topology": f"{sockets} sockets, {cores} cores each, {threads} threads each",
            "host.memory.size": memory * 2**20,
            "hypervisor.type": clean(connection.getType()),
            "hypervisor.version": version(connection.getVersion()),
            "libvirt.version": version(connection.getLibVersion()),
        }
    claims = [claim("dmi_uuid", uuid)] if uuid else []
    claims += [claim("fqdn", name)] if "." in name else []
    key = ResourceKey(Kind.HOST, uuid or name)
    return Host(key, Resource(key, name, State.UP, "", attributes, tuple(claims)))


def _stable_uuid(client: Client) -> str:
    """Return the host's UUID; empty where there is no SMBIOS, for then libvirtd draws another at each start."""
    connection = client.alive()
    try:
        connection.getSysinfo(0)
        return host_uuid(connection.getCapabilities())
    except library().libvirtError as error:
        if not unsupported(error) and error.get_error_code() != library().VIR_ERR_OPERATION_INVALID:
            raise
        return ""
    except DocumentError:
        return ""


def inventory(host: Host, guests: Sequence[Guest], pools: Sequence[Pool], networks: Sequence[Network]) -> Inventory:
    """Return everything, with its relations."""
    resources = [host.resource, *map(_guest, guests), *map(_pool, pools), *map(_network, networks)]
    relations: list[Relation] = []
    for resource in resources[1:]:
        hosted = RelationType.RUNS_ON if resource.key.kind is Kind.GUEST else RelationType.ATTACHED_TO
        relations.append(Relation(resource.key, hosted, host.key))
    for guest in guests:
        relations += _storage(guest, pools)
        relations += _networks(guest, networks)
    return Inventory(resources, relations)


def version(number: int) -> str:
    """Return libvirt's version number as people write it."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _guest(guest: Guest) -> Resource:
    statistics, document = guest.statistics, guest.document
    state, reason = guest_state(_number(statistics, "state.state"), _number(statistics, "state.reason"))
    facts: Mapping[str, AttributeValue] = {
        "guest.title": document.title,
        "guest.os": document.os,
        "guest.machine": document.machine,
        "host.arch": document.arch,
        "guest.disks": ", ".join(disk.name for disk in document.disks)[:255],
    }
    claims = [claim("instance_uuid", guest.uuid), claim("dmi_uuid", guest.uuid)]
    claims += [claim("mac", mac) for mac in sorted({card.mac for card in document.cards if card.mac})]
    kept = {name: value for name, value in facts.items() if value != ""}
    return Resource(_key(guest), clean(guest.name), state, reason, kept, tuple(claims))


def _pool(pool: Pool) -> Resource:
    facts: Mapping[str, AttributeValue] = {"storage.path": clean(pool.path)} if pool.path else {}
    return Resource(ResourceKey(Kind.DATASTORE, pool.uuid), pool.name, pool.state, "", facts)


def _network(network: Network) -> Resource:
    facts: Mapping[str, AttributeValue] = {"network.bridge": network.bridge} if network.bridge else {}
    return Resource(ResourceKey(Kind.NETWORK, network.uuid), network.name, network.state, "", facts)


def _storage(guest: Guest, pools: Sequence[Pool]) -> Iterator[Relation]:
    found = {pool.uuid for disk in guest.document.disks if (pool := _pool_of(disk.path, disk.pool, pools))}
    for uuid in sorted(found):
        yield Relation(_key(guest), RelationType.STORED_ON, ResourceKey(Kind.DATASTORE, uuid))


def _pool_of(path: str, name: str, pools: Sequence[Pool]) -> Pool | None:
    """Return the pool that a disk names, else the one whose folder is the innermost around its file."""
    if name:
        return next((pool for pool in pools if pool.name == name), None)
    folder = os.path.normpath(path) if path else ""
    inside = [pool for pool in pools if pool.path and folder.startswith(pool.path.rstrip("/") + "/")]
    return max(inside, key=lambda pool: len(pool.path), default=None)


def _networks(guest: Guest, networks: Sequence[Network]) -> Iterator[Relation]:
    names = {card.network for card in guest.document.cards if card.network}
    bridges = {card.bridge for card in guest.document.cards if card.bridge and not card.network}
    for network in networks:
        if network.name in names or (network.bridge and network.bridge in bridges):
            yield Relation(_key(guest), RelationType.CONNECTED_TO, ResourceKey(Kind.NETWORK, network.uuid))


def _key(guest: Guest) -> ResourceKey:
    return ResourceKey(Kind.GUEST, guest.uuid)


def _number(statistics: Mapping[str, int | str], name: str) -> int:
    value = statistics.get(name, -1)
    return value if isinstance(value, int) else -1
