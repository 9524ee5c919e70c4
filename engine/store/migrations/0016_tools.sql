-- What agents call of Headway: how each call was answered, what they reported and left, and whom they submitted.

CREATE TABLE tool_calls (
    attempt INTEGER NOT NULL,
    call    TEXT    NOT NULL,                   -- the shim's name for it: sent again, it is answered as it was
    tool    TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    ok      INTEGER NOT NULL,
    answer  TEXT    NOT NULL,
    PRIMARY KEY (attempt, call)
) STRICT, WITHOUT ROWID;

CREATE TABLE reports (
    attempt INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    line    TEXT    NOT NULL,
    share   REAL
) STRICT;

-- Jobs that an agent submitted. `root` is the first of the line, whose budget they share.
CREATE TABLE children (
    job     INTEGER PRIMARY KEY,
    parent  INTEGER NOT NULL,
    root    INTEGER NOT NULL,
    depth   INTEGER NOT NULL,
    attempt INTEGER NOT NULL                    -- of the parent
) STRICT;

CREATE INDEX children_of_parent ON children (parent);
CREATE INDEX children_of_root ON children (root);
