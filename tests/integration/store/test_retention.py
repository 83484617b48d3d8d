"""What leaves the log and the parts, and what holds them, on a real PostgreSQL."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from fixtures.log import Site

from metaconsole.store.database import connected
from metaconsole.store.partitions import ensure_day_partitions, ensure_log_partitions
from metaconsole.store.retention import drop_merged_parts, drop_read_log

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
    assert log.drop(START + timedelta(hours=5, minutes=30)) == [12]  # 13 ended less than 2 hours ago
    assert log.drop(START + timedelta(hours=6)) == [13]


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


def test_parts_go_when_they_are_merged_and_their_day_is_over(site: Site) -> None:
    day = int(START.timestamp()) // 86_400

    def drop(days: int) -> list[str]:
        async def run() -> list[str]:
            async with connected(site.url, application="test") as connection:
                return await drop_merged_parts(connection, datetime.fromtimestamp((day + days) * 86_400, UTC))

        return [name for name in asyncio.run(run()) if "_2031" in name]

    async def prepare() -> None:
        async with connected(site.url, application="test") as connection:
            await ensure_day_partitions(connection, [day, day + 1])

    asyncio.run(prepare())
    nothing = ", ".join(["'{}'"] * 15)
    site.rows(f"INSERT INTO part VALUES ({site.site_id}, 1, {day * 24}, 10000, {nothing}, NULL, '')")
    site.rows(f"INSERT INTO part_grid VALUES ({site.site_id}, {day * 24}, 1, '')")
    assert drop(2) == []
    assert drop(3) == []  # not merged yet
    site.rows("DELETE FROM part")
    assert drop(2) == []
    assert drop(3) == ["part_20311230", "part_grid_20311230"]
    assert drop(4) == ["part_20311231", "part_grid_20311231"]
