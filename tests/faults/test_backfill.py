"""Thirty days of one site come in at once and become chunks while ten other sites are live: their values are not late.

NEPHOSCOPE_FAULT_SECONDS sets about how long (60): the longer, the smaller the batches that the thirty days come in.
"""

import asyncio
import itertools
import os
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import numpy as np
import psycopg
from fixtures.accounting import mixed
from fixtures.compacted import Sample, Values, block, chunks, everything, in_parts
from fixtures.gateway import METRIC
from fixtures.stack import Stack, stack, start_gateway
from fixtures.waiting import wait_for, wait_until

from faults.uplinks import Uplink, batch, series_of, uplink
from metaconsole.live_view import LiveView
from metaconsole.store.pieces import DAY_MS
from shared.catalogue import catalogue
from shared.columns import I64
from shared.pb import uplink_pb2

SECONDS: Final = float(os.environ.get("NEPHOSCOPE_FAULT_SECONDS", "60"))
DAYS: Final = 30
MINUTE_MS: Final = 60_000
INSTANTS: Final = max(1, int(120 / SECONDS))  # in a batch of the backfill
METRICS: Final = (METRIC, "system.memory.usage", "system.cpu.time", "system.network.io")
GUESTS: Final = 20
LIVE_SITES: Final = 10
LIVE_SERIES: Final = 10
LIVE_EVERY: Final = 0.5  # seconds
PROMISED: Final = 2.0  # seconds from the batch to its acknowledgement and to its values in the live view
LATE_SAMPLES: Final = "200000"


def test_a_backfill_of_one_site_does_not_delay_the_others(tmp_path: Path) -> None:
    with stack(tmp_path) as made:
        start_gateway(made)
        made.readers().start()
        compactor = made.program("compactor", "faults.compactor_program", made.database.url, LATE_SAMPLES, "0")
        compactor.start()
        for name in ("late", *(f"live-{number}" for number in range(LIVE_SITES))):
            made.satellite(name, {}, site=name)
        wait_for((tmp_path / "run" / "live.current").exists, 10, "the live view is there")
        today = int(time.time() * 1000) // DAY_MS
        lives = asyncio.run(backfill_beside_live(made, today - DAYS))
        compactor.stop()
        judge_backfill(made, today - DAYS)
        for live in lives:
            judge_live(made, live)


class Live:
    """A site whose batches come twice a second, each when the one before is acknowledged and seen."""

    def __init__(self, up: Uplink, view: LiveView) -> None:
        self.up = up
        self.sent: Counter[Sample] = Counter()
        self.slowest = 0.0
        self._view = view

    async def run(self, series: I64, over: asyncio.Event) -> None:
        """Submit until it is over; the first batch may wait for what the first of all needs."""
        await self._submit(series, 0, 15)
        for number in itertools.count(1):
            if over.is_set():
                return
            await asyncio.gather(self._submit(series, number, PROMISED), asyncio.sleep(LIVE_EVERY))

    async def _submit(self, series: I64, number: int, seconds: float) -> None:
        begin, at = time.monotonic(), int(time.time() * 1000)
        values = [number + place / LIVE_SERIES for place in range(LIVE_SERIES)]
        blocks = [block(METRIC, range(1, LIVE_SERIES + 1), values)]
        sequence = await self.up.submit(batch(np.array([at]), int(LIVE_EVERY * 1000), blocks), uplink_pb2.LANE_LIVE)
        self.sent.update(zip(series.tolist(), itertools.repeat(at), values))

        def seen() -> bool:
            times, shown, _ = self._view.latest(series)
            return self.up.taken >= sequence and (times == at).all() and shown.tolist() == values

        await wait_until(seen, seconds, f"batch {number} of {self.up.client.welcome.site} is acknowledged and seen")
        if number:
            self.slowest = max(self.slowest, time.monotonic() - begin)


async def backfill_beside_live(made: Stack, first_day: int) -> list[Live]:
    """Submit the thirty days; the ten sites are live until all of it is merged."""
    over = asyncio.Event()
    view = LiveView.open(made.folder / "run")
    async with AsyncExitStack() as opened, asyncio.TaskGroup() as group:
        late = await opened.enter_async_context(uplink(made, made.folder / "late", GUESTS, METRICS))
        others = [
            await opened.enter_async_context(uplink(made, made.folder / f"live-{number}", LIVE_SERIES, [METRIC]))
            for number in range(LIVE_SITES)
        ]
        lives = [Live(up, view) for up in others]
        listening = [group.create_task(up.listen()) for up in (late, *others)]
        running = [
            group.create_task(live.run(await series_of(made, live.up.identity.site_id, LIVE_SERIES), over))
            for live in lives
        ]
        begin = time.monotonic()
        await submit_days(late, first_day)
        submitted = time.monotonic() - begin
        assert await asyncio.to_thread(has_chunks, made), "nothing was merged while the backfill came in"
        listening[0].cancel()
        await asyncio.to_thread(wait_for, lambda: is_merged(made), 60, "the thirty days are merged")
        over.set()
        await asyncio.gather(*running)
        for task in listening:
            task.cancel()
    rounds = min(live.up.sent for live in lives)
    print(f"{late.sent} batches in {submitted:.1f} s, merged after {time.monotonic() - begin:.1f} s")
    print(f"{rounds} live batches of each site; the slowest took {max(live.slowest for live in lives):.2f} s")
    assert rounds > 10, "the live sites had no time to be delayed"
    return lives


async def submit_days(late: Uplink, first_day: int) -> None:
    """Submit the minutes of all days, the oldest first, and return when all are taken."""
    series = np.arange(1, len(METRICS) * GUESTS + 1).reshape(len(METRICS), GUESTS)
    minutes = np.arange(first_day * DAY_MS, (first_day + DAYS) * DAY_MS, MINUTE_MS)
    for begin in range(0, len(minutes), INSTANTS):
        times = minutes[begin : begin + INSTANTS]
        blocks = [
            block(metric, ids.tolist(), values_of(metric, ids, times).ravel().tolist())
            for metric, ids in zip(METRICS, series, strict=True)
        ]
        await late.submit(batch(times, MINUTE_MS, blocks), uplink_pb2.LANE_BACKFILL)
    await wait_until(lambda: late.taken == late.sent, 10, "the backfill is taken")


def values_of(metric: str, series: I64, times: I64) -> Values:
    """Return the values of series at instants: a function of both, by the number that a series has at its site."""
    noise = (mixed(series.astype(np.uint64)[:, None], times[None, :]) % np.uint64(1000)).astype(np.int64)
    whole = noise + 1000 * (times // MINUTE_MS) if catalogue()[metric].kind == "counter" else noise
    return whole if catalogue()[metric].integer else whole / 1000


def has_chunks(made: Stack) -> bool:
    """Tell whether the site of the backfill has chunks."""
    with psycopg.connect(made.database.url) as connection:
        found = connection.execute("SELECT FROM chunk WHERE site_id = %s LIMIT 1", (site_of(made),)).fetchall()
    return bool(found)


def site_of(made: Stack) -> int:
    """Return the site of the backfill."""
    return made.satellites["late"].site_id


def is_merged(made: Stack) -> bool:
    """Tell whether the compactor has read the whole backfill, and the merger has merged it."""
    statement = """
        SELECT position.ordinal = head AND NOT EXISTS (
            SELECT FROM part_day WHERE part_day.site_id = satellite.site_id AND (waits OR round > merging)
        )
        FROM satellite JOIN reader_position position USING (site_id, satellite_id)
        WHERE site_id = %s AND reader = 'compactor'
    """
    with psycopg.connect(made.database.url) as connection:
        return connection.execute(statement, (site_of(made),)).fetchall() == [(True,)]


def judge_backfill(made: Stack, first_day: int) -> None:
    """Check that the thirty days are chunks and rollups, and nothing but these: each sample once, of its own value."""
    assert is_merged(made), "something of it is still in the log alone"
    site_id = site_of(made)
    series = asyncio.run(series_of(made, site_id, len(METRICS) * GUESTS)).tolist()
    with psycopg.connect(made.database.url) as connection:
        assert not any(in_parts(connection, site_id))
        days = Counter[tuple[int, int]]()
        for one, day, times, values in chunks(connection, site_id):
            days[one, day] += 1
            place = series.index(one)
            assert times.tolist() == list(range(day * DAY_MS, (day + 1) * DAY_MS, MINUTE_MS))
            expected = values_of(METRICS[place // GUESTS], np.array([place + 1]), times)[0]
            assert (values == expected).all(), f"other values of series {place + 1} on day {day}"
        rollups = connection.execute("SELECT series_id, day, samples FROM rollup WHERE site_id = %s", (site_id,))
        hours = {(one, day): samples for one, day, samples in rollups.fetchall()}
    wanted = {(one, day) for one in series for day in range(first_day, first_day + DAYS)}
    assert days == Counter(wanted)
    assert hours == {one: [60] * 24 for one in wanted}


def judge_live(made: Stack, live: Live) -> None:
    """Check that everything that a live site sent is there, once."""
    found = everything(made.database.url, live.up.identity.site_id)
    assert (found - live.sent, live.sent - found) == ({}, {})
    assert set(found.values()) == {1}
