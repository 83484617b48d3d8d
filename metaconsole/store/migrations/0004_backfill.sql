-- How fast and when the satellites of a site may send what is older than their session: kbit/s (0: as fast as the line
-- carries), and minutes of the UTC day from when to before when (the same: all day).
ALTER TABLE site
    ADD COLUMN backfill_kbit integer NOT NULL DEFAULT 0 CHECK (backfill_kbit BETWEEN 0 AND 100000000),
    ADD COLUMN backfill_from smallint NOT NULL DEFAULT 0 CHECK (backfill_from BETWEEN 0 AND 1439),
    ADD COLUMN backfill_to smallint NOT NULL DEFAULT 0 CHECK (backfill_to BETWEEN 0 AND 1439);
