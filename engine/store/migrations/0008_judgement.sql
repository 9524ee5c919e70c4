-- The class of a job and what the operator corrected of it; how targets do at each kind of job; races between them.

ALTER TABLE jobs ADD COLUMN triage TEXT;

-- What the operator said of a class, with the rules that had spoken. Weights are made of the counts of these.
CREATE TABLE triage_corrections (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    at           INTEGER NOT NULL,
    by           TEXT    NOT NULL,
    job          INTEGER NOT NULL,
    project      TEXT    NOT NULL,              -- '' for none
    kind         TEXT    NOT NULL,              -- '' for none
    was          TEXT,
    triage       TEXT,                          -- NULL: no class
    agreed       TEXT    NOT NULL,              -- JSON: names of rules
    contradicted TEXT    NOT NULL
) STRICT;

-- Jobs whose place on the scoreboard has to be looked at again: they have ended, or do not stand as they had.
CREATE TABLE scores_due (
    job INTEGER PRIMARY KEY
) STRICT;

-- What each ended job adds to the scoreboard, for each target that did a round of it. Unset words are ''.
CREATE TABLE scores (
    job        INTEGER NOT NULL,
    agent      TEXT    NOT NULL,
    model      TEXT    NOT NULL,
    account    TEXT    NOT NULL,
    day        INTEGER NOT NULL,                -- milliseconds UTC of the beginning of the day in which it ended
    project    TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    began      INTEGER NOT NULL,                -- it did the job's first round
    first      INTEGER NOT NULL,                -- and that was right, and nothing came after it
    gated      INTEGER NOT NULL,                -- checks said so
    succeeded  INTEGER NOT NULL,                -- it brought the job to a good end
    rounds     INTEGER NOT NULL,
    follow_ups INTEGER NOT NULL,
    raced      INTEGER NOT NULL,
    won        INTEGER NOT NULL,
    took_ms    INTEGER NOT NULL,
    cost       INTEGER,                         -- micro-dollars; NULL where none is known
    PRIMARY KEY (job, agent, model, account)
) STRICT, WITHOUT ROWID;

-- The sums of those, by day. Of jobs that were pruned only these are left.
CREATE TABLE scoreboard (
    day        INTEGER NOT NULL,
    agent      TEXT    NOT NULL,
    model      TEXT    NOT NULL,
    account    TEXT    NOT NULL,
    project    TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    pruned     INTEGER NOT NULL,
    jobs       INTEGER NOT NULL,
    began      INTEGER NOT NULL,
    first      INTEGER NOT NULL,
    gated      INTEGER NOT NULL,
    succeeded  INTEGER NOT NULL,
    rounds     INTEGER NOT NULL,
    follow_ups INTEGER NOT NULL,
    raced      INTEGER NOT NULL,
    won        INTEGER NOT NULL,
    ln_ms      INTEGER NOT NULL,                -- of those that succeeded, in parts of engine.interval.SCALE
    ln_ms_2    INTEGER NOT NULL,
    priced     INTEGER NOT NULL,                -- of those that succeeded
    ln_cost    INTEGER NOT NULL,
    ln_cost_2  INTEGER NOT NULL,
    cost       INTEGER NOT NULL,                -- of all
    unpriced   INTEGER NOT NULL,
    PRIMARY KEY (day, agent, model, account, project, kind, pruned)
) STRICT, WITHOUT ROWID;

INSERT INTO scores_due (job) SELECT id FROM jobs WHERE ended_at IS NOT NULL AND attempts > 0;

-- One prompt on several targets, each in a worktree of its own from the same commit, until one of them is picked.
CREATE TABLE races (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    by         TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    project    TEXT,
    base       TEXT,                            -- the commit that all of them begin at
    batch      INTEGER NOT NULL,
    plan       TEXT    NOT NULL,                -- JSON: checks, judge, how many are waited for
    state      TEXT    NOT NULL,
    judge_job  INTEGER,
    winner     INTEGER,
    decided_at INTEGER,
    decided_by TEXT,
    why        TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX races_open ON races (id) WHERE state IN ('running', 'checking', 'judging');

CREATE TABLE race_entries (
    race    INTEGER NOT NULL REFERENCES races (id),
    job     INTEGER NOT NULL,
    lot     INTEGER NOT NULL,                   -- the place in which a judge reads it
    fit     INTEGER,                            -- it can win; NULL until that was looked at
    passed  INTEGER,                            -- all checks; NULL where none was run
    checks  TEXT,                               -- JSON: how each went
    note    TEXT    NOT NULL DEFAULT '',        -- why it is out, or what the judge said of it
    PRIMARY KEY (race, job)
) STRICT, WITHOUT ROWID;

CREATE INDEX race_entries_of_job ON race_entries (job);
