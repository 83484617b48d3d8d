-- room
SELECT quota, series FROM dictionary WHERE site_id = %(site_id)s

-- count
INSERT INTO dictionary (site_id, series) VALUES (%(site_id)s, %(series)s)
ON CONFLICT (site_id) DO UPDATE SET series = dictionary.series + EXCLUDED.series

-- sites_with_room
SELECT site_id FROM dictionary WHERE site_id = ANY(%(sites)s::bigint[]) AND series < quota

-- note_refused
INSERT INTO refused_series
    (site_id, satellite_id, epoch, definitions, source, kind, metric, label, label_values)
SELECT %(site_id)s, %(satellite_id)s, %(epoch)s, %(definitions)s, %(source)s, %(kind)s, name, %(label)s, %(label_values)s
FROM metric WHERE metric_id = %(metric_id)s
ON CONFLICT (site_id, satellite_id, epoch) DO UPDATE
    SET definitions = refused_series.definitions + EXCLUDED.definitions, refused_at = EXCLUDED.refused_at,
        source = EXCLUDED.source, kind = EXCLUDED.kind, metric = EXCLUDED.metric, label = EXCLUDED.label,
        label_values = EXCLUDED.label_values
RETURNING metric
