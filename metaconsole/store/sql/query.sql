-- places
SELECT s.satellite_id, coalesce(p.ordinal, 0), coalesce(c.seen, 0), coalesce(c.through_ms, 0), s.head,
       coalesce(p.received_at, 'epoch'), (SELECT incarnation FROM deployment)
FROM satellite s
LEFT JOIN reader_position p
    ON p.site_id = s.site_id AND p.satellite_id = s.satellite_id AND p.reader = 'compactor'
LEFT JOIN compaction c ON c.site_id = s.site_id AND c.satellite_id = s.satellite_id
WHERE s.site_id = %(site)s

-- sources
SELECT DISTINCT source_id FROM resource_key
WHERE site_id = %(site)s AND resource_id = ANY(%(resources)s::uuid[])

-- hot_blocks
SELECT l.satellite_id, l.ordinal, l.source_id, wanted.metric, l.times,
       substring(l.payload FROM (l.offsets[i] + 1)::int
                 FOR (coalesce(l.offsets[i + 1], octet_length(l.payload)) - l.offsets[i])::int) AS block
FROM unnest(%(satellites)s::uuid[], %(after)s::bigint[], %(seen)s::bigint[], %(through_ms)s::bigint[])
    AS place (satellite_id, after, seen, through_ms)
JOIN log l ON l.site_id = %(site)s AND l.satellite_id = place.satellite_id AND l.ordinal > place.after
    -- The planner knows how many rows are behind a constant.
    AND l.satellite_id = ANY(%(satellites)s::uuid[]) AND l.ordinal > %(least)s
CROSS JOIN unnest(%(metrics)s::bigint[]) AS wanted (metric)
CROSS JOIN LATERAL unnest(array_positions(l.metrics, wanted.metric)) AS i
-- Found by their ordinals: an index by source leads through a day of rows for the last hour's.
WHERE l.kind = 1 AND l.source_id + 0 = ANY(%(sources)s::bigint[])
  AND l.last_ms >= %(from_ms)s AND l.first_ms < %(to_ms)s
  AND (l.ordinal > place.seen OR l.last_ms >= place.through_ms)
  AND l.received_at >= %(received_from)s::timestamptz AND l.received_at < %(received_to)s::timestamptz

-- parts
SELECT p.hour, s.series_id, p.grids[s.place], p.samples[s.place],
       substring(p.content FROM coalesce(p.ends[s.place - 1], 0) + 1
                           FOR p.ends[s.place] - coalesce(p.ends[s.place - 1], 0)) AS piece
FROM unmerged_part p
CROSS JOIN LATERAL unnest(p.series) WITH ORDINALITY AS s (series_id, place)
WHERE p.site_id = %(site)s AND p.slab = ANY(%(slabs)s::bigint[]) AND p.hour BETWEEN %(first)s AND %(last)s
  AND s.series_id = ANY(%(series)s::bigint[])
LIMIT %(limit)s

-- part_grids
SELECT g.hour, g.grid, g.times FROM part_grid g
JOIN unnest(%(whens)s::integer[], %(grids)s::bigint[]) AS wanted (hour, grid)
    ON g.site_id = %(site)s AND g.hour = wanted.hour AND g.grid = wanted.grid
WHERE g.hour BETWEEN %(first)s AND %(last)s

-- chunks
SELECT c.day, c.series_id, c.grid, c.samples, c.content AS piece FROM chunk c
WHERE c.site_id = %(site)s AND c.series_id = ANY(%(series)s::bigint[]) AND c.day BETWEEN %(first)s AND %(last)s
LIMIT %(limit)s

-- chunks_of_days
SELECT c.day, c.series_id, c.grid, c.samples, c.content AS piece FROM chunk c
JOIN unnest(%(series)s::bigint[], %(days)s::integer[]) AS wanted (series_id, day)
    ON c.site_id = %(site)s AND c.series_id = wanted.series_id AND c.day = wanted.day
WHERE c.day BETWEEN %(first)s AND %(last)s
LIMIT %(limit)s

-- chunk_grids
SELECT g.day, g.grid, g.times FROM chunk_grid g
JOIN unnest(%(whens)s::integer[], %(grids)s::bigint[]) AS wanted (day, grid)
    ON g.site_id = %(site)s AND g.day = wanted.day AND g.grid = wanted.grid
WHERE g.day BETWEEN %(first)s AND %(last)s

-- rollups
SELECT series_id, day, array_send(samples),
       CASE WHEN %(first_at)s THEN array_send(first_at) END, CASE WHEN %(last_at)s THEN array_send(last_at) END,
       CASE WHEN %(first)s THEN array_send(first) END, CASE WHEN %(last)s THEN array_send(last) END,
       CASE WHEN %(min)s THEN array_send(min) END, CASE WHEN %(max)s THEN array_send(max) END,
       CASE WHEN %(sum)s THEN array_send(sum) END, CASE WHEN %(increase)s THEN array_send(increase) END,
       CASE WHEN %(covered)s THEN array_send(covered) END, CASE WHEN %(starts)s THEN array_send(starts) END
FROM rollup
WHERE site_id = %(site)s AND series_id = ANY(%(series)s::bigint[]) AND day BETWEEN %(first_day)s AND %(last_day)s
ORDER BY series_id, day
