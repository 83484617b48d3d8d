-- What keeps a satellite that invents names from filling the dictionary.

-- A row a site, from its first series on: how many series stand in the dictionary, kept in the transactions that insert
-- and delete them, and how many may.
CREATE TABLE dictionary (
    site_id bigint NOT NULL REFERENCES site PRIMARY KEY,
    series  bigint NOT NULL DEFAULT 0,
    quota   bigint NOT NULL DEFAULT 2000000 CHECK (quota BETWEEN 0 AND 1000000000)
);
INSERT INTO dictionary (site_id, series) SELECT site_id, count(*) FROM series GROUP BY site_id;

-- Of the map of an epoch, how many definitions are refused because the site has its series, and what they are: of which
-- source, kind and metric most of the newest were, and which label of those (an attribute's name, or '' for the
-- resource's key) had the most values. Goes with the map. In epoch_series they have the global id -1.
CREATE TABLE refused_series (
    site_id      bigint NOT NULL,
    satellite_id uuid NOT NULL,
    epoch        uuid NOT NULL,
    definitions  bigint NOT NULL,
    refused_at   timestamptz NOT NULL DEFAULT now(),
    source       text NOT NULL,
    kind         text NOT NULL,
    metric       text NOT NULL,
    label        text NOT NULL,
    label_values bigint NOT NULL,
    PRIMARY KEY (site_id, satellite_id, epoch)
);

-- How many samples of a stored batch were left out because their series are refused. They are the samples of the tally
-- 'refused: quota'; those of frames that were refused as a whole are not.
ALTER TABLE log ADD refused_samples bigint;

-- How many epochs a satellite may begin: epochs_left at the time epochs_at, and more with each second. epochs_refused_at
-- is when a greeting was last turned away for it.
ALTER TABLE satellite
    ADD epochs_left       float8 NOT NULL DEFAULT 20000,
    ADD epochs_at         timestamptz NOT NULL DEFAULT now(),
    ADD epochs_refused_at timestamptz;
