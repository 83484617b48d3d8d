"""Sources as the API tells them.

The one promise: of a source whose satellite is not heard of, only the past is told.
"""

from typing import Any

from metaconsole.store import overview
from metaconsole.store.database import Connection
from metaconsole.store.scope import Scope
from metaconsole.web.heartbeat import instant, integer, number


def sources(connection: Connection, scope: Scope) -> list[dict[str, Any]]:
    """Return every source with what its satellite last said of it."""
    now = overview.now_ms(connection)
    health = overview.source_health(connection, scope)
    items = []
    for row in overview.sources(connection, scope):
        told = health.get((row.site_id, row.name))
        status = told.status if told is not None else {}
        items.append(
            {
                "id": str(row.source_id),
                "name": row.name,
                "site": row.site,
                "satellite": told.satellite if told is not None else None,
                "collector": str(status.get("collector", "")),
                "state": told.state(now) if told is not None else "unknown",
                "message": str(status.get("message", "")),
                "first_seen": row.first_seen,
                "last_success": instant(status, "last_success_ms"),
                "cycle_seconds": number(status, "cycle_seconds"),
                "interval_seconds": number(status, "interval_seconds"),
                "calls": integer(status, "calls"),
                "errors": integer(status, "errors"),
                "overruns": integer(status, "overruns"),
                "samples": integer(status, "samples"),
                "cpu_seconds": number(status, "cpu_seconds"),
            }
        )
    return items
