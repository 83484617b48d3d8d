"""How far a satellite's clock is from the metaconsole's: now, and when a frame was stamped.

The one promise: it is reckoned between the monotonic clocks of both, so that whichever wall clock is set, and whenever
a frame comes, the offset is that of the moment that is asked for. What a satellite claims moves the window of its own
instants only, and by an hour at most (metaconsole.gateway.window).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shared.pb import uplink_pb2

_MS: Final = 1_000_000  # nanoseconds
CENTURY_MS: Final = 100 * 366 * 86_400_000  # what is told beyond is cut to it


@dataclass(frozen=True, slots=True)
class ClockReading:
    """A satellite's clock minus ours, milliseconds; uncertainty None where only one way was measured."""

    offset_ms: int
    uncertainty_ms: int | None


@dataclass(frozen=True, slots=True)
class _Anchor:
    """One moment by all clocks: the satellite's two, and our monotonic one."""

    now_ms: int
    monotonic_ns: int
    boot_id: bytes
    ours_ns: int
    uncertainty_ms: int | None


class SatelliteClock:
    """The clock of one session's satellite. Until it was heard of, it counts as ours."""

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        self._anchor: _Anchor | None = None
        self._answer: uplink_pb2.ClockAnswer | None = None

    def greeted(self, now_ms: int) -> None:
        """Take what a greeting says: one way only, so that it is behind by the time that it took."""
        if now_ms:
            self._anchor = _Anchor(now_ms, 0, b"", self._monotonic_ns(), None)

    def beat(self, beat: uplink_pb2.Heartbeat) -> None:
        """Take what a heartbeat says; one of 0.1 tells its wall clock only."""
        received = self._monotonic_ns()
        if not beat.monotonic_ns:
            return self.greeted(beat.now_ms)
        self._answer = uplink_pb2.ClockAnswer(heartbeat_ns=beat.monotonic_ns, received_ns=received)
        ours, uncertainty = received, None
        if beat.gateway_monotonic_ns:
            ours, uncertainty = beat.gateway_monotonic_ns, -(-beat.clock_uncertainty_ns // _MS) + 1
        self._anchor = _Anchor(beat.now_ms, beat.monotonic_ns, beat.boot_id, ours, uncertainty)
        return None

    def answer(self) -> uplink_pb2.ClockAnswer | None:
        """Return the answer that is due, to be sent at once."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.answered_ns, answer.now_ms = self._monotonic_ns(), self._wall_ns() // _MS
        return answer

    def now(self) -> ClockReading:
        """Return how far the clock is off as it was last heard of."""
        anchor = self._anchor
        if anchor is None:
            return ClockReading(0, None)
        uncertainty = anchor.uncertainty_ms
        told = None if uncertainty is None else min(uncertainty, CENTURY_MS)
        return ClockReading(self._apart(anchor.now_ms, anchor.ours_ns), told)

    def at(self, frame: uplink_pb2.Frame) -> int | None:
        """Return how far the clock was off that stamped a frame's instants; None where that is not known."""
        anchor, stamped = self._anchor, frame.stamped
        if anchor is None or not anchor.boot_id or stamped.boot_id != anchor.boot_id:
            return None
        ours_ns = anchor.ours_ns + stamped.monotonic_ns - anchor.monotonic_ns
        return self._apart(stamped.now_ms + frame.batch.source_offset_ms, ours_ns)

    def _apart(self, now_ms: int, ours_ns: int) -> int:
        """Return a satellite's wall clock minus ours at a moment of our monotonic clock."""
        base_ms = self._wall_ns() // _MS - self._monotonic_ns() // _MS
        return max(-CENTURY_MS, min(CENTURY_MS, now_ms - base_ms - ours_ns // _MS))
