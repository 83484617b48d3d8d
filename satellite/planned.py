"""A poll plan of a source under way: when it is due, what it has accounted for, and what it does when the clock is set.

The one promise: a clock that is set, either way and however far, keeps a plan waiting for two intervals at most, and
what its instants mean from then on is said: in a gap, and batches whose counters do not go on from before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from satellite.collector import PollPlan
from satellite.coverage import Coverage, Slots
from satellite.source_health import Failure
from satellite.stretch import Stretch, allowed
from shared.columns import I64
from shared.model import Gap, GapReason, Readings
from shared.pb import uplink_pb2


@dataclass(slots=True, eq=False)
class Planned:
    """newest_ms is the newest instant that was stamped; discontinuous tells that the clock was set since.

    behind tells that the last answer was stamped with instants of before that: they are there twice.
    reached_ms is the newest instant that an answer of this run reached, 0 before the first one.
    """

    plan: PollPlan
    slots: Slots
    coverage: Coverage
    stretch: Stretch
    due_ms: int
    newest_ms: int = 0
    discontinuous: bool = False
    behind: bool = False
    reached_ms: int = 0

    @classmethod
    def of(cls, source: str, plan: PollPlan, until_ms: int, now_ms: int) -> "Planned":
        """Return a plan that is due; until_ms is where an earlier run ended, 0 where there was none."""
        slots = Slots.of(source, plan)
        coverage = Coverage(plan.name, slots, until_ms, now_ms)
        stretch = Stretch(plan.interval, plan.deadline)
        return cls(plan, slots, coverage, stretch, now_ms, until_ms - slots.interval_ms)

    @property
    def asked(self) -> PollPlan:
        """The plan as it is asked now: interval and deadline stretched."""
        return PollPlan(self.plan.name, self.stretch.interval, self.stretch.deadline)

    def status(self) -> uplink_pb2.PlanStatus:
        """Return how often the plan is asked, and what that takes, for the heartbeat."""
        return uplink_pb2.PlanStatus(
            plan=self.plan.name,
            interval_seconds=self.plan.interval,
            stretch=self.stretch.factor,
            busy_seconds=self.stretch.seconds,
        )

    def took(self, seconds: float, budget: float, plans: "Sequence[Planned]") -> None:
        """Stretch the plan by what its cycle took of the source's budget, or let it go back."""
        self.stretch.took(seconds, allowed(budget, self.stretch, [each.stretch for each in plans]))

    def schedule(self, began_ms: int, now_ms: int, steps: int) -> None:
        """Be due so many instants after the cycle that began then, or at the next one where that has passed."""
        began_ms = min(began_ms, now_ms)  # the clock may have been set back meanwhile
        self.due_ms = max(self.slots.at(began_ms) + steps * self.slots.interval_ms, self.slots.after(now_ms))

    def postpone(self, from_ms: int, why: Failure) -> None:
        """Be due later than then, and remember why where that skips an instant."""
        if (due_ms := self.slots.after(from_ms)) > self.due_ms:
            self.due_ms = due_ms
            self.coverage.excuse(why.reason, why.sentence)

    def clock_was_set(self, now_ms: int, detail: str) -> list[Gap]:
        """Go on by the clock as it is now; return the gap of what never was."""
        self.discontinuous = True
        gaps = self.coverage.skipped(now_ms, detail)
        if self.due_ms - now_ms > (self.stretch.factor + 1) * self.slots.interval_ms:
            # Set back: instants of a time that will come again are not waited for, but the one that ran just now.
            self.due_ms = self.slots.after(now_ms)
            self.coverage.go_back(self.due_ms)
        return gaps

    def breaks(self, readings: Readings) -> bool:
        """Return whether counters in these readings do not go on from the sample before, in the order of instants.

        The first one behind a span that is there twice comes after the last one of before, too.
        """
        again = self.behind or int(readings.times[0]) <= self.newest_ms
        return not readings.by_source_clock and (self.discontinuous or again)

    def gaps_before(self, began_ms: int, readings: Readings) -> list[Gap]:
        """Return the gap that ends with the answer to a cycle that began then; none in the usual case."""
        gaps, times = self.coverage.gaps_before(began_ms), readings.times
        if not (readings.by_source_clock and self.reached_ms and len(times) > 1):
            return gaps
        # An answer that looks back: what counts is whether it meets the one before, and not when it was asked for.
        step = int(np.median(np.diff(times)))
        from_ms, to_ms = self.reached_ms + step, int(times[0])
        if to_ms - from_ms < max(step, self.slots.interval_ms):
            return [gap for gap in gaps if gap.reason is not GapReason.OVERRUN]
        if gaps:
            return gaps
        detail = f"asked every {self.stretch.interval:g} s, the source does not answer as far back as the last time"
        return [Gap(from_ms, to_ms, GapReason.OVERRUN, detail, self.plan.name)]

    def stored(self, times: I64) -> None:
        """Note the instants of an answer that is spooled."""
        self.reached_ms = int(times[-1])
        self.discontinuous, self.behind = False, int(times[0]) <= self.newest_ms
        self.newest_ms = max(self.newest_ms, int(times[-1]))
