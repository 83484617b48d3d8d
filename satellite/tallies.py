"""What this satellite ever produced, by epoch and block of sequences: the file `produced` beside the spool.

The one promise: a frame that is on the disk is in a tally, in memory at once and in the file before its segment goes;
what the file lacks is counted again from the segments at the next start.
"""

import logging
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from satellite.records import FILE_MAGIC, RecordType, pack, scan
from satellite.spool_files import SpoolFiles
from shared.batches import samples_of
from shared.pb import telemetry_pb2, uplink_pb2
from shared.tallies import BLOCK, block_of

MOST: Final = 4_000  # tallies: 240,000 bytes, which a full disk has room for
DAYS: Final = 35
_DAY_MS: Final = 86_400_000
_ENTRY: Final = struct.Struct("<16sQQQIqq")
_log = logging.getLogger(__name__)
Key = tuple[bytes, int]  # epoch and block


@dataclass(frozen=True, slots=True)
class Tally:
    """Sequences first to last of a block: samples, frames that were lost uncounted, when spooled (UTC milliseconds)."""

    first: int
    last: int
    samples: int = 0
    uncounted: int = 0
    from_ms: int = 0
    to_ms: int = 0

    @property
    def frames(self) -> int:
        """How many sequences it counts, 0 for the one that an epoch begins with."""
        return self.last - self.first + 1


class Tallies:
    """The tallies of all epochs. Belongs to the spool's event loop."""

    def __init__(self, path: Path, files: SpoolFiles, now_ms: Callable[[], int]) -> None:
        """Read what earlier runs stored. Blocks; raises OSError."""
        self._path, self._files, self._now_ms = path, files, now_ms
        self._known: dict[Key, Tally] = {}
        self._through: dict[bytes, int] = {}  # the highest sequence counted, by epoch
        self._stored: dict[bytes, int] = {}  # of it in the file
        self._load()

    def begin(self, epoch: bytes, first: int = 1) -> None:
        """Count an epoch from a sequence on."""
        self._known[epoch, block_of(first)] = Tally(first, first - 1)
        self._through[epoch] = first - 1

    def forget(self, epoch: bytes) -> None:
        """Count an epoch no more: its number is used no more."""
        self._known = {key: tally for key, tally in self._known.items() if key[0] != epoch}
        self._through.pop(epoch, None)
        self._stored.pop(epoch, None)

    def through(self, epoch: bytes) -> int | None:
        """Return the highest sequence that is counted, None for an epoch that is not: an earlier version's."""
        return self._through.get(epoch)

    def take_in(self, epoch: bytes, frames: Sequence[tuple[int, int, int]], through: int) -> None:
        """Count what an earlier run left: sequence, when spooled and samples of frames; the rest can't be read."""
        if frames and epoch not in self._through:
            self.begin(epoch)
        for frame in frames:
            self.add(epoch, *frame)
        self._reach(epoch, through, frames[-1][1] if frames else 0)

    def add(self, epoch: bytes, sequence: int, time_ms: int, samples: int) -> None:
        """Count a frame. Sequences ascend; those in between were lost before they could be counted."""
        through = self._through.get(epoch)
        if through is None or sequence <= through:
            return
        self._reach(epoch, sequence - 1, time_ms)
        self._put(epoch, sequence, sequence, time_ms, samples, 0)

    def rows(self) -> dict[Key, Tally]:
        """Return what was produced, in the order of epochs and sequences as they were begun."""
        return {key: tally for key, tally in self._known.items() if tally.frames}

    def share(self, epoch: bytes, first: int, last: int) -> Tally:
        """Return a range as a tally: what samples it has is in proportion of those of its blocks."""
        found = Tally(first, last)
        for block in range(block_of(first), block_of(last) + 1):
            tally = self._known.get((epoch, block))
            if tally is None or tally.last < first or tally.first > last:
                continue
            part = min(last, tally.last) - max(first, tally.first) + 1
            span = (tally.from_ms, tally.to_ms)
            if found.to_ms:
                span = (min(found.from_ms, tally.from_ms), max(found.to_ms, tally.to_ms))
            samples = found.samples + tally.samples * part // tally.frames
            found = replace(found, samples=samples, from_ms=span[0], to_ms=span[1])
        return found

    # --- the file

    def lacks(self, epoch: bytes, sequence: int) -> bool:
        """Tell whether the file does not have a sequence that is counted."""
        return self._stored.get(epoch, 0) < min(sequence, self._through.get(epoch, 0))

    def content(self) -> tuple[bytes, dict[bytes, int]]:
        """Return what the file has to hold now, and what of each epoch is in it."""
        self._bound()
        payload = b"".join(
            _ENTRY.pack(epoch, t.first, t.last, t.samples, t.uncounted, t.from_ms, t.to_ms)
            for (epoch, _), t in self._known.items()
        )
        return FILE_MAGIC + pack(0, self._now_ms(), RecordType.PRODUCED, payload), dict(self._through)

    def store(self, content: bytes) -> None:
        """Write the file; durable on return. For use in a thread. Raises OSError."""
        self._files.replace(self._path, content)

    def stored(self, through: dict[bytes, int]) -> None:
        """Take note of what is in the file."""
        self._stored = through

    def _reach(self, epoch: bytes, through: int, time_ms: int) -> None:
        """Count what was produced up to a sequence and can't be read any more."""
        counted = self._through.get(epoch)
        while counted is not None and counted < through:
            last = min(through, (block_of(counted + 1) + 1) * BLOCK - 1)
            self._put(epoch, counted + 1, last, time_ms, 0, last - counted)
            counted = last

    def _put(self, epoch: bytes, first: int, last: int, time_ms: int, samples: int, uncounted: int) -> None:
        key = (epoch, block_of(first))
        tally = self._known.get(key)
        if tally is None or not tally.frames:
            begin = first if tally is None else tally.first
            self._known[key] = Tally(begin, last, samples, uncounted, time_ms, time_ms)
        else:
            self._known[key] = Tally(
                tally.first,
                last,
                tally.samples + samples,
                tally.uncounted + uncounted,
                min(tally.from_ms, time_ms),
                max(tally.to_ms, time_ms),
            )
        self._through[epoch] = last

    def _bound(self) -> None:
        """Let go of what is too old, and of the oldest where there is too much; what was begun last stays."""
        since = self._now_ms() - DAYS * _DAY_MS
        keys = list(self._known)
        old = [key for key in keys[:-1] if self._known[key].frames and self._known[key].to_ms < since]
        for key in {*old, *keys[:-MOST]}:
            del self._known[key]
        epochs = {epoch for epoch, _ in self._known}
        self._through = {epoch: last for epoch, last in self._through.items() if epoch in epochs}

    def _load(self) -> None:
        if not self._path.exists():
            return
        data = self._path.read_bytes()
        found = scan(data)
        payload = data[found.records[0].payload] if len(found.records) == 1 else b""
        if (
            found.damaged
            or [record.type for record in found.records] != [RecordType.PRODUCED]
            or len(payload) % _ENTRY.size
        ):
            _log.warning("%s is damaged and left out: what was produced before can't be compared", self._path)
            return
        for epoch, *fields in _ENTRY.iter_unpack(payload):
            tally = Tally(*fields)
            self._known[epoch, block_of(tally.first)] = tally
            self._through[epoch] = max(self._through.get(epoch, 0), tally.last)
        self._stored = dict(self._through)


def count_samples(frame: uplink_pb2.Frame) -> int:
    """Return how many samples a frame holds."""
    batch: telemetry_pb2.Batch = frame.batch
    return sum(samples_of(block, batch.times.count) for block in batch.blocks)


def count_in(payload: bytes) -> int:
    """Return how many samples a spooled frame holds, 0 for one that can't be read."""
    try:
        return count_samples(uplink_pb2.Frame.FromString(payload))
    except DecodeError:
        return 0


def changed(rows: dict[Key, Tally], before: dict[Key, Tally]) -> Iterator[tuple[Key, Tally]]:
    """Yield the rows that are not as they were before."""
    for key, tally in rows.items():
        if before.get(key) != tally:
            yield key, tally
