"""Migrations on a real PostgreSQL."""

from dataclasses import replace

import psycopg
import pytest

from metaconsole.store.database import connect
from metaconsole.store.distribute import DISTRIBUTED, LOCAL, REFERENCE
from metaconsole.store.migrate import Migration, MigrationError, migrate, migrations


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


def test_every_table_below_a_site_can_be_distributed_by_it(database_url: str) -> None:
    with connect(database_url) as connection:
        tables = connection.execute(
            "SELECT c.oid::regclass::text, bool_or(a.attname = 'site_id' AND a.attnotnull) FROM pg_class c "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
            "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
            "GROUP BY c.oid"
        ).fetchall()
        keys = connection.execute(
            "SELECT indrelid::regclass::text, array_agg(attname ORDER BY place)::text[] FROM pg_index "
            "CROSS JOIN unnest(indkey) WITH ORDINALITY AS key (number, place) "
            "JOIN pg_attribute ON attrelid = indrelid AND attnum = number "
            "WHERE indisunique AND indrelid::regclass::text = ANY(%s) GROUP BY indexrelid, indrelid",
            (list(DISTRIBUTED),),
        ).fetchall()
        references = connection.execute(
            "SELECT conrelid::regclass::text, confrelid::regclass::text, "
            "(SELECT array_agg(attname)::text[] FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey)) "
            "FROM pg_constraint WHERE contype = 'f' AND conparentid = 0"
        ).fetchall()
    below = {table for table, has_site in tables if has_site} - {"site"}
    assert set(DISTRIBUTED) == below
    assert sorted([*DISTRIBUTED, *REFERENCE, *LOCAL]) == sorted(table for table, _ in tables)
    assert {table for table, _ in keys} == below - {"part"}  # which has no unique key
    assert [table for table, columns in keys if columns[0] != "site_id"] == []
    for table, to, columns in references:
        if table in DISTRIBUTED:
            assert to in REFERENCE or (to in DISTRIBUTED and "site_id" in columns), (table, to)
        if table in REFERENCE:
            assert REFERENCE.index(to) < REFERENCE.index(table), (table, to)
        assert table not in LOCAL
