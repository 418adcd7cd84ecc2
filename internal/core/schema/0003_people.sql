-- A person. The e-mail address is how to reach them, never who they are.
CREATE TABLE users (
    tenant_id      TEXT    NOT NULL,
    id             TEXT    NOT NULL,
    email          TEXT    NOT NULL,
    email_key      TEXT    NOT NULL,
    email_verified BOOLEAN NOT NULL,
    name           TEXT    NOT NULL,
    given_name     TEXT    NOT NULL,
    family_name    TEXT    NOT NULL,
    nickname       TEXT    NOT NULL,
    picture        TEXT    NOT NULL,
    blocked        BOOLEAN NOT NULL,
    user_metadata  TEXT    NOT NULL,
    app_metadata   TEXT    NOT NULL,
    last_login_at  BIGINT  NOT NULL,
    logins_count   BIGINT  NOT NULL,
    created_at     BIGINT  NOT NULL,
    updated_at     BIGINT  NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX users_email ON users (tenant_id, email_key);

-- Who a person is to a connection. The local one is named "users" and its subject is the
-- canonical form of the address they sign in with.
CREATE TABLE identities (
    tenant_id  TEXT   NOT NULL,
    connection TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    linked_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, connection, subject)
);
CREATE INDEX identities_user ON identities (tenant_id, user_id);

CREATE TABLE passwords (
    tenant_id  TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    hash       TEXT   NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);

-- What a user may do at an API.
CREATE TABLE user_permissions (
    tenant_id  TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    audience   TEXT NOT NULL,
    permission TEXT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, audience, permission)
);

-- A code that was mailed and is to be typed in the browser that asked for it. The purpose is part
-- of the key, so a code for one thing is never a code for another.
CREATE TABLE challenges (
    tenant_id    TEXT   NOT NULL,
    purpose      TEXT   NOT NULL,
    id           TEXT   NOT NULL,
    target       TEXT   NOT NULL,
    browser_hash BYTEA  NOT NULL,
    code_hash    BYTEA  NOT NULL,
    payload      BYTEA  NOT NULL,
    tries        BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, purpose, id)
);
CREATE INDEX challenges_target ON challenges (tenant_id, purpose, target);
CREATE INDEX challenges_expiry ON challenges (expires_at);

-- Single-use links: an administrator's password link, the first administrator's token.
CREATE TABLE tickets (
    tenant_id  TEXT   NOT NULL,
    purpose    TEXT   NOT NULL,
    token_hash BYTEA  NOT NULL,
    user_id    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, purpose, token_hash)
);
CREATE INDEX tickets_user ON tickets (tenant_id, user_id);
CREATE INDEX tickets_expiry ON tickets (expires_at);

-- Failed attempts, counted under the hash of whom they are counted for.
CREATE TABLE failures (
    tenant_id  TEXT   NOT NULL,
    bucket     BYTEA  NOT NULL,
    count      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, bucket)
);
CREATE INDEX failures_expiry ON failures (expires_at);
