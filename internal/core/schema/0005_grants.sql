-- What a user allowed a client to do at one audience ('' for none).
CREATE TABLE consents (
    tenant_id  TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    client_id  TEXT   NOT NULL,
    audience   TEXT   NOT NULL,
    scope      TEXT   NOT NULL,
    granted_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, client_id, audience)
);

-- Authorization codes. A spent code stays until the last access token of its grant has expired:
-- its replay must find what to revoke.
CREATE TABLE codes (
    tenant_id          TEXT    NOT NULL,
    code_hash          BYTEA   NOT NULL,
    gid                TEXT    NOT NULL,
    client_id          TEXT    NOT NULL,
    user_id            TEXT    NOT NULL,
    sid                TEXT    NOT NULL,
    redirect_uri       TEXT    NOT NULL,
    code_challenge     TEXT    NOT NULL,
    nonce              TEXT    NOT NULL,
    scope              TEXT    NOT NULL,
    audience           TEXT    NOT NULL,
    auth_time          BIGINT  NOT NULL,
    amr                TEXT    NOT NULL,
    acr                TEXT    NOT NULL,
    created_at         BIGINT  NOT NULL,
    expires_at         BIGINT  NOT NULL,
    spent_at           BIGINT  NOT NULL,
    keep_until         BIGINT  NOT NULL,
    PRIMARY KEY (tenant_id, code_hash)
);
CREATE INDEX codes_user ON codes (tenant_id, user_id);
CREATE INDEX codes_session ON codes (tenant_id, sid);
CREATE INDEX codes_keep ON codes (keep_until);

-- One row per grant with a refresh token, however often it is used. The tokens themselves are
-- computed from gid, generation and the named master key. A family that is bound to its session
-- ends when the session is signed out.
CREATE TABLE families (
    tenant_id       TEXT   NOT NULL,
    gid             TEXT   NOT NULL,
    client_id       TEXT   NOT NULL,
    user_id         TEXT   NOT NULL,
    sid             TEXT   NOT NULL,
    session_bound   BOOLEAN NOT NULL,
    scope           TEXT   NOT NULL,
    audience        TEXT   NOT NULL,
    auth_time       BIGINT NOT NULL,
    amr             TEXT   NOT NULL,
    acr             TEXT   NOT NULL,
    generation      BIGINT NOT NULL,
    reached_at      BIGINT NOT NULL,
    key_id          TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    revoked_at      BIGINT NOT NULL,
    revoked_because TEXT   NOT NULL,
    PRIMARY KEY (tenant_id, gid)
);
CREATE INDEX families_user ON families (tenant_id, user_id);
CREATE INDEX families_session ON families (tenant_id, sid);
CREATE INDEX families_client ON families (tenant_id, client_id);
CREATE INDEX families_expiry ON families (expires_at);

-- "Everything from this session, grant or token is dead." Numbered in the order of commits;
-- dropped by everybody once nothing it matches can still be alive.
CREATE TABLE revocations (
    tenant_id TEXT   NOT NULL,
    n         BIGINT NOT NULL,
    kind      TEXT   NOT NULL,
    id        TEXT   NOT NULL,
    until     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, n)
);
CREATE INDEX revocations_expiry ON revocations (until);
