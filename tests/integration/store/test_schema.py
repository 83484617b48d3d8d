"""Migrations on a real PostgreSQL."""

from dataclasses import replace

import psycopg
import pytest

from metaconsole.store.database import connect
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
