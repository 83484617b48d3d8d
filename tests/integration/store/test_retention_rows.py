"""Retention by partition, by row and of the dictionary, on a real PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from fixtures.log import Site
from fixtures.web import World

from metaconsole.readers.retention import look
from metaconsole.store.audit import verify
from metaconsole.store.database import AsyncConnection, connect, connected
from metaconsole.store.partitions import ensure_day_partitions
from metaconsole.store.retention import drop_expired, load_rules, take_turn
from metaconsole.store.retention_rows import delete_facts, delete_samples
from metaconsole.store.retention_series import forget_series
from metaconsole.store.retention_settings import RetentionError, change, settings

NOW = datetime(2031, 12, 30, 10, 0, tzinfo=UTC)
TODAY = int(NOW.timestamp()) // 86_400
GAUGE, COUNTER = "system.cpu.utilization", "system.network.io"


def run(url: str, work: Callable[[AsyncConnection], Awaitable[object]]) -> None:
    async def scenario() -> None:
        async with connected(url, application="test") as connection:
            await work(connection)

    asyncio.run(scenario())


class History:
    """Two sites with a gauge and a counter, whose chunks and rollups are on days that a test names."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sites = [world.site("one"), world.site("two")]
        for site in self.sites:
            world.resource(site, "guest")
            for metric in (GAUGE, COUNTER):
                world.series(site, "guest", metric)

    def days(self, *ages: int) -> None:
        """Give every series a chunk and a rollup on the days so many days ago."""
        run(self.world.url, lambda connection: ensure_day_partitions(connection, [TODAY - age for age in ages]))
        for site in self.sites:
            for series in site.series.values():
                for age in ages:
                    row = (site.site_id, series, TODAY - age)
                    self.world.connection.execute(
                        "INSERT INTO chunk (site_id, series_id, day, interval_ms, samples, grid, content) "
                        "VALUES (%s, %s, %s, 10000, 1, 0, 'x')",
                        row,
                    )
                    self.world.connection.execute(
                        "INSERT INTO rollup (site_id, series_id, day, samples, first_at, last_at, first, last) "
                        "VALUES (%s, %s, %s, '{}', '{}', '{}', '{}', '{}')",
                        row,
                    )

    def ages(self, table: str, site: int, metric: str) -> list[int]:
        """Return how many days ago the rows of a series are."""
        found = self.world.connection.execute(
            f"SELECT %s - day FROM {table} WHERE site_id = %s AND series_id = %s ORDER BY 1".encode(),
            (TODAY, self.sites[site].site_id, self.sites[site].series["guest", metric]),
        )
        return [row[0] for row in found.fetchall()]

    def set(self, tier: str, days: int | None, site: str | None = None, metrics: str | None = None) -> None:
        with connect(self.world.url) as connection:
            change(connection, "somebody", tier, site, metrics, days)

    def keep(self) -> None:
        async def work(connection: AsyncConnection) -> None:
            rules = await load_rules(connection)
            await drop_expired(connection, NOW, rules)
            await delete_samples(connection, NOW, rules)
            await delete_facts(connection, NOW, rules)

        run(self.world.url, work)


@pytest.fixture
def history(world: World) -> History:
    return History(world)


def pieces(world: World, table: str) -> int:
    """Return how many pieces of 2030 and later there are: those of the template are of today."""
    return int(
        world.one(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = %s::regclass AND inhrelid::regclass::text > %s",
            table, f"{table}_2030",
        )
    )  # fmt: skip


def test_whole_pieces_go_when_no_rule_wants_them(history: History) -> None:
    history.days(1, 395, 420)
    before = pieces(history.world, "chunk"), pieces(history.world, "rollup")
    history.set("raw", 410, site="two")
    history.keep()
    assert pieces(history.world, "chunk") == before[0] - 1
    assert history.ages("chunk", 0, GAUGE) == [1, 395]
    assert pieces(history.world, "rollup") == before[1]
    assert history.ages("rollup", 0, GAUGE) == [1, 395, 420]
    history.set("rollup", 300)
    history.keep()
    assert history.ages("rollup", 0, GAUGE) == [1]
    assert history.ages("chunk", 1, COUNTER) == [1, 395]


def test_a_site_and_a_class_may_keep_less_than_the_others(history: History) -> None:
    history.days(1, 40, 90)
    history.set("raw", 60, site="two")
    history.set("raw", 30, metrics="counter")
    history.set("rollup", 80, site="one", metrics=GAUGE)
    history.keep()
    assert history.ages("chunk", 0, GAUGE) == [1, 40, 90]
    assert history.ages("chunk", 0, COUNTER) == [1]
    assert history.ages("chunk", 1, GAUGE) == [1, 40]
    assert history.ages("chunk", 1, COUNTER) == [1, 40]
    assert history.ages("rollup", 0, GAUGE) == [1, 40]
    assert history.ages("rollup", 1, GAUGE) == [1, 40, 90]


def test_old_facts_go_in_batches(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaconsole.store.retention_rows.ROWS", 2)
    one, two = history.sites
    now_ms = int(NOW.timestamp() * 1000)
    for site in (one, two):
        for age in (1, 40, 41, 42, 43, 44):
            history.world.event(site, "guest", now_ms - age * 86_400_000, "Something happened.")
            history.world.gap(site, now_ms - (age + 1) * 86_400_000, now_ms - age * 86_400_000)
            history.world.connection.execute(
                "INSERT INTO quarantine (site_id, satellite_id, epoch, sequence, refused_at, reason, detail, content) "
                "VALUES (%s, %s, %s, %s, %s, '', '', '')",
                (site.site_id, site.satellite, UUID(int=1), age, NOW - timedelta(days=age)),
            )
    for tier in ("event", "gap", "quarantine"):
        history.set(tier, 42, site="two")
        history.set(tier, 100)
    history.keep()
    for table in ("event", "gap", "quarantine"):
        found = history.world.connection.execute(
            f"SELECT site_id, count(*) FROM {table} GROUP BY 1 ORDER BY 1".encode()
        ).fetchall()
        assert found == [(one.site_id, 6), (two.site_id, 4)], table


def test_a_series_leaves_with_its_last_row_unless_a_map_or_the_log_may_know_it(history: History) -> None:
    world = history.world
    [one, two] = history.sites
    history.days(1)
    for name in ("mapped", "parted", "young", "logged"):
        world.resource(one, name)
        world.series(one, name, GAUGE)
    world.connection.execute("UPDATE series SET first_seen = %s", (NOW - timedelta(days=500),))
    young = one.series["young", GAUGE]
    world.connection.execute("UPDATE series SET first_seen = %s WHERE series_id = %s", (NOW, young))
    world.connection.execute(
        "INSERT INTO epoch_series VALUES (%s, %s, %s, 1, %s, '{1}', '{1}')",
        (one.site_id, one.satellite, UUID(int=1), [one.series["mapped", GAUGE]]),
    )
    parted = one.series["parted", GAUGE]
    world.connection.execute(
        "INSERT INTO part VALUES (%s, %s, %s, 0, 10000, %s, " + ", ".join(["'{}'"] * 15) + ", '')",
        (one.site_id, parted // 16, (TODAY - 1) * 24, [parted]),
    )
    world.connection.execute("INSERT INTO part_day VALUES (%s, %s)", (one.site_id, TODAY - 1))
    for site in (one, two):
        world.connection.execute(
            "DELETE FROM chunk WHERE site_id = %s AND series_id = %s", (site.site_id, site.series["guest", GAUGE])
        )

    def known() -> set[str]:
        rows = world.connection.execute("SELECT series_id FROM series WHERE site_id = %s", (one.site_id,)).fetchall()
        names = {series: f"{name} {metric}" for (name, metric), series in one.series.items()}
        return {names[series] for (series,) in rows}

    def forget() -> None:
        run(world.url, lambda connection: forget_series(connection, one.site_id, NOW - timedelta(days=400)))

    # A row that the compactor has not taken, of an epoch whose map is gone, may hold any of them.
    world.batch(one, [1_000], {GAUGE: {one.series["logged", GAUGE]: [1.0]}})
    world.connection.execute("UPDATE log SET epoch = %s", (UUID(int=2),))
    everything = known()
    forget()
    assert known() == everything
    world.connection.execute(
        "INSERT INTO reader_position VALUES (%s, 'compactor', %s, 1, now())", (one.site_id, one.satellite)
    )
    forget()
    assert known() == everything - {f"logged {GAUGE}"}  # the guest's gauge still has its rollup
    world.connection.execute("DELETE FROM rollup WHERE series_id = %s", (one.series["guest", GAUGE],))
    forget()
    assert everything - known() == {f"logged {GAUGE}", f"guest {GAUGE}"}
    counted = world.one("SELECT series FROM dictionary WHERE site_id = %s", one.site_id)
    assert counted == len(known()), "what leaves makes room"
    world.connection.execute("UPDATE part_day SET waits = false, round = 1, merging = 1")  # and chunks expired since
    forget()
    assert everything - known() == {f"logged {GAUGE}", f"guest {GAUGE}", f"parted {GAUGE}"}
    assert world.one("SELECT count(*) FROM series WHERE site_id = %s", two.site_id) == 2


def test_rules_are_checked_audited_and_never_missing(history: History) -> None:
    history.set("raw", 30, site="two", metrics=COUNTER)
    history.set("raw", 31, site="two", metrics=COUNTER)
    with connect(history.world.url) as connection:
        found = {(rule.tier, rule.site, rule.metrics): rule.days for rule in settings(connection)}
        assert verify(connection)[0] == 2
    assert found["raw", "two", COUNTER] == 31
    assert found["raw", None, None] == 400
    history.set("raw", None, site="two", metrics=COUNTER)
    with connect(history.world.url) as connection:
        assert ("raw", "two", COUNTER) not in {(rule.tier, rule.site, rule.metrics) for rule in settings(connection)}
    for wrong, sentence in (
        (("raw", None, None, None), "needs a rule for everything"),
        (("raw", "nowhere", None, 3), "there is no site"),
        (("raw", None, "no.metric", 3), "is no metric of the catalogue"),
        (("event", None, "gauge", 3), "for raw or rollup"),
        (("log", "two", None, 3), "one rule for all sites"),
        (("chunks", None, None, 3), "there is no tier"),
        (("raw", None, None, 0), "days are 1 to"),
        (("raw", "two", None, None), "there is no such rule"),
    ):
        with connect(history.world.url) as connection, pytest.raises(RetentionError, match=sentence):
            change(connection, "somebody", *wrong)


def test_one_look_does_all_of_it_and_one_process_has_the_turn(site: Site) -> None:
    async def scenario() -> list[bool]:
        async with connected(site.url, application="one") as one, connected(site.url, application="two") as two:
            turns = [await take_turn(one), await take_turn(two)]
            await look(one, datetime.now(UTC), sweep=True)
            await one.close()
            for _ in range(1_000):  # the server ends the session a moment after the client
                if await take_turn(two):
                    return turns
                await asyncio.sleep(0.01)
            raise AssertionError("the turn was not passed on")

    assert asyncio.run(scenario()) == [True, False]
    with psycopg.connect(site.url) as connection:
        pieces_of_the_log = connection.execute(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'log'::regclass"
        ).fetchone()
        tiers = connection.execute("SELECT count(*) FROM storage_day WHERE bytes > 0").fetchone()
    assert pieces_of_the_log is not None
    assert pieces_of_the_log[0] >= 49
    assert tiers == (8,)
