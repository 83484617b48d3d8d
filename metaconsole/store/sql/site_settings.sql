-- budget
SELECT site_id, backfill_kbit, backfill_from, backfill_to FROM site
WHERE name = %(name)s AND (%(sites)s::bigint[] IS NULL OR site_id = ANY(%(sites)s))

-- set_budget
UPDATE site SET backfill_kbit = %(kbit)s, backfill_from = %(from_minute)s, backfill_to = %(to_minute)s
WHERE site_id = %(site_id)s

-- rooms
SELECT quota, series, resource_quota, resources FROM dictionary WHERE site_id = %(site_id)s

-- set_quotas
INSERT INTO dictionary (site_id, quota, resource_quota) VALUES (%(site_id)s, %(series)s, %(resources)s)
ON CONFLICT (site_id) DO UPDATE SET quota = EXCLUDED.quota, resource_quota = EXCLUDED.resource_quota
