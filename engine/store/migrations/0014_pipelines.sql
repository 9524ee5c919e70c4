-- Pipelines, and the queue in which the work of jobs comes to the branch of its project.

-- One line for each repository, in the order of their numbers. How far each is stands here alone: a commit is written
-- down before a branch is moved to it, so that whoever comes next can tell whether that was done.
CREATE TABLE merges (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    by         TEXT    NOT NULL,
    job        INTEGER NOT NULL,
    title      TEXT    NOT NULL,
    project    TEXT    NOT NULL,
    repository TEXT    NOT NULL,                -- the git directory
    target     TEXT    NOT NULL,
    checks     TEXT    NOT NULL,                -- JSON: command lines
    check_ms   INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    source     TEXT,
    onto       TEXT,
    candidate  TEXT,
    conflicts  TEXT    NOT NULL DEFAULT '[]',   -- JSON
    results    TEXT    NOT NULL DEFAULT '[]',   -- JSON
    card       INTEGER,
    why        TEXT    NOT NULL DEFAULT '',
    ended_at   INTEGER
) STRICT;

CREATE INDEX merges_open ON merges (repository, id) WHERE ended_at IS NULL;
CREATE INDEX merges_of_job ON merges (job);

CREATE TABLE pipelines (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    by       TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    title    TEXT    NOT NULL,
    project  TEXT,
    batch    INTEGER NOT NULL,
    plan     TEXT    NOT NULL,                  -- JSON: its steps as they were then, and what was asked for
    state    TEXT    NOT NULL,
    held_by  TEXT,
    why      TEXT    NOT NULL DEFAULT '',
    ended_at INTEGER
) STRICT;

CREATE INDEX pipelines_open ON pipelines (id) WHERE ended_at IS NULL;

CREATE TABLE pipeline_steps (
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    place    INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    round    INTEGER NOT NULL DEFAULT 0,        -- how often it was begun
    jobs     TEXT    NOT NULL DEFAULT '[]',     -- JSON: of the newest round
    card     INTEGER,
    merge    INTEGER,
    result   TEXT    NOT NULL DEFAULT '',       -- what later steps are told of it
    findings TEXT    NOT NULL DEFAULT '',       -- what an earlier step is to mend because of it
    why      TEXT    NOT NULL DEFAULT '',
    began_at INTEGER,
    ended_at INTEGER,
    PRIMARY KEY (pipeline, place)
) STRICT, WITHOUT ROWID;

-- The job in whose worktree a job works, and goes on with its branch.
ALTER TABLE jobs ADD COLUMN within INTEGER;
