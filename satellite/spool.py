"""The satellite's durable queue: append-only segment files in a folder per epoch. docs/spool.md tells the bytes.

The one promise: once `append` has returned, the frame is on the disk and stays there until `acknowledge` names it or
it is declared lost; a frame that is not on the disk is never handed to the uplink.
"""

import asyncio
import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from satellite.records import PAYLOAD_LIMIT, Record, RecordType
from satellite.segments import Segment
from satellite.spool_epoch import EpochWriter, SpoolEpoch
from satellite.spool_files import SpoolFiles
from shared.failpoints import failpoint
from shared.pb import telemetry_pb2 as pb
from shared.pb import uplink_pb2

_log = logging.getLogger(__name__)
_FOLDER: Final = re.compile(r"(\d{6,})-([0-9a-f]{32})")
_TYPES: Final = {
    "batch": RecordType.BATCH,
    "inventory": RecordType.INVENTORY,
    "events": RecordType.EVENTS,
    "gaps": RecordType.GAPS,
}
_ENVELOPE: Final = 4096  # bytes that the message around a frame may take
FRAME_BYTES: Final = PAYLOAD_LIMIT - _ENVELOPE
_GROUP_BYTES: Final = 16 * 1024 * 1024  # of appends that share one fdatasync
_FRESH_BYTES: Final = 4 * 1024 * 1024  # of frames that are sent from memory instead of being read again
_KEPT_SEGMENTS: Final = 2  # of this run, whatever was acknowledged: the next run reads in them where this one ended


class SpoolError(Exception):
    """The spool can't do what was asked; the message says what, where and how to fix it."""


class SpoolFullError(SpoolError):
    """Nothing could be written and nothing was: the disk is full. Later appends may succeed."""


class SpoolBrokenError(SpoolError):
    """The disk failed to keep what it was given: the process has to stop, for nothing it says can be trusted."""


@dataclass(slots=True, eq=False)
class _Append:
    type: RecordType
    time_ms: int
    payload: bytes
    done: "asyncio.Future[int]"


class Spool:
    """All epochs that still hold frames, this run's last. Belongs to one event loop; the disk is used in threads."""

    def __init__(self, state: Path, now_ms: Callable[[], int], files: SpoolFiles | None = None) -> None:
        """Open the spool below a state folder and begin this run's epoch. Blocks; raises SpoolError, OSError."""
        self.changed = asyncio.Event()  # set when there may be more to send; the uplink clears it
        self._now_ms = now_ms
        self._files = files or SpoolFiles()
        self._folder = state / "spool"
        self._quarantine = state / "quarantine"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock(state / "lock")
        self._old = self._load_old()
        self.current = self._begin()
        self._writer = EpochWriter(self.current, self._files)
        self._thread = ThreadPoolExecutor(1, "spool")
        self._waiting: list[_Append] = []
        self._flush: asyncio.Task[None] | None = None
        self._defining = asyncio.Lock()
        self._sweeping = asyncio.Lock()
        self._stored: dict[bytes, bytes] = {}
        self._fresh: dict[int, bytes] = {}  # the newest frames of this run, which are on the disk as well
        self._fresh_bytes = 0
        self._broken: str | None = None
        self.produced = 0

    @property
    def epochs(self) -> list[SpoolEpoch]:
        """Every epoch, oldest first, this run's last."""
        return [*self._old, self.current]

    # --- writing

    async def append(self, frame: uplink_pb2.Frame) -> int:
        """Append a frame and return its sequence once it is on the disk; sets the frame's epoch and sequence.

        Raises ValueError for a frame above FRAME_BYTES, SpoolFullError, SpoolBrokenError.
        """
        failpoint("spool.append.before")
        content = frame.WhichOneof("content")
        if content is None:
            raise ValueError("a frame without content has no place in the spool")
        for field in ("epoch", "sequence", "lane"):
            frame.ClearField(field)
        payload = frame.SerializeToString()
        if len(payload) > FRAME_BYTES:
            raise ValueError(f"a frame has at most {FRAME_BYTES} bytes, this {content} has {len(payload)}")
        sequence = await self._written(_TYPES[content], payload)
        frame.epoch, frame.sequence = self.current.id, sequence
        failpoint("spool.append.after")
        return sequence

    async def define(self, definitions: Sequence[pb.SeriesDefinition]) -> None:
        """Keep definitions of this run, their ids following the last; on the disk on return. Raises as append."""
        self._check()
        loop = asyncio.get_running_loop()
        async with self._defining:
            target = self.current.definitions
            if definitions[0].id != target.through + 1:
                raise ValueError(f"series id {target.through + 1} is the next, not {definitions[0].id}")
            try:
                await loop.run_in_executor(self._thread, target.append, definitions, self._now_ms())
            except OSError as error:
                raise self._failed(error, target.cut) from error
        self.changed.set()

    async def _written(self, kind: RecordType, payload: bytes) -> int:
        self._check()
        loop = asyncio.get_running_loop()
        entry = _Append(kind, self._now_ms(), payload, loop.create_future())
        self._waiting.append(entry)
        if self._flush is None or self._flush.done():
            self._flush = loop.create_task(self._flush_all(), name="spool flush")
        return await entry.done

    async def _flush_all(self) -> None:
        # Whoever comes while the disk is busy shares the next fdatasync.
        loop = asyncio.get_running_loop()
        while self._waiting:
            group = self._take_group()
            first = self.current.next_sequence
            records = [(first + i, entry.time_ms, entry.type, entry.payload) for i, entry in enumerate(group)]
            try:
                segment, written = await loop.run_in_executor(self._thread, self._write, records)
            except SpoolError as error:
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

    def _write(self, records: list[tuple[int, int, RecordType, bytes]]) -> tuple[Segment, list[Record]]:
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

    def _publish(self, segment: Segment, written: Sequence[Record], group: Sequence[_Append]) -> None:
        epoch = self.current
        if not epoch.segments or epoch.segments[-1] is not segment:
            epoch.segments.append(segment)
        for record, entry in zip(written, group, strict=True):
            segment.publish(record)
            self._fresh[record.sequence] = entry.payload
            self._fresh_bytes += len(entry.payload)
            if not entry.done.done():
                entry.done.set_result(record.sequence)
        while self._fresh_bytes > _FRESH_BYTES:
            self._fresh_bytes -= len(self._fresh.pop(next(iter(self._fresh))))
        epoch.pending.add(written[0].sequence, written[-1].sequence)
        epoch.next_sequence = written[-1].sequence + 1
        self.produced += len(written)
        self.changed.set()

    def _failed(self, error: OSError, cut: Callable[[], None]) -> SpoolError:
        # Nothing of a failed write may stay before the next one; where that fails too, nothing can be trusted.
        try:
            cut()
        except OSError as second:
            return self._break(second)
        return SpoolFullError(f"can't write to {self._folder}: {error}; free some space there")

    def _break(self, error: OSError) -> SpoolBrokenError:
        self._broken = f"the disk below {self._folder} failed: {error}; look at the kernel's log and replace it"
        return SpoolBrokenError(self._broken)

    def _check(self) -> None:
        if self._broken:
            raise SpoolBrokenError(self._broken)

    # --- reading and acknowledging

    async def read(self, epoch: SpoolEpoch, sequences: Sequence[int]) -> list[uplink_pb2.Frame]:
        """Return pending frames; one that can't be read any more is left out and lost: it is declared as dropped."""
        payloads = self._take_fresh(epoch, sequences)
        if absent := [sequence for sequence in sequences if sequence not in payloads]:
            payloads |= await asyncio.to_thread(epoch.load_frames, absent)
        frames = []
        for sequence in sequences:
            payload = payloads[sequence]
            if payload is None:
                _log.error("frame %d of epoch %s is damaged and becomes a gap", sequence, epoch.id.hex())
                epoch.lose(sequence)
                continue
            frame = uplink_pb2.Frame.FromString(payload)
            frame.epoch, frame.sequence = epoch.id, sequence
            frames.append(frame)
        return frames

    def _take_fresh(self, epoch: SpoolEpoch, sequences: Sequence[int]) -> dict[int, bytes | None]:
        """Return what is in memory still; a session reads a frame once, so it leaves the memory."""
        if epoch is not self.current:
            return {}
        found: dict[int, bytes | None] = {}
        for sequence in sequences:
            if (payload := self._fresh.pop(sequence, None)) is not None:
                self._fresh_bytes -= len(payload)
                found[sequence] = payload
        return found

    def acknowledge(self, epoch: bytes, ranges: Iterable[tuple[int, int]]) -> None:
        """Take note that the metaconsole has these sequences for ever. An epoch that is not here is passed over."""
        for known in self.epochs:
            if known.id == epoch:
                known.acknowledge(ranges)

    def forget_acknowledged(self) -> None:
        """Make all that is still here pending again: the metaconsole was restored to an earlier state."""
        for epoch in self.epochs:
            epoch.forget_taken()
        self.changed.set()

    async def renew(self, epoch: SpoolEpoch) -> None:
        """Give an epoch whose numbers the metaconsole no longer trusts a new one, frames and definitions kept."""
        loop = asyncio.get_running_loop()
        fresh = os.urandom(16)
        order = epoch.folder.name.partition("-")[0]
        _log.warning("epoch %s goes on as %s: the metaconsole retired it", epoch.id.hex(), fresh.hex())
        async with self._sweeping:  # and in the writing thread: nobody else uses the folder's old name meanwhile
            await loop.run_in_executor(self._thread, epoch.move, self._folder / f"{order}-{fresh.hex()}", fresh)
        self.changed.set()

    def previous_frames(self, epochs: int = 8) -> Iterator[uplink_pb2.Frame]:
        """Yield the last frames of earlier runs, oldest first: they tell where those runs ended. Blocks."""
        for epoch in self._old[-epochs:]:
            for payload in epoch.newest_payloads():
                yield uplink_pb2.Frame.FromString(payload)

    def depth(self) -> tuple[int, int, int]:
        """Return frames and bytes that wait, and when the oldest of them was spooled (UTC milliseconds, 0: none)."""
        frames = sum(len(epoch.pending) for epoch in self.epochs)
        size = sum(epoch.waiting_bytes() for epoch in self.epochs)
        oldest = next((epoch.time_of(first) for epoch in self.epochs for first, _ in epoch.pending), 0)
        return frames, size, oldest

    # --- room

    async def sweep(self) -> None:
        """Keep what was acknowledged and remove what nothing waits in. Raises OSError."""
        async with self._sweeping:
            for epoch in self.epochs:
                await self._sweep(epoch)
            drained = [epoch for epoch in self._old if epoch.drained]
            for epoch in drained:
                await asyncio.to_thread(epoch.delete)
                self._old.remove(epoch)
                self._stored.pop(epoch.id, None)

    async def _sweep(self, epoch: SpoolEpoch) -> None:
        # What was taken is kept before a segment goes: a sequence that is in neither would be a lost one.
        content, idle = epoch.taken_bytes(), epoch.removable(keep=_KEPT_SEGMENTS if epoch is self.current else 0)
        if self._stored.get(epoch.id) != content:
            await asyncio.to_thread(epoch.store_taken, content)
            self._stored[epoch.id] = content
        for segment in idle:
            epoch.segments.remove(segment)
            await asyncio.to_thread(self._files.remove, epoch.folder / segment.name)

    async def close(self) -> None:
        """Finish what is being written, keep what was acknowledged, let go of the lock. Works twice."""
        if self._lock < 0:
            return
        if self._flush is not None:
            await self._flush
        if not self._broken:
            await self.sweep()
        self._thread.shutdown()
        self._writer.close()
        self.current.definitions.close()
        os.close(self._lock)
        self._lock = -1

    # --- opening

    def _load_old(self) -> list[SpoolEpoch]:
        found = []
        for path in sorted(self._folder.iterdir()):
            match = _FOLDER.fullmatch(path.name)
            if not match:
                _log.warning("%s is not an epoch of the spool and is left alone", path)
                continue
            epoch = SpoolEpoch(path, bytes.fromhex(match[2]), self._files)
            epoch.load(self._quarantine)
            found.append(epoch)
        return found

    def _begin(self) -> SpoolEpoch:
        epoch = os.urandom(16)
        number = int(self._old[-1].folder.name.partition("-")[0]) + 1 if self._old else 1
        folder = self._folder / f"{number:06d}-{epoch.hex()}"
        folder.mkdir(mode=0o700)
        self._files.sync_folder(self._folder)
        return SpoolEpoch(folder, epoch, self._files)


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise SpoolError(
            f"another satellite (process {holder}) runs on the state folder {path.parent}; "
            "stop it, or give this one a state folder of its own"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
