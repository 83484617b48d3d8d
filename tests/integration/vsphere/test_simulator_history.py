"""Events, alarms, vSAN and tags of the simulated vCenter, by plain pyvmomi and plain HTTP."""

import base64
import contextlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from typing import Any

import pytest
import vsanapiutils
from fixtures.vsphere import PASSWORD, USER, Size, Vsphere, simulated
from fixtures.vsphere_client import Watch, name_of, session, succeeded, view
from pyVmomi import vim

Filter = vim.event.EventFilterSpec


def first_guest(content: Any) -> Any:
    return min(view(content, vim.VirtualMachine).view, key=lambda guest: guest.name)


def keys(events: Any) -> list[int]:
    return [event.key for event in events]


def test_events_are_read_page_by_page_and_resumed_where_they_stopped(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        manager, guest = instance.content.eventManager, name_of(first_guest(instance.content))
        begin = instance.CurrentTime()
        posted = [vcenter.post_event("DrsVmMigratedEvent", guest) for _ in range(25)]
        reader = manager.CreateCollectorForEvents(Filter(time=Filter.ByTime(beginTime=begin)))
        pages = [keys(reader.ReadNextEvents(10)) for _ in range(4)]
        assert [len(page) for page in pages] == [10, 10, 5, 0]
        assert [key for page in pages for key in page] == posted
        more = [vcenter.post_event("VmPoweredOnEvent", guest) for _ in range(3)]
        assert keys(reader.ReadNextEvents(10)) == more
        assert keys(reader.ReadPreviousEvents(2)) == more[:0:-1]
        reader.RewindCollector()
        assert keys(reader.ReadNextEvents(100)) == posted + more
        reader.SetCollectorPageSize(4)
        assert sorted(keys(reader.latestPage)) == [posted[-1], *more]
        reader.DestroyCollector()


def test_events_are_selected_by_type_time_and_entity(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        manager, guest = instance.content.eventManager, first_guest(instance.content)
        begin = instance.CurrentTime()
        succeeded(guest.PowerOff())
        succeeded(guest.PowerOn())
        host_event = vcenter.post_event("HostConnectionLostEvent", name_of(guest.runtime.host), "gone")
        span = Filter.ByTime(beginTime=begin)
        off = manager.QueryEvents(Filter(time=span, eventTypeId=["VmPoweredOffEvent"]))
        assert [event.vm.vm for event in off] == [guest]
        mine = Filter.ByEntity(entity=guest, recursion="self")
        about = manager.QueryEvents(Filter(time=span, entity=mine))
        assert host_event not in keys(about)
        assert {"VmPoweredOffEvent", "VmPoweredOnEvent"} <= {type(each).__name__.rpartition(".")[2] for each in about}
        assert manager.QueryEvents(Filter(time=Filter.ByTime(beginTime=datetime.now(UTC) + timedelta(hours=1)))) == []
        tasks = manager.QueryEvents(Filter(time=span, eventTypeId=["TaskEvent"]))
        assert [each.info.descriptionId for each in tasks] == ["VirtualMachine.powerOff", "VirtualMachine.powerOn"]


def test_a_session_has_so_many_event_collectors_and_no_more(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        manager = instance.content.eventManager
        readers = [manager.CreateCollectorForEvents(Filter()) for _ in range(32)]
        with pytest.raises(vim.fault.InvalidState):
            manager.CreateCollectorForEvents(Filter())
        readers[0].DestroyCollector()
        manager.CreateCollectorForEvents(Filter())


def test_tasks_are_kept_selected_by_time_and_state_and_survive_a_crash() -> None:
    def ended(instance: Any, *states: str) -> list[tuple[str, str]]:
        begin = instance.CurrentTime() - timedelta(minutes=5)
        span = vim.TaskFilterSpec.ByTime(timeType="completedTime", beginTime=begin)
        wanted = vim.TaskFilterSpec(time=span, state=list(states))
        reader = instance.content.taskManager.CreateCollectorForTasks(wanted)
        found = [*reader.ReadNextTasks(2), *reader.ReadNextTasks(1000)]
        reader.DestroyCollector()
        return [(info.descriptionId, info.state) for info in found if info.entity._moId == guest]

    with simulated(Size(guests=1)) as server:
        with session(server) as instance:
            vm = first_guest(instance.content)
            guest = vm._moId
            server.knobs(task_fault={"SuspendVM_Task": "InvalidState"}, task_seconds={"RemoveAllSnapshots_Task": 300})
            succeeded(vm.PowerOff())
            succeeded(vm.PowerOn())
            vm.Suspend()
            vm.RemoveAllSnapshots()
            off, on = ("VirtualMachine.powerOff", "success"), ("VirtualMachine.powerOn", "success")
            suspend = ("VirtualMachine.suspend", "error")
            assert ended(instance, "success", "error")[-3:] == [off, on, suspend]
            assert ended(instance, "error") == [suspend]
            assert ended(instance)[-1] == suspend  # the other one has not ended
            before = ended(instance)
            server.kill()
            server.start()
        with session(server) as instance:
            assert ended(instance)[: len(before)] == before


def test_event_keys_go_on_after_a_crash() -> None:
    with simulated(Size(guests=1)) as server:
        with session(server) as instance:
            guest = name_of(first_guest(instance.content))
            seen = server.post_event("VmPoweredOnEvent", guest)
            server.kill()
            server.start()
        with session(server) as instance:
            begin = instance.CurrentTime() - timedelta(minutes=1)
            reader = instance.content.eventManager.CreateCollectorForEvents(Filter(time=Filter.ByTime(beginTime=begin)))
            after = server.post_event("VmPoweredOffEvent", guest)
            found = keys(reader.ReadNextEvents(1000))
            assert found == sorted(set(found))
            assert seen in found
            assert found[-1] == after


def test_an_alarm_is_on_its_object_and_all_above_it_until_it_is_green(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        content, guest = instance.content, first_guest(instance.content)
        definitions = {alarm.info.name: alarm for alarm in content.alarmManager.GetAlarm(None)}
        alarm = definitions["Virtual machine CPU usage"]
        watch = Watch(content, vim.ManagedEntity, ("triggeredAlarmState",))
        watch.changes()
        vcenter.raise_alarm(name_of(guest), alarm._moId, "red")
        found = {name: values["triggeredAlarmState"] for _, name, values in watch.changes()}
        above, each = [], guest
        while each != content.rootFolder:  # the view's root is not in the view
            above.append(name_of(each))
            each = each.parent
        assert sorted(found) == sorted(above)
        for states in found.values():
            (state,) = states
            assert (state.entity, state.alarm, state.overallStatus, state.acknowledged) == (guest, alarm, "red", False)
        content.alarmManager.AcknowledgeAlarm(alarm, guest)
        (state,) = guest.triggeredAlarmState
        assert (state.acknowledged, state.acknowledgedByUser) == (True, USER)
        vcenter.raise_alarm(name_of(guest), alarm._moId, "green")
        assert guest.triggeredAlarmState == []
        changes = content.eventManager.QueryEvents(Filter(eventTypeId=["AlarmStatusChangedEvent"]))
        assert [(each.to, each.entity.entity) for each in changes] == [("red", guest), ("green", guest)]


@contextlib.contextmanager
def vsan_services(server: Vsphere, instance: Any) -> Iterator[Mapping[str, Any]]:
    # What pyvmomi takes by itself is too old for the summary of what is synchronised.
    services = vsanapiutils.GetVsanVcMos(instance._stub, context=server.tls(), version="vsan.version.version12")
    try:
        yield services
    finally:
        services["vsan-cluster-health-system"]._stub.DropConnections()


def test_vsan_tells_health_space_resync_and_performance(vcenter: Vsphere) -> None:
    with session(vcenter) as instance, vsan_services(vcenter, instance) as services:
        cluster = view(instance.content, vim.ClusterComputeResource).view[0]
        assert cluster.configurationEx.vsanConfigInfo.enabled
        health = services["vsan-cluster-health-system"]
        assert health.QueryClusterHealthSummary(cluster, fetchFromCache=True).overallHealth == "green"
        vcenter.set_vsan(health="red", resync_bytes=1 << 30, resync_count=7, used_fraction=0.75)
        summary = health.QueryClusterHealthSummary(cluster, fetchFromCache=True)
        assert (summary.overallHealth, summary.groups[0].groupTests[0].testHealth) == ("red", "red")
        space = services["vsan-cluster-space-report-system"].QuerySpaceUsage(cluster)
        assert space.freeCapacityB * 4 == space.totalCapacityB
        syncing = services["vsan-cluster-object-system"].QuerySyncingVsanObjectsSummary(cluster)
        assert (syncing.totalObjectsToSync, syncing.totalBytesToSync) == (7, 1 << 30)
        performance = services["vsan-performance-manager"]
        kinds = {each.name for each in performance.GetSupportedEntityTypes()}
        assert kinds == {"cluster-domclient"}
        end = datetime.now(UTC)
        spec = vim.cluster.VsanPerfQuerySpec(
            entityRefId="cluster-domclient:*", startTime=end - timedelta(hours=1), endTime=end
        )
        (first,), (second,) = (performance.QueryVsanPerf([spec], cluster) for _ in range(2))
        assert len(first.sampleInfo.split(",")) == 12
        assert {each.metricId.label: each.values for each in first.value} == {
            each.metricId.label: each.values for each in second.value
        }
        vcenter.set_vsan(health="green", nan=True)
        (gap,) = performance.QueryVsanPerf([spec], cluster)
        assert set(gap.value[0].values.split(",")) == {"None"}


def test_a_cluster_without_vsan_is_refused() -> None:
    with (
        simulated(Size(guests=1)) as server,
        session(server) as instance,
        vsan_services(server, instance) as services,
    ):
        cluster = view(instance.content, vim.ClusterComputeResource).view[0]
        with pytest.raises(Exception, match="NotSupported"):
            services["vsan-cluster-space-report-system"].QuerySpaceUsage(cluster)


def rest(server: Vsphere, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    connection = HTTPSConnection("127.0.0.1", server.port, timeout=30, context=server.tls())
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    finally:
        connection.close()


def test_tags_are_attached_and_survive_a_crash() -> None:
    with simulated(Size(guests=2)) as server:

        def log_in() -> dict[str, str]:
            basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            status, key = rest(server, "POST", "/api/session", Authorization=f"Basic {basic}")
            assert status == 201
            return {"vmware-api-session-id": key}

        assert rest(server, "GET", "/api/cis/tagging/tag")[0] == 401
        key = log_in()
        category = {"name": "owner", "description": "", "cardinality": "SINGLE", "associable_types": []}
        _, category_id = rest(server, "POST", "/api/cis/tagging/category", category, **key)
        tag = {"name": "billing", "description": "", "category_id": category_id}
        _, tag_id = rest(server, "POST", "/api/cis/tagging/tag", tag, **key)
        with session(server) as instance:
            guest = first_guest(instance.content)._moId
        target = {"type": "VirtualMachine", "id": guest}
        path = f"/api/cis/tagging/tag-association/{tag_id}?action=attach"
        assert rest(server, "POST", path, {"object_id": target}, **key) == (200, None)
        server.kill()
        server.start()
        assert rest(server, "GET", "/api/cis/tagging/tag", **key)[0] == 401
        key = log_in()
        listing = "/api/cis/tagging/tag-association?action=list-attached-tags-on-objects"
        objects = [target, {"type": "VirtualMachine", "id": "vm-0"}]
        assert rest(server, "POST", listing, {"object_ids": objects}, **key) == (
            200, [{"object_id": target, "tag_ids": [tag_id]}],
        )  # fmt: skip
        assert rest(server, "GET", f"/api/cis/tagging/tag/{tag_id}", **key)[1] == tag | {"id": tag_id}
