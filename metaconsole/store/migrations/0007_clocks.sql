-- How far the satellites' clocks are off, then and now.

-- Of the clock that stamped the row's instants, ahead of the metaconsole's at that moment; NULL where that is not known.
-- Instants are stored as they were stamped.
ALTER TABLE log ADD clock_offset_ms bigint;

-- clock_offset_ms is the satellite's clock minus the metaconsole's, from here on: it was the reverse. The uncertainty is
-- NULL where only one way was measured. clock_state is judged by both, with hysteresis, and holds since clock_since.
ALTER TABLE satellite_liveness
    ADD clock_uncertainty_ms bigint,
    ADD clock_state          text NOT NULL DEFAULT 'ok' CHECK (clock_state IN ('ok', 'warning', 'critical')),
    ADD clock_since          timestamptz;
UPDATE satellite_liveness SET clock_offset_ms = -clock_offset_ms;

-- Each change of that state: an alert that opens, worsens or clears. Bounded per satellite by who inserts.
CREATE TABLE clock_event (
    site_id        bigint NOT NULL,
    satellite_id   uuid NOT NULL,
    at             timestamptz NOT NULL,
    state          text NOT NULL,
    before         text NOT NULL,
    offset_ms      bigint NOT NULL,
    uncertainty_ms bigint,
    PRIMARY KEY (site_id, satellite_id, at)
);
