"""How far another clock is from ours, by NTP's four instants of questions and answers.

The one promise: while neither clock jumps and they drift apart by no more than DRIFT, the truth is within the
uncertainty that is told, however long a message takes either way.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

KEPT: Final = 8  # round trips
DRIFT: Final = 200e-6  # of a second per second: two bad crystals


@dataclass(frozen=True, slots=True)
class Difference:
    """The other clock minus ours, nanoseconds, and by how much that may be wrong."""

    ns: int
    uncertainty_ns: int


@dataclass(frozen=True, slots=True)
class _RoundTrip:
    """Between low and high the other clock minus ours was, at a moment of ours."""

    at_ns: int
    low: int
    high: int

    def later(self, now_ns: int) -> "_RoundTrip":
        """Return what is known of it at a later moment."""
        drift = int(abs(now_ns - self.at_ns) * DRIFT) + 1
        return _RoundTrip(now_ns, self.low - drift, self.high + drift)


class OffsetFilter:
    """The last round trips, of which the shortest counts."""

    def __init__(self) -> None:
        self._kept: deque[_RoundTrip] = deque(maxlen=KEPT)

    def add(self, sent_ns: int, received_ns: int, answered_ns: int, arrived_ns: int) -> None:
        """Take a round trip: sent and arrived by our clock, received and answered by the other."""
        if received_ns <= answered_ns:
            # The other clock stood at received_ns after our sent_ns, and at answered_ns before our arrived_ns.
            self._take(sent_ns, answered_ns - arrived_ns, received_ns - sent_ns, arrived_ns)

    def add_reading(self, sent_ns: int, told_ms: int, resolution_ms: int, arrived_ns: int) -> None:
        """Take an answer that tells one moment between question and answer, cut to a resolution."""
        told_ns, resolution_ns = told_ms * 1_000_000, resolution_ms * 1_000_000
        self._take(sent_ns, told_ns - arrived_ns, told_ns + resolution_ns - sent_ns, arrived_ns)

    def _take(self, sent_ns: int, low: int, high: int, arrived_ns: int) -> None:
        trip = _RoundTrip(sent_ns, low, high).later(arrived_ns)
        if trip.low > trip.high or sent_ns > arrived_ns:
            return  # an answer from before its question: nothing follows from it
        known = self._best(arrived_ns)
        if known is not None and (trip.low > known.high or trip.high < known.low):
            self._kept.clear()  # both can't be true of clocks that run on: one jumped, or stood still
        self._kept.append(trip)

    def at(self, now_ns: int) -> Difference | None:
        """Return the difference at a moment of our clock; None while nothing was measured."""
        best = self._best(now_ns)
        if best is None:
            return None
        return Difference((best.low + best.high) // 2, (best.high - best.low + 1) // 2 + 1)

    def _best(self, now_ns: int) -> _RoundTrip | None:
        return min((trip.later(now_ns) for trip in self._kept), key=lambda trip: trip.high - trip.low, default=None)
