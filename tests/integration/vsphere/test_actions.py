"""Actions at a simulated vCenter: every verb done, refused, not allowed, tried dry, failing there and not ending."""

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest
from fixtures.vsphere import Size, Vsphere, simulated
from fixtures.vsphere_client import Watch, finished
from fixtures.vsphere_client import session as plain_session
from fixtures.vsphere_sessions import config, opened, references
from pyVmomi import vim

from satellite.collector import SourceUnreachableError
from satellite.collectors.vsphere.actions import VERBS, Actions
from satellite.collectors.vsphere.connection import Meter
from satellite.collectors.vsphere.session import Refused, Session
from satellite.testing import LocalContext
from shared.model import Action, ActionResult, Kind, ResourceKey

GUEST: Final = "DC0_C0_RP0_VM0"
OTHER: Final = "DC0_C0_RP0_VM1"
HOST: Final = "DC0_C0_H2"
_NUMBERS: Final = itertools.count()


@dataclass(frozen=True, slots=True)
class Doing:
    """How a verb is used here: on what, with what, after what; its method and privilege, as the vendor names them."""

    verb: str
    method: str
    privilege: str
    resource: str = GUEST
    arguments: Mapping[str, Any] | None = None
    first: Sequence[str] = ()  # power operations by the plain client, before it

    @property
    def key(self) -> ResourceKey:
        return ResourceKey(VERBS[self.verb].kind, self.resource)


DOINGS: Final = (
    Doing("start", "PowerOnVM_Task", "VirtualMachine.Interact.PowerOn", first=("PowerOff",)),
    Doing("stop", "PowerOffVM_Task", "VirtualMachine.Interact.PowerOff"),
    Doing("shutdown", "ShutdownGuest", "VirtualMachine.Interact.PowerOff"),
    Doing("reset", "ResetVM_Task", "VirtualMachine.Interact.Reset"),
    Doing("suspend", "SuspendVM_Task", "VirtualMachine.Interact.Suspend"),
    Doing("snapshot.create", "CreateSnapshot_Task", "VirtualMachine.State.CreateSnapshot", arguments={"name": "new"}),
    Doing(
        "snapshot.revert",
        "RevertToSnapshot_Task",
        "VirtualMachine.State.RevertToSnapshot",
        arguments={"snapshot": "kept"},
    ),
    Doing(
        "snapshot.delete",
        "RemoveSnapshot_Task",
        "VirtualMachine.State.RemoveSnapshot",
        arguments={"snapshot": "kept"},
    ),
    Doing("migrate", "RelocateVM_Task", "Resource.HotMigrate", arguments={"host": HOST}),
    Doing("maintenance.enter", "EnterMaintenanceMode_Task", "Host.Config.Maintenance", resource=HOST),
    Doing("maintenance.exit", "ExitMaintenanceMode_Task", "Host.Config.Maintenance", resource=HOST),
)
TASKS: Final = [doing for doing in DOINGS if doing.method.endswith("_Task")]


class Bench:
    """One vCenter, our session, and a plain client beside it."""

    def __init__(self, server: Vsphere, session: Session, content: Any) -> None:
        self.server, self.session, self.content = server, session, content
        self.found = references(server)
        self.watches = [
            Watch(content, vim.VirtualMachine, ("runtime.powerState", "runtime.host", "snapshot", "runtime.bootTime")),
            Watch(content, vim.HostSystem, ("runtime.inMaintenanceMode", "vm")),
        ]

    def managed(self, key: ResourceKey) -> Any:
        kind, _, identity = self.found[key].partition(":")
        return getattr(vim, kind)(identity, self.content.rootFolder._stub)

    @property
    def guest(self) -> Any:
        return self.managed(ResourceKey(Kind.GUEST, GUEST))

    def prepare(self, doing: Doing) -> None:
        """Bring guest and hosts to where the verb can be carried out; the guest runs on another host than HOST."""
        self.server.knobs()
        host = self.managed(ResourceKey(Kind.HOST, HOST))
        if host.runtime.inMaintenanceMode != (doing.verb == "maintenance.exit"):
            finished(host.ExitMaintenanceMode(0) if host.runtime.inMaintenanceMode else host.EnterMaintenanceMode(0))
        guest = self.guest
        finished(guest.RemoveAllSnapshots())
        if guest.runtime.powerState != "poweredOn":
            finished(guest.PowerOn())
        target = self.managed(ResourceKey(Kind.HOST, "DC0_C0_H0"))
        if guest.runtime.host != target:
            finished(guest.Relocate(vim.vm.RelocateSpec(host=target)))
        for name in ("kept", "later"):
            finished(guest.CreateSnapshot(name, "", False, False))
        for operation in doing.first:
            finished(getattr(guest, operation)())
        self.changes()
        self.server.traffic(reset=True)

    def changes(self) -> list[Any]:
        """Return what has changed at the server since the last call."""
        return [change for watch in self.watches for change in watch.changes()]

    def calls(self, method: str) -> float:
        return self.server.traffic().get(method, {"calls": 0})["calls"]


@pytest.fixture(scope="module")
def only_bench() -> Iterator[Bench]:
    with simulated(Size()) as server, opened(server) as session, plain_session(server) as instance:
        yield Bench(server, session, instance.content)


@pytest.fixture
def bench(only_bench: Bench) -> Iterator[Bench]:
    yield only_bench
    only_bench.server.knobs()


def actions(bench: Bench) -> Actions:
    return Actions(LocalContext(), lambda: bench.session, bench.found.get)


def asked(doing: Doing, *, dry_run: bool = False, number: str = "", **arguments: Any) -> Action:
    wanted = {**(doing.arguments or {}), **arguments}
    return Action(number or f"a{next(_NUMBERS)}", doing.key, doing.verb, wanted, dry_run)


def act(bench: Bench, action: Action) -> tuple[ActionResult, list[tuple[float, str]]]:
    told: list[tuple[float, str]] = []
    result = asyncio.run(actions(bench).act(action, lambda share, what: told.append((share, what))))
    return result, told


def verbs(doings: Sequence[Doing]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("doing", doings, ids=[doing.verb for doing in doings])


def test_every_verb_has_its_case_here() -> None:
    assert {doing.verb for doing in DOINGS} == set(VERBS)


@verbs(DOINGS)
def test_it_is_done_and_told_and_a_dry_run_changes_nothing(bench: Bench, doing: Doing) -> None:
    bench.prepare(doing)
    dry, told = act(bench, asked(doing, dry_run=True))
    assert dry.succeeded, dry
    assert dry.message.startswith(f"{doing.resource} would ")
    assert (told, bench.calls(doing.method), bench.changes()) == ([], 0, [])
    result, told = act(bench, asked(doing))
    assert result.succeeded, result
    assert result.message.startswith(f"{doing.resource} ")
    assert (bench.calls(doing.method), told[0][0], told[-1][0]) == (1, 0.0, 1.0)
    assert bench.changes()
    state = {"start": "poweredOn", "stop": "poweredOff", "shutdown": "poweredOff", "suspend": "suspended"}
    assert bench.guest.runtime.powerState == state.get(doing.verb, "poweredOn")


@verbs(DOINGS)
def test_a_missing_privilege_is_named_and_nothing_is_tried(bench: Bench, doing: Doing) -> None:
    bench.prepare(doing)
    bench.server.knobs(without=[doing.privilege])
    for dry_run in (True, False):
        result, told = act(bench, asked(doing, dry_run=dry_run))
        assert not result.succeeded
        assert (
            f"the privilege {doing.privilege} is missing on {bench.found[doing.key].replace(':', ' ')}"
            in result.message
        )
        assert told == []
    assert (bench.calls(doing.method), bench.changes()) == (0, [])


@verbs(TASKS)
def test_a_task_that_fails_there_is_told_in_the_vendors_words(bench: Bench, doing: Doing) -> None:
    bench.prepare(doing)
    bench.server.knobs(task_fault={doing.method: "InsufficientResourcesFault"})
    result, _ = act(bench, asked(doing))
    assert not result.succeeded
    assert result.message.startswith(f"{doing.verb} of {doing.resource} (task-")
    assert "has failed: InsufficientResourcesFault" in result.message


@verbs(TASKS)
def test_a_task_that_does_not_end_in_time_goes_on_and_is_named(bench: Bench, doing: Doing) -> None:
    bench.prepare(doing)
    bench.server.knobs(task_seconds={doing.method: 60})
    result, told = act(bench, asked(doing, timeout_seconds=1))
    assert not result.succeeded
    assert f"{doing.verb} of {doing.resource} (task-" in result.message
    assert "did not end within 1 s: the task task-" in result.message
    assert all(share < 1 for share, _ in told)
    assert 1 < len(told) < 8  # looked at a few times, not in a busy loop


@pytest.mark.parametrize("method", ["ShutdownGuest", "PowerOffVM_Task"])
def test_a_call_that_is_refused_is_told_in_the_vendors_words(bench: Bench, method: str) -> None:
    doing = next(each for each in DOINGS if each.method == method)
    bench.prepare(doing)
    bench.server.knobs(fault={method: "RestrictedVersion"})
    result, _ = act(bench, asked(doing))
    assert result == ActionResult(False, f"{GUEST}: vSphere refuses: RestrictedVersion")


def test_a_guest_that_does_not_shut_down_in_time_may_still_do_so(bench: Bench) -> None:
    doing = DOINGS[2]
    bench.prepare(doing)

    def told(_share: float, _what: str) -> None:
        bench.server.knobs(hide={"VirtualMachine": ["runtime.powerState"]})  # from now on nobody sees that it is off

    result = asyncio.run(actions(bench).act(asked(doing, timeout_seconds=1), told))
    assert result == ActionResult(False, f"shutdown of {GUEST} did not end within 1 s: it may still happen")
    assert bench.calls("ShutdownGuest") == 1


def test_a_server_that_names_no_task_is_told_as_such(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    doing = next(each for each in DOINGS if each.method == "PowerOffVM_Task")
    bench.prepare(doing)
    monkeypatch.setattr("satellite.collectors.vsphere.action_power.Stop.begin", lambda _: None)
    result, _ = act(bench, asked(doing, timeout_seconds=1))
    assert not result.succeeded
    assert "did not end within 1 s: it may still happen" in result.message
    assert "named no task for stop" in result.message


CANNOT: Final[Sequence[tuple[str, str, Mapping[str, Any], str]]] = (
    ("start", GUEST, {}, "is running already"),
    ("stop", OTHER, {}, "is stopped: only a running guest can do this"),
    ("shutdown", OTHER, {}, "is stopped: only a running guest can do this"),
    ("reset", OTHER, {}, "is stopped: only a running guest can do this"),
    ("suspend", OTHER, {}, "is stopped: only a running guest can do this"),
    ("snapshot.create", OTHER, {"name": "x", "memory": True}, "is stopped: there is no memory to keep"),
    ("snapshot.create", OTHER, {"name": "x", "quiesce": True}, "runs no VMware Tools"),
    ("snapshot.revert", GUEST, {"snapshot": "none"}, "has no snapshot 'none'"),
    ("snapshot.delete", GUEST, {"snapshot": "twice"}, "has 2 snapshots 'twice': name one by its id (snapshot-"),
    ("migrate", GUEST, {"host": "DC0_C0_H0"}, "is there already"),
    ("migrate", GUEST, {"host": "no-such-host"}, "can't go to the host 'no-such-host': it is not known here"),
    ("migrate", GUEST, {"datastore": "nowhere"}, "can't go to the datastore 'nowhere': it is not known here"),
    ("maintenance.exit", HOST, {}, "is not in maintenance mode"),
)


@pytest.mark.parametrize(("verb", "resource", "arguments", "why"), CANNOT)
def test_what_can_not_be_is_refused_before_anything_is_asked(
    bench: Bench, verb: str, resource: str, arguments: Mapping[str, Any], why: str
) -> None:
    bench.prepare(DOINGS[1])
    for _ in range(2):
        finished(bench.guest.CreateSnapshot("twice", "", False, False))
    other = bench.managed(ResourceKey(Kind.GUEST, OTHER))
    if other.runtime.powerState == "poweredOn":
        finished(other.PowerOff())
    bench.changes()
    result, told = act(bench, asked(Doing(verb, "", "", resource, arguments)))
    assert not result.succeeded
    assert result.message.startswith(resource)
    assert why in result.message
    assert (told, bench.changes()) == ([], [])


def test_states_that_allow_nothing_are_told(bench: Bench) -> None:
    bench.prepare(DOINGS[1])
    guest, host = bench.found[DOINGS[1].key], bench.found[ResourceKey(Kind.HOST, HOST)]
    for target, path, value, doing, why in (
        (guest, "runtime.connectionState", "orphaned", DOINGS[1], "its connection state is orphaned"),
        (guest, "config.template", True, DOINGS[1], "is a template"),
        (guest, "guest.toolsRunningStatus", "guestToolsNotRunning", DOINGS[2], "runs no VMware Tools"),
        (host, "runtime.connectionState", "notResponding", DOINGS[8], f"{HOST} is not connected"),
        (host, "runtime.inMaintenanceMode", True, DOINGS[8], f"{HOST} is in maintenance"),
        (host, "runtime.inMaintenanceMode", True, DOINGS[9], "is in maintenance mode already"),
    ):
        kind, _, identity = target.partition(":")
        before = getattr(vim, kind)(identity, bench.content.rootFolder._stub)
        for part in path.split("."):
            before = getattr(before, part)
        bench.server.set_property(target, path, value)
        result, _ = act(bench, asked(doing))
        bench.server.set_property(target, path, before)
        assert not result.succeeded, doing
        assert why in result.message


@pytest.mark.parametrize(
    ("verb", "kind", "arguments", "why"),
    [
        ("no-such-verb", Kind.GUEST, {}, "can't carry out 'no-such-verb'; it can start, stop"),
        ("start", Kind.HOST, {}, "start is for a guest, and this is a host"),
        ("maintenance.enter", Kind.GUEST, {}, "maintenance.enter is for a host"),
        ("start", Kind.GUEST, {"now": True}, "start: now: Extra inputs"),
        ("start", Kind.GUEST, {"timeout_seconds": 0}, "timeout_seconds: Input should be greater"),
        ("snapshot.create", Kind.GUEST, {}, "name: Field required"),
        ("snapshot.create", Kind.GUEST, {"name": "x", "memory": "yes"}, "memory: Input should be a valid boolean"),
        ("snapshot.create", Kind.GUEST, {"name": "x" * 81}, "name: String should have at most 80"),
        ("migrate", Kind.GUEST, {}, "name a host, a datastore or both"),
        ("start", Kind.GUEST, {}, "the guest 'unknown' is not known here"),
    ],
)
def test_what_makes_no_sense_is_refused_without_asking_the_server(
    bench: Bench, verb: str, kind: Kind, arguments: Mapping[str, Any], why: str
) -> None:
    bench.server.traffic(reset=True)
    result, _ = act(bench, Action("a", ResourceKey(kind, "unknown"), verb, arguments))
    assert not result.succeeded
    assert why in result.message
    assert not bench.server.traffic()


def test_an_object_that_is_gone_is_told(bench: Bench) -> None:
    find = Actions(LocalContext(), lambda: bench.session, lambda _: "VirtualMachine:vm-none")
    result = asyncio.run(find.act(asked(DOINGS[0]), lambda _share, _what: None))
    assert not result.succeeded
    assert "ManagedObjectNotFound" in result.message


def test_the_same_id_sent_twice_acts_once_while_it_runs_and_after(bench: Bench) -> None:
    doing = DOINGS[3]
    bench.prepare(doing)
    bench.server.knobs(task_seconds={doing.method: 1.5})
    runs = actions(bench)
    action = asked(doing, number="once")

    async def scenario() -> list[ActionResult]:
        both = asyncio.gather(*(runs.act(action, lambda _share, _what: None) for _ in range(2)))
        results = [*await both, await runs.act(action, lambda _share, _what: None)]
        return [*results, await runs.act(asked(DOINGS[1], number="once"), lambda _share, _what: None)]

    first, second, third, another = asyncio.run(scenario())
    assert first.succeeded
    assert first == second == third
    assert bench.calls(doing.method) == 1
    assert "a new action needs an id of its own" in another.message
    assert bench.calls("PowerOffVM_Task") == 0


def test_who_gives_up_waiting_does_not_end_what_was_begun(bench: Bench) -> None:
    doing = DOINGS[3]
    bench.prepare(doing)
    bench.server.knobs(task_seconds={doing.method: 1.0})
    runs, action = actions(bench), asked(doing)

    async def scenario() -> ActionResult:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await runs.act(action, lambda _share, _what: None)
        return await runs.act(action, lambda _share, _what: None)

    assert asyncio.run(scenario()).succeeded
    assert bench.calls(doing.method) == 1


def test_a_task_is_followed_over_the_end_of_a_session(bench: Bench) -> None:
    doing = DOINGS[3]
    bench.prepare(doing)
    bench.server.knobs(task_seconds={doing.method: 1.5})
    sessions = [Session(config(bench.server), Meter(), Refused()) for _ in range(2)]
    for session in sessions:
        session.open()
    current = [sessions[0]]
    runs = Actions(LocalContext(), lambda: current[0], bench.found.get)

    def told(share: float, what: str) -> None:
        if share > 0:
            sessions[0].cut()
            current[0] = sessions[1]

    result = asyncio.run(runs.act(asked(doing), told))
    for session in sessions:
        session.leave()
    assert result.succeeded, result
    assert bench.calls(doing.method) == 1


def test_a_server_that_does_not_answer_is_not_taken_for_a_refusal(bench: Bench) -> None:
    doing = DOINGS[3]
    bench.prepare(doing)
    session = Session(config(bench.server), Meter(), Refused())
    session.open()
    runs = Actions(LocalContext(), lambda: session, bench.found.get)
    bench.server.knobs(cut_bytes={doing.method: 10})
    with pytest.raises(SourceUnreachableError, match=r"whether reset of .* was begun is not known"):
        asyncio.run(runs.act(asked(doing), lambda _share, _what: None))
    bench.server.knobs()
    session.leave()
    with pytest.raises(SourceUnreachableError):
        asyncio.run(runs.act(asked(doing), lambda _share, _what: None))
