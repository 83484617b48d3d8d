"""A recording file layer: knows at every moment which of the spool's records the disk has confirmed."""

import threading
from pathlib import Path

from satellite import records
from satellite.spool_files import SpoolFiles


class RecordingFiles(SpoolFiles):
    """The real files; what was written counts as durable once fdatasync has returned, not before."""

    def __init__(self) -> None:
        self.durable: set[int] = set()
        self.syncs = 0
        self.hold = threading.Event()  # cleared: every fdatasync waits, as on a slow disk
        self.hold.set()
        self._written: dict[int, set[int]] = {}
        self._segments: set[int] = set()

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        if path.suffix == ".segment":
            self._segments.add(descriptor)
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        super().write(descriptor, data)
        if descriptor in self._segments:
            found = {record.sequence for record in records.scan(data).records}
            self._written.setdefault(descriptor, set()).update(found)

    def datasync(self, descriptor: int) -> None:
        assert self.hold.wait(30)
        super().datasync(descriptor)
        self.syncs += 1
        self.durable |= self._written.pop(descriptor, set())

    def close(self, descriptor: int) -> None:
        self._segments.discard(descriptor)
        super().close(descriptor)
