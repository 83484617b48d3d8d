"""The readers on a real PostgreSQL: each row once, damage is noticed, facts and the newest values come out."""

import asyncio
import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fixtures.log import Site, frame, open_session
from fixtures.waiting import wait_until

from metaconsole.live_view import LiveView
from metaconsole.readers.base import Follower, ReaderLoop
from metaconsole.readers.facts import FactsReader
from metaconsole.readers.live import LiveReader, newest_of
from metaconsole.readers.run import serve
from metaconsole.settings import Settings
from metaconsole.store.database import AsyncConnection, UnavailableError, connected
from metaconsole.store.frames import FORMAT_VERSION, LogKind
from metaconsole.store.log import append, notify
from metaconsole.store.partitions import ensure_log_partitions
from metaconsole.store.positions import Entry
from shared.columns import encode
from shared.pb import events_pb2, telemetry_pb2

EPOCH = uuid.UUID(int=7)


class Copier(Follower):
    """A reader whose output is rows, and which dies now and then before its transaction ends."""

    name = "copier"
    kinds = frozenset({LogKind.BATCH})

    def __init__(self, dies: Sequence[int] = ()) -> None:
        self.calls = 0
        self._dies = dies

    async def prepare(self, connection: AsyncConnection) -> None:
        """Need nothing."""

    async def caught_up(self, connection: AsyncConnection) -> None:
        """Need nothing."""

    async def process(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:
        for entry in entries:
            await connection.execute(
                "INSERT INTO copied VALUES (%s, %s, %s)", (entry.satellite_id, entry.ordinal, entry.payload)
            )
        self.calls += 1
        if self.calls in self._dies:
            raise UnavailableError("the connection is lost")


async def make_partitions(site: Site, shift: timedelta) -> None:
    async with connected(site.url, application="test") as connection:
        await ensure_log_partitions(connection, datetime.now(UTC) + shift)


async def fill(site: Site, satellites: int, count: int) -> None:
    async with connected(site.url, application="test") as connection:
        senders = [await open_session(connection, site, EPOCH, number) for number in range(satellites)]
        for begin in range(1, count + 1, 10):
            await append(connection, [frame(s, EPOCH, n) for n in range(begin, begin + 10) for s in senders])


def test_each_row_is_put_out_once_whatever_dies_in_between(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.rows("CREATE TABLE copied (satellite_id uuid, ordinal bigint, payload bytea)")
    monkeypatch.setattr("metaconsole.store.positions.ROWS", 7)

    async def work(loop: ReaderLoop) -> int:
        deaths = 0
        while True:
            try:
                async with connected(site.url, application="test") as connection:
                    while await loop.look(connection):
                        pass
                return deaths
            except UnavailableError:
                deaths += 1

    async def scenario() -> list[int]:
        await fill(site, 3, 100)
        loops = [ReaderLoop(site.url, Copier(dies)) for dies in ((2, 5, 6), (1, 3, 9))]
        deaths = await asyncio.gather(*(work(loop) for loop in loops))
        await work(loops[0])  # what the other had claimed when this one looked last
        return list(deaths)

    deaths = asyncio.run(scenario())
    assert sum(deaths) >= 3
    assert site.rows("SELECT count(*), count(DISTINCT (satellite_id, ordinal)) FROM copied") == [(300, 300)]
    assert site.rows("SELECT ordinal FROM reader_position WHERE ordinal > 0") == [(100,)] * 3


def test_a_hole_stops_the_reading_of_that_satellite_alone_and_loudly(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.rows("CREATE TABLE copied (satellite_id uuid, ordinal bigint, payload bytea)")
    damaged = site.satellites[0]

    async def scenario() -> None:
        await fill(site, 2, 20)
        await asyncio.to_thread(site.rows, f"DELETE FROM log WHERE satellite_id = '{damaged}' AND ordinal = 11")
        loop = ReaderLoop(site.url, Copier())
        async with connected(site.url, application="test") as connection:
            while await loop.look(connection):
                pass

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert site.rows("SELECT count(*) FROM copied") == [(20,)]
    assert f"row 11 of the log of satellite {damaged}" in caplog.text
    assert site.rows(f"SELECT ordinal FROM reader_position WHERE satellite_id = '{damaged}'") == [(0,)]


def test_rows_are_found_whatever_the_clock_of_the_database_did(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.rows("CREATE TABLE copied (satellite_id uuid, ordinal bigint, payload bytea)")
    asyncio.run(fill(site, 1, 10))
    # The clock ran ahead, was set right, and went back once more: both edges of what is near are left behind.
    site.rows("UPDATE log SET received_at = now() + interval '5 hours' WHERE ordinal IN (3, 4)")
    asyncio.run(make_partitions(site, timedelta(hours=-2)))
    site.rows("UPDATE log SET received_at = now() - interval '2 hours' WHERE ordinal >= 8")
    monkeypatch.setattr("metaconsole.store.positions.ROWS", 2)

    async def work() -> None:
        async with connected(site.url, application="test") as connection:
            loop = ReaderLoop(site.url, Copier())
            while await loop.look(connection):
                pass

    asyncio.run(work())
    assert site.rows("SELECT ordinal FROM copied ORDER BY ordinal") == [(ordinal,) for ordinal in range(1, 11)]


def test_events_and_gaps_become_rows_once(site: Site) -> None:
    events = events_pb2.EventList(
        events=[
            events_pb2.Event(
                id="e1",
                time_ms=1_700_000_000_123,
                source="kvm",
                type="guest.started",
                severity=events_pb2.SEVERITY_INFO,
                resource=telemetry_pb2.ResourceRef(kind="guest", key="g"),
                message="started",
            )
        ]
    ).SerializeToString()
    gaps = telemetry_pb2.GapList(
        gaps=[
            telemetry_pb2.Gap(source="kvm", plan="fast", from_ms=1, to_ms=2, reason=telemetry_pb2.GAP_REASON_OVERRUN),
            telemetry_pb2.Gap(from_ms=3, to_ms=4, reason=telemetry_pb2.GAP_REASON_RESTART, detail="why"),
        ]
    ).SerializeToString()

    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            sender = await open_session(connection, site, EPOCH)
            rows = [(LogKind.EVENTS, events), (LogKind.EVENTS, events), (LogKind.GAPS, gaps)]
            frames = [frame(sender, EPOCH, n, kind=kind, payload=data) for n, (kind, data) in enumerate(rows, 1)]
            await append(connection, frames)
            assert await ReaderLoop(site.url, FactsReader()).look(connection) == 3

    asyncio.run(scenario())
    assert site.rows(
        "SELECT native_id, type, severity, message, (extract(epoch FROM at) * 1000)::bigint, key "
        "FROM event JOIN resource_key USING (site_id, resource_id)"
    ) == [("e1", "guest.started", "info", "started", 1_700_000_000_123, "g")]
    assert site.rows(
        "SELECT source.name, plan, from_ms, to_ms, reason, detail "
        "FROM gap LEFT JOIN source USING (site_id, source_id) ORDER BY from_ms"
    ) == [("kvm", "fast", 1, 2, "overrun", ""), (None, "", 3, 4, "restart", "why")]


def stored_batch(series: Sequence[int], values: Sequence[float], at: int) -> dict[str, object]:
    block = telemetry_pb2.Block(
        metric="a.one",
        scope=telemetry_pb2.TIME_SCOPE_BATCH,
        series=encode(np.array(series, np.int64)),
        values=encode(np.array(values, np.float64)),
    )
    payload = bytes([FORMAT_VERSION]) + block.SerializeToString()
    times = encode(np.array([at], np.int64)).SerializeToString()
    return {"payload": payload, "offsets": (0, len(payload)), "metrics": (1,), "times": times, "interval_ms": 10_000}


def test_the_live_view_holds_the_newest_values_and_is_rebuilt_from_the_log(site: Site, tmp_path: Path) -> None:
    ids = np.array([1, 2, 3, 5000], np.int64)

    async def read(reader: LiveReader) -> None:
        async with connected(site.url, application="test") as connection:
            loop = ReaderLoop(site.url, reader)
            await reader.prepare(connection)
            while await loop.look(connection):
                pass
            await reader.caught_up(connection)

    async def scenario() -> None:
        async with connected(site.url, application="test") as connection:
            sender = await open_session(connection, site, EPOCH)
            batches = [
                ([1, 5000], [1.0, 5.0], 1000),
                ([1, 2], [2.0, 3.0], 2000),
                ([2], [9.0], 1500),
                ([2], [4.0], 2000),
            ]
            frames = [frame(sender, EPOCH, n, **stored_batch(*batch)) for n, batch in enumerate(batches, 1)]
            await append(connection, frames)
        await read(LiveReader(tmp_path))

    view = LiveView.open(tmp_path)
    assert view.latest(ids)[0].tolist() == [0, 0, 0, 0]
    asyncio.run(scenario())
    for _ in range(2):
        times, values, intervals = view.latest(ids)
        assert times.tolist() == [2000, 2000, 0, 1000]
        assert values.tolist() == [2.0, 4.0, 0.0, 5.0]
        assert intervals.tolist() == [10_000, 10_000, 0, 10_000]
        before = view.generation
        # Another process starts with nothing but the log.
        asyncio.run(read(LiveReader(tmp_path)))
        assert view.generation != before
    assert len(list(tmp_path.glob("live-*.map"))) == 1


def test_of_repeated_series_the_newest_sample_is_taken() -> None:
    series = np.array([2, 1, 2, 1, 2], np.int64)
    times = np.array([5, 1, 5, 3, 4], np.int64)
    values = np.array([1.0, 1.0, 7.0, 2.0, 9.0])
    found = [column.tolist() for column in newest_of(series, times, values)]
    assert found == [[1, 2], [3, 5], [2.0, 7.0]]


def test_the_process_reads_what_is_stored_while_it_runs_and_stops(site: Site, tmp_path: Path) -> None:
    async def scenario() -> float:
        stop = asyncio.Event()
        task = asyncio.create_task(serve(Settings(site.url, tmp_path, tmp_path), stop))
        view = LiveView.open(tmp_path)
        async with connected(site.url, application="test") as connection:
            sender = await open_session(connection, site, EPOCH)
            await append(connection, [frame(sender, EPOCH, 1, **stored_batch([1], [0.5], 1000))])
            await notify(connection)

        one = np.array([1], np.int64)
        await wait_until(lambda: view.latest(one)[0][0], 10, "the value in the live view")
        found = float(view.latest(one)[1][0])
        stop.set()
        await asyncio.wait_for(task, 30)
        return found

    assert asyncio.run(scenario()) == 0.5


def test_of_several_processes_one_keeps_the_live_view_and_the_next_takes_over(site: Site, tmp_path: Path) -> None:
    one = np.array([1], np.int64)

    def shows(view: LiveView, at: int) -> bool:
        return bool(view.latest(one)[0][0] == at)

    def maps() -> int:
        return len(list(tmp_path.glob("live-*.map")))

    async def scenario() -> None:
        stops = [asyncio.Event() for _ in range(3)]
        tasks = [asyncio.create_task(serve(Settings(site.url, tmp_path, tmp_path), stop)) for stop in stops]
        view = LiveView.open(tmp_path)
        async with connected(site.url, application="test") as connection:
            sender = await open_session(connection, site, EPOCH)
            for sequence, (stop, task) in enumerate(zip(stops, tasks, strict=True), 1):
                at = 1000 * sequence
                await append(connection, [frame(sender, EPOCH, sequence, **stored_batch([1], [0.5 * sequence], at))])
                await wait_until(partial(shows, view, at), 20, f"sample {sequence} in the live view")
                assert view.latest(one)[1][0] == 0.5 * sequence
                # Only the lock's holder has written a file; the others wait without one.
                assert await asyncio.to_thread(maps) == 1
                stop.set()
                await asyncio.wait_for(task, 30)

    asyncio.run(scenario())
    live = site.rows(f"SELECT DISTINCT reader FROM reader_position WHERE reader LIKE 'live@%:{tmp_path}'")
    assert len(live) == 1
