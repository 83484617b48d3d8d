-- has_citus
SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus')

-- known
SELECT logicalrelid::regclass::text FROM pg_dist_partition

-- distribute_first
SELECT create_distributed_table(%(table)s::text::regclass, 'site_id', colocate_with => 'none')

-- distribute
SELECT create_distributed_table(%(table)s::text::regclass, 'site_id', colocate_with => %(beside)s::text)

-- reference
SELECT create_reference_table(%(table)s::text::regclass)

-- foreign_keys
-- Of the tables below a site to those that every server has, while they are not spread yet.
SELECT wanted.name, conname, pg_get_constraintdef(oid)
FROM unnest(%(tables)s::text[]) AS wanted (name)
JOIN pg_constraint ON conrelid = to_regclass(wanted.name)
WHERE contype = 'f'

-- drop_foreign_key
ALTER TABLE {table} DROP CONSTRAINT {name}

-- add_foreign_key
ALTER TABLE {table} ADD CONSTRAINT {name} {definition}
