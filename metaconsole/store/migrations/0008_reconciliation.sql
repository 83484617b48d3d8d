-- What proves that nothing is missing: what satellites say that they produced, and what came of it.

-- lost says of a row why its frames are not stored: "refused: …" with the reason, or what the satellite declared.
-- last_sequence is the end of a range that it declared; NULL for a single frame.
ALTER TABLE log ADD last_sequence bigint, ADD lost text;

-- What the facts reader counted of the log, by block of 4096 sequences. reason is '' for frames that are stored, else
-- log.lost. A range that was declared as lost is in the block of its first sequence, and may go on behind it. recalled
-- are sequences that were counted, and then found to be gone: they come again, or are declared as lost, and are in
-- ranges no more; their samples stay counted until the latter. again_* are of frames that were stored twice.
CREATE TABLE tally (
    site_id       bigint NOT NULL,
    satellite_id  uuid NOT NULL,
    epoch         uuid NOT NULL,
    block         bigint NOT NULL,
    reason        text NOT NULL,
    ranges        int8multirange NOT NULL,
    samples       bigint NOT NULL,
    recalled      int8multirange NOT NULL DEFAULT '{}',
    again_frames  bigint NOT NULL DEFAULT 0,
    again_samples bigint NOT NULL DEFAULT 0,
    counted_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, satellite_id, epoch, block, reason)
) WITH (fillfactor = 70);
CREATE INDEX tally_lost ON tally (site_id, satellite_id) WHERE reason <> '';

-- What satellites told last of what they produced: the sequences first to last, both included. uncounted frames have
-- samples that nobody knows. from_ms and to_ms are when they were spooled.
CREATE TABLE produced (
    site_id      bigint NOT NULL,
    satellite_id uuid NOT NULL,
    epoch        uuid NOT NULL,
    block        bigint NOT NULL,
    first        bigint NOT NULL,
    last         bigint NOT NULL,
    samples      bigint NOT NULL,
    uncounted    bigint NOT NULL,
    from_ms      bigint NOT NULL,
    to_ms        bigint NOT NULL,
    told_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, satellite_id, epoch, block)
);

-- What was missing although its satellite had it acknowledged, the newest of each satellite.
CREATE TABLE difference (
    site_id      bigint NOT NULL,
    satellite_id uuid NOT NULL,
    epoch        uuid NOT NULL,
    first        bigint NOT NULL,
    last         bigint NOT NULL,
    found_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, satellite_id, epoch, first, last)
);

-- The newest report: when it was compared, how many samples are in all that was told, and how many frames were missing.
ALTER TABLE satellite
    ADD reconciled_at      timestamptz,
    ADD reconciled_samples bigint NOT NULL DEFAULT 0,
    ADD missing_frames     bigint NOT NULL DEFAULT 0;
