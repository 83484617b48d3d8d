"""A source under a clock that the test turns: instants, gaps with reasons, backoff, pause, inventory, events."""

import asyncio
import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fixtures.collectors import METRIC, FakeClock, ScriptedCollector
from fixtures.sources import REASON, Rig
from fixtures.waiting import wait_until

from satellite.collector import PollPlan, SourceDeniedError, SourceError, SourceTime, SourceUnreachableError
from satellite.spool_errors import SpoolFullError
from shared.model import Event, Inventory, Kind, Layout, Readings, Resource, ResourceKey, SeriesKey
from shared.pb import telemetry_pb2, uplink_pb2


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_the_first_cycle_is_at_once_and_the_next_are_aligned(rig: Rig) -> None:
    started: list[int] = []
    rig.collector.script = lambda what: started.append(rig.clock.time_ms) if what == "collect" else None
    rig.drive(lambda: len(started) >= 4)
    assert started[0] == rig.start_ms
    phases = {at % 10_000 for at in started[1:]}
    assert len(phases) == 1
    assert phases.pop() <= 500  # the stable offset: at most 5 % of the interval
    assert {after - before for before, after in itertools.pairwise(started[1:])} == {10_000}
    assert rig.gaps == []
    assert rig.runner.status().state == "ok"


def test_an_outage_is_gaps_without_overlap_and_logged_once_each_way(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    calls = 0

    def script(what: str) -> None:
        nonlocal calls
        calls += what in ("collect", "open")
        if 3 <= calls <= 7:
            raise SourceUnreachableError("nobody listens at qemu:///system; start libvirtd")

    rig.collector.script = script
    rig.drive(lambda: len(rig.batches) >= 4)
    gaps = rig.gaps
    assert {REASON.Name(gap.reason) for gap in gaps} == {"GAP_REASON_UNREACHABLE"}
    assert all(before.to_ms == after.from_ms for before, after in itertools.pairwise(gaps))
    assert len({gap.from_ms for gap in gaps}) == len(gaps)
    told = [record.message for record in caplog.records]
    assert sum("fails (unreachable)" in line for line in told) == 1
    assert sum("answers again" in line for line in told) == 1
    assert len(gaps) == 5  # the first failure comes at its instant, when nothing is missing yet
    assert gaps[-1].to_ms - gaps[0].from_ms > 150_000  # backoff: 10, 20, 40, 60 s instead of 10 each


class TwoPlans(ScriptedCollector):
    """One plan tells what is known already, the other one asks."""

    @property
    def plans(self) -> Sequence[PollPlan]:
        return [PollPlan("known", 10, 8), PollPlan("asked", 60, 30)]

    async def collect(self, plan: str) -> Readings:
        if plan == "asked":
            await self._step("ask")
        return await super().collect(plan)


def test_a_plan_that_answers_does_not_hide_one_that_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rig = Rig(tmp_path, collector=TwoPlans)
    told: list[tuple[str, str, int]] = []

    def script(what: str) -> None:
        if what == "ask":
            status = rig.runner.status()
            told.append((status.state, status.message, rig.collector.log.count("open")))
            if 2 <= len(told) <= 5:
                raise SourceError("the answer can't be read")

    rig.collector.script = script
    rig.drive(lambda: len(told) >= 7)
    assert told[1][0] == "ok"
    assert {state for state, _, _ in told[2:6]} == {"failing"}
    assert {message for _, message, _ in told[2:6]} == {"the answer can't be read"}
    assert told[6][:2] == ("ok", "")
    assert [opened for _, _, opened in told[:7]] == [1, 1, 1, 1, 2, 3, 3], "anew after three failures in a row"
    assert sum("fails (error)" in record.message for record in caplog.records) == 1
    assert sum("answers again" in record.message for record in caplog.records) == 1


def test_a_plan_that_waits_for_another_ones_failure_has_a_gap_of_its_reason(tmp_path: Path) -> None:
    rig = Rig(tmp_path, collector=TwoPlans)
    opened = 0

    def script(what: str) -> None:
        nonlocal opened
        opened += what == "open"
        if what == "collect" and len(rig.batches) == 4 and opened == 1:
            raise SourceUnreachableError("nobody is there")
        if what == "open" and 2 <= opened <= 6:
            raise SourceUnreachableError("nobody is there")

    rig.collector.script = script
    rig.drive(lambda: len(rig.batches) >= 12)
    gaps = [gap for gap in rig.gaps if gap.plan == "asked"]
    assert gaps
    assert {REASON.Name(gap.reason) for gap in gaps} == {"GAP_REASON_UNREACHABLE"}


def test_a_rare_plan_that_found_the_source_gone_is_asked_again_soon(tmp_path: Path) -> None:
    rig = Rig(tmp_path, collector=TwoPlans)
    asked: list[int] = []

    def script(what: str) -> None:
        if what == "ask":
            asked.append(rig.clock.time_ms)
            if len(asked) == 2:
                raise SourceUnreachableError("the session was ended")

    rig.collector.script = script
    rig.drive(lambda: len(asked) >= 4)
    assert asked[2] - asked[1] <= 20_000
    assert asked[3] - asked[2] >= 40_000, "and then at its instants"
    assert rig.runner.status().state == "ok"


@pytest.mark.parametrize(
    ("error", "reason"),
    [(SourceDeniedError("no"), "DENIED"), (ZeroDivisionError("bug"), "ERROR"), (TimeoutError(), "OVERRUN")],
)
def test_the_reason_of_a_gap_follows_the_error(rig: Rig, error: Exception, reason: str) -> None:
    def script(what: str) -> None:
        if what == "collect" and not rig.gaps and rig.batches:
            rig.clock.time_ms += 100
            raise error

    rig.collector.script = script
    rig.drive(lambda: len(rig.batches) >= 2)
    assert {REASON.Name(gap.reason)[11:] for gap in rig.gaps} == {reason}


def test_a_cycle_that_runs_into_the_next_instant_leaves_an_overrun(rig: Rig) -> None:
    def script(what: str) -> None:
        if what == "collect" and len(rig.batches) == 1:
            rig.clock.time_ms += 25_000

    rig.collector.script = script
    rig.drive(lambda: len(rig.batches) >= 4)
    (gap,) = rig.gaps
    assert REASON.Name(gap.reason) == "GAP_REASON_OVERRUN"
    assert gap.to_ms - gap.from_ms == 20_000
    assert rig.runner.status().overruns == 1


def test_the_time_between_two_runs_is_one_gap_of_reason_restart(tmp_path: Path) -> None:
    start = FakeClock().time_ms
    rig = Rig(tmp_path, {("s", "fast"): start - 60_000})
    rig.drive(lambda: len(rig.batches) >= 2)
    assert rig.spans() == [(-60, 0, "RESTART")]
    quick = Rig(tmp_path / "quick", {("s", "fast"): start + 5_000})
    quick.drive(lambda: len(quick.batches) >= 2)
    assert quick.gaps == []


def test_a_restart_into_an_outage_tells_both_reasons(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {("s", "fast"): FakeClock().time_ms - 60_000})
    tries = 0

    def script(what: str) -> None:
        nonlocal tries
        if what == "open" and tries == 0:
            tries += 1
            rig.clock.time_ms += 5_000
            raise SourceUnreachableError("not yet")

    rig.collector.script = script
    rig.drive(lambda: len(rig.batches) >= 1)
    spans = rig.spans()
    assert spans[0] == (-60, 0, "RESTART")
    assert spans[1] == (0, 5, "UNREACHABLE")
    assert spans[2][:1] == (5,)
    assert len(spans) == 3


class ToldMeanwhile(ScriptedCollector):
    """While its clock is asked the source tells by itself that another host is there."""

    capabilities = ScriptedCollector.capabilities | {"clock"}
    told = False

    async def source_clock(self) -> SourceTime:
        if not self.told:
            self.told = True
            hosts = [Resource(ResourceKey(Kind.HOST, name), name) for name in ("h1", "h2")]
            self.arrivals.put_nowait(Inventory(hosts))
            for _ in range(20):
                await asyncio.sleep(0)
        return SourceTime(self.context.now_ms())


def test_what_a_source_tells_by_itself_is_not_taken_back_by_what_was_asked_before(tmp_path: Path) -> None:
    rig = Rig(tmp_path, collector=ToldMeanwhile)
    rig.drive(lambda: len(rig.batches) >= 3)
    changes = [frame.inventory for frame in rig.frames if frame.HasField("inventory")]
    assert [([r.name for r in one.resources], len(one.removed)) for one in changes[:2]] == [(["h1"], 0), (["h2"], 0)]


def test_a_paused_source_is_left_alone_and_its_gap_grows(rig: Rig) -> None:
    rig.collector.script = lambda _: rig.pause_file.touch() if len(rig.batches) == 2 else None
    calls: list[int] = []

    async def resume() -> None:
        assert rig.runner.status().state == "paused"
        calls.append(rig.collector.log.count("collect"))
        rig.collector.script = lambda _: None
        rig.pause_file.unlink()
        await wait_until(lambda: rig.runner.status().state == "ok" and len(rig.batches) >= 5, 10, "it goes on")

    rig.drive(lambda: len(rig.gaps) >= 3, resume)
    gaps = rig.gaps
    assert {REASON.Name(gap.reason) for gap in gaps} == {"GAP_REASON_MAINTENANCE"}
    assert all(before.to_ms == after.from_ms for before, after in itertools.pairwise(gaps))
    assert calls == [3]
    assert "close" in rig.collector.log


def test_a_full_disk_is_a_gap_once_there_is_room(rig: Rig) -> None:
    def script(what: str) -> None:
        if what == "collect":
            rig.full = 2 <= rig.collector.log.count("collect") <= 3

    rig.collector.script = script
    rig.drive(lambda: len(rig.batches) >= 2)
    (gap,) = rig.gaps
    assert REASON.Name(gap.reason) == "GAP_REASON_DROPPED"
    assert gap.to_ms - gap.from_ms > 10_000


def test_a_disk_that_is_full_for_new_series_is_a_gap_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    define, asked = rig.spool.define, []

    async def full_once(definitions: Sequence[telemetry_pb2.SeriesDefinition]) -> None:
        asked.append(len(definitions))
        if len(asked) == 2:
            raise SpoolFullError("there is no room")
        await define(definitions)

    def grow(what: str) -> None:
        if what == "collect" and rig.collector.log.count("collect") == 2:
            rig.collector.layout = Layout(METRIC, (SeriesKey(ResourceKey(Kind.HOST, "h2"), METRIC),))

    monkeypatch.setattr(rig.spool, "define", full_once)
    rig.collector.script = grow
    rig.drive(lambda: len(rig.batches) >= 2)
    assert asked == [1, 1, 1]
    assert [REASON.Name(gap.reason) for gap in rig.gaps] == ["GAP_REASON_DROPPED"]


def test_inventory_is_full_first_then_deltas_and_full_when_asked(rig: Rig) -> None:
    def deltas() -> list[Any]:
        return [frame.inventory for frame in rig.frames if frame.HasField("inventory")]

    async def change() -> None:
        rig.collector.names.append("h2")
        rig.collector.arrivals.put_nowait(Event("e1", rig.clock.now_ms(), "host.up", "h2 is there"))
        await wait_until(lambda: len(deltas()) == 2, 10, "the delta")
        await wait_until(lambda: any(frame.HasField("events") for frame in rig.frames), 10, "the event")
        rig.runner.send_full_inventory()
        await wait_until(lambda: len(deltas()) == 3, 10, "the full one")

    rig.drive(lambda: len(deltas()) == 1, change)
    first, second, third = deltas()
    assert (first.full, first.base_revision, [r.key for r in first.resources]) == (True, 0, ["h1"])
    assert (second.full, second.base_revision, [r.key for r in second.resources]) == (False, first.revision, ["h2"])
    assert (third.full, [r.key for r in third.resources]) == (True, ["h1", "h2"])
    assert [e.id for frame in rig.frames for e in frame.events.events] == ["e1"]


def happening(rig: Rig, number: int) -> Event:
    return Event(f"e{number}", rig.clock.now_ms(), "host.up", "it is there", position=f"p{number}")


def test_events_of_a_full_disk_wait_and_newer_ones_are_asked_for_once_there_is_room(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("satellite.source_events.WAITING", 3)
    monkeypatch.setattr("satellite.source_events._AGAIN", 0.01)

    async def scenario() -> None:
        rig.full = True
        for number in range(7):
            rig.collector.arrivals.put_nowait(happening(rig, number))
        await wait_until(lambda: "3 events wait" in caplog.text, 10, "the bound is reached")
        await asyncio.sleep(0.3)
        assert rig.collector.arrivals.qsize() == 4  # the source keeps them
        assert (rig.events, rig.runner.position()) == ([], None)
        rig.full = False
        await wait_until(lambda: len(rig.events) >= 7, 10, "all are spooled")

    rig.drive(lambda: rig.batches, scenario)
    assert [event.id for event in rig.events] == [f"e{number}" for number in range(7)]
    assert rig.runner.position() == "p6"
    assert [frame.events.position for frame in rig.frames if frame.HasField("events")][-1] == "p6"


def test_events_go_on_behind_the_newest_that_came_and_wait_over_a_source_that_is_opened_anew(rig: Rig) -> None:
    async def scenario() -> None:
        rig.full = True
        for number in range(3):
            rig.collector.arrivals.put_nowait(happening(rig, number))
        await wait_until(rig.collector.arrivals.empty, 10, "they came")

        def refuse(what: str) -> None:
            if what == "collect":
                rig.collector.script = lambda _: None
                raise SourceUnreachableError("gone")

        rig.collector.script = refuse
        await wait_until(lambda: len(rig.collector.afters) == 2, 10, "it is opened anew")
        rig.full = False
        rig.collector.arrivals.put_nowait(Event("plain", rig.clock.now_ms(), "host.up", "it has no position"))
        await wait_until(lambda: len(rig.events) == 4, 10, "all are spooled")

    rig.drive(lambda: rig.batches, scenario)
    assert rig.collector.afters == [None, "p2"]
    assert [event.id for event in rig.events] == ["e0", "e1", "e2", "plain"]
    assert rig.runner.position() == "p2"


def test_a_frame_that_gets_to_the_disk_while_its_source_ends_is_known_to_be_there(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()
    put = rig.put

    async def slow(frame: uplink_pb2.Frame) -> None:
        if frame.HasField("events"):
            await gate.wait()
        await put(frame)

    monkeypatch.setattr(rig.runner._output, "_put", slow)

    async def scenario() -> None:
        rig.collector.arrivals.put_nowait(happening(rig, 0))
        await wait_until(lambda: rig.runner._events._spooling, 10, "it is on its way")
        rig.runner._events.end()
        await asyncio.sleep(0)
        rig.runner._events.begin()
        gate.set()
        await wait_until(lambda: rig.events, 10, "it is spooled")
        await asyncio.sleep(0.5)

    rig.drive(lambda: rig.batches, scenario)
    assert [event.id for event in rig.events] == ["e0"]
    assert rig.runner.position() == "p0"


def test_an_earlier_run_tells_where_events_go_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path, position="p9")
    rig.drive(lambda: rig.collector.afters)
    assert (rig.collector.afters, rig.runner.position()) == (["p9"], "p9")
