"""Sites as the API tells them.

The one promise: what a source that is not seen told last counts as unknown, never as what it was.
"""

from collections import defaultdict
from typing import Any

from metaconsole.store import overview
from metaconsole.store.database import Connection
from metaconsole.store.scope import Scope


def sites(connection: Connection, scope: Scope) -> list[dict[str, Any]]:
    """Return every site with what is there, by kind and state."""
    now = overview.now_ms(connection)
    health = overview.source_health(connection, scope)
    names = {(row.site_id, row.source_id): row.name for row in overview.sources(connection, scope)}
    satellites = [row for row in overview.satellites(connection, scope) if row.revoked is None]

    resources: dict[int, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for count in overview.counts(connection, scope):
        told = health.get((count.site_id, names[count.site_id, count.source_id]))
        state = count.state if told is not None and told.state(now) == "ok" else "unknown"
        resources[count.site_id][count.kind][state] += count.resources

    items = []
    for site in overview.sites(connection, scope):
        sources = [health.get(key) for key in ((site.site_id, n) for (s, _), n in names.items() if s == site.site_id)]
        seen = [row.is_seen(now) for row in satellites if row.site_id == site.site_id]
        ok = [told is not None and told.state(now) == "ok" for told in sources]
        items.append(
            {
                "id": str(site.site_id),
                "name": site.name,
                "title": site.title,
                "state": _state(seen, ok),
                "resources": {kind: dict(states) for kind, states in resources[site.site_id].items()},
                "satellites": len(seen),
                "satellites_seen": sum(seen),
                "sources": len(ok),
                "sources_ok": sum(ok),
            }
        )
    return items


def _state(seen: list[bool], ok: list[bool]) -> str:
    if not any(seen):
        return "unknown"
    return "ok" if all(seen) and all(ok) else "degraded"
