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

-- One application to be told of the end of one session, and what came of it: while it is to be delivered a
-- row of the outbox, afterwards the receipt. names_user says that the token names the person, not the
-- session alone. status is that of the last HTTP answer, error the kind of the last failure.
CREATE TABLE logout_deliveries (
    tenant_id    TEXT    NOT NULL,
    id           TEXT    NOT NULL,
    client_id    TEXT    NOT NULL,
    user_id      TEXT    NOT NULL,
    sid          TEXT    NOT NULL,
    names_user   BOOLEAN NOT NULL,
    because      TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    attempts     BIGINT  NOT NULL,
    due_at       BIGINT  NOT NULL,
    tried_at     BIGINT  NOT NULL,
    status       BIGINT  NOT NULL,
    error        TEXT    NOT NULL,
    delivered_at BIGINT  NOT NULL,
    failed_at    BIGINT  NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX logout_deliveries_due ON logout_deliveries (due_at) WHERE delivered_at = 0 AND failed_at = 0;
CREATE INDEX logout_deliveries_waiting ON logout_deliveries (tenant_id, client_id) WHERE delivered_at = 0 AND failed_at = 0;
CREATE INDEX logout_deliveries_client ON logout_deliveries (tenant_id, client_id, id);
CREATE INDEX logout_deliveries_user ON logout_deliveries (tenant_id, user_id, id);
CREATE INDEX logout_deliveries_created ON logout_deliveries (created_at);
