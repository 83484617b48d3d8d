"""Which tier each table belongs to, for everybody who counts bytes.

The one promise: every table of the schema is named here; one that is not counts as `other`.
"""

from typing import Final

TIERS: Final = {
    "log": ("log",),
    "parts": ("part", "part_grid", "part_day", "compaction"),
    "chunks": ("chunk", "chunk_grid"),
    "rollups": ("rollup",),
    "facts": ("event", "gap", "quarantine", "clock_event"),
    "inventory": (
        "site", "satellite", "source", "resource", "resource_key", "resource_version", "identity_claim", "relation",
        "metric", "series", "epoch", "epoch_series", "dictionary", "refused_series",
        "left_out",
    ),
    "accounts": (
        "account", "role_binding", "web_session", "sign_in_link", "sign_in_attempt", "api_token", "join_token", "audit",
    ),
    "other": (
        "deployment", "schema_migration", "satellite_liveness", "reader_position", "retention", "storage_day",
        "tally", "produced", "difference",
    ),
}  # fmt: skip
_TIER_OF: Final = {table: tier for tier, tables in TIERS.items() for table in tables}


def tier_of(table: str) -> str:
    """Return the tier of a table."""
    return _TIER_OF.get(table, "other")
