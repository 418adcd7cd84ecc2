-- API keys. Of the key itself there is only its SHA-256. The owner is a user or a client. The gid is
-- what access tokens carry that the key was exchanged for; it is replaced when they must end and the
-- key must not. A key ends at ends_at, which is the far future for one that does not expire.
CREATE TABLE api_keys (
    tenant_id       TEXT   NOT NULL,
    id              TEXT   NOT NULL,
    key_hash        BYTEA  NOT NULL,
    gid             TEXT   NOT NULL,
    kind            TEXT   NOT NULL,
    environment     TEXT   NOT NULL,
    hint            TEXT   NOT NULL,
    name            TEXT   NOT NULL,
    user_id         TEXT   NOT NULL,
    client_id       TEXT   NOT NULL,
    organization    TEXT   NOT NULL,
    audience        TEXT   NOT NULL,
    scope           TEXT   NOT NULL,
    networks        TEXT   NOT NULL,
    rate            BIGINT NOT NULL,
    quota           BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    ends_at         BIGINT NOT NULL,
    revoked_at      BIGINT NOT NULL,
    revoked_because TEXT   NOT NULL,
    rotated_at      BIGINT NOT NULL,
    successor       TEXT   NOT NULL,
    last_used_at    BIGINT NOT NULL,
    uses            BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (tenant_id, key_hash);
CREATE INDEX api_keys_user ON api_keys (tenant_id, user_id);
CREATE INDEX api_keys_client ON api_keys (tenant_id, client_id);
CREATE INDEX api_keys_ends ON api_keys (ends_at);

-- Who still uses a key that has a successor: a bounded number of rows a key.
CREATE TABLE api_key_uses (
    tenant_id  TEXT   NOT NULL,
    key_id     TEXT   NOT NULL,
    who        BYTEA  NOT NULL,
    shown_to   TEXT   NOT NULL,
    network    TEXT   NOT NULL,
    user_agent TEXT   NOT NULL,
    first_at   BIGINT NOT NULL,
    last_at    BIGINT NOT NULL,
    count      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key_id, who)
);
CREATE INDEX api_key_uses_last ON api_key_uses (last_at);
