"""Tells the metaconsole what was produced, and sends again what it turns out to lack.

The one promise: a report names only what this satellite holds for delivered, so that whatever of it is missing at the
centre is a difference.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import groupby
from typing import Final

from satellite.clock import Clock
from satellite.recalls import recall
from satellite.spool import Spool
from satellite.tallies import Key, Tally, changed
from shared.pb import uplink_pb2
from shared.pb.telemetry_pb2 import GAP_REASON_ERROR

ANSWERED_SINCE: Final = (1, 1)  # the protocol of metaconsoles that know reports
DAY_SECONDS: Final = 86_400.0
_LOOK_SECONDS: Final = 0.5  # between two looks whether all is acknowledged
_AGAIN_SECONDS: Final = 2.0  # until the next report, after what is gone was declared
_PATIENT_SECONDS: Final = 600.0  # more, where reports in a row have not helped
_PATIENCE: Final = 3
_PART: Final = 256  # ranges of a message: 8 KiB, so that live frames don't wait for long behind one
_log = logging.getLogger(__name__)


Send = Callable[[uplink_pb2.SatelliteMessage], Awaitable[None]]
Declare = Callable[[uplink_pb2.Dropped], Awaitable[None]]


class Reconciler:
    """Lives as long as the process: what was agreed is not told again before the day is over."""

    def __init__(self, spool: Spool, clock: Clock, every_seconds: float = DAY_SECONDS) -> None:
        self._spool, self._clock, self._every = spool, clock, every_seconds
        self._agreed: dict[Key, Tally] = {}
        self._incarnation = b""
        self._full_at: float | None = None
        self._recalls = 0  # in a row
        self._answers: asyncio.Queue[uplink_pb2.Recall] = asyncio.Queue()

    def answer(self, answer: uplink_pb2.Recall) -> None:
        """Take the metaconsole's answer to a report."""
        self._answers.put_nowait(answer)

    async def run(self, send: Send, declare: Declare, incarnation: bytes) -> int:
        """Tell and compare for the time of a session; return once frames wait again, and how many.

        What was agreed with another life of the metaconsole is told again.
        """
        if incarnation != self._incarnation:
            self._incarnation, self._full_at = incarnation, None
        self._answers = asyncio.Queue()
        while True:
            if self._recalls > _PATIENCE:
                await asyncio.sleep(_PATIENT_SECONDS)
            rows = await self._settled()
            await self._tell(send, rows)
            answer = await self._answers.get()
            if not answer.epochs:
                self._agreed, self._recalls = rows, 0
                await asyncio.sleep(self._due_seconds())
                continue
            if again := await self._follow(declare, answer):
                return again
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _settled(self) -> dict[Key, Tally]:
        """Return what was produced until now, once all of it is acknowledged."""
        spool = self._spool
        found: tuple[dict[Key, Tally], int] | None = None
        while True:
            if not spool.loaded.is_set() or not all(epoch.drained for epoch in spool.epochs[:-1]):
                found = None
            else:
                found = found or (spool.tallies.rows(), spool.current.next_sequence - 1)
                if not any(waiting.touches(1, found[1]) for waiting in (spool.current.pending, spool.current.lost)):
                    return found[0]
            await asyncio.sleep(_LOOK_SECONDS)

    def _due_seconds(self) -> float:
        assert self._full_at is not None
        return max(0.0, self._full_at + self._every - self._clock.monotonic())

    async def _tell(self, send: Send, rows: dict[Key, Tally]) -> None:
        if self._full_at is None or not self._due_seconds() or self._recalls:
            self._full_at, self._agreed = self._clock.monotonic(), {}
        fresh = [*changed(rows, self._agreed)]
        for at in range(0, max(len(fresh), 1), _PART):
            part = uplink_pb2.Produced(epochs=_by_epoch(fresh[at : at + _PART]), complete=at + _PART >= len(fresh))
            await send(uplink_pb2.SatelliteMessage(produced=part))

    async def _follow(self, declare: Declare, answer: uplink_pb2.Recall) -> int:
        self._recalls += 1
        again, gone = 0, 0
        for wanted in answer.epochs:
            frames, parts = recall(self._spool, wanted.epoch, [(r.first, r.last) for r in wanted.ranges])
            again += frames
            for first, last in parts:
                gone += last - first + 1
                await declare(self._gone(wanted.epoch, first, last))
        _log.warning(
            "the metaconsole lacks frames that it had acknowledged: %d are sent again, %d are held no more", again, gone
        )
        return again

    def _gone(self, epoch: bytes, first: int, last: int) -> uplink_pb2.Dropped:
        share = self._spool.tallies.share(epoch, first, last)
        return uplink_pb2.Dropped(
            epoch=epoch,
            range=uplink_pb2.SequenceRange(first=first, last=last),
            from_ms=share.from_ms,
            to_ms=share.to_ms,
            reason=GAP_REASON_ERROR,
            samples=share.samples,
        )


def _by_epoch(rows: Iterable[tuple[Key, Tally]]) -> Iterator[uplink_pb2.EpochProduced]:
    for epoch, group in groupby(rows, key=lambda row: row[0][0]):
        ranges = [
            uplink_pb2.ProducedRange(
                first=tally.first,
                last=tally.last,
                samples=tally.samples,
                uncounted=tally.uncounted,
                from_ms=tally.from_ms,
                to_ms=tally.to_ms,
            )
            for _, tally in group
        ]
        yield uplink_pb2.EpochProduced(epoch=epoch, ranges=ranges)
