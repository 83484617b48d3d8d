"""Where the bytes of the database are: by table, by tier, and by site.

The one promise: every byte of pg_database_size is in exactly one line; what belongs to no table of ours is in the lines
of PostgreSQL's catalogues and of its own files.

A table's share of a site follows the exact sum of what its rows take as they are stored. Indexes, free space and dead
rows go with the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from psycopg import sql

from metaconsole.store.database import Connection
from metaconsole.store.sites import list_sites
from metaconsole.store.sql import statements
from metaconsole.store.stats_tiers import TIERS, tier_of

_MEASURED: Final = frozenset({"log", "part", "chunk", "rollup"})
_SQL: Final = statements("stats")


@dataclass(frozen=True, slots=True)
class Table:
    """What a table takes, its partitions included: rows, indexes, and what lies in toast."""

    name: str
    partitions: int
    heap: int
    indexes: int
    toast: int

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.heap + self.indexes + self.toast

    @property
    def tier(self) -> str:
        """The tier that it belongs to."""
        return tier_of(self.name)


@dataclass(frozen=True, slots=True)
class Sizes:
    """The database at one moment. catalogues and files are PostgreSQL's own."""

    total: int
    tables: Sequence[Table]
    catalogues: int

    @property
    def files(self) -> int:
        """What is in the database's folder and in no relation: a few files, and what is being made or dropped."""
        return self.total - self.catalogues - sum(table.bytes for table in self.tables)

    def tiers(self) -> dict[str, int]:
        """Return the bytes by tier."""
        return {tier: sum(table.bytes for table in self.tables if table.tier == tier) for tier in TIERS}


@dataclass(slots=True)
class Held:
    """What is held: bytes on disk, rows, samples, and the span of time in UTC milliseconds."""

    bytes: int = 0
    rows: int = 0
    samples: int = 0
    oldest_ms: int | None = None
    newest_ms: int | None = None

    def add(self, other: "Held") -> None:
        """Count something more in."""
        self.bytes += other.bytes
        self.rows += other.rows
        self.samples += other.samples
        self.oldest_ms = min(filter(None, (self.oldest_ms, other.oldest_ms)), default=None)
        self.newest_ms = max(filter(None, (self.newest_ms, other.newest_ms)), default=None)

    @property
    def bytes_per_sample(self) -> float | None:
        """Bytes on disk for each sample."""
        return self.bytes / self.samples if self.samples else None


@dataclass(slots=True)
class Account:
    """Everything: of tables and tiers, and by site; the site "" stands for what belongs to none."""

    sizes: Sizes
    rows: dict[str, int] = field(default_factory=dict)  # by table
    tiers: dict[str, Held] = field(default_factory=lambda: {tier: Held() for tier in TIERS})
    sites: dict[tuple[str, str], Held] = field(default_factory=dict)  # by tier and site


def sizes(connection: Connection) -> Sizes:
    """Measure the files."""
    tables = [Table(*row) for row in connection.execute(_SQL["tables"]).fetchall()]
    row = connection.execute(_SQL["database"]).fetchone()
    assert row is not None
    return Sizes(row[0], tables, row[1])


def account(connection: Connection) -> Account:
    """Measure the files, and read every row once for the shares of the sites: minutes on a large database.

    Wants a connection in autocommit, so that no transaction lasts longer than the reading of one table.
    """
    found = Account(sizes(connection))
    names = {site.site_id: site.name for site in list_sites(connection)}
    for table in found.sizes.tables:
        scanned = _scan(connection, table.name)
        _share(table.bytes, scanned)
        found.rows[table.name] = sum(held.rows for held, _ in scanned.values())
        for site_id, (held, _) in scanned.items():
            name = names.get(site_id, f"site {site_id}") if site_id is not None else ""
            found.tiers[table.tier].add(held)
            found.sites.setdefault((table.tier, name), Held()).add(held)
    return found


def _scan(connection: Connection, table: str) -> dict[int | None, tuple[Held, int]]:
    """Return by site what a table holds, its bytes still to be told, and the weight of its rows."""
    columns = [row[0] for row in connection.execute(_SQL["columns"], {"table": table}).fetchall()]
    column_bytes = [sql.SQL(_SQL["column_bytes"]).format(column=sql.Identifier(column)) for column in columns]
    statement = sql.SQL(_SQL["scan"]).format(
        site=sql.Identifier("site_id") if "site_id" in columns else sql.NULL,
        bytes=sql.SQL(" + ").join(column_bytes),
        measure=sql.SQL(_SQL[f"measure_{table if table in _MEASURED else 'none'}"]),
        table=sql.Identifier(table),
    )
    return {
        site_id: (Held(0, rows, samples, oldest, newest), weight)
        for site_id, rows, weight, samples, oldest, newest in connection.execute(statement).fetchall()
    }


def _share(total: int, scanned: dict[int | None, tuple[Held, int]]) -> None:
    """Distribute a table's bytes by weight, to the last one; those of an empty table belong to no site."""
    weights = sum(weight for _, weight in scanned.values())
    for held, weight in scanned.values():
        held.bytes = total * weight // weights
    rest = total - sum(held.bytes for held, _ in scanned.values())
    if rest:
        heaviest = max(scanned.values(), key=lambda entry: entry[1], default=None)
        if heaviest is None:
            scanned[None] = (Held(rest), 0)
        else:
            heaviest[0].bytes += rest


def by_tier(found: Account, tier: str) -> Mapping[str, Held]:
    """Return what each site holds of a tier, the largest first."""
    shares = {site: held for (of, site), held in found.sites.items() if of == tier}
    return dict(sorted(shares.items(), key=lambda item: (-item[1].bytes, item[0])))
