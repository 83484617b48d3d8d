"""Events of a simulated vCenter: what they become, how they are read, and where they go on after whatever happened."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest
from fixtures.vsphere import PASSWORD, Size, Vsphere, simulated
from fixtures.vsphere_client import finished, name_of, view
from fixtures.vsphere_client import session as plain_session
from fixtures.vsphere_sessions import config, opened
from pyVmomi import vim

from satellite.collectors.vsphere import VsphereCollector, event_types
from satellite.collectors.vsphere.event_position import Position, parse
from satellite.collectors.vsphere.events import FIRST_MS, PAGE, EventReader
from satellite.collectors.vsphere.library import SessionEndedError
from satellite.collectors.vsphere.session import Session
from satellite.testing import LocalContext
from shared.model import Event, Kind, ResourceKey, Severity

HOUR: Final = 3_600_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def resolve(reference: str) -> ResourceKey | None:
    kind, _, identity = reference.partition(":")
    kinds = {"VirtualMachine": Kind.GUEST, "HostSystem": Kind.HOST, "ClusterComputeResource": Kind.CLUSTER}
    return ResourceKey(kinds[kind], identity) if kind in kinds else None


def reader(session: Session, after: str | None = None, tasks_every: float = 0) -> EventReader:
    return EventReader(session, after, resolve, now_ms, tasks_every)


def drained(reading: EventReader) -> list[Event]:
    """Return all that is new."""
    events: list[Event] = []
    more = True
    while more:
        found, more = reading.read()
        events += found
    return events


def told(session: Session, after: str | None = None) -> list[Event]:
    """Return all that is new for a reader of its own."""
    reading = reader(session, after)
    try:
        return drained(reading)
    finally:
        reading.close()


def keys(events: Sequence[Event]) -> list[int]:
    """Return the server's keys of those that are events of the server."""
    return [int(event.id.split("/")[1]) for event in events if event.id.split("/")[1].isdigit()]


@pytest.fixture
def session(vcenter: Vsphere) -> Iterator[Session]:
    with opened(vcenter) as opened_session:
        yield opened_session


@pytest.fixture
def guest(vcenter: Vsphere) -> Iterator[Any]:
    with plain_session(vcenter) as instance:
        yield min(view(instance.content, vim.VirtualMachine).view, key=lambda each: each.name)


def newest(session: Session) -> str:
    """Return the position behind all that has happened."""
    return told(session)[-1].position


def test_power_migration_alarms_and_logins_are_told_in_our_words(
    vcenter: Vsphere, session: Session, guest: Any
) -> None:
    after = newest(session)
    finished(guest.PowerOff())
    finished(guest.PowerOn())
    target = next(host for host in guest.runtime.host.parent.host if host != guest.runtime.host)
    source = guest.runtime.host
    finished(guest.Relocate(vim.vm.RelocateSpec(host=target)))
    vcenter.raise_alarm(name_of(guest), "alarm-6", "red")
    vcenter.raise_alarm(name_of(guest), "alarm-6", "yellow")
    vcenter.post_event("HostConnectionLostEvent", name_of(target), "a host\nis \x1b[31mlost\t" + "!" * 2000)
    vcenter.post_event("VmMacAssignedEvent", name_of(guest))
    with pytest.raises(vim.fault.InvalidLogin), plain_session(vcenter, PASSWORD + "x"):
        pass
    found = {event.type: event for event in told(session, after)}
    assert {"guest.stopping", "guest.stopped", "guest.starting", "guest.started"} <= found.keys()
    about = ResourceKey(Kind.GUEST, guest._moId)
    started, migrated = found["guest.started"], found["guest.migrated"]
    assert (started.resource, migrated.resource, started.severity) == (about, about, Severity.INFO)
    assert started.attributes["guest"] == guest.name
    assert started.attributes["cluster"] == source.parent.name
    assert started.attributes["user"]
    assert isinstance(started.attributes["chain"], int)
    assert abs(started.time_ms - now_ms()) < 60_000
    assert (migrated.attributes["from_host"], migrated.attributes["host"]) == (source.name, target.name)
    alarm = found["alarm.changed"]  # the second one
    assert (alarm.resource, alarm.severity) == (about, Severity.WARNING)
    assert {name: alarm.attributes[name] for name in ("from", "to")} == {"from": "red", "to": "yellow"}
    lost = found["host.connection_lost"]
    assert (lost.resource, lost.severity) == (ResourceKey(Kind.HOST, target._moId), Severity.CRITICAL)
    assert lost.message.isprintable()
    assert lost.message.startswith("a host is ")
    assert 500 < len(lost.message) <= 1000
    assert found["user.login_failed"].severity is Severity.WARNING
    assert found["user.login_failed"].attributes["address"]
    unknown = found["vsphere.vm_mac_assigned_event"]
    assert (unknown.severity, unknown.attributes["vsphere.event"]) == (Severity.INFO, "VmMacAssignedEvent")


def test_tasks_are_told_with_who_what_and_how_they_ended(vcenter: Vsphere, session: Session, guest: Any) -> None:
    reading = reader(session, newest(session))
    assert drained(reading) == []
    vcenter.knobs(task_seconds={"ResetVM_Task": 1}, task_fault={"SuspendVM_Task": "InsufficientResourcesFault"})
    slow = guest.Reset()
    finished(guest.Suspend())
    first = drained(reading)
    (failed,) = [event for event in first if event.type == "task.failed"]
    assert failed.severity is Severity.WARNING
    assert failed.resource == ResourceKey(Kind.GUEST, guest._moId)
    assert failed.message.startswith(f"VirtualMachine.suspend of {guest.name} by ")
    assert "has failed: InsufficientResourcesFault" in failed.message
    started = {event.attributes["task"]: event for event in first if event.type == "task.started"}
    assert started[failed.attributes["task"]].attributes["chain"] == failed.attributes["chain"]
    assert started[slow.info.key].attributes["task.what"] == "VirtualMachine.reset"
    finished(slow)
    (ended,) = [event for event in drained(reading) if event.type.startswith("task.")]
    assert (ended.type, ended.attributes["task"]) == ("task.finished", slow.info.key)
    assert drained(reading) == []
    reading.close()
    # The end that came later stands behind the one that is newer by its time: another reader tells neither again.
    assert [event for event in told(session, ended.position) if event.type.startswith("task.")] == []


def test_new_events_cost_a_call_and_a_reader_leaves_nothing_behind(
    vcenter: Vsphere, session: Session, guest: Any
) -> None:
    reading = reader(session, newest(session), tasks_every=1000)
    drained(reading)
    vcenter.traffic(reset=True)
    posted = []
    for _ in range(5):
        posted.append(vcenter.post_event("VmPoweredOnEvent", name_of(guest)))
        assert keys(drained(reading)) == posted[-1:]
    assert {name: each["calls"] for name, each in vcenter.traffic().items()} == {"ReadNextEvents": 5}
    reading.close()
    for _ in range(40):  # more than a session may have at once
        other = reader(session, newest(session) if _ == 0 else "", tasks_every=1000)
        drained(other)
        other.close()


def test_a_session_without_room_for_a_collector_is_opened_anew(vcenter: Vsphere, session: Session) -> None:
    readers = [reader(session) for _ in range(33)]
    for each in readers[:-1]:
        each.read()
    with pytest.raises(SessionEndedError, match="no more collectors"):
        readers[-1].read()
    with pytest.raises(SessionEndedError):
        session.clock()
    assert vcenter.sessions() > 0


def test_many_events_come_page_by_page_each_once() -> None:
    with simulated(Size(guests=1)) as server, opened(server) as session, plain_session(server) as instance:
        after = newest(session)
        guest = view(instance.content, vim.VirtualMachine).view[0]
        posted = [server.post_event("VmPoweredOnEvent", name_of(guest)) for _ in range(PAGE + 200)]
        reading = reader(session, after)
        pages = []
        more = True
        while more:
            events, more = reading.read()
            pages.append(keys(events))
        reading.close()
    assert len(pages) == 2
    assert 0 < len(pages[0]) <= PAGE
    assert [key for page in pages for key in page] == posted


def test_events_that_can_not_be_read_are_left_out_and_said() -> None:
    with simulated(Size(guests=1)) as server, opened(server) as session, plain_session(server) as instance:
        after = newest(session)
        guest = view(instance.content, vim.VirtualMachine).view[0]
        before = [server.post_event("VmPoweredOnEvent", name_of(guest)) for _ in range(120)]
        for _ in range(2):  # they have none of the objects that the type demands
            server.post_event("DasHostFailedEvent", name_of(guest.runtime.host))
        behind = [server.post_event("VmPoweredOnEvent", name_of(guest)) for _ in range(3)]
        found = told(session, after)
        assert keys(found) == [*before, *behind]
        lost = [event for event in found if event.type == "source.events_lost"]
        assert len(lost) == 2
        assert "none that can be read" in lost[0].message
        assert found.index(lost[0]) == len(before)
        assert keys(told(session, found[-2].position)) == behind[-1:]
        assert keys(told(session, lost[1].position)) == behind


def test_every_position_goes_on_right_behind_its_event(session: Session, vcenter: Vsphere, guest: Any) -> None:
    after = newest(session)
    for _ in range(3):
        vcenter.post_event("VmPoweredOnEvent", name_of(guest))
        finished(guest.Reset())
    every = told(session, after)
    assert len({event.id for event in every}) == len(every) > 9
    for number, event in enumerate(every):
        rest = [other.id for other in told(session, event.position)]
        assert rest == [other.id for other in every[number + 1 :]]


def test_the_first_start_begins_an_hour_ago_and_no_earlier(session: Session) -> None:
    reading = reader(session)
    reading.read()
    begin = reading._collector.filter.time.beginTime
    reading.close()
    assert abs(begin.timestamp() * 1000 - (now_ms() - FIRST_MS)) < 60_000
    assert told(session, "what another collector called a position")
    assert FIRST_MS == HOUR


def test_events_of_a_clock_that_was_set_back_are_told(vcenter: Vsphere, session: Session, guest: Any) -> None:
    vcenter.knobs(clock_seconds=120)
    vcenter.post_event("VmPoweredOnEvent", name_of(guest))
    after = newest(session)
    vcenter.knobs()
    posted = vcenter.post_event("VmPoweredOffEvent", name_of(guest))
    assert posted in keys(told(session, after))


def test_what_a_clock_ahead_of_ours_stamped_happened_now_at_the_latest(
    vcenter: Vsphere, session: Session, guest: Any
) -> None:
    after = newest(session)
    vcenter.knobs(clock_seconds=HOUR / 1000)
    vcenter.post_event("VmPoweredOnEvent", name_of(guest))
    (event,) = [each for each in told(session, after) if each.type == "guest.started"]
    assert abs(event.time_ms - now_ms()) < 60_000
    stamped = event.attributes["vsphere.time_ms"]
    assert isinstance(stamped, int)
    assert abs(stamped - now_ms() - HOUR) < 60_000


def test_another_vcenter_is_told_and_its_events_go_on_by_time(session: Session) -> None:
    every = told(session)
    here = parse(every[-1].position)
    assert here is not None
    elsewhere = replace(here, instance="another-instance", key=7, time_ms=every[5].time_ms)
    reset, *rest = told(session, elsewhere.text())
    assert (reset.type, reset.severity) == ("source.events_reset", Severity.WARNING)
    assert "another vCenter answers" in reset.message
    assert keys(rest) == keys([event for event in every if event.time_ms >= every[5].time_ms])
    again = told(session, reset.position)
    assert [event.id for event in again] == [event.id for event in rest]  # it is told once


def test_a_vcenter_that_was_restored_gives_keys_again_to_other_events(guest: Any, vcenter: Vsphere) -> None:
    with simulated(Size(guests=1)) as server:
        with plain_session(server) as instance:
            name = name_of(view(instance.content, vim.VirtualMachine).view[0])
        server.post_event("VmPoweredOnEvent", name)
        server.control("POST", "save")
        lost = [server.post_event("VmPoweredOffEvent", name) for _ in range(5)]
        with opened(server) as session:
            before = [event for event in told(session) if event.type.startswith("guest.")]
        assert keys(before)[-5:] == lost
        server.stop()  # without saving
        server.start()
        posted = [server.post_event("VmSuspendedEvent", name) for _ in range(3)]
        assert posted[0] <= lost[-1]
        with opened(server) as session:
            found = told(session, before[-1].position)
        assert found[0].type == "source.events_reset"
        assert "gone back to an earlier history" in found[0].message
        assert [key for key in keys(found) if key in posted] == posted
        assert not {event.id for event in before} & {event.id for event in found}
        with opened(server) as session:
            again = told(session, found[-1].position)
        assert "source.events_reset" not in {event.type for event in again}


def test_what_the_server_keeps_no_more_is_told_from_when_to_when(session: Session) -> None:
    every = told(session)
    oldest = every[0]
    here = parse(oldest.position)
    assert here is not None
    begin = oldest.time_ms - 5000
    forgotten = replace(here, key=here.key - 10, time_ms=begin)
    lost, *rest = told(session, forgotten.text())
    assert (lost.type, lost.severity) == ("source.events_lost", Severity.WARNING)
    assert lost.attributes["from_ms"] == begin
    until = lost.attributes["until_ms"]
    assert isinstance(until, int)
    assert until >= begin
    assert keys(rest)[0] <= keys(every)[0]
    assert [event.id for event in told(session, lost.position)] == [event.id for event in rest]


def test_an_esxi_host_tells_events_without_the_ends_of_tasks() -> None:
    with simulated(Size(guests=2), esx=True) as server, opened(server) as session:
        with plain_session(server) as instance:
            guest = view(instance.content, vim.VirtualMachine).view[0]
            finished(guest.PowerOff())
        found = told(session)
        assert {"task.started", "guest.stopped"} <= {event.type for event in found}
        assert not {event.type for event in found} & {"task.finished"}
        assert found[0].id.startswith(f"{session.content.about.instanceUuid or ''}/")


def test_the_collector_tells_them_at_once_with_the_resources_of_its_inventory() -> None:
    async def scenario(server: Vsphere, guest: Any) -> list[Event]:
        collector = VsphereCollector(config(server), LocalContext())
        await collector.open()
        found: list[Event] = []
        try:
            async for event in collector.events(None):
                if not isinstance(event, Event):
                    continue
                found.append(event)
                if event.type == "guest.stopped":
                    await asyncio.to_thread(lambda: finished(guest.Destroy()))
                if event.type == "guest.removed":
                    break
        finally:
            await collector.close()
        return found

    with simulated(Size(guests=2)) as server, plain_session(server) as instance:
        guest = view(instance.content, vim.VirtualMachine).view[0]
        key, host = guest.config.instanceUuid, guest.runtime.host.hardware.systemInfo.uuid
        finished(guest.PowerOff())
        server.post_event("HostConnectionLostEvent", name_of(guest.runtime.host))
        found = asyncio.run(scenario(server, guest))
    about = {event.type: event.resource for event in found}
    assert about["host.connection_lost"] == ResourceKey(Kind.HOST, host)
    for kind in ("task.started", "guest.stopped", "guest.removed"):
        assert about[kind] == ResourceKey(Kind.GUEST, key)


def test_every_class_of_the_table_is_one_of_the_vendors() -> None:
    names = [name for name in event_types._TABLE if "." not in name]
    assert len(names) > 100
    assert [name for name in names if not issubclass(getattr(vim.event, name), vim.event.Event)] == []


@pytest.mark.parametrize(
    ("name", "vendors", "expected"),
    [
        ("EventEx", None, ("vsphere.event_ex", Severity.INFO)),
        ("com.vmware.vc.HA.VmNotProtectedEvent", "error", ("guest.ha_unprotected", Severity.WARNING)),
        (
            "esx.problem.vmfs.heartbeat.timedout",
            None,
            ("vsphere.esx.problem.vmfs.heartbeat.timedout", Severity.WARNING),
        ),
        ("esx.problem.x", "info", ("vsphere.esx.problem.x", Severity.INFO)),
        ("esx.audit.host.boot", "error", ("vsphere.esx.audit.host.boot", Severity.CRITICAL)),
        ("VmWwnConflictEvent", None, ("vsphere.vm_wwn_conflict_event", Severity.WARNING)),
        ("Ünïcode !", None, ("vsphere._n_code__", Severity.INFO)),
        ("", None, ("vsphere.event", Severity.INFO)),
        ("x" * 500, None, ("vsphere." + "x" * 92, Severity.INFO)),
    ],
)
def test_what_is_in_no_table_gets_a_type_that_the_wire_takes(
    name: str, vendors: str | None, expected: tuple[str, Severity]
) -> None:
    assert event_types.event_type(name, vendors) == expected


@pytest.mark.parametrize("text", [None, "", "a", "a/b/c/d/e", "a/1/2/3", "a/1/2/x/"])
def test_what_is_no_position_is_none(text: str | None) -> None:
    assert parse(text) is None
    position = Position("uuid", 1, 2, 3, "task/4")
    assert parse(position.text()) == position
