"""Numbers out of a heartbeat, which is JSON: 64-bit ones may come as text.

The one promise: what is no number counts as not told.
"""

from collections.abc import Mapping
from typing import Any


def integer(values: Mapping[str, Any], name: str) -> int:
    """Return a whole number, 0 when there is none."""
    try:
        return int(values.get(name) or 0)
    except (TypeError, ValueError):
        return 0


def number(values: Mapping[str, Any], name: str) -> float:
    """Return a number, 0 when there is none."""
    try:
        return float(values.get(name) or 0)
    except (TypeError, ValueError):
        return 0.0


def instant(values: Mapping[str, Any], name: str) -> int | None:
    """Return UTC milliseconds, None for 0: never."""
    return integer(values, name) or None
