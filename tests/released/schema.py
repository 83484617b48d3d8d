"""Schema and data of a database as text that two runs agree on."""

import re
from typing import Final

from fixtures.stack import Database

_NOISE: Final = re.compile(r"^(--.*|\\(un)?restrict .*|)\n", re.MULTILINE)
# Partitions are named after the time they are for, so they belong to the data.
_DUMP: Final = ("--no-owner", "--no-privileges")
_PIECES: Final = ("log", "part", "part_grid", "chunk", "chunk_grid", "rollup")
_SCHEMA: Final = (
    *_DUMP,
    "--schema-only",
    *(f"--exclude-table={table}_[0-9]*" for table in _PIECES),
    "--exclude-schema=pg_*",
)


def schema(database: Database) -> str:
    """Return the schema without comments, without partitions, in pg_dump's own order."""
    return _NOISE.sub("", database.client("pg_dump", *_SCHEMA))


def data(database: Database) -> str:
    """Return the whole database, schema and partitions included, as psql restores it."""
    return database.client("pg_dump", *_DUMP)
