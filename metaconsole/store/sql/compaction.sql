-- due
SELECT DISTINCT satellite.site_id
FROM satellite
LEFT JOIN reader_position position
    ON position.site_id = satellite.site_id AND position.satellite_id = satellite.satellite_id
   AND position.reader = %(reader)s
LEFT JOIN compaction
    ON compaction.site_id = satellite.site_id AND compaction.satellite_id = satellite.satellite_id
WHERE satellite.head > coalesce(position.ordinal, 0)
  AND (coalesce(compaction.through_ms, 0) < %(boundary_ms)s
       OR satellite.head - coalesce(compaction.seen, 0) >= %(rows)s)
ORDER BY satellite.site_id

-- state
SELECT through_ms, seen FROM compaction WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s

-- new_rows
SELECT ordinal, received_at, kind, source_id, interval_ms, first_ms, last_ms, samples, metrics, offsets, times
FROM log
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND ordinal > %(after)s
  AND received_at >= %(received_at)s::timestamptz - interval '1 hour'
ORDER BY ordinal
LIMIT %(rows)s

-- late_samples
SELECT coalesce(sum(samples), 0)::bigint FROM log
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND ordinal > %(after)s
  AND received_at >= %(received_at)s::timestamptz - interval '1 hour'
  AND kind = 1 AND first_ms < %(through_ms)s

-- held_rows
SELECT ordinal, received_at, kind, source_id, interval_ms, first_ms, last_ms, samples, metrics, offsets, times
FROM log
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND ordinal > %(after)s AND ordinal <= %(seen)s
  AND received_at >= %(received_at)s::timestamptz - interval '1 hour'
  AND kind = 1 AND last_ms >= %(through_ms)s
ORDER BY ordinal

-- blocks
-- One value of all rows: a message per row would wake the client up for every 8 KiB of them.
SELECT string_agg(substring(payload FROM begin + 1 FOR size), '')
FROM (
    SELECT log.payload, wanted.begin, wanted.size
    FROM log
    JOIN unnest(%(ordinals)s::bigint[], %(begins)s::integer[], %(sizes)s::integer[])
        WITH ORDINALITY AS wanted (ordinal, begin, size, place)
        ON wanted.ordinal = log.ordinal
    WHERE log.site_id = %(site_id)s AND log.satellite_id = %(satellite_id)s
      AND log.ordinal >= %(first)s AND log.ordinal <= %(last)s
      AND log.received_at >= %(received_from)s AND log.received_at <= %(received_to)s
    ORDER BY wanted.place
) AS block

-- received_at
SELECT received_at FROM log
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND ordinal = %(ordinal)s
  AND received_at >= %(received_at)s::timestamptz - interval '1 hour'

-- touch_days
INSERT INTO part_day (site_id, day, changed_at)
SELECT %(site_id)s, unnest(%(days)s::integer[]) AS day, now() ORDER BY day
ON CONFLICT (site_id, day) DO UPDATE SET changed_at = EXCLUDED.changed_at, waits = true
RETURNING day, round

-- keep_grids
INSERT INTO part_grid (site_id, hour, grid, times)
SELECT %(site_id)s, hour, grid, times
FROM unnest(%(hours)s::integer[], %(grids)s::bigint[], %(times)s::bytea[]) AS wanted (hour, grid, times)
ON CONFLICT (site_id, hour, grid) DO NOTHING

-- copy_parts
COPY part (
    site_id, slab, hour, round, interval_ms, series, grids, ends, samples, first_at, last_at, first, last, min, max, sum,
    increase, covered, resets, starts, held, content
) FROM STDIN (FORMAT BINARY)

-- settle
INSERT INTO compaction (site_id, satellite_id, through_ms, seen)
VALUES (%(site_id)s, %(satellite_id)s, %(through_ms)s, %(seen)s)
ON CONFLICT (site_id, satellite_id) DO UPDATE SET through_ms = EXCLUDED.through_ms, seen = EXCLUDED.seen
