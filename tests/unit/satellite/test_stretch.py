"""A source that is too dear is asked less often, at once; what is skipped is no gap, and it comes back step by step."""

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fixtures.collectors import FakeClock, ScriptedCollector
from fixtures.sources import REASON, Rig
from hypothesis import given
from hypothesis import strategies as st

from satellite.collector import Load, PollPlan, SourceUnreachableError
from satellite.coverage import ends_of
from satellite.source_load import SourceLoad
from satellite.stretch import LONGEST, MOST, Stretch, allowed
from satellite.threads import SourceThreads
from shared.batches import decode_times
from shared.model import Readings

INTERVAL = 10_000


class Dear(ScriptedCollector):
    """Counts what it takes of its source: `cost` seconds a cycle, of which a quarter of the time is allowed."""

    cost = 1.0
    spent = 0.0
    calls = 0

    @property
    def budget(self) -> float:
        return 0.25

    def load(self) -> Load:
        return Load(self.calls, 1000 * self.calls, self.spent)

    async def collect(self, plan: str) -> Readings:
        readings = await super().collect(plan)
        self.spent += self.cost
        self.calls += 3
        return readings


class TwoPlans(Dear):
    """One plan beside another, which costs the same and is asked a third as often."""

    @property
    def plans(self) -> Sequence[PollPlan]:
        return [PollPlan("fast", 10, 8), PollPlan("slow", 30, 20)]


class LookingBack(Dear):
    """Answers with what its source saw in the last 20 s, every 2 s."""

    async def collect(self, plan: str) -> Readings:
        readings = await super().collect(plan)
        newest = self.context.now_ms() // 2000 * 2000
        times = np.arange(newest - 18_000, newest + 1, 2000, dtype=np.int64)
        block = readings.blocks[0]
        return Readings(times, [type(block)(block.layout, np.full(len(times), 0.5))], by_source_clock=True)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path, collector=Dear)


def cost(rig: Rig, *seconds: float) -> list[int]:
    """Let the cycles cost so much, the last one for ever; return when cycles begin."""
    assert isinstance(rig.collector, Dear)
    began: list[int] = []
    costs = itertools.chain(seconds, itertools.repeat(seconds[-1]))

    def script(what: str) -> None:
        if what == "collect":
            began.append(rig.clock.time_ms)
            rig.collector.cost = next(costs)  # type: ignore[attr-defined]

    rig.collector.script = script
    return began


def steps(began: Sequence[int]) -> list[int]:
    """Return the intervals between cycles; the first one begins at no instant."""
    return [(after - before) // INTERVAL for before, after in itertools.pairwise(began[1:])]


def instant(rig: Rig, batch: int) -> int:
    return int(decode_times(rig.batches[batch])[-1])


def test_a_cycle_within_the_budget_changes_nothing(rig: Rig) -> None:
    began = cost(rig, 2.5)
    rig.drive(lambda: len(rig.batches) >= 6)
    assert steps(began)[:4] == [1] * 4
    assert rig.gaps == []


def test_too_dear_a_cycle_slows_its_plan_at_once_and_what_is_skipped_is_no_gap(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    began = cost(rig, 1, 1, 7.25)
    rig.drive(lambda: len(rig.batches) >= 7)
    assert steps(began)[:5] == [1, 3, 3, 3, 3]
    assert rig.gaps == []
    # Two intervals after a value the metaconsole does not know any more: it is told when the next one comes.
    assert [batch.interval_ms for batch in rig.batches[:5]] == [INTERVAL] * 2 + [3 * INTERVAL] * 3
    told = rig.runner.status()
    (plan,) = told.plans
    assert (plan.plan, plan.interval_seconds, plan.stretch, plan.busy_seconds) == ("fast", 10, 3, 7.25)
    assert told.budget == 0.25
    assert told.interval_seconds == 10
    assert sum("asked every 30 s, as configured every 10 s" in record.message for record in caplog.records) == 1


def test_it_comes_back_step_by_step_after_three_calm_cycles_each(rig: Rig) -> None:
    began = cost(rig, 1, 19, 1)
    rig.drive(lambda: len(rig.batches) >= 14)
    # 19 s, of which a cycle's deadline of 8 s counts, are 4 intervals; then by half at the most.
    assert steps(began)[:9] == [4, 4, 4, 2, 2, 2, 1, 1, 1]
    assert rig.gaps == []


def test_a_dear_cycle_in_between_begins_the_calm_anew(rig: Rig) -> None:
    began = cost(rig, 1, 8, 1, 1, 8, 1)
    rig.drive(lambda: len(rig.batches) >= 10)
    assert steps(began)[:7] == [4, 4, 4, 4, 4, 4, 2]


def test_a_cycle_that_ran_into_its_deadline_doubles_interval_and_deadline(rig: Rig) -> None:
    tries = itertools.count(1)
    began: list[int] = []

    def script(what: str) -> None:
        if what == "collect":
            began.append(rig.clock.time_ms)
            if 2 <= next(tries) <= 3:
                rig.clock.time_ms += 9_000
                raise TimeoutError

    rig.collector.script = script
    rig.drive(lambda: len(rig.batches) >= 2)
    assert steps(began)[:2] == [2, 4]
    assert {REASON.Name(gap.reason) for gap in rig.gaps} == {"GAP_REASON_OVERRUN"}
    assert [gap.detail for gap in rig.gaps[:2]] == [
        "plan fast did not end within 8 s",
        "plan fast did not end within 16 s",
    ]
    assert all(before.to_ms == after.from_ms for before, after in itertools.pairwise(rig.gaps))
    assert rig.gaps[-1].to_ms == instant(rig, 1)
    assert rig.batches[1].interval_ms == 4 * INTERVAL


def test_an_outage_of_a_stretched_plan_begins_where_its_answer_ends(rig: Rig) -> None:
    began = cost(rig, 7.25)
    counted = rig.collector.script

    def script(what: str) -> None:
        counted(what)
        if what == "collect" and len(rig.batches) == 3 and not rig.gaps:
            rig.clock.time_ms += 500
            raise SourceUnreachableError("nobody is there")

    rig.collector.script = script
    rig.drive(lambda: len(rig.batches) >= 4)
    first, *_, last = rig.gaps
    assert {REASON.Name(gap.reason) for gap in rig.gaps} == {"GAP_REASON_UNREACHABLE"}
    assert 2 * INTERVAL < first.from_ms - instant(rig, 2) <= 3 * INTERVAL
    # What does not answer is asked again as soon as ever.
    assert steps(began)[:4] == [3, 3, 1, 3]
    assert last.to_ms == instant(rig, 3)


def test_plans_share_the_budget(tmp_path: Path) -> None:
    rig = Rig(tmp_path, collector=TwoPlans)
    cost(rig, 4)
    rig.drive(lambda: rig.clock.time_ms > rig.start_ms + 1_200_000)
    told = rig.runner.status()
    assert sum(plan.busy_seconds / (plan.interval_seconds * plan.stretch) for plan in told.plans) <= 0.25
    assert all(plan.stretch > 1 for plan in told.plans)
    assert told.busy_per_minute <= 0.25 * 60 * 1.2  # a cycle more or less within the five minutes
    assert told.calls_per_minute == pytest.approx(told.bytes_per_minute / 1000)
    assert told.calls_per_minute == pytest.approx(told.busy_per_minute * 3 / 4)
    assert rig.gaps == []


def test_answers_that_look_back_and_do_not_meet_leave_a_gap(tmp_path: Path) -> None:
    rig = Rig(tmp_path, collector=LookingBack)
    cost(rig, 1, 1, 8)
    rig.drive(lambda: len(rig.batches) >= 5)
    spans = [decode_times(batch) for batch in rig.batches[:5]]
    expected = [(int(before[-1]) + 2000, int(after[0])) for before, after in itertools.pairwise(spans[2:])]
    assert all(to - begin == INTERVAL * 2 for begin, to in expected)  # of 40 s it reaches 20 back
    assert [(gap.from_ms, gap.to_ms) for gap in rig.gaps[:2]] == expected
    assert {REASON.Name(gap.reason) for gap in rig.gaps} == {"GAP_REASON_OVERRUN"}
    assert "asked every 40 s" in rig.gaps[0].detail


@pytest.mark.parametrize(("collector", "gaps"), [(Dear, 1), (LookingBack, 0)])
def test_what_an_answer_looks_back_on_was_not_skipped(tmp_path: Path, collector: type[Dear], gaps: int) -> None:
    rig = Rig(tmp_path, collector=collector)

    def take_long(what: str) -> None:
        if what == "collect" and rig.collector.log.count("collect") == 3:
            rig.clock.time_ms += 13_000  # one instant passes meanwhile

    rig.collector.script = take_long
    rig.drive(lambda: len(rig.batches) >= 5)
    assert [REASON.Name(gap.reason) for gap in rig.gaps] == ["GAP_REASON_OVERRUN"] * gaps


def test_a_restart_goes_on_where_a_stretched_answer_ends(tmp_path: Path) -> None:
    first = Rig(tmp_path / "one", collector=Dear)
    cost(first, 7.25)
    first.drive(lambda: len(first.batches) >= 3)
    until = first.runner.ends()["s", "fast"]
    assert until - instant(first, -1) > 2 * INTERVAL
    assert abs(ends_of(first.frames)["s", "fast"] - until) <= 3 * INTERVAL

    # It comes back within that time: nothing is missing, and it waits for no longer than its first answer asks for.
    soon = Rig(tmp_path / "two", {("s", "fast"): FakeClock().time_ms + 25_000}, collector=Dear)
    began = cost(soon, 1)
    soon.drive(lambda: len(soon.batches) >= 4)
    assert soon.gaps == []
    assert began[1] - began[0] <= INTERVAL


@given(st.floats(1, 86_400), st.lists(st.one_of(st.none(), st.floats(0, 10_000)), max_size=50), st.floats(0.01, 1))
def test_a_stretch_is_bounded_whatever_happens(interval: float, costs: list[float | None], budget: float) -> None:
    stretch = Stretch(interval, interval)
    for seconds in costs:
        before = stretch.factor
        if seconds is None:
            stretch.overran()
        else:
            stretch.took(seconds, budget)
        assert 1 <= stretch.factor <= MOST
        assert stretch.factor == 1 or stretch.interval <= LONGEST
        assert stretch.factor >= before // 2
        assert stretch.deadline <= stretch.interval


@given(st.lists(st.tuples(st.sampled_from([10, 60, 300]), st.floats(0, 10)), min_size=1, max_size=4))
def test_plans_settle_below_the_budget(costs: list[tuple[int, float]]) -> None:
    plans = [(Stretch(interval, interval), seconds) for interval, seconds in costs]
    everyone = [stretch for stretch, _ in plans]
    for _ in range(40):
        for stretch, seconds in plans:
            stretch.took(seconds, allowed(0.25, stretch, everyone))
    assert sum(stretch.share for stretch in everyone) <= 0.25 + 1e-9 or max(s.factor for s in everyone) == MOST


def test_what_counts_nothing_is_told_by_its_cycles(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    load = SourceLoad(rig.collector, SourceThreads("s"), rig.clock)
    for _ in range(20):
        rig.clock.time_ms += 30_000
        load.add(2.0)
        load.look()
    calls, octets, busy = load.per_minute()
    assert (calls, octets, busy) == pytest.approx((0, 0, 4.0), rel=0.11)
    assert load.now() == Load(0, 0, 40.0)
