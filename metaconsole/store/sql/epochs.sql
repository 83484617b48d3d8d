-- open_session
UPDATE satellite SET session = session + 1
FROM site, deployment
WHERE satellite.site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND revoked_at IS NULL
  AND site.site_id = satellite.site_id
RETURNING session, satellite.name, site.name, incarnation

-- forget_drained
WITH drained AS (
    DELETE FROM epoch_series
    WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND epoch <> ALL(%(epochs)s::uuid[])
    RETURNING epoch
)
UPDATE epoch SET series_through = 0
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND epoch IN (SELECT epoch FROM drained)

-- create_epochs
INSERT INTO epoch (site_id, satellite_id, epoch)
SELECT %(site_id)s, %(satellite_id)s, unnest(%(epochs)s::uuid[])
ON CONFLICT (site_id, satellite_id, epoch) DO NOTHING

-- find_epochs
SELECT epoch, series_through, taken FROM epoch
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND epoch = ANY(%(epochs)s::uuid[])

-- newest_session
SELECT session, revoked_at IS NOT NULL, liveness.peer
FROM satellite LEFT JOIN satellite_liveness liveness USING (site_id, satellite_id)
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s
