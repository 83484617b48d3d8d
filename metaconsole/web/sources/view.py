"""Sources as the API tells them.

The one promise: of a source whose satellite is not heard of, only the past is told.
"""

from collections.abc import Mapping
from typing import Any

from metaconsole.store import overview
from metaconsole.store.database import Connection
from metaconsole.store.overview import SourceHealth, SourceRow
from metaconsole.store.scope import Scope
from metaconsole.web.heartbeat import instant, integer, number


def sources(connection: Connection, scope: Scope) -> list[dict[str, Any]]:
    """Return every source with what its satellite last said of it."""
    now = overview.now_ms(connection)
    health = overview.source_health(connection, scope)
    return [_item(row, health.get((row.site_id, row.name)), now) for row in overview.sources(connection, scope)]


def _item(row: SourceRow, told: SourceHealth | None, now: int) -> dict[str, Any]:
    status = told.status if told is not None else {}
    return {
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
        "plans": [_plan(plan) for plan in status.get("plans") or []],
        **_load(status),
    }


def _plan(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": str(told.get("plan", "")),
        "interval_seconds": number(told, "interval_seconds"),
        "stretch": integer(told, "stretch"),
        "busy_seconds": number(told, "busy_seconds"),
    }


def _load(status: Mapping[str, Any]) -> dict[str, float | None]:
    """Return what the source is asked a minute; a satellite that tells no budget tells none of it."""
    budget, busy = number(status, "budget"), number(status, "busy_per_minute")
    return {
        "calls_per_minute": number(status, "calls_per_minute") if budget else None,
        "bytes_per_minute": number(status, "bytes_per_minute") or None,
        "busy_per_minute": busy if budget else None,
        "budget_used": busy / 60 / budget if budget else None,
    }
