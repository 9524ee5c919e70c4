-- What agents ask of the operator while they work, what was answered, and the standing answers that came of it.

CREATE TABLE decisions (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT    NOT NULL,
    job         INTEGER NOT NULL REFERENCES jobs (id),
    attempt     INTEGER NOT NULL,
    request     TEXT    NOT NULL,               -- the agent's own name for what it asks
    agent       TEXT    NOT NULL,
    tool        TEXT    NOT NULL,
    subject     TEXT    NOT NULL,               -- what rules are held against
    shell       INTEGER NOT NULL DEFAULT 0,     -- the subject is a command line
    summary     TEXT    NOT NULL,
    arguments   TEXT    NOT NULL,
    diff        TEXT    NOT NULL DEFAULT '',
    why         TEXT    NOT NULL DEFAULT '',
    options     TEXT    NOT NULL DEFAULT '[]',  -- JSON
    file        TEXT    NOT NULL DEFAULT '',
    at          INTEGER NOT NULL,
    due         INTEGER,
    fallback    TEXT    NOT NULL,               -- what is chosen then
    answered_at INTEGER,
    choice      TEXT,
    reason      TEXT,
    by          TEXT,
    rule        INTEGER,
    sent_at     INTEGER,                        -- when the agent was told
    UNIQUE (attempt, request)
) STRICT;

CREATE INDEX decisions_open ON decisions (id) WHERE answered_at IS NULL;
CREATE INDEX decisions_unsent ON decisions (attempt) WHERE sent_at IS NULL;
CREATE INDEX decisions_of_job ON decisions (job);

CREATE TABLE rules (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    tool    TEXT    NOT NULL,
    pattern TEXT    NOT NULL,
    effect  TEXT    NOT NULL,
    project TEXT,                               -- NULL: every one
    job     INTEGER,                            -- not NULL: this one alone
    at      INTEGER NOT NULL,
    by      TEXT    NOT NULL,
    card    INTEGER,
    uses    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX rules_of_job ON rules (job) WHERE job IS NOT NULL;

ALTER TABLE jobs ADD COLUMN waiting_on INTEGER;
