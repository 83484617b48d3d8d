-- many
-- With the statistics of an empty table the planner joins 10,000 rows with 10,000 row by row, which takes minutes.
SET LOCAL enable_nestloop = off

-- full_at
SELECT full_at FROM source WHERE site_id = %(site_id)s AND source_id = %(source_id)s

-- note_full
UPDATE source SET full_at = %(at)s WHERE site_id = %(site_id)s AND source_id = %(source_id)s

-- tie
INSERT INTO relation (site_id, from_id, type, to_id, valid_from, source_id)
SELECT %(site_id)s, from_id, 'same_as', to_id, %(at)s, %(source_id)s
FROM unnest(%(from_ids)s::uuid[], %(to_ids)s::uuid[]) AS tie (from_id, to_id)
WHERE NOT EXISTS (
    SELECT 1 FROM resource_version known WHERE known.site_id = %(site_id)s AND known.resource_id = tie.from_id
)
ON CONFLICT DO NOTHING

-- end_removed
UPDATE resource_version SET valid_to = greatest(%(at)s, valid_from)
WHERE site_id = %(site_id)s AND source_id = %(source_id)s AND valid_to IS NULL
  AND resource_id = ANY(%(removed)s::uuid[])

-- end_changed
-- By way of UTC: adding to a timestamptz is not immutable, which a database in shards wants in an UPDATE.
UPDATE resource_version old
SET valid_to = greatest(
    %(at)s, (old.valid_from AT TIME ZONE 'UTC' + interval '1 millisecond') AT TIME ZONE 'UTC'
)
FROM unnest(
    %(resources)s::uuid[], %(kinds)s::text[], %(names)s::text[], %(states)s::text[], %(reasons)s::text[],
    %(attributes)s::text[]
) AS new (resource_id, kind, name, state, state_reason, attributes)
WHERE old.site_id = %(site_id)s AND old.resource_id = new.resource_id AND old.valid_to IS NULL
  AND (old.source_id, old.kind, old.name, old.state, old.state_reason, old.attributes)
      IS DISTINCT FROM (%(source_id)s, new.kind, new.name, new.state, new.state_reason, new.attributes::jsonb)

-- write_versions
INSERT INTO resource_version (
    site_id, resource_id, valid_from, source_id, kind, name, state, state_reason, state_since, attributes
)
SELECT %(site_id)s, new.resource_id, begins, %(source_id)s, new.kind, new.name, new.state, new.state_reason,
       CASE WHEN before.state = new.state AND before.valid_to = begins THEN before.state_since ELSE begins END,
       new.attributes::jsonb
FROM unnest(
    %(resources)s::uuid[], %(kinds)s::text[], %(names)s::text[], %(states)s::text[], %(reasons)s::text[],
    %(attributes)s::text[]
) AS new (resource_id, kind, name, state, state_reason, attributes)
LEFT JOIN LATERAL (
    SELECT state, state_since, valid_from, valid_to FROM resource_version version
    WHERE version.site_id = %(site_id)s AND version.resource_id = new.resource_id
    ORDER BY valid_from DESC LIMIT 1
) AS before ON true
CROSS JOIN LATERAL (
    SELECT greatest(%(at)s, before.valid_to, before.valid_from + interval '1 millisecond') AS begins
) AS begin
WHERE before.valid_from IS NULL OR before.valid_to IS NOT NULL

-- end_unnamed
UPDATE resource_version old SET valid_to = greatest(%(at)s, old.valid_from)
WHERE old.site_id = %(site_id)s AND old.source_id = %(source_id)s AND old.valid_to IS NULL
  AND NOT EXISTS (SELECT 1 FROM unnest(%(resources)s::uuid[]) AS named (resource_id) WHERE named.resource_id = old.resource_id)

-- end_history
UPDATE resource_version SET valid_to = %(at)s
WHERE site_id = %(site_id)s AND source_id = %(source_id)s AND resource_id = ANY(%(removed)s::uuid[])
  AND valid_from < %(at)s AND valid_to > %(at)s

-- cut_history
UPDATE resource_version old SET valid_to = %(at)s
FROM unnest(
    %(resources)s::uuid[], %(names)s::text[], %(states)s::text[], %(reasons)s::text[], %(attributes)s::text[]
) AS new (resource_id, name, state, state_reason, attributes)
WHERE old.site_id = %(site_id)s AND old.resource_id = new.resource_id
  AND old.valid_from < %(at)s AND old.valid_to > %(at)s
  AND (old.name, old.state, old.state_reason, old.attributes)
      IS DISTINCT FROM (new.name, new.state, new.state_reason, new.attributes::jsonb)

-- write_history
INSERT INTO resource_version (
    site_id, resource_id, valid_from, valid_to, source_id, kind, name, state, state_reason, state_since, attributes
)
SELECT %(site_id)s, new.resource_id, %(at)s, ends, %(source_id)s, new.kind, new.name, new.state, new.state_reason,
       %(at)s, new.attributes::jsonb
FROM unnest(
    %(resources)s::uuid[], %(kinds)s::text[], %(names)s::text[], %(states)s::text[], %(reasons)s::text[],
    %(attributes)s::text[]
) AS new (resource_id, kind, name, state, state_reason, attributes)
CROSS JOIN LATERAL (
    SELECT least(%(full_at)s, min(valid_from)) AS ends FROM resource_version later
    WHERE later.site_id = %(site_id)s AND later.resource_id = new.resource_id AND later.valid_from > %(at)s
) AS later
WHERE ends > %(at)s AND NOT EXISTS (
    SELECT 1 FROM resource_version known
    WHERE known.site_id = %(site_id)s AND known.resource_id = new.resource_id
      AND known.valid_from <= %(at)s AND (known.valid_to IS NULL OR known.valid_to > %(at)s)
)
ON CONFLICT (site_id, resource_id, valid_from) DO NOTHING

-- write_relations
INSERT INTO relation (site_id, from_id, type, to_id, valid_from, source_id)
SELECT DISTINCT %(site_id)s, from_id, type, to_id, %(at)s::timestamptz, %(source_id)s
FROM unnest(%(from_ids)s::uuid[], %(types)s::text[], %(to_ids)s::uuid[]) AS edge (from_id, type, to_id)
ON CONFLICT DO NOTHING

-- end_relations
UPDATE relation SET valid_to = greatest(%(at)s, valid_from)
FROM unnest(%(from_ids)s::uuid[], %(types)s::text[], %(to_ids)s::uuid[]) AS edge (from_id, type, to_id)
WHERE relation.site_id = %(site_id)s AND relation.from_id = edge.from_id AND relation.type = edge.type
  AND relation.to_id = edge.to_id AND relation.source_id = %(source_id)s AND relation.valid_to IS NULL

-- end_unnamed_relations
UPDATE relation SET valid_to = greatest(%(at)s, valid_from)
WHERE site_id = %(site_id)s AND source_id = %(source_id)s AND valid_to IS NULL AND type <> 'same_as'
  AND NOT EXISTS (
      SELECT 1 FROM unnest(%(from_ids)s::uuid[], %(types)s::text[], %(to_ids)s::uuid[]) AS edge (from_id, type, to_id)
      WHERE edge.from_id = relation.from_id AND edge.type = relation.type AND edge.to_id = relation.to_id
  )

-- end_loose_relations
UPDATE relation SET valid_to = greatest(%(at)s, relation.valid_from)
WHERE site_id = %(site_id)s AND source_id = %(source_id)s AND valid_to IS NULL AND type <> 'same_as'
  AND (from_id = ANY(%(removed)s::uuid[]) OR to_id = ANY(%(removed)s::uuid[]))
