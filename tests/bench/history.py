"""Days of the mix at 10 s in the log, many instants a batch: what a small fleet has sent in a year, within a minute.

The one promise: blocks are encoded as satellites encode them, of about as many samples as a satellite of 500 guests
puts into one, and rows are written by the store's own append.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Final

import numpy as np
from fixtures.compacted import Feed

from bench import mix
from metaconsole.store.database import connect, connected
from metaconsole.store.frames import FORMAT_VERSION, CheckedFrame, LogKind, LogRow
from metaconsole.store.partitions import ensure_log_partitions
from metaconsole.store.pieces import DAY_MS
from metaconsole.store.sites import ensure_satellite, ensure_site
from shared.columns import encode, encode_checked
from shared.pb import telemetry_pb2 as pb

SITE: Final = "years"
CYCLES: Final = DAY_MS // mix.INTERVAL_MS
INSTANTS: Final = 45  # of a batch
_FRAMES: Final = 64  # of a transaction


class History:
    """A fleet of one site. Each day brings the same gauges and states, and counters that go on."""

    def __init__(self, url: str, guests: int, first_day: int) -> None:
        self._url, self._first_day = url, first_day
        self._data = mix.generate(1, guests, CYCLES)
        self._kept: dict[tuple[int, str], bytes] = {}  # blocks that are the same each day, by cycle and metric
        with connect(url) as connection:
            site_id = ensure_site(connection, SITE)
            self.feed = Feed(site_id, ensure_satellite(connection, site_id, "satellite"))

    @property
    def samples_a_day(self) -> int:
        """Of all series."""
        return CYCLES * self._data.guests * len(mix.METRICS)

    async def write(self, days: Sequence[int]) -> None:
        """Append days, which follow those before, to the log."""
        async with connected(self._url, application="nephoscope bench") as connection:
            await ensure_log_partitions(connection, datetime.now(UTC))
            if self.feed.sender is None:
                await self.feed.open(connection, "mix", mix.METRICS, self._data.guests)
            for day in days:
                frames = list(self._frames(day))
                for begin in range(0, len(frames), _FRAMES):
                    await self.feed.append(connection, frames[begin : begin + _FRAMES])

    def _frames(self, day: int) -> Iterator[CheckedFrame]:
        feed, guests = self.feed, range(self._data.guests)
        assert feed.sender is not None
        series = {
            metric: encode(np.array([feed.series[metric, guest] for guest in guests], np.int64))
            for metric in mix.METRICS
        }
        for cycle in range(0, CYCLES, INSTANTS):
            stored = [self._block(day, cycle, metric, series[metric]) for metric in mix.METRICS]
            times = day * DAY_MS + np.arange(cycle, cycle + INSTANTS, dtype=np.int64) * mix.INTERVAL_MS
            feed.sequence += 1
            row = LogRow(
                LogKind.BATCH,
                int(times[0]),
                int(times[-1]),
                b"".join(stored),
                feed.source_id,
                "fast",
                mix.INTERVAL_MS,
                INSTANTS * len(guests) * len(mix.METRICS),
                tuple(feed.metrics[metric] for metric in mix.METRICS),
                (0, *accumulate(map(len, stored))),
                encode(times).SerializeToString(),
            )
            yield CheckedFrame(feed.sender, feed.epoch, feed.sequence, feed.sequence, 1, row)

    def _block(self, day: int, cycle: int, metric: str, series: pb.Column) -> bytes:
        if (kept := self._kept.get((cycle, metric))) is not None:
            return kept
        values = self._data.values[metric][cycle : cycle + INSTANTS]
        if counts := metric in self._data.turn:
            values = values + (day - self._first_day) * self._data.turn[metric]
        column = encode_checked(values.T.ravel(), in_sequence=True)
        block = pb.Block(metric=metric, scope=pb.TIME_SCOPE_BATCH, series=series, values=column)
        stored = bytes([FORMAT_VERSION]) + block.SerializeToString()
        if not counts:
            self._kept[cycle, metric] = stored
        return stored
