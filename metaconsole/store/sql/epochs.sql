-- lock_satellite
SELECT s.name, site.name, s.revoked_at, s.joined_at, s.generation, s.counter, s.nonce, s.greeted_at, s.greeted_from,
       s.greeted_version, %(nonce)s = ANY(s.superseded)
FROM satellite s JOIN site ON site.site_id = s.site_id
WHERE s.site_id = %(site_id)s AND s.satellite_id = %(satellite_id)s
FOR UPDATE OF s

-- is_served
SELECT coalesce(s.greeted_at > now() - %(greeted)s * interval '1 second'
                OR l.connected_at IS NOT NULL AND l.seen_at > now() - %(seen)s * interval '1 second', false)
FROM satellite s LEFT JOIN satellite_liveness l ON l.site_id = s.site_id AND l.satellite_id = s.satellite_id
WHERE s.site_id = %(site_id)s AND s.satellite_id = %(satellite_id)s

-- note_rival
UPDATE satellite
SET rival_at = now(), rival_nonce = %(nonce)s, rival_from = %(peer)s, rival_version = %(version)s
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s

-- open_session
UPDATE satellite
SET superseded = CASE WHEN nonce IN (%(nonce)s, '') THEN superseded ELSE (ARRAY[nonce] || superseded)[1:%(kept)s] END,
    session = session + 1, counter = %(counter)s, nonce = %(nonce)s, greeted_at = now(), greeted_from = %(peer)s,
    greeted_version = %(version)s, trust = %(trust)s, authority = %(authority)s,
    certificate_until = coalesce(%(until)s::timestamptz, certificate_until)
FROM deployment
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s
RETURNING session, incarnation

-- find_revoked
SELECT site_id, satellite_id, revoked_at FROM satellite WHERE revoked_at IS NOT NULL

-- forget_maps
-- Those of epochs that are not offered, and those that lack series for which there is room again: they are told anew,
-- as a whole, so that forget_series in retention.sql sees an epoch without a map.
WITH renewed AS (
    DELETE FROM refused_series refused
    WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND (
        epoch <> ALL(%(epochs)s::uuid[])
        OR EXISTS (
            SELECT 1 FROM dictionary d
            WHERE d.site_id = %(site_id)s AND (
                (refused.definitions > refused.for_resources AND d.series < d.quota)
                OR (refused.for_resources > 0 AND d.resources < d.resource_quota)
            )
        )
    )
    RETURNING epoch
), forgotten AS (
    DELETE FROM epoch_series
    WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s
      AND (epoch <> ALL(%(epochs)s::uuid[]) OR epoch IN (SELECT epoch FROM renewed))
    RETURNING epoch
)
UPDATE epoch SET series_through = 0
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND epoch IN (SELECT epoch FROM forgotten)

-- forget_left_out
-- The satellite tells all of its inventory again.
DELETE FROM left_out WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s

-- create_epochs
INSERT INTO epoch (site_id, satellite_id, epoch)
SELECT %(site_id)s, %(satellite_id)s, unnest(%(epochs)s::uuid[])
ON CONFLICT (site_id, satellite_id, epoch) DO NOTHING

-- spend_epochs
-- What is left grows to a day's number in a day, and never beyond.
UPDATE satellite
SET epochs_at = now(), epochs_left = least(
    %(a_day)s, epochs_left + greatest(0, extract(epoch FROM now() - epochs_at)) * %(a_day)s / 86400
) - %(created)s
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s
RETURNING epochs_left

-- note_too_many
UPDATE satellite SET epochs_refused_at = now() WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s

-- find_epochs
SELECT epoch, series_through, taken FROM epoch
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND epoch = ANY(%(epochs)s::uuid[])

-- newest_session
SELECT session, revoked_at, liveness.peer
FROM satellite LEFT JOIN satellite_liveness liveness USING (site_id, satellite_id)
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s
