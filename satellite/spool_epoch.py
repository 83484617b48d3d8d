"""One epoch of the spool: a folder of segments, the definitions that they need, and what of it was taken.

The one promise: a sequence is pending, taken or lost, never silently none of them.
"""

import logging
import struct
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from satellite import drops
from satellite.definitions import Definitions
from satellite.disk import is_full
from satellite.drops import Drop, Loss
from satellite.records import FILE_MAGIC, RecordType, pack, scan
from satellite.segments import SUFFIX, Segment
from satellite.spool_files import SpoolFiles
from satellite.tallies import count_in
from shared.ranges import RangeSet

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
        self.lost = RangeSet()  # damaged or dropped: to be declared, until that is acknowledged
        self.drops: list[Drop] = []  # ascending; what of `lost`, or of what was lost, was dropped on purpose
        self.handed = RangeSet()  # given to a session and not acknowledged: the metaconsole may have them
        self.leaving = RangeSet()  # about to be dropped: given to nobody any more
        self.segments: list[Segment] = []
        self.counted: int | None = (
            None  # the tallies have it up to this sequence; None: they have nothing to do with it
        )
        self.uncounted: list[tuple[int, int, int]] = []  # sequence, when spooled, samples: what no tally has yet
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

    def losses(self) -> list[Loss]:
        """Return what is to be declared, and why."""
        return [loss for part in self.lost for loss in drops.losses(self.drops, *part, self.span)]

    # --- opening what an earlier run left

    def load(self, quarantine: Path) -> None:
        """Read the folder: index what is valid, cut a torn tail, keep a copy of what is damaged."""
        self.definitions.load()
        self._load_taken()
        dropped = self._load_drops()
        paths = sorted(self.folder.glob(f"*{SUFFIX}"))
        for path in paths:
            self._load_segment(path, quarantine, newest=path == paths[-1])
        # What is here was not dropped in the end: the satellite ended between the list and the segment.
        self.drops = [d for d in dropped if not any(s.first <= d.last and d.first <= s.last for s in self.segments)]
        highest = max(self.taken.highest, *(segment.last for segment in self.segments), *(d.last for d in dropped), 0)
        self.next_sequence = highest + 1
        self._sort_out(highest)

    def _load_segment(self, path: Path, quarantine: Path, *, newest: bool) -> None:
        data = self._files.load(path)
        found = scan(data)
        torn = len(data) > found.end
        segment = Segment(path.name, found.end, round(path.stat().st_mtime * 1000))
        highest = self.segments[-1].last if self.segments else 0
        for record in found.records:
            if record.sequence > max(highest, segment.last):
                segment.publish(record)
                if self.counted is not None and record.sequence > self.counted:
                    self.uncounted.append((record.sequence, record.time_ms, count_in(data[record.payload])))
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
        for segment in self.segments:
            segment.acknowledged_ms *= not self.waits_in(segment)
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
            try:
                self._files.replace(copy, data)
            except OSError as error:
                if not is_full(error):
                    raise
                _log.warning("no copy of %s is kept: the disk is full", path)
                self._files.remove(copy.with_name(copy.name + ".new"))
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
        """Return the bytes of the frames that wait."""
        waits = ((s, part) for s in self.segments for part in self.pending.clipped(s.first, s.last))
        return sum(segment.bytes_of(*part) for segment, part in waits)

    def held_bytes(self) -> int:
        """Return what the epoch takes of the spool's bound."""
        return sum(segment.cost for segment in self.segments) + self.definitions.size

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Return the UTC milliseconds between which lost sequences were spooled, by their neighbours."""
        below = [s.time_before(first) for s in self.segments if s.first < first][-1:]
        above = [s.time_after(last) for s in self.segments if s.last > last][:1]
        times = below + above
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

    def _find(self, sequence: int) -> tuple[Segment | None, int]:
        segments = [*self.segments]  # a thread may look while the event loop removes one
        low = bisect_left(segments, sequence, key=lambda segment: segment.last)
        if low == len(segments) or (at := segments[low].position(sequence)) is None:
            return None, 0
        return segments[low], at

    # --- what was taken

    def acknowledge(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Take note that the metaconsole has these sequences; what was never written here does not count."""
        for first, last in ranges:
            first, last = max(first, 1), min(last, self.next_sequence - 1)
            if first <= last:
                self.taken.add(first, last)
                for ranges in (self.pending, self.lost, self.handed):
                    ranges.remove(first, last)

    def lose(self, sequence: int) -> None:
        """Take note that a pending frame can't be read any more."""
        self.pending.remove(sequence, sequence)
        self.lost.add(sequence, sequence)

    def forget_taken(self) -> None:
        """Make every frame that is still here pending again, and declare anew what was dropped.

        The metaconsole went back in time.
        """
        for segment in self.segments:
            segment.acknowledged_ms = 0
            for first, last in segment.runs():
                for low, high in list(self.lost.missing(first, last)):
                    self.taken.remove(low, high)
                    self.pending.add(low, high)
        for drop in self.drops:
            self.taken.remove(drop.first, drop.last)
            self.lost.add(drop.first, drop.last)

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

    def waits_in(self, segment: Segment) -> bool:
        """Tell whether a frame of a segment waits."""
        return self.pending.touches(segment.first, segment.last)

    def plan_drop(self, segment: Segment, waiting: RangeSet, handed: RangeSet) -> list[Drop]:
        """Return the entries for the frames that wait in a segment. For use in a thread, hence the copies."""
        at = [n for n, sequence in enumerate(segment.sequences) if sequence in waiting]
        try:
            payloads = segment.load(self.folder, self._files, at)
        except OSError as error:
            _log.error("%s can't be read: %s; how many samples are dropped with it is not known", segment.name, error)
            payloads = {}
        found = (drops.Frame(segment.sequences[n], segment.times[n], payloads.get(segment.sequences[n])) for n in at)
        return drops.entries(found, handed)

    def store_drops(self, new: Sequence[Drop]) -> None:
        """Keep what was dropped, and what is going to be; durable on return."""
        self._files.replace(self.folder / drops.NAME, drops.to_file(drops.added(self.drops, new)))

    def drop(self, segment: Segment, new: Sequence[Drop]) -> list[Drop]:
        """Let go of a segment whose drops are stored; return what of them waited still."""
        dropped: list[Drop] = []
        for first, last in list(self.pending.clipped(segment.first, segment.last)):
            self.pending.remove(first, last)
            self.lost.add(first, last)
            dropped += drops.parts(new, first, last)
        self.drops = drops.added(self.drops, new)
        self.segments.remove(segment)
        return dropped

    def _load_drops(self) -> list[Drop]:
        path = self.folder / drops.NAME
        if not path.exists():
            return []
        found = drops.of_file(self._files.load(path))
        if found is None:
            _log.error("%s is damaged: what was dropped is declared as lost, its samples uncounted", path)
        return found or []

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
