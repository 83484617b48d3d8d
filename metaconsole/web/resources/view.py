"""Resources and their series as the API tells them.

The one promise: a state that nobody is looking at any more is told as unknown, with the last one beside it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from metaconsole.store import dictionary, overview
from metaconsole.store.database import Connection
from metaconsole.store.dictionary import Series
from metaconsole.store.resources import Related, ResourceRow
from metaconsole.store.scope import Scope
from metaconsole.web.services import services
from shared.catalogue import catalogue


def present(connection: Connection, rows: Sequence[ResourceRow]) -> list[dict[str, Any]]:
    """Return the items of rows that were read within a scope."""
    scope = Scope(frozenset(row.site_id for row in rows))
    now = overview.now_ms(connection)
    health = overview.source_health(connection, scope)
    fresh = _fresh(dictionary.series_of(connection, scope, [row.id for row in rows]), now)
    return [_item(row, fresh.get(row.id), _is_ok(health, row.site_id, row.source, now)) for row in rows]


def present_related(connection: Connection, rows: Sequence[Related]) -> list[dict[str, Any]]:
    """Return the other ends of relations."""
    scope = Scope(frozenset(row.site_id for row in rows))
    now = overview.now_ms(connection)
    health = overview.source_health(connection, scope)
    names = {(row.site_id, row.source_id): row.name for row in overview.sources(connection, scope)}
    return [
        {
            "type": row.type,
            "direction": row.direction,
            "resource": {
                "id": row.id,
                "kind": row.kind,
                "name": row.name,
                "state": row.state
                if _is_ok(health, row.site_id, names[row.site_id, row.source_id], now)
                else "unknown",
            },
        }
        for row in rows
    ]


def present_series(connection: Connection, series: Sequence[Series]) -> list[dict[str, Any]]:
    """Return series with their newest values; a value that is not fresh is unknown."""
    now = overview.now_ms(connection)
    newest = services().live.of(np.array([one.series_id for one in series], dtype=np.int64))
    fresh = newest.fresh(now)
    items = []
    for index, one in enumerate(series):
        metric = catalogue().get(one.metric)
        items.append(
            {
                "id": str(one.series_id),
                "metric": one.metric,
                "unit": metric.unit if metric else "",
                "kind": metric.kind if metric else "gauge",
                "attributes": one.attributes,
                "first": one.first_ms,
                "last": int(newest.times[index]) or None,
                "interval_ms": int(newest.intervals[index]) or None,
                "value": float(newest.values[index]) if fresh[index] else None,
            }
        )
    return items


def _fresh(series: Sequence[Series], now: int) -> dict[str, bool]:
    fresh = services().live.of(np.array([one.series_id for one in series], dtype=np.int64)).fresh(now)
    by_resource: dict[str, bool] = {}
    for one, is_fresh in zip(series, fresh.tolist(), strict=True):
        by_resource[one.resource_id] = by_resource.get(one.resource_id, False) or is_fresh
    return by_resource


def _is_ok(health: dict[overview.SourceKey, overview.SourceHealth], site_id: int, source: str, now: int) -> bool:
    told = health.get((site_id, source))
    return told is not None and told.state(now) == "ok"


def _item(row: ResourceRow, is_fresh: bool | None, source_ok: bool) -> dict[str, Any]:
    # Without series there is nothing to be fresh: then it is the source that must be seen.
    stale = row.removed is not None or not (source_ok if is_fresh is None else is_fresh)
    unseen = row.removed is not None or (stale and not source_ok)
    return {
        "id": row.id,
        "kind": row.kind,
        "name": row.name,
        "site": row.site,
        "source": row.source,
        "state": "unknown" if unseen else row.state,
        "last_state": row.state,
        "state_reason": row.state_reason,
        "state_since": row.state_since,
        "first_seen": row.first_seen,
        "removed": row.removed,
        "stale": stale,
        "attributes": row.attributes,
        "identities": row.identities,
    }
