"""One segment file of an epoch: which sequences it holds, and where.

The one promise: the index names only records that were valid when read and whose fdatasync has returned.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from satellite.records import Record, parse
from satellite.spool_files import SpoolFiles

SUFFIX: Final = ".segment"
FRAME_COST: Final = 1024  # bytes of the bound that a frame takes at least, so that the bound is one of memory as well


@dataclass(slots=True, eq=False)
class Segment:
    """A segment file and its index, 32 bytes a frame."""

    name: str  # of the file in the epoch's folder
    size: int = 0  # bytes of the file that are known good
    acknowledged_ms: int = 0  # since when it is on the disk that nothing waits in it, UTC milliseconds; 0: it is not
    sequences: "array[int]" = field(default_factory=lambda: array("Q"))
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    sizes: "array[int]" = field(default_factory=lambda: array("Q"))
    times: "array[int]" = field(default_factory=lambda: array("q"))

    def publish(self, record: Record) -> None:
        """Take a durable record into the index; sequences ascend."""
        self.sequences.append(record.sequence)
        self.offsets.append(record.offset)
        self.sizes.append(record.size)
        self.times.append(record.time_ms)
        self.size = record.offset + record.size

    def position(self, sequence: int) -> int | None:
        """Return the index of a sequence, or None where the segment does not hold it."""
        at = bisect_left(self.sequences, sequence)
        return at if at < len(self.sequences) and self.sequences[at] == sequence else None

    @property
    def last(self) -> int:
        """The highest sequence, 0 for an empty segment."""
        return self.sequences[-1] if self.sequences else 0

    @property
    def first(self) -> int:
        """The lowest sequence, 0 for an empty segment."""
        return self.sequences[0] if self.sequences else 0

    @property
    def cost(self) -> int:
        """What it takes of the spool's bound."""
        return max(self.size, FRAME_COST * len(self.sequences))

    def bytes_of(self, first: int, last: int) -> int:
        """Return how many bytes of the file hold the sequences first to last."""
        low, high = bisect_left(self.sequences, first), bisect_right(self.sequences, last) - 1
        return self.offsets[high] + self.sizes[high] - self.offsets[low] if low <= high else 0

    def time_before(self, sequence: int) -> int:
        """Return when the last frame before a sequence was spooled; there is one."""
        return self.times[bisect_left(self.sequences, sequence) - 1]

    def time_after(self, sequence: int) -> int:
        """Return when the first frame after a sequence was spooled; there is one."""
        return self.times[bisect_right(self.sequences, sequence)]

    def runs(self) -> list[tuple[int, int]]:
        """Return the sequences as ranges, both ends included."""
        sequences = np.array(self.sequences, dtype=np.uint64)
        if not len(sequences):
            return []
        breaks = np.flatnonzero(np.diff(sequences) > 1)
        firsts = sequences[np.concatenate(([0], breaks + 1))]
        lasts = sequences[np.concatenate((breaks, [len(sequences) - 1]))]
        return list(zip(firsts.tolist(), lasts.tolist(), strict=True))

    def load(self, folder: Path, files: SpoolFiles, positions: Sequence[int]) -> dict[int, bytes | None]:
        """Read the payloads at some positions; a record that is no longer what was written is None."""
        payloads: dict[int, bytes | None] = {}
        for at in positions:
            sequence = self.sequences[at]
            data = files.read(folder / self.name, self.offsets[at], self.sizes[at])
            record = parse(data, 0)
            payloads[sequence] = data[record.payload] if record and record.sequence == sequence else None
        return payloads


def segment_name(first: int) -> str:
    """Return the name of the segment that begins with a sequence."""
    return f"{first:020d}{SUFFIX}"
