"""Migrations and partitions on a real PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import psycopg
import pytest

from metaconsole.store.database import connect, connected
from metaconsole.store.migrate import Migration, MigrationError, migrate, migrations
from metaconsole.store.partitions import ensure_log_partitions, partitions_wanted


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    with connect(database_url) as connection:
        assert migrate(connection) == []


def test_a_migration_that_fails_leaves_the_version_before(database_url: str) -> None:
    known = migrations()
    good = Migration(len(known) + 1, "good", "CREATE TABLE good (n int)")
    bad = Migration(len(known) + 2, "bad", "CREATE TABLE bad (n int); SELECT 1/0")
    with connect(database_url) as connection, pytest.raises(psycopg.errors.DivisionByZero):
        migrate(connection, [*known, good, bad])
    with connect(database_url) as connection:
        row = connection.execute("SELECT to_regclass('good')::text, to_regclass('bad')::text").fetchone()
        assert row == ("good", None)
    with connect(database_url) as connection:
        assert migrate(connection, [*known, good, replace(bad, text="CREATE TABLE bad (n int)")]) == [bad.version]


def test_a_newer_schema_and_a_changed_file_are_refused_with_a_sentence(database_url: str) -> None:
    known = migrations()
    with connect(database_url) as connection:
        migrate(connection, [*known, Migration(len(known) + 1, "newer", "SELECT 1")])
        with pytest.raises(MigrationError, match="install a newer nephoscope"):
            migrate(connection, known)
        changed = [replace(known[0], text=known[0].text + " "), *known[1:]]
        changed.append(Migration(len(known) + 1, "newer", "SELECT 1"))
        with pytest.raises(MigrationError, match="other content"):
            migrate(connection, changed)


def test_partitions_follow_each_other_past_midnight_and_are_made_once(database_url: str) -> None:
    # Years ahead of the template's, and ten minutes before midnight UTC.
    now = datetime(2031, 12, 30, 23, 50, tzinfo=UTC)

    async def scenario() -> tuple[list[list[str]], list[str]]:
        async with (
            connected(database_url, application="test") as one,
            connected(database_url, application="test") as two,
        ):
            both = await asyncio.gather(ensure_log_partitions(one, now), ensure_log_partitions(two, now))
            return list(both), await ensure_log_partitions(one, now.replace(day=31, hour=0, minute=10))

    (first, second), later = asyncio.run(scenario())
    assert sorted([*first, *second])[:2] == ["log_2031123018", "log_2031123100"]
    assert len(first) + len(second) == 9
    assert later == ["log_2032010200"]
    with psycopg.connect(database_url) as connection:
        for minute in ("2031-12-30 23:59:59.999999", "2031-12-31 00:00:00", "2032-01-01 23:50:00"):
            connection.execute(
                "INSERT INTO log (site_id, satellite_id, ordinal, received_at, epoch, sequence, lane, kind, first_ms, "
                "last_ms, payload) VALUES (1, gen_random_uuid(), 1, %s::timestamptz, gen_random_uuid(), 1, 1, 1, 1, 1, "
                "'')",
                (f"{minute}+00",),
            )
        rows = connection.execute("SELECT tableoid::regclass::text FROM log ORDER BY received_at").fetchall()
    assert rows == [("log_2031123018",), ("log_2031123100",), ("log_2032010118",)]


def test_wanted_partitions_touch_and_cover_48_hours() -> None:
    now = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    wanted = partitions_wanted(now)
    assert wanted[0][1] <= now
    assert (wanted[-1][2] - now).total_seconds() > 48 * 3600
    assert all(one[2] == two[1] for one, two in pairwise(wanted))
