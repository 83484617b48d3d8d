-- create_positions
INSERT INTO reader_position (site_id, reader, satellite_id)
SELECT site_id, %(reader)s, satellite_id FROM satellite
WHERE NOT EXISTS (
    SELECT 1 FROM reader_position known
    WHERE known.site_id = satellite.site_id AND known.reader = %(reader)s
      AND known.satellite_id = satellite.satellite_id
)
ON CONFLICT (site_id, reader, satellite_id) DO NOTHING

-- sites_behind
SELECT DISTINCT site_id FROM reader_position position
JOIN satellite USING (site_id, satellite_id)
WHERE reader = %(reader)s AND position.ordinal < satellite.head
ORDER BY site_id

-- rewind
INSERT INTO reader_position (site_id, reader, satellite_id, ordinal, received_at)
SELECT satellite.site_id, %(reader)s, satellite.satellite_id, coalesce(first.ordinal - 1, satellite.head), first.begins
FROM satellite
CROSS JOIN LATERAL (
    SELECT min(ordinal) AS ordinal, now() - make_interval(secs => %(seconds)s) AS begins FROM log
    WHERE log.site_id = satellite.site_id AND log.satellite_id = satellite.satellite_id
      AND received_at >= now() - make_interval(secs => %(seconds)s)
) AS first
WHERE true  -- so that ON below can't be taken for the join's
ON CONFLICT (site_id, reader, satellite_id) DO UPDATE
    SET ordinal = EXCLUDED.ordinal, received_at = EXCLUDED.received_at

-- forgo_durability
SET synchronous_commit = off

-- claim
SELECT satellite_id, position.ordinal, position.received_at, satellite.head
FROM reader_position position
JOIN satellite USING (site_id, satellite_id)
WHERE site_id = %(site_id)s AND reader = %(reader)s AND position.ordinal < satellite.head
ORDER BY satellite_id
FOR UPDATE OF position SKIP LOCKED

-- read
SELECT ordinal, received_at, kind, interval_ms, offsets,
       CASE WHEN kind = ANY(%(kinds)s::smallint[]) THEN times ELSE '' END,
       CASE WHEN kind = ANY(%(kinds)s::smallint[]) THEN octet_length(payload) ELSE 0 END
FROM (
    SELECT *, sum(CASE WHEN kind = ANY(%(kinds)s::smallint[]) THEN octet_length(payload) ELSE 0 END)
                  OVER (ORDER BY ordinal) AS bytes
    FROM (
        SELECT * FROM log
        WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND ordinal > %(after)s
          -- Partitions are made two days ahead: without an end each of them is looked into.
          AND received_at >= CASE WHEN %(near)s THEN %(received_at)s::timestamptz - interval '1 hour'
                                  ELSE '-infinity' END
          AND received_at < CASE WHEN %(near)s THEN now() + interval '1 hour' ELSE 'infinity' END
        ORDER BY ordinal LIMIT %(rows)s
    ) AS next
) AS counted
WHERE bytes <= %(bytes)s OR ordinal = %(after)s + 1
ORDER BY ordinal

-- payloads
-- One value of sixteen rows: a message per row would wake the client up for every 8 KiB, one of all is copied too often.
SELECT string_agg(payload, '' ORDER BY ordinal)
FROM log
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND ordinal > %(after)s AND ordinal <= %(last)s
  AND received_at >= CASE WHEN %(near)s THEN %(received_at)s::timestamptz - interval '1 hour' ELSE '-infinity' END
  AND received_at < CASE WHEN %(near)s THEN now() + interval '1 hour' ELSE 'infinity' END
  AND kind = ANY(%(kinds)s::smallint[])
GROUP BY ordinal / 16
ORDER BY ordinal / 16

-- advance
UPDATE reader_position SET ordinal = %(ordinal)s, received_at = %(received_at)s
WHERE site_id = %(site_id)s AND reader = %(reader)s AND satellite_id = %(satellite_id)s

-- listen
LISTEN nephoscope_log

-- notify_live
NOTIFY nephoscope_live
