-- Sessions with a life of their own, the operator's takeovers of them, and what an attempt took of the machine.

ALTER TABLE sessions ADD COLUMN state TEXT NOT NULL DEFAULT 'parked';
ALTER TABLE sessions ADD COLUMN account TEXT;
ALTER TABLE sessions ADD COLUMN model TEXT;
ALTER TABLE sessions ADD COLUMN job INTEGER;
ALTER TABLE sessions ADD COLUMN parent TEXT;                    -- the session that it was forked from
ALTER TABLE sessions ADD COLUMN attempt INTEGER;                -- the one that writes it; NULL where none does
ALTER TABLE sessions ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN turns INTEGER NOT NULL DEFAULT 0;   -- calls of the model
ALTER TABLE sessions ADD COLUMN context_tokens INTEGER;
ALTER TABLE sessions ADD COLUMN context_window INTEGER;
ALTER TABLE sessions ADD COLUMN attached_at INTEGER;            -- when the operator last worked in it
ALTER TABLE sessions ADD COLUMN why TEXT;                       -- why it was retired

-- What is known of older ones. Without an index each session would read all attempts.
CREATE INDEX attempts_of_sessions ON attempts (agent, session) WHERE session IS NOT NULL;
UPDATE sessions SET
    (job, account, model) = (
        SELECT job, account, model FROM attempts
        WHERE attempts.agent = sessions.agent AND attempts.session = sessions.id ORDER BY id DESC LIMIT 1
    ),
    attempts = (SELECT count(*) FROM attempts WHERE attempts.agent = sessions.agent AND attempts.session = sessions.id),
    attempt = (
        SELECT max(id) FROM attempts
        WHERE attempts.agent = sessions.agent AND attempts.session = sessions.id AND ended_at IS NULL
    );
UPDATE sessions SET state = iif(attempts > 1, 'resumed', 'active') WHERE attempt IS NOT NULL;
DROP INDEX attempts_of_sessions;

CREATE INDEX sessions_of_job ON sessions (job);
CREATE INDEX sessions_written ON sessions (attempt) WHERE attempt IS NOT NULL;
CREATE INDEX sessions_used ON sessions (used_at);

CREATE TABLE compactions (
    agent         TEXT    NOT NULL,
    session       TEXT    NOT NULL,
    attempt       INTEGER NOT NULL,
    number        INTEGER NOT NULL,             -- within the attempt: its output may be read twice
    at            INTEGER NOT NULL,
    trigger       TEXT    NOT NULL,
    before_tokens INTEGER,
    after_tokens  INTEGER,
    PRIMARY KEY (agent, session, attempt, number)
) STRICT, WITHOUT ROWID;

-- How many tokens a model's window holds, as its agent last said.
CREATE TABLE context_windows (
    agent  TEXT    NOT NULL,
    model  TEXT    NOT NULL,                    -- '' for the agent's own
    tokens INTEGER NOT NULL,
    PRIMARY KEY (agent, model)
) STRICT, WITHOUT ROWID;

-- Jobs in whose session the operator works.
CREATE TABLE attachments (
    job         INTEGER PRIMARY KEY,
    agent       TEXT    NOT NULL,
    session     TEXT,                           -- NULL until the attempt that ran in it is parked
    marker      TEXT    NOT NULL,               -- in the environment of every process of it
    by          TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    pid         INTEGER NOT NULL,               -- of the command that lends its terminal
    started     INTEGER NOT NULL,
    boot        TEXT    NOT NULL,
    held_before TEXT
) STRICT;

ALTER TABLE jobs ADD COLUMN fork INTEGER NOT NULL DEFAULT 0;    -- the next attempt forks the conversation

ALTER TABLE attempts ADD COLUMN forked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN handoff TEXT;                   -- why it began a new session with a hand-off
ALTER TABLE attempts ADD COLUMN note TEXT;                      -- what to know of the session that it went on in
ALTER TABLE attempts ADD COLUMN cpu_ms INTEGER;
ALTER TABLE attempts ADD COLUMN processes_peak INTEGER;
