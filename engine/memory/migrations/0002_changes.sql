-- What things were before a person changed them, so that it can be taken back. What is forgotten goes from here too.
CREATE TABLE changes (
    token  TEXT    NOT NULL,                -- of one action
    item   INTEGER NOT NULL,
    before TEXT,                            -- JSON; NULL where there was none
    after  TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (token, item)
) STRICT, WITHOUT ROWID;

CREATE INDEX changes_of_item ON changes (item);
CREATE INDEX changes_at ON changes (at);
