"""What the collector finds at a simulated server is what an independent walk with plain pyvmomi finds there."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fixtures.vsphere import Size, Vsphere, simulated
from fixtures.vsphere_client import name_of, session, succeeded, view, walk
from fixtures.vsphere_following import by_reference, collector, edges, followed, guest_named
from pyVmomi import vim

from satellite.testing import check_inventory
from shared.catalogue import state_code
from shared.model import Inventory, Kind, RelationType, ResourceKey, State

MEMBER_OF, RUNS_ON, STORED_ON = RelationType.MEMBER_OF, RelationType.RUNS_ON, RelationType.STORED_ON
CONNECTED_TO, ATTACHED_TO = RelationType.CONNECTED_TO, RelationType.ATTACHED_TO
KINDS = {
    vim.VirtualMachine: Kind.GUEST,
    vim.HostSystem: Kind.HOST,
    vim.ClusterComputeResource: Kind.CLUSTER,
    vim.ResourcePool: Kind.POOL,
    vim.Folder: Kind.POOL,
    vim.Datacenter: Kind.POOL,
    vim.Datastore: Kind.DATASTORE,
    vim.Network: Kind.NETWORK,
    vim.DistributedVirtualSwitch: Kind.NETWORK,
}
EVERYTHING = Size(
    clusters=2, hosts=2, guests=3, standalone=1, datacenters=2, folders=1, pools=1, vapps=1, pods=1, datastores=2,
    portgroups=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def estate() -> Iterator[Vsphere]:
    with simulated(EVERYTHING) as server:
        with session(server) as instance:
            content = instance.content
            guests = sorted(view(content, vim.VirtualMachine).view, key=lambda guest: guest.name)
            succeeded(guests[0].PowerOff())
            guests[0].MarkAsTemplate()
            succeeded(guests[1].PowerOff())
            succeeded(guests[2].Suspend())
            succeeded(guests[3].CreateSnapshot("before", "the upgrade", False, False))
            succeeded(guests[3].CreateSnapshot("after", "the upgrade", False, False))
            hosts = sorted(view(content, vim.HostSystem).view, key=lambda host: host.name)
            succeeded(hosts[0].EnterMaintenanceMode(60))
            succeeded(hosts[-1].Disconnect())
        yield server


def found(server: Vsphere) -> Inventory:
    with followed(collector(server)) as following:
        check_inventory(following.first)
        return following.first


def ref(managed: Any) -> str:
    return name_of(managed)


def test_every_object_is_a_resource_of_its_kind_with_its_name(estate: Vsphere) -> None:
    resources = dict(by_reference(found(estate)))
    with session(estate) as instance:
        content = instance.content
        server = resources.pop("VirtualCenter:")
        assert server.key == ResourceKey(Kind.SERVICE, content.about.instanceUuid)
        expected = {}
        for managed, kind in KINDS.items():
            for name, properties in walk(content, managed, "name").items():
                expected[name] = (kind, properties["name"])
        assert {name: (each.key.kind, each.name) for name, each in resources.items()} == expected
        assert {ref(content.rootFolder), *(n for n in expected if n.startswith("ComputeResource:"))} == {
            ref(content.rootFolder)
        }
        assert len(expected) > 60


def test_keys_are_uuids_of_guests_and_hosts_and_ids_of_all_else(estate: Vsphere) -> None:
    resources = by_reference(found(estate))
    with session(estate) as instance:
        guests = walk(instance.content, vim.VirtualMachine, "config.instanceUuid", "config.uuid")
        hosts = walk(instance.content, vim.HostSystem, "hardware.systemInfo.uuid", "config.network.pnic")
    for name, guest in guests.items():
        claims = {(claim.type, claim.value) for claim in resources[name].claims}
        assert resources[name].key.key == guest["config.instanceUuid"]
        assert {("instance_uuid", guest["config.instanceUuid"]), ("dmi_uuid", guest["config.uuid"])} < claims
    for name, host in hosts.items():
        claims = {(claim.type, claim.value) for claim in resources[name].claims}
        assert resources[name].key.key == host["hardware.systemInfo.uuid"]
        assert ("dmi_uuid", host["hardware.systemInfo.uuid"]) in claims
        assert {("mac", card.mac) for card in host["config.network.pnic"]} <= claims
    rest = {name: each.key.key for name, each in resources.items() if name not in guests.keys() | hosts.keys()}
    assert all(key == name.partition(":")[2] for name, key in rest.items() if name != "VirtualCenter:")


def test_states_are_what_vsphere_says(estate: Vsphere) -> None:
    with followed(collector(estate)) as following:
        inventory, readings = following.first, following.readings()
    resources = by_reference(inventory)
    power = {"poweredOn": State.RUNNING, "poweredOff": State.STOPPED, "suspended": State.SUSPENDED}
    with session(estate) as instance:
        guests = walk(instance.content, vim.VirtualMachine, "runtime.powerState", "runtime.connectionState")
        hosts = walk(instance.content, vim.HostSystem, "runtime.connectionState", "runtime.inMaintenanceMode")
    for name, guest in guests.items():
        connected = guest["runtime.connectionState"] == "connected"
        assert resources[name].state == (power[guest["runtime.powerState"]] if connected else State.UNKNOWN)
        assert bool(resources[name].state_reason) == (not connected or "guest.template" in resources[name].attributes)
    seen = set()
    for name, host in hosts.items():
        usual = State.MAINTENANCE if host["runtime.inMaintenanceMode"] else State.UP
        assert resources[name].state == (usual if host["runtime.connectionState"] == "connected" else State.UNKNOWN)
        seen.add(resources[name].state)
    assert seen == {State.UP, State.MAINTENANCE, State.UNKNOWN}
    (block,) = (block for block in readings.blocks if block.layout.metric == "resource.state")
    told = {key.resource: code for key, code in zip(block.layout.series, block.values.tolist(), strict=True)}
    assert told == {each.key: state_code(each.state) for each in inventory.resources}


def placed(content: Any) -> Iterator[tuple[Any, RelationType, Any]]:
    """Yield what lies in what, as the vendor's reference describes the tree."""
    for guest in view(content, vim.VirtualMachine).view:
        yield from ((guest, MEMBER_OF, place) for place in (guest.parent, guest.parentVApp, guest.resourcePool))
    for host in view(content, vim.HostSystem).view:
        clustered = isinstance(host.parent, vim.ClusterComputeResource)
        yield host, MEMBER_OF, host.parent if clustered else host.parent.parent
    for pool in view(content, vim.ResourcePool).view:
        alone = type(pool.parent) is vim.ComputeResource
        yield pool, MEMBER_OF, pool.parent.host[0] if alone else pool.parent
        if isinstance(pool, vim.VirtualApp):
            yield pool, MEMBER_OF, pool.parentFolder
    kinds = vim.Folder, vim.Datacenter, vim.ClusterComputeResource, vim.Datastore, vim.Network
    for kind in (*kinds, vim.DistributedVirtualSwitch):
        yield from ((each, MEMBER_OF, each.parent) for each in view(content, kind).view)


def used(content: Any) -> Iterator[tuple[Any, RelationType, Any]]:
    """Yield what uses what."""
    for guest in view(content, vim.VirtualMachine).view:
        yield guest, RUNS_ON, guest.runtime.host
        yield from ((guest, STORED_ON, store) for store in guest.datastore)
        yield from ((guest, CONNECTED_TO, network) for network in guest.network)
    for store in view(content, vim.Datastore).view:
        yield from ((store, ATTACHED_TO, mount.key) for mount in store.host)
    for group in view(content, vim.dvs.DistributedVirtualPortgroup).view:
        yield group, MEMBER_OF, group.config.distributedVirtualSwitch
    for switch in view(content, vim.DistributedVirtualSwitch).view:
        yield from ((host, CONNECTED_TO, switch) for host in switch.summary.hostMember)


def expected_edges(content: Any) -> set[tuple[str, RelationType, str]]:
    root = content.rootFolder
    return {
        (ref(source), kind, "VirtualCenter:" if target == root else ref(target))
        for source, kind, target in (*placed(content), *used(content))
        if target is not None
    }


def test_relations_are_those_of_the_tree(estate: Vsphere) -> None:
    inventory = found(estate)
    with session(estate) as instance:
        expected = expected_edges(instance.content)
    assert edges(inventory) == expected
    assert {kind for _, kind, _ in expected} == {MEMBER_OF, RUNS_ON, STORED_ON, CONNECTED_TO, ATTACHED_TO}


def name_of_disk(disk: Any) -> str:
    return f"{disk.deviceInfo.label}: 1 MiB thin {disk.backing.fileName}"


def test_attributes_and_sizes_are_those_of_the_guest(estate: Vsphere) -> None:
    with followed(collector(estate)) as following:
        inventory, readings = following.first, following.readings()
    resources = by_reference(inventory)
    values = {
        (block.layout.metric, key.resource): value
        for block in readings.blocks
        for key, value in zip(block.layout.series, block.values.tolist(), strict=True)
    }
    with session(estate) as instance:
        for guest in view(instance.content, vim.VirtualMachine).view:
            resource = resources[ref(guest)]
            attributes: Mapping[str, Any] = resource.attributes
            assert attributes["guest.path"] == guest.config.files.vmPathName
            assert attributes["guest.cpu.count"] == guest.config.hardware.numCPU
            assert attributes["guest.os"] == (guest.guest.guestFullName or guest.config.guestFullName)
            assert attributes.get("guest.addresses", "") == ", ".join(
                sorted(address for card in guest.guest.net for address in card.ipAddress)
            )
            devices: list[Any] = guest.config.hardware.device
            disks = [each for each in devices if isinstance(each, vim.vm.device.VirtualDisk)]
            cards: list[Any] = [each for each in devices if isinstance(each, vim.vm.device.VirtualEthernetCard)]
            files = [name_of_disk(disk) for disk in disks]
            assert attributes["guest.disks"] == ", ".join(files)
            assert {card.macAddress for card in cards} == {c.value for c in resource.claims if c.type == "mac"}
            assert all(card.macAddress in attributes["guest.network.cards"] for card in cards)
            snapshots = guest.snapshot.rootSnapshotList if guest.snapshot else []
            assert values["vm.snapshot.count", resource.key] == (2 if snapshots else 0)
            assert values["vm.memory.assigned", resource.key] == guest.config.hardware.memoryMB * 2**20
            assert values["system.cpu.logical.count", resource.key] == guest.config.hardware.numCPU
            if snapshots:
                assert attributes["guest.snapshots"] == 2
                assert attributes["guest.snapshots.tree"].startswith("before (")
                assert ", > after (" in attributes["guest.snapshots.tree"]
                assert 0 <= values["vm.snapshot.age", resource.key] < 600
        templates = [each for each in inventory.resources if each.attributes.get("guest.template")]
        assert [each.state for each in templates] == [State.STOPPED]


def test_a_host_without_a_vcenter_is_told_alike() -> None:
    with simulated(Size(guests=3), esx=True, version="") as server:
        inventory = found(server)
        with session(server) as instance:
            expected = {edge for edge in expected_edges(instance.content) if edge[2] != "VirtualCenter:"}
            names = {each["name"] for each in walk(instance.content, vim.VirtualMachine, "name").values()}
    assert {each.name for each in inventory.resources if each.key.kind is Kind.GUEST} == names
    assert not [each for each in inventory.resources if each.key.kind is Kind.SERVICE]
    assert edges(inventory) == expected
    assert guest_named(inventory, min(names)) is not None
