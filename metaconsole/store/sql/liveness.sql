-- known
SELECT satellite.site_id, site.name, satellite.satellite_id, satellite.name, coalesce(known.clock_state, 'ok'),
       known.clock_since
FROM unnest(%(site_id)s::bigint[], %(satellite_id)s::uuid[], %(session)s::bigint[])
    AS seen (site_id, satellite_id, session)
JOIN satellite ON satellite.site_id = seen.site_id AND satellite.satellite_id = seen.satellite_id
    AND satellite.session = seen.session
JOIN site ON site.site_id = satellite.site_id
LEFT JOIN satellite_liveness known
    ON known.site_id = satellite.site_id AND known.satellite_id = satellite.satellite_id

-- record
INSERT INTO satellite_liveness (
    site_id, satellite_id, seen_at, connected_at, peer, version, epoch, clock_offset_ms, clock_uncertainty_ms,
    clock_state, clock_since, heartbeat
)
SELECT seen.site_id, seen.satellite_id, seen_at, connected_at, peer, version, epoch, clock_offset_ms,
       clock_uncertainty_ms, clock_state, clock_since, heartbeat::jsonb
FROM unnest(
    %(site_id)s::bigint[], %(satellite_id)s::uuid[], %(session)s::bigint[], %(seen_at)s::timestamptz[],
    %(connected_at)s::timestamptz[], %(peer)s::text[], %(version)s::text[], %(epoch)s::uuid[],
    %(clock_offset_ms)s::bigint[], %(clock_uncertainty_ms)s::bigint[], %(clock_state)s::text[],
    %(clock_since)s::timestamptz[], %(heartbeat)s::text[]
) AS seen (
    site_id, satellite_id, session, seen_at, connected_at, peer, version, epoch, clock_offset_ms, clock_uncertainty_ms,
    clock_state, clock_since, heartbeat
)
JOIN satellite ON satellite.site_id = seen.site_id AND satellite.satellite_id = seen.satellite_id
    AND satellite.session = seen.session
ON CONFLICT (site_id, satellite_id) DO UPDATE SET
    seen_at = EXCLUDED.seen_at, connected_at = EXCLUDED.connected_at, peer = EXCLUDED.peer, version = EXCLUDED.version,
    epoch = EXCLUDED.epoch, clock_offset_ms = EXCLUDED.clock_offset_ms,
    clock_uncertainty_ms = EXCLUDED.clock_uncertainty_ms, clock_state = EXCLUDED.clock_state,
    clock_since = EXCLUDED.clock_since,
    heartbeat = CASE WHEN EXCLUDED.heartbeat = '{}' THEN satellite_liveness.heartbeat ELSE EXCLUDED.heartbeat END

-- refuse
INSERT INTO satellite_liveness (site_id, satellite_id, seen_at, peer, version, heartbeat)
SELECT site_id, satellite_id, now(), %(peer)s, %(version)s, %(heartbeat)s::jsonb
FROM satellite
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s
    AND revoked_at IS NULL AND generation <= %(generation)s
ON CONFLICT (site_id, satellite_id) DO UPDATE SET
    peer = EXCLUDED.peer, version = EXCLUDED.version, heartbeat = satellite_liveness.heartbeat || EXCLUDED.heartbeat

-- insert_clock_events
INSERT INTO clock_event (site_id, satellite_id, at, state, before, offset_ms, uncertainty_ms)
SELECT site_id, satellite_id, at, state, before, offset_ms, uncertainty_ms
FROM unnest(
    %(site_id)s::bigint[], %(satellite_id)s::uuid[], %(at)s::timestamptz[], %(state)s::text[], %(before)s::text[],
    %(offset_ms)s::bigint[], %(uncertainty_ms)s::bigint[]
) AS changed (site_id, satellite_id, at, state, before, offset_ms, uncertainty_ms)
ON CONFLICT (site_id, satellite_id, at) DO NOTHING

-- bound_clock_events
DELETE FROM clock_event USING (
    SELECT site_id, satellite_id, at,
           row_number() OVER (PARTITION BY site_id, satellite_id ORDER BY at DESC) AS place
    FROM clock_event
    WHERE (site_id, satellite_id) IN (SELECT * FROM unnest(%(site_id)s::bigint[], %(satellite_id)s::uuid[]))
) AS old
WHERE old.place > %(limit)s AND clock_event.site_id = old.site_id AND clock_event.satellite_id = old.satellite_id
  AND clock_event.at = old.at
