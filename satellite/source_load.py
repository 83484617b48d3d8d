"""What a source was asked and for how long that kept it busy: in all, and a minute.

The one promise: it is what the collector counts at the source where it does, and the seconds of the cycles where not.
"""

from collections import deque
from typing import Final

from satellite.clock import Clock
from satellite.collector import Collector, Load
from satellite.threads import SourceThreads

_SPAN: Final = 300.0  # seconds that a rate is told of
_STEP: Final = 5.0
_MINUTE: Final = 60.0


class SourceLoad:
    """The load of one source."""

    def __init__(self, collector: Collector, threads: SourceThreads, clock: Clock) -> None:
        self._collector, self._threads, self._clock = collector, threads, clock
        self._cycle_seconds = 0.0
        self._readings = deque([(clock.monotonic(), self.now())])

    def now(self) -> Load:
        """Return the load since the start."""
        counted = self._collector.load()
        return counted or Load(self._threads.calls, 0, self._cycle_seconds)

    def add(self, seconds: float) -> None:
        """Add a cycle's own seconds, for a source that counts none."""
        self._cycle_seconds += seconds

    def look(self) -> None:
        """Keep a reading now and then."""
        now = self._clock.monotonic()
        if now - self._readings[-1][0] < _STEP:
            return
        self._readings.append((now, self.now()))
        while now - self._readings[1][0] >= _SPAN:
            self._readings.popleft()

    def per_minute(self) -> tuple[float, float, float]:
        """Return calls, bytes and busy seconds a minute, over the last five minutes."""
        since, old = self._readings[0]
        new = self.now()
        minutes = max(self._clock.monotonic() - since, _MINUTE) / _MINUTE
        spent = (new.calls - old.calls, new.bytes - old.bytes, new.seconds - old.seconds)
        return spent[0] / minutes, spent[1] / minutes, spent[2] / minutes
