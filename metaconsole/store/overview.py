"""Reading how the whole stands: sites, satellites, sources, and whether a source is being seen at all.

The one promise: a source counts as seen only while its satellite's last heartbeat, at most SEEN_MS old, says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from psycopg.rows import class_row

from metaconsole.store.database import Connection
from metaconsole.store.quota import Rooms
from metaconsole.store.scope import Scope
from metaconsole.store.sql import statements

_SQL: Final = statements("overview")
SEEN_MS: Final = 15_000  # three heartbeats

SourceKey: TypeAlias = tuple[int, str]  # site and name


@dataclass(frozen=True, slots=True)
class SiteRow:
    """A site."""

    site_id: int
    name: str
    title: str
    created: int


@dataclass(frozen=True, slots=True)
class Count:
    """How many resources of a source are of a kind and in a state, as the inventory told."""

    site_id: int
    source_id: int
    kind: str
    state: str
    resources: int


@dataclass(frozen=True, slots=True)
class SatelliteRow:
    """A satellite with its liveness; times in UTC milliseconds, None for never."""

    site_id: int
    id: str
    name: str
    site: str
    head: int
    created: int
    revoked: int | None
    revoked_by: str
    joined: int | None
    certificate_until: int | None
    seen: int | None
    connected: int | None
    peer: str
    version: str
    rival_seen: int | None
    rival_from: str
    rival_version: str
    rival_nonce: str
    clock_offset_ms: int  # its clock minus ours
    clock_uncertainty_ms: int | None
    clock_state: str
    clock_since: int | None
    heartbeat: dict[str, Any]
    readers: list[dict[str, Any]]
    reconciled: int | None = None
    reconciled_samples: int = 0
    missing_frames: int = 0
    lost_frames: int = 0
    refused_samples: int = 0  # of frames that are stored
    refused: dict[str, Any] | None = None  # series: how many, and what the newest are
    left_out: dict[str, Any] | None = None  # resources: how many, and of which source and kind most of them are
    epochs_refused: int | None = None

    def is_seen(self, now_ms: int) -> bool:
        """Return whether its heartbeats arrive."""
        return self.revoked is None and self.seen is not None and now_ms - self.seen <= SEEN_MS


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source of a site."""

    site_id: int
    source_id: int
    name: str
    site: str
    first_seen: int


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """What the newest heartbeat said of a source; seen_ms is when that heartbeat came, UTC milliseconds."""

    satellite_id: str
    satellite: str
    seen_ms: int
    status: Mapping[str, Any]

    def state(self, now_ms: int) -> str:
        """Return ok, failing, opening or paused, and unknown when the satellite is not seen."""
        return str(self.status.get("state") or "unknown") if now_ms - self.seen_ms <= SEEN_MS else "unknown"


def now_ms(connection: Connection) -> int:
    """Return the database's clock in UTC milliseconds: what liveness is written with is what it is judged by."""
    row = connection.execute(_SQL["now"]).fetchone()
    assert row is not None
    return int(row[0])


def sites(connection: Connection, scope: Scope) -> list[SiteRow]:
    """Return the sites by name."""
    with connection.cursor(row_factory=class_row(SiteRow)) as rows:
        return rows.execute(_SQL["sites"], {"sites": scope.parameter}).fetchall()


def counts(connection: Connection, scope: Scope) -> list[Count]:
    """Return how many resources there are, by site, source, kind and state."""
    with connection.cursor(row_factory=class_row(Count)) as rows:
        return rows.execute(_SQL["counts"], {"sites": scope.parameter}).fetchall()


def satellites(connection: Connection, scope: Scope) -> list[SatelliteRow]:
    """Return the satellites by site and name."""
    with connection.cursor(row_factory=class_row(SatelliteRow)) as rows:
        return rows.execute(_SQL["satellites"], {"sites": scope.parameter}).fetchall()


def sources(connection: Connection, scope: Scope) -> list[SourceRow]:
    """Return the sources by site and name."""
    with connection.cursor(row_factory=class_row(SourceRow)) as rows:
        return rows.execute(_SQL["sources"], {"sites": scope.parameter}).fetchall()


def source_health(connection: Connection, scope: Scope) -> dict[SourceKey, SourceHealth]:
    """Return what the newest heartbeats say of each source, by site and name."""
    found: dict[SourceKey, SourceHealth] = {}
    rows = connection.execute(_SQL["heartbeats"], {"sites": scope.parameter})
    for site_id, satellite_id, satellite, seen, revoked, statuses in rows:  # the newest comes last and stays
        for status in statuses:
            if not revoked:
                found[site_id, str(status.get("source", ""))] = SourceHealth(satellite_id, satellite, seen, status)
    return found


def not_ready(connection: Connection) -> list[str]:
    """Return why the metaconsole can't do its work yet, one sentence a reason; none when it can."""
    row = connection.execute(_SQL["ready"]).fetchone()
    assert row is not None
    has_schema, has_gateway, has_readers = row
    if not has_schema:
        return ["The database has no schema: run the migrations."]
    reasons = []
    if not has_gateway:
        reasons.append("No gateway is connected to the database.")
    if not has_readers:
        reasons.append("No reader is connected to the database.")
    row = connection.execute(_SQL["satellites_seen"], {"seconds": SEEN_MS // 1000}).fetchone()
    assert row is not None
    enrolled, seen, has_series = row
    if enrolled and not seen:
        reasons.append(f"None of {enrolled} satellites has been heard of for {SEEN_MS // 1000} s.")
    elif enrolled and not has_series:
        reasons.append("No satellite has delivered anything yet.")
    return reasons


def rooms(connection: Connection, scope: Scope) -> dict[str, Rooms]:
    """Return how many series and resources each site may have, and has, by name."""
    rows = connection.execute(_SQL["rooms"], {"sites": scope.parameter})
    return {site: Rooms.of(None if found[0] is None else found) for site, *found in rows}


def figures(connection: Connection) -> dict[str, int]:
    """Return the number of things: resources, series."""
    row = connection.execute(_SQL["figures"]).fetchone()
    assert row is not None
    return dict(zip(("resources", "series"), (int(value) for value in row), strict=True))
