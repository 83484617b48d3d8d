"""The live reader commits without waiting for the disk: what a crash of PostgreSQL takes back is read again.

A commit is lost when PostgreSQL ends before its writer of the log has come by; that one is made slow here.
"""

import asyncio
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import psycopg
from fixtures.log import Site, frame, open_session
from fixtures.stack import Stack, stack

from metaconsole.live_view import LiveView
from metaconsole.readers.base import ReaderLoop
from metaconsole.readers.live import LiveReader
from metaconsole.store.database import connect, connected
from metaconsole.store.frames import FORMAT_VERSION
from metaconsole.store.log import append
from metaconsole.store.partitions import ensure_log_partitions
from metaconsole.store.sites import ensure_satellite, ensure_site
from shared.columns import I64, encode
from shared.pb import telemetry_pb2

EPOCH: Final = uuid.UUID(int=7)
CRASHES: Final = 5  # at most, until one of them has taken a position back
SERIES: Final = np.array([1, 2], np.int64)


def test_the_live_view_loses_nothing_when_postgresql_takes_its_position_back(tmp_path: Path) -> None:
    with stack(tmp_path) as made:
        asyncio.run(make_partitions(made))
        reader, view = LiveReader(made.folder), LiveView.open(made.folder)
        taken_back = False
        for number in range(1, CRASHES + 1):
            with psycopg.connect(made.database.url, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
                connection.execute("SELECT pg_reload_conf()")
            asyncio.run(store_and_read(made, reader, number))
            assert_shows(view, number)
            made.database.stop_immediately()
            made.database.start()
            # The first crash takes everything of the reader back, the start of its positions too.
            taken_back = position(made, reader) < number
            if taken_back:
                break
        assert taken_back, "no crash has taken a position back: its commits wait for the disk"
        asyncio.run(store_and_read(made, reader, number + 1))
        assert_shows(view, number + 1)
        asyncio.run(read(made, LiveReader(made.folder)))
        assert_shows(view, number + 1)
        assert position(made, reader) == number + 1


async def make_partitions(made: Stack) -> None:
    """Do what a gateway does when it starts."""
    async with connected(made.database.url, application="test") as connection:
        await ensure_log_partitions(connection, datetime.now(UTC))


async def store_and_read(made: Stack, reader: LiveReader, number: int) -> None:
    """Append a batch, then let the reader read what waits."""
    with connect(made.database.url) as connection:
        site_id = ensure_site(connection, "home")
        site = Site(made.database.url, site_id, (ensure_satellite(connection, site_id, "satellite"),))
    async with connected(made.database.url, application="test") as connection:
        sender = await open_session(connection, site, EPOCH)
        # The second series has one sample, of the first batch: who forgot that one would show nothing.
        series = SERIES[: 2 if number == 1 else 1]
        await append(connection, [frame(sender, EPOCH, number, **stored_batch(series, number))])
    await read(made, reader)


async def read(made: Stack, reader: LiveReader) -> None:
    """Read as the process does after each connect."""
    async with connected(made.database.url, application="test") as connection:
        await reader.prepare(connection)
        loop = ReaderLoop(made.database.url, reader)
        while await loop.look(connection):
            pass
        await reader.caught_up(connection)


def stored_batch(series: I64, number: int) -> dict[str, object]:
    """Return the fields of a row of the log: one value each, of the instant 1000 times the number."""
    block = telemetry_pb2.Block(
        scope=telemetry_pb2.TIME_SCOPE_BATCH, series=encode(series), values=encode(np.full(len(series), float(number)))
    )
    payload = bytes([FORMAT_VERSION]) + block.SerializeToString()
    times = encode(np.array([1000 * number], np.int64)).SerializeToString()
    return {"payload": payload, "offsets": (0, len(payload)), "metrics": (1,), "times": times, "interval_ms": 10_000}


def assert_shows(view: LiveView, number: int) -> None:
    """Compare the view with all that was stored."""
    times, values, _ = view.latest(SERIES)
    assert times.tolist() == [1000 * number, 1000]
    assert values.tolist() == [float(number), 1.0]


def position(made: Stack, reader: LiveReader) -> int:
    """Return the last row that the reader is done with, by the database; 0 when it knows none."""
    with psycopg.connect(made.database.url) as connection:
        row = connection.execute(
            "SELECT max(ordinal) FROM reader_position WHERE reader = %s", (reader.name,)
        ).fetchone()
    return 0 if row is None or row[0] is None else int(row[0])
