-- Which applications a sign-in was handed to, as far as they want to be told of its end. A row goes with
-- the session that is ended, or when nothing that came of it can be alive.
CREATE TABLE session_clients (
    tenant_id  TEXT   NOT NULL,
    sid        TEXT   NOT NULL,
    client_id  TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    joined_at  BIGINT NOT NULL,
    keep_until BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, sid, client_id)
);
CREATE INDEX session_clients_user ON session_clients (tenant_id, user_id);
CREATE INDEX session_clients_keep ON session_clients (keep_until);
