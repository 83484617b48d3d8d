"""Scale: a day to a year of history of a small fleet, compacted, merged and kept as the product does it.

Days are added to one database, the oldest first. After each lot the log is read and dropped, the days are merged, the
parts are gone, and the same questions are asked: what depends on the past that should not shows as a column that grows.
"""

import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psutil
import psycopg
from fixtures.stack import Stack, free_port, stack

from bench import asking, mix
from bench.asking import Request
from bench.findings import Findings
from bench.history import CYCLES, SITE, History
from bench.plan import Plan
from metaconsole.auth import accounts
from metaconsole.readers import retention
from metaconsole.readers.base import ReaderLoop
from metaconsole.readers.compactor import GRACE_MS
from metaconsole.readers.facts import FactsReader
from metaconsole.store.database import connect, connected
from metaconsole.store.pieces import DAY_MS
from metaconsole.store.retention_settings import change
from metaconsole.store.stats import account, sizes
from shared.catalogue import catalogue

DAYS: Final = (1, 7, 30, 90, 365)
COLUMNS: Final = (
    "days",
    "samples",
    "compacted, samples/s",
    "compactor, MiB",
    "B a sample: chunks, rollups",
    "MiB of the database, of that PostgreSQL's catalogues",
    "pieces of tables",
    "newest day raw, p50 and p95",
    "year by rollups, p50 and p95",
    "`db stats`",
    "keeping the storage: each 10 min, once a day",
)
GUESTS: Final = 10
YEAR: Final = 365
KEPT: Final = 30  # days of raw samples, after the change at the end
_COMPACT_SECONDS: Final = 400
_LATER: Final = timedelta(hours=2)  # when the log's hour is over, and parts have stayed for as long as they must


def run(plan: Plan, found: Findings, days: Sequence[int], guests: int = GUESTS) -> Iterator[list[str]]:
    """Measure each number of days and yield its row."""
    first = int(time.time() * 1000) // DAY_MS - days[-1]
    with tempfile.TemporaryDirectory(prefix="nephoscope-bench-") as scratch, stack(Path(scratch)) as made:
        history = History(made.database.url, guests, first)
        port = free_port()
        web = asking.start_web(made, port)
        token = accounts.create_token(made.database.url, "bench", "read")
        for before, count in itertools.pairwise((0, *days)):
            asyncio.run(history.write(range(first + before, first + count)))
            new, stored = ((many * history.samples_a_day) for many in (count - before, count))
            seconds, memory = _compact(made, first + count)
            kept = asyncio.run(_keep(made.database.url))
            cells = [str(count), f"{stored / 1e6:,.1f} M", f"{new / seconds / 1e6:.1f} M", f"{memory / 2**20:.0f}"]
            cells += _stored(made, stored)
            for view in _views(made, first + count, count):
                cells.append(asking.spread(asking.ask(port, token, view, plan.asked)))
            yield [*cells, f"{_account(made):.2f} s", ", ".join(f"{one:.2f} s" for one in kept)]
        assert web.running(), web.tail()
        _end_days(made, found)
    found.say(
        f"{guests} guests of {len(mix.METRICS)} metrics at 10 s, in batches of several minutes; the compactor's figures"
        " are those of its process over the days that came, everything else is of all days; the catalogues hold dead"
        " rows of the parts' pieces, since here a day comes in a fraction of a second"
    )


def _compact(made: Stack, end_day: int) -> tuple[float, int]:
    """Let compactor and merger do all that is due when a day begins; return their seconds and most memory."""
    asyncio.run(_read_facts(made.database.url))
    arguments = made.database.url, str(end_day * DAY_MS + GRACE_MS)
    program, memory = made.program("compactor", "bench.compacting", *arguments), 0
    program.start()
    began, process = time.monotonic(), psutil.Process(program.pid)
    while program.running():
        assert time.monotonic() - began < _COMPACT_SECONDS, program.tail()
        try:
            memory = max(memory, process.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    assert program.process is not None
    assert program.process.wait(_COMPACT_SECONDS) == 0, program.tail()
    return float(program.tail().splitlines()[-1]), memory


async def _read_facts(url: str) -> None:
    """Let the facts reader pass what came, as it must before the log goes."""
    async with connected(url, application="nephoscope bench") as connection:
        loop = ReaderLoop(url, FactsReader())
        while await loop.look(connection):
            continue


async def _keep(url: str) -> tuple[float, float]:
    """Keep the storage until log and parts are gone; then return the seconds of a usual look, and of a daily one."""
    later = datetime.now(UTC) + _LATER
    async with connected(url, application="nephoscope bench") as connection:
        await retention.look(connection, later, sweep=False)
        took = []
        for sweep in (False, True):
            began = time.monotonic()
            await retention.look(connection, later, sweep=sweep)
            took.append(time.monotonic() - began)
    return took[0], took[1]


def _stored(made: Stack, samples: int) -> list[str]:
    with psycopg.connect(made.database.url, autocommit=True) as connection:
        connection.execute("ANALYZE")
        row = connection.execute("SELECT sum(samples), (SELECT count(*) FROM part) FROM chunk").fetchone()
    assert row == (samples, 0), f"{row} samples in chunks and rows of parts, not {samples} and none"
    with connect(made.database.url) as connection:
        found = sizes(connection)
    each = ", ".join(f"{found.tiers()[tier] / samples:.3f}" for tier in ("chunks", "rollups"))
    whole = ", ".join(f"{taken / 2**20:,.0f}" for taken in (found.total, found.catalogues))
    return [each, whole, str(sum(table.partitions for table in found.tables))]


def _views(made: Stack, end_day: int, count: int) -> list[Iterator[list[Request]]]:
    """Return what is asked: the newest day of a series as it was taken, and a year in days by rollups."""
    with psycopg.connect(made.database.url) as connection:
        rows = connection.execute(
            "SELECT resource_id::text FROM resource_key JOIN site USING (site_id) WHERE site.name = %s", (SITE,)
        ).fetchall()
    series = [(resource, metric) for metric in mix.METRICS for (resource,) in rows]
    end = end_day * DAY_MS
    day, year = {"from": end - DAY_MS, "to": end}, {"from": end - YEAR * DAY_MS, "to": end, "step": DAY_MS}
    aggregates = {"gauge": "avg", "counter": "rate", "state": "last"}

    def ask(which: tuple[str, str], points: int, **more: object) -> list[Request]:
        select = [{"resource": which[0], "metric": which[1]}]
        return [Request("/api/v1/query", {"select": select, **more}, lambda text: _points(text) == points)]

    return [
        (ask(one, CYCLES, **day) for one in itertools.cycle(series)),
        (
            ask(one, min(count, YEAR), **year, aggregate=aggregates[catalogue()[one[1]].kind])
            for one in itertools.cycle(series)
        ),
    ]


def _points(text: bytes) -> int:
    (only,) = json.loads(text)["series"]
    return sum(value is not None for value in only["values"])


def _account(made: Stack) -> float:
    """Return the seconds that an account of every byte takes."""
    with connect(made.database.url, statement_timeout=0) as connection:
        connection.autocommit = True
        began = time.monotonic()
        account(connection)
        return time.monotonic() - began


def _end_days(made: Stack, found: Findings) -> None:
    """Keep fewer days from now on, and say what one look at the storage does then."""
    with connect(made.database.url) as connection:
        before = sizes(connection)
        change(connection, "bench", "raw", None, None, KEPT)
    began = time.monotonic()
    asyncio.run(_look(made.database.url))
    seconds = time.monotonic() - began
    with connect(made.database.url) as connection:
        after = sizes(connection)
        row = connection.execute("SELECT min(day) FROM chunk").fetchone()
    assert row is not None
    today = int(time.time() * 1000) // DAY_MS
    pieces = [sum(table.partitions for table in one.tables) for one in (before, after)]
    found.say(
        f"raw samples kept for {KEPT} days instead of 400: one look ends {pieces[0] - pieces[1]} pieces in"
        f" {seconds:.2f} s, waits for locks included; the oldest chunk is {today - row[0]} days old, the database has"
        f" {after.total / 2**20:,.0f} MiB instead of {before.total / 2**20:,.0f}"
    )


async def _look(url: str) -> None:
    async with connected(url, application="nephoscope bench") as connection:
        await retention.look(connection, datetime.now(UTC), sweep=True)
