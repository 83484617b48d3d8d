"""The simulated vCenter itself: what it is after a crash, and what it says of changes between two calls."""

from collections.abc import Callable
from typing import Any

import pytest
from fixtures.vsphere import Size, Vsphere, simulated
from fixtures.vsphere_client import Watch, finished, name_of, session, succeeded, view, walk
from pyVmomi import vim, vmodl

IDENTITY = (
    "name", "config.instanceUuid", "config.uuid", "config.hardware.device", "runtime.host", "runtime.powerState",
    "runtime.bootTime", "snapshot", "parent", "triggeredAlarmState", "guest.net",
)  # fmt: skip


def guest_named(content: Any, name: str) -> Any:
    return next(guest for guest in view(content, vim.VirtualMachine).view if guest.name == name)


def events(content: Any) -> list[tuple[int, str, Any]]:
    found = content.eventManager.QueryEvents(vim.event.EventFilterSpec())
    return [(event.key, type(event).__name__, event.createdTime) for event in found]


def test_a_crash_loses_nothing_that_a_vcenter_has_in_its_database() -> None:
    with simulated(Size(clusters=1, hosts=2, guests=4, standalone=1, vapps=1, pods=1)) as server:
        with session(server) as instance:
            content = instance.content
            guest = guest_named(content, "DC0_C0_RP0_VM0")
            succeeded(guest.Rename("renamed"))
            succeeded(guest.CreateSnapshot("before", "the upgrade", False, False))
            server.raise_alarm(name_of(guest), "alarm-6", "red")
            before = walk(content, vim.VirtualMachine, *IDENTITY)
            hosts = walk(content, vim.HostSystem, "name", "hardware.systemInfo.uuid", "vm", "datastore")
            stores = walk(content, vim.Datastore, "name", "summary.url", "vm")
            past, about = events(content), content.about.instanceUuid
            server.kill()
            server.start()
        with session(server) as instance:
            content = instance.content
            assert content.about.instanceUuid == about == server.instance_uuid
            after = walk(content, vim.VirtualMachine, *IDENTITY)
            # Property by property: pyvmomi's objects know no equality, their texts do.
            assert {key: str(value) for key, value in after.items()} == {k: str(v) for k, v in before.items()}
            assert str(walk(content, vim.HostSystem, "name", "hardware.systemInfo.uuid", "vm", "datastore")) == str(
                hosts
            )
            assert str(walk(content, vim.Datastore, "name", "summary.url", "vm")) == str(stores)
            assert events(content)[: len(past)] == past
            assert events(content)[len(past)][0] == past[-1][0] + 1
            guest = guest_named(content, "renamed")
            succeeded(guest.snapshot.rootSnapshotList[0].snapshot.Remove(False))
            succeeded(guest.PowerOff())
            clone = succeeded(guest.Clone(guest.parent, "clone", vim.vm.CloneSpec(location=vim.vm.RelocateSpec())))
            assert name_of(clone) not in before
            succeeded(guest.Destroy())


def test_a_session_ends_with_the_process() -> None:
    with simulated(Size(guests=1)) as server, session(server) as instance:
        watch = Watch(instance.content)
        watch.changes()
        server.kill()
        server.start()
        with pytest.raises(OSError):  # the connection that the client had kept
            watch.changes()
        with pytest.raises(vim.fault.NotAuthenticated):
            watch.changes()


def create(guest: Any, content: Any) -> None:
    succeeded(guest.Clone(guest.parent, "made", vim.vm.CloneSpec(location=vim.vm.RelocateSpec())))


def move(guest: Any, content: Any) -> None:
    other = guest.parent.CreateFolder("other")
    succeeded(other.MoveIntoFolder_Task([guest]))


def migrate(guest: Any, content: Any) -> None:
    other = next(host for host in guest.runtime.host.parent.host if host != guest.runtime.host)
    succeeded(guest.Relocate(vim.vm.RelocateSpec(host=other)))


def mark(guest: Any, content: Any) -> None:
    succeeded(guest.PowerOff())
    guest.MarkAsTemplate()


CHANGES: dict[str, tuple[Callable[[Any, Any], object], str, set[str]]] = {
    "create": (create, "enter", {"name", "parent", "config.instanceUuid", "config.template", "runtime.powerState"}),
    "destroy": (lambda guest, _: (succeeded(guest.PowerOff()), succeeded(guest.Destroy())), "leave", set()),
    "rename": (lambda guest, _: succeeded(guest.Rename("called")), "modify", {"name"}),
    "move": (move, "modify", {"parent"}),
    "migrate": (migrate, "modify", {"runtime.host"}),
    "power": (lambda guest, _: succeeded(guest.PowerOff()), "modify", {"runtime.powerState"}),
    "snapshot": (lambda guest, _: succeeded(guest.CreateSnapshot("s", "", False, False)), "modify", {"snapshot"}),
    "template": (mark, "modify", {"config.template", "runtime.powerState"}),
    "host": (
        lambda guest, _: succeeded(guest.runtime.host.Disconnect()), "modify", {"runtime.connectionState"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_between_two_calls_is_reported_and_nothing_else(what: str) -> None:
    change, kind, expected = CHANGES[what]
    paths = ("name", "parent", "config.instanceUuid", "config.template", "runtime.host", "runtime.powerState",
             "runtime.connectionState", "snapshot")  # fmt: skip
    with simulated(Size(hosts=2, guests=3)) as server, session(server) as instance, session(server) as other:
        watch = Watch(instance.content, vim.VirtualMachine, paths)
        assert {kind for kind, *_ in watch.changes()} == {"enter"}
        guest = guest_named(other.content, "DC0_C0_RP0_VM1")
        near = [name_of(each) for each in guest.runtime.host.vm]
        change(guest, other.content)
        found = watch.changes()
        assert {each[0] for each in found} == {kind}
        if what == "host":
            assert sorted(name for _, name, _ in found) == sorted(near)
        elif what == "create":
            assert [name for _, name, _ in found] != [name_of(guest)]
        else:
            assert [name for _, name, _ in found] == [name_of(guest)]
        reported = set(found[0][2])
        assert expected <= reported if what == "create" else expected == reported
        assert watch.changes() == []


def test_a_long_poll_ends_when_something_changes(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        watch = Watch(instance.content)
        watch.changes()
        guest = guest_named(instance.content, "DC0_C0_RP0_VM0")
        vcenter.knobs(delay_seconds={"WaitForUpdatesEx": 0.2})
        vcenter.set_property(name_of(guest), "runtime.connectionState", "orphaned")
        assert watch.changes(seconds=60) == [("modify", name_of(guest), {"runtime.connectionState": "orphaned"})]


def test_an_answer_that_was_lost_is_given_again_and_other_versions_are_refused(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        watch = Watch(instance.content)
        watch.changes()
        guest = guest_named(instance.content, "DC0_C0_RP0_VM2")
        succeeded(guest.Rename("again"))
        first, second = watch.ask(watch.version), watch.ask(watch.version)
        assert first.version == second.version != watch.version
        assert str(first) == str(second)
        assert watch.ask(first.version) is None
        for version in ("nonsense", "1"):
            with pytest.raises(vmodl.query.InvalidCollectorVersion):
                watch.ask(version)


def test_answers_come_in_pages(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        whole = walk(instance.content, vim.VirtualMachine, "name")
        assert len(whole) == 14
        assert walk(instance.content, vim.VirtualMachine, "name", page=4) == whole
        assert vcenter.traffic(reset=True)["ContinueRetrievePropertiesEx"]["calls"] == 3
        vcenter.knobs(page_objects=5)
        assert walk(instance.content, vim.VirtualMachine, "name", page=8) == whole
        assert vcenter.traffic()["ContinueRetrievePropertiesEx"]["calls"] == 2
        watch = Watch(instance.content)
        first = watch.ask("", most=3)
        assert first.truncated
        assert len(first.filterSet[0].objectSet) == 3
        watch.version = first.version
        assert len(watch.changes(most=3)) == 11
        with pytest.raises(vmodl.fault.InvalidArgument):
            instance.content.propertyCollector.ContinueRetrievePropertiesEx("no token")


def test_a_guest_that_is_registered_again_keeps_its_uuids_under_a_new_reference(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        guest = guest_named(instance.content, "DC0_C1_RP0_VM3")
        succeeded(guest.PowerOff())
        config, folder, pool = guest.config, guest.parent, guest.resourcePool
        before = name_of(guest)
        guest.Unregister()
        again = succeeded(folder.RegisterVM_Task(config.files.vmPathName, "back", False, pool, None))
        assert name_of(again) != before
        assert (again.name, again.config.uuid, again.config.instanceUuid) == ("back", config.uuid, config.instanceUuid)
        assert str(again.config.hardware.device) == str(config.hardware.device)


def test_another_server_has_other_uuids_and_addresses(vcenter: Vsphere) -> None:
    def identities(server: Vsphere) -> set[str]:
        with session(server) as instance:
            guests = walk(instance.content, vim.VirtualMachine, "config.uuid", "config.instanceUuid", "guest.net")
            hosts = walk(instance.content, vim.HostSystem, "hardware.systemInfo.uuid")
        macs = {nic.macAddress for guest in guests.values() for nic in guest["guest.net"]}
        return macs | {str(value) for each in (*guests.values(), *hosts.values()) for key, value in each.items()
                       if "uuid" in key.lower()}  # fmt: skip

    with simulated(Size(clusters=2, hosts=3, guests=7)) as other:
        ours, theirs = identities(vcenter), identities(other)
        assert len(theirs) == 3 * 14 + 6
        assert not ours & theirs


def test_a_guest_moves_to_another_server_with_its_uuids(vcenter: Vsphere) -> None:
    with simulated(Size(guests=1)) as other, session(vcenter) as here, session(other) as there:
        guest = guest_named(here.content, "DC0_C1_RP0_VM6")
        moved = vim.vm.ConfigSpec(
            name=guest.name, uuid=guest.config.uuid, instanceUuid=guest.config.instanceUuid,
            files=vim.vm.FileInfo(vmPathName=f"[LocalDS_0] moved/{guest.name}.vmx"),
        )  # fmt: skip
        target = guest_named(there.content, "DC0_C0_RP0_VM0")
        created = succeeded(target.parent.CreateVM_Task(moved, target.resourcePool, None))
        assert created.config.instanceUuid == guest.config.instanceUuid
        assert created.config.uuid == guest.config.uuid


def test_custom_attributes_survive_a_crash() -> None:
    with simulated(Size(guests=1)) as server:
        with session(server) as instance:
            manager = instance.content.customFieldsManager
            field = manager.AddCustomFieldDef("owner", vim.VirtualMachine, None, None)
            manager.SetField(guest_named(instance.content, "DC0_C0_RP0_VM0"), field.key, "billing")
            server.kill()
            server.start()
        with session(server) as instance:
            (found,) = walk(instance.content, vim.VirtualMachine, "customValue").values()
            assert [(each.key, each.value) for each in found["customValue"]] == [(field.key, "billing")]
            other = instance.content.customFieldsManager.AddCustomFieldDef("cost", vim.VirtualMachine, None, None)
            assert other.key != field.key


def test_a_clone_has_an_address_of_its_own_and_leaves_its_source_alone(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        guest = guest_named(instance.content, "DC0_C1_RP0_VM5")
        devices = str(guest.config.hardware.device)
        clone = succeeded(guest.Clone(guest.parent, "twin", vim.vm.CloneSpec(location=vim.vm.RelocateSpec())))
        assert str(guest.config.hardware.device) == devices
        macs = [
            [
                each.macAddress
                for each in one.config.hardware.device
                if isinstance(each, vim.vm.device.VirtualEthernetCard)
            ]
            for one in (guest, clone)
        ]
        assert len(macs[0]) == len(macs[1]) == 1
        assert macs[0] != macs[1]


def test_guests_follow_what_is_asked_of_them(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        guest = guest_named(instance.content, "DC0_C0_RP0_VM6")
        booted = guest.runtime.bootTime
        guest.RebootGuest()
        assert guest.runtime.bootTime > booted
        guest.ShutdownGuest()
        assert (guest.runtime.powerState, guest.guest.toolsRunningStatus) == ("poweredOff", "guestToolsNotRunning")
        assert guest.runtime.bootTime is None
        with pytest.raises(vim.fault.InvalidPowerState):
            guest.RebootGuest()
        succeeded(guest.CreateSnapshot("off", "", False, False))
        succeeded(guest.PowerOn())
        vcenter.set_property(name_of(guest), "guest.toolsRunningStatus", "guestToolsNotRunning")
        with pytest.raises(vim.fault.ToolsUnavailable):
            guest.ShutdownGuest()
        assert isinstance(finished(guest.PowerOn()).error, vim.fault.InvalidPowerState)
        succeeded(guest.snapshot.rootSnapshotList[0].snapshot.Revert())
        assert guest.runtime.powerState == "poweredOff"
        succeeded(guest.RemoveAllSnapshots())
        assert guest.snapshot is None


def test_a_host_in_maintenance_gives_its_guests_away(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        host = next(host for host in view(instance.content, vim.HostSystem).view if len(host.vm) > 0)
        guests = [guest for guest in host.vm if guest.runtime.powerState == "poweredOn"]
        succeeded(host.EnterMaintenanceMode(60))
        assert host.runtime.inMaintenanceMode
        assert all(guest.runtime.host != host and guest in guest.runtime.host.vm for guest in guests)
        succeeded(host.ExitMaintenanceMode(60))
        assert not host.runtime.inMaintenanceMode


def test_a_standalone_host_answers_as_one() -> None:
    with simulated(Size(guests=3), esx=True, version="") as server, session(server) as instance:
        assert instance.content.about.apiType == "HostAgent"
        before = walk(instance.content, vim.VirtualMachine, "name", "config.instanceUuid")
        assert len(before) == 3
        assert len(walk(instance.content, vim.HostSystem, "name")) == 1
        guest = next(iter(view(instance.content, vim.VirtualMachine).view))
        succeeded(guest.PowerOff())
        assert "VmPoweredOffEvent" in {kind.rpartition(".")[2] for _, kind, _ in events(instance.content)}
        server.kill()
        server.start()
        with session(server) as again:
            assert walk(again.content, vim.VirtualMachine, "name", "config.instanceUuid") == before


def test_ten_thousand_guests_on_two_hundred_hosts_are_there() -> None:
    size = Size(clusters=10, hosts=20, guests=1000)
    with simulated(size, start_seconds=120) as server, session(server) as instance:
        names = walk(instance.content, vim.VirtualMachine, "name", page=1000)
        assert len({each["name"] for each in names.values()}) == 10_000
        assert len(walk(instance.content, vim.HostSystem, "name")) == 200
