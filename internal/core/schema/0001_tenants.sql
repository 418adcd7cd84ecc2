-- A tenant is found by host name and is the boundary that nothing crosses.
CREATE TABLE tenants (
    id         TEXT   NOT NULL PRIMARY KEY,
    host       TEXT   NOT NULL UNIQUE,
    issuer     TEXT   NOT NULL UNIQUE,
    settings   TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

-- Numbers that count up in the order of commits: whoever has seen 6 has seen 5.
-- "configuration" tells caches to forget; "revocation" numbers the rules of taking back.
CREATE TABLE counters (
    tenant_id TEXT   NOT NULL,
    name      TEXT   NOT NULL,
    value     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

-- Which master keys have sealed values here, and a value each must open: a wrong key is noticed
-- at start, before anything is half decrypted.
CREATE TABLE master_keys (
    id         TEXT   NOT NULL PRIMARY KEY,
    proof      BYTEA  NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE signing_keys (
    tenant_id      TEXT   NOT NULL,
    kid            TEXT   NOT NULL,
    alg            TEXT   NOT NULL,
    public_jwk     TEXT   NOT NULL,
    private_sealed BYTEA  NOT NULL,
    published_at   BIGINT NOT NULL,
    signs_from     BIGINT NOT NULL,
    retired_at     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, kid)
);

-- What happened, written in the transaction that made it happen.
CREATE TABLE audit_events (
    tenant_id  TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    event      TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    client_id  TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    user_agent TEXT   NOT NULL,
    detail     TEXT   NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX audit_events_by_user ON audit_events (tenant_id, user_id, id);

-- Outgoing mail. The body may hold a code, so it is sealed; it is emptied once delivered, unless
-- a built-in inbox shows it.
CREATE TABLE mails (
    tenant_id   TEXT   NOT NULL,
    id          TEXT   NOT NULL,
    recipient   TEXT   NOT NULL,
    subject     TEXT   NOT NULL,
    body_sealed BYTEA  NOT NULL,
    created_at  BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    due_at      BIGINT NOT NULL,
    sent_at     BIGINT NOT NULL,
    failed_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX mails_due ON mails (due_at) WHERE sent_at = 0 AND failed_at = 0;
