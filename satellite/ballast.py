"""A file that does nothing but take room, so that there is some left when the disk is full.

The one promise: what it takes is really allocated, and a small reserve of it serves nothing but the small files that
the spool has to go on writing.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from satellite.disk import free_bytes, is_full

_log = logging.getLogger(__name__)
RESERVE: Final = 256 * 1024
_LEAST: Final = 4096


class Ballast:
    """The file `ballast`. Any thread may use it."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._lock = threading.Lock()
        self._told = False

    def held(self) -> int:
        """Return the bytes that it takes."""
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def lighten(self) -> bool:
        """Give its room to frames, all but the reserve; tell whether there was any. Raises OSError."""
        with self._lock:
            if not self._shrink(RESERVE):
                return False
        _log.warning("the disk of %s is full: the ballast beside the spool gives way", self._path.parent)
        return True

    @contextmanager
    def given(self) -> Iterator[bool]:
        """Give all of its room to a small file; yields whether there was any. Raises OSError."""
        with self._lock:
            held = self.held()
            self._shrink(0)
            try:
                yield held > 0
            finally:
                # The small file may have taken some for good: then the reserve is what is left.
                room = min(RESERVE, held)
                while room >= _LEAST and not self._grow(0, room):
                    room -= _LEAST

    def renew(self) -> None:
        """Take its room again where the disk has twice as much, and at least the reserve where that can be had."""
        with self._lock:
            held = self.held()
            if held >= self._size:
                return
            roomy = free_bytes(self._path.parent) >= 2 * self._size
            wanted = self._size if roomy else min(RESERVE, self._size)
            if held < wanted:
                self._grow(held, wanted)

    def _shrink(self, size: int) -> bool:
        if self.held() <= size:
            return False
        os.truncate(self._path, size)
        return True

    def _grow(self, held: int, wanted: int) -> bool:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, wanted)
            os.fsync(descriptor)
        except OSError as error:
            # What of it could be allocated would say that all is.
            os.ftruncate(descriptor, held)
            if not is_full(error) and not self._told:
                self._told = True
                _log.warning("there is no ballast: %s can't be allocated: %s", self._path, error)
            return False
        finally:
            os.close(descriptor)
        return True
