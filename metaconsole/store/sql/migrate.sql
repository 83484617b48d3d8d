-- lock
SELECT pg_advisory_lock(hashtextextended('nephoscope.migrate', 0))

-- unlock
SELECT pg_advisory_unlock(hashtextextended('nephoscope.migrate', 0))

-- create_table
CREATE TABLE IF NOT EXISTS schema_migration (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)

-- applied
SELECT version, name, checksum FROM schema_migration ORDER BY version

-- record
INSERT INTO schema_migration (version, name, checksum) VALUES (%(version)s, %(name)s, %(checksum)s)
