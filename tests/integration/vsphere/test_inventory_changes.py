"""What changes at a simulated server is told by itself, within seconds, and nothing is read again for it."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.client import HTTPSConnection
from typing import Any

import pytest
from fixtures.vsphere import PASSWORD, USER, Size, Vsphere, simulated
from fixtures.vsphere_client import name_of, session, succeeded, view
from fixtures.vsphere_following import Followed, by_reference, collector, edges, followed, guest_named
from fixtures.waiting import wait_for
from pyVmomi import vim

import satellite.collectors.vsphere.following
import satellite.collectors.vsphere.tags
from satellite.collector import SourceUnreachableError
from shared.model import Inventory, Kind, RelationType, State

READS = {"RetrieveProperties", "RetrievePropertiesEx", "ContinueRetrievePropertiesEx", "CreateFilter"}


@pytest.fixture(scope="module")
def server() -> Iterator[Vsphere]:
    with simulated(Size(clusters=2, hosts=2, guests=10, pools=1)) as running:
        yield running


@pytest.fixture(scope="module")
def content(server: Vsphere) -> Iterator[Any]:
    with session(server) as instance:
        yield instance.content


@pytest.fixture(scope="module")
def following(server: Vsphere) -> Iterator[Followed]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(satellite.collectors.vsphere.following, "_REST_LEAST", 0.05)  # the tests wait for each change
        with followed(collector(server)) as opened:
            yield opened


def guest_of(content: Any, name: str) -> Any:
    return next(guest for guest in view(content, vim.VirtualMachine).view if guest.name == name)


def attribute(name: str, attribute: str) -> Callable[[Inventory], object]:
    def read(inventory: Inventory) -> object:
        found = guest_named(inventory, name)
        return found is not None and found.attributes.get(attribute)

    return read


def test_a_guest_is_created_and_destroyed(following: Followed, content: Any) -> None:
    guest = guest_of(content, "DC0_C0_RP0_VM0")
    before = following.inventory
    made = succeeded(guest.Clone(guest.parent, "made", vim.vm.CloneSpec(location=vim.vm.RelocateSpec())))
    found = following.sees(lambda inventory: guest_named(inventory, "made"), "the new guest")
    assert len(found.resources) == len(before.resources) + 1
    assert {kind for source, kind, _ in edges(found) if source == name_of(made)} >= {
        RelationType.RUNS_ON, RelationType.MEMBER_OF, RelationType.STORED_ON,
    }  # fmt: skip
    succeeded(made.Destroy())
    after = following.sees(lambda inventory: not guest_named(inventory, "made"), "the guest is gone")
    assert edges(after) == edges(before)


def test_what_did_not_change_is_handed_over_again_and_nothing_is_read(
    server: Vsphere, following: Followed, content: Any
) -> None:
    guest = guest_of(content, "DC0_C0_RP0_VM1")
    before = following.discovered()
    key = following.guest("DC0_C0_RP0_VM1").key
    server.traffic(reset=True)
    succeeded(guest.Rename("called"))
    after = following.sees(lambda inventory: guest_named(inventory, "called"), "the name")
    traffic = server.traffic()
    assert following.guest("called").key == key
    known = {id(resource) for resource in before.resources}
    fresh = [resource for resource in after.resources if id(resource) not in known]
    assert [resource.name for resource in fresh if resource.key.kind is not Kind.SERVICE] == ["called"]
    assert {id(relation) for relation in after.relations} == {id(relation) for relation in before.relations}
    told = {method: cost for method, cost in traffic.items() if method in READS | {"WaitForUpdatesEx"}}
    # The few that remain are the test's own, of the task that it waits for.
    assert told["WaitForUpdatesEx"]["bytes_out"] < 5000
    assert "CreateFilter" not in told
    succeeded(guest.Rename("DC0_C0_RP0_VM1"))
    following.sees(lambda inventory: guest_named(inventory, "DC0_C0_RP0_VM1"), "the old name")


def test_a_guest_is_stopped_suspended_and_started(following: Followed, content: Any) -> None:
    guest, name = guest_of(content, "DC0_C0_RP0_VM2"), "DC0_C0_RP0_VM2"

    def is_now(state: State) -> Callable[[Inventory], bool]:
        return lambda _: following.guest(name).state == state

    acts = (guest.PowerOff, State.STOPPED), (guest.PowerOn, State.RUNNING), (guest.Suspend, State.SUSPENDED)
    for act, state in acts:
        succeeded(act())
        following.sees(is_now(state), state)
        (block,) = (block for block in following.readings().blocks if block.layout.metric == "resource.state")
        values = dict(zip((key.resource for key in block.layout.series), block.values.tolist(), strict=True))
        assert values[following.guest(name).key] == {"stopped": 2, "running": 1, "suspended": 4}[state]
    targets = following.collector._followed().picture.targets
    assert guest._moId not in {target.id for target in targets}
    assert len(targets) > 20


def test_a_guest_moves_to_another_host_and_folder(following: Followed, content: Any) -> None:
    guest = guest_of(content, "DC0_C0_RP0_VM3")
    key = following.guest("DC0_C0_RP0_VM3").key
    here = guest.runtime.host
    there = next(host for host in here.parent.host if host != here)
    succeeded(guest.Relocate(vim.vm.RelocateSpec(host=there)))
    moved = following.sees(
        lambda inventory: (name_of(guest), RelationType.RUNS_ON, name_of(there)) in edges(inventory), "the other host"
    )
    assert (name_of(guest), RelationType.RUNS_ON, name_of(here)) not in edges(moved)
    other = guest.parent.CreateFolder("elsewhere")
    succeeded(other.MoveIntoFolder_Task([guest]))
    following.sees(
        lambda inventory: (name_of(guest), RelationType.MEMBER_OF, name_of(other)) in edges(inventory), "the folder"
    )
    assert following.guest("DC0_C0_RP0_VM3").key == key


def test_a_guest_becomes_a_template_and_is_registered_anew(following: Followed, content: Any) -> None:
    guest, name = guest_of(content, "DC0_C0_RP0_VM4"), "DC0_C0_RP0_VM4"
    first = following.guest(name)
    pool, folder, path = guest.resourcePool, guest.parent, guest.config.files.vmPathName
    succeeded(guest.PowerOff())
    guest.MarkAsTemplate()
    following.sees(attribute(name, "guest.template"), "a template")
    assert following.guest(name).key == first.key
    guest.MarkAsVirtualMachine(pool, None)
    following.sees(lambda inventory: not attribute(name, "guest.template")(inventory), "a guest again")
    guest.Unregister()
    again = succeeded(folder.RegisterVM_Task(path, "back", False, pool, None))
    following.sees(lambda inventory: guest_named(inventory, "back"), "the guest is back")
    assert following.guest("back").key == first.key
    assert following.guest("back").attributes["vsphere.id"] == again._moId != first.attributes["vsphere.id"]


def test_snapshots_come_and_go(following: Followed, content: Any) -> None:
    guest, name = guest_of(content, "DC0_C0_RP0_VM5"), "DC0_C0_RP0_VM5"
    succeeded(guest.CreateSnapshot("first", "", False, False))
    succeeded(guest.CreateSnapshot("second", "", False, False))
    following.sees(lambda inventory: attribute(name, "guest.snapshots")(inventory) == 2, "two snapshots")
    assert str(following.guest(name).attributes["guest.snapshots.tree"]).count(">") == 1
    assert [target.id for target in following.collector._followed().picture.snapshots] == [guest._moId]
    succeeded(guest.RemoveAllSnapshots())
    following.sees(lambda inventory: not attribute(name, "guest.snapshots")(inventory), "no snapshots")


def test_custom_attributes_and_their_names(following: Followed, content: Any) -> None:
    guest, name = guest_of(content, "DC0_C0_RP0_VM6"), "DC0_C0_RP0_VM6"
    field = content.customFieldsManager.AddCustomFieldDef("owner", vim.VirtualMachine, None, None)
    content.customFieldsManager.SetField(guest, field.key, "billing")
    following.sees(lambda inventory: attribute(name, "custom.owner")(inventory) == "billing", "the owner")
    content.customFieldsManager.RenameCustomFieldDef(field.key, "payer")
    following.sees(lambda inventory: attribute(name, "custom.payer")(inventory) == "billing", "the new name")
    assert "custom.owner" not in following.guest(name).attributes


def test_alarms_of_guests_and_of_the_server(server: Vsphere, following: Followed, content: Any) -> None:
    guest, name = guest_of(content, "DC0_C0_RP0_VM7"), "DC0_C0_RP0_VM7"
    server.raise_alarm(name_of(guest), "alarm-6", "red")
    following.sees(attribute(name, "vsphere.alarms"), "the alarm")
    text = str(following.guest(name).attributes["vsphere.alarms"])
    assert text.startswith("Virtual machine CPU usage: critical since ")
    content.alarmManager.AcknowledgeAlarm(vim.alarm.Alarm("alarm-6", content.rootFolder._stub), guest)
    following.sees(lambda inventory: "acknowledged" in str(attribute(name, "vsphere.alarms")(inventory)), "seen to")
    folder = by_reference(following.inventory)[name_of(guest.parent)]
    assert "vsphere.alarms" not in folder.attributes  # which lists those of what is in it
    server.raise_alarm(name_of(guest), "alarm-6", "green")
    following.sees(lambda inventory: not attribute(name, "vsphere.alarms")(inventory), "no alarm")
    server.raise_alarm(name_of(content.rootFolder), "alarm-49", "yellow")
    following.sees(
        lambda inventory: (
            "vSAN cluster health: warning"
            in str(by_reference(inventory)["VirtualCenter:"].attributes.get("vsphere.alarms"))
        ),
        "the server's own alarm",
    )


def test_a_cluster_is_as_well_as_its_hosts(following: Followed, content: Any) -> None:
    cluster = next(each for each in view(content, vim.ClusterComputeResource).view if each.name == "DC0_C1")

    def state(inventory: Inventory) -> tuple[State, str]:
        found = by_reference(inventory)[name_of(cluster)]
        return found.state, found.state_reason

    assert state(following.inventory) == (State.UP, "")
    succeeded(cluster.host[0].Disconnect())
    following.sees(
        lambda inventory: state(inventory) == (State.DEGRADED, "1 of 2 hosts are not up, 1 of them unknown"), "degraded"
    )
    succeeded(cluster.host[1].Disconnect())
    following.sees(lambda inventory: state(inventory)[0] is State.UNKNOWN, "unknown")
    for host in cluster.host:
        succeeded(host.Reconnect())
    following.sees(lambda inventory: state(inventory) == (State.UP, ""), "up")


def api(server: Vsphere, method: str, path: str, body: object = None, key: str = "") -> Any:
    connection = HTTPSConnection("127.0.0.1", server.port, context=server.tls())
    headers = {"vmware-api-session-id": key}
    if not key:
        headers = {"Authorization": "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    content = connection.getresponse().read()
    connection.close()
    return json.loads(content) if content else None


def test_tags_stand_at_what_they_are_attached_to(server: Vsphere, content: Any) -> None:
    guest = guest_of(content, "DC0_C0_RP0_VM8")
    key = api(server, "POST", "/api/session")
    tags = "/api/cis/tagging"
    for category, names in (("tier", ["gold"]), ("team", ["net", "db"])):
        made = api(server, "POST", f"{tags}/category", {"name": category}, key)
        for name in names:
            tag = api(server, "POST", f"{tags}/tag", {"name": name, "category_id": made}, key)
            target = {"object_id": {"type": "VirtualMachine", "id": guest._moId}}
            api(server, "POST", f"{tags}/tag-association/{tag}?action=attach", target, key)
    with followed(collector(server)) as following:
        found = following.guest("DC0_C0_RP0_VM8").attributes
        assert (found["tag.tier"], found["tag.team"]) == ("gold", "db, net")
        assert not any(name.startswith("tag.") for name in following.guest("DC0_C0_RP0_VM9").attributes)


def test_without_tags_the_inventory_is_as_good(
    server: Vsphere, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(satellite.collectors.vsphere.tags, "_SECONDS", -1.0)
    caplog.set_level("INFO")
    with followed(collector(server)) as following:
        assert not [each for each in following.first.resources if any(n.startswith("tag.") for n in each.attributes)]
        assert guest_named(following.first, "DC0_C0_RP0_VM8") is not None
    assert "tags of vSphere at" in caplog.text


def test_a_history_that_can_not_be_read_costs_no_change(
    server: Vsphere, content: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.knobs(fault={"ReadNextEvents": "RestrictedVersion"})
    guest = guest_of(content, "DC0_C1_RP0_VM1")
    with followed(collector(server)) as following:
        for name in ("told once", "told twice"):
            succeeded(guest.Rename(name))
            following.sees(lambda inventory, name=name: guest_named(inventory, name), name)  # type: ignore[misc]
    server.knobs()
    assert "its events are read on in 60 s" in caplog.text


def test_the_server_forgets_the_watch(server: Vsphere, following: Followed, content: Any) -> None:
    server.knobs(fault={"WaitForUpdatesEx": "InvalidCollectorVersion"}, times={"WaitForUpdatesEx": 1})
    guest = guest_of(content, "DC0_C0_RP0_VM9")
    succeeded(guest.Rename("watched"))
    following.sees(lambda inventory: guest_named(inventory, "watched"), "the watch was begun anew")
    succeeded(guest.Rename("watched again"))
    found = following.sees(lambda inventory: guest_named(inventory, "watched again"), "it goes on")
    assert len(found.resources) == len(following.first.resources) + 1  # and the folder that was made


def test_a_dead_watch_is_told_by_the_next_cycle(content: Any, server: Vsphere) -> None:
    with followed(collector(server)) as mine:
        assert mine.readings().blocks
        server.knobs(status={"WaitForUpdatesEx": 503})
        succeeded(guest_of(content, "DC0_C1_RP0_VM0").Rename("noticed"))
        wait_for(lambda: mine.collector._followed()._lost, 30, "the watch ended")
        for ask in (mine.readings, mine.discovered):
            with pytest.raises(SourceUnreachableError, match="can't be followed any more"):
                ask()
        server.knobs()
