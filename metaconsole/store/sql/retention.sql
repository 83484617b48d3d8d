-- holds_unread
-- Whether a piece of the log holds a row that somebody still has to read. The readers named have to be there; the
-- others (of a machine that may be gone) count only as long as we are patient with them.
SELECT EXISTS (
    SELECT FROM satellite
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
        SELECT FROM {piece} held
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
      SELECT FROM log
      WHERE log.site_id = position.site_id AND log.satellite_id = position.satellite_id
        AND log.ordinal = position.ordinal + 1
  )
