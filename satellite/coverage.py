"""Which instants of a poll plan were seen, and the gaps for those that were not.

The one promise: from the first sight on, every instant is either in a batch or in exactly one gap.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import google_crc32c

from satellite.collector import PollPlan
from shared.columns import ColumnError, decode_i64
from shared.model import Gap, GapReason
from shared.pb import uplink_pb2

_log = logging.getLogger(__name__)
_NOT_RUNNING: Final = "the satellite was not running"


@dataclass(frozen=True, slots=True)
class Slots:
    """The instants of a plan: wall multiples of its interval plus an offset that is the plan's own and stays."""

    interval_ms: int
    offset_ms: int

    @classmethod
    def of(cls, source: str, plan: PollPlan) -> "Slots":
        """Return a plan's slots; the offset is at most 1 s and 5 % of the interval."""
        interval = max(round(plan.interval * 1000), 1)
        spread = min(1000, interval // 20)
        number = int(google_crc32c.value(f"{source}/{plan.name}".encode()))
        return cls(interval, number % spread if spread else 0)

    def at(self, now_ms: int) -> int:
        """Return the newest instant that is not after now."""
        return (now_ms - self.offset_ms) // self.interval_ms * self.interval_ms + self.offset_ms

    def after(self, now_ms: int) -> int:
        """Return the oldest instant after now."""
        return self.at(now_ms) + self.interval_ms


class Coverage:
    """How far one plan of one source is accounted for. Gaps are asked for first, and noted once they are spooled."""

    def __init__(self, plan: str, slots: Slots, until_ms: int, now_ms: int) -> None:
        """Go on where an earlier run ended at until_ms; 0 where there was none."""
        # Where the clock went back meanwhile, instants of a time that will come again are not waited for.
        self.until_ms = min(until_ms, slots.after(now_ms)) if until_ms else now_ms
        self._plan = plan
        self._slots = slots
        self._started_ms = now_ms
        self._first = not until_ms
        self._why: tuple[GapReason, str] | None = (GapReason.RESTART, _NOT_RUNNING) if until_ms else None

    def blame(self, reason: GapReason, detail: str) -> None:
        """Remember why the instants from until_ms on are missing, for the gap that the next sight ends."""
        self._why = (reason, detail)

    def excuse(self, reason: GapReason, detail: str) -> None:
        """Do the same where nothing else is the reason yet."""
        if self._why is None:
            self.blame(reason, detail)

    def gaps_before(self, now_ms: int) -> list[Gap]:
        """Return the gap that ends with a cycle that began now; none in the usual case."""
        if self._first:
            return []
        if self._why is None:
            # Aligned: a cycle that starts some milliseconds after its instant has missed nothing.
            return self._gap(self._slots.at(now_ms), GapReason.OVERRUN, "cycles were skipped: the source was busy")
        return self._gap(now_ms, *self._why)

    def saw(self, now_ms: int, steps: int = 1) -> None:
        """Note that a cycle that began now is spooled, and that the next one comes so many instants later."""
        self.until_ms = max(self.until_ms, self._slots.at(now_ms) + steps * self._slots.interval_ms)
        self._why, self._first = None, False

    def gaps_until(self, now_ms: int, reason: GapReason, detail: str) -> list[Gap]:
        """Return the gaps for what was not seen up to now, where `reason` is why this time."""
        gaps, self_from = [], self.until_ms
        if self._why is not None and self._why[0] is GapReason.RESTART and self_from < self._started_ms <= now_ms:
            gaps = self._gap(self._started_ms, *self._why)
            self_from = self._started_ms
        if now_ms > self_from:
            gaps.append(Gap(self_from, now_ms, reason, detail, self._plan))
        return gaps

    def missed(self, now_ms: int, reason: GapReason, detail: str) -> None:
        """Note that the gaps until now are spooled."""
        self.until_ms = max(self.until_ms, now_ms)
        self._why, self._first = (reason, detail), False

    def skipped(self, now_ms: int, detail: str) -> list[Gap]:
        """Return the gap of the instants that never were, because the clock was set forward, and note it."""
        to_ms = self._slots.at(now_ms)
        if self._first or to_ms <= self.until_ms or (self._why is not None and self._why[0] is GapReason.RESTART):
            return []  # nothing was seen yet, or the gap of the restart covers it
        gap = Gap(self.until_ms, to_ms, GapReason.SKEW, detail, self._plan)
        self.until_ms = to_ms
        return [gap]

    def go_back(self, to_ms: int) -> None:
        """Account for instants from here on once more: the clock was set back."""
        self.until_ms = min(self.until_ms, to_ms)

    def _gap(self, to_ms: int, reason: GapReason, detail: str) -> list[Gap]:
        return [Gap(self.until_ms, to_ms, reason, detail, self._plan)] if to_ms > self.until_ms else []


Ends = dict[tuple[str, str], int]  # (source, plan) -> until_ms


def ends_of(frames: Iterable[uplink_pb2.Frame]) -> Ends:
    """Return how far the last frames of an earlier run account for its plans, UTC milliseconds."""
    ends: Ends = {}
    for frame in frames:
        for key, until in _ends(frame):
            ends[key] = max(ends.get(key, 0), until)
    return ends


def _ends(frame: uplink_pb2.Frame) -> list[tuple[tuple[str, str], int]]:
    if frame.HasField("gaps"):
        return [((gap.source, gap.plan), gap.to_ms) for gap in frame.gaps.gaps]
    if not frame.HasField("batch"):
        return []
    batch = frame.batch
    try:
        newest = int(decode_i64(batch.times, batch.times.count)[-1])
    except (ColumnError, IndexError):
        return []
    slots = Slots.of(batch.source, PollPlan(batch.plan, batch.interval_ms / 1000, 0))
    return [((batch.source, batch.plan), slots.after(newest))]


def load_ends(path: Path) -> Ends:
    """Read what store_ends wrote; an unreadable file is left out with a warning."""
    try:
        stored = json.loads(path.read_bytes())
        return {(source, plan): int(until) for source, plans in stored.items() for plan, until in plans.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError) as error:
        _log.warning("%s can't be read (%s): gaps of the restart are taken from the spool alone", path, error)
        return {}


def ends_json(ends: Mapping[tuple[str, str], int]) -> bytes:
    """Return the content of the file that load_ends reads."""
    stored: dict[str, dict[str, int]] = {}
    for (source, plan), until in ends.items():
        stored.setdefault(source, {})[plan] = until
    return json.dumps(stored, indent=1).encode()
