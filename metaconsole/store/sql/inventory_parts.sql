-- known_later
SELECT DISTINCT resource_id FROM resource_version
WHERE site_id = %(site_id)s AND resource_id = ANY(%(resources)s::uuid[])
  AND (valid_from > %(at)s OR valid_to > %(at)s)

-- write_before
-- What is known of the time itself stays as it is; what begins later may have been there already.
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
    SELECT min(valid_from) AS ends FROM resource_version later
    WHERE later.site_id = %(site_id)s AND later.resource_id = new.resource_id AND later.valid_from > %(at)s
) AS later
WHERE ends IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM resource_version known
    WHERE known.site_id = %(site_id)s AND known.resource_id = new.resource_id
      AND known.valid_from <= %(at)s AND (known.valid_to IS NULL OR known.valid_to > %(at)s)
)
ON CONFLICT (site_id, resource_id, valid_from) DO NOTHING

-- end_unnamed
-- Places in the order of shared.inventory_parts; a resource has one key in a source.
UPDATE resource_version old SET valid_to = %(at)s
FROM resource_key known
WHERE old.site_id = %(site_id)s AND old.source_id = %(source_id)s AND old.valid_to IS NULL AND old.valid_from <= %(at)s
  AND known.site_id = old.site_id AND known.source_id = old.source_id AND known.resource_id = old.resource_id
  AND (%(begin)s::text[] IS NULL
       OR ARRAY['', known.kind, known.key, '', ''] COLLATE "C" >= %(begin)s::text[])
  AND (%(end)s::text[] IS NULL OR ARRAY['', known.kind, known.key, '', ''] COLLATE "C" < %(end)s::text[])
  AND NOT EXISTS (SELECT 1 FROM unnest(%(resources)s::uuid[]) AS named (resource_id) WHERE named.resource_id = old.resource_id)
RETURNING old.resource_id

-- write_relations
INSERT INTO relation (site_id, from_id, type, to_id, valid_from, source_id)
SELECT DISTINCT %(site_id)s, from_id, type, to_id, %(at)s::timestamptz, %(source_id)s
FROM unnest(%(from_ids)s::uuid[], %(types)s::text[], %(to_ids)s::uuid[]) AS edge (from_id, type, to_id)
WHERE NOT EXISTS (
    SELECT 1 FROM relation later
    WHERE later.site_id = %(site_id)s AND later.from_id = edge.from_id AND later.type = edge.type
      AND later.to_id = edge.to_id AND (later.valid_from > %(at)s OR later.valid_to > %(at)s)
)
ON CONFLICT DO NOTHING

-- end_unnamed_relations
UPDATE relation SET valid_to = %(at)s
FROM resource_key tail, resource_key head
WHERE relation.site_id = %(site_id)s AND relation.source_id = %(source_id)s AND relation.valid_to IS NULL
  AND relation.type <> 'same_as' AND relation.valid_from <= %(at)s
  AND tail.site_id = relation.site_id AND tail.source_id = relation.source_id AND tail.resource_id = relation.from_id
  AND head.site_id = relation.site_id AND head.source_id = relation.source_id AND head.resource_id = relation.to_id
  AND (%(begin)s::text[] IS NULL
       OR ARRAY[relation.type, tail.kind, tail.key, head.kind, head.key] COLLATE "C" >= %(begin)s::text[])
  AND (%(end)s::text[] IS NULL
       OR ARRAY[relation.type, tail.kind, tail.key, head.kind, head.key] COLLATE "C" < %(end)s::text[])
  AND NOT EXISTS (
      SELECT 1 FROM unnest(%(from_ids)s::uuid[], %(types)s::text[], %(to_ids)s::uuid[]) AS edge (from_id, type, to_id)
      WHERE edge.from_id = relation.from_id AND edge.type = relation.type AND edge.to_id = relation.to_id
  )
