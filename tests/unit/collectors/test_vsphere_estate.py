"""What is made of what a server tells, however wrong it is: one broken object never costs the others."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from pyVmomi import vim

from satellite.collectors.vsphere.alarms import Alarm
from satellite.collectors.vsphere.devices import addresses, hardware, mac, physical_cards, size
from satellite.collectors.vsphere.facts import LONG, MANY, Facts, instant, joined, name, references, text, whole
from satellite.collectors.vsphere.inventory import server
from satellite.collectors.vsphere.network import vlan
from satellite.collectors.vsphere.objects import Estate
from satellite.collectors.vsphere.paths import FIELDS, ROOT, SINGLE, WATCHED
from satellite.collectors.vsphere.picture import Change, Picture
from satellite.collectors.vsphere.snapshots import Snapshots, snapshots
from satellite.collectors.vsphere.state import States
from satellite.testing import check_inventory, check_readings
from shared.model import Kind, Relation, RelationType, Resource, ResourceKey, State

ROOT_FOLDER = "Folder:group-d1"
A, B = "500a1111-2222-3333-4444-555566667777", "500b1111-2222-3333-4444-555566667777"
HOSTILE = ["", "\0\x1b[2Jname\r\n", "a" * 100_000, "\ud800 half", "\u202egnp.exe", "%2fetc%2Fpasswd%25", " \t "]


def estate() -> Estate:
    return Estate(ROOT_FOLDER, server("vc", "vcenter.example", {"vsphere.version": "8.0.3"}), {})


def change(kind: str, number: str, **values: object) -> Change:
    return Change(kind, number, {path.replace("__", "."): value for path, value in values.items()}, entered=True)


def guest(number: str, uuid: str = A, **values: object) -> Change:
    usual = {
        "name": number, "parent": "Folder:group-v2", "config.instanceUuid": uuid, "runtime.host": "HostSystem:host-3",
        "runtime.powerState": "poweredOn", "runtime.connectionState": "connected", "config.hardware.numCPU": 2,
        "config.hardware.memoryMB": 1024,
    }  # fmt: skip
    given = {path.replace("__", "."): value for path, value in values.items()}
    return Change("VirtualMachine", number, usual | given, entered=True)


PLACES = (
    change("Folder", "group-v2", name="vm", parent=ROOT_FOLDER),
    change("ComputeResource", "domain-s4", name="esx", parent="Folder:group-v2", host=("HostSystem:host-3",)),
    change(
        "HostSystem", "host-3", name="esx", parent="ComputeResource:domain-s4", runtime__connectionState="connected"
    ),
    change("ResourcePool", "resgroup-5", name="Resources", parent="ComputeResource:domain-s4"),
)


def named(picture: Picture) -> Mapping[str, Resource]:
    return {str(each.attributes.get("vsphere.id")): each for each in picture.inventory.resources}


def seen(*changes: Change) -> Picture:
    one = estate()
    one.take((*PLACES, *changes))
    picture = one.picture()
    check_inventory(picture.inventory)
    check_readings(States().readings(picture, 1_800_000_000_000), {each.key for each in picture.inventory.resources})
    return picture


def test_a_guest_that_is_being_cloned_has_neither_configuration_nor_host() -> None:
    bare = Change("VirtualMachine", "vm-1", {"name": "clone", "runtime.powerState": "poweredOff"}, entered=True)
    picture = seen(bare, guest("vm-2"))
    found = named(picture)
    assert (found["vm-1"].key.key, found["vm-1"].state) == ("vm-1", State.STOPPED)
    assert found["vm-2"].state is State.RUNNING
    assert not [edge for edge in picture.inventory.relations if edge.source == found["vm-1"].key]


@pytest.mark.parametrize("connection", ["disconnected", "inaccessible", "invalid", "orphaned"])
def test_a_guest_out_of_reach_is_unknown_and_says_why(connection: str) -> None:
    picture = seen(guest("vm-1", runtime__connectionState=connection))
    found = named(picture)["vm-1"]
    assert found.state is State.UNKNOWN
    assert len(found.state_reason) > 10
    assert "vm-1" not in {target.id for target in picture.targets}


@pytest.mark.parametrize("wrong", HOSTILE)
def test_hostile_names_are_bounded_and_printable(wrong: str) -> None:
    found, line = name(wrong), text(wrong)
    assert found is not None
    assert line is not None
    assert found.isprintable()
    assert len(found) <= 300
    assert line.isprintable()
    picture = seen(guest("vm-1", name=found, guest__hostName=line))
    assert named(picture)["vm-1"].name


@pytest.mark.parametrize("wrong", [None, 5, 1.5, b"x", [], {}, object(), True, float("nan"), 2**70, -(2**70)])
def test_what_is_not_of_its_type_is_not_there(wrong: object) -> None:
    paths = WATCHED["VirtualMachine"]
    facts = Facts("VirtualMachine", "vm-1", dict.fromkeys(paths, wrong))
    assert all(isinstance(facts.text(path), str) for path in paths)
    assert all(facts.whole(path) is None or type(facts.whole(path)) is int for path in paths)
    assert all(not facts.listed(path) for path in paths)
    picture = seen(Change("VirtualMachine", "vm-1", dict.fromkeys(paths, wrong), entered=True), guest("vm-2"))
    assert {"vm-1", "vm-2"} <= named(picture).keys()


def test_a_number_of_the_librarys_own_type_is_a_number_at_once() -> None:
    from pyVmomi.VmomiSupport import long

    assert [type(whole(value)) for value in (long(3_591_345_000), -1, True, 2**63)] == [
        int,
        int,
        type(None),
        type(None),
    ]


def test_parents_in_a_circle_and_of_themselves() -> None:
    circle = (
        change("Folder", "a", name="a", parent="Folder:b"), change("Folder", "b", name="b", parent="Folder:a"),
        change("Folder", "c", name="c", parent="Folder:c"), change("Folder", "d", name="d", parent="Folder:gone"),
        change("ComputeResource", "e", name="e", parent="ComputeResource:e", host=("HostSystem:host-3",)),
    )  # fmt: skip
    picture = seen(*circle)
    keys = {each: ResourceKey(Kind.POOL, each) for each in "abcd"}
    edges = {edge for edge in picture.inventory.relations if edge.source in keys.values()}
    member = RelationType.MEMBER_OF
    assert edges == {Relation(keys["a"], member, keys["b"]), Relation(keys["b"], member, keys["a"])}


def test_a_host_without_cluster_stands_for_its_compute_resource() -> None:
    picture = seen(guest("vm-1"))
    found = named(picture)
    host, pool, folder, vcenter = (
        ResourceKey(Kind.HOST, "host-3"), ResourceKey(Kind.POOL, "resgroup-5"), ResourceKey(Kind.POOL, "group-v2"),
        ResourceKey(Kind.SERVICE, "vc"),
    )  # fmt: skip
    member = RelationType.MEMBER_OF
    assert set(picture.inventory.relations) == {
        Relation(host, member, folder), Relation(pool, member, host), Relation(folder, member, vcenter),
        Relation(found["vm-1"].key, member, folder), Relation(found["vm-1"].key, RelationType.RUNS_ON, host),
    }  # fmt: skip


def test_duplicates_are_flagged_and_claim_nothing() -> None:
    picture = seen(guest("vm-1", config__uuid=B), guest("vm-2", config__uuid=B), guest("vm-3", B))
    found = named(picture)
    assert [found[number].attributes.get("duplicate_uuid") for number in ("vm-1", "vm-2", "vm-3")] == [True, True, None]
    assert [len(found[number].claims) for number in ("vm-1", "vm-2", "vm-3")] == [0, 0, 1]
    assert len({each.key for each in picture.inventory.resources}) == len(picture.inventory.resources)


def test_only_what_changed_is_made_anew() -> None:
    one = estate()
    one.take((*PLACES, *(guest(f"vm-{number}", f"500a1111-2222-3333-4444-{number:012}") for number in range(50))))
    before = one.picture()
    one.take([Change("VirtualMachine", "vm-7", {"name": "called"})])
    after = one.picture()
    kept = {id(resource) for resource in before.inventory.resources}
    fresh = [each.name for each in after.inventory.resources if id(each) not in kept]
    assert fresh == ["called"]
    assert list(map(id, before.inventory.relations)) == list(map(id, after.inventory.relations))
    one.take([Change("HostSystem", "host-3", {}, left=True)])
    assert not [edge for edge in one.picture().inventory.relations if edge.type is RelationType.RUNS_ON]
    one.take([PLACES[2]])
    assert len([edge for edge in one.picture().inventory.relations if edge.type is RelationType.RUNS_ON]) == 50


def test_an_object_that_left_and_came_back_within_one_answer_is_there() -> None:
    one = estate()
    one.take((*PLACES, guest("vm-1")))
    one.picture()
    one.take([Change("VirtualMachine", "vm-1", {}, left=True), guest("vm-1", B)])
    assert named(one.picture())["vm-1"].key.key == B
    one.take([guest("vm-2", A), Change("VirtualMachine", "vm-2", {}, left=True)])
    assert "vm-2" not in named(one.picture())


def test_tags_and_custom_attributes_and_alarms_come_and_go() -> None:
    one = estate()
    one.take((*PLACES, guest("vm-1", customValue=((1, "billing"), (2, "nobody's")))))
    one.take([Change("CustomFieldsManager", "m", {FIELDS: ((1, "owner"),)})])
    one.take_tags({"VirtualMachine:vm-1": (("tier", "gold"),), "VirtualMachine:gone": (("tier", "lead"),)})
    alarm = Alarm("VirtualMachine:vm-1", "Alarm:alarm-6", "red", 1_700_000_000_000, acknowledged=True)
    own = Alarm(ROOT_FOLDER, "Alarm:alarm-7", "yellow", 0, acknowledged=False)
    one.take([Change("Folder", "group-d1", {ROOT: (alarm, own)})])
    assert one.unnamed_alarms() == ["Alarm:alarm-6", "Alarm:alarm-7"]
    one.alarm_names["Alarm:alarm-6"] = "CPU usage"
    picture = one.picture()
    found = named(picture)["vm-1"].attributes
    assert (found["custom.owner"], found["tag.tier"]) == ("billing", "gold")
    assert found["vsphere.alarms"] == "CPU usage: critical since 2023-11-14 22:13, acknowledged"
    (vcenter,) = (each for each in picture.inventory.resources if each.key.kind is Kind.SERVICE)
    assert vcenter.attributes["vsphere.alarms"] == "alarm-7: warning"
    one.take([Change("Folder", "group-d1", {ROOT: None})])
    one.take_tags({})
    found = named(one.picture())["vm-1"].attributes
    assert not {"vsphere.alarms", "tag.tier"} & found.keys()
    assert not one.stale


# --- converters


def tree(depth: int) -> Iterator[Any]:
    node = SimpleNamespace(name="leaf", createTime=None, childSnapshotList=[])
    for _ in range(depth):
        node = SimpleNamespace(name="s", createTime=None, childSnapshotList=[node])
    yield node


def test_a_tree_of_snapshots_may_be_as_deep_as_it_likes() -> None:
    found = snapshots(SimpleNamespace(rootSnapshotList=list(tree(5000))))
    assert (found.count, found.oldest_ms) == (5001, 0)
    assert len(found.tree) <= LONG + 30


def test_devices_that_are_broken_are_left_out() -> None:
    device = vim.vm.device
    card = device.VirtualE1000(macAddress="00:50:56:AA:BB:CC", deviceInfo=vim.Description(label="nic", summary=""))
    disk = device.VirtualDisk(capacityInKB=2**21, deviceInfo=vim.Description(label="disk", summary=""))
    found = hardware([card, device.VirtualDisk(), device.VirtualE1000(), disk, device.VirtualCdrom(), None, 5])
    assert found.macs == ("00:50:56:aa:bb:cc",)
    assert found.disks == "disk: 2 GiB"
    assert found.cards == "nic: E1000 00:50:56:aa:bb:cc"
    cards = physical_cards([SimpleNamespace(device="vmnic0", mac="00-0C-29-00-00-01", linkSpeed=None), None])
    assert (cards.cards, cards.macs) == ("vmnic0: 00:0c:29:00:00:01 no link", ("00:0c:29:00:00:01",))


@pytest.mark.parametrize("wrong", [None, "", "00:00:00:00:00:00", "zz:50:56:aa:bb:cc", "00:50:56:aa:bb:cc:dd", 7])
def test_what_is_no_address_of_a_card_is_none(wrong: object) -> None:
    assert mac(wrong) == ""


def test_lists_are_bounded_and_say_so() -> None:
    hosts = [vim.HostSystem(f"host-{number}") for number in range(MANY + 10)]
    assert len(references(hosts)) == MANY
    assert joined(["x" * 10] * 1000).endswith(", … 917 more")
    assert addresses([SimpleNamespace(ipAddress=["10.0.0.2", "10.0.0.1", "", "10.0.0.2"])]) == ("10.0.0.1", "10.0.0.2")
    assert [size(amount) for amount in (0, 1023, 1024, 3 * 2**40, 2**62)] == [
        "0 B",
        "1023 B",
        "1 KiB",
        "3 TiB",
        "4 EiB",
    ]


def test_times_and_virtual_lans() -> None:
    from datetime import UTC, datetime

    assert instant(datetime(2026, 1, 1, tzinfo=UTC)) == 1_767_225_600_000
    assert [instant(value) for value in (None, "2026", datetime(1, 1, 1, tzinfo=UTC))] == [None, None, None]
    ranges = [SimpleNamespace(start=0, end=99), SimpleNamespace(start=200, end=4094)]
    settings = (SimpleNamespace(vlanId=12), SimpleNamespace(vlanId=ranges), SimpleNamespace(pvlanId=7), None)
    texts = [vlan(SimpleNamespace(vlan=setting)) for setting in settings]
    assert texts == ["12", "trunk 0-99, 200-4094", "private 7", ""]


def test_the_oldest_snapshot_ages_without_asking_and_one_without_a_time_has_no_age() -> None:
    now = 1_800_000_000_000
    old, young = Snapshots(2, now - 60_000, "old, > young"), Snapshots(1, 0, "timeless")
    one = estate()
    one.take((*PLACES, guest("vm-1", snapshot=old), guest("vm-2", B, snapshot=young)))
    states, picture = States(), one.picture()
    first, second = states.readings(picture, now), states.readings(picture, now + 60_000)
    assert [block.layout for block in first.blocks] == [block.layout for block in second.blocks]
    ages = [
        block for readings in (first, second) for block in readings.blocks if block.layout.metric == "vm.snapshot.age"
    ]
    assert [block.values.tolist() for block in ages] == [[60.0], [120.0]]
    counts = next(block for block in first.blocks if block.layout.metric == "vm.snapshot.count")
    assert dict(zip((key.resource.key for key in counts.layout.series), counts.values, strict=True)) == {A: 2, B: 1}
    assert [target.id for target in picture.snapshots] == ["vm-1", "vm-2"]


def test_every_path_that_is_watched_is_used_and_those_of_metrics_are_not_there() -> None:
    assert all("quickStats" not in path for paths in (*WATCHED.values(), *SINGLE.values()) for path in paths)
    assert not {"config", "summary", "runtime", "guest", "summary.freeSpace"} & {
        p for ps in WATCHED.values() for p in ps
    }
