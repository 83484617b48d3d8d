"""What is done once, before the spool can be used: take the lock, find the epochs of earlier runs.

The one promise: two satellites never run on one state folder.
"""

import fcntl
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from satellite.records import scan
from satellite.segments import SUFFIX
from satellite.spool_files import SpoolFiles

_log = logging.getLogger(__name__)
_FOLDER: Final = re.compile(r"(\d{6,})-([0-9a-f]{32})")
_PID_DIGITS: Final = 20


def lock(path: Path) -> int:
    """Return the descriptor that holds the lock. Raises BlockingIOError that names the process which has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, _PID_DIGITS, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise BlockingIOError(f"another satellite (process {holder}) runs on the state folder {path.parent}") from None
    # Over what is there: on a full disk that needs no room.
    os.pwrite(descriptor, f"{os.getpid():<{_PID_DIGITS}}\n".encode(), 0)
    return descriptor


def epoch_folders(folder: Path) -> list[tuple[Path, bytes]]:
    """Return the folders of earlier runs with their epochs, oldest first."""
    found = []
    for path in sorted(folder.iterdir()):
        match = _FOLDER.fullmatch(path.name)
        if match:
            found.append((path, bytes.fromhex(match[2])))
        else:
            _log.warning("%s is not an epoch of the spool and is left alone", path)
    return found


def run_of(folder: Path) -> int:
    """Return which run an epoch's folder is of; later runs have higher numbers."""
    return int(folder.name.partition("-")[0])


def newest_payloads(folders: Sequence[Path], files: SpoolFiles) -> Iterator[tuple[int, bytes]]:
    """Yield what the last two segments of each folder hold, oldest first, with the run. Blocks."""
    for folder in folders:
        for path in sorted(folder.glob(f"*{SUFFIX}"))[-2:]:
            data = files.load(path)
            yield from ((run_of(folder), data[record.payload]) for record in scan(data).records)


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
