"""The reader that keeps the newest value of every series in the mapped live view of this machine.

The one promise: its view is made of the log alone; after a restart the last 15 minutes are read again before anybody
sees the new view.
"""

import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from metaconsole.live_view import LiveWriter
from metaconsole.readers.base import Follower
from metaconsole.store.database import AsyncConnection
from metaconsole.store.frames import FORMAT_VERSION, LogKind
from metaconsole.store.positions import Entry, notify_live, rewind
from shared.batches import decode_block, decode_times
from shared.columns import F64, I64
from shared.pb import telemetry_pb2

REBUILD_SECONDS: Final = 15 * 60
NOTIFY_SECONDS: Final = 0.25


class LiveReader(Follower):
    """Its output is memory; reading a row twice changes nothing."""

    kinds = frozenset({LogKind.BATCH})

    def __init__(self, run: Path) -> None:
        # Its rows are in this folder's view and in no other, so its positions are of this folder alone.
        self.name = f"live@{socket.gethostname()}:{run}"
        self._writer = LiveWriter(run)
        self._published = False
        self._changed = False
        self._notified = 0.0

    async def prepare(self, connection: AsyncConnection) -> None:
        """Begin 15 minutes back, once per process: afterwards the memory holds what the position says."""
        if not self._published:
            await rewind(connection, self.name, REBUILD_SECONDS)

    async def process(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:
        """Take the values of each batch, and tell the web, at most every 250 ms."""
        for entry in entries:
            self._apply(entry)
        self._changed = True
        # Inside the position's transaction: a subscriber hears of it when the position has moved.
        await self._notify(connection)

    async def caught_up(self, connection: AsyncConnection) -> None:
        """Show the view, from the first time on that nothing waits."""
        if not self._published:
            self._writer.publish()
            self._published = True
        await self._notify(connection)

    async def _notify(self, connection: AsyncConnection) -> None:
        now = time.monotonic()
        if self._changed and self._published and now - self._notified >= NOTIFY_SECONDS:
            self._changed, self._notified = False, now
            await notify_live(connection)

    def _apply(self, entry: Entry) -> None:
        batch = telemetry_pb2.Batch(times=telemetry_pb2.Column.FromString(entry.times))
        instants = decode_times(batch)
        for begin, end in zip(entry.offsets, entry.offsets[1:], strict=False):
            if entry.payload[begin] != FORMAT_VERSION:
                raise ValueError(f"block format {entry.payload[begin]} is not known here: upgrade the readers")
            block = telemetry_pb2.Block.FromString(entry.payload[begin + 1 : end])
            samples = decode_block(block, instants)
            newest = newest_of(samples.series, samples.times, samples.values.astype(np.float64, copy=False))
            self._writer.update(*newest, entry.interval_ms)


def newest_of(series: I64, times: I64, values: F64) -> tuple[I64, I64, F64]:
    """Return each series once, with its newest sample; of two at one instant the larger."""
    if len(series) < 2 or (np.diff(series) > 0).all():
        return series, times, values
    order = np.lexsort((values, times, series))
    ordered = series[order]
    last = order[np.append(ordered[1:] != ordered[:-1], True)]
    return series[last], times[last], values[last]
