-- has_citus
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')

-- known
SELECT logicalrelid::regclass::text FROM pg_dist_partition

-- distribute_first
SELECT create_distributed_table(%(table)s::text::regclass, 'site_id', colocate_with => 'none')

-- distribute
SELECT create_distributed_table(%(table)s::text::regclass, 'site_id', colocate_with => %(beside)s::text)

-- reference
SELECT create_reference_table(%(table)s::text::regclass)
