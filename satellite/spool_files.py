"""Every file operation of the spool, in one small object, so that a test can record their order or let them fail."""

import os
from collections.abc import Callable
from pathlib import Path

from satellite.ballast import Ballast
from satellite.disk import is_full


class SpoolFiles:
    """The file system as the spool uses it."""

    ballast: Ballast | None = None  # what a small file may use where the disk is full; the spool's, once it is open

    def create(self, path: Path) -> int:
        """Create a new file for appending and reading; return its descriptor. Raises OSError."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of data at the end of the file. Raises OSError; part of it may then be written."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def datasync(self, descriptor: int) -> None:
        """Return when what was written is on the disk. Raises OSError, after which the file must not be trusted."""
        os.fdatasync(descriptor)

    def truncate(self, path: Path, size: int) -> None:
        """Cut a file and return when that is on the disk."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def load(self, path: Path) -> bytes:
        """Return a whole file."""
        return path.read_bytes()

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """Return at most size bytes of a file from an offset."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, size, offset)
        finally:
            os.close(descriptor)

    def replace(self, path: Path, data: bytes) -> None:
        """Write a file so that it is always either the old one or the new one, and on the disk on return."""
        self._roomy(lambda: self._replace(path, data))

    def make_folder(self, path: Path) -> None:
        """Make a folder and return when that is on the disk."""
        self._roomy(lambda: path.mkdir(mode=0o700))
        self.sync_folder(path.parent)

    def _roomy(self, action: Callable[[], None]) -> None:
        """Do what takes little room, on a full disk with that of the ballast."""
        try:
            action()
        except OSError as error:
            if self.ballast is None or not is_full(error):
                raise
            with self.ballast.given() as room:
                if not room:
                    raise
                action()

    def _replace(self, path: Path, data: bytes) -> None:
        new = path.with_name(path.name + ".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            self.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        new.replace(path)
        self.sync_folder(path.parent)

    def rename(self, source: Path, target: Path) -> None:
        """Rename within a folder and return when that is on the disk."""
        source.rename(target)
        self.sync_folder(target.parent)

    def remove(self, path: Path) -> None:
        """Remove a file or an empty folder."""
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)

    def touch(self, path: Path, ms: int) -> None:
        """Say that a file was changed at an instant, UTC milliseconds."""
        os.utime(path, ns=(ms * 1_000_000, ms * 1_000_000))

    def sync_folder(self, path: Path) -> None:
        """Return when the names in a folder are on the disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
