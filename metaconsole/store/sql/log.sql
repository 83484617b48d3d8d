-- lock_satellites
SELECT site_id, satellite_id, head, CASE WHEN revoked_at IS NULL THEN session ELSE -1 END
FROM satellite
WHERE site_id = %(site_id)s AND satellite_id = ANY(%(satellites)s)
ORDER BY satellite_id
FOR UPDATE

-- find_taken
SELECT coalesce(epoch.taken @> int8range(first, last, '[]'), false), clock_timestamp()
FROM unnest(%(sites)s::bigint[], %(satellites)s::uuid[], %(epochs)s::uuid[], %(firsts)s::bigint[], %(lasts)s::bigint[])
    WITH ORDINALITY AS wanted (site_id, satellite_id, epoch, first, last, place)
LEFT JOIN epoch USING (site_id, satellite_id, epoch)
ORDER BY place

-- settle
WITH taken AS (
    INSERT INTO epoch (site_id, satellite_id, epoch, taken)
    SELECT site_id, satellite_id, epoch, range_agg(int8range(first, last, '[]'))
    FROM unnest(
        %(sites)s::bigint[], %(satellites)s::uuid[], %(epochs)s::uuid[], %(firsts)s::bigint[], %(lasts)s::bigint[]
    ) AS wanted (site_id, satellite_id, epoch, first, last)
    GROUP BY site_id, satellite_id, epoch
    ORDER BY site_id, satellite_id, epoch
    ON CONFLICT (site_id, satellite_id, epoch) DO UPDATE SET taken = epoch.taken + EXCLUDED.taken
)
UPDATE satellite SET head = wanted.head
FROM unnest(%(head_sites)s::bigint[], %(head_satellites)s::uuid[], %(heads)s::bigint[])
    AS wanted (site_id, satellite_id, head)
WHERE satellite.site_id = wanted.site_id AND satellite.satellite_id = wanted.satellite_id

-- copy
COPY log (
    site_id, satellite_id, ordinal, received_at, epoch, sequence, lane, kind, source_id, plan, interval_ms,
    first_ms, last_ms, samples, metrics, offsets, times, payload, clock_offset_ms,
    last_sequence, lost, refused_samples
) FROM STDIN (FORMAT BINARY)

-- quarantine
INSERT INTO quarantine (site_id, satellite_id, epoch, sequence, reason, detail, content)
SELECT site_id, satellite_id, epoch, sequence, reason, detail, content
FROM unnest(
    %(sites)s::bigint[], %(satellites)s::uuid[], %(epochs)s::uuid[], %(firsts)s::bigint[],
    %(reasons)s::text[], %(details)s::text[], %(contents)s::bytea[]
) AS refused (site_id, satellite_id, epoch, sequence, reason, detail, content)
ON CONFLICT (site_id, satellite_id, epoch, sequence) DO NOTHING

-- bound_quarantine
DELETE FROM quarantine USING (
    SELECT site_id, satellite_id, epoch, sequence,
           row_number() OVER (PARTITION BY site_id, satellite_id ORDER BY refused_at DESC, sequence DESC) AS place
    FROM quarantine
    WHERE (site_id, satellite_id) IN (SELECT * FROM unnest(%(sites)s::bigint[], %(satellites)s::uuid[]))
) AS old
WHERE old.place > %(limit)s AND quarantine.site_id = old.site_id AND quarantine.satellite_id = old.satellite_id
  AND quarantine.epoch = old.epoch AND quarantine.sequence = old.sequence

-- notify
NOTIFY nephoscope_log
