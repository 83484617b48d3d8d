"""Bring a database's schema up to this program's: numbered SQL files, forward only, one transaction each.

The one promise: a database is never left between two versions, and one that this program does not know is not touched.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from metaconsole.store.database import Connection
from metaconsole.store.sql import statements

_FILE: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_SQL: Final = statements("migrate")


class MigrationError(Exception):
    """The database's schema is not one that this program can bring up to date."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, so that a file that changed after its release is noticed."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return the program's migrations in order; raises MigrationError where a number is missing or doubled."""
    found = [
        Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8"))
        for entry in (files("metaconsole.store") / "migrations").iterdir()
        if (match := _FILE.fullmatch(entry.name))
    ]
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError("the numbers of metaconsole/store/migrations are not 1, 2, 3 ... without holes")
    return found


def migrate(connection: Connection, wanted: list[Migration] | None = None) -> list[int]:
    """Apply what is missing and return the versions applied; raises MigrationError, then nothing was changed.

    Two processes may do this at once: one waits for the other. Wants a connection outside any transaction.
    """
    wanted = migrations() if wanted is None else wanted
    connection.autocommit = True
    connection.execute(_SQL["lock"])
    try:
        connection.execute(_SQL["create_table"])
        missing = _missing(connection, wanted)
        for migration in missing:
            with connection.transaction():
                connection.execute(migration.text.encode())
                connection.execute(
                    _SQL["record"],
                    {"version": migration.version, "name": migration.name, "checksum": migration.checksum},
                )
        return [migration.version for migration in missing]
    finally:
        if not connection.closed:
            connection.execute(_SQL["unlock"])


def _missing(connection: Connection, wanted: list[Migration]) -> list[Migration]:
    applied: dict[int, tuple[str, str]] = {
        version: (name, checksum) for version, name, checksum in connection.execute(_SQL["applied"]).fetchall()
    }
    newest = wanted[-1].version if wanted else 0
    if newer := [version for version in applied if version > newest]:
        raise MigrationError(
            f"the database has schema version {max(newer)}, this program knows versions up to {newest}: "
            "install a newer nephoscope, or restore the backup from before the upgrade"
        )
    for migration in wanted:
        if migration.version in applied and applied[migration.version][1] != migration.checksum:
            raise MigrationError(
                f"migration {migration.version:04} ({migration.name}) was applied with other content than this "
                "program has: install the release that wrote this database"
            )
    return [migration for migration in wanted if migration.version not in applied]
