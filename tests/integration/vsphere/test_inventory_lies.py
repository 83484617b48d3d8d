"""A server that lies, hides or lacks things: what is wrong costs itself, and all else is told."""

import time
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import pytest
from fixtures.vsphere import Size, Vsphere, simulated
from fixtures.vsphere_client import name_of, session, view
from fixtures.vsphere_following import by_reference, collector, followed
from pyVmomi import vim

from satellite.collectors.vsphere import asking, watch
from satellite.collectors.vsphere.connection import Meter
from satellite.collectors.vsphere.facts import text
from satellite.collectors.vsphere.paths import WATCHED
from satellite.collectors.vsphere.picture import Change
from satellite.collectors.vsphere.session import Refused, Session
from satellite.collectors.vsphere.watch import Watch
from satellite.testing import check_inventory
from shared.model import Inventory, Kind, Resource, State


@pytest.fixture(scope="module")
def server() -> Iterator[Vsphere]:
    with simulated(Size(hosts=2, guests=6, pools=1)) as running:
        yield running


@pytest.fixture(autouse=True)
def honest(server: Vsphere) -> Iterator[None]:
    yield
    server.knobs()


@pytest.fixture(scope="module")
def guests(server: Vsphere) -> Iterator[list[Any]]:
    with session(server) as instance:
        yield sorted(view(instance.content, vim.VirtualMachine).view, key=lambda guest: guest.name)


def found(server: Vsphere) -> Inventory:
    with followed(collector(server)) as following:
        check_inventory(following.first)
        return following.first


def of_kind(inventory: Inventory, kind: Kind) -> list[Resource]:
    return [each for each in inventory.resources if each.key.kind is kind]


def test_a_guest_that_is_being_cloned_gets_its_key_when_it_has_one(server: Vsphere, guests: list[Any]) -> None:
    name = name_of(guests[0])
    server.knobs(hide={name: ["config", "runtime.host", "guest", "datastore"]})
    with followed(collector(server)) as following:
        bare = by_reference(following.first)[name]
        assert (bare.key.key, bare.state, bare.claims) == (guests[0]._moId, State.RUNNING, ())
        whole = [each for each in of_kind(following.first, Kind.GUEST) if each.claims]
        assert len(whole) == len(guests) - 1
        server.knobs()
        expected = guests[0].config.instanceUuid
        following.sees(lambda inventory: by_reference(inventory)[name].key.key == expected, "the key")
        check_inventory(following.inventory)


def test_a_guest_that_can_not_be_reached_any_more_is_who_it_was(server: Vsphere, guests: list[Any]) -> None:
    name = name_of(guests[0])
    with followed(collector(server)) as following:
        key = by_reference(following.first)[name].key
        server.knobs(hide={name: ["config"]})
        following.sees(lambda inventory: "guest.path" not in by_reference(inventory)[name].attributes, "little is told")
        assert by_reference(following.inventory)[name].key == key

        async def again() -> Inventory:
            await following.collector.close()
            await following.collector.open()
            return await following.collector.discover()

        assert by_reference(following.run(again))[name].key == key


@pytest.mark.parametrize("path", ["config.hardware.device", "config.instanceUuid", "name", "runtime.powerState"])
def test_a_property_that_may_not_be_read_is_missing_and_nothing_else(
    server: Vsphere, guests: list[Any], path: str
) -> None:
    usual = found(server)
    server.knobs(deny={"VirtualMachine": [path]})
    inventory = found(server)
    assert len(inventory.resources) == len(usual.resources)
    assert len(inventory.relations) == len(usual.relations)
    told = by_reference(inventory)[name_of(guests[1])]
    expected = {
        "config.hardware.device": "guest.disks" not in told.attributes,
        "config.instanceUuid": told.key.key == guests[1].config.uuid,
        "name": told.name == guests[1]._moId,
        "runtime.powerState": told.state is State.UNKNOWN,
    }
    assert expected[path]


@pytest.mark.parametrize(
    "kind", ["HostSystem", "Datastore", "ClusterComputeResource", "Folder", "ResourcePool", "Network"]
)
def test_objects_of_which_nothing_may_be_read_are_still_objects(server: Vsphere, kind: str) -> None:
    usual = found(server)
    server.knobs(deny={kind: list(WATCHED[kind])}, hide={kind: ["name"]})
    inventory = found(server)
    assert len(inventory.resources) == len(usual.resources)
    assert len(of_kind(inventory, Kind.GUEST)) == 6


@pytest.mark.parametrize("state", ["orphaned", "inaccessible", "invalid", "disconnected"])
def test_guests_out_of_reach_are_unknown(server: Vsphere, guests: list[Any], state: str) -> None:
    name = name_of(guests[2])
    server.set_property(name, "runtime.connectionState", state)
    try:
        told = by_reference(found(server))[name]
        assert told.state is State.UNKNOWN
        assert told.state_reason
    finally:
        server.set_property(name, "runtime.connectionState", "connected")


@pytest.mark.parametrize("wrong", ["\0\x1b[2J\u202e", "n" * 100_000, "%2f\u0001 %25", "\ufffe", "  "])
def test_hostile_texts(server: Vsphere, guests: list[Any], wrong: str) -> None:
    name, usual = name_of(guests[3]), guests[3].name
    for path in ("name", "guest.hostName", "config.guestFullName", "config.files.vmPathName"):
        server.set_property(name, path, wrong)
    try:
        told = by_reference(found(server))[name]
        assert len(told.name) <= 300
        assert all(
            len(value) <= 1100 and value.isprintable() for value in told.attributes.values() if type(value) is str
        )
    finally:
        server.set_property(name, "name", usual)


def test_guests_with_one_uuid_are_two_guests_with_a_flag(server: Vsphere, guests: list[Any]) -> None:
    first, second = guests[4], guests[5]
    old, usual = first.config.instanceUuid, second.config.instanceUuid
    with followed(collector(server)) as following:
        server.set_property(name_of(second), "config.instanceUuid", old)
        following.sees(
            lambda inventory: by_reference(inventory)[name_of(second)].attributes.get("duplicate_uuid"), "the flag"
        )
        check_inventory(following.inventory)
        resources = by_reference(following.inventory)
        keys = {resources[name_of(each)].key.key for each in (first, second)}
        assert keys in ({old, f"{old}/{second._moId}"}, {old, f"{old}/{first._moId}"})
        assert resources[name_of(first)].attributes["duplicate_uuid"] is True
        server.set_property(name_of(second), "config.instanceUuid", usual)
        following.sees(lambda inventory: by_reference(inventory)[name_of(second)].key.key == usual, "its own key")
        assert "duplicate_uuid" not in by_reference(following.inventory)[name_of(first)].attributes


def test_a_server_that_gives_little_at_once_is_read_to_the_end(server: Vsphere) -> None:
    usual = found(server)
    server.traffic(reset=True)
    server.knobs(page_objects=3)
    paged = found(server)
    assert by_reference(paged).keys() == by_reference(usual).keys()
    assert set(paged.relations) == set(usual.relations)
    assert server.traffic()["WaitForUpdatesEx"]["calls"] > len(usual.resources) / 3


def test_a_property_that_an_older_server_lacks_is_left_out(server: Vsphere, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = found(server)
    more = {**WATCHED, "VirtualMachine": {**WATCHED["VirtualMachine"], "config.newInVersion99": text}}
    for module in (asking, watch):
        monkeypatch.setattr(module, "WATCHED", MappingProxyType(more))
    inventory = found(server)
    assert {each.key: each for each in inventory.resources} == {each.key: each for each in usual.resources}


def test_what_nobody_can_read_costs_one_property(server: Vsphere, caplog: pytest.LogCaptureFixture) -> None:
    with session(server) as instance:
        # The simulator tells this field without its type, which the vendor's own client refuses to read.
        fields = instance.content.customFieldsManager
        with pytest.raises(TypeError):
            fields.AddCustomFieldDef("broken", None, None, None)
    inventory = found(server)
    assert len(of_kind(inventory, Kind.GUEST)) == 6
    assert "field of CustomFieldsManager can't be read" in caplog.text


def test_a_part_of_a_property_lets_the_object_be_read_anew(server: Vsphere, guests: list[Any]) -> None:
    one = Session(collector(server).config, Meter(), Refused())
    one.open()
    try:
        subject = Watch(one)
        subject.begin()
        update = vim.VirtualMachine(guests[0]._moId, one.stub)
        kind = type("Update", (), {})
        told, change = kind(), kind()
        change.name, change.op, change.val = "config.hardware.device[4000].backing", "add", None
        told.obj, told.kind, told.changeSet, told.missingSet = update, "modify", [change], []
        (found,) = subject._changes(told)
        assert isinstance(found, Change)
        assert found.entered
        assert found.values["name"] == guests[0].name
        told.obj = vim.VirtualMachine("vm-99999", one.stub)
        assert list(subject._changes(told)) == []
        told.kind = "leave"
        (gone,) = subject._changes(told)
        assert gone.left
    finally:
        one.leave()


def test_a_server_that_changes_all_the_time_is_told_about_once_a_second(server: Vsphere, guests: list[Any]) -> None:
    name = name_of(guests[1])
    with followed(collector(server)) as following:
        begin = time.monotonic()
        for number in range(60):
            server.set_property(name, "guest.hostName", f"host-{number}")
        following.sees(
            lambda inventory: by_reference(inventory)[name].attributes["guest.hostname"] == "host-59", "the last one"
        )
        assert len(following.told) <= 2 + time.monotonic() - begin
