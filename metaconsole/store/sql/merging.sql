-- due
SELECT site_id, day FROM part_day
WHERE changed_at <= now() - %(quiet)s * interval '1 second' AND day < %(before)s
ORDER BY day, site_id

-- claim
SELECT day FROM part_day
WHERE site_id = %(site_id)s AND day = %(day)s AND changed_at <= now() - %(quiet)s * interval '1 second'
FOR UPDATE SKIP LOCKED

-- slabs
SELECT DISTINCT slab FROM part
WHERE site_id = %(site_id)s AND hour >= %(begin)s AND hour < %(end)s
ORDER BY slab
LIMIT %(limit)s

-- parts
SELECT hour, interval_ms, series, grids, ends, samples, content FROM part
WHERE site_id = %(site_id)s AND hour >= %(begin)s AND hour < %(end)s AND slab = ANY(%(slabs)s::bigint[])

-- part_grids
SELECT hour, grid, times FROM part_grid WHERE site_id = %(site_id)s AND hour >= %(begin)s AND hour < %(end)s

-- chunks
SELECT series_id, interval_ms, samples, grid, content FROM chunk
WHERE site_id = %(site_id)s AND day = %(day)s AND series_id = ANY(%(series)s::bigint[])

-- chunk_grids
SELECT grid, times FROM chunk_grid WHERE site_id = %(site_id)s AND day = %(day)s AND grid = ANY(%(grids)s::bigint[])

-- metrics
SELECT series_id, metric.name FROM series JOIN metric USING (metric_id)
WHERE site_id = %(site_id)s AND series_id = ANY(%(series)s::bigint[])

-- delete_parts
DELETE FROM part
WHERE site_id = %(site_id)s AND hour >= %(begin)s AND hour < %(end)s AND slab = ANY(%(slabs)s::bigint[])

-- delete_chunks
DELETE FROM chunk WHERE site_id = %(site_id)s AND day = %(day)s AND series_id = ANY(%(series)s::bigint[])

-- delete_rollups
DELETE FROM rollup WHERE site_id = %(site_id)s AND day = %(day)s AND series_id = ANY(%(series)s::bigint[])

-- keep_grids
INSERT INTO chunk_grid (site_id, day, grid, times)
SELECT %(site_id)s, %(day)s, grid, times FROM unnest(%(grids)s::bigint[], %(times)s::bytea[]) AS wanted (grid, times)
ON CONFLICT (site_id, day, grid) DO NOTHING

-- copy_chunks
COPY chunk (site_id, series_id, day, interval_ms, samples, grid, content) FROM STDIN (FORMAT BINARY)

-- copy_rollups
COPY rollup (
    site_id, series_id, day, samples, first_at, last_at, first, last, min, max, sum, increase, covered, resets, starts, held
) FROM STDIN (FORMAT BINARY)

-- delete_part_grids
DELETE FROM part_grid WHERE site_id = %(site_id)s AND hour >= %(begin)s AND hour < %(end)s

-- finish
DELETE FROM part_day WHERE site_id = %(site_id)s AND day = %(day)s
