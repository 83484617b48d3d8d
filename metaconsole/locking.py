"""A file that one process at a time holds.

The promise: the hold ends with the process, however it ends.
"""

import fcntl
import os
from pathlib import Path


def try_lock(path: Path) -> int | None:
    """Open and lock the file; return the descriptor that holds it, or None when another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
