"""One epoch of the spool: a folder of segments, the definitions that they need, and what of it was taken.

The one promise: a sequence is pending, taken or lost, never silently none of them.
"""

import logging
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from satellite.definitions import Definitions
from satellite.ranges import RangeSet
from satellite.records import FILE_MAGIC, Record, RecordType, pack, scan
from satellite.segments import SUFFIX, Segment, segment_name
from satellite.spool_files import SpoolFiles

_log = logging.getLogger(__name__)
_TAKEN: Final = "taken"
_RANGE: Final = struct.Struct("<QQ")
_KEPT_COPIES: Final = 8  # damaged segments that are kept for a look


class SpoolEpoch:
    """The frames of one run. Only the current run's is ever written to."""

    def __init__(self, folder: Path, epoch: bytes, files: SpoolFiles) -> None:
        self.folder = folder
        self.id = epoch
        self.next_sequence = 1
        self.pending = RangeSet()
        self.taken = RangeSet()
        self.lost = RangeSet()  # damaged: to be declared as dropped, until that is acknowledged
        self.segments: list[Segment] = []
        self.definitions = Definitions(folder, files)
        self._files = files

    @property
    def drained(self) -> bool:
        """Whether nothing of it has to be sent any more."""
        return not self.pending and not self.lost

    def offered(self) -> RangeSet:
        """Return the sequences that a Hello names: pending and lost."""
        ranges = RangeSet(self.pending)
        for first, last in self.lost:
            ranges.add(first, last)
        return ranges

    # --- opening what an earlier run left

    def load(self, quarantine: Path) -> None:
        """Read the folder: index what is valid, cut a torn tail, keep a copy of what is damaged."""
        self.definitions.load()
        self._load_taken()
        paths = sorted(self.folder.glob(f"*{SUFFIX}"))
        for path in paths:
            self._load_segment(path, quarantine, newest=path == paths[-1])
        highest = max(self.taken.highest, max((segment.last for segment in self.segments), default=0))
        self.next_sequence = highest + 1
        self._sort_out(highest)

    def _load_segment(self, path: Path, quarantine: Path, *, newest: bool) -> None:
        data = self._files.load(path)
        found = scan(data)
        torn = len(data) > found.end
        segment = Segment(path.name, found.end)
        highest = self.segments[-1].last if self.segments else 0
        for record in found.records:
            if record.sequence > max(highest, segment.last):
                segment.publish(record)
        if segment.sequences:
            self.segments.append(segment)
        if (found.damaged and found.records) or (torn and not newest):
            _log.error("%s is damaged: %d frames of it are good, a copy goes to quarantine", path, len(found.records))
            self._quarantine(path, data, quarantine)
        elif torn:
            _log.warning("%s ends in a torn record: %d bytes are cut", path, len(data) - found.end)
            self._files.truncate(path, found.end)

    def _sort_out(self, highest: int) -> None:
        present = RangeSet()
        for segment in self.segments:
            for first, last in segment.runs():
                present.add(first, last)
        for first, last in present:
            for low, high in self.taken.missing(first, last):
                self.pending.add(low, high)
        for first, last in present.missing(1, highest):
            for low, high in self.taken.missing(first, last):
                self.lost.add(low, high)
        if not self.definitions.complete:
            self._give_up()

    def _give_up(self) -> None:
        # Frames whose series nobody can name are of no use to anybody; they become gaps.
        if self.pending:
            _log.error("%s is damaged: the %d frames that wait become gaps", self.definitions.path, len(self.pending))
        for first, last in self.pending:
            self.lost.add(first, last)
        self.pending = RangeSet()

    def _quarantine(self, path: Path, data: bytes, quarantine: Path) -> None:
        quarantine.mkdir(mode=0o700, exist_ok=True)
        copy = quarantine / f"{self.folder.name}-{path.name}"
        if not copy.exists():
            self._files.replace(copy, data)
        for old in sorted(quarantine.iterdir(), key=lambda entry: entry.stat().st_mtime)[:-_KEPT_COPIES]:
            self._files.remove(old)

    # --- reading

    def size_of(self, sequence: int) -> int:
        """Return the bytes of a frame, 0 for one that is not here."""
        segment, at = self._find(sequence)
        return segment.sizes[at] if segment else 0

    def time_of(self, sequence: int) -> int:
        """Return when a frame was spooled, UTC milliseconds; 0 for one that is not here."""
        segment, at = self._find(sequence)
        return segment.times[at] if segment else 0

    def waiting_bytes(self) -> int:
        """Return the bytes of the segments that frames wait in."""
        waits = (s.size for s in self.segments if any(self.pending.clipped(s.sequences[0], s.last)))
        return sum(waits)

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Return the UTC milliseconds between which lost sequences were spooled, by their neighbours."""
        times = [t for segment in self.segments for s, t in _ends(segment, first, last)]
        return (min(times), max(times)) if times else (0, 0)

    def load_frames(self, sequences: Sequence[int]) -> dict[int, bytes | None]:
        """Read payloads by sequence; one that can no longer be read is None. For use in a thread."""
        wanted: dict[int, tuple[Segment, list[int]]] = {}
        payloads: dict[int, bytes | None] = dict.fromkeys(sequences)
        for sequence in sequences:
            segment, at = self._find(sequence)
            if segment is not None:
                wanted.setdefault(id(segment), (segment, []))[1].append(at)
        for segment, positions in wanted.values():
            try:
                payloads |= segment.load(self.folder, self._files, positions)
            except OSError as error:
                _log.error("%s can't be read: %s", self.folder / segment.name, error)
        return payloads

    def newest_payloads(self) -> Iterator[bytes]:
        """Yield what the last two segments hold, oldest first."""
        for segment in self.segments[-2:]:
            payloads = segment.load(self.folder, self._files, range(len(segment.sequences)))
            yield from (payload for payload in payloads.values() if payload is not None)

    def _find(self, sequence: int) -> tuple[Segment | None, int]:
        low, high = 0, len(self.segments)
        while low < high:
            middle = (low + high) // 2
            if self.segments[middle].last < sequence:
                low = middle + 1
            else:
                high = middle
        if low == len(self.segments) or (at := self.segments[low].position(sequence)) is None:
            return None, 0
        return self.segments[low], at

    # --- what was taken

    def acknowledge(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Take note that the metaconsole has these sequences; what was never written here does not count."""
        for first, last in ranges:
            first, last = max(first, 1), min(last, self.next_sequence - 1)
            if first <= last:
                self.taken.add(first, last)
                self.pending.remove(first, last)
                self.lost.remove(first, last)

    def lose(self, sequence: int) -> None:
        """Take note that a pending frame can't be read any more."""
        self.pending.remove(sequence, sequence)
        self.lost.add(sequence, sequence)

    def forget_taken(self) -> None:
        """Make every frame that is still here pending again: the metaconsole went back in time."""
        for segment in self.segments:
            for first, last in segment.runs():
                for low, high in list(self.lost.missing(first, last)):
                    self.taken.remove(low, high)
                    self.pending.add(low, high)

    def taken_bytes(self) -> bytes:
        """Return the content of the file that keeps what was taken."""
        payload = b"".join(_RANGE.pack(first, last) for first, last in self.taken)
        return FILE_MAGIC + pack(0, 0, RecordType.TAKEN, payload)

    def store_taken(self, content: bytes) -> None:
        """Keep what was taken; durable on return."""
        self._files.replace(self.folder / _TAKEN, content)

    def _load_taken(self) -> None:
        path = self.folder / _TAKEN
        if not path.exists():
            return
        data = self._files.load(path)
        found = scan(data)
        if found.damaged or [record.type for record in found.records] != [RecordType.TAKEN]:
            # Harmless: the frames are offered again, and the metaconsole says which it has.
            _log.warning("%s is damaged and left out: its epoch is offered again", path)
            return
        self.taken = RangeSet(_RANGE.iter_unpack(data[found.records[0].payload]))

    # --- room

    def removable(self, *, keep: int) -> list[Segment]:
        """Return the segments that nothing waits in, the newest `keep` left out."""
        idle = self.segments[: len(self.segments) - keep]
        return [s for s in idle if not any(self.pending.clipped(s.sequences[0], s.last))]

    def delete(self) -> None:
        """Remove a drained epoch, segments first, so that a crash leaves nothing that looks pending."""
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            self._files.remove(path)
        for path in sorted(self.folder.iterdir()):
            self._files.remove(path)
        self._files.remove(self.folder)

    def move(self, folder: Path, epoch: bytes) -> None:
        """Give the epoch another number; sequences, definitions and files stay."""
        self._files.rename(self.folder, folder)
        self.folder, self.id = folder, epoch
        self.definitions.folder = folder


def _ends(segment: Segment, first: int, last: int) -> Iterator[tuple[int, int]]:
    below = [i for i, s in enumerate(segment.sequences) if s < first][-1:]
    above = [i for i, s in enumerate(segment.sequences) if s > last][:1]
    for at in below + above:
        yield segment.sequences[at], segment.times[at]


class EpochWriter:
    """Appends to the current epoch. Its methods run in the spool's one writing thread."""

    SEGMENT_BYTES: Final = 8 * 1024 * 1024

    def __init__(self, epoch: SpoolEpoch, files: SpoolFiles) -> None:
        self._epoch = epoch
        self._files = files
        self._segment: Segment | None = None
        self._size = 0
        self._descriptor = -1

    def write(self, records: Sequence[tuple[int, int, RecordType, bytes]]) -> tuple[Segment, list[Record]]:
        """Append records (sequence, UTC milliseconds, type, payload); sync makes them durable.

        Raises OSError; the caller then calls cut.
        """
        if self._segment is None or self._size >= self.SEGMENT_BYTES:
            self._rotate(records[0][0])
        assert self._segment is not None
        data, written = bytearray() if self._size else bytearray(FILE_MAGIC), []
        for sequence, time_ms, kind, payload in records:
            packed = pack(sequence, time_ms, kind, payload)
            written.append(Record(self._size + len(data), len(packed), sequence, time_ms, kind))
            data += packed
        self._files.write(self._descriptor, bytes(data))
        return self._segment, written

    def sync(self, written: Sequence[Record]) -> None:
        """Return when what write appended is on the disk. Raises OSError, after which the spool is broken."""
        assert self._segment is not None
        self._files.datasync(self._descriptor)
        if not self._size:
            self._files.sync_folder(self._epoch.folder)
        self._size = written[-1].offset + written[-1].size

    def cut(self) -> None:
        """Take back what a failed write may have left. Raises OSError."""
        if self._segment is not None:
            self._files.truncate(self._epoch.folder / self._segment.name, self._size)

    def close(self) -> None:
        """Let go of the active segment."""
        if self._descriptor >= 0:
            self._files.close(self._descriptor)
            self._descriptor = -1
            self._segment = None

    def _rotate(self, first: int) -> None:
        self.close()
        name = segment_name(first)
        self._descriptor = self._files.create(self._epoch.folder / name)
        self._segment, self._size = Segment(name), 0
