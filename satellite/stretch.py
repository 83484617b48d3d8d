"""How much less often than configured a plan is asked, so that its source is not kept busier than its budget allows.

The one promise: too dear a cycle slows its plan down at once; what calms down is asked more often again step by step,
and never is a plan left alone for longer than an hour.
"""

import math
from collections.abc import Iterable
from typing import Final

MOST: Final = 32  # intervals
LONGEST: Final = 3600.0  # seconds
CALM: Final = 3  # cycles in a row that would do with less, before there is less


class Stretch:
    """The stretch of one plan: it is asked once in `factor` of its intervals."""

    def __init__(self, interval: float, deadline: float) -> None:
        """Begin as configured, in seconds."""
        self.factor = 1
        self.seconds = 0.0  # for which the last cycle kept the source busy
        self._interval, self._deadline = interval, deadline
        self._most = max(min(MOST, int(LONGEST // interval)), 1)
        self._needed: list[int] = []  # of the calm cycles in a row

    @property
    def interval(self) -> float:
        """Seconds between two cycles."""
        return self._interval * self.factor

    @property
    def deadline(self) -> float:
        """Seconds that a cycle may take: it grows with the interval."""
        return self._deadline * self.factor

    @property
    def share(self) -> float:
        """The share of the time for which this plan keeps the source busy."""
        return self.seconds / self.interval

    def took(self, seconds: float, allowed: float) -> None:
        """Take note of a cycle that kept the source busy for so long; allowed is the plan's share of the time."""
        # More than its deadline a cycle can't take: what seems to is a process or a machine that stood still.
        self.seconds = min(seconds, self.deadline)
        needed = min(math.ceil(self.seconds / (self._interval * allowed) - 1e-9), self._most)
        if needed >= self.factor:
            self._change(needed)
            return
        self._needed.append(needed)
        if len(self._needed) == CALM:
            self._change(max(*self._needed, self.factor // 2))

    def overran(self) -> None:
        """Take note of a cycle that ran into its deadline."""
        self.seconds = self.deadline
        self._change(min(2 * self.factor, self._most))

    def _change(self, factor: int) -> None:
        self.factor = max(factor, 1)
        self._needed.clear()


def allowed(budget: float, own: Stretch, all_plans: Iterable[Stretch]) -> float:
    """Return a plan's share of its source's budget: what the others leave, and its equal part at the least."""
    everyone = list(all_plans)
    others = sum(each.share for each in everyone if each is not own)
    return max(budget - others, budget / len(everyone))
