-- The skills that attempts were given, why, and whether their agents read them.

CREATE TABLE skills_given (
    place   INTEGER PRIMARY KEY,            -- in the order in which they were chosen
    attempt INTEGER NOT NULL,
    name    TEXT    NOT NULL,
    how     TEXT    NOT NULL,               -- native, prompt, own, left_out
    reason  TEXT    NOT NULL,
    source  TEXT    NOT NULL,               -- project, user, shipped
    sha256  TEXT    NOT NULL,
    tokens  INTEGER NOT NULL DEFAULT 0,
    score   REAL,
    note    TEXT    NOT NULL DEFAULT '',
    used    INTEGER,                        -- NULL: it cannot be seen, as it was told in the prompt
    UNIQUE (attempt, name)
) STRICT;
