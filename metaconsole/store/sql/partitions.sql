-- lock
SELECT pg_advisory_xact_lock(hashtextextended('nephoscope.partitions', 0))

-- existing
SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid WHERE inhparent = 'log'::regclass

-- create
CREATE TABLE IF NOT EXISTS {name} PARTITION OF log FOR VALUES FROM ({begin}) TO ({end})
