-- What the compactor makes of the log. A sample is at any moment either in the log and not compacted, or in a part or a
-- chunk, never in both: the rows below and the compactor's position change in one transaction.

-- How far the compactor is with the log of a satellite, beside its reader_position: of the rows after that position and
-- through `seen`, the samples before through_ms are in parts already; of the rows after `seen` none are.
CREATE TABLE compaction (
    site_id      bigint NOT NULL,
    satellite_id uuid NOT NULL,
    through_ms   bigint NOT NULL DEFAULT 0,
    seen         bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (site_id, satellite_id)
);

-- One hour of up to 16 neighbouring series (slab = series_id / 16), as one compaction step found it: what comes late
-- becomes further rows. All arrays have an element per series, in ascending order of series. content holds the samples
-- of series[i] from byte ends[i-1] to ends[i] (metaconsole/store/pieces.py has the format), grids[i] names their times.
-- The rest is the hour's aggregates. first_at, last_at and covered are milliseconds, the former two since the hour
-- began. increase, covered, resets and starts are a counter's, else zero. held is null, or has an element per series,
-- which is null or a state's {"code": seconds}.
-- No unique key: a row is written once, by a transaction that moves a position, and leaves with its whole day. Until
-- then part_day tells which rows are merged.
CREATE TABLE part (
    site_id     bigint NOT NULL,
    slab        bigint NOT NULL,
    hour        integer NOT NULL,  -- since 1970-01-01 00:00 UTC
    round       integer NOT NULL,  -- of merging, of that day: part_day.round at the time
    interval_ms integer NOT NULL,  -- of the poll plan
    series      bigint[] NOT NULL,
    grids       bigint[] NOT NULL,
    ends        integer[] NOT NULL,
    samples     integer[] NOT NULL,
    first_at    integer[] NOT NULL,
    last_at     integer[] NOT NULL,
    first       float8[] NOT NULL,
    last        float8[] NOT NULL,
    min         float8[] NOT NULL,
    max         float8[] NOT NULL,
    sum         float8[] NOT NULL,
    increase    float8[] NOT NULL,
    covered     integer[] NOT NULL,
    resets      integer[] NOT NULL,
    starts      bigint[] NOT NULL,
    held        jsonb,
    content     bytea NOT NULL
) PARTITION BY RANGE (hour);
ALTER TABLE part ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX part_by_slab ON part (site_id, slab, hour, round);

-- Times that series share: a column of UTC milliseconds, named by a hash of its bytes.
CREATE TABLE part_grid (
    site_id bigint NOT NULL,
    hour    integer NOT NULL,
    grid    bigint NOT NULL,
    times   bytea NOT NULL,
    PRIMARY KEY (site_id, hour, grid)
) PARTITION BY RANGE (hour);

-- Days that have parts. A merge takes the parts of a round, slab by slab; what comes meanwhile is of the next round. So
-- the parts with (round, slab) <= (merging, slab of the day) are in chunks and rollups, and none of the others is.
CREATE TABLE part_day (
    site_id    bigint NOT NULL,
    day        integer NOT NULL,                    -- since 1970-01-01
    changed_at timestamptz NOT NULL DEFAULT now(),  -- when parts were last written, or all were merged
    waits      boolean NOT NULL DEFAULT true,       -- whether parts of `round` wait for a merge
    round      integer NOT NULL DEFAULT 0,          -- that parts written now belong to
    merging    integer NOT NULL DEFAULT 0,          -- the round before while a merge is under way, else `round`
    slab       bigint NOT NULL DEFAULT -1,          -- through which the parts of `merging` are merged
    PRIMARY KEY (site_id, day)
);

-- The parts that no chunk holds yet: whoever wants samples reads these.
CREATE VIEW unmerged_part AS
SELECT part.* FROM part
JOIN part_day ON part_day.site_id = part.site_id AND part_day.day = part.hour / 24
WHERE (part.round, part.slab) > (part_day.merging, part_day.slab);

-- A UTC day of one series.
CREATE TABLE chunk (
    site_id     bigint NOT NULL,
    series_id   bigint NOT NULL,
    day         integer NOT NULL,
    interval_ms integer NOT NULL,
    samples     integer NOT NULL,
    grid        bigint NOT NULL,
    content     bytea NOT NULL,
    PRIMARY KEY (site_id, series_id, day)
) PARTITION BY RANGE (day);
ALTER TABLE chunk ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE chunk_grid (
    site_id bigint NOT NULL,
    day     integer NOT NULL,
    grid    bigint NOT NULL,
    times   bytea NOT NULL,
    PRIMARY KEY (site_id, day, grid)
) PARTITION BY RANGE (day);

-- The 24 hours of a UTC day of one series: all arrays have 24 elements, zero in an hour without samples. Only a gauge has
-- min, max and sum; only a counter has increase, covered, resets and starts; only a state has held, {"code": [seconds]}.
CREATE TABLE rollup (
    site_id   bigint NOT NULL,
    series_id bigint NOT NULL,
    day       integer NOT NULL,
    samples   integer[] NOT NULL,
    first_at  integer[] NOT NULL,
    last_at   integer[] NOT NULL,
    first     float8[] NOT NULL,
    last      float8[] NOT NULL,
    min       float8[],
    max       float8[],
    sum       float8[],
    increase  float8[],
    covered   integer[],
    resets    integer[],
    starts    bigint[],
    held      jsonb,
    PRIMARY KEY (site_id, series_id, day)
) PARTITION BY RANGE (day);


-- Hot rows are found by their ordinals.
DROP INDEX log_by_source;

-- Neighbours in a batch get neighbouring ids, whoever else defines series at the moment.
ALTER TABLE series ALTER COLUMN series_id SET CACHE 1024;

-- For people: docs/sql.md. The hours of every series, from parts and from rollups. While late samples of a merged day wait
-- to be merged into it, an hour has several rows.
CREATE VIEW series_hour AS
SELECT part.site_id, one.series_id, to_timestamp(hour * 3600::bigint) AS hour, one.samples,
       to_timestamp(hour * 3600::bigint + one.first_at / 1000.0) AS first_at,
       to_timestamp(hour * 3600::bigint + one.last_at / 1000.0) AS last_at,
       one.first, one.last, one.min, one.max, one.sum,
       one.increase, one.covered / 1000.0::float8 AS covered_seconds, one.resets,
       nullif(held -> (one.place - 1)::integer, 'null') AS held
FROM unmerged_part part
CROSS JOIN LATERAL unnest(
    series, samples, first_at, last_at, first, last, min, max, sum, increase, covered, resets
) WITH ORDINALITY AS one (
    series_id, samples, first_at, last_at, first, last, min, max, sum, increase, covered, resets, place
)
UNION ALL
SELECT rollup.site_id, rollup.series_id, to_timestamp((day * 24 + one.place - 1) * 3600::bigint), one.samples,
       to_timestamp((day * 24 + one.place - 1) * 3600::bigint + one.first_at / 1000.0),
       to_timestamp((day * 24 + one.place - 1) * 3600::bigint + one.last_at / 1000.0),
       one.first, one.last, one.min, one.max, one.sum,
       one.increase, one.covered / 1000.0::float8, one.resets,
       (SELECT jsonb_object_agg(code, seconds -> (one.place - 1)::integer) FROM jsonb_each(held) AS h (code, seconds)
        WHERE seconds -> (one.place - 1)::integer <> '0.0')
FROM rollup
CROSS JOIN LATERAL unnest(
    samples, first_at, last_at, first, last, min, max, sum, increase, covered, resets
) WITH ORDINALITY AS one (
    samples, first_at, last_at, first, last, min, max, sum, increase, covered, resets, place
)
WHERE one.samples > 0;

-- The same with names. resource is the present name, or null for what is not there any more.
CREATE VIEW metric_hour AS
SELECT site.name AS site, resource.kind, version.name AS resource, resource.resource_id, metric.name AS metric,
       series.attributes, series_hour.*
FROM series_hour
JOIN series ON series.site_id = series_hour.site_id AND series.series_id = series_hour.series_id
JOIN metric ON metric.metric_id = series.metric_id
JOIN resource ON resource.site_id = series.site_id AND resource.resource_id = series.resource_id
JOIN site ON site.site_id = series.site_id
LEFT JOIN resource_version version ON version.site_id = resource.site_id
    AND version.resource_id = resource.resource_id AND version.valid_to IS NULL;
