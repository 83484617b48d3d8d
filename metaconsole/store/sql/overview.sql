-- sites
SELECT site_id, name, title, (extract(epoch FROM created_at) * 1000)::bigint AS created
FROM site
WHERE %(sites)s::bigint[] IS NULL OR site_id = ANY(%(sites)s)
ORDER BY name

-- counts
SELECT site_id, source_id, kind, state, count(*) AS resources
FROM resource_version
WHERE valid_to IS NULL AND (%(sites)s::bigint[] IS NULL OR site_id = ANY(%(sites)s))
GROUP BY site_id, source_id, kind, state

-- satellites
SELECT s.site_id, s.satellite_id::text AS id, s.name, site.name AS site, s.head,
       (extract(epoch FROM s.created_at) * 1000)::bigint AS created,
       (extract(epoch FROM s.revoked_at) * 1000)::bigint AS revoked, s.revoked_by,
       (extract(epoch FROM s.joined_at) * 1000)::bigint AS joined,
       (extract(epoch FROM s.certificate_until) * 1000)::bigint AS certificate_until,
       (extract(epoch FROM l.seen_at) * 1000)::bigint AS seen,
       (extract(epoch FROM l.connected_at) * 1000)::bigint AS connected,
       coalesce(l.peer, '') AS peer, coalesce(l.version, '') AS version,
       (extract(epoch FROM s.rival_at) * 1000)::bigint AS rival_seen, s.rival_from,
       s.rival_version, encode(s.rival_nonce, 'hex') AS rival_nonce,
       coalesce(l.clock_offset_ms, 0) AS clock_offset_ms, l.clock_uncertainty_ms,
       coalesce(l.clock_state, 'ok') AS clock_state,
       (extract(epoch FROM l.clock_since) * 1000)::bigint AS clock_since, coalesce(l.heartbeat, '{}') AS heartbeat,
       (extract(epoch FROM s.reconciled_at) * 1000)::bigint AS reconciled, s.reconciled_samples, s.missing_frames,
       (SELECT coalesce(sum(upper(part) - lower(part)), 0)::bigint
        FROM tally t CROSS JOIN LATERAL unnest(t.ranges) AS part
        WHERE t.site_id = s.site_id AND t.satellite_id = s.satellite_id AND t.reason <> ''
          AND t.counted_at > now() - interval '35 days') AS lost_frames,
       (SELECT coalesce(sum(t.samples), 0)::bigint FROM tally t
        WHERE t.site_id = s.site_id AND t.satellite_id = s.satellite_id AND t.reason <> ''
          AND t.counted_at > now() - interval '35 days') AS refused_samples,
       (SELECT jsonb_build_object('definitions', sum(r.definitions) OVER (),
                                  'for_resources', sum(r.for_resources) OVER (), 'source', r.source, 'kind', r.kind,
                                  'metric', r.metric, 'label', r.label, 'label_values', r.label_values,
                                  'at', (extract(epoch FROM r.refused_at) * 1000)::bigint)
        FROM refused_series r WHERE r.site_id = s.site_id AND r.satellite_id = s.satellite_id
        ORDER BY r.refused_at DESC LIMIT 1) AS refused,
       (SELECT jsonb_build_object('resources', sum(o.resources) OVER (), 'source', o.source, 'kind', o.kind,
                                  'of_these', o.resources, 'at', (extract(epoch FROM o.left_out_at) * 1000)::bigint)
        FROM left_out o WHERE o.site_id = s.site_id AND o.satellite_id = s.satellite_id
        ORDER BY o.resources DESC, o.source, o.kind LIMIT 1) AS left_out,
       (extract(epoch FROM s.epochs_refused_at) * 1000)::bigint AS epochs_refused,
       coalesce((SELECT jsonb_agg(jsonb_build_object('reader', p.reader, 'ordinal', p.ordinal,
                                                     'behind', greatest(s.head - p.ordinal, 0)) ORDER BY p.reader)
                 FROM reader_position p WHERE p.site_id = s.site_id AND p.satellite_id = s.satellite_id), '[]') AS readers
FROM satellite s
JOIN site ON site.site_id = s.site_id
LEFT JOIN satellite_liveness l ON l.site_id = s.site_id AND l.satellite_id = s.satellite_id
WHERE %(sites)s::bigint[] IS NULL OR s.site_id = ANY(%(sites)s)
ORDER BY site.name, s.name

-- sources
SELECT s.site_id, s.source_id, s.name, site.name AS site,
       (extract(epoch FROM s.first_seen) * 1000)::bigint AS first_seen
FROM source s JOIN site ON site.site_id = s.site_id
WHERE %(sites)s::bigint[] IS NULL OR s.site_id = ANY(%(sites)s)
ORDER BY site.name, s.name

-- rooms
-- By satellite, as sites_in in dictionary.sql: a site without one has no series.
SELECT site.name, max(d.quota), max(d.series), max(d.resource_quota), max(d.resources)
FROM satellite s
JOIN site ON site.site_id = s.site_id
LEFT JOIN dictionary d ON d.site_id = s.site_id
WHERE %(sites)s::bigint[] IS NULL OR s.site_id = ANY(%(sites)s)
GROUP BY site.name

-- heartbeats
SELECT l.site_id, l.satellite_id::text AS satellite_id, s.name AS satellite,
       (extract(epoch FROM l.seen_at) * 1000)::bigint AS seen, s.revoked_at IS NOT NULL AS revoked,
       coalesce(l.heartbeat -> 'sources', '[]') AS sources
FROM satellite_liveness l JOIN satellite s ON s.site_id = l.site_id AND s.satellite_id = l.satellite_id
WHERE %(sites)s::bigint[] IS NULL OR l.site_id = ANY(%(sites)s)
ORDER BY l.seen_at

-- now
SELECT (extract(epoch FROM now()) * 1000)::bigint

-- ready
SELECT to_regclass('resource_version') IS NOT NULL AS has_schema,
       EXISTS (SELECT 1 FROM pg_stat_activity
               WHERE datname = current_database() AND application_name LIKE '%%gateway%%') AS has_gateway,
       EXISTS (SELECT 1 FROM pg_stat_activity
               WHERE datname = current_database() AND application_name LIKE '%%reader%%') AS has_readers

-- satellites_seen
SELECT enrolled, seen, EXISTS (SELECT 1 FROM series) AS has_series
FROM (
    SELECT count(*) FILTER (WHERE s.revoked_at IS NULL) AS enrolled,
           count(*) FILTER (WHERE s.revoked_at IS NULL AND l.seen_at > now() - %(seconds)s * interval '1 second') AS seen
    FROM satellite s
    LEFT JOIN satellite_liveness l ON l.site_id = s.site_id AND l.satellite_id = s.satellite_id
) AS counted

-- figures
SELECT (SELECT count(*) FROM resource_version WHERE valid_to IS NULL) AS resources,
       (SELECT count(*) FROM series) AS series
