-- Jobs, their attempts, and the log from which both can be told again.
-- Times are milliseconds UTC, money is micro-dollars.

CREATE TABLE jobs (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    state         TEXT    NOT NULL,
    title         TEXT    NOT NULL,
    agent         TEXT    NOT NULL,
    model         TEXT,
    project       TEXT,
    priority      INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    started_at    INTEGER,
    ended_at      INTEGER,
    not_before    INTEGER,
    held_by       TEXT,
    attempts      INTEGER NOT NULL DEFAULT 0,
    attempt       INTEGER,                      -- the newest attempt: the fencing number
    stopping      TEXT,                         -- who asked for the running attempt to be stopped
    fresh         INTEGER NOT NULL DEFAULT 0,   -- the next attempt begins a new conversation
    failure       TEXT,
    reason        TEXT,
    input_tokens  INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost_micros   INTEGER,
    cost_grade    TEXT    NOT NULL DEFAULT 'unknown',
    spec_seq      INTEGER NOT NULL              -- the event that holds the job's spec, prompt included
) STRICT;

-- What the dispatcher may start, in its order. The claim stays flat from a thousand rows to a million.
CREATE INDEX jobs_startable ON jobs (agent, priority, id)
    WHERE state = 'ready' AND held_by IS NULL AND not_before IS NULL;
-- When the dispatcher has to look again.
CREATE INDEX jobs_waiting_for_time ON jobs (not_before) WHERE state = 'ready' AND not_before IS NOT NULL;
-- The console's order: what runs, what waits, what ended.
CREATE INDEX jobs_running ON jobs (priority, id) WHERE state IN ('running', 'gating');
CREATE INDEX jobs_queued ON jobs (priority, id) WHERE state IN ('ready', 'blocked');
CREATE INDEX jobs_ended ON jobs (ended_at DESC, id DESC) WHERE state IN ('succeeded', 'failed', 'cancelled');
CREATE INDEX jobs_failed ON jobs (ended_at DESC, id DESC) WHERE state = 'failed';

CREATE TABLE attempts (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    job           INTEGER NOT NULL REFERENCES jobs (id),
    number        INTEGER NOT NULL,
    agent         TEXT    NOT NULL,
    model         TEXT,
    marker        TEXT    NOT NULL,             -- in the environment of every process of the attempt
    engine        TEXT    NOT NULL,             -- the boot of the engine that claimed it
    created_at    INTEGER NOT NULL,
    started_at    INTEGER,
    ended_at      INTEGER,
    pid           INTEGER,
    exit_code     INTEGER,
    session       TEXT,
    resumes       TEXT,
    workspace     TEXT,
    branch        TEXT,
    base          TEXT,                         -- the commit or tree that the diff is taken against
    succeeded     INTEGER,
    failure       TEXT,
    reason        TEXT,
    result        TEXT,
    diff_files    INTEGER,
    diff_added    INTEGER,
    diff_removed  INTEGER,
    unknown_lines INTEGER NOT NULL DEFAULT 0,
    UNIQUE (job, number)
) STRICT;

CREATE INDEX attempts_live ON attempts (id) WHERE ended_at IS NULL;

CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    job     INTEGER,
    attempt INTEGER,
    body    TEXT    NOT NULL
) STRICT;

CREATE INDEX events_of_job ON events (job, seq) WHERE job IS NOT NULL;

-- An agent's conversations. The working directory is part of what a conversation is.
CREATE TABLE sessions (
    id            TEXT    NOT NULL,
    agent         TEXT    NOT NULL,
    workspace     TEXT    NOT NULL,
    agent_version TEXT,
    created_at    INTEGER NOT NULL,
    used_at       INTEGER NOT NULL,
    PRIMARY KEY (agent, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
    attempt            INTEGER NOT NULL REFERENCES attempts (id),
    model              TEXT    NOT NULL,
    at                 INTEGER NOT NULL,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cache_read_tokens  INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    cost_micros        INTEGER,
    grade              TEXT    NOT NULL,
    PRIMARY KEY (attempt, model)                -- the same message is never added twice
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_by_time ON usage (at);

CREATE TABLE limits (
    agent       TEXT    NOT NULL,
    window      TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    used        REAL,
    resets_at   INTEGER,
    source      TEXT    NOT NULL,
    observed_at INTEGER NOT NULL,
    PRIMARY KEY (agent, window)
) STRICT, WITHOUT ROWID;

-- What the operator did, with what is needed to take it back.
CREATE TABLE actions (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    verb    TEXT    NOT NULL,
    by      TEXT    NOT NULL,
    jobs    TEXT    NOT NULL,                   -- JSON: ids
    inverse TEXT    NOT NULL                    -- JSON: how each job stood before
) STRICT;

-- Holds on more than one job: scope 'all' is everything.
CREATE TABLE holds (
    scope TEXT    PRIMARY KEY,
    by    TEXT    NOT NULL,
    at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Counting a million rows takes a tenth of a second and more; these are kept by triggers instead.
CREATE TABLE counts (
    name TEXT    PRIMARY KEY,
    n    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counts (name, n) VALUES
    ('blocked', 0), ('ready', 0), ('running', 0), ('gating', 0),
    ('succeeded', 0), ('failed', 0), ('cancelled', 0), ('held', 0);

CREATE TRIGGER jobs_counted_in AFTER INSERT ON jobs BEGIN
    UPDATE counts SET n = n + 1 WHERE name = NEW.state;
    UPDATE counts SET n = n + 1
        WHERE name = 'held' AND NEW.held_by IS NOT NULL AND NEW.ended_at IS NULL;
END;

CREATE TRIGGER jobs_counted_out AFTER DELETE ON jobs BEGIN
    UPDATE counts SET n = n - 1 WHERE name = OLD.state;
    UPDATE counts SET n = n - 1
        WHERE name = 'held' AND OLD.held_by IS NOT NULL AND OLD.ended_at IS NULL;
END;

CREATE TRIGGER jobs_counted_moved AFTER UPDATE OF state ON jobs WHEN OLD.state <> NEW.state BEGIN
    UPDATE counts SET n = n - 1 WHERE name = OLD.state;
    UPDATE counts SET n = n + 1 WHERE name = NEW.state;
END;

CREATE TRIGGER jobs_counted_held AFTER UPDATE OF held_by, ended_at ON jobs
    WHEN (OLD.held_by IS NOT NULL AND OLD.ended_at IS NULL) <> (NEW.held_by IS NOT NULL AND NEW.ended_at IS NULL)
BEGIN
    UPDATE counts SET n = n + iif(NEW.held_by IS NOT NULL AND NEW.ended_at IS NULL, 1, -1) WHERE name = 'held';
END;
