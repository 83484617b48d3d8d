"""A poll plan of a source under way: when it is due, what it has accounted for, and what it does when the clock is set.

The one promise: a clock that is set, either way and however far, keeps a plan waiting for two intervals at most, and
what its instants mean from then on is said: in a gap, and batches whose counters do not go on from before.
"""

from dataclasses import dataclass

from satellite.collector import PollPlan
from satellite.coverage import Coverage, Slots
from shared.columns import I64
from shared.model import Gap, Readings


@dataclass(slots=True, eq=False)
class Planned:
    """newest_ms is the newest instant that was stamped; discontinuous tells that the clock was set since.

    behind tells that the last answer was stamped with instants of before that: they are there twice.
    """

    plan: PollPlan
    slots: Slots
    coverage: Coverage
    due_ms: int
    newest_ms: int = 0
    discontinuous: bool = False
    behind: bool = False

    @classmethod
    def of(cls, source: str, plan: PollPlan, until_ms: int, now_ms: int) -> "Planned":
        """Return a plan that is due; until_ms is where an earlier run ended, 0 where there was none."""
        slots = Slots.of(source, plan)
        return cls(plan, slots, Coverage(plan.name, slots, until_ms, now_ms), now_ms, until_ms - slots.interval_ms)

    def clock_was_set(self, now_ms: int, detail: str) -> list[Gap]:
        """Go on by the clock as it is now; return the gap of what never was."""
        self.discontinuous = True
        gaps = self.coverage.skipped(now_ms, detail)
        if self.due_ms - now_ms > 2 * self.slots.interval_ms:
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

    def stored(self, times: I64) -> None:
        """Note the instants of an answer that is spooled."""
        self.discontinuous, self.behind = False, int(times[0]) <= self.newest_ms
        self.newest_ms = max(self.newest_ms, int(times[-1]))
