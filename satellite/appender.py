"""Puts frames and definitions of this run on the disk; appends that wait at the same moment share one fdatasync.

The one promise: what a call returned for is on the disk; after a disk that failed once nothing is accepted any more.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from satellite.disk import advice, is_broken, is_full
from satellite.epoch_writer import EpochWriter
from satellite.records import HEAD_BYTES, Record, RecordType
from satellite.segments import FRAME_COST, Segment
from satellite.spool_epoch import SpoolEpoch
from satellite.spool_errors import SpoolBrokenError, SpoolFullError
from satellite.spool_files import SpoolFiles
from satellite.spool_room import NoRoomError, SpoolRoom
from shared.failpoints import failpoint
from shared.pb import telemetry_pb2 as pb

_log = logging.getLogger(__name__)
A = TypeVar("A")
T = TypeVar("T")
_GROUP_BYTES: Final = 16 * 1024 * 1024  # of appends that share one fdatasync
_Records = list[tuple[int, int, RecordType, bytes]]  # sequence, UTC milliseconds, type, payload


@dataclass(slots=True, eq=False)
class _Append:
    type: RecordType
    time_ms: int
    payload: bytes
    samples: int
    done: "asyncio.Future[int]"


class Appender:
    """Writes to the epoch of this run, in a thread of its own. Belongs to the event loop."""

    def __init__(
        self,
        epoch: SpoolEpoch,
        files: SpoolFiles,
        room: SpoolRoom,
        now_ms: Callable[[], int],
        appended: Callable[[Record, bytes, int], None],
    ) -> None:
        """Call appended with record, payload and samples of each frame that is on the disk, before anybody sees it."""
        self.broken: str | None = None
        self._epoch, self._room, self._now_ms, self._appended = epoch, room, now_ms, appended
        self._writer = EpochWriter(epoch, files)
        self._thread = ThreadPoolExecutor(1, "spool")
        self._waiting: list[_Append] = []
        self._flush: asyncio.Task[None] | None = None
        self._defining = asyncio.Lock()

    async def append(self, kind: RecordType, payload: bytes, samples: int) -> int:
        """Append a frame of so many samples and return its sequence. Raises SpoolError."""
        self._check()
        loop = asyncio.get_running_loop()
        entry = _Append(kind, self._now_ms(), payload, samples, loop.create_future())
        self._waiting.append(entry)
        if self._flush is None or self._flush.done():
            self._flush = loop.create_task(self._flush_all(), name="spool flush")
        return await entry.done

    async def define(self, definitions: Sequence[pb.SeriesDefinition]) -> None:
        """Append definitions, their ids following the last. Raises SpoolError, ValueError."""
        self._check()
        async with self._defining:
            through = self._epoch.definitions.through
            if definitions[0].id != through + 1:
                raise ValueError(f"series id {through + 1} is the next, not {definitions[0].id}")
            await self._roomy(sum(item.ByteSize() for item in definitions), self._define, definitions)

    async def move(self, epoch: SpoolEpoch, folder: Path, number: bytes) -> None:
        """Rename the folder of an epoch, and nobody writes there meanwhile."""
        await asyncio.get_running_loop().run_in_executor(self._thread, epoch.move, folder, number)

    async def finish(self) -> None:
        """Return when nothing is being written any more."""
        if self._flush is not None:
            await self._flush

    def close(self) -> None:
        """Let go of thread and files."""
        self._thread.shutdown()
        self._writer.close()
        self._epoch.definitions.close()

    async def _flush_all(self) -> None:
        # Whoever comes while the disk is busy shares the next fdatasync.
        while self._waiting:
            group = self._take_group()
            first = self._epoch.next_sequence
            records = [(first + i, entry.time_ms, entry.type, entry.payload) for i, entry in enumerate(group)]
            try:
                size = sum(max(len(entry.payload) + HEAD_BYTES, FRAME_COST) for entry in group)
                segment, written = await self._roomy(size, self._write, records)
            except Exception as error:  # noqa: BLE001 - whatever it was, whoever waits is told
                for entry in group:
                    if not entry.done.done():
                        entry.done.set_exception(error)
                continue
            self._publish(segment, written, group)

    def _take_group(self) -> list[_Append]:
        size, count = 0, 0
        while count < len(self._waiting) and (not count or size + len(self._waiting[count].payload) <= _GROUP_BYTES):
            size += len(self._waiting[count].payload)
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    def _publish(self, segment: Segment, written: Sequence[Record], group: Sequence[_Append]) -> None:
        epoch = self._epoch
        if not epoch.segments or epoch.segments[-1] is not segment:
            epoch.segments.append(segment)
        for record, entry in zip(written, group, strict=True):
            segment.publish(record)
            self._appended(record, entry.payload, entry.samples)
            if not entry.done.done():
                entry.done.set_result(record.sequence)
        epoch.pending.add(written[0].sequence, written[-1].sequence)
        epoch.next_sequence = written[-1].sequence + 1

    # --- the disk

    async def _roomy(self, size: int, action: Callable[[A], T], argument: A) -> T:
        """Do in the writing thread what may find the disk full, and make room for it. Raises SpoolError."""
        loop = asyncio.get_running_loop()
        try:
            await self._room.fit(size)
        except OSError as error:
            _log.error("the spool can't be kept within its bound: %s; %s", error, advice(error))
        try:
            return await self._room.write(size, lambda: loop.run_in_executor(self._thread, action, argument))
        except NoRoomError as error:
            raise SpoolFullError(str(error)) from error

    def _define(self, definitions: Sequence[pb.SeriesDefinition]) -> None:
        target = self._epoch.definitions
        try:
            target.append(definitions, self._now_ms())
        except OSError as error:
            raise self._failed(error, target.cut) from error

    def _write(self, records: _Records) -> tuple[Segment, list[Record]]:
        try:
            segment, written = self._writer.write(records)
        except OSError as error:
            raise self._failed(error, self._writer.cut) from error
        failpoint("spool.fdatasync.before")
        try:
            self._writer.sync(written)
        except OSError as error:
            raise self._break(error) from error
        failpoint("spool.fdatasync.after")
        return segment, written

    def _failed(self, error: OSError, cut: Callable[[], None]) -> Exception:
        # Nothing of a failed write may stay before the next one; where that fails too, nothing can be trusted.
        try:
            cut()
        except OSError as second:
            return self._break(second)
        if is_broken(error):
            return self._break(error)
        sentence = f"can't write to {self._epoch.folder}: {error}; {advice(error)}"
        return NoRoomError(sentence) if is_full(error) else SpoolFullError(sentence)

    def _break(self, error: OSError) -> SpoolBrokenError:
        self.broken = f"the disk below {self._epoch.folder} failed: {error}; {advice(error)}"
        return SpoolBrokenError(self.broken)

    def _check(self) -> None:
        if self.broken:
            raise SpoolBrokenError(self.broken)
