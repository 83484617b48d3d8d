-- names_in_use
SELECT name FROM satellite WHERE site_id = %(site_id)s
UNION
SELECT name FROM join_token WHERE site_id = %(site_id)s AND used_at IS NULL AND expires_at > now()

-- create_token
INSERT INTO join_token (token_hash, site_id, satellite_id, name, host, uplinks, created_by, expires_at)
VALUES (%(token_hash)s, %(site_id)s, %(satellite_id)s, %(name)s, %(host)s, %(uplinks)s::text[], %(created_by)s,
        now() + %(hours)s * interval '1 hour')
RETURNING (extract(epoch FROM expires_at) * 1000)::bigint

-- forget_tokens
-- Long after a token's end nobody asks any more why it is refused.
DELETE FROM join_token WHERE expires_at < now() - interval '30 days'

-- consume_token
UPDATE join_token SET used_at = now(), used_from = %(peer)s
WHERE site_id = %(site_id)s AND token_hash = %(token_hash)s AND used_at IS NULL AND expires_at > now()
RETURNING satellite_id, name, host, uplinks, created_by

-- find_token
SELECT name, satellite_id, used_at, used_from, expires_at FROM join_token
WHERE site_id = %(site_id)s AND token_hash = %(token_hash)s

-- find_site
SELECT site_id FROM site WHERE name = %(site)s

-- find_satellite
SELECT satellite_id FROM satellite WHERE site_id = %(site_id)s AND name = %(name)s

-- find_by_id
SELECT s.site_id, site.name, s.name FROM satellite s JOIN site ON site.site_id = s.site_id
WHERE s.satellite_id = %(satellite_id)s

-- create_satellite
INSERT INTO satellite (site_id, name, joined_at) VALUES (%(site_id)s, %(name)s, now())
ON CONFLICT (site_id, name) DO NOTHING
RETURNING satellite_id, generation

-- take_back
-- The session that is open ends, the counter begins anew, and certificates of before are worth nothing any more.
UPDATE satellite
SET generation = generation + 1, session = session + 1, revoked_at = NULL, revoked_by = '', counter = 0, nonce = '',
    superseded = '{}', rival_at = NULL, joined_at = now()
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s
RETURNING satellite_id, generation

-- certified
UPDATE satellite SET certificate_until = %(until)s, authority = %(authority)s
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s

-- may_renew
SELECT s.name, site.name, s.revoked_at, s.generation FROM satellite s JOIN site ON site.site_id = s.site_id
WHERE s.site_id = %(site_id)s AND s.satellite_id = %(satellite_id)s
FOR UPDATE OF s

-- generation
SELECT generation FROM satellite WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s

-- revoke
UPDATE satellite SET revoked_at = now(), revoked_by = %(actor)s
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND revoked_at IS NULL
RETURNING name

-- revoke_tokens
UPDATE join_token SET expires_at = now()
WHERE site_id = %(site_id)s AND satellite_id = %(satellite_id)s AND used_at IS NULL AND expires_at > now()

-- lacking
-- The active satellites that do not trust the bundle yet, or are still signed by another authority.
SELECT site.name, s.name, (extract(epoch FROM s.certificate_until) * 1000)::bigint
FROM satellite s JOIN site ON site.site_id = s.site_id
WHERE s.revoked_at IS NULL AND s.certificate_until > now()
  AND (s.trust <> %(trust)s OR s.authority <> %(authority)s)
ORDER BY site.name, s.name

-- open_tokens
SELECT t.site_id, encode(substring(t.token_hash FROM 1 FOR 8), 'hex') AS id, site.name AS site, t.name AS satellite,
       t.satellite_id IS NOT NULL AS takes_back, t.created_by,
       (extract(epoch FROM t.created_at) * 1000)::bigint AS created,
       (extract(epoch FROM t.expires_at) * 1000)::bigint AS expires
FROM join_token t JOIN site ON site.site_id = t.site_id
WHERE t.used_at IS NULL AND t.expires_at > now() AND (%(sites)s::bigint[] IS NULL OR t.site_id = ANY(%(sites)s))
ORDER BY site.name, t.created_at DESC

-- withdraw_token
UPDATE join_token SET expires_at = now()
WHERE site_id = %(site_id)s AND encode(substring(token_hash FROM 1 FOR 8), 'hex') = %(token_id)s
  AND used_at IS NULL AND expires_at > now()
