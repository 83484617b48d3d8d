"""What leaves the log and the parts, and what holds them, on a real PostgreSQL."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from fixtures.log import Site

from metaconsole.store import compaction, partitions
from metaconsole.store.database import AsyncConnection, connect, connected
from metaconsole.store.partitions import ensure_day_partitions, ensure_log_partitions
from metaconsole.store.retention import drop_merged_parts, drop_read_log
from metaconsole.store.sites import ensure_site

START = datetime(2031, 12, 30, 10, 0, tzinfo=UTC)
LATER = START + timedelta(hours=5)


class LogOfHours:
    """A log with a row an hour of each of two satellites, ordinals 1 to 4, and positions of readers."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.one, self.two = site.satellites[:2]

    async def fill(self) -> None:
        async with connected(self.site.url, application="test") as connection:
            await ensure_log_partitions(connection, START, timedelta(hours=3))
        with psycopg.connect(self.site.url) as connection:
            for ordinal in range(1, 5):
                for satellite in (self.one, self.two):
                    connection.execute(
                        "INSERT INTO log (site_id, satellite_id, ordinal, received_at, epoch, sequence, lane, kind, "
                        "first_ms, last_ms, payload) VALUES (%s, %s, %s, %s, %s, 1, 1, 1, 1, 1, '')",
                        (self.site.site_id, satellite, ordinal, START + timedelta(hours=ordinal - 1), uuid.uuid4()),
                    )
            connection.execute("UPDATE satellite SET head = 4 WHERE satellite_id = ANY(%s)", ([self.one, self.two],))

    def read(self, reader: str, satellite: uuid.UUID, ordinal: int) -> None:
        with psycopg.connect(self.site.url) as connection:
            connection.execute(
                "INSERT INTO reader_position (site_id, reader, satellite_id, ordinal, received_at) "
                "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (site_id, reader, satellite_id) "
                "DO UPDATE SET ordinal = EXCLUDED.ordinal, received_at = EXCLUDED.received_at",
                (self.site.site_id, reader, satellite, ordinal, START + timedelta(hours=ordinal - 1)),
            )

    def drop(self, now: datetime = LATER, days: int = 400) -> list[int]:
        """Drop what may go, and return the hours that went."""

        async def run() -> list[str]:
            async with connected(self.site.url, application="test") as connection:
                return await drop_read_log(connection, now, days)

        return [int(name[-2:]) for name in asyncio.run(run()) if name.startswith("log_20311230")]

    def positions(self) -> set[tuple[str, uuid.UUID]]:
        return {(row[0], row[1]) for row in self.site.rows("SELECT reader, satellite_id FROM reader_position")}


@pytest.fixture
def log(site: Site) -> LogOfHours:
    made = LogOfHours(site)
    asyncio.run(made.fill())
    return made


def test_the_log_stays_until_compactor_and_facts_have_passed_every_satellite(log: LogOfHours) -> None:
    assert log.drop() == []  # nobody has read anything
    for satellite in (log.one, log.two):
        log.read("facts", satellite, 4)
    log.read("compactor", log.one, 4)
    assert log.drop() == []  # the compactor has not been at the other satellite
    log.read("compactor", log.two, 2)
    assert log.drop() == [10, 11]
    assert [row[0] for row in log.site.rows("SELECT DISTINCT ordinal FROM log ORDER BY 1")] == [3, 4]
    log.read("compactor", log.two, 4)
    log.read("facts", log.one, 2)
    assert log.drop() == []
    log.read("facts", log.one, 4)
    assert log.drop(START + timedelta(hours=4, minutes=19)) == [12]  # 13 ended less than 20 minutes ago
    assert log.drop(START + timedelta(hours=4, minutes=20)) == [13]


def test_another_reader_holds_the_log_for_a_week_and_is_then_forgotten(log: LogOfHours) -> None:
    for satellite in (log.one, log.two):
        for reader in ("facts", "compactor", "live@here"):
            log.read(reader, satellite, 4)
        log.read("live@gone", satellite, 4)
    log.read("live@gone", log.one, 1)
    assert log.drop() == [10]
    assert log.drop(LATER + timedelta(days=6)) == []
    assert ("live@gone", log.one) in log.positions()
    assert log.drop(LATER + timedelta(days=7)) == [11, 12, 13]
    assert ("live@gone", log.one) not in log.positions()
    assert {("live@gone", log.two), ("live@here", log.one), ("facts", log.one)} <= log.positions()


def test_a_log_that_is_too_old_goes_unread_as_a_gap_and_its_readers_go_on_behind_it(log: LogOfHours) -> None:
    log.read("facts", log.two, 4)
    log.read("compactor", log.two, 2)
    log.site.rows(f"INSERT INTO compaction VALUES ({log.site.site_id}, '{log.two}', 0, 2)")
    tomorrow = START + timedelta(days=1, hours=1)
    assert log.drop(tomorrow, days=2) == []
    assert log.drop(tomorrow, days=1) == [10]
    assert log.site.rows("SELECT satellite_id, reader, ordinal FROM reader_position ORDER BY reader, ordinal") == [
        (log.one, "compactor", 1),
        (log.two, "compactor", 2),
        (log.one, "facts", 1),
        (log.two, "facts", 4),
    ]
    # What the compactor had not taken is a gap, of the one satellite only.
    gap = "SELECT satellite_id, from_ms, to_ms, reason FROM gap"
    assert log.site.rows(gap) == [(log.one, 1, 2, "dropped")]
    assert log.drop(tomorrow + timedelta(hours=3), days=1) == [11, 12, 13]
    assert log.site.rows("SELECT seen FROM compaction") == [(4,)]
    assert {row[0] for row in log.site.rows("SELECT ordinal FROM reader_position")} == {4}


DAY = int(START.timestamp()) // 86_400
NOTHING = ", ".join(["'{}'"] * 15)


class PartsOfADay:
    """A piece with a part of each of two sites, and one of the day after without."""

    def __init__(self, site: Site) -> None:
        self.site = site
        with connect(site.url) as connection:
            self.sites = [site.site_id, ensure_site(connection, "other")]
        asyncio.run(self._make())
        for site_id in self.sites:
            self.write(site_id)

    async def _make(self) -> None:
        async with connected(self.site.url, application="test") as connection:
            await ensure_day_partitions(connection, [DAY, DAY + 1])

    def write(self, site_id: int) -> None:
        self.site.rows(f"INSERT INTO part_day VALUES ({site_id}, {DAY}, '{START}')")
        self.site.rows(f"INSERT INTO part VALUES ({site_id}, 1, {DAY * 24}, 0, 10000, {NOTHING}, NULL, '')")
        self.site.rows(f"INSERT INTO part_grid VALUES ({site_id}, {DAY * 24}, 1, '')")

    def begin(self, site_id: int) -> None:
        self.site.rows(f"UPDATE part_day SET waits = false, round = merging + 1 WHERE site_id = {site_id}")

    def finish(self, site_id: int, at: datetime) -> None:
        self.site.rows(f"UPDATE part_day SET merging = round, changed_at = '{at}' WHERE site_id = {site_id}")

    def drop(self, now: datetime) -> list[str]:
        async def run() -> list[str]:
            async with connected(self.site.url, application="test") as connection:
                return await drop_merged_parts(connection, now)

        return [name for name in asyncio.run(run()) if "_2031" in name]


@pytest.fixture
def parts(site: Site, monkeypatch: pytest.MonkeyPatch) -> PartsOfADay:
    monkeypatch.setattr(partitions, "PAUSE_SECONDS", 0.05)
    return PartsOfADay(site)


def test_parts_go_when_their_day_is_over_and_merged_at_every_site(parts: PartsOfADay) -> None:
    over = datetime.fromtimestamp((DAY + 1) * 86_400, UTC)
    long_after = over + timedelta(hours=20)
    assert parts.drop(long_after) == []  # both wait
    for site_id in parts.sites:
        parts.begin(site_id)
    assert parts.drop(long_after) == []
    merged = over + timedelta(hours=1)
    parts.finish(parts.sites[0], merged)
    assert parts.drop(long_after) == []  # the other one's merge is under way
    parts.finish(parts.sites[1], merged + timedelta(hours=1))
    assert parts.drop(merged + timedelta(hours=1, minutes=9)) == []  # somebody may still be about to read them
    assert parts.site.rows("SELECT count(*) FROM part") == [(2,)]
    assert parts.drop(merged + timedelta(hours=1, minutes=10)) == ["part_20311230", "part_grid_20311230"]
    assert parts.site.rows("SELECT count(*) FROM part_day") == [(0,)]
    # Nothing ever came on the day after.
    assert parts.drop(over + timedelta(days=1)) == []
    assert parts.drop(over + timedelta(days=1, minutes=10)) == ["part_20311231", "part_grid_20311231"]


def test_parts_of_the_running_day_stay_even_when_they_are_merged(parts: PartsOfADay) -> None:
    for site_id in parts.sites:
        parts.begin(site_id)
        parts.finish(site_id, START)
    assert parts.drop(START + timedelta(hours=10)) == []


@pytest.mark.parametrize("known", [True, False], ids=["a day that is merged", "a day without parts"])
def test_parts_stay_while_somebody_is_about_to_write_some(parts: PartsOfADay, known: bool) -> None:
    for site_id in parts.sites:
        parts.begin(site_id)
        parts.finish(site_id, START)
    if not known:
        parts.site.rows("DELETE FROM part_day")
    now = START + timedelta(days=2)

    async def touch(connection: AsyncConnection) -> None:
        assert await compaction.touch_days(connection, parts.sites[0], [DAY]) == {DAY: int(known)}

    async def scenario(*, commits: bool) -> list[str]:
        async with connected(parts.site.url, application="test") as connection:
            await touch(connection)
            dropped = await asyncio.to_thread(parts.drop, now)
            await (connection.commit() if commits else connection.rollback())
            return dropped

    assert asyncio.run(scenario(commits=False)) == []
    assert asyncio.run(scenario(commits=True)) == []
    assert parts.drop(now) == ["part_20311231", "part_grid_20311231"]  # of the other day
    assert parts.site.rows("SELECT waits, round, merging FROM part_day ORDER BY waits DESC LIMIT 1") == [
        (True, int(known), int(known))
    ]
