-- rooms
SELECT quota, series, resource_quota, resources FROM dictionary WHERE site_id = %(site_id)s

-- count
INSERT INTO dictionary (site_id, series, resources) VALUES (%(site_id)s, %(series)s, %(resources)s)
ON CONFLICT (site_id) DO UPDATE
    SET series = dictionary.series + EXCLUDED.series, resources = dictionary.resources + EXCLUDED.resources

-- have_room
-- Satellites that lack what there is room for now.
SELECT lacking.site_id, lacking.satellite_id
FROM refused_series lacking JOIN dictionary d ON d.site_id = lacking.site_id
WHERE (lacking.definitions > lacking.for_resources AND d.series < d.quota)
   OR (lacking.for_resources > 0 AND d.resources < d.resource_quota)
UNION
SELECT lacking.site_id, lacking.satellite_id
FROM left_out lacking JOIN dictionary d ON d.site_id = lacking.site_id
WHERE d.resources < d.resource_quota

-- note_refused
INSERT INTO refused_series
    (site_id, satellite_id, epoch, definitions, for_resources, source, kind, metric, label, label_values)
SELECT %(site_id)s, %(satellite_id)s, %(epoch)s, %(definitions)s, %(for_resources)s, %(source)s, %(kind)s, name,
       %(label)s, %(label_values)s
FROM metric WHERE metric_id = %(metric_id)s
ON CONFLICT (site_id, satellite_id, epoch) DO UPDATE
    SET definitions = refused_series.definitions + EXCLUDED.definitions,
        for_resources = refused_series.for_resources + EXCLUDED.for_resources, refused_at = EXCLUDED.refused_at,
        source = EXCLUDED.source, kind = EXCLUDED.kind, metric = EXCLUDED.metric, label = EXCLUDED.label,
        label_values = EXCLUDED.label_values
RETURNING metric
