"""The satellite's clocks, passed in so that tests can turn them, and what tells that one of them was turned.

The one promise: a wall clock that is set is noticed by the monotonic one, whoever sets it and however often.
"""

import asyncio
import time
from functools import cache
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID, uuid4

from shared.pb import uplink_pb2

STEP_MS: Final = 500  # what the clocks may part by before it counts as being set
_BETWEEN: Final = 0.02  # seconds between two readings of the same moment


class Clock(Protocol):
    """Wall clock, monotonic clock and waiting."""

    def now_ms(self) -> int:
        """Return UTC milliseconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def both(self) -> tuple[int, float]:
        """Return now_ms and monotonic of one moment."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return when the event is set or the seconds are over."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Return UTC milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def both(self) -> tuple[int, float]:
        """Return now_ms and monotonic of one moment: again where the process was stopped in between."""
        while True:
            before, now_ms = self.monotonic(), self.now_ms()
            if self.monotonic() - before <= _BETWEEN:
                return now_ms, before

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return when the event is set or the seconds are over."""
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await event.wait()
        except TimeoutError:
            return


def stamp(clock: Clock) -> uplink_pb2.ClockStamp:
    """Return both clocks at one moment."""
    now_ms, monotonic = clock.both()
    return uplink_pb2.ClockStamp(now_ms=now_ms, monotonic_ns=round(monotonic * 1e9), boot_id=boot_id())


@cache
def boot_id() -> bytes:
    """Return which boot the monotonic clock belongs to, 16 bytes."""
    try:
        return UUID(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()).bytes
    except (OSError, ValueError):
        return uuid4().bytes  # a monotonic clock is then comparable within this process only


def apart_ms(earlier: uplink_pb2.ClockStamp, later: uplink_pb2.ClockStamp) -> int:
    """Return by how much the wall clock was set forward (or back, below 0) between two moments of one boot."""
    passed = (later.monotonic_ns - earlier.monotonic_ns) // 1_000_000
    return later.now_ms - earlier.now_ms - passed


class StepWatch:
    """Notices that the wall clock was set."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = stamp(clock)

    def number(self, now_ms: int) -> str:
        """Return what tells an event at this moment from all others of this machine."""
        return f"{boot_id().hex()}/{stamp(self._clock).monotonic_ns}/{now_ms}"

    def look(self) -> int:
        """Return by how many milliseconds the clock was set forward (or back, below 0) since it was told last."""
        now = stamp(self._clock)
        step = apart_ms(self._last, now)
        if abs(step) < STEP_MS:
            return 0
        self._last = now
        return step
