"""The wall clock that is set while a source is polled, or while the satellite was off: noticed, gone by, and told.

The one promise: it is told before anything that was stamped by the clock as it is since.
"""

import logging
from collections.abc import Sequence
from typing import Final

from satellite import encoding
from satellite.clock import STEP_MS, Clock, StepWatch, apart_ms, stamp
from satellite.planned import Planned
from satellite.source_output import SourceOutput
from shared.clock_time import clock_time
from shared.model import Event, Readings, Severity
from shared.pb import uplink_pb2

EVENT: Final = "clock.set"
_log = logging.getLogger(__name__)


class ClockSet:
    """Watches the clock for one source and its plans."""

    def __init__(self, clock: Clock, plans: Sequence[Planned], output: SourceOutput) -> None:
        self._clock, self._plans, self._output = clock, plans, output
        self._steps = StepWatch(clock)
        # Where it went back while the satellite was off, by how much at least.
        self._went_back = max(item.newest_ms for item in plans) - clock.now_ms()

    async def begin(self) -> None:
        """Tell of a clock that went back while the satellite was off."""
        if self._went_back > STEP_MS:
            await self._tell(-self._went_back, while_off=True)

    async def look(self) -> None:
        """Go on by a clock that was set since the last look, and say so."""
        if step := self._steps.look():
            await self._tell(step)

    async def moment(self, began: uplink_pb2.ClockStamp, readings: Readings) -> uplink_pb2.ClockStamp:
        """Return the clock by which readings were stamped: as the cycle began, or as it is now where it was set."""
        ended = stamp(self._clock)
        if abs(apart_ms(began, ended)) < STEP_MS or not len(readings.times):
            return began
        newest = int(readings.times[-1])
        moment = min(began, ended, key=lambda moment: abs(moment.now_ms - newest))
        if moment is ended:
            await self.look()
        return moment

    async def _tell(self, step_ms: int, *, while_off: bool = False) -> None:
        now = self._clock.now_ms()
        event = _event(self._steps.number(now), now, step_ms, while_off=while_off)
        _log.warning("source %s: %s", self._output.source, event.message)
        gaps = [gap for item in self._plans for gap in item.clock_was_set(now, event.message)]
        frame = encoding.events_frame(self._output.source, [event])
        await self._output.put(frame, *self._output.gaps(gaps))


def _event(number: str, now_ms: int, step_ms: int, *, while_off: bool) -> Event:
    """Return what is told of a clock that was set by step_ms (back: below 0) and says now_ms since."""
    before = now_ms - step_ms
    way = "forward" if step_ms > 0 else "back"
    when = "while it was not running" if while_off else "while it ran"
    detail = f"the satellite's clock went {way} by {abs(step_ms) / 1000:.1f} s at {clock_time(before)}, {when}"
    if step_ms > 0:
        detail += f": from then to {clock_time(now_ms)} there is nothing (it was set, or the machine slept)"
    else:
        detail += f": from {clock_time(now_ms)} to then samples of before and after overlap, and counters have no rate"
    attributes = {"clock.step_ms": step_ms, "clock.before_ms": before, "clock.after_ms": now_ms}
    return Event(f"{EVENT}/{number}", now_ms, EVENT, detail, Severity.WARNING, attributes=attributes)
