"""Frames that were dropped before they could be sent, as the file `dropped` of an epoch lists them.

The one promise: the samples of the parts of an entry add up to the entry's.
"""

import struct
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from satellite.records import FILE_MAGIC, RecordType, pack, scan
from satellite.tallies import count_in
from shared.pb.telemetry_pb2 import GAP_REASON_DROPPED, GAP_REASON_ERROR, GapReason
from shared.ranges import RangeSet

NAME: Final = "dropped"
MOST: Final = 4096  # entries of an epoch; above that the oldest are joined
_ENTRY: Final = struct.Struct("<QQqqQ")


@dataclass(frozen=True, slots=True)
class Drop:
    """A range of dropped sequences, when they were spooled (UTC milliseconds), and how many samples they held."""

    first: int
    last: int
    from_ms: int
    to_ms: int
    samples: int

    @property
    def frames(self) -> int:
        """How many sequences it names."""
        return self.last - self.first + 1

    def part(self, first: int, last: int) -> "Drop":
        """Return what of it lies between first and last; the samples are in proportion."""
        first, last = max(first, self.first), min(last, self.last)
        below, through = first - self.first, last - self.first + 1
        samples = self.samples * through // self.frames - self.samples * below // self.frames
        return Drop(first, last, self.from_ms, self.to_ms, samples)


@dataclass(frozen=True, slots=True)
class Loss:
    """Sequences to declare as dropped, and why."""

    drop: Drop
    reason: GapReason


@dataclass(frozen=True, slots=True)
class Frame:
    """What a drop has to know of a frame; payload is None where it could not be read."""

    sequence: int
    time_ms: int
    payload: bytes | None


def entries(frames: Iterable[Frame], handed: RangeSet) -> list[Drop]:
    """Return drops for ascending frames. One that a session was handed stands alone: the metaconsole may have it."""
    drops: list[Drop] = []
    alone = True
    for frame in frames:
        one = Drop(frame.sequence, frame.sequence, frame.time_ms, frame.time_ms, count_in(frame.payload or b""))
        was_alone, alone = alone, frame.sequence in handed
        if drops and not alone and not was_alone and drops[-1].last + 1 == frame.sequence:
            drops[-1] = _joined(drops[-1], one)
        else:
            drops.append(one)
    return drops


def added(drops: Iterable[Drop], new: Iterable[Drop]) -> list[Drop]:
    """Return both, ascending; where there are too many, the oldest neighbours become one."""
    found = sorted([*drops, *new], key=lambda drop: drop.first)
    at = 0
    while len(found) > MOST and at + 1 < len(found):
        if found[at].last + 1 == found[at + 1].first:
            found[at : at + 2] = [_joined(found[at], found[at + 1])]
        else:
            at += 1
    return found


def parts(drops: Sequence[Drop], first: int, last: int) -> Iterator[Drop]:
    """Yield the parts of ascending drops that lie between first and last."""
    at = bisect_left(drops, first, key=lambda drop: drop.last)
    while at < len(drops) and drops[at].first <= last:
        yield drops[at].part(first, last)
        at += 1


def losses(drops: Sequence[Drop], first: int, last: int, span: Callable[[int, int], tuple[int, int]]) -> list[Loss]:
    """Return why sequences are lost; of what was not dropped on purpose, span tells the time."""
    known = list(parts(drops, first, last))
    others = RangeSet((drop.first, drop.last) for drop in known).missing(first, last)
    damaged = [Loss(Drop(low, high, *span(low, high), 0), GAP_REASON_ERROR) for low, high in others]
    return [Loss(drop, GAP_REASON_DROPPED) for drop in known] + damaged


def to_file(drops: Iterable[Drop]) -> bytes:
    """Return the content of the file that keeps drops."""
    payload = b"".join(_ENTRY.pack(d.first, d.last, d.from_ms, d.to_ms, d.samples) for d in drops)
    return FILE_MAGIC + pack(0, 0, RecordType.DROPPED, payload)


def of_file(data: bytes) -> list[Drop] | None:
    """Return the drops of such a file, or None where it is damaged."""
    found = scan(data)
    if found.damaged or [record.type for record in found.records] != [RecordType.DROPPED]:
        return None
    payload = data[found.records[0].payload]
    if len(payload) % _ENTRY.size:
        return None
    drops = [Drop(*fields) for fields in _ENTRY.iter_unpack(payload)]
    rising = all(before.last < after.first for before, after in pairwise(drops))
    return drops if rising and all(1 <= drop.first <= drop.last for drop in drops) else None


def _joined(one: Drop, other: Drop) -> Drop:
    span = min(one.from_ms, other.from_ms), max(one.to_ms, other.to_ms)
    return Drop(one.first, other.last, *span, one.samples + other.samples)
