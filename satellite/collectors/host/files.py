"""Small files of the kernel and the system, read as text."""

from pathlib import Path
from typing import Final

_LIMIT: Final = 65536


def read_text(path: Path) -> str:
    """Return the first 64 KiB of a file without surrounding white space, empty when it can't be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LIMIT).strip()
    except OSError:
        return ""
