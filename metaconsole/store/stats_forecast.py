"""How fast the tiers grow, and when the disk will be full.

The one promise: what can't be known is said to be unknown, with the reason; nothing is guessed.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from metaconsole.store.database import Connection
from metaconsole.store.sql import statements

WINDOW_DAYS: Final = 14
_LEAST_SECONDS: Final = 6 * 3600.0  # between two looks that tell of growth
_SQL: Final = statements("stats")


@dataclass(frozen=True, slots=True)
class Forecast:
    """growth is in bytes a day by tier, of those known; free_bytes is the disk's; unknown says why something is not."""

    growth: Mapping[str, float]
    free_bytes: int | None
    unknown: str

    @property
    def growth_total(self) -> float | None:
        """Bytes a day of all tiers, None while it is not known."""
        return sum(self.growth.values()) if self.growth else None

    @property
    def full_days(self) -> float | None:
        """Days until the disk is full; None when nobody knows, or when nothing grows."""
        total = self.growth_total
        if self.free_bytes is None or total is None or total <= 0:
            return None
        return self.free_bytes / total


def forecast(connection: Connection) -> Forecast:
    """Return growth from the sizes noted on the last 14 days, and the space where PostgreSQL runs on this machine."""
    row = connection.execute(_SQL["today"]).fetchone()
    assert row is not None
    rows = connection.execute(_SQL["sizes_by_day"], {"after": row[0] - WINDOW_DAYS}).fetchall()
    growth = {}
    for tier, group in groupby(rows, key=lambda entry: str(entry[0])):
        noted = list(group)
        (_, first, begin), (_, last, end) = noted[0], noted[-1]
        if end - begin >= _LEAST_SECONDS:
            growth[tier] = (last - first) / (end - begin) * 86_400
    free, unknown = _free_bytes(connection)
    if not growth and not unknown:
        unknown = "Growth is known once sizes were noted on two days."
    return Forecast(growth, free, unknown)


def _free_bytes(connection: Connection) -> tuple[int | None, str]:
    """Return the free bytes of the filesystem of PostgreSQL's data, or None and why it is not known."""
    if not connection.info.host.startswith("/"):
        return None, "The free space is not known: PostgreSQL runs on a server of its own."
    row = connection.execute(_SQL["data_directory"]).fetchone()
    if row is None:
        return None, "The free space is not known: it takes the role pg_read_all_settings to ask where the data is."
    try:
        found = os.statvfs(Path(row[0]))
    except OSError as error:
        return None, f"The free space is not known: {row[0]}: {error.strerror}."
    return found.f_bavail * found.f_frsize, ""
