"""How far a source's own clock is from the satellite's.

The one promise: it costs one call a minute, beside the cycles, and what it says is as exact as it claims.
"""

from satellite.clock import Clock, stamp
from satellite.collector import Check, Collector
from satellite.metaconsole_clock import WARNING_MS, ClockOffset
from satellite.offset import OffsetFilter
from shared.clock_time import clock_time

CAPABILITY = "clock"


class SourceClock:
    """What was measured of one source."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._filter = OffsetFilter()

    async def measure(self, collector: Collector) -> None:
        """Ask a source that has a clock. Raises SourceError, TimeoutError."""
        if CAPABILITY not in collector.capabilities:
            return
        sent = stamp(self._clock).monotonic_ns
        told = await collector.source_clock()
        if told is not None:
            self._filter.add_reading(sent, told.ms, told.resolution_ms, stamp(self._clock).monotonic_ns)

    def offset(self) -> ClockOffset | None:
        """Return the source's clock minus the satellite's; None while it is not known."""
        now = stamp(self._clock)
        known = self._filter.at(now.monotonic_ns)
        if known is None:
            return None
        return ClockOffset((now.monotonic_ns + known.ns) / 1e6 - now.now_ms, known.uncertainty_ns / 1e6)


async def check_clock(collector: Collector, clock: Clock) -> list[Check]:
    """Return the line of the readiness report about the source's clock; none where it has none."""
    measured = SourceClock(clock)
    await measured.measure(collector)
    offset = measured.offset()
    if offset is None:
        return []
    now = clock.now_ms()
    detail = f"the source's clock says {clock_time(now + offset.ms)}, this machine's {clock_time(now)}: it is {offset}"
    if good := offset.at_least_ms <= WARNING_MS:
        return [Check("clock", good, detail)]
    return [Check("clock", good, f"{detail}; set both by NTP: samples that the source stamps are stored as it does")]
