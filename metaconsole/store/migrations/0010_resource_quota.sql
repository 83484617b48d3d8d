-- What keeps a satellite that churns names from filling the tables of resources, and an end of those that are gone.

-- How many resources stand in resource, kept in the transactions that insert and delete them, and how many may.
ALTER TABLE dictionary
    ADD resources      bigint NOT NULL DEFAULT 0,
    ADD resource_quota bigint NOT NULL DEFAULT 500000 CHECK (resource_quota BETWEEN 0 AND 1000000000);
INSERT INTO dictionary (site_id, resources) SELECT site_id, count(*) FROM resource GROUP BY site_id
ON CONFLICT (site_id) DO UPDATE SET resources = EXCLUDED.resources;

-- What a satellite told of resources that are new while the site has all its resources, by who told (a source, '' for
-- the satellite) and the kind of the resources: how many, counted once in each message since the satellite greeted last
-- or since that source's newest full inventory.
CREATE TABLE left_out (
    site_id      bigint NOT NULL,
    satellite_id uuid NOT NULL,
    source       text NOT NULL,
    kind         text NOT NULL,
    resources    bigint NOT NULL,
    left_out_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, satellite_id, source, kind)
);

-- How many of the refused definitions are of resources that are new and for which there is no room.
ALTER TABLE refused_series ADD for_resources bigint NOT NULL DEFAULT 0;

-- How long what inventories told is kept after its end.
ALTER TABLE retention DROP CONSTRAINT retention_tier_check;
ALTER TABLE retention ADD CONSTRAINT retention_tier_check
    CHECK (tier IN ('log', 'raw', 'rollup', 'event', 'gap', 'quarantine', 'inventory'));
INSERT INTO retention (tier, days) VALUES ('inventory', 730);

-- Whether a resource has a gap of its own is asked of every resource that is gone.
CREATE INDEX gap_by_resource ON gap (site_id, resource_id) WHERE resource_id IS NOT NULL;
