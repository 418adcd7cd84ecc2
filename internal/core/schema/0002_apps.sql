-- Applications. Lists and switches that nothing searches for are in settings.
CREATE TABLE clients (
    tenant_id   TEXT    NOT NULL,
    client_id   TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    secret_hash BYTEA   NOT NULL,
    settings    TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL,
    PRIMARY KEY (tenant_id, client_id)
);

-- Resource servers: what an access token can be for.
CREATE TABLE apis (
    tenant_id  TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    identifier TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    system     BOOLEAN NOT NULL,
    settings   TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX apis_identifier ON apis (tenant_id, identifier);

-- What a client may ask for in its own name.
CREATE TABLE client_grants (
    tenant_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    audience  TEXT NOT NULL,
    scope     TEXT NOT NULL,
    PRIMARY KEY (tenant_id, client_id, audience)
);
