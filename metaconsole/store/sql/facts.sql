-- insert_events
INSERT INTO event (site_id, source_id, native_id, at, type, severity, resource_id, message, attributes)
SELECT %(site_id)s, source_id, native_id, at, type, severity, resource_id, message, attributes::jsonb
FROM unnest(
    %(sources)s::bigint[], %(native_ids)s::text[], %(times)s::timestamptz[], %(types)s::text[], %(severities)s::text[],
    %(resources)s::uuid[], %(messages)s::text[], %(attributes)s::text[]
) AS event (source_id, native_id, at, type, severity, resource_id, message, attributes)
ON CONFLICT (site_id, source_id, native_id) DO NOTHING

-- insert_gaps
INSERT INTO gap (site_id, satellite_id, source_id, plan, resource_id, from_ms, to_ms, reason, detail)
SELECT %(site_id)s, %(satellite_id)s, source_id, plan, resource_id, from_ms, to_ms, reason, detail
FROM unnest(
    %(sources)s::bigint[], %(plans)s::text[], %(resources)s::uuid[], %(froms)s::bigint[], %(tos)s::bigint[],
    %(reasons)s::text[], %(details)s::text[]
) AS gap (source_id, plan, resource_id, from_ms, to_ms, reason, detail)
