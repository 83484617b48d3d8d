-- count
-- Rows of one satellite that a reader passes. What was counted before is not counted again: where the row of then is
-- there still, the frame was stored twice; where it is not, somebody took it out and the satellite sent it again. What the
-- quota left out of a stored frame is counted with the first sight of it, as samples without a range.
WITH passed AS (
    SELECT epoch, sequence, coalesce(last_sequence, sequence) AS last, coalesce(lost, '') AS reason, samples,
           refused_samples,
           sequence / %(block)s AS block, row_number() OVER (PARTITION BY epoch, sequence ORDER BY ordinal) AS place
    FROM log
    WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND ordinal > %(after)s AND ordinal <= %(through)s
      AND received_at >= %(received_from)s AND received_at <= %(received_to)s
), compared AS (
    SELECT passed.epoch, passed.block, passed.reason, int8range(sequence, last, '[]') AS range, passed.samples,
           passed.refused_samples, place = 1 AND NOT coalesce(tally.ranges + tally.recalled @> sequence, false) AS fresh,
           CASE WHEN place > 1 THEN true WHEN tally.ranges @> sequence THEN EXISTS (
               SELECT 1 FROM log before
               WHERE before.site_id = %(site_id)s AND before.satellite_id = %(satellite_id)s
                 AND before.epoch = passed.epoch AND before.sequence = passed.sequence AND before.ordinal <= %(after)s
                 AND before.received_at >= %(before_from)s AND before.received_at <= %(received_to)s
           ) ELSE false END AS again
    FROM passed
    LEFT JOIN tally ON tally.site_id = %(site_id)s AND tally.satellite_id = %(satellite_id)s
        AND tally.epoch = passed.epoch AND tally.block = passed.block AND tally.reason = passed.reason
)
INSERT INTO tally (site_id, satellite_id, epoch, block, reason, ranges, samples, again_frames, again_samples)
SELECT %(site_id)s, %(satellite_id)s, epoch, block, reason, coalesce(range_agg(range), '{}'),
       coalesce(sum(samples) FILTER (WHERE fresh), 0),
       count(*) FILTER (WHERE again), coalesce(sum(samples) FILTER (WHERE again), 0)
FROM (
    SELECT epoch, block, reason, range, samples, fresh, again FROM compared
    UNION ALL
    SELECT epoch, block, %(quota)s, NULL, refused_samples, true, false FROM compared WHERE fresh AND refused_samples > 0
) AS counted
GROUP BY epoch, block, reason
ON CONFLICT (site_id, satellite_id, epoch, block, reason) DO UPDATE SET
    ranges = tally.ranges + EXCLUDED.ranges, recalled = tally.recalled - EXCLUDED.ranges,
    samples = tally.samples + EXCLUDED.samples, again_frames = tally.again_frames + EXCLUDED.again_frames,
    again_samples = tally.again_samples + EXCLUDED.again_samples, counted_at = now()

-- give_up
-- What was recalled and is declared as lost now: of what was counted of it nothing is there. How many samples it had is
-- known of the whole row alone.
UPDATE tally
SET recalled = recalled - gone.parts,
    samples = samples - (samples * (
        SELECT coalesce(sum(upper(part) - lower(part)), 0) FROM unnest(recalled * gone.parts) AS part
    ) / greatest(1, (SELECT sum(upper(part) - lower(part)) FROM unnest(tally.ranges + recalled) AS part)))::bigint
FROM (
    SELECT epoch, range_agg(int8range(sequence, coalesce(last_sequence, sequence), '[]')) AS parts FROM log
    WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND ordinal > %(after)s AND ordinal <= %(through)s
      AND received_at >= %(received_from)s AND received_at <= %(received_to)s AND lost IS NOT NULL
    GROUP BY epoch
) AS gone
WHERE tally.site_id = %(site_id)s AND tally.satellite_id = %(satellite_id)s AND tally.epoch = gone.epoch
  AND tally.reason = '' AND tally.recalled && gone.parts

-- tell
INSERT INTO produced (site_id, satellite_id, epoch, block, first, last, samples, uncounted, from_ms, to_ms)
SELECT %(site_id)s, %(satellite_id)s, epoch, first / %(block)s, first, last, samples, uncounted, from_ms, to_ms
FROM unnest(
    %(epochs)s::uuid[], %(firsts)s::bigint[], %(lasts)s::bigint[], %(samples)s::bigint[], %(uncounted)s::bigint[],
    %(froms)s::bigint[], %(tos)s::bigint[]
) AS told (epoch, first, last, samples, uncounted, from_ms, to_ms)
ORDER BY epoch, first
ON CONFLICT (site_id, satellite_id, epoch, block) DO UPDATE SET
    first = EXCLUDED.first, last = EXCLUDED.last, samples = EXCLUDED.samples, uncounted = EXCLUDED.uncounted,
    from_ms = EXCLUDED.from_ms, to_ms = EXCLUDED.to_ms, told_at = now()
    WHERE produced.last <= EXCLUDED.last  -- what a copy of before says, which knows less, does not count

-- taken
SELECT epoch, taken FROM epoch
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND epoch = ANY(%(epochs)s::uuid[])

-- recall
UPDATE tally SET recalled = recalled + ranges * missing.parts, ranges = ranges - missing.parts
FROM (
    SELECT epoch, range_agg(int8range(first, last, '[]')) AS parts
    FROM unnest(%(epochs)s::uuid[], %(firsts)s::bigint[], %(lasts)s::bigint[]) AS part (epoch, first, last)
    GROUP BY epoch
) AS missing
WHERE tally.site_id = %(site_id)s AND tally.satellite_id = %(satellite_id)s AND tally.epoch = missing.epoch
  AND tally.reason = '' AND tally.ranges && missing.parts

-- note
INSERT INTO difference (site_id, satellite_id, epoch, first, last)
SELECT %(site_id)s, %(satellite_id)s, epoch, first, last
FROM unnest(%(epochs)s::uuid[], %(firsts)s::bigint[], %(lasts)s::bigint[]) AS part (epoch, first, last)
ON CONFLICT (site_id, satellite_id, epoch, first, last) DO NOTHING

-- bound_produced
-- What the satellite has forgotten goes after its time, and of one that tells without an end the oldest.
DELETE FROM produced USING (
    SELECT epoch, block, told_at < now() - make_interval(days => %(days)s)
           OR row_number() OVER (ORDER BY told_at DESC, to_ms DESC) > %(rows)s AS goes
    FROM produced WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s
) AS old
WHERE produced.site_id = %(site_id)s AND produced.satellite_id = %(satellite_id)s AND produced.epoch = old.epoch
  AND produced.block = old.block AND old.goes

-- bound_differences
DELETE FROM difference USING (
    SELECT epoch, first, last, row_number() OVER (ORDER BY found_at DESC, epoch, first DESC) AS place
    FROM difference WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s
) AS old
WHERE difference.site_id = %(site_id)s AND difference.satellite_id = %(satellite_id)s AND difference.epoch = old.epoch
  AND difference.first = old.first AND difference.last = old.last AND old.place > %(rows)s

-- settle
UPDATE satellite
SET reconciled_at = now(), missing_frames = %(missing)s, reconciled_samples = told.samples
FROM (
    SELECT coalesce(sum(samples), 0)::bigint AS samples FROM produced
    WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s
) AS told
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s

-- forget
DELETE FROM tally WHERE counted_at < now() - make_interval(days => %(days)s)

-- satellites
SELECT s.site_id, s.satellite_id, s.name, s.reconciled_at, coalesce(l.version, '') AS version
FROM satellite s
LEFT JOIN satellite_liveness l ON l.site_id = s.site_id AND l.satellite_id = s.satellite_id
WHERE s.site_id = %(site_id)s AND (%(name)s::text IS NULL OR s.name = %(name)s)
ORDER BY s.name

-- told
SELECT epoch, first, last, samples, uncounted, from_ms, to_ms FROM produced
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s
  AND (%(to_ms)s::bigint IS NULL OR from_ms < %(to_ms)s) AND (%(from_ms)s::bigint IS NULL OR to_ms >= %(from_ms)s)
ORDER BY from_ms, epoch, first

-- counted
SELECT epoch, block, reason, ranges, samples, again_frames, again_samples FROM tally
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND epoch = ANY(%(epochs)s::uuid[])

-- differences
SELECT epoch, first, last, found_at FROM difference
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s
ORDER BY found_at, epoch, first
