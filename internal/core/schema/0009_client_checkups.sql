-- What went wrong for a client lately and what went well, a bounded number of rows a client. Rows of
-- no client in particular have an empty client_id.
CREATE TABLE client_checkups (
    tenant_id TEXT   NOT NULL,
    client_id TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    sent      TEXT   NOT NULL,
    first_at  BIGINT NOT NULL,
    last_at   BIGINT NOT NULL,
    count     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, client_id, kind, sent)
);
CREATE INDEX client_checkups_last ON client_checkups (last_at);
