-- budget
SELECT site_id, backfill_kbit, backfill_from, backfill_to FROM site
WHERE name = %(name)s AND (%(sites)s::bigint[] IS NULL OR site_id = ANY(%(sites)s))

-- set_budget
UPDATE site SET backfill_kbit = %(kbit)s, backfill_from = %(from_minute)s, backfill_to = %(to_minute)s
WHERE site_id = %(site_id)s

-- series
SELECT quota, series FROM dictionary WHERE site_id = %(site_id)s

-- set_quota
INSERT INTO dictionary (site_id, quota) VALUES (%(site_id)s, %(quota)s)
ON CONFLICT (site_id) DO UPDATE SET quota = EXCLUDED.quota
