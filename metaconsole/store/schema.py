"""Whether the database has the schema that this program was made for.

The one promise: a program that finds another one says which side to bring up to date.
"""

from typing import Final

import psycopg

from metaconsole.store.database import AsyncConnection
from metaconsole.store.migrate import migrations
from metaconsole.store.sql import statements

_SQL: Final = statements("schema")


class SchemaError(Exception):
    """The schema is not this program's; the sentence says what to do."""


async def require_schema(connection: AsyncConnection) -> None:
    """Raise SchemaError unless the schema is this program's; UnavailableError where it can't be asked."""
    try:
        row = await (await connection.execute(_SQL["version"])).fetchone()
    except psycopg.errors.UndefinedTable:
        row = None  # an empty database
    found, wanted = row[0] if row else 0, migrations()[-1].version
    if found > wanted:
        raise SchemaError(
            f"the database has schema version {found}, this program knows versions up to {wanted}: "
            "another part of the metaconsole was upgraded, install the same version here"
        )
    if found < wanted:
        raise SchemaError(
            f"the database has schema version {found}, this program needs {wanted}: run nephoscope metaconsole migrate"
        )
