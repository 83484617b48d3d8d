-- How a satellite gets its certificate, and what is known of it.

-- generation counts how often the identity was taken back: certificates of lower generations are refused. counter and
-- nonce are the newest greeting's, with when, where from and by which version it came. certificate_until, authority
-- (hex of the key identifier of who signed it) and trust (SHA-256 of the satellite's trust bundle) are those of the
-- newest session; joining and renewing set the former two as well.
ALTER TABLE satellite
    ADD generation        integer NOT NULL DEFAULT 0,
    ADD joined_at         timestamptz,
    ADD revoked_by        text NOT NULL DEFAULT '',
    ADD counter           numeric(20) NOT NULL DEFAULT 0,
    ADD nonce             bytea NOT NULL DEFAULT '',
    ADD greeted_at        timestamptz,
    ADD greeted_from      text NOT NULL DEFAULT '',
    ADD greeted_version   text NOT NULL DEFAULT '',
    ADD certificate_until timestamptz,
    ADD authority         text NOT NULL DEFAULT '',
    ADD trust             bytea NOT NULL DEFAULT '';
CREATE INDEX satellite_revoked ON satellite (site_id, satellite_id) WHERE revoked_at IS NOT NULL;

-- Tokens to join with, each used once; only the SHA-256 of the secret is kept. satellite_id is of the identity that is
-- taken back, NULL for a new satellite, which is then named name. host is by which the site reaches the metaconsole,
-- uplinks where its gateways are; empty for host and the port of the gateway that is joined at.
CREATE TABLE join_token (
    site_id      bigint NOT NULL REFERENCES site,
    token_hash   bytea NOT NULL,
    satellite_id uuid,
    name         text NOT NULL,
    host         text NOT NULL,
    uplinks      text[] NOT NULL DEFAULT '{}',
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz,
    used_from    text NOT NULL DEFAULT '',
    PRIMARY KEY (site_id, token_hash)
);
