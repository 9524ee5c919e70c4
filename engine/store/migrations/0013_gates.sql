-- The looks of gates at what attempts have done, and which jobs are being looked at.

CREATE TABLE gate_looks (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    job      INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,                  -- its id
    claimed  INTEGER NOT NULL,                  -- the agent asked for it while it worked
    ended_at INTEGER,                           -- NULL: it goes on, or the operator is asked
    verdict  TEXT,
    digest   BLOB    NOT NULL,                  -- of what the gate asks for
    trees    TEXT    NOT NULL DEFAULT '',       -- ` a b `: what was looked at, before and after the checks
    look     TEXT    NOT NULL                   -- JSON: engine.model.GateLook
) STRICT;

CREATE INDEX gate_looks_of_job ON gate_looks (job, id);
CREATE INDEX gate_looks_open ON gate_looks (job) WHERE ended_at IS NULL;
CREATE INDEX jobs_gating ON jobs (id) WHERE state = 'gating';
