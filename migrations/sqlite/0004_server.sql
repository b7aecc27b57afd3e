-- Who may ask an account server. Of the secret half of a token only a salted hash is kept.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    scope TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at TEXT NOT NULL,
    revoked_at TEXT
) STRICT;

-- Answers to requests with an idempotency key, to be given again: for a day, by the token that asked. NULL: the answer says what people
-- are called, and is not kept; asked again, the request is done again, which changes nothing. `at` is in seconds since 1970.
CREATE TABLE replies (
    token TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    reply TEXT,
    at INTEGER NOT NULL,
    PRIMARY KEY (token, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX replies_by_age ON replies (at);

-- The audit table is also the feed of changes. Its order is (xact, id): there is one writer, so ids grow in the order of the commits.
ALTER TABLE audit ADD COLUMN organization TEXT;
ALTER TABLE audit ADD COLUMN xact INTEGER NOT NULL DEFAULT 0;
CREATE INDEX audit_in_order ON audit (xact, id);
CREATE INDEX audit_of_account ON audit (account, id);
