"""Reading resources: the list, one of them, and what hangs on it.

The one promise: nothing of a site outside the scope is ever returned; what lies outside does not exist.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from psycopg.rows import class_row

from metaconsole.store import cursors
from metaconsole.store.database import Connection
from metaconsole.store.scope import Scope
from metaconsole.store.sql import statements

_SQL: Final = statements("resources")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LIMIT: Final = 500  # items of a page
_ROWS: Final = 2_000  # relations, events and gaps of one answer


class NotFoundError(LookupError):
    """There is no such resource, or not within the scope."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is narrowed to; None stands for everything."""

    kind: str | None = None
    site: str | None = None
    source: str | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """A resource as its inventory last told it; times in UTC milliseconds, removed is None while it is there."""

    site_id: int
    id: str
    kind: str
    name: str
    site: str
    source_id: int
    source: str
    state: str
    state_reason: str
    state_since: int
    first_seen: int
    removed: int | None
    attributes: dict[str, Any]
    identities: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Page:
    """Some items of a list and where the next ones begin."""

    items: list[ResourceRow]
    next: str | None


@dataclass(frozen=True, slots=True)
class Related:
    """The other end of a relation."""

    type: str
    direction: str
    id: str
    kind: str
    name: str
    state: str
    site_id: int
    source_id: int


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that happened to a resource; time in UTC milliseconds."""

    id: str
    time: int
    type: str
    severity: str
    message: str
    source: str
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class GapRow:
    """A span in UTC milliseconds, end excluded, in which something was not seen; scope says how much of it."""

    id: str
    from_ms: int
    to_ms: int
    reason: str
    detail: str
    plan: str
    source: str | None
    scope: str


def list_resources(
    connection: Connection, scope: Scope, wanted: Filter, cursor: str | None = None, limit: int = 100
) -> Page:
    """Return a page of the resources that are there now, by site, kind and name; raises cursors.CursorError."""
    site, kind, name, resource = cursors.parse(cursor, (int, str, str, str)) if cursor else (None,) * 4
    if resource is not None and not _UUID.fullmatch(resource):
        raise cursors.CursorError
    limit = min(limit, LIMIT)
    values = {
        "sites": scope.parameter,
        "kind": wanted.kind,
        "site": wanted.site,
        "source": wanted.source,
        "pattern": f"%{_literally(wanted.q)}%" if wanted.q else None,
        "prefix": f"{_literally(wanted.q.lower())}%" if wanted.q else None,
        "after_site": site,
        "after_kind": kind,
        "after_name": name,
        "after_id": resource,
        "limit": limit + 1,
    }
    with connection.cursor(row_factory=class_row(ResourceRow)) as rows:
        items = rows.execute(_SQL["page"], values).fetchall()
    if len(items) <= limit:
        return Page(items, None)
    last = items[limit - 1]
    return Page(items[:limit], cursors.make((last.site_id, last.kind, last.name, last.id)))


def get_resource(connection: Connection, scope: Scope, resource: str) -> ResourceRow:
    """Return one resource as it was last known; raises NotFoundError."""
    if not _UUID.fullmatch(resource):
        raise NotFoundError(resource)
    with connection.cursor(row_factory=class_row(ResourceRow)) as rows:
        found = rows.execute(_SQL["one"], {"id": resource, "sites": scope.parameter}).fetchone()
    if found is None:
        raise NotFoundError(resource)
    return found


def relations(connection: Connection, scope: Scope, resource: str) -> list[Related]:
    """Return the relations of a resource that hold now, in both directions; raises NotFoundError."""
    site_id = get_resource(connection, scope, resource).site_id
    with connection.cursor(row_factory=class_row(Related)) as rows:
        values = {"id": resource, "site_id": site_id, "limit": _ROWS}
        return rows.execute(_SQL["relations"], values).fetchall()


def events(
    connection: Connection, scope: Scope, resource: str, cursor: str | None = None, limit: int = 100
) -> tuple[list[EventRow], str | None]:
    """Return events, newest first, and the cursor of the older ones; raises NotFoundError, CursorError."""
    site_id = get_resource(connection, scope, resource).site_id
    at, event_id = cursors.parse(cursor, (int, int)) if cursor else (None, None)
    limit = min(limit, LIMIT)
    values = {"id": resource, "site_id": site_id, "before_ms": at, "before_id": event_id, "limit": limit + 1}
    with connection.cursor(row_factory=class_row(EventRow)) as rows:
        found = rows.execute(_SQL["events"], values).fetchall()
    if len(found) <= limit:
        return found, None
    return found[:limit], cursors.make((found[limit - 1].time, int(found[limit - 1].id)))


def gaps(connection: Connection, scope: Scope, resource: str, from_ms: int, to_ms: int) -> list[GapRow]:
    """Return the gaps that overlap a span (UTC milliseconds): of the resource, its sources and their satellites.

    Raises NotFoundError.
    """
    site_id = get_resource(connection, scope, resource).site_id
    values = {"id": resource, "site_id": site_id, "from_ms": from_ms, "to_ms": to_ms, "limit": _ROWS}
    with connection.cursor(row_factory=class_row(GapRow)) as rows:
        return rows.execute(_SQL["gaps"], values).fetchall()


def _literally(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text.replace("\0", ""))
