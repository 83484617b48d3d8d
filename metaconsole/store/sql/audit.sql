-- lock
SELECT pg_advisory_xact_lock(hashtextextended('nephoscope.audit', 0))

-- last
SELECT audit_id, hash FROM audit ORDER BY audit_id DESC LIMIT 1

-- append
INSERT INTO audit (audit_id, at, actor, address, action, object, detail, hash)
VALUES (%(audit_id)s, to_timestamp(%(at_ms)s / 1000.0), %(actor)s, %(address)s, %(action)s, %(object)s, %(detail)s, %(hash)s)

-- clock
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint

-- walk
SELECT audit_id, (extract(epoch FROM at) * 1000)::bigint AS at_ms, actor, address, action, object, detail, hash
FROM audit ORDER BY audit_id
