-- find_keys
-- Scalar subqueries and OFFSET 0, as in series.sql: each row is looked up by its whole key, whatever the statistics say.
SELECT source_id, kind, key, (
    SELECT known.resource_id FROM resource_key known
    WHERE known.site_id = %(site_id)s AND known.source_id = wanted.source_id
      AND known.kind = wanted.kind AND known.key = wanted.key
)
FROM unnest(%(sources)s::bigint[], %(kinds)s::text[], %(keys)s::text[]) AS wanted (source_id, kind, key)

-- find_claims
SELECT claim.resource_id, (
    SELECT kind FROM resource WHERE resource.site_id = %(site_id)s AND resource.resource_id = claim.resource_id
), wanted.type, wanted.value
FROM unnest(%(types)s::text[], %(values)s::text[]) AS wanted (type, value)
CROSS JOIN LATERAL (
    SELECT resource_id, first_seen FROM identity_claim
    WHERE identity_claim.site_id = %(site_id)s AND identity_claim.type = wanted.type
      AND identity_claim.value = wanted.value AND strength >= %(strong)s
    OFFSET 0
) AS claim
ORDER BY claim.first_seen, claim.resource_id

-- claims_of
SELECT claim.resource_id, claim.type, claim.value
FROM identity_claim claim
JOIN unnest(%(resources)s::uuid[]) AS wanted (resource_id) USING (resource_id)
WHERE claim.site_id = %(site_id)s AND claim.strength >= %(strong)s

-- keys_of
SELECT known.resource_id, known.kind, known.key, version.resource_id IS NOT NULL
FROM resource_key known
JOIN unnest(%(resources)s::uuid[]) AS wanted (resource_id) USING (resource_id)
LEFT JOIN resource_version version ON version.site_id = known.site_id AND version.resource_id = known.resource_id
    AND version.source_id = known.source_id AND version.valid_to IS NULL
WHERE known.site_id = %(site_id)s AND known.source_id = %(source_id)s

-- release_keys
DELETE FROM resource_key
WHERE site_id = %(site_id)s AND source_id = %(source_id)s AND resource_id = ANY(%(resources)s::uuid[])

-- keep_keys
WITH new AS (
    SELECT * FROM unnest(%(kinds)s::text[], %(keys)s::text[], %(resources)s::uuid[]) AS new (kind, key, resource_id)
), minted AS (
    INSERT INTO resource (site_id, resource_id, kind)
    SELECT %(site_id)s, resource_id, kind FROM new
    ON CONFLICT (site_id, resource_id) DO NOTHING
    RETURNING resource_id
), kept AS (
    INSERT INTO resource_key (site_id, source_id, kind, key, resource_id)
    SELECT %(site_id)s, %(source_id)s, kind, key, resource_id FROM new
)
SELECT count(*) FROM minted

-- keep_claims
INSERT INTO identity_claim (site_id, type, value, resource_id, strength)
SELECT DISTINCT ON (type, value, resource_id) %(site_id)s, type, value, resource_id, strength
FROM unnest(%(types)s::text[], %(values)s::text[], %(resources)s::uuid[], %(strengths)s::smallint[])
    AS claim (type, value, resource_id, strength)
ORDER BY type, value, resource_id, strength DESC
ON CONFLICT (site_id, type, value, resource_id) DO NOTHING
