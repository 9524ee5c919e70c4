-- Schedules, what became of each of their times, and which jobs came of them.

CREATE TABLE schedules (
    name         TEXT PRIMARY KEY,
    kept         TEXT    NOT NULL,              -- JSON: what a person decided
    zone         TEXT    NOT NULL,              -- what it goes by, where the spec names none
    added_at     INTEGER NOT NULL,
    last_fire_at INTEGER NOT NULL,              -- all its times up to here are decided
    next_fire_at INTEGER                        -- when to look at it again; NULL while it is paused
) STRICT, WITHOUT ROWID;

CREATE INDEX schedules_due ON schedules (next_fire_at) WHERE next_fire_at IS NOT NULL;

-- One row for each time that something became of: a time never submits twice.
CREATE TABLE firings (
    schedule TEXT    NOT NULL,
    fire_at  INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    outcome  TEXT    NOT NULL,                  -- fired, caught_up, asked, skipped, missed, failed
    job      INTEGER,
    reason   TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (schedule, fire_at)
) STRICT, WITHOUT ROWID;

ALTER TABLE jobs ADD COLUMN schedule TEXT;
CREATE INDEX jobs_of_schedule ON jobs (schedule, ended_at) WHERE schedule IS NOT NULL;
