"""Compactor, merger and the drop of parts die at each of their commits: at every moment each sample is there, once."""

import asyncio
import signal
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg
from fixtures.compacted import Feed, Sample, block, everything, in_chunks
from fixtures.stack import Program, Stack, stack
from fixtures.waiting import wait_for

from faults.killing import COMPACTOR_POINTS
from faults.settling import merge_out, read_out
from metaconsole.store.database import AsyncConnection, connect, connected
from metaconsole.store.partitions import ensure_log_partitions
from metaconsole.store.pieces import DAY_MS, HOUR_MS
from metaconsole.store.sites import ensure_satellite, ensure_site

METRICS: Final = ("system.cpu.utilization", "system.memory.usage", "system.cpu.time", "system.network.io")
GUESTS: Final = 50  # of two steps of the merger
DAYS: Final = 3
AGO: Final = 10  # days
# The last ones in the midst of a day's merge, of the pieces to be dropped, and of the round after what came late.
POINTS: Final = (
    *COMPACTOR_POINTS,
    *(f"retention.drop.{side}" for side in ("before", "after")),
    *(f"{place}.{side}=2" for place in ("merger.commit", "retention.drop") for side in ("before", "after")),
)
LATE_SAMPLES: Final = "500"


class Site:
    """A site whose satellite tells of the same days again and again, each time of other instants."""

    def __init__(self, made: Stack, name: str) -> None:
        self.url = made.database.url
        with connect(self.url) as connection:
            self.site_id = ensure_site(connection, name)
            self.feed = Feed(self.site_id, ensure_satellite(connection, self.site_id, name))
        self.first_day = int(time.time() * 1000) // DAY_MS - AGO
        self.stored: Counter[Sample] = Counter()

    async def append(self, connection: AsyncConnection, number: int) -> None:
        """Append an instant of each of some hours of the days."""
        frames = []
        for hour in range(0, 24 * DAYS, 8):
            at = self.first_day * DAY_MS + hour * HOUR_MS + number * 60_000
            blocks = []
            for metric in METRICS:
                series = [self.feed.series[metric, guest] for guest in range(GUESTS)]
                values = [float(number + guest) for guest in range(GUESTS)]
                blocks.append(block(metric, series, values))
                self.stored.update(zip(series, [at] * GUESTS, values, strict=True))
            frames.append(self.feed.frame([at], blocks))
        await self.feed.append(connection, frames)

    def judge(self) -> None:
        """Check that everything is there, once."""
        found = everything(self.url, self.site_id)
        assert (found - self.stored, self.stored - found) == ({}, {}), "samples are doubled, or missing"


def test_nothing_is_lost_or_doubled_wherever_a_compactor_dies(tmp_path: Path) -> None:
    with stack(tmp_path) as made:
        sites = [Site(made, name) for name in ("one", "other")]
        compactor = made.program("compactor", "faults.compactor_program", made.database.url, LATE_SAMPLES, "0")
        for number, point in enumerate(POINTS):
            # The other site is late each second time: its parts must not hold up or lose those of the one.
            asyncio.run(append(sites[: 1 + number % 2], number))
            compactor.start(point)
            assert died(compactor), f"nobody came to {point}:\n{compactor.tail()}"
            for site in sites:
                site.judge()
        asyncio.run(append(sites, len(POINTS)))
        compactor.start()
        read_out(made, {"compactor"})
        merge_out(made)
        wait_for(lambda: not pieces(made, sites[0].first_day), 60, "the pieces of the days are dropped")
        with psycopg.connect(made.database.url) as connection:
            for site in sites:
                assert Counter(in_chunks(connection, site.site_id)) == site.stored


async def append(sites: list[Site], number: int) -> None:
    """Append what comes next at some sites."""
    async with connected(sites[0].url, application="test") as connection:
        await ensure_log_partitions(connection, datetime.now(UTC))
        for site in sites:
            if site.feed.sender is None:
                await site.feed.open(connection, "source", METRICS, GUESTS)
            await site.append(connection, number)


def died(program: Program) -> bool:
    """Return whether a program kills itself in time."""
    wait_for(lambda: not program.running(), 20, "the process is at its failpoint")
    assert program.process is not None
    return program.process.returncode == -signal.SIGKILL


def pieces(made: Stack, first_day: int) -> list[str]:
    """Return the pieces of parts that the days have."""
    with psycopg.connect(made.database.url) as connection:
        found = connection.execute(
            """SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid
               WHERE inhparent = 'part'::regclass AND relname < 'part_' || to_char(to_timestamp(%s), 'YYYYMMDD')""",
            ((first_day + AGO) * 86_400,),
        )
        return [name for (name,) in found.fetchall()]
