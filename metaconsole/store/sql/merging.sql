-- due
-- A merge that was begun goes on at once.
SELECT site_id, day FROM part_day
WHERE day < %(before)s AND (round > merging OR (waits AND changed_at <= now() - %(quiet)s * interval '1 second'))
ORDER BY day, site_id

-- claim
SELECT merging, slab, round > merging FROM part_day
WHERE site_id = %(site_id)s AND day = %(day)s
  AND (round > merging OR (waits AND changed_at <= now() - %(quiet)s * interval '1 second'))
FOR UPDATE SKIP LOCKED

-- begin
UPDATE part_day SET round = merging + 1, waits = false WHERE site_id = %(site_id)s AND day = %(day)s

-- slabs
SELECT DISTINCT slab FROM part
WHERE site_id = %(site_id)s AND hour >= %(begin)s AND hour < %(end)s AND round = %(round)s AND slab > %(after)s
ORDER BY slab
LIMIT %(limit)s

-- parts
-- One value of all rows for each column, since numpy reads them at once; all in the same order, whichever it is.
SELECT string_agg(int4send(hour), ''), string_agg(int4send(interval_ms), ''),
       string_agg(int4send(cardinality(series)), ''),
       string_agg(array_send(series), ''), string_agg(array_send(grids), ''), string_agg(array_send(ends), ''),
       string_agg(array_send(samples), ''), string_agg(array_send(first_at), ''), string_agg(array_send(first), ''),
       string_agg(array_send(last_at), ''), string_agg(array_send(last), ''), string_agg(array_send(min), ''),
       string_agg(array_send(max), ''), string_agg(array_send(sum), ''), string_agg(array_send(starts), ''),
       string_agg(array_send(increase), ''), string_agg(array_send(covered), ''), string_agg(array_send(resets), ''),
       jsonb_agg(held), string_agg(content, '')
FROM part
WHERE site_id = %(site_id)s AND hour >= %(begin)s AND hour < %(end)s AND round = %(round)s
  AND slab > %(after)s AND slab <= %(through)s

-- part_grids
SELECT g.hour, g.grid, g.times FROM part_grid g
JOIN unnest(%(hours)s::integer[], %(grids)s::bigint[]) AS wanted (hour, grid)
    ON g.site_id = %(site_id)s AND g.hour = wanted.hour AND g.grid = wanted.grid
WHERE g.hour >= %(begin)s AND g.hour < %(end)s

-- chunks
SELECT series_id, interval_ms, samples, grid, content FROM chunk
WHERE site_id = %(site_id)s AND day = %(day)s AND series_id = ANY(%(series)s::bigint[])

-- chunk_grids
SELECT grid, times FROM chunk_grid WHERE site_id = %(site_id)s AND day = %(day)s AND grid = ANY(%(grids)s::bigint[])

-- metrics
SELECT series_id, metric.name FROM series JOIN metric USING (metric_id)
WHERE site_id = %(site_id)s AND series_id = ANY(%(series)s::bigint[])

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

-- move
UPDATE part_day SET slab = %(through)s WHERE site_id = %(site_id)s AND day = %(day)s

-- finish
UPDATE part_day SET merging = round, slab = -1, changed_at = now() WHERE site_id = %(site_id)s AND day = %(day)s
