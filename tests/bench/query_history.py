"""The samples that the group `query` asks for, written by the product's own writers.

The newest 45 minutes of a source are in the log, the day before that in parts and chunks, and a year of a few of its
series in chunks and rollups.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from fixtures.compacted import Feed

from bench import mix
from metaconsole.readers.base import ReaderLoop
from metaconsole.readers.compactor import Compactor
from metaconsole.readers.days import LEVEL, rollup_of
from metaconsole.readers.merger import Merger
from metaconsole.store import merging
from metaconsole.store.database import AsyncConnection, connect, connected, transaction
from metaconsole.store.frames import FORMAT_VERSION, CheckedFrame, LogKind, LogRow
from metaconsole.store.merging import Chunks, Day
from metaconsole.store.partitions import ensure_day_partitions, ensure_log_partitions
from metaconsole.store.pieces import DAY_MS, HOUR_MS, pack_rows, pack_times
from metaconsole.store.retention import drop_merged_parts
from metaconsole.store.runs import Run
from metaconsole.store.sites import ensure_satellite, ensure_site
from shared.catalogue import catalogue
from shared.columns import encode
from shared.pb import telemetry_pb2 as pb

GUESTS: Final = 500
HOT_MS: Final = 45 * 60_000
LAPS: Final = 360  # cycles, after which the mix repeats
YEAR: Final = 365  # days
YEAR_INTERVAL_MS: Final = 600_000
YEAR_METRICS: Final = ("system.cpu.utilization", "system.network.io")
YEAR_GUESTS: Final = 50
_FRAMES: Final = 120  # of a transaction


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What is there: series by (metric, guest), and the end of their samples in UTC milliseconds."""

    series: dict[tuple[str, int], int]
    end_ms: int


async def write(url: str) -> History:
    """Write everything and return what there is."""
    end_ms = (int(time.time() * 1000) - HOT_MS) // HOUR_MS * HOUR_MS + HOT_MS
    with connect(url) as connection:
        site_id = ensure_site(connection, "graphs")
        satellite = ensure_satellite(connection, site_id, "graphs")
    async with connected(url, application="bench") as connection:
        await ensure_log_partitions(connection, datetime.now(UTC))
        feed = await Feed(site_id, satellite).open(connection, "source", mix.METRICS, GUESTS)
        some: list[CheckedFrame] = []
        for one in _frames(feed, end_ms - DAY_MS, end_ms):
            some.append(one)
            if len(some) == _FRAMES:
                await feed.append(connection, some)
                some.clear()
        if some:
            await feed.append(connection, some)
        await _compact(connection, url, end_ms)
        await _write_year(connection, feed, end_ms // DAY_MS - 1)
        await drop_merged_parts(connection, datetime.now(UTC))  # as whoever keeps the storage has done by now
    return History(feed.series, end_ms)


def _frames(feed: Feed, begin_ms: int, end_ms: int) -> Iterator[CheckedFrame]:
    """Yield a batch of all guests and metrics every 10 s, as the gateway stores it."""
    assert feed.sender is not None
    data = mix.generate(1, GUESTS, LAPS)
    columns = {
        metric: encode(np.array([feed.series[metric, guest] for guest in range(GUESTS)], np.int64))
        for metric in mix.METRICS
    }
    values: dict[tuple[str, int], pb.Column] = {}
    for cycle, at in enumerate(range(begin_ms, end_ms, mix.INTERVAL_MS)):
        stored = []
        for metric in mix.METRICS:
            key = (metric, cycle if metric in data.turn else cycle % LAPS)
            if (column := values.get(key)) is None:
                column = encode(data.at(metric, cycle), in_sequence=False)
                if metric not in data.turn:
                    values[key] = column
            block = pb.Block(metric=metric, scope=pb.TIME_SCOPE_BATCH, series=columns[metric], values=column)
            stored.append(bytes([FORMAT_VERSION]) + block.SerializeToString())
        feed.sequence += 1
        row = LogRow(
            LogKind.BATCH,
            at,
            at,
            b"".join(stored),
            feed.source_id,
            "fast",
            mix.INTERVAL_MS,
            GUESTS * len(mix.METRICS),
            tuple(feed.metrics[metric] for metric in mix.METRICS),
            tuple(np.cumsum([0, *map(len, stored)]).tolist()),
            encode(np.array([at], np.int64)).SerializeToString(),
        )
        yield CheckedFrame(feed.sender, feed.epoch, feed.sequence, feed.sequence, 1, row)


async def _compact(connection: AsyncConnection, url: str, now_ms: int) -> None:
    """Let compactor and merger do what they would have done by now."""
    reader = Compactor(url, now_ms)
    await reader.prepare(connection)
    loop = ReaderLoop(url, reader)
    while await loop.look(connection):
        pass
    await Merger(url, quiet_seconds=0, now_ms=now_ms).look(connection)


async def _write_year(connection: AsyncConnection, feed: Feed, before_day: int) -> None:
    """Write the days before one, of a sample each ten minutes."""
    random = np.random.default_rng(2)
    series = np.array([feed.series[metric, guest] for metric in YEAR_METRICS for guest in range(YEAR_GUESTS)], np.int64)
    order = np.argsort(series)
    is_counter = np.repeat([catalogue()[metric].kind == "counter" for metric in YEAR_METRICS], YEAR_GUESTS)[order]
    days = range(before_day - YEAR, before_day)
    await ensure_day_partitions(connection, days)
    counted = np.zeros((is_counter.sum(), 1))
    for day in days:
        times = np.arange(day * DAY_MS, (day + 1) * DAY_MS, YEAR_INTERVAL_MS, dtype=np.int64)
        gauges = random.lognormal(-2.0, 0.4, ((~is_counter).sum(), len(times))).round(3)
        counters = counted + np.cumsum(random.integers(0, 10**7, (is_counter.sum(), len(times))), axis=1)
        counted = counters[:, -1:]
        runs = [
            ("gauge", Run(series[order][~is_counter], times, gauges)),
            ("counter", Run(series[order][is_counter], times, counters.astype(np.int64))),
        ]
        name, stored = pack_times(times)
        chunks = [
            Chunks(run.series, YEAR_INTERVAL_MS, len(times), name, stored, pack_rows(run.values, None, LEVEL))
            for _, run in runs
        ]
        rollups = [rollup_of(run, kind, YEAR_INTERVAL_MS) for kind, run in runs]
        async with transaction(connection):
            await merging.replace(connection, Day(feed.site_id, day), series.tolist(), chunks, rollups)
