"""The satellite's durable queue: append-only segment files in a folder per epoch. docs/spool.md tells the bytes.

The one promise: once `append` has returned, the frame is on the disk and stays there until `acknowledge` names it or
it is declared lost; a frame that is not on the disk is never handed to the uplink.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from satellite import spool_opening
from satellite.appender import Appender
from satellite.ballast import Ballast
from satellite.bounds import DEFAULT, Bounds, default_bytes
from satellite.disk import advice, free_bytes
from satellite.records import PAYLOAD_LIMIT, Record, RecordType
from satellite.segments import segment_name
from satellite.spool_epoch import SpoolEpoch
from satellite.spool_errors import SpoolError
from satellite.spool_files import SpoolFiles
from satellite.spool_room import SpoolRoom
from satellite.tallies import Tallies, count_samples
from shared.failpoints import failpoint
from shared.pb import telemetry_pb2 as pb
from shared.pb import uplink_pb2

_log = logging.getLogger(__name__)
_TYPES: Final = {
    "batch": RecordType.BATCH,
    "inventory": RecordType.INVENTORY,
    "events": RecordType.EVENTS,
    "gaps": RecordType.GAPS,
}
_ENVELOPE: Final = 4096  # bytes that the message around a frame may take
FRAME_BYTES: Final = PAYLOAD_LIMIT - _ENVELOPE
_FRESH_BYTES: Final = 4 * 1024 * 1024  # of frames that are sent from memory instead of being read again
_EARLIER: Final = 8  # runs whose last frames tell where they ended


@dataclass(frozen=True, slots=True)
class Depth:
    """What is in the spool."""

    frames: int  # that wait
    bytes: int  # of them
    held_bytes: int  # of the bound; with acknowledged segments
    oldest_ms: int  # when the oldest that waits was spooled, UTC milliseconds; 0 for none


class Spool:
    """All epochs that still hold frames, this run's last. Belongs to one event loop; the disk is used in threads."""

    def __init__(
        self,
        state: Path,
        now_ms: Callable[[], int],
        files: SpoolFiles | None = None,
        bounds: Bounds = DEFAULT,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        load: bool = True,
    ) -> None:
        """Open the spool below a state folder and begin this run's epoch. Blocks; raises SpoolError.

        With load=False what earlier runs left is there only after `load`.
        """
        self.changed = asyncio.Event()  # set when there may be more to send; the uplink clears it
        self.loaded = asyncio.Event()  # what earlier runs left is read
        self.produced = 0
        self._damaged = 0  # frames that could not be read again
        self.recalled = 0  # times that frames which were acknowledged became lost again
        self._now_ms = now_ms
        self.files = files or SpoolFiles()  # on a full disk they go on writing small files, with the ballast's room
        self._folder = state / "spool"
        self._quarantine = state / "quarantine"
        self._lock = -1
        try:
            self._open(state, bounds, monotonic)
            if load:
                while epoch := self._load_next():
                    self._take_in(epoch)
                self.loaded.set()
        except OSError as error:
            if self._lock >= 0:
                os.close(self._lock)
            raise self._unopened(error) from error
        self._appender = Appender(self.current, self.files, self._room, now_ms, self._appended)
        self._fresh: dict[int, bytes] = {}  # the newest frames of this run, which are on the disk as well
        self._fresh_bytes = 0

    @property
    def epochs(self) -> list[SpoolEpoch]:
        """Every epoch, oldest first, this run's last."""
        return [*self._epochs]

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
        sequence = await self._appender.append(_TYPES[content], payload, count_samples(frame))
        frame.epoch, frame.sequence = self.current.id, sequence
        failpoint("spool.append.after")
        return sequence

    async def define(self, definitions: Sequence[pb.SeriesDefinition]) -> None:
        """Keep definitions of this run, their ids following the last; on the disk on return. Raises as append."""
        await self._appender.define(definitions)
        self.changed.set()

    def _appended(self, record: Record, payload: bytes, samples: int) -> None:
        self.tallies.add(self.current.id, record.sequence, record.time_ms, samples)
        self._fresh[record.sequence] = payload
        self._fresh_bytes += len(payload)
        while self._fresh_bytes > _FRESH_BYTES:
            self._fresh_bytes -= len(self._fresh.pop(next(iter(self._fresh))))
        self.produced += 1
        self.changed.set()

    # --- reading and acknowledging

    async def read(self, epoch: SpoolEpoch, sequences: Sequence[int]) -> list[uplink_pb2.Frame]:
        """Return pending frames; one that can't be read any more is left out and lost: it is declared as dropped.

        One that was dropped or acknowledged meanwhile is left out, too.
        """
        payloads = self._take_fresh(epoch, sequences)
        if absent := [sequence for sequence in sequences if sequence not in payloads]:
            payloads |= await asyncio.to_thread(epoch.load_frames, absent)
        frames = []
        for sequence in sequences:
            payload = payloads[sequence]
            if payload is None:
                if sequence in epoch.pending:
                    _log.error("frame %d of epoch %s is damaged and becomes a gap", sequence, epoch.id.hex())
                    epoch.lose(sequence)
                    self._damaged += 1
                continue
            if sequence not in epoch.pending or sequence in epoch.leaving:
                continue
            epoch.handed.add(sequence, sequence)
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
        self._forgets = True  # of what is not loaded yet, too
        for epoch in self._epochs:
            epoch.forget_taken()
        self.changed.set()

    async def renew(self, epoch: SpoolEpoch) -> None:
        """Give an epoch whose numbers the metaconsole no longer trusts a new one, frames and definitions kept."""
        fresh = os.urandom(16)
        order = epoch.folder.name.partition("-")[0]  # the run stays
        _log.warning("epoch %s goes on as %s: the metaconsole retired it", epoch.id.hex(), fresh.hex())
        async with self._room.lock:  # nobody else uses the folder's old name meanwhile
            # What the old number says of was delivered under it in part; under the new one, what comes from now on.
            self.tallies.forget(epoch.id)
            self.tallies.begin(fresh, epoch.next_sequence)
            await self._room.keep_tallies()
            await self._appender.move(epoch, self._folder / f"{order}-{fresh.hex()}", fresh)
        self.changed.set()

    def previous_frames(self) -> Iterator[tuple[int, uplink_pb2.Frame]]:
        """Yield the last frames of earlier runs, each with its run, oldest first: they tell where it ended. Blocks."""
        for run, payload in spool_opening.newest_payloads(self._earlier[-_EARLIER:], self.files):
            yield run, uplink_pb2.Frame.FromString(payload)

    def depth(self) -> Depth:
        """Return what is in the spool."""
        frames = sum(len(epoch.pending) for epoch in self._epochs)
        size = sum(epoch.waiting_bytes() for epoch in self._epochs)
        oldest = next((epoch.time_of(first) for epoch in self._epochs for first, _ in epoch.pending), 0)
        return Depth(frames, size, self._room.held(), oldest)

    # --- room

    @property
    def bound(self) -> int:
        """How many bytes it may hold."""
        return self._room.bound

    @property
    def dropped(self) -> tuple[int, int]:
        """How many frames were dropped since start, and how many samples in them."""
        return self._room.dropped_frames, self._room.dropped_samples

    @property
    def losses(self) -> int:
        """A number that rises whenever there is more to declare as lost."""
        return self._damaged + self.recalled + self._room.dropped_frames

    async def sweep(self) -> None:
        """Keep what was acknowledged, remove what is out of its time and its bound. Raises OSError."""
        await self._room.sweep()

    async def close(self) -> None:
        """Finish what is being written, keep what was acknowledged, let go of the lock. Works twice."""
        if self._lock < 0:
            return
        await self._appender.finish()
        if not self._appender.broken:
            await self._room.close()
        self._appender.close()
        os.close(self._lock)
        self._lock = -1

    # --- opening

    async def load(self) -> None:
        """Read what earlier runs left, an epoch at a time, while the spool is in use. Raises SpoolError."""
        try:
            while epoch := await asyncio.to_thread(self._load_next):
                self._take_in(epoch)
        except OSError as error:
            raise self._unopened(error) from error
        self.loaded.set()
        self.changed.set()

    def _open(self, state: Path, bounds: Bounds, monotonic: Callable[[], float]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = spool_opening.lock(state / "lock")
        self.files.ballast = ballast = Ballast(state / "ballast", bounds.ballast_bytes)
        ballast.renew()
        self._unread = spool_opening.epoch_folders(self._folder)
        self._earlier = [folder for folder, _ in self._unread]
        epoch = os.urandom(16)
        self.run = spool_opening.run_of(self._earlier[-1]) + 1 if self._earlier else 1
        folder = self._folder / f"{self.run:06d}-{epoch.hex()}"
        self.files.make_folder(folder)
        self.current = SpoolEpoch(folder, epoch, self.files)
        self._epochs = [self.current]
        self._forgets = False
        own = spool_opening.size_of(self._folder) + ballast.held()
        bound = bounds.bytes or default_bytes(free_bytes(state) + own)
        self.tallies = Tallies(state / "produced", self.files, self._now_ms)
        self.tallies.begin(epoch)
        clocks = (self._now_ms, monotonic)
        found = (self._epochs, self.tallies, self.files, ballast)
        self._room: SpoolRoom = SpoolRoom(*found, bounds, bound, self.changed, *clocks)

    def _load_next(self) -> SpoolEpoch | None:
        if not self._unread:
            return None
        path, number = self._unread.pop(0)
        epoch = SpoolEpoch(path, number, self.files)
        epoch.counted = self.tallies.through(number)
        if epoch.counted is None and (path / segment_name(1)).exists():
            epoch.counted = 0  # nothing of it has gone yet, so that all of it can be counted
        epoch.load(self._quarantine)
        return epoch

    def _take_in(self, epoch: SpoolEpoch) -> None:
        if self._forgets:
            epoch.forget_taken()
        self.tallies.take_in(epoch.id, epoch.uncounted, epoch.next_sequence - 1)
        epoch.uncounted = []
        self._epochs.insert(len(self._epochs) - 1, epoch)
        self.changed.set()

    def _unopened(self, error: OSError) -> SpoolError:
        if isinstance(error, BlockingIOError):
            return SpoolError(f"{error}; stop it, or give this one a state folder of its own")
        return SpoolError(f"the spool below {self._folder} can't be opened: {error}; {advice(error)}")
