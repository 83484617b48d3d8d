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

-- attach
ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})

-- drop
DROP TABLE IF EXISTS {names}

-- hold_writers
LOCK TABLE {name} IN SHARE MODE

-- has_rows
SELECT EXISTS (SELECT FROM {name})
