-- Two processes that hold one identity at once. superseded are the nonces of processes that the present one has fenced,
-- newest first: such a one that comes back while the present one is served is the other of two that run, and is turned
-- away. rival_* tell of the process that was turned away last.
ALTER TABLE satellite
    ADD superseded    bytea[] NOT NULL DEFAULT '{}',
    ADD rival_at      timestamptz,
    ADD rival_nonce   bytea NOT NULL DEFAULT '',
    ADD rival_from    text NOT NULL DEFAULT '',
    ADD rival_version text NOT NULL DEFAULT '';
