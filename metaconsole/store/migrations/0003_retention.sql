-- How long what is kept, in days. Of the rules of a tier that fit, the narrowest decides: one of the site before one of
-- all sites (site_id NULL), one of the metric (its name) before one of its class (gauge, counter, state) before one of
-- all (metrics NULL).
CREATE TABLE retention (
    tier    text NOT NULL CHECK (tier IN ('log', 'raw', 'rollup', 'event', 'gap', 'quarantine')),
    site_id bigint REFERENCES site,
    metrics text,
    days    integer NOT NULL CHECK (days BETWEEN 1 AND 36500),
    UNIQUE NULLS NOT DISTINCT (tier, site_id, metrics),
    CHECK (tier <> 'log' OR site_id IS NULL),
    CHECK (tier IN ('raw', 'rollup') OR metrics IS NULL)
);
INSERT INTO retention (tier, days)
VALUES ('log', 400), ('raw', 400), ('rollup', 1100), ('event', 1100), ('gap', 1100), ('quarantine', 90);

-- What each tier took on disk when it was last looked at on a day: the growth of the disk forecast.
CREATE TABLE storage_day (
    day      integer NOT NULL,  -- since 1970-01-01
    tier     text NOT NULL,
    bytes    bigint NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (day, tier)
);

-- What is too old is found by time.
CREATE INDEX gap_by_time ON gap (site_id, to_ms);
CREATE INDEX quarantine_by_time ON quarantine (site_id, refused_at);
