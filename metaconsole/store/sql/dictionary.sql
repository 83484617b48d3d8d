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

-- sites_in
-- By satellite, without which no site has series: beside a row of `site` alone, which each server has, shards answer
-- nothing.
SELECT s.site_id,
       coalesce(max((SELECT max(series.series_id) FROM series WHERE series.site_id = s.site_id)), 0) AS newest,
       coalesce(sum((SELECT sum(epoch.series_through) FROM epoch
                     WHERE epoch.site_id = s.site_id AND epoch.satellite_id = s.satellite_id)), 0)::bigint AS defined
FROM satellite s
JOIN site ON site.site_id = s.site_id
WHERE (%(site)s::text IS NULL OR site.name = %(site)s)
  AND (%(sites)s::bigint[] IS NULL OR s.site_id = ANY(%(sites)s))
GROUP BY s.site_id
ORDER BY s.site_id

-- ids_of_kind
SELECT array_send(array_agg(s.series_id ORDER BY s.series_id))
FROM series s
JOIN resource r ON r.site_id = s.site_id AND r.resource_id = s.resource_id
JOIN metric m ON m.metric_id = s.metric_id
WHERE s.site_id = %(site)s AND s.series_id > %(after)s AND m.name = %(metric)s AND r.kind = %(kind)s

-- series_by_id
SELECT s.site_id, s.series_id, s.resource_id::text AS resource_id, s.metric_id, m.name AS metric, s.attributes,
       (extract(epoch FROM s.first_seen) * 1000)::bigint AS first_ms
FROM unnest(%(site_ids)s::bigint[], %(series)s::bigint[]) WITH ORDINALITY AS wanted (site_id, series_id, place)
JOIN series s ON s.site_id = wanted.site_id AND s.series_id = wanted.series_id
JOIN metric m ON m.metric_id = s.metric_id
ORDER BY wanted.place

-- series_by_group
SELECT s.site_id, s.series_id, s.resource_id::text AS resource_id, s.metric_id, m.name AS metric, s.attributes,
       (extract(epoch FROM s.first_seen) * 1000)::bigint AS first_ms,
       ARRAY(SELECT CASE name WHEN 'kind' THEN v.kind WHEN 'site' THEN site.name WHEN 'resource' THEN v.resource_id::text
                              ELSE coalesce(s.attributes ->> name, v.attributes ->> name, '') END
             FROM unnest(%(names)s::text[]) WITH ORDINALITY AS asked (name, place) ORDER BY place) AS labels
FROM resource_version v
JOIN site ON site.site_id = v.site_id
JOIN series s ON s.site_id = v.site_id AND s.resource_id = v.resource_id
JOIN metric m ON m.metric_id = s.metric_id
WHERE v.valid_to IS NULL AND (%(kind)s::text IS NULL OR v.kind = %(kind)s) AND m.name = %(metric)s
  AND (%(site)s::text IS NULL OR site.name = %(site)s)
  AND (%(sites)s::bigint[] IS NULL OR v.site_id = ANY(%(sites)s))
ORDER BY s.site_id, s.series_id
LIMIT %(limit)s
