"""Frames that the metaconsole had acknowledged and lacks: those that are still here wait again.

The one promise: of what is asked for, each sequence waits, is declared as lost as it was before, or is gone.
"""

from collections.abc import Iterable

from satellite.spool import Spool
from satellite.spool_epoch import SpoolEpoch
from shared.ranges import RangeSet


def recall(spool: Spool, number: bytes, ranges: Iterable[tuple[int, int]]) -> tuple[int, list[tuple[int, int]]]:
    """Offer again what is here; return how many frames, the dropped among them, and the ranges that are gone."""
    wanted = RangeSet(ranges)
    epoch = next((epoch for epoch in spool.epochs if epoch.id == number), None)
    if epoch is None:
        return 0, [*wanted]
    for known in (epoch.pending, epoch.lost):  # on their way anyhow
        for first, last in known:
            wanted.remove(first, last)
    sent = _offer(epoch, wanted, epoch.pending, _held(epoch))
    declared = _offer(epoch, wanted, epoch.lost, ((drop.first, drop.last) for drop in epoch.drops))
    spool.recalled += declared
    spool.changed.set()
    return sent + declared, [*wanted]


def _held(epoch: SpoolEpoch) -> list[tuple[int, int]]:
    """Return what is in the segments, as far as it is of use: frames need their series' definitions."""
    return [run for segment in epoch.segments for run in segment.runs()] if epoch.definitions.complete else []


def _offer(epoch: SpoolEpoch, wanted: RangeSet, to: RangeSet, there: Iterable[tuple[int, int]]) -> int:
    """Move what is wanted and there from the taken ones to a set, and return how many sequences."""
    moved = RangeSet(part for first, last in there for part in wanted.clipped(first, last))
    for first, last in moved:
        wanted.remove(first, last)
        epoch.taken.remove(first, last)
        to.add(first, last)
    return len(moved)
