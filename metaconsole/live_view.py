"""The newest value of every series, in files that the live reader writes and web processes map read-only.

The one promise: what `latest` returns for a series belongs together (time, value and interval of one sample), also
while it is being written; it survives the writer's restart and the file's growth without being opened again.

A file is a header of 4 KiB (eight int64: magic, format, capacity, generation) and three arrays of `capacity` 8-byte
numbers, indexed by series id: times (UTC milliseconds, 0 = never), values, interval_ms. The generation is odd while
something is being written. `live.current` names the file in use.
"""

import contextlib
import mmap
import os
import time
from pathlib import Path
from typing import Final

import numpy as np

from shared.columns import F64, I64

MAGIC: Final = 0x4E45_5048_4C49_5645
FORMAT: Final = 1
FIRST_CAPACITY: Final = 4096
_HEADER: Final = 4096
_CAPACITY, _GENERATION = 2, 3
_POINTER: Final = "live.current"
_TRIES: Final = 20
_PAUSE: Final = 0.001  # seconds; writing a batch takes some microseconds


class _File:
    """One mapped file."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        with path.open("r+b" if writable else "rb") as file:
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            self._map = mmap.mmap(file.fileno(), 0, access=access)
        self.path = path
        self.header: I64 = np.frombuffer(self._map, np.int64, 8)
        if self.header[0] != MAGIC or self.header[1] != FORMAT:
            raise ValueError(f"{path} is not a live view of format {FORMAT}")
        self.capacity = int(self.header[_CAPACITY])
        at = [_HEADER + n * self.capacity * 8 for n in range(3)]
        self.times: I64 = np.frombuffer(self._map, np.int64, self.capacity, at[0])
        self.values: F64 = np.frombuffer(self._map, np.float64, self.capacity, at[1])
        self.intervals: I64 = np.frombuffer(self._map, np.int64, self.capacity, at[2])


class LiveView:
    """The reading side. Its methods are meant for one thread or greenlet at a time."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._file: _File | None = None
        self._pointer = (0, 0)

    @classmethod
    def open(cls, run: Path) -> "LiveView":
        """Open the view in a folder; as long as no reader has run there it is empty."""
        return cls(run)

    @property
    def generation(self) -> int:
        """A number that is another one whenever something was written since."""
        file = self._current()
        return 0 if file is None else self._pointer[0] + int(file.header[_GENERATION])

    def latest(self, series_ids: I64) -> tuple[I64, F64, I64]:
        """Return times (UTC milliseconds, 0 for never), values and plan intervals (ms) of the series, in order."""
        times, values = np.zeros(len(series_ids), np.int64), np.zeros(len(series_ids))
        intervals = np.zeros(len(series_ids), np.int64)
        file = self._current()
        if file is None:
            return times, values, intervals
        inside = np.flatnonzero((series_ids >= 0) & (series_ids < file.capacity))
        wanted = series_ids[inside]
        seen, still = -1, 0
        while still < _TRIES:
            before = int(file.header[_GENERATION])
            times[inside], values[inside] = file.times[wanted], file.values[wanted]
            intervals[inside] = file.intervals[wanted]
            if before % 2 == 0 and int(file.header[_GENERATION]) == before:
                break
            # A busy writer's generation moves on; one that died half way leaves it odd, and what it wrote is whole
            # but for one block of samples.
            seen, still = before, still + 1 if before == seen else 0
            time.sleep(_PAUSE)
        return times, values, intervals

    def _current(self) -> _File | None:
        """Return the file in use, mapped anew when another one took its place."""
        pointer = self._run / _POINTER
        try:
            status = pointer.stat()
            if (status.st_mtime_ns, status.st_ino) != self._pointer:
                self._file = _File(self._run / pointer.read_text(encoding="ascii"), writable=False)
                self._pointer = (status.st_mtime_ns, status.st_ino)
        except FileNotFoundError:
            # Not written yet, or replaced between the two looks: the next call finds the new one.
            return self._file
        return self._file


_AHEAD_MS: Final = 5_000  # of the metaconsole's clock: no clock that is right stamps this
_NOW_MS: Final = 60_000  # what is older is a backlog, and not of now


class LiveWriter:
    """The writing side, one per folder: begins with an empty file that nobody sees before `publish`."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._published = False
        self._number = 0
        self._file = self._create(FIRST_CAPACITY)

    def update(self, series_ids: I64, times: I64, values: F64, interval_ms: int, now_ms: int | None = None) -> None:
        """Take the newest value of each series, each standing once: the later time wins, then the larger value.

        A time that lies ahead of now_ms gives way to one of now: the clock that stamped it was fast and was set back.
        """
        if not len(series_ids):
            return
        self._grow(int(series_ids.max()) + 1)
        file = self._file
        known = file.times[series_ids]
        newer = (times > known) | ((times == known) & (values > file.values[series_ids]))
        if now_ms is not None:
            newer |= (known > now_ms + _AHEAD_MS) & (times > now_ms - _NOW_MS)
        ids = series_ids[newer]
        file.header[_GENERATION] += 1
        file.values[ids] = values[newer]
        file.intervals[ids] = interval_ms
        file.times[ids] = times[newer]
        file.header[_GENERATION] += 1

    def publish(self) -> None:
        """Show the file to readers, and remove those of writers before."""
        fresh = self._run / f"{_POINTER}.new"
        fresh.write_text(self._file.path.name, encoding="ascii")
        fresh.replace(self._run / _POINTER)
        self._published = True
        for path in self._run.glob("live-*.map"):
            if path != self._file.path:
                # Whoever still maps it keeps it until the next look.
                path.unlink()

    def _grow(self, needed: int) -> None:
        if needed <= self._file.capacity:
            return
        old = self._file
        self._file = self._create(max(needed, 2 * old.capacity))
        for new, known in (
            (self._file.times, old.times),
            (self._file.values, old.values),
            (self._file.intervals, old.intervals),
        ):
            new[: old.capacity] = known
        self._file.header[_GENERATION] = old.header[_GENERATION] + 2
        if self._published:
            self.publish()
        else:
            with contextlib.suppress(FileNotFoundError):
                old.path.unlink()

    def _create(self, capacity: int) -> _File:
        self._number += 1
        path = self._run / f"live-{os.getpid()}-{self._number}.map"
        with path.open("wb") as file:
            file.write(np.array([MAGIC, FORMAT, capacity, 0, 0, 0, 0, 0], np.int64).tobytes())
            file.truncate(_HEADER + 3 * 8 * capacity)
        path.chmod(0o600)
        return _File(path, writable=True)
