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
