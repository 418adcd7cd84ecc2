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

-- One row per grant: issued as an authorization code, and once that is redeemed kept, however often
-- its refresh tokens are used, until the last access token of it has expired, for the replay of the code
-- must find what to revoke. The grant of an approved device begins spent, without a code.
--
-- Generation 0 has no refresh tokens. The tokens themselves are computed from gid, generation and the
-- named master key. A grant that is bound to its session ends when the session is signed out.
CREATE TABLE grants (
    tenant_id       TEXT    NOT NULL,
    gid             TEXT    NOT NULL,
    client_id       TEXT    NOT NULL,
    user_id         TEXT    NOT NULL,
    sid             TEXT    NOT NULL,
    scope           TEXT    NOT NULL,
    audience        TEXT    NOT NULL,
    auth_time       BIGINT  NOT NULL,
    amr             TEXT    NOT NULL,
    acr             TEXT    NOT NULL,
    code_hash       BYTEA   NOT NULL,
    redirect_uri    TEXT    NOT NULL,
    code_challenge  TEXT    NOT NULL,
    nonce           TEXT    NOT NULL,
    code_expires_at BIGINT  NOT NULL,
    spent_at        BIGINT  NOT NULL,
    session_bound   BOOLEAN NOT NULL,
    generation      BIGINT  NOT NULL,
    reached_at      BIGINT  NOT NULL,
    key_id          TEXT    NOT NULL,
    idle_expires_at BIGINT  NOT NULL,
    expires_at      BIGINT  NOT NULL,
    revoked_at      BIGINT  NOT NULL,
    revoked_because TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    keep_until      BIGINT  NOT NULL,
    PRIMARY KEY (tenant_id, gid)
);
CREATE INDEX grants_user ON grants (tenant_id, user_id);
CREATE INDEX grants_session ON grants (tenant_id, sid);
CREATE INDEX grants_client ON grants (tenant_id, client_id);
CREATE INDEX grants_keep ON grants (keep_until);

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
