"""The series definitions of one epoch, kept in a file beside its segments until its last frame is acknowledged.

The one promise: what `through` says is on the disk, without holes from id 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from satellite.records import FILE_MAGIC, HEAD_BYTES, RecordType, pack, parse, scan
from satellite.spool_files import SpoolFiles
from shared.pb import telemetry_pb2 as pb

NAME: Final = "definitions"
_CHUNK: Final = 1000  # definitions a record; a record travels as one message


@dataclass(frozen=True, slots=True)
class _Chunk:
    first: int  # ids, both included
    last: int
    offset: int
    size: int


class Definitions:
    """The file `definitions` of an epoch and an index of its chunks."""

    def __init__(self, folder: Path, files: SpoolFiles) -> None:
        self.folder = folder
        self.complete = True  # False: the file is damaged and ids are missing between those it holds
        self._files = files
        self._chunks: list[_Chunk] = []
        self._size = 0
        self._descriptor: int | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / NAME

    @property
    def size(self) -> int:
        """The bytes of the file."""
        return self._size

    @property
    def through(self) -> int:
        """The highest id that is defined."""
        return self._chunks[-1].last if self._chunks else 0

    def load(self) -> None:
        """Read the index of an earlier run's file; a torn tail is left out, a hole makes it incomplete."""
        if not self.path.exists():
            return
        data = self._files.load(self.path)
        self._size = len(data)
        found = scan(data)
        self.complete = not found.damaged
        for record in found.records:
            count = len(pb.SeriesDefinitions.FromString(data[record.payload]).definitions)
            if record.type != RecordType.DEFINITIONS or record.sequence != self.through + 1 or not count:
                self.complete = False
                return
            self._chunks.append(_Chunk(self.through + 1, self.through + count, record.offset, record.size))

    def append(self, definitions: Sequence[pb.SeriesDefinition], time_ms: int) -> None:
        """Write definitions of the ids that follow `through`; durable on return. Raises OSError."""
        chunks: list[_Chunk] = []
        data = b"" if self._size else FILE_MAGIC
        next_id = self.through + 1
        for start in range(0, len(definitions), _CHUNK):
            part = definitions[start : start + _CHUNK]
            packed = pack(
                next_id, time_ms, RecordType.DEFINITIONS, pb.SeriesDefinitions(definitions=part).SerializeToString()
            )
            chunks.append(_Chunk(next_id, next_id + len(part) - 1, self._size + len(data), len(packed)))
            data += packed
            next_id += len(part)
        if created := self._descriptor is None:
            self._descriptor = self._files.create(self.path)
        assert self._descriptor is not None
        self._files.write(self._descriptor, data)
        self._files.datasync(self._descriptor)
        if created:
            self._files.sync_folder(self.folder)
        self._size += len(data)
        self._chunks += chunks

    def cut(self) -> None:
        """Take back what a failed append may have written."""
        if self._descriptor is not None:
            self._files.truncate(self.path, self._size)

    def read(self, after: int) -> Iterator[pb.SeriesDefinitions]:
        """Yield the definitions of the ids above `after`, ascending, in messages of a fit size. Raises OSError."""
        for chunk in list(self._chunks):
            if chunk.last <= after:
                continue
            data = self._files.read(self.path, chunk.offset, chunk.size)
            if parse(data, 0) is None:
                raise OSError(f"{self.path} is damaged at byte {chunk.offset}")
            message = pb.SeriesDefinitions.FromString(data[HEAD_BYTES:])
            if after >= chunk.first:
                del message.definitions[: after - chunk.first + 1]
            yield message

    def remove(self) -> None:
        """Remove the file of an epoch that has no frames any more."""
        self._files.remove(self.path)
        self._chunks, self._size = [], 0

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            self._files.close(self._descriptor)
            self._descriptor = None
