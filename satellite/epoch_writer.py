"""Appends to the epoch of this run, segment after segment.

The one promise: where a write or a cut failed, the file is what it was before, or the caller is told.
"""

from collections.abc import Sequence
from typing import Final

from satellite.records import FILE_MAGIC, Record, RecordType, pack
from satellite.segments import Segment, segment_name
from satellite.spool_epoch import SpoolEpoch
from satellite.spool_files import SpoolFiles


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
