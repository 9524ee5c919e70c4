-- Dependencies, lanes, caps, breakers, batches: what a queue needs beyond its jobs.

-- Jobs that the dispatcher cannot tell apart but by their place in the queue: the same target, project, tags, kind and
-- priority. What keeps one of them from starting keeps all of them, so only the head of each lane is ever looked at.
CREATE TABLE lanes (
    id        INTEGER PRIMARY KEY,
    agent     TEXT    NOT NULL,
    model     TEXT,
    account   TEXT,
    project   TEXT,
    tags      TEXT    NOT NULL DEFAULT '',      -- ' a b ', sorted
    kind      TEXT,
    priority  INTEGER NOT NULL,
    open      INTEGER NOT NULL DEFAULT 0,       -- it may hold a job that can start
    served_at INTEGER NOT NULL DEFAULT 0        -- when a job of it was last given to an attempt
) STRICT;

CREATE INDEX lanes_named ON lanes (agent, project, priority, model, account, tags, kind);
CREATE INDEX lanes_open ON lanes (id) WHERE open = 1;
-- When each project was served last, and which lanes were: without looking at all that there have ever been.
CREATE INDEX lanes_project ON lanes (project, served_at);
CREATE INDEX lanes_served ON lanes (served_at) WHERE served_at > 0;

ALTER TABLE jobs ADD COLUMN account TEXT;
ALTER TABLE jobs ADD COLUMN kind TEXT;
ALTER TABLE jobs ADD COLUMN tags TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN unique_key TEXT;
ALTER TABLE jobs ADD COLUMN batch INTEGER;
ALTER TABLE jobs ADD COLUMN deadline INTEGER;
-- The place in the queue: the sequence number of the submission, with room between two for what is moved there.
ALTER TABLE jobs ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;   -- attempts that count against the job's limit
ALTER TABLE jobs ADD COLUMN waits INTEGER NOT NULL DEFAULT 0;   -- attempts in a row that did not
ALTER TABLE jobs ADD COLUMN cause INTEGER;                      -- the job because of which this one was skipped
ALTER TABLE jobs ADD COLUMN anew INTEGER NOT NULL DEFAULT 0;    -- the next attempt begins in a workspace set back
ALTER TABLE jobs ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;

UPDATE jobs SET rank = spec_seq << 20;
UPDATE jobs SET tries = attempts WHERE state = 'running';
INSERT INTO lanes (agent, model, project, priority, open)
    SELECT DISTINCT agent, model, project, priority, 1 FROM jobs;
UPDATE jobs SET lane = (
    SELECT id FROM lanes AS l WHERE l.agent = jobs.agent AND l.project IS jobs.project
        AND l.priority = jobs.priority AND l.model IS jobs.model
);

ALTER TABLE attempts ADD COLUMN account TEXT;
ALTER TABLE attempts ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN memory_peak INTEGER;            -- bytes

UPDATE attempts SET lane = (SELECT lane FROM jobs WHERE jobs.id = attempts.job);

DROP INDEX attempts_live;
CREATE INDEX attempts_live ON attempts (lane) WHERE ended_at IS NULL;
-- How long jobs like this one take.
CREATE INDEX attempts_history ON attempts (lane, ended_at) WHERE succeeded = 1;

DROP INDEX jobs_startable;
CREATE INDEX jobs_startable ON jobs (lane, rank) WHERE state = 'ready' AND held_by IS NULL AND not_before IS NULL;
DROP INDEX jobs_queued;
CREATE INDEX jobs_queued ON jobs (priority, rank) WHERE state IN ('ready', 'blocked');
CREATE INDEX jobs_deadline ON jobs (deadline) WHERE deadline IS NOT NULL AND state IN ('ready', 'blocked');
CREATE UNIQUE INDEX jobs_unique ON jobs (unique_key) WHERE unique_key IS NOT NULL AND ended_at IS NULL;
-- A list of more than two values in the condition is made into a table of its own at each change of a job.
DROP INDEX jobs_ended;
CREATE INDEX jobs_ended ON jobs (ended_at DESC, id DESC) WHERE ended_at IS NOT NULL;
CREATE INDEX jobs_batch ON jobs (batch, state) WHERE batch IS NOT NULL;

CREATE TABLE dependencies (
    job     INTEGER NOT NULL,
    needs   INTEGER NOT NULL,
    any_of  INTEGER NOT NULL,                   -- one of several is enough
    outcome TEXT,                               -- the state in which it ended; NULL while it has not. A failure that
                                                -- the operator overruled, by a retry of this job, is 'overruled'
    PRIMARY KEY (job, needs)
) STRICT, WITHOUT ROWID;

CREATE INDEX dependencies_needed ON dependencies (needs);
CREATE INDEX dependencies_failed ON dependencies (job) WHERE outcome IN ('failed', 'cancelled');
CREATE INDEX dependencies_open ON dependencies (job, any_of) WHERE outcome IS NULL;

CREATE TABLE batches (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name      TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    follow_up INTEGER
) STRICT;

-- Submissions that carried a token of the client's, so that sending one again submits nothing twice.
CREATE TABLE submissions (
    token  TEXT    PRIMARY KEY,
    at     INTEGER NOT NULL,
    digest TEXT    NOT NULL,
    ids    TEXT    NOT NULL                     -- JSON
) STRICT, WITHOUT ROWID;

-- Set by the operator; they come before the settings.
CREATE TABLE caps (
    scope TEXT    PRIMARY KEY,
    n     INTEGER NOT NULL,
    by    TEXT    NOT NULL,
    at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE breakers (
    target TEXT PRIMARY KEY,
    state  TEXT NOT NULL                        -- JSON
) STRICT, WITHOUT ROWID;

-- How far the retries of an account are booked, of those that were wanted within one hour: one at a reset that is days
-- away says nothing of one in a minute.
CREATE TABLE retry_budgets (
    account TEXT    NOT NULL,
    hour    INTEGER NOT NULL,                   -- since 1970, UTC
    at      INTEGER NOT NULL,
    PRIMARY KEY (account, hour)
) STRICT, WITHOUT ROWID;

-- Sums of what was pruned, so that the ledger stays whole.
CREATE TABLE pruned_usage (
    day                INTEGER NOT NULL,        -- milliseconds UTC of its beginning
    agent              TEXT    NOT NULL,
    project            TEXT    NOT NULL,        -- '' for none
    model              TEXT    NOT NULL,
    grade              TEXT    NOT NULL,
    attempts           INTEGER NOT NULL,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cache_read_tokens  INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    cost_micros        INTEGER,
    PRIMARY KEY (day, agent, project, model, grade)
) STRICT, WITHOUT ROWID;

ALTER TABLE actions ADD COLUMN undone_at INTEGER;

-- The writer adds up what a transaction moves and writes it once: triggers made every change of a job a third dearer.
-- What is deleted is counted out by its trigger still.
DROP TRIGGER jobs_counted_in;
DROP TRIGGER jobs_counted_moved;
DROP TRIGGER jobs_counted_held;
