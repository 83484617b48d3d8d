-- page
SELECT v.site_id, v.resource_id::text AS id, v.kind, v.name, site.name AS site, v.source_id, source.name AS source,
       v.state, v.state_reason, (extract(epoch FROM v.state_since) * 1000)::bigint AS state_since,
       (extract(epoch FROM r.first_seen) * 1000)::bigint AS first_seen, NULL::bigint AS removed, v.attributes,
       coalesce((SELECT jsonb_agg(jsonb_build_object('type', c.type, 'value', c.value, 'strength', c.strength)
                                  ORDER BY c.strength DESC, c.type, c.value)
                 FROM identity_claim c WHERE c.site_id = r.site_id AND c.resource_id = r.resource_id), '[]') AS identities
FROM (
    -- The page first, in the order of an index: what is joined below is joined for its rows alone.
    SELECT v.* FROM resource_version v
    WHERE v.valid_to IS NULL
      AND (%(sites)s::bigint[] IS NULL OR v.site_id = ANY(%(sites)s))
      AND (%(kind)s::text IS NULL OR v.kind = %(kind)s)
      AND (%(site)s::text IS NULL OR v.site_id = (SELECT site_id FROM site WHERE name = %(site)s))
      AND (%(source)s::text IS NULL OR (v.site_id, v.source_id) IN (
            SELECT site_id, source_id FROM source WHERE name = %(source)s))
      AND (%(pattern)s::text IS NULL OR (v.site_id, v.resource_id) IN (
            SELECT m.site_id, m.resource_id FROM resource_version m WHERE m.valid_to IS NULL AND m.name ILIKE %(pattern)s
            UNION ALL
            SELECT c.site_id, c.resource_id FROM identity_claim c WHERE c.value LIKE %(prefix)s))
      AND (%(after_site)s::bigint IS NULL
           OR (v.site_id, v.kind, v.name, v.resource_id)
              > (%(after_site)s, %(after_kind)s::text, %(after_name)s::text, %(after_id)s::uuid))
    ORDER BY v.site_id, v.kind, v.name, v.resource_id
    LIMIT %(limit)s
) v
JOIN site ON site.site_id = v.site_id
JOIN source ON source.site_id = v.site_id AND source.source_id = v.source_id
JOIN resource r ON r.site_id = v.site_id AND r.resource_id = v.resource_id
ORDER BY v.site_id, v.kind, v.name, v.resource_id

-- one
SELECT v.site_id, v.resource_id::text AS id, v.kind, v.name, site.name AS site, v.source_id, source.name AS source,
       v.state, v.state_reason, (extract(epoch FROM v.state_since) * 1000)::bigint AS state_since,
       (extract(epoch FROM r.first_seen) * 1000)::bigint AS first_seen,
       (extract(epoch FROM v.valid_to) * 1000)::bigint AS removed, v.attributes,
       coalesce((SELECT jsonb_agg(jsonb_build_object('type', c.type, 'value', c.value, 'strength', c.strength)
                                  ORDER BY c.strength DESC, c.type, c.value)
                 FROM identity_claim c WHERE c.site_id = v.site_id AND c.resource_id = v.resource_id), '[]') AS identities
FROM resource r
JOIN resource_version v ON v.site_id = r.site_id AND v.resource_id = r.resource_id
JOIN site ON site.site_id = v.site_id
JOIN source ON source.site_id = v.site_id AND source.source_id = v.source_id
WHERE r.resource_id = %(id)s::uuid
  AND (%(sites)s::bigint[] IS NULL OR r.site_id = ANY(%(sites)s))
ORDER BY v.valid_to DESC NULLS FIRST, v.valid_from DESC
LIMIT 1

-- relations
SELECT rel.type, rel.direction, v.resource_id::text AS id, v.kind, v.name, v.state, v.site_id, v.source_id
FROM (SELECT site_id, type, 'out' AS direction, to_id AS other FROM relation
      WHERE site_id = %(site_id)s AND from_id = %(id)s::uuid AND valid_to IS NULL
      UNION ALL
      SELECT site_id, type, 'in', from_id FROM relation
      WHERE site_id = %(site_id)s AND to_id = %(id)s::uuid AND valid_to IS NULL) rel
JOIN resource_version v ON v.site_id = rel.site_id AND v.resource_id = rel.other AND v.valid_to IS NULL
ORDER BY rel.type, rel.direction, v.kind, v.name, v.resource_id
LIMIT %(limit)s

-- events
SELECT e.event_id::text AS id, (extract(epoch FROM e.at) * 1000)::bigint AS time, e.type, e.severity, e.message,
       source.name AS source, e.attributes
FROM event e JOIN source ON source.site_id = e.site_id AND source.source_id = e.source_id
WHERE e.site_id = %(site_id)s AND e.resource_id = %(id)s::uuid
  AND (%(before_ms)s::bigint IS NULL
       OR (e.at, e.event_id) < (to_timestamp(%(before_ms)s / 1000.0), coalesce(%(before_id)s::bigint, 0)))
ORDER BY e.at DESC, e.event_id DESC
LIMIT %(limit)s

-- gaps
SELECT g.gap_id::text AS id, g.from_ms, g.to_ms, g.reason, g.detail, g.plan, source.name AS source,
       CASE WHEN g.resource_id IS NOT NULL THEN 'resource' WHEN g.source_id IS NOT NULL THEN 'source'
            ELSE 'satellite' END AS scope
FROM gap g LEFT JOIN source ON source.site_id = g.site_id AND source.source_id = g.source_id
WHERE g.site_id = %(site_id)s AND g.to_ms > %(from_ms)s AND g.from_ms < %(to_ms)s
  AND (g.resource_id = %(id)s::uuid
       OR (g.resource_id IS NULL AND g.source_id IN (
             SELECT k.source_id FROM resource_key k WHERE k.site_id = %(site_id)s AND k.resource_id = %(id)s::uuid))
       -- Of the satellites, those that poll a source of the resource.
       OR (g.source_id IS NULL AND g.satellite_id IN (
             SELECT l.satellite_id
             FROM satellite_liveness l
             CROSS JOIN LATERAL jsonb_path_query(l.heartbeat, '$.sources[*].source') polled
             JOIN source s ON s.site_id = l.site_id AND s.name = polled #>> '{}'
             JOIN resource_key k ON k.site_id = s.site_id AND k.source_id = s.source_id
             WHERE l.site_id = %(site_id)s AND k.resource_id = %(id)s::uuid)))
ORDER BY g.from_ms, g.gap_id
LIMIT %(limit)s
