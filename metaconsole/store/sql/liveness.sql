-- record
INSERT INTO satellite_liveness (
    site_id, satellite_id, seen_at, connected_at, peer, version, epoch, clock_offset_ms, heartbeat
)
SELECT seen.site_id, seen.satellite_id, seen_at, connected_at, peer, version, epoch, clock_offset_ms, heartbeat::jsonb
FROM unnest(
    %(site_id)s::bigint[], %(satellite_id)s::uuid[], %(session)s::bigint[], %(seen_at)s::timestamptz[],
    %(connected_at)s::timestamptz[], %(peer)s::text[], %(version)s::text[], %(epoch)s::uuid[],
    %(clock_offset_ms)s::bigint[], %(heartbeat)s::text[]
) AS seen (
    site_id, satellite_id, session, seen_at, connected_at, peer, version, epoch, clock_offset_ms, heartbeat
)
JOIN satellite ON satellite.site_id = seen.site_id AND satellite.satellite_id = seen.satellite_id
    AND satellite.session = seen.session
ON CONFLICT (site_id, satellite_id) DO UPDATE SET
    seen_at = EXCLUDED.seen_at, connected_at = EXCLUDED.connected_at, peer = EXCLUDED.peer, version = EXCLUDED.version,
    epoch = EXCLUDED.epoch, clock_offset_ms = EXCLUDED.clock_offset_ms,
    heartbeat = CASE WHEN EXCLUDED.heartbeat = '{}' THEN satellite_liveness.heartbeat ELSE EXCLUDED.heartbeat END

-- refuse
INSERT INTO satellite_liveness (site_id, satellite_id, seen_at, peer, version, heartbeat)
SELECT site_id, satellite_id, now(), %(peer)s, %(version)s, %(heartbeat)s::jsonb
FROM satellite
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s
    AND revoked_at IS NULL AND generation <= %(generation)s
ON CONFLICT (site_id, satellite_id) DO UPDATE SET
    peer = EXCLUDED.peer, version = EXCLUDED.version, heartbeat = satellite_liveness.heartbeat || EXCLUDED.heartbeat
