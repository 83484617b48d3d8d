-- load
SELECT site_id, backfill_kbit, backfill_from, backfill_to FROM site
WHERE (backfill_kbit, backfill_from, backfill_to) <> (0, 0, 0)
