"""The inventory that the group `query` asks for: ten sites of 10,000 guests, each guest with ten series of one metric.

The rows are what the gateway and the readers would have written, put there by PostgreSQL itself.
"""

from pathlib import Path
from typing import Final

import numpy as np
import psycopg

from metaconsole.live_view import LiveWriter

SITES: Final = 10
GUESTS: Final = 10_000
DEVICES: Final = 10
METRIC: Final = "system.filesystem.utilization"
_FRESH_MS: Final = 8 * 3_600_000  # the values stay known however long the measurement takes
_STATEMENTS: Final = (
    """INSERT INTO metric (name) VALUES (%(metric)s) ON CONFLICT DO NOTHING""",
    """INSERT INTO site (name, title) SELECT 'big-' || n, 'Big ' || n FROM generate_series(0, %(sites)s - 1) n""",
    """INSERT INTO satellite (site_id, name) SELECT site_id, 'satellite' FROM site WHERE name LIKE 'big-%%'""",
    """INSERT INTO satellite_liveness (site_id, satellite_id, seen_at, connected_at, version, heartbeat)
       SELECT site_id, satellite_id, now() + interval '1 hour', now(), '0.1.0',
              '{"sources": [{"source": "machine", "collector": "host", "state": "ok", "message": ""}]}'
       FROM satellite JOIN site USING (site_id) WHERE site.name LIKE 'big-%%'""",
    """INSERT INTO source (site_id, name) SELECT site_id, 'machine' FROM site WHERE name LIKE 'big-%%'""",
    """CREATE TEMPORARY TABLE guest AS
       SELECT site_id, source_id, n, gen_random_uuid() AS resource_id
       FROM source JOIN site USING (site_id), generate_series(1, %(guests)s) n WHERE site.name LIKE 'big-%%'""",
    """INSERT INTO resource (site_id, resource_id, kind) SELECT site_id, resource_id, 'guest' FROM guest""",
    """INSERT INTO resource_key (site_id, source_id, kind, key, resource_id)
       SELECT site_id, source_id, 'guest', 'guest-' || n, resource_id FROM guest""",
    """INSERT INTO resource_version
           (site_id, resource_id, valid_from, source_id, kind, name, state, state_since, attributes)
       SELECT site_id, resource_id, now(), source_id, 'guest', 'guest-' || lpad(n::text, 5, '0'),
              CASE WHEN n %% 50 = 0 THEN 'stopped' ELSE 'running' END, now(), '{"os.type": "linux"}'
       FROM guest""",
    """INSERT INTO identity_claim (site_id, type, value, resource_id, strength)
       SELECT site_id, 'uuid', resource_id::text, resource_id, 90 FROM guest""",
    """INSERT INTO series (site_id, resource_id, metric_id, attributes)
       SELECT site_id, resource_id, metric_id, jsonb_build_object('system.device', 'vd' || device)
       FROM metric, guest, generate_series(1, %(devices)s) device WHERE metric.name = %(metric)s
       ORDER BY site_id, n""",
    """ANALYZE""",
)


def write(url: str, run: Path, now_ms: int) -> int:
    """Write the inventory and a live view with a value of each series; returns the number of series."""
    parameters = {"metric": METRIC, "sites": SITES, "guests": GUESTS, "devices": DEVICES}
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _STATEMENTS:
            connection.execute(statement.encode(), parameters)
        row = connection.execute(
            "SELECT min(series_id), max(series_id), count(*) FROM series JOIN metric USING (metric_id)"
            " JOIN site USING (site_id) WHERE metric.name = %s AND site.name LIKE 'big-%%'",
            (METRIC,),
        ).fetchone()
    assert row is not None
    first, last, count = row
    assert count == SITES * GUESTS * DEVICES == last - first + 1, "the series are not numbered without holes"
    writer, random = LiveWriter(run), np.random.default_rng(3)
    writer.update(np.arange(first, last + 1), np.full(count, now_ms), random.random(last - first + 1), _FRESH_MS)
    writer.publish()
    return int(count)
