"""How far this machine's clock is from the metaconsole's, measured with every heartbeat.

The one promise: it is measured between monotonic clocks, so that a step of this machine's clock shows at once, one of
the metaconsole's with the next answer, and it says how wrong it may be.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from satellite.clock import STEP_MS, Clock, apart_ms, stamp
from satellite.collector import Check
from satellite.offset import OffsetFilter
from shared.clock_time import clock_time
from shared.pb import uplink_pb2

WARNING_MS: Final = 2_000
_FRESH_MS: Final = 60_000  # what a status may be old and still tell of now
_MS: Final = 1_000_000  # nanoseconds
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """One clock minus another, and by how much that may be wrong; milliseconds."""

    ms: float
    uncertainty_ms: float

    @property
    def at_least_ms(self) -> float:
        """By how much the clocks differ for certain."""
        return max(abs(self.ms) - self.uncertainty_ms, 0.0)

    def __str__(self) -> str:
        way = "ahead" if self.ms > 0 else "behind"
        return f"{abs(self.ms) / 1000:.3f} s {way} (± {self.uncertainty_ms / 1000:.3f} s)"

    def told(self) -> dict[str, float]:
        """Return what status.json says of it."""
        return {"offset_ms": round(self.ms, 3), "uncertainty_ms": round(self.uncertainty_ms, 3)}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> "ClockOffset | None":
        """Return what status.json said; None where it said nothing."""
        try:
            return cls(float(told["offset_ms"]), float(told["uncertainty_ms"]))
        except (KeyError, TypeError, ValueError):
            return None


class MetaconsoleClock:
    """The clock of the gateway that the session is with."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told = False
        self.begin()

    def begin(self) -> None:
        """Forget what was measured: another session may be with another gateway."""
        self._filter = OffsetFilter()
        # The gateway's wall clock minus the clock that is measured: its monotonic one, once it answered a heartbeat.
        self._base_ms: int | None = None
        self._reported: uplink_pb2.ClockStamp | None = None

    def welcomed(self, sent_ns: int, now_ms: int) -> None:
        """Take the greeting and its answer as a first round trip. A gateway of 0.1 gives no other."""
        if now_ms:
            self._filter.add_reading(sent_ns, now_ms, 1, stamp(self._clock).monotonic_ns)
            self._tell()

    def answered(self, answer: uplink_pb2.ClockAnswer) -> bool:
        """Take the answer to a heartbeat; return whether it is the session's first."""
        first = self._base_ms is None
        if first:
            self._filter = OffsetFilter()
        arrived_ns = stamp(self._clock).monotonic_ns
        self._filter.add(answer.heartbeat_ns, answer.received_ns, answer.answered_ns, arrived_ns)
        self._base_ms = answer.now_ms - answer.answered_ns // _MS
        self._tell()
        return first

    def report(self, beat: uplink_pb2.Heartbeat) -> None:
        """Write what is known into a heartbeat."""
        now = self._reported = stamp(self._clock)
        beat.now_ms, beat.monotonic_ns, beat.boot_id = now.now_ms, now.monotonic_ns, now.boot_id
        known = self._filter.at(now.monotonic_ns)
        if known is not None and self._base_ms is not None:
            beat.gateway_monotonic_ns = now.monotonic_ns + known.ns
            beat.clock_uncertainty_ns = known.uncertainty_ns

    def was_set(self) -> bool:
        """Return whether this machine's clock was set since the last report."""
        return self._reported is not None and abs(apart_ms(self._reported, stamp(self._clock))) >= STEP_MS

    def offset(self) -> ClockOffset | None:
        """Return this machine's clock minus the metaconsole's; None while it is not known."""
        now = stamp(self._clock)
        known = self._filter.at(now.monotonic_ns)
        if known is None:
            return None
        theirs = (now.monotonic_ns + known.ns) / _MS + (self._base_ms or 0)
        return ClockOffset(now.now_ms - theirs, known.uncertainty_ns / _MS + 1)

    def _tell(self) -> None:
        offset = self.offset()
        if offset is None or self._told == (offset.at_least_ms > (WARNING_MS / 2 if self._told else WARNING_MS)):
            return
        self._told = not self._told
        if self._told:
            _log.warning("%s", disagreement(offset, self._clock.now_ms()))
        else:
            _log.info("this machine's clock agrees with the metaconsole's again: it is %s", offset)


def check_against_metaconsole(status: Path, now_ms: int) -> Check:
    """Return the line of the readiness report, by what the running satellite wrote last."""
    try:
        stored = json.loads(status.read_bytes())
        offset, age_ms = ClockOffset.read(stored.get("clock", {})), now_ms - int(stored["time_ms"])
    except (OSError, ValueError, KeyError, TypeError):
        offset, age_ms = None, 0
    if offset is None or abs(age_ms) > _FRESH_MS:
        return Check("clock", True, "not compared: the satellite does not run, or is not connected to the metaconsole")
    if good := offset.at_least_ms <= WARNING_MS:
        return Check("clock", good, f"{offset} of the metaconsole's")
    return Check("clock", good, disagreement(offset, now_ms))


def disagreement(offset: ClockOffset, now_ms: int) -> str:
    """Return the sentence that names both clocks and what to do."""
    return (
        f"this machine's clock says {clock_time(now_ms)}, the metaconsole's {clock_time(now_ms - offset.ms)}: this one "
        f"is {offset}; samples are stored as it stamps them. Set it (timedatectl set-ntp true), or the metaconsole's "
        "where that one is wrong"
    )
