"""The reader that keeps the newest value of every series in the mapped live view of this machine.

The one promise: its view is made of the log alone; after a restart the last 15 minutes are read again before anybody
sees the new view.
"""

import socket
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from metaconsole.live_view import LiveWriter
from metaconsole.readers.base import Follower
from metaconsole.store.database import AsyncConnection
from metaconsole.store.frames import FORMAT_VERSION, LogKind
from metaconsole.store.positions import Entry, forgo_durability, notify_live, rewind
from shared.batches import decode_block
from shared.columns import F64, I64, decode_i64, decode_values
from shared.pb import telemetry_pb2

REBUILD_SECONDS: Final = 15 * 60
NOTIFY_SECONDS: Final = 0.25
LAYOUTS: Final = 20_000  # remembered; what changes with every batch must not fill the memory
_Layout: TypeAlias = tuple[int, int, bytes]  # of a block's series: encoding, count, data


class LiveReader(Follower):
    """Its output is memory; reading a row twice changes nothing."""

    kinds = frozenset({LogKind.BATCH})

    def __init__(self, run: Path) -> None:
        # Its rows are in this folder's view and in no other, so its positions are of this folder alone.
        self.name = f"live@{socket.gethostname()}:{run}"
        self._writer = LiveWriter(run)
        self._series: dict[_Layout, I64] = {}
        self._published = False
        self._changed = False
        self._notified = 0.0

    async def prepare(self, connection: AsyncConnection) -> None:
        """Begin 15 minutes back, once per process: afterwards the memory holds what the position says, and more.

        More, because a crash of PostgreSQL may put the position back: those rows are read twice.
        """
        await forgo_durability(connection)
        if not self._published:
            await rewind(connection, self.name, REBUILD_SECONDS)

    async def process(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:
        """Take the values of each batch, and tell the web, at most every 250 ms."""
        newest: dict[_Layout, int] = {}
        # Not when a row was received: rows are read late, in any order, and again.
        now_ms = time.time_ns() // 1_000_000
        for entry in reversed(entries):  # whatever the order, the newest value stays
            self._apply(entry, newest, now_ms)
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

    def _apply(self, entry: Entry, newest: dict[_Layout, int], now_ms: int) -> None:
        """Take an entry's values; what newest knows a later instant of, for the same series, need not be decoded."""
        column = telemetry_pb2.Column.FromString(entry.times)
        instants = decode_i64(column, column.count)
        last = int(instants[-1])
        for begin, end in pairwise(entry.offsets):
            if entry.payload[begin] != FORMAT_VERSION:
                raise ValueError(f"block format {entry.payload[begin]} is not known here: upgrade the readers")
            block = telemetry_pb2.Block.FromString(entry.payload[begin + 1 : end])
            if block.scope != telemetry_pb2.TIME_SCOPE_BATCH:
                samples = decode_block(block, instants)
                values = samples.values.astype(np.float64, copy=False)
                self._writer.update(*newest_of(samples.series, samples.times, values), entry.interval_ms, now_ms)
                continue
            layout = (block.series.encoding, block.series.count, block.series.data)
            if newest.get(layout, 0) <= last:
                newest[layout] = last
                self._update(block, layout, instants, entry.interval_ms, now_ms)

    def _update(
        self, block: telemetry_pb2.Block, layout: _Layout, instants: I64, interval_ms: int, now_ms: int
    ) -> None:
        """Take the last instant's value of each series of a block, whose series are distinct."""
        if (series := self._series.get(layout)) is None:
            if len(self._series) >= LAYOUTS:
                self._series.clear()
            series = self._series[layout] = decode_i64(block.series, block.series.count)
        values = decode_values(block.values, len(series) * len(instants)).reshape(len(series), -1)[:, -1]
        times = np.full(len(series), instants[-1])
        self._writer.update(series, times, values.astype(np.float64, copy=False), interval_ms, now_ms)


def newest_of(series: I64, times: I64, values: F64) -> tuple[I64, I64, F64]:
    """Return each series once, with its newest sample; of two at one instant the larger."""
    if len(series) < 2 or (np.diff(series) > 0).all():
        return series, times, values
    order = np.lexsort((values, times, series))
    ordered = series[order]
    last = order[np.append(ordered[1:] != ordered[:-1], True)]
    return series[last], times[last], values[last]
