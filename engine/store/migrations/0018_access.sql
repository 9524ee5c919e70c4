-- Who may come over the network, and a way to what was called by whom.

CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    hash       TEXT    NOT NULL,                -- SHA-256 of what opens the door, which stands nowhere
    added_at   INTEGER NOT NULL,
    by         TEXT    NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    used_at    INTEGER
) STRICT;

-- A name is free again once its token is revoked; the row stays, because the log speaks of it.
CREATE UNIQUE INDEX tokens_that_stand ON tokens (name) WHERE revoked_at IS NULL;

-- The audit is read by time: {"kind":"audited" and {"kind":"tool_called" are the first signs of these bodies.
CREATE INDEX events_of_audit ON events (at)
    WHERE substr(body, 1, 17) IN ('{"kind":"audited"', '{"kind":"tool_cal');
