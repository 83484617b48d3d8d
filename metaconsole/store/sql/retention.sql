-- turn
-- One process at a time keeps the storage; a connection that ends lets the next one have its turn.
SELECT pg_try_advisory_lock(hashtextextended('nephoscope.retention', 0))

-- rules
SELECT tier, site_id, metrics, days FROM retention

-- sites
SELECT site_id FROM site ORDER BY site_id

-- metrics
SELECT name, metric_id FROM metric

-- holds_unread
-- Whether a piece of the log holds a row that somebody still has to read. The readers named have to be there; the
-- others (of a machine that may be gone) count only as long as we are patient with them.
SELECT EXISTS (
    SELECT 1 FROM satellite
    CROSS JOIN LATERAL (
        SELECT least(
            CASE WHEN count(*) FILTER (WHERE reader = ANY(%(readers)s::text[])) < cardinality(%(readers)s::text[])
                 THEN 0 ELSE min(ordinal) FILTER (WHERE reader = ANY(%(readers)s::text[])) END,
            min(ordinal) FILTER (WHERE %(patient)s::boolean)
        ) AS ordinal
        FROM reader_position position
        WHERE position.site_id = satellite.site_id AND position.satellite_id = satellite.satellite_id
    ) AS passed
    WHERE EXISTS (
        SELECT 1 FROM {piece} held
        WHERE held.site_id = satellite.site_id AND held.satellite_id = satellite.satellite_id
          AND held.ordinal > passed.ordinal
    )
)

-- forget_readers
-- Positions of others whose next row has left the log: they waited for more than we are patient.
DELETE FROM reader_position position USING satellite
WHERE position.site_id = satellite.site_id AND position.satellite_id = satellite.satellite_id
  AND position.reader <> ALL(%(readers)s::text[]) AND position.ordinal < satellite.head
  AND position.received_at < %(before)s
  AND NOT EXISTS (
      SELECT 1 FROM log
      WHERE log.site_id = position.site_id AND log.satellite_id = position.satellite_id
        AND log.ordinal = position.ordinal + 1
  )

-- note_lost
-- What is too old and was never compacted is a gap.
INSERT INTO gap (site_id, satellite_id, from_ms, to_ms, reason, detail)
SELECT lost.site_id, lost.satellite_id, min(lost.first_ms), max(lost.last_ms) + 1, 'dropped', %(detail)s::text
FROM {piece} lost
LEFT JOIN reader_position position ON position.site_id = lost.site_id AND position.satellite_id = lost.satellite_id
    AND position.reader = 'compactor'
WHERE lost.kind = 1 AND lost.ordinal > coalesce(position.ordinal, 0)
GROUP BY lost.site_id, lost.satellite_id

-- pass_lost
INSERT INTO reader_position (site_id, reader, satellite_id, ordinal, received_at)
SELECT site_id, reader, satellite_id, ordinal, received_at
FROM (
    SELECT site_id, satellite_id, max(ordinal) AS ordinal, max(received_at) AS received_at
    FROM {piece} GROUP BY site_id, satellite_id
) AS lost
CROSS JOIN unnest(%(readers)s::text[]) AS passing (reader)
WHERE true  -- so that ON below can't be taken for the join's
ON CONFLICT (site_id, reader, satellite_id) DO UPDATE
    SET ordinal = EXCLUDED.ordinal, received_at = EXCLUDED.received_at
    WHERE reader_position.ordinal < EXCLUDED.ordinal

-- see_lost
UPDATE compaction SET seen = greatest(seen, lost.ordinal)
FROM (SELECT site_id, satellite_id, max(ordinal) AS ordinal FROM {piece} GROUP BY site_id, satellite_id) AS lost
WHERE compaction.site_id = lost.site_id AND compaction.satellite_id = lost.satellite_id

-- needs_parts
-- Whether days have parts that are not merged, or that somebody may still read who began before they were.
SELECT EXISTS (
    SELECT 1 FROM part_day
    WHERE day >= %(begin)s AND day < %(end)s AND (waits OR round > merging OR changed_at > %(before)s)
)

-- hold_days
-- Whoever writes parts has written to this table before, in the same transaction.
LOCK TABLE part_day IN SHARE ROW EXCLUSIVE MODE

-- forget_days
DELETE FROM part_day WHERE day >= %(begin)s AND day < %(end)s

-- page_of_metrics
SELECT series_id FROM series
WHERE site_id = %(site_id)s AND series_id > %(after)s AND metric_id = ANY(%(metrics)s::bigint[])
ORDER BY series_id LIMIT %(limit)s

-- delete_raw
DELETE FROM chunk WHERE site_id = %(site_id)s AND series_id = ANY(%(series)s::bigint[]) AND day < %(day)s

-- delete_rollup
DELETE FROM rollup WHERE site_id = %(site_id)s AND series_id = ANY(%(series)s::bigint[]) AND day < %(day)s

-- delete_event
DELETE FROM event USING (
    SELECT event_id FROM event WHERE site_id = %(site_id)s AND at < %(before)s ORDER BY at LIMIT %(limit)s
) AS old
WHERE event.site_id = %(site_id)s AND event.event_id = old.event_id

-- delete_gap
DELETE FROM gap USING (
    SELECT gap_id FROM gap
    WHERE site_id = %(site_id)s AND to_ms < (extract(epoch FROM %(before)s::timestamptz) * 1000)::bigint
    ORDER BY to_ms LIMIT %(limit)s
) AS old
WHERE gap.site_id = %(site_id)s AND gap.gap_id = old.gap_id

-- delete_quarantine
DELETE FROM quarantine USING (
    SELECT satellite_id, epoch, sequence FROM quarantine
    WHERE site_id = %(site_id)s AND refused_at < %(before)s ORDER BY refused_at LIMIT %(limit)s
) AS old
WHERE quarantine.site_id = %(site_id)s AND quarantine.satellite_id = old.satellite_id
  AND quarantine.epoch = old.epoch AND quarantine.sequence = old.sequence

-- page_of_series
SELECT series_id, first_seen < %(before)s
       AND NOT EXISTS (SELECT 1 FROM chunk WHERE chunk.site_id = %(site_id)s AND chunk.series_id = page.series_id)
       AND NOT EXISTS (SELECT 1 FROM rollup WHERE rollup.site_id = %(site_id)s AND rollup.series_id = page.series_id)
       AND NOT EXISTS (
           SELECT 1 FROM unmerged_part part WHERE part.site_id = %(site_id)s AND part.slab = page.series_id / %(slab)s
                                            AND page.series_id = ANY(part.series)
       ) AS silent
FROM (
    SELECT series_id, first_seen FROM series
    WHERE site_id = %(site_id)s AND series_id > %(after)s ORDER BY series_id LIMIT %(limit)s
) AS page
ORDER BY series_id

-- mapped_series
SELECT DISTINCT unnest(series_ids) FROM epoch_series WHERE site_id = %(site_id)s

-- forget_series
-- All in one snapshot: a series that a map named is safe until the map is gone; what was sent under that map is then
-- in rows of an epoch without one, and nothing leaves the site's dictionary while the compactor has such rows before it.
DELETE FROM series
WHERE site_id = %(site_id)s AND series_id = ANY(%(series)s::bigint[])
  AND NOT EXISTS (SELECT 1 FROM chunk WHERE chunk.site_id = series.site_id AND chunk.series_id = series.series_id)
  AND NOT EXISTS (SELECT 1 FROM rollup WHERE rollup.site_id = series.site_id AND rollup.series_id = series.series_id)
  AND NOT EXISTS (
      SELECT 1 FROM unmerged_part part WHERE part.site_id = series.site_id AND part.slab = series.series_id / %(slab)s
                                       AND series.series_id = ANY(part.series)
  )
  AND series_id NOT IN (SELECT unnest(series_ids) FROM epoch_series WHERE site_id = %(site_id)s)
  AND NOT EXISTS (
      SELECT 1 FROM satellite
      LEFT JOIN reader_position position ON position.site_id = satellite.site_id
          AND position.satellite_id = satellite.satellite_id AND position.reader = 'compactor'
      JOIN log ON log.site_id = satellite.site_id AND log.satellite_id = satellite.satellite_id AND log.kind = 1
          AND log.ordinal > coalesce(position.ordinal, 0)
          AND log.received_at >= coalesce(position.received_at, 'epoch') - interval '1 hour'
      WHERE satellite.site_id = %(site_id)s AND NOT EXISTS (
          SELECT 1 FROM epoch_series mapped
          WHERE mapped.site_id = log.site_id AND mapped.satellite_id = log.satellite_id AND mapped.epoch = log.epoch
      )
  )

-- list_rules
SELECT tier, site.name, metrics, days
FROM retention LEFT JOIN site ON site.site_id = retention.site_id
ORDER BY tier, site.name NULLS FIRST, metrics NULLS FIRST

-- set_rule
INSERT INTO retention (tier, site_id, metrics, days) VALUES (%(tier)s, %(site_id)s, %(metrics)s, %(days)s)
ON CONFLICT (tier, site_id, metrics) DO UPDATE SET days = EXCLUDED.days

-- forget_rule
DELETE FROM retention
WHERE tier = %(tier)s AND site_id IS NOT DISTINCT FROM %(site_id)s::bigint
  AND metrics IS NOT DISTINCT FROM %(metrics)s::text

-- find_site
SELECT site_id FROM site WHERE name = %(name)s
