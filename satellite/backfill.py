"""How much of the backlog may be under way: as much as the line carries within a second, and no more than its budget.

The one promise: what is collected now waits at most about a second behind what is older, however narrow the line is.

The window follows the delay, as LEDBAT (RFC 6817) does: answers that come quickly open it, late ones close it. The
budget is a token bucket of a second's worth.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

TARGET_SECONDS: Final = 1.0  # of delay that the backlog may add
FIRST_BYTES: Final = 64 * 1024
LEAST_BYTES: Final = 4 * 1024
MOST_BYTES: Final = 8 * 1024 * 1024
_RATE_SECONDS: Final = 10.0  # over which the present rate is an average
_DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Budget:
    """What the metaconsole allows: kbit/s (0: no limit), and from when to when, in minutes of the UTC day."""

    kbit_per_second: int = 0
    from_minute: int = 0
    to_minute: int = 0  # the same as from_minute: all day

    def open_at(self, now_ms: int) -> bool:
        """Tell whether the hours are those of backfill."""
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        minute = now.hour * 60 + now.minute
        return (minute - self.from_minute) % _DAY_MINUTES < (self.to_minute - self.from_minute - 1) % _DAY_MINUTES + 1


@dataclass(slots=True)
class Backfill:
    """What of the backlog is under way in a session. Times are monotonic seconds, but for now_ms."""

    budget: Budget = field(default_factory=Budget)
    window: float = FIRST_BYTES
    under_way: int = 0
    rate: float = 0.0  # bytes a second, acknowledged
    _tokens: float = 0.0
    _filled: float = 0.0
    _closed_at: float = 0.0
    _acknowledged: float = 0.0

    def room(self, now: float, now_ms: int) -> int:
        """Return how many bytes may be sent now; one frame may exceed it."""
        if not self.budget.open_at(now_ms):
            return 0
        room = self.window - self.under_way
        if self.budget.kbit_per_second:
            a_second = self.budget.kbit_per_second * 125.0
            self._tokens = min(self._tokens + (now - self._filled) * a_second, a_second)
            room = min(room, self._tokens)
        self._filled = now
        return max(int(room), 0)

    def wait_seconds(self, now_ms: int) -> float | None:
        """Return after how long there may be room without an acknowledgement; None when only that makes room."""
        if not self.budget.open_at(now_ms):
            return 60.0 - now_ms / 1000 % 60
        if self.budget.kbit_per_second and self.under_way < self.window:
            # A frame may have taken more than there was; the debt is paid first.
            return max(0.05, min(1.0, (1024 - self._tokens) / (self.budget.kbit_per_second * 125.0)))
        return None

    def begin(self) -> None:
        """Begin a session: nothing is under way, and what the line carries is to be found out."""
        self.window, self.under_way, self.rate = FIRST_BYTES, 0, 0.0

    def sent(self, size: int) -> None:
        """Note a frame of the backlog that goes out."""
        self.under_way += size
        self._tokens -= size

    def drained(self) -> None:
        """Note that nothing waits any more."""
        self.rate = 0.0

    def acknowledged(self, size: int, now: float, took: float) -> None:
        """Note that a frame was answered so many seconds after it was sent."""
        self.under_way -= size
        if took < TARGET_SECONDS:
            self.window = min(self.window + size * (1 - took / TARGET_SECONDS), MOST_BYTES)
        elif now - self._closed_at > took:  # once a round: those under way were all sent into the same queue
            self.window = max(self.window * max(0.5, TARGET_SECONDS / took), LEAST_BYTES)
            self._closed_at = now
        since, self._acknowledged = now - self._acknowledged, now
        self.rate += size / _RATE_SECONDS - min(since / _RATE_SECONDS, 1.0) * self.rate
