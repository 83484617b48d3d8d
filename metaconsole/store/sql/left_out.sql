-- begin_anew
DELETE FROM left_out WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND source = %(source)s

-- note
INSERT INTO left_out (site_id, satellite_id, source, kind, resources)
SELECT %(site_id)s, %(satellite_id)s, source, kind, resources
FROM unnest(%(sources)s::text[], %(kinds)s::text[], %(resources)s::bigint[]) AS told (source, kind, resources)
ON CONFLICT (site_id, satellite_id, source, kind) DO UPDATE
    SET resources = left_out.resources + EXCLUDED.resources, left_out_at = EXCLUDED.left_out_at

-- names
SELECT s.name, site.name, d.resource_quota
FROM satellite s
JOIN site ON site.site_id = s.site_id
JOIN dictionary d ON d.site_id = s.site_id
WHERE s.site_id = %(site_id)s AND s.satellite_id = %(satellite_id)s
