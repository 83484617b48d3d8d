"""Reading what satellites produced and what became of it, for commands.

The one promise: what is read of a satellite is of one moment, where the connection's transaction is.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row

from metaconsole.account import Account, Counted, Line, account
from metaconsole.store.database import Connection
from metaconsole.store.enrolment import find_site
from metaconsole.store.reconciliation import Told, range_set
from metaconsole.store.sql import statements

_SQL: Final = statements("reconciliation")


@dataclass(frozen=True, slots=True)
class Reported:
    """A satellite, and when it told last what it produced."""

    site_id: int
    satellite_id: UUID
    name: str
    reconciled_at: datetime | None
    version: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What was missing once, and what became of it."""

    found_at: datetime
    line: Line


def satellites(connection: Connection, site: str, name: str | None) -> list[Reported]:
    """Return the satellites of a site, or the one of that name; raises ValueError where there is none."""
    site_id = find_site(connection, site)
    with connection.cursor(row_factory=class_row(Reported)) as rows:
        found = rows.execute(_SQL["satellites"], {"site_id": site_id, "name": name}).fetchall()
    if not found:
        raise ValueError(f"site {site} has no satellite {name}" if name else f"site {site} has no satellite yet")
    return found


def read_account(connection: Connection, of: Reported, from_ms: int | None, to_ms: int | None) -> Account:
    """Return the account of what a satellite spooled between two instants (UTC milliseconds, None: no bound)."""
    who = {"site_id": of.site_id, "satellite_id": of.satellite_id}
    rows = connection.execute(_SQL["told"], {**who, "from_ms": from_ms, "to_ms": to_ms}).fetchall()
    return _account(connection, who, [Told(*row) for row in rows])


def read_differences(connection: Connection, of: Reported) -> list[Difference]:
    """Return what was missing, oldest first, with what there is of it now."""
    who = {"site_id": of.site_id, "satellite_id": of.satellite_id}
    rows = connection.execute(_SQL["differences"], who).fetchall()
    told = [Told(epoch, first, last, 0, last - first + 1, 0, 0) for epoch, first, last, _ in rows]
    lines = _account(connection, who, told).lines
    return [Difference(row[3], line) for row, line in zip(rows, lines, strict=True)]


def _account(connection: Connection, who: dict[str, Any], told: list[Told]) -> Account:
    where = {**who, "epochs": sorted({row.epoch for row in told})}
    taken = {epoch: range_set(parts) for epoch, parts in connection.execute(_SQL["taken"], where).fetchall()}
    counted = [
        Counted(epoch, block, reason, range_set(parts), samples, again_frames, again_samples)
        for epoch, block, reason, parts, samples, again_frames, again_samples in connection.execute(
            _SQL["counted"], where
        ).fetchall()
    ]
    return account(told, taken, counted)
