-- A sign-in in one browser. cookie_hash finds it; silent_hash finds it for silent
-- authentication alone. A row is pending until every demanded factor is there.
CREATE TABLE sessions (
    tenant_id       TEXT   NOT NULL,
    sid             TEXT   NOT NULL,
    cookie_hash     BYTEA  NOT NULL,
    silent_hash     BYTEA  NOT NULL,
    user_id         TEXT   NOT NULL,
    state           TEXT   NOT NULL,
    auth_time       BIGINT NOT NULL,
    amr             TEXT   NOT NULL,
    acr             TEXT   NOT NULL,
    address         TEXT   NOT NULL,
    user_agent      TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    seen_at         BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, sid)
);
CREATE UNIQUE INDEX sessions_cookie ON sessions (tenant_id, cookie_hash);
CREATE UNIQUE INDEX sessions_silent ON sessions (tenant_id, silent_hash);
CREATE INDEX sessions_user ON sessions (tenant_id, user_id);
CREATE INDEX sessions_expiry ON sessions (idle_expires_at);
