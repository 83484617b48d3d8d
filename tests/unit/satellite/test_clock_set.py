"""A source whose satellite's clock is set under way: no stall, no instant twice in silence, gaps that add up."""

import asyncio
import itertools
import re
from pathlib import Path

import pytest
from fixtures.collectors import FakeClock, ScriptedCollector
from fixtures.sources import REASON, Rig
from fixtures.waiting import wait_until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from satellite.collector import SourceTime, SourceUnreachableError
from satellite.source_clock import check_clock
from shared.batches import decode_times
from shared.model import Event, Readings

INTERVAL = 10_000
STEP = 600_000


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def setting(rig: Rig, steps: dict[int, int], *, within: bool = False) -> list[int]:
    """Let the clock be set when so many batches are there, between cycles or in the midst of one.

    Returns when cycles began, by a clock that is never set.
    """
    began: list[int] = []
    wait = rig.clock.wait

    def turn() -> None:
        rig.clock.set_by_ms += steps.pop(len(rig.batches), 0)

    def script(what: str) -> None:
        if what == "collect":
            began.append(rig.clock.time_ms)
            if within:
                turn()

    async def waited(event: asyncio.Event, seconds: float) -> None:
        await wait(event, seconds)
        if not within:
            turn()

    rig.collector.script = script
    setattr(rig.clock, "wait", waited)  # noqa: B010  # what mypy calls assigning to a method
    return began


def instants(rig: Rig) -> list[int]:
    return [int(decode_times(batch)[-1]) for batch in rig.batches]


@pytest.mark.parametrize("within", [False, True])
def test_a_clock_set_forward_leaves_a_gap_of_what_never_was_and_goes_on(rig: Rig, within: bool) -> None:
    began = setting(rig, {3: STEP}, within=within)
    rig.drive(lambda: len(rig.batches) >= 7)
    assert max(after - before for before, after in itertools.pairwise(began)) <= 3 * INTERVAL
    (gap,) = rig.gaps
    assert REASON.Name(gap.reason) == "GAP_REASON_SKEW"
    assert abs(gap.to_ms - gap.from_ms - STEP) <= INTERVAL
    assert "went forward by 600.0 s" in gap.detail
    assert not any(gap.from_ms <= at < gap.to_ms for at in instants(rig))
    assert [batch.discontinuous for batch in rig.batches][:7] == [False] * 3 + [True] + [False] * 3
    (event,) = rig.events
    assert (event.type, event.attributes["clock.step_ms"].integer) == ("clock.set", STEP)


def test_a_clock_set_back_stalls_nothing_and_tells_which_span_is_there_twice(rig: Rig) -> None:
    began = setting(rig, {4: -40_000})
    rig.drive(lambda: len(rig.batches) >= 14)
    assert max(after - before for before, after in itertools.pairwise(began)) <= 3 * INTERVAL
    times = instants(rig)
    newest = max(times[:4])
    assert any(at < newest for at in times[4:]), "samples of the span that comes again are there"
    # Counters have no rate from a sample of before to one of after, for as long as both stand side by side.
    overlap = [number for number, at in enumerate(times) if number >= 4 and at <= newest]
    marked = [number for number, batch in enumerate(rig.batches) if batch.discontinuous]
    assert marked == [*overlap, overlap[-1] + 1]
    assert 3 <= len(overlap) <= 5
    assert rig.gaps == []
    (event,) = rig.events
    assert event.attributes["clock.before_ms"].integer - event.attributes["clock.after_ms"].integer == 40_000
    assert "overlap" in event.message


def test_a_clock_set_back_by_less_than_an_interval_runs_no_instant_again(rig: Rig) -> None:
    began = setting(rig, {3: -3_000, 6: -9_000})
    rig.drive(lambda: len(rig.batches) >= 10)
    assert max(after - before for before, after in itertools.pairwise(began)) <= 3 * INTERVAL
    aligned = [(at - rig.start_ms) // INTERVAL for at in instants(rig)]
    assert len(set(aligned[1:])) == len(aligned[1:])


def test_an_outage_after_the_clock_was_set_back_is_a_gap(rig: Rig) -> None:
    setting(rig, {3: -STEP})
    tries = 0

    def fail(what: str) -> None:
        nonlocal tries
        if what == "collect" and len(rig.batches) == 6 and tries < 2:
            tries += 1
            raise SourceUnreachableError("nobody is there now")

    rig.collector.script = fail
    rig.drive(lambda: len(rig.batches) >= 8)
    assert {REASON.Name(gap.reason) for gap in rig.gaps} == {"GAP_REASON_UNREACHABLE"}
    assert max(gap.to_ms for gap in rig.gaps) < rig.start_ms, "told by the clock as it is now"


def test_a_clock_that_was_set_back_while_the_satellite_was_off(tmp_path: Path) -> None:
    start = FakeClock().time_ms
    rig = Rig(tmp_path, {("s", "fast"): start + STEP})
    began: list[int] = []
    tries = iter([SourceUnreachableError("not yet")])

    def script(what: str) -> None:
        if what == "collect":
            began.append(rig.clock.time_ms)
            if len(rig.batches) == 2 and (error := next(tries, None)):
                raise error

    rig.collector.script = script
    rig.drive(lambda: len(rig.batches) >= 4)
    assert max(after - before for before, after in itertools.pairwise(began)) <= 3 * INTERVAL
    assert all(batch.discontinuous for batch in rig.batches[:4])
    assert [REASON.Name(gap.reason) for gap in rig.gaps] == ["GAP_REASON_UNREACHABLE"]
    assert "while it was not running" in rig.events[0].message


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.dictionaries(st.integers(0, 12), st.integers(-3_600_000, 3_600_000), max_size=4), within=st.booleans())
def test_however_it_is_set_no_plan_stalls_and_rates_are_never_of_two_clocks(
    tmp_path_factory: pytest.TempPathFactory, steps: dict[int, int], within: bool
) -> None:
    rig = Rig(tmp_path_factory.mktemp("set"))
    began = setting(rig, dict(steps), within=within)
    rig.drive(lambda: len(rig.batches) >= 14)
    assert max(after - before for before, after in itertools.pairwise(began)) <= 3 * INTERVAL
    # By the stamps of the satellite itself: where two neighbours (by instant) are not marked, both clocks agree on the
    # time between them.
    rows = sorted(
        (int(decode_times(batch)[-1]), batch.monotonic_ns // 1_000_000, batch.discontinuous) for batch in rig.batches
    )
    for (at, moment, _), (then, later, marked) in itertools.pairwise(rows):
        if not marked and later > moment:
            assert abs((then - at) - (later - moment)) <= 1_000


class Clocked(ScriptedCollector):
    """Has a clock of its own, 90 s slow, and stamps by it."""

    capabilities = ScriptedCollector.capabilities | {"clock"}

    async def source_clock(self) -> SourceTime:
        return SourceTime(self.context.now_ms() - 90_000)

    async def collect(self, plan: str) -> Readings:
        readings = await super().collect(plan)
        return Readings(readings.times - 90_000, readings.blocks, by_source_clock=True)


def test_samples_by_the_clock_of_the_source_stay_as_they_are_and_tell_its_offset(tmp_path: Path) -> None:
    rig = Rig(tmp_path, collector=Clocked)
    rig.drive(lambda: len(rig.batches) >= 4)
    status = rig.runner.status()
    assert status.clock_offset_ms == pytest.approx(-90_000, abs=status.clock_uncertainty_ms)
    assert 0 < status.clock_uncertainty_ms < 50
    assert {batch.source_offset_ms for batch in rig.batches[1:]} == {status.clock_offset_ms}
    stamped = [frame.stamped for frame in rig.frames if frame.HasField("batch")]
    assert [moment.now_ms - 90_000 for moment in stamped] == instants(rig)
    assert rig.gaps == []
    (line,) = asyncio.run(check_clock(rig.collector, rig.clock))
    assert not line.ok
    assert re.search(
        r"the source's clock says 2023-11-14 22:.*, this machine's .*: it is 89\.9.* s behind", line.detail
    )
    assert "set both by NTP" in line.detail


def test_events_from_before_and_after_the_clock_was_set_travel_apart(rig: Rig) -> None:
    async def happen() -> None:
        for number in range(2):
            rig.collector.arrivals.put_nowait(Event(f"e{number}", rig.clock.now_ms(), "host.up", "it is there"))
            await asyncio.sleep(0.05)  # both within what events wait for company
            rig.clock.set_by_ms -= STEP
        await wait_until(lambda: len([e for e in rig.events if e.type == "host.up"]) == 2, 10, "both are spooled")

    rig.drive(lambda: rig.batches, happen)
    frames = [frame for frame in rig.frames if any(event.type == "host.up" for event in frame.events.events)]
    assert [[event.id for event in frame.events.events] for frame in frames] == [["e0"], ["e1"]]
    for frame in frames:
        assert abs(frame.stamped.now_ms - frame.events.events[0].time_ms) < STEP / 2
