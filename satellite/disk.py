"""What the disk says: full, read-only, broken; and what to do about it, in a sentence.

The one promise: an error that is no lack of room is never taken for one.
"""

import errno
import os
from pathlib import Path
from typing import Final

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_BROKEN: Final = {errno.EIO, errno.EROFS, errno.EUCLEAN, errno.ENXIO, errno.ENODEV}


def is_full(error: OSError) -> bool:
    """Tell whether there was no room: on the disk, or in a quota."""
    return error.errno in _FULL


def is_broken(error: OSError) -> bool:
    """Tell whether the disk can't be written at all, or does not keep what it is given."""
    return error.errno in _BROKEN


def advice(error: OSError) -> str:
    """Return what an operator can do."""
    if error.errno == errno.EROFS:
        return "it can't be written: mount it writable again, or give the satellite another state folder"
    if is_broken(error):
        return "look at the kernel's log and replace the disk"
    if is_full(error):
        return "free some space there"
    return "see to that folder, its owner and its permissions"


def free_bytes(folder: Path) -> int:
    """Return how much room there is for this process. Raises OSError."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize
