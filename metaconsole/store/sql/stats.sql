-- tables
-- Every relation of ours with what it takes on disk: a partition counts for its table, an identity's sequence for the
-- table that it numbers, a toast table and its index as toast.
SELECT coalesce(parent.relname, numbered.relname, relation.relname) AS name,
       count(inherited.inhrelid) AS partitions,
       sum(pg_table_size(relation.oid) - coalesce(pg_total_relation_size(nullif(relation.reltoastrelid, 0)), 0))::bigint
           AS heap,
       sum(pg_indexes_size(relation.oid))::bigint AS indexes,
       coalesce(sum(pg_total_relation_size(nullif(relation.reltoastrelid, 0))), 0)::bigint AS toast
FROM pg_class relation
JOIN pg_namespace space ON space.oid = relation.relnamespace
LEFT JOIN pg_inherits inherited ON inherited.inhrelid = relation.oid
LEFT JOIN pg_class parent ON parent.oid = inherited.inhparent
LEFT JOIN pg_depend depends ON relation.relkind = 'S' AND depends.objid = relation.oid
    AND depends.classid = 'pg_class'::regclass AND depends.refclassid = 'pg_class'::regclass
    AND depends.deptype IN ('a', 'i')
LEFT JOIN pg_class numbered ON numbered.oid = depends.refobjid
WHERE relation.relkind IN ('r', 'p', 'm', 'S') AND relation.relpersistence <> 't'
  AND space.nspname NOT IN ('pg_catalog', 'information_schema')
GROUP BY 1
ORDER BY 1

-- database
SELECT pg_database_size(current_database()),
       (SELECT sum(pg_total_relation_size(relation.oid)) FROM pg_class relation
        JOIN pg_namespace space ON space.oid = relation.relnamespace
        WHERE relation.relkind IN ('r', 'm') AND NOT relation.relisshared
          AND space.nspname IN ('pg_catalog', 'information_schema'))::bigint

-- columns
SELECT attname FROM pg_attribute
WHERE attrelid = %(table)s::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum

-- scan
-- 28 bytes are a row's header and its pointer. A column's size is the stored one: what lies in toast is not fetched.
SELECT {site}, count(*), coalesce(sum(28 + {bytes}), 0)::bigint, {measure} FROM {table} GROUP BY 1

-- column_bytes
coalesce(pg_column_size({column}), 0)

-- measure_log
coalesce(sum(samples), 0)::bigint, min(first_ms) FILTER (WHERE kind = 1), max(last_ms) FILTER (WHERE kind = 1)

-- measure_part
-- Samples that are merged already count as those of a chunk.
coalesce(sum((SELECT sum(one) FROM unnest(samples) AS one)) FILTER (WHERE EXISTS (
    SELECT 1 FROM part_day WHERE part_day.site_id = part.site_id AND day = hour / 24
                           AND (part.round, part.slab) > (merging, part_day.slab)
)), 0)::bigint, min(hour) * 3600000::bigint, (max(hour) + 1) * 3600000::bigint - 1

-- measure_chunk
coalesce(sum(samples), 0)::bigint, min(day) * 86400000::bigint, (max(day) + 1) * 86400000::bigint - 1

-- measure_rollup
coalesce(sum((SELECT sum(one) FROM unnest(samples) AS one)), 0)::bigint, min(day) * 86400000::bigint,
(max(day) + 1) * 86400000::bigint - 1

-- measure_none
0::bigint, NULL::bigint, NULL::bigint

-- note_sizes
INSERT INTO storage_day (day, tier, bytes)
SELECT %(day)s, tier, sum(pg_total_relation_size(relation.oid))::bigint
FROM unnest(%(tables)s::text[], %(tiers)s::text[]) AS named (name, tier)
JOIN pg_class parent ON parent.oid = to_regclass(named.name)
LEFT JOIN pg_inherits inherited ON inherited.inhparent = parent.oid
JOIN pg_class relation ON relation.oid = coalesce(inherited.inhrelid, parent.oid)
GROUP BY tier
ON CONFLICT (day, tier) DO UPDATE SET bytes = EXCLUDED.bytes, noted_at = EXCLUDED.noted_at

-- forget_sizes
DELETE FROM storage_day WHERE day < %(day)s

-- sizes_by_day
SELECT tier, bytes, extract(epoch FROM noted_at)::float8 FROM storage_day WHERE day > %(after)s ORDER BY tier, day

-- data_directory
-- No row for a role that may not know it.
SELECT setting FROM pg_settings WHERE name = 'data_directory'

-- today
SELECT (extract(epoch FROM now()) / 86400)::int
