-- What passes from attempt to attempt, and the workers that stay between jobs.

-- What one attempt left for the next: written from the record, or by the agent or the operator itself.
CREATE TABLE hand_offs (
    id      INTEGER PRIMARY KEY,
    job     INTEGER NOT NULL,
    attempt INTEGER,                            -- that it is about, as a row of attempts
    at      INTEGER NOT NULL,
    by      TEXT    NOT NULL,                   -- headway, operator, or the name of an agent
    cause   TEXT    NOT NULL,                   -- own, park, rotation, reroute, failure
    note    TEXT    NOT NULL,                   -- JSON: goal, state, done, next, traps
    told    INTEGER                             -- the attempt that was told it, as a row of attempts
) STRICT;

CREATE INDEX hand_offs_of_job ON hand_offs (job, id);

-- A row stays when its worker is removed, so that it can be taken back with its session.
CREATE TABLE workers (
    name      TEXT PRIMARY KEY,
    kept      TEXT,                             -- JSON: what a person decided; NULL once it is removed
    added_at  INTEGER NOT NULL,
    job       INTEGER,                          -- the unfinished job that is done in it
    agent     TEXT,                             -- whose session it is
    account   TEXT,
    session   TEXT,
    workspace TEXT,
    branch    TEXT,
    attempt   INTEGER,                          -- the last one that ran in it
    used_at   INTEGER
) STRICT, WITHOUT ROWID;

ALTER TABLE jobs ADD COLUMN worker TEXT;
ALTER TABLE lanes ADD COLUMN worker TEXT;
CREATE INDEX jobs_of_worker ON jobs (worker, id) WHERE worker IS NOT NULL;
