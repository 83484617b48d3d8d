"""The merger: makes chunks and rollups of the parts of days that are over, once nothing came for an hour.

The one promise: a slab's parts count as merged from the transaction on that writes its chunks and rollups; what comes
late for a merged day, or while it is merged, is merged into its chunks in the same way, an hour of quiet later.
"""

import asyncio
import logging
import time
from typing import Final

import numpy as np

from metaconsole.readers.base import BACKOFF_SECONDS
from metaconsole.readers.days import days_of
from metaconsole.store import merging
from metaconsole.store.database import AsyncConnection, UnavailableError, connected, transaction
from metaconsole.store.merging import Day, Place
from metaconsole.store.pieces import DAY_MS, SLAB
from shared.failpoints import failpoint

QUIET_SECONDS: Final = 3600.0
LOOK_SECONDS: Final = 60.0
SLABS: Final = 1024 // SLAB  # merged in one transaction: 1,024 series
_log = logging.getLogger(__name__)


class Merger:
    """`run` is a task that ends by cancellation."""

    def __init__(self, url: str, quiet_seconds: float = QUIET_SECONDS, now_ms: int | None = None) -> None:
        """Merge by the machine's clock, or as if that stood still."""
        self._url = url
        self._quiet = quiet_seconds
        self._now_ms = now_ms

    async def run(self) -> None:
        """Merge what is due every minute until cancelled; while PostgreSQL is away, try again."""
        told: set[str] = set()  # why it waits
        while True:
            try:
                async with connected(self._url, application="nephoscope merger") as connection:
                    while True:
                        await self.look(connection)
                        told.clear()
                        await asyncio.sleep(LOOK_SECONDS)
            except UnavailableError as error:
                if str(error) not in told:
                    _log.error("the merger waits for PostgreSQL: %s", error, extra={"event": "merger.waits"})
                told.add(str(error))
                await asyncio.sleep(BACKOFF_SECONDS)

    async def look(self, connection: AsyncConnection) -> int:
        """Merge every day that is due, and return how many series were merged; raises UnavailableError."""
        now = time.time_ns() // 1_000_000 if self._now_ms is None else self._now_ms
        # A day is over once even its last hour had the time to become parts.
        before = int((now - self._quiet * 1000) // DAY_MS)
        async with transaction(connection):
            days = await merging.due(connection, self._quiet, before)
        merged = 0
        for day in days:
            while count := await self._merge(connection, day):
                merged += count
                await asyncio.sleep(0)
        return merged

    async def _merge(self, connection: AsyncConnection, day: Day) -> int:
        """Merge the next slabs of a day and return the number of series; 0 when none is left, or others work on it."""
        async with transaction(connection):
            if (place := await merging.claim(connection, day, self._quiet)) is None:
                return 0
            merged = await _merge_next(connection, day, place)
            if not merged:
                await merging.finish(connection, day)
            failpoint("merger.commit.before")
        failpoint("merger.commit.after")
        return merged


async def _merge_next(connection: AsyncConnection, day: Day, place: Place) -> int:
    """Merge the next slabs of a day that is claimed, and return the number of series."""
    if (through := await merging.last_slab(connection, day, place, SLABS)) is None:
        return 0
    parts = await merging.parts(connection, day, place, through)
    series = np.unique(parts.series).tolist()
    old = await merging.chunk_pieces(connection, day, series)
    metrics = await merging.metrics(connection, day.site_id, series)
    chunks, rollups = days_of(parts, old, metrics)
    await merging.replace(connection, day, series, chunks, rollups)
    await merging.move(connection, day, through)
    return len(series)
