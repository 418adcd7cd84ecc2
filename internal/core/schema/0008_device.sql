-- Devices that wait for a person's approval. The device code finds a row by its hash; the code that
-- people type has few letters, so what is stored of it is a MAC under a master key.
-- Until somebody approves it, a request is nobody's: user_id is empty. A spent row stays until the
-- last access token of its grant has expired.
CREATE TABLE device_requests (
    tenant_id      TEXT   NOT NULL,
    device_hash    BYTEA  NOT NULL,
    user_code_mac  BYTEA  NOT NULL,
    gid            TEXT   NOT NULL,
    client_id      TEXT   NOT NULL,
    scope          TEXT   NOT NULL,
    audience       TEXT   NOT NULL,
    code_challenge TEXT   NOT NULL,
    network        TEXT   NOT NULL,
    state          TEXT   NOT NULL,
    poll_interval  BIGINT NOT NULL,
    polled_at      BIGINT NOT NULL,
    user_id        TEXT   NOT NULL,
    auth_time      BIGINT NOT NULL,
    amr            TEXT   NOT NULL,
    acr            TEXT   NOT NULL,
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    keep_until     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, device_hash)
);
CREATE UNIQUE INDEX device_requests_user_code ON device_requests (tenant_id, user_code_mac);
CREATE INDEX device_requests_user ON device_requests (tenant_id, user_id);
CREATE INDEX device_requests_client ON device_requests (tenant_id, client_id, network);
CREATE INDEX device_requests_keep ON device_requests (keep_until);
