-- series_by_resource
SELECT s.site_id, s.series_id, s.resource_id::text AS resource_id, s.metric_id, m.name AS metric, s.attributes,
       (extract(epoch FROM s.first_seen) * 1000)::bigint AS first_ms
FROM series s JOIN metric m USING (metric_id)
WHERE s.resource_id = ANY(%(resources)s::uuid[])
  AND (%(metrics)s::text[] IS NULL OR m.name = ANY(%(metrics)s))
  AND (%(sites)s::bigint[] IS NULL OR s.site_id = ANY(%(sites)s))
ORDER BY s.resource_id, m.name, s.series_id
LIMIT %(limit)s

-- series_by_kind
SELECT s.site_id, s.series_id, s.resource_id::text AS resource_id, s.metric_id, m.name AS metric, s.attributes,
       (extract(epoch FROM s.first_seen) * 1000)::bigint AS first_ms
FROM resource_version v
JOIN site ON site.site_id = v.site_id
JOIN series s ON s.site_id = v.site_id AND s.resource_id = v.resource_id
JOIN metric m USING (metric_id)
WHERE v.valid_to IS NULL AND v.kind = %(kind)s AND m.name = %(metric)s
  AND (%(site)s::text IS NULL OR site.name = %(site)s)
  AND (%(sites)s::bigint[] IS NULL OR v.site_id = ANY(%(sites)s))
ORDER BY s.site_id, s.series_id
LIMIT %(limit)s

-- visible
SELECT resource_id::text FROM resource
WHERE resource_id = ANY(%(resources)s::uuid[]) AND (%(sites)s::bigint[] IS NULL OR site_id = ANY(%(sites)s))
