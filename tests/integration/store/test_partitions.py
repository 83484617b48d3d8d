"""Partitions on a real PostgreSQL: made ahead and on demand, made once, and never in a writer's way."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import psycopg
import pytest

from metaconsole.store import partitions
from metaconsole.store.database import connected
from metaconsole.store.partitions import (
    LOG,
    PART,
    PART_GRID,
    Partition,
    drop,
    ensure_day_partitions,
    ensure_log_partitions,
    list_partitions,
    log_partitions,
)

# Years ahead of the template's, and ten minutes before midnight UTC.
EVE = datetime(2031, 12, 30, 23, 50, tzinfo=UTC)
LOG_ROW = """INSERT INTO log (site_id, satellite_id, ordinal, received_at, epoch, sequence, lane, kind, first_ms,
    last_ms, payload) VALUES (1, gen_random_uuid(), 1, %s::timestamptz, gen_random_uuid(), 1, 1, 1, 1, 1, '')"""
PART_ROW = "INSERT INTO part VALUES (1, 1, %s, 0, 10000, " + "'{}', " * 15 + "NULL, '')"


def ensure_log(url: str, now: datetime) -> list[str]:
    async def run() -> list[str]:
        async with connected(url, application="test") as connection:
            return await ensure_log_partitions(connection, now)

    return asyncio.run(run())


def ensure_days(url: str, *days: int) -> list[str]:
    async def run() -> list[str]:
        async with connected(url, application="test") as connection:
            return await ensure_day_partitions(connection, days)

    return asyncio.run(run())


def pieces(url: str, name: str) -> list[Partition]:
    async def run() -> list[Partition]:
        async with connected(url, application="test") as connection:
            return [piece for piece in await list_partitions(connection, LOG, PART, PART_GRID) if piece.name == name]

    return asyncio.run(run())


def test_the_log_has_a_piece_an_hour_past_midnight_and_each_is_made_once(database_url: str) -> None:
    async def scenario() -> list[list[str]]:
        async with (
            connected(database_url, application="test") as one,
            connected(database_url, application="test") as two,
        ):
            return list(await asyncio.gather(ensure_log_partitions(one, EVE), ensure_log_partitions(two, EVE)))

    first, second = asyncio.run(scenario())
    assert sorted([*first, *second])[:2] == ["log_2031123023", "log_2031123100"]
    assert len(first) + len(second) == 49
    assert ensure_log(database_url, EVE + timedelta(minutes=20)) == ["log_2032010200"]
    with psycopg.connect(database_url) as connection:
        for minute in ("2031-12-30 23:59:59.999999", "2031-12-31 00:00:00", "2032-01-01 23:50:00"):
            connection.execute(LOG_ROW, (f"{minute}+00",))
        for piece in ("log_2031123023", "log_2031123100", "log_2032010123"):
            assert connection.execute(f"SELECT count(*) FROM {piece}".encode()).fetchone() == (1,)


def test_pieces_of_six_hours_stay_and_new_ones_begin_where_they_end(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        for begin, end in (("30 18:00", "31 00:00"), ("31 00:00", "31 06:00")):
            connection.execute(
                f"CREATE TABLE log_203112{begin[:2]}{begin[3:5]} PARTITION OF log "
                f"FOR VALUES FROM ('2031-12-{begin}+00') TO ('2031-12-{end}+00')".encode()
            )
    made = ensure_log(database_url, EVE)
    assert made[0] == "log_2031123106"
    assert made[-1] == "log_2032010123"
    assert len(made) == 42


def test_the_pieces_of_the_log_touch_and_cover_48_hours() -> None:
    now = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    hour = int(now.timestamp()) // 3600
    wanted = log_partitions(now)
    assert wanted[0].begin == hour
    assert wanted[-1].begin == hour + 48
    assert all(one.end == two.begin for one, two in pairwise(wanted))


def test_days_get_pieces_of_a_day_a_week_and_four_weeks_with_indexes_and_storage(database_url: str) -> None:
    day = 22_645  # 2032-01-01, a Thursday like the first day of the epoch
    assert ensure_days(database_url, day + 1, day) == [
        "part_20320101", "part_20320102", "part_grid_20320101", "part_grid_20320102",
        "chunk_20320101", "chunk_grid_20320101", "rollup_20311211",
    ]  # fmt: skip
    assert ensure_days(database_url, day, day + 6)[:2] == ["part_20320107", "part_grid_20320107"]
    assert ensure_days(database_url, day, day + 6) == []
    ensure_log(database_url, datetime(2032, 1, 1, tzinfo=UTC))
    with psycopg.connect(database_url) as connection:
        connection.execute(PART_ROW, (day * 24,))
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(PART_ROW, ((day + 2) * 24,))
        connection.rollback()
        storage = connection.execute(
            "SELECT attstorage FROM pg_attribute WHERE attrelid = 'part_20320101'::regclass AND attname = 'content'"
        ).fetchone()
        indexes = connection.execute(
            "SELECT count(*) FROM pg_index JOIN pg_inherits ON inhrelid = indexrelid "
            "WHERE indrelid = ANY(ARRAY['part_20320101', 'chunk_20320101', 'log_2032010100']::regclass[])"
        ).fetchone()
    assert storage == ("e",)
    assert indexes == (3,)  # attached to those of the parents: one each


def test_making_a_piece_waits_for_no_writer_and_holds_none_up(database_url: str) -> None:
    ensure_log(database_url, EVE)
    with psycopg.connect(database_url) as writer, psycopg.connect(database_url) as reader:
        reader.execute("SELECT count(*) FROM log")
        writer.execute(LOG_ROW, (EVE,))
        assert len(ensure_log(database_url, EVE + timedelta(days=30))) == 49  # while both transactions are open
        writer.execute(LOG_ROW, (EVE + timedelta(days=30),))


def test_a_long_read_delays_only_the_drop_never_an_insert(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "PAUSE_SECONDS", 0.05)
    ensure_log(database_url, EVE)
    old, new = EVE, EVE + timedelta(hours=1)
    [piece] = pieces(database_url, "log_2031123023")

    async def scenario() -> tuple[bool, bool, int]:
        async with (
            connected(database_url, application="reader") as reader,
            connected(database_url, application="writer", autocommit=True) as writer,
            connected(database_url, application="dropper") as dropper,
        ):
            await writer.execute(LOG_ROW, (old,))
            await reader.execute("SELECT count(*) FROM log")  # its transaction stays open
            # An insert that had to wait for the reader, behind the drop, would be cut off here.
            await writer.execute("SET statement_timeout = '20s'")
            dropping = asyncio.create_task(drop(dropper, [piece]))
            written = 0
            while not dropping.done():
                await writer.execute(LOG_ROW, (new,))
                written += 1
            while_read = await dropping
            await reader.rollback()
            return while_read, await drop(dropper, [piece]), written

    while_read, afterwards, written = asyncio.run(scenario())
    assert (while_read, afterwards) == (False, True)
    assert written >= partitions.TRIES  # at least one went in between two tries
    assert pieces(database_url, "log_2031123023") == []
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM log").fetchone() == (written,)


def test_no_vacuum_comes_for_what_was_only_inserted_and_goes_soon(database_url: str) -> None:
    ensure_days(database_url, 22_645)
    ensure_log(database_url, EVE)
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            """SELECT inhparent::regclass::text, count(*) FROM pg_inherits
               JOIN pg_class piece ON piece.oid = inhrelid
               JOIN pg_class toast ON toast.oid = piece.reltoastrelid
               WHERE piece.relname > 'log_2031' AND piece.relname ~ '203[12]'
                 AND '{autovacuum_vacuum_insert_threshold=-1}' = piece.reloptions
                 AND '{autovacuum_vacuum_insert_threshold=-1}' = toast.reloptions
               GROUP BY 1 ORDER BY 1"""
        ).fetchall()
    assert found == [("log", 49), ("part", 1), ("part_grid", 1)]
