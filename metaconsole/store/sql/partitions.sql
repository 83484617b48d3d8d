-- lock
SELECT pg_advisory_xact_lock(hashtextextended('nephoscope.partitions', 0))

-- lock_timeout
SET LOCAL lock_timeout = '100ms'

-- existing
SELECT parent.relname, child.relname, pg_get_expr(child.relpartbound, child.oid)
FROM unnest(%(parents)s::text[]) AS wanted (name)
JOIN pg_class parent ON parent.oid = to_regclass(wanted.name)
JOIN pg_inherits ON inhparent = parent.oid
JOIN pg_class child ON child.oid = inhrelid

-- create
-- Made by itself and attached, which writers of the parent do not notice; CREATE TABLE … PARTITION OF waits for them.
CREATE TABLE {name} (LIKE {parent} INCLUDING ALL)

-- leave_unvacuumed
-- Its rows go before they have to be frozen: a vacuum of what was only inserted would write each page once more, for
-- nothing. That of dead rows stays, and so does the one that keeps the ids of transactions from running out.
ALTER TABLE {name} SET (autovacuum_vacuum_insert_threshold = -1, toast.autovacuum_vacuum_insert_threshold = -1)

-- attach
ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})

-- drop
DROP TABLE IF EXISTS {names}
