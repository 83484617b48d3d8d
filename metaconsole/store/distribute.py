"""Spread the database over several servers with Citus: by site what is below a site, everywhere what all need.

The one promise: all rows of a site are on one server, so a statement about one site runs there alone; a table that is
spread already is left as it is, so that this can be repeated after a migration.
"""

from typing import Final, LiteralString

from psycopg import sql

from metaconsole.store.database import Connection
from metaconsole.store.sql import statements

# Below a site: each has site_id NOT NULL, first in each unique key. All lie beside the first one.
DISTRIBUTED: Final = (
    "satellite", "satellite_liveness", "epoch", "epoch_series", "source", "log", "quarantine", "reader_position",
    "resource", "resource_key", "identity_claim", "resource_version", "relation", "series", "event", "gap",
    "compaction", "part", "part_grid", "part_day", "chunk", "chunk_grid", "rollup",
    "join_token", "clock_event", "tally", "produced", "difference", "dictionary", "refused_series",
    "left_out",
)  # fmt: skip
# Copied to every server, in the order in which they refer to each other: small, and joined with those above, or with
# each other.
REFERENCE: Final = (
    "deployment", "site", "metric", "account", "role_binding", "web_session", "sign_in_link", "api_token", "retention",
)  # fmt: skip
# On the coordinator alone: never joined, and the last one is written row by row by its place on the disk.
LOCAL: Final = ("schema_migration", "audit", "storage_day", "sign_in_attempt")
_SQL: Final = statements("distribute")


class DistributeError(ValueError):
    """The database can't be spread; the sentence says why and what to do."""


def distribute(connection: Connection) -> list[str]:
    """Spread what is not spread yet and return the tables' names; raises DistributeError, then nothing was changed."""
    row = connection.execute(_SQL["has_citus"]).fetchone()
    if row is None or not row[0]:
        raise DistributeError(
            "the extension citus is not in this database: install Citus on every server, run CREATE EXTENSION citus in "
            "the database on each of them, add the workers with citus_add_node, and try again"
        )
    known = {name for (name,) in connection.execute(_SQL["known"]).fetchall()}
    references = [table for table in REFERENCE if table not in known]
    below = [table for table in DISTRIBUTED if table not in known]
    # A table that refers to a reference table becomes one of Citus by that, and is then refused if it has an identity.
    keys = connection.execute(_SQL["foreign_keys"], {"tables": below}).fetchall()
    for table, name, _ in keys:
        connection.execute(_altering("drop_foreign_key", table, name))
    for table in references:
        connection.execute(_SQL["reference"], {"table": table})
    for table in below:
        if table == DISTRIBUTED[0]:
            connection.execute(_SQL["distribute_first"], {"table": table})
        else:
            connection.execute(_SQL["distribute"], {"table": table, "beside": DISTRIBUTED[0]})
    for table, name, definition in keys:
        connection.execute(_altering("add_foreign_key", table, name, definition))
    return [*references, *below]


def _altering(statement: str, table: str, name: str, definition: LiteralString = "") -> sql.Composed:
    return sql.SQL(_SQL[statement]).format(
        table=sql.Identifier(table), name=sql.Identifier(name), definition=sql.SQL(definition)
    )
