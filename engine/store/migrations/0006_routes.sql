-- Routes: which one a job takes, and every move from one target to another.

ALTER TABLE jobs ADD COLUMN route TEXT;

-- What a closed target keeps waiting, of the jobs that may go elsewhere.
CREATE INDEX jobs_routed ON jobs (route, agent, model, account)
    WHERE route IS NOT NULL AND state = 'ready' AND held_by IS NULL;

CREATE TABLE moves (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    job     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    attempt INTEGER,                            -- because of whose end; NULL before the first, or by the operator
    route   TEXT,                               -- NULL: nothing but the operator moved it
    was     TEXT    NOT NULL,                   -- targets, as they are written
    target  TEXT    NOT NULL,
    cause   TEXT,
    reason  TEXT    NOT NULL DEFAULT '',
    until   INTEGER,                            -- when what was left is expected to serve again
    added   INTEGER,                            -- micro-dollars; NULL where nobody knew
    by      TEXT    NOT NULL
) STRICT;

CREATE INDEX moves_of_job ON moves (job);
CREATE INDEX moves_of_route ON moves (route, at) WHERE route IS NOT NULL;
