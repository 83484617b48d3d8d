-- lock_site
SELECT pg_advisory_xact_lock(hashtextextended('nephoscope.site', %(site_id)s))

-- create_metrics
INSERT INTO metric (name) SELECT unnest(%(names)s::text[]) ON CONFLICT (name) DO NOTHING

-- find_metrics
SELECT name, metric_id FROM metric WHERE name = ANY(%(names)s::text[])

-- find_sources
SELECT name, source_id FROM source WHERE site_id = %(site_id)s AND name = ANY(%(names)s::text[])

-- create_sources
INSERT INTO source (site_id, name) SELECT %(site_id)s, unnest(%(names)s::text[]) RETURNING name, source_id

-- mint_resources
-- Lists go in binary (b), here and below: as text they were a third of all that a definition costs a gateway.
-- Scalar subqueries, here and below: a join lets the planner, whose statistics are those of an empty table in the first
-- minutes, scan a whole site's index once per row (18 s for 5,000 series; 0.1 s this way).
-- A key that is itself a strong claim of a resource of this kind (a guest's UUID) is that resource, unless this source knows
-- it by another key: series of a guest that came to a further source may be defined before its inventory is here.
WITH claimed AS MATERIALIZED (
    SELECT source_id, kind, key, (
        SELECT claim.resource_id FROM identity_claim claim
        WHERE claim.site_id = %(site_id)s AND claim.type = ANY(%(strong)b::text[]) AND claim.value = wanted.key
          AND (
              SELECT resource.kind FROM resource
              WHERE resource.site_id = %(site_id)s AND resource.resource_id = claim.resource_id
          ) = wanted.kind
          AND NOT EXISTS (
              SELECT 1 FROM resource_key other
              WHERE other.site_id = %(site_id)s AND other.resource_id = claim.resource_id
                AND other.source_id = wanted.source_id
          )
        ORDER BY claim.strength DESC, claim.first_seen, claim.resource_id LIMIT 1
    ) AS resource_id
    FROM (
        SELECT DISTINCT source_id, kind, key
        FROM unnest(%(sources)b::bigint[], %(kinds)b::text[], %(keys)b::text[]) AS wanted (source_id, kind, key)
    ) AS wanted
    WHERE (
        SELECT known.resource_id FROM resource_key known
        WHERE known.site_id = %(site_id)s AND known.source_id = wanted.source_id
          AND known.kind = wanted.kind AND known.key = wanted.key
    ) IS NULL
), missing AS MATERIALIZED (
    -- Two keys of one source are never one resource.
    SELECT source_id, kind, key, CASE
        WHEN resource_id IS NOT NULL AND row_number() OVER (PARTITION BY source_id, resource_id ORDER BY key) = 1
        THEN resource_id ELSE gen_random_uuid()
    END AS resource_id
    FROM claimed
), keyed AS (
    INSERT INTO resource_key (site_id, source_id, kind, key, resource_id)
    SELECT %(site_id)s, source_id, kind, key, resource_id FROM missing
)
INSERT INTO resource (site_id, resource_id, kind) SELECT %(site_id)s, resource_id, kind FROM missing
ON CONFLICT (site_id, resource_id) DO NOTHING

-- find_resources
SELECT (
    SELECT known.resource_id FROM resource_key known
    WHERE known.site_id = %(site_id)s AND known.source_id = wanted.source_id
      AND known.kind = wanted.kind AND known.key = wanted.key
)
FROM unnest(%(sources)b::bigint[], %(kinds)b::text[], %(keys)b::text[])
    WITH ORDINALITY AS wanted (source_id, kind, key, place)
ORDER BY place

-- mint_series
-- In the order of the definitions: neighbours in a batch get neighbouring ids, which cost a block 16 bytes instead of one
-- a sample, and share the rows of parts.
INSERT INTO series (site_id, resource_id, metric_id, attributes)
SELECT %(site_id)s, fresh.resource_id, fresh.metric_id, fresh.attributes
FROM (
    SELECT wanted.resource_id, wanted.metric_id, wanted.attributes::jsonb AS attributes, min(wanted.place) AS place
    FROM unnest(%(resources)b::uuid[], %(metrics)b::bigint[], %(attributes)b::text[])
        WITH ORDINALITY AS wanted (resource_id, metric_id, attributes, place)
    WHERE (
        SELECT series_id FROM series
        WHERE series.site_id = %(site_id)s AND series.resource_id = wanted.resource_id
          AND series.metric_id = wanted.metric_id AND series.attributes = wanted.attributes::jsonb
    ) IS NULL
    GROUP BY wanted.resource_id, wanted.metric_id, wanted.attributes::jsonb
) AS fresh
ORDER BY fresh.place

-- find_series
SELECT (
    SELECT series_id FROM series
    WHERE series.site_id = %(site_id)s AND series.resource_id = wanted.resource_id
      AND series.metric_id = wanted.metric_id AND series.attributes = wanted.attributes::jsonb
)
FROM unnest(%(resources)b::uuid[], %(metrics)b::bigint[], %(attributes)b::text[])
    WITH ORDINALITY AS wanted (resource_id, metric_id, attributes, place)
ORDER BY place

-- advance
UPDATE epoch SET series_through = %(last_id)s
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND epoch = %(epoch)s
  AND series_through = %(first_id)s - 1

-- keep
INSERT INTO epoch_series (site_id, satellite_id, epoch, first_id, series_ids, metric_ids, source_ids)
VALUES (%(site_id)s, %(satellite_id)s, %(epoch)s, %(first_id)s,
        %(series_ids)b::bigint[], %(metric_ids)b::bigint[], %(source_ids)b::bigint[])

-- load
SELECT first_id, series_ids, metric_ids, source_ids FROM epoch_series
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND epoch = %(epoch)s
ORDER BY first_id

-- load_sources
SELECT name, source_id FROM source WHERE site_id = %(site_id)s
