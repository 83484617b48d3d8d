"""Which frame goes next: live first, and behind it the backlog, oldest first.

The one promise: within a session a frame is picked once, and a live one never waits behind an old one.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from satellite.spool import Spool
from satellite.spool_epoch import SpoolEpoch
from shared.pb import uplink_pb2

LIVE_MS: Final = 60_000  # spooled this short before the session began, a frame is live
_GROUP_BYTES: Final = 4 * 1024 * 1024
_GROUP: Final = 32


@dataclass(frozen=True, slots=True)
class Pick:
    """Frames of one epoch and lane to read and send together."""

    epoch: SpoolEpoch
    lane: uplink_pb2.Lane
    sequences: list[int]


class Lanes:
    """The order of one session."""

    def __init__(self, spool: Spool, offered: Collection[bytes], now_ms: int) -> None:
        """Serve the epochs that the Hello offered."""
        self._spool = spool
        self._offered = frozenset(offered)
        self._boundary = _boundary(spool.current, now_ms - LIVE_MS)
        self._live = self._boundary  # the next live sequence
        self._behind: dict[bytes, int] = {}  # the next sequence of the backlog, by epoch

    def next(self, most: int, backfill_bytes: int) -> Pick | None:
        """Return what to send next: at most so many frames, and of the backlog so many bytes or one frame more.

        None when nothing waits that may be sent; the backlog waits while its bytes are 0.
        """
        most = min(most, _GROUP)
        current = self._spool.current
        if most > 0 and (sequences := _group(current, self._live, None, most, _GROUP_BYTES)):
            self._live = sequences[-1] + 1
            return Pick(current, uplink_pb2.LANE_LIVE, sequences)
        for epoch in self._spool.epochs if most > 0 and backfill_bytes > 0 else ():
            if epoch.id not in self._offered:
                continue
            end = self._boundary if epoch is current else None
            behind = self._behind.get(epoch.id, 1)
            if sequences := _group(epoch, behind, end, most, min(backfill_bytes, _GROUP_BYTES)):
                self._behind[epoch.id] = sequences[-1] + 1
                return Pick(epoch, uplink_pb2.LANE_BACKFILL, sequences)
        return None


def _group(epoch: SpoolEpoch, start: int, end: int | None, most: int, most_bytes: int) -> list[int]:
    sequences: list[int] = []
    size = 0
    while len(sequences) < most:
        sequence = epoch.pending.next_from(start)
        if sequence is None or (end is not None and sequence >= end):
            break
        size += epoch.size_of(sequence)
        if sequences and size > most_bytes:
            break
        sequences.append(sequence)
        start = sequence + 1
    return sequences


def _boundary(epoch: SpoolEpoch, since_ms: int) -> int:
    """Return the first sequence that was spooled since then; found from the end, where the newest are."""
    boundary = epoch.next_sequence
    for segment in reversed(epoch.segments):
        for sequence, time_ms in zip(reversed(segment.sequences), reversed(segment.times), strict=True):
            if time_ms < since_ms:
                return boundary
            boundary = sequence
    return boundary
