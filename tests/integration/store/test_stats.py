"""The account of the bytes on a real PostgreSQL: nothing is missing, nothing is counted twice."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from fixtures.web import World

from metaconsole import storage_report
from metaconsole.store.database import connect
from metaconsole.store.stats import Account, account
from metaconsole.store.stats_forecast import forecast
from metaconsole.store.stats_tiers import TIERS

GAUGE = "system.cpu.utilization"
DAY_MS = 86_400_000


def counted(url: str) -> Account:
    with connect(url) as connection:
        connection.autocommit = True
        return account(connection)


@pytest.fixture
def filled(world: World) -> World:
    """Return two sites: one with 300 rows in the log and 40 chunks, the other with a third of that."""
    today = int(datetime.now(UTC).timestamp()) // 86_400
    for name, rows in (("large", 30), ("small", 10)):
        site = world.site(name)
        world.resource(site, "guest")
        series = world.series(site, "guest", GAUGE)
        for n in range(rows * 10):
            world.batch(site, [today * DAY_MS + n], {GAUGE: {series: [float(n)]}})
        world.connection.execute(
            "INSERT INTO chunk (site_id, series_id, day, interval_ms, samples, grid, content) "
            "SELECT %s, n, %s, 10000, 8640, 1, decode(repeat(md5(n::text), 300), 'hex') "
            "FROM generate_series(1, %s) AS n",
            (site.site_id, today - 1, rows),
        )
    world.connection.execute("VACUUM ANALYZE")
    world.connection.execute("CHECKPOINT")
    return world


def test_every_byte_is_in_one_line(filled: World) -> None:
    found = counted(filled.url)
    with psycopg.connect(filled.url) as connection:
        total = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert total == (found.sizes.total,)
    assert 0 <= found.sizes.files < 1024 * 1024  # PG_VERSION, the map of file names, the relation cache
    assert sum(held.bytes for held in found.sites.values()) == sum(table.bytes for table in found.sizes.tables)
    for tier, taken in found.sizes.tiers().items():
        assert found.tiers[tier].bytes == taken
        assert sum(held.bytes for (of, _), held in found.sites.items() if of == tier) == taken
    log = next(table for table in found.sizes.tables if table.name == "log")
    with psycopg.connect(filled.url) as connection:
        pieces = connection.execute(
            "SELECT count(*), sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'log'::regclass"
        ).fetchone()
    assert pieces == (log.partitions, log.bytes)


def test_sites_share_a_tier_by_what_their_rows_take(filled: World) -> None:
    found = counted(filled.url)
    chunks = {site: held for (tier, site), held in found.sites.items() if tier == "chunks" and site}
    assert (chunks["large"].rows, chunks["large"].samples) == (30, 30 * 8640)
    assert chunks["large"].bytes == pytest.approx(3 * chunks["small"].bytes, rel=0.01)
    log = {site: held for (tier, site), held in found.sites.items() if tier == "log" and site}
    assert (log["large"].rows, log["small"].rows) == (300, 100)
    assert found.tiers["log"].bytes_per_sample == found.tiers["log"].bytes / found.tiers["log"].samples
    chunk = found.tiers["chunks"]
    assert chunk.oldest_ms is not None
    assert chunk.newest_ms is not None
    assert chunk.oldest_ms % DAY_MS == 0
    assert chunk.newest_ms == chunk.oldest_ms + DAY_MS - 1


def test_every_table_has_a_tier(world: World) -> None:
    tables = world.connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
        "AND NOT relispartition"
    ).fetchall()
    named = [table for tables in TIERS.values() for table in tables]
    assert sorted(named) == sorted(table for (table,) in tables)


def test_growth_is_that_of_the_noted_days_and_the_disk_that_of_the_data(world: World) -> None:
    with connect(world.url) as connection:
        fresh = forecast(connection)
        row = connection.execute("SHOW data_directory").fetchone()
    assert fresh.growth == {}
    assert fresh.full_days is None
    assert fresh.unknown == "Growth is known once sizes were noted on two days."
    assert row is not None
    disk = os.statvfs(Path(row[0]))
    assert fresh.free_bytes is not None
    assert 0 < fresh.free_bytes <= disk.f_blocks * disk.f_frsize
    now = datetime.now(UTC)
    today = int(now.timestamp()) // 86_400
    gib = 1024**3
    for tier, sizes in (("chunks", (99, 1, 2, 5)), ("log", (9, 4, 4, 3)), ("rollups", (None, None, None, 1))):
        for age, size in zip((20, 4, 2, 0), sizes, strict=True):  # the first lies before the window
            if size is not None:
                world.connection.execute(
                    "INSERT INTO storage_day VALUES (%s, %s, %s, %s)",
                    (today - age, tier, size * gib, now - timedelta(days=age)),
                )
    with connect(world.url) as connection:
        known = forecast(connection)
    assert known.growth == pytest.approx({"chunks": gib, "log": -gib / 4})
    assert known.free_bytes is not None
    assert known.full_days == pytest.approx(known.free_bytes / (0.75 * gib))
    assert known.unknown == ""


def test_the_report_names_sites_tables_and_the_whole(filled: World) -> None:
    found = counted(filled.url)
    with connect(filled.url) as connection:
        told = storage_report.account(found, forecast(connection))
    text = "\n".join(storage_report.lines(told))
    [chunks] = [tier for tier in told["tiers"] if tier["tier"] == "chunks"]
    assert [share["site"] for share in chunks["sites"]][:2] == ["large", "small"]
    assert f"({told['total_bytes']} bytes)" in text
    assert (
        sum(table["bytes"] for table in told["tables"]) + told["catalogue_bytes"] + told["file_bytes"]
        == (told["total_bytes"])
    )
    assert {"large", "small", "chunk_grid"} <= set(text.split())
