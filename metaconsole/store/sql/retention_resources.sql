-- page_of_resources
-- Those that are gone: they are older than the rule, and no version of them is open or ended since.
SELECT resource_id, first_seen < %(before)s AND NOT EXISTS (
    SELECT 1 FROM resource_version version
    WHERE version.site_id = %(site_id)s AND version.resource_id = page.resource_id
      AND (version.valid_to IS NULL OR version.valid_to >= %(before)s)
) AS gone
FROM (
    SELECT resource_id, first_seen FROM resource
    WHERE site_id = %(site_id)s AND resource_id > %(after)s ORDER BY resource_id LIMIT %(limit)s
) AS page
ORDER BY resource_id

-- delete_versions
-- The newest one of a resource that is gone stays as long as the resource: it says what it was.
DELETE FROM resource_version USING (
    SELECT resource_id, valid_from FROM resource_version version
    WHERE version.site_id = %(site_id)s AND version.resource_id = ANY(%(resources)s::uuid[])
      AND version.valid_to < %(before)s AND EXISTS (
          SELECT 1 FROM resource_version later
          WHERE later.site_id = version.site_id AND later.resource_id = version.resource_id
            AND later.valid_from > version.valid_from
      )
    LIMIT %(rows)s
) AS old
WHERE resource_version.site_id = %(site_id)s AND resource_version.resource_id = old.resource_id
  AND resource_version.valid_from = old.valid_from

-- delete_relations
DELETE FROM relation USING (
    SELECT from_id, type, to_id, valid_from FROM relation
    WHERE site_id = %(site_id)s AND from_id = ANY(%(resources)s::uuid[]) AND valid_to < %(before)s
    LIMIT %(rows)s
) AS old
WHERE relation.site_id = %(site_id)s AND relation.from_id = old.from_id AND relation.type = old.type
  AND relation.to_id = old.to_id AND relation.valid_from = old.valid_from

-- delete_claims
-- Of a resource that claims to be ever something else, the newest stay.
DELETE FROM identity_claim USING (
    SELECT type, value, resource_id
    FROM (
        SELECT type, value, resource_id,
               row_number() OVER (PARTITION BY resource_id ORDER BY first_seen DESC, type, value) AS place
        FROM identity_claim WHERE site_id = %(site_id)s AND resource_id = ANY(%(resources)s::uuid[])
    ) AS placed
    WHERE place > %(claims)s
    LIMIT %(rows)s
) AS old
WHERE identity_claim.site_id = %(site_id)s AND identity_claim.type = old.type AND identity_claim.value = old.value
  AND identity_claim.resource_id = old.resource_id

-- forget_resources
-- What is known of a resource keeps it: series, events, gaps, an open relation. A tie (same_as) is open for ever, so it
-- keeps one only while the other one lives; so does a strong claim that both have, of which the first few are looked at.
DELETE FROM resource
WHERE site_id = %(site_id)s AND resource_id = ANY(%(resources)s::uuid[]) AND first_seen < %(before)s
  AND NOT EXISTS (
      SELECT 1 FROM resource_version version
      WHERE version.site_id = resource.site_id AND version.resource_id = resource.resource_id
        AND (version.valid_to IS NULL OR version.valid_to >= %(before)s)
  )
  AND NOT EXISTS (
      SELECT 1 FROM series WHERE series.site_id = resource.site_id AND series.resource_id = resource.resource_id
  )
  AND NOT EXISTS (
      SELECT 1 FROM event WHERE event.site_id = resource.site_id AND event.resource_id = resource.resource_id
  )
  AND NOT EXISTS (
      SELECT 1 FROM gap WHERE gap.site_id = resource.site_id AND gap.resource_id = resource.resource_id
  )
  AND NOT EXISTS (
      SELECT 1 FROM relation
      LEFT JOIN resource_version other ON other.site_id = relation.site_id AND other.resource_id = relation.to_id
          AND other.valid_to IS NULL
      WHERE relation.site_id = resource.site_id AND relation.from_id = resource.resource_id
        AND relation.valid_to IS NULL AND (relation.type <> 'same_as' OR other.resource_id IS NOT NULL)
  )
  AND NOT EXISTS (
      SELECT 1 FROM relation
      LEFT JOIN resource_version other ON other.site_id = relation.site_id AND other.resource_id = relation.from_id
          AND other.valid_to IS NULL
      WHERE relation.site_id = resource.site_id AND relation.to_id = resource.resource_id
        AND relation.valid_to IS NULL AND (relation.type <> 'same_as' OR other.resource_id IS NOT NULL)
  )
  AND NOT EXISTS (
      SELECT 1 FROM identity_claim own
      CROSS JOIN LATERAL (
          SELECT claim.resource_id FROM identity_claim claim
          WHERE claim.site_id = own.site_id AND claim.type = own.type AND claim.value = own.value
            AND claim.strength >= %(strong)s
          LIMIT %(others)s
      ) AS same
      JOIN resource_version living ON living.site_id = own.site_id AND living.resource_id = same.resource_id
          AND living.valid_to IS NULL
      WHERE own.site_id = resource.site_id AND own.resource_id = resource.resource_id AND own.strength >= %(strong)s
  )
RETURNING resource_id

-- forget_keys
DELETE FROM resource_key WHERE site_id = %(site_id)s AND resource_id = ANY(%(resources)s::uuid[])

-- forget_claims
DELETE FROM identity_claim WHERE site_id = %(site_id)s AND resource_id = ANY(%(resources)s::uuid[])

-- forget_versions
DELETE FROM resource_version WHERE site_id = %(site_id)s AND resource_id = ANY(%(resources)s::uuid[])

-- forget_relations
DELETE FROM relation WHERE site_id = %(site_id)s AND from_id = ANY(%(resources)s::uuid[])

-- forget_ties
-- Closed ones that lead to it go with their time: no index finds them.
DELETE FROM relation WHERE site_id = %(site_id)s AND to_id = ANY(%(resources)s::uuid[]) AND valid_to IS NULL
