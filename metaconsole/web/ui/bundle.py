"""The bundle of scripts and styles: whether it is there, and at which address.

The one promise: an address changes when what it serves changes, so that a browser never mixes two versions.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final

from flask import url_for

FOLDER: Final = Path(__file__).resolve().parent.parent / "static" / "bundle"
_STAMP: Final = FOLDER / "sources.sha256"


def version() -> str | None:
    """Return what tells this bundle from others, None without a bundle."""
    try:
        changed = _STAMP.stat().st_mtime_ns
    except OSError:
        return None
    return _read(changed)


@lru_cache(maxsize=1)
def _read(_changed: int) -> str:
    return _STAMP.read_text(encoding="ascii").strip()[:12]


def asset(name: str) -> str | None:
    """Return the address of a file of the bundle, None without a bundle."""
    current = version()
    return None if current is None else url_for("static", filename=f"bundle/{name}", v=current)
