"""Reports of what a satellite produced: taken in part by part, compared when complete, answered with what is missing.

The one promise: a report is bounded and well-formed before anything of it is stored; one that is not costs only itself.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from metaconsole.gateway.check import SEQUENCES, ProtocolError
from metaconsole.gateway.definitions import epoch_of
from metaconsole.gateway.outage import Outage
from metaconsole.store.database import AsyncDatabase, UnavailableError
from metaconsole.store.reconciliation import Missing, Told, reconcile
from shared.batches import BATCH_SAMPLES
from shared.pb import uplink_pb2
from shared.ranges import RangeSet
from shared.tallies import block_of
from shared.tls import SatelliteIdentity

ROWS: Final = 4_096  # of a report
RETRY_SECONDS: Final = 1.0
_FAR: Final = 2**53  # milliseconds
_log = logging.getLogger(__name__)


class ReportError(ValueError):
    """A report that can't be true."""


class Reconciliation:
    """The reports of one session."""

    def __init__(self, identity: SatelliteIdentity, database: AsyncDatabase, outage: Outage) -> None:
        self._identity, self._database, self._outage = identity, database, outage
        self._told: list[Told] = []
        self._refused = False  # what has come of the report can't be true: the rest is passed over
        self._asked: dict[bytes, RangeSet] = {}  # by the newest answer

    async def take(self, part: uplink_pb2.Produced, name: str) -> uplink_pb2.Recall | None:
        """Take a part of a report; return the answer to a complete one. Waits while PostgreSQL is away."""
        try:
            if not self._refused:
                self._told += check_produced(part, ROWS - len(self._told))
                if len({(told.epoch, block_of(told.first)) for told in self._told}) < len(self._told):
                    raise ReportError("a block of an epoch stands in it twice")
        except (ReportError, ProtocolError) as error:
            _log.warning("a report of %s is passed over: %s", name, error, extra={"event": "reconcile.refused"})
            self._refused = True
        if not part.complete:
            return None
        told, refused, self._told, self._refused = self._told, self._refused, [], False
        return None if refused else await self._compare(told, name)

    def has_asked(self, epoch: bytes, span: uplink_pb2.SequenceRange) -> bool:
        """Tell whether all of a range was asked for."""
        asked = self._asked.get(epoch)
        return asked is not None and not list(asked.missing(span.first, span.last))

    async def _compare(self, told: Sequence[Told], name: str) -> uplink_pb2.Recall:
        recalled, frames = await self._reconcile(told)
        if frames:
            _log.warning(
                "%s: of %s frames that it had acknowledged %s are missing, in %s ranges; they are asked for again",
                name, sum(row.last - row.first + 1 for row in told), frames, len(recalled),
                extra={"event": "reconcile.difference", "frames": frames},
            )  # fmt: skip
        else:
            _log.info("%s: nothing is missing", name, extra={"event": "reconcile.agreed"})
        answer = uplink_pb2.Recall(epochs=_grouped(recalled))
        self._asked = {one.epoch: RangeSet((part.first, part.last) for part in one.ranges) for one in answer.epochs}
        return answer

    async def _reconcile(self, told: Sequence[Told]) -> tuple[list[Missing], int]:
        who = (self._identity.site_id, self._identity.satellite_id)
        while True:
            try:
                async with self._database.connection() as connection:
                    found = await reconcile(connection, *who, told)
            except UnavailableError as error:
                self._outage.lost(error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._outage.back()
                return found


def check_produced(part: uplink_pb2.Produced, room: int) -> list[Told]:
    """Return the rows of a part of a report, at most so many; raises ReportError or ProtocolError."""
    if sum(len(epoch.ranges) for epoch in part.epochs) > room or len(part.epochs) > ROWS:
        raise ReportError(f"a report has at most {ROWS} ranges")
    return [_told(epoch_of(epoch.epoch), row) for epoch in part.epochs for row in epoch.ranges]


def _told(epoch: UUID, row: uplink_pb2.ProducedRange) -> Told:
    if not 1 <= row.first <= row.last < SEQUENCES or block_of(row.first) != block_of(row.last):
        raise ReportError(f"{row.first} to {row.last} is no range of sequences within a block")
    frames = row.last - row.first + 1
    if row.uncounted > frames or row.samples > frames * BATCH_SAMPLES:
        raise ReportError(f"{frames} frames have not {row.samples} samples with {row.uncounted} uncounted")
    if not -_FAR <= row.from_ms <= row.to_ms <= _FAR:
        raise ReportError("frames are spooled after they began to be")
    return Told(epoch, row.first, row.last, row.samples, row.uncounted, row.from_ms, row.to_ms)


def _grouped(parts: Sequence[Missing]) -> Iterator[uplink_pb2.EpochRanges]:
    by_epoch: dict[UUID, list[uplink_pb2.SequenceRange]] = {}
    for part in parts:
        by_epoch.setdefault(part.epoch, []).append(uplink_pb2.SequenceRange(first=part.first, last=part.last))
    for epoch, ranges in by_epoch.items():
        yield uplink_pb2.EpochRanges(epoch=epoch.bytes, ranges=ranges)
