"""Each knob of the simulated vCenter does what it says: slow, refusing, lying, breaking."""

import time
from typing import Any

import pytest
from fixtures.vsphere import Size, Vsphere, simulated
from fixtures.vsphere_client import Watch, finished, name_of, session, succeeded, view, walk
from fixtures.waiting import wait_for
from pyVmomi import vim, vmodl


def first_guest(content: Any) -> Any:
    return min(view(content, vim.VirtualMachine).view, key=lambda guest: guest.name)


def test_traffic_is_counted_by_method(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        vcenter.traffic(reset=True)
        instance.CurrentTime()
        instance.CurrentTime()
        vcenter.knobs(fault={"CurrentTime": "RequestCanceled"}, times={"CurrentTime": 1})
        with pytest.raises(vmodl.fault.RequestCanceled):
            instance.CurrentTime()
        instance.CurrentTime()
        cost = vcenter.traffic()["CurrentTime"]
        assert (cost["calls"], cost["faults"]) == (4, 1)
        assert cost["bytes_in"] > 4 * 100 < cost["bytes_out"]
        assert vcenter.traffic().keys() == {"CurrentTime"}


def test_a_delay_holds_back_one_method_or_all(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        vcenter.knobs(delay_seconds={"CurrentTime": 0.3})
        instance.CurrentTime()
        instance.RetrieveContent()
        vcenter.knobs(delay_seconds={"*": 0.2})
        instance.RetrieveContent()
        cost = vcenter.traffic()
        assert cost["CurrentTime"]["seconds"] >= 0.3
        assert cost["RetrieveServiceContent"]["seconds"] >= 0.2


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("NoPermission", vim.fault.NoPermission),
        ("NotAuthenticated", vim.fault.NotAuthenticated),
        ("RequestCanceled", vmodl.fault.RequestCanceled),
        ("RestrictedVersion", vim.fault.RestrictedVersion),
    ],
)
def test_a_method_answers_with_a_fault(vcenter: Vsphere, name: str, error: type[Exception]) -> None:
    with session(vcenter) as instance:
        vcenter.knobs(fault={"CurrentTime": name})
        with pytest.raises(error):
            instance.CurrentTime()
        vcenter.knobs()
        instance.CurrentTime()


@pytest.mark.parametrize("status", [500, 503])
def test_a_method_answers_with_an_http_status(vcenter: Vsphere, status: int) -> None:
    with session(vcenter) as instance:
        vcenter.knobs(status={"CurrentTime": status}, times={"CurrentTime": 1})
        # pyvmomi takes a 500 for a fault and finds no XML in it; any other status is HTTP's.
        with pytest.raises(Exception) as raised:
            instance.CurrentTime()
        assert raised.type.__name__ in {"HTTPException", "ExpatError", "ParserError"}
        instance.CurrentTime()


def test_a_connection_is_cut_in_the_middle_of_an_answer(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        vcenter.knobs(cut_bytes={"RetrieveServiceContent": 1000}, times={"RetrieveServiceContent": 1})
        with pytest.raises(Exception) as raised:  # which one is pyvmomi's affair
            instance.RetrieveContent()
        assert raised.type.__name__ in {"IncompleteRead", "ExpatError", "ParserError", "ConnectionResetError"}
        instance.RetrieveContent()


def test_a_user_lacks_a_privilege(vcenter: Vsphere) -> None:
    lacking = "VirtualMachine.Interact.PowerOff"
    with session(vcenter) as instance:
        content = instance.content
        guest = first_guest(content)
        vcenter.knobs(without=[lacking])
        for act in (guest.PowerOff, guest.ShutdownGuest):
            with pytest.raises(vim.fault.NoPermission) as raised:
                act()
            assert raised.value.privilegeId == lacking
        assert guest.runtime.powerState == "poweredOn"
        key = content.sessionManager.currentSession.key
        wanted = [lacking, "VirtualMachine.Interact.PowerOn"]
        (answer,) = content.authorizationManager.HasPrivilegeOnEntities([content.rootFolder], key, wanted)
        assert {each.privId: each.isGranted for each in answer.privAvailability} == {lacking: False, wanted[1]: True}


def test_properties_are_missing_or_denied(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        content = instance.content
        guest = first_guest(content)
        name = name_of(guest)
        watch = Watch(content, paths=("name", "config.uuid", "runtime.host"))
        watch.changes()
        # As a guest that is being cloned: it has neither a configuration nor a host yet.
        vcenter.knobs(hide={name: ["config", "runtime.host"]})
        assert watch.changes() == [("modify", name, {"config.uuid": None, "runtime.host": None})]
        found = walk(content, vim.VirtualMachine, "name", "config.uuid", "runtime.host")
        assert found[name].keys() == {"name"}
        assert all(len(each) == 3 for key, each in found.items() if key != name)
        vcenter.knobs(deny={"VirtualMachine": ["config.uuid"]})
        assert all(each.keys() == {"name", "runtime.host"} for each in walk(
            content, vim.VirtualMachine, "name", "config.uuid", "runtime.host").values())  # fmt: skip
        vcenter.knobs(deny={name: ["name"]})
        with pytest.raises(vim.fault.NoPermission):
            _ = guest.name


@pytest.mark.parametrize("state", ["orphaned", "inaccessible", "invalid", "disconnected"])
def test_a_guest_is_in_any_state_that_a_test_wants(vcenter: Vsphere, state: str) -> None:
    with session(vcenter) as instance:
        guest = first_guest(instance.content)
        watch = Watch(instance.content)
        watch.changes()
        vcenter.set_property(name_of(guest), "runtime.connectionState", state)
        assert watch.changes() == [("modify", name_of(guest), {"runtime.connectionState": state})]
        vcenter.set_property(name_of(guest), "runtime.connectionState", "connected")


def test_a_property_that_does_not_exist_is_refused(vcenter: Vsphere) -> None:
    with pytest.raises(AssertionError, match="has no property"):
        vcenter.set_property("Folder:group-d1", "colour", "blue")


def test_quick_statistics_can_be_negative(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        guest = first_guest(instance.content)
        vcenter.set_property(name_of(guest), "summary.quickStats.overallCpuUsage", -1)
        vcenter.knobs(clock_seconds=60)  # the next values are due
        assert guest.summary.quickStats.overallCpuUsage == -1


def test_a_task_fails_or_does_not_end(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        guest = first_guest(instance.content)
        vcenter.knobs(task_fault={"CreateSnapshot_Task": "Timedout"})
        task = guest.CreateSnapshot("no", "", False, False)
        assert isinstance(finished(task).error, vim.fault.Timedout)
        assert guest.snapshot is None
        vcenter.knobs(task_seconds={"CreateSnapshot_Task": 3600})
        task = guest.CreateSnapshot("slow", "", False, False)
        info = task.info
        assert (info.state, info.result, info.completeTime) == ("running", None, None)
        vcenter.knobs(task_seconds={"CreateSnapshot_Task": 0.2})
        wait_for(lambda: task.info.state == "success", 5, "the task ends when its time is over")
        succeeded(guest.RemoveAllSnapshots())


def test_the_clock_of_the_server_is_wrong(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        vcenter.knobs(clock_seconds=-600)
        assert -610 < instance.CurrentTime().timestamp() - time.time() < -590


def test_sessions_end_by_command_also_in_the_middle_of_a_call(vcenter: Vsphere) -> None:
    with session(vcenter) as instance:
        watch = Watch(instance.content)
        watch.changes()
        assert vcenter.end_sessions() >= 1
        with pytest.raises(vim.fault.NotAuthenticated):
            watch.changes(seconds=60)


def test_an_idle_session_ends_by_itself() -> None:
    with simulated(Size(guests=1), idle_seconds=0.5) as server, session(server) as instance:
        wait_for(lambda: server.sessions() == 0, 5, "the session ends")
        with pytest.raises(vim.fault.NotAuthenticated):
            walk(instance.content, vim.VirtualMachine, "name")


def test_a_wrong_password_is_refused_and_a_new_one_counts(vcenter: Vsphere) -> None:
    with pytest.raises(vim.fault.InvalidLogin), session(vcenter, "wrong"):
        pass
    vcenter.set_password("another")
    with pytest.raises(vim.fault.InvalidLogin), session(vcenter):
        pass
    with session(vcenter, "another") as instance:
        kinds = [
            type(event).__name__ for event in instance.content.eventManager.QueryEvents(vim.event.EventFilterSpec())
        ]
        assert kinds.count("vim.event.BadUsernameSessionEvent") == 2
