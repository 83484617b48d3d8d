-- create_account
INSERT INTO account (name, password_hash) VALUES (%(name)s, %(password_hash)s)
ON CONFLICT (name) DO NOTHING
RETURNING account_id

-- bind_role
INSERT INTO role_binding (account_id, role, site_id)
VALUES (%(account_id)s, %(role)s, %(site_id)s)
ON CONFLICT DO NOTHING

-- site_by_name
SELECT site_id FROM site WHERE name = %(name)s

-- account_by_name
SELECT account_id, name, password_hash, locale, disabled_at IS NOT NULL AS disabled
FROM account WHERE name = %(name)s

-- set_password_hash
UPDATE account SET password_hash = %(password_hash)s WHERE account_id = %(account_id)s

-- set_locale
UPDATE account SET locale = %(locale)s WHERE account_id = %(account_id)s

-- create_link
INSERT INTO sign_in_link (token_hash, account_id, expires_at)
VALUES (%(token_hash)s, %(account_id)s, now() + %(minutes)s * interval '1 minute')

-- consume_link
UPDATE sign_in_link l SET used_at = now()
FROM account a
WHERE l.token_hash = %(token_hash)s AND l.used_at IS NULL AND l.expires_at > now()
  AND a.account_id = l.account_id AND a.disabled_at IS NULL
RETURNING a.account_id, a.name

-- forget_links
DELETE FROM sign_in_link WHERE expires_at < now() - interval '1 day'

-- create_session
INSERT INTO web_session (token_hash, account_id, expires_at)
VALUES (%(token_hash)s, %(account_id)s, now() + %(hours)s * interval '1 hour')

-- find_session
SELECT a.account_id, a.name, a.locale, s.seen_at < now() - interval '1 minute' AS is_idle,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(b.role, b.site_id)), '[]') FROM role_binding b
        WHERE b.account_id = a.account_id) AS roles
FROM web_session s JOIN account a USING (account_id)
WHERE s.token_hash = %(token_hash)s AND s.expires_at > now()
  AND s.seen_at > now() - %(idle_hours)s * interval '1 hour' AND a.disabled_at IS NULL

-- touch_session
UPDATE web_session SET seen_at = now() WHERE token_hash = %(token_hash)s

-- end_session
DELETE FROM web_session WHERE token_hash = %(token_hash)s

-- forget_sessions
DELETE FROM web_session WHERE expires_at < now() OR seen_at < now() - %(idle_hours)s * interval '1 hour'

-- create_token
INSERT INTO api_token (name, token_hash, scope) VALUES (%(name)s, %(token_hash)s, %(scope)s)
ON CONFLICT (name) DO NOTHING
RETURNING token_id

-- find_token
SELECT token_id, name, scope, used_at IS NULL OR used_at < now() - interval '1 minute' AS is_idle
FROM api_token
WHERE token_hash = %(token_hash)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())

-- touch_token
UPDATE api_token SET used_at = now() WHERE token_id = %(token_id)s

-- lock_attempts
SELECT pg_advisory_xact_lock(hashtextextended('nephoscope.sign_in.' || %(key)s, 0))

-- failures_by_name
SELECT count(*), coalesce(extract(epoch FROM now() - max(at)), 0)::float8
FROM sign_in_attempt
WHERE name = %(name)s AND NOT succeeded AND at > greatest(
        now() - interval '1 hour',
        (SELECT max(good.at) FROM sign_in_attempt good WHERE good.name = %(name)s AND good.succeeded))

-- failures_by_address
SELECT count(*), coalesce(extract(epoch FROM now() - max(at)), 0)::float8
FROM sign_in_attempt
WHERE address = %(address)s AND NOT succeeded AND at > now() - interval '1 hour'

-- record_attempt
INSERT INTO sign_in_attempt (name, address, succeeded) VALUES (%(name)s, %(address)s, %(succeeded)s)

-- forget_attempt
DELETE FROM sign_in_attempt WHERE ctid = (
    SELECT ctid FROM sign_in_attempt
    WHERE name = %(name)s AND address = %(address)s AND NOT succeeded ORDER BY at DESC LIMIT 1)

-- forget_old_attempts
DELETE FROM sign_in_attempt WHERE at < now() - interval '1 day'
