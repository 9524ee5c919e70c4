-- Who waits for an answer, cards that come back later, answers that become policy, and what the operator is told.

ALTER TABLE decisions ADD COLUMN asker TEXT NOT NULL DEFAULT 'headway';  -- agent, tool or headway
ALTER TABLE decisions ADD COLUMN of_job INTEGER NOT NULL DEFAULT 1;      -- its job waits for the answer
ALTER TABLE decisions ADD COLUMN telling_at INTEGER;                     -- from then on the agent may have been told
ALTER TABLE decisions ADD COLUMN snoozed_until INTEGER;
ALTER TABLE decisions ADD COLUMN warned_at INTEGER;                      -- that its default is near was said
ALTER TABLE decisions ADD COLUMN escalated INTEGER NOT NULL DEFAULT 0;   -- how often it was said louder
ALTER TABLE decisions ADD COLUMN escalated_at INTEGER;

UPDATE decisions SET asker = 'agent' WHERE kind IN ('permission', 'question');
UPDATE decisions SET of_job = 0 WHERE kind = 'budget' AND tool NOT LIKE 'job:%';
UPDATE decisions SET telling_at = sent_at;

ALTER TABLE rules ADD COLUMN kind TEXT NOT NULL DEFAULT 'permission';    -- of the cards that it answers
ALTER TABLE rules ADD COLUMN choice TEXT;                                -- what it answers, where it is no tool
ALTER TABLE rules ADD COLUMN words TEXT;                                 -- the answer's own words
ALTER TABLE rules ADD COLUMN job_kind TEXT;                              -- NULL: jobs of any kind
ALTER TABLE rules ADD COLUMN expires_at INTEGER;
ALTER TABLE rules ADD COLUMN used_at INTEGER;

-- Rules that like answers suggest. What was dismissed is kept, so that it is not suggested again.
CREATE TABLE proposals (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    print      TEXT    NOT NULL UNIQUE,         -- what it would decide, so that it is suggested once
    rule       TEXT    NOT NULL,                -- JSON
    past       TEXT    NOT NULL,                -- JSON: what it would have decided
    at         INTEGER NOT NULL,
    card       INTEGER,
    state      TEXT    NOT NULL,                -- open, accepted or dismissed
    decided_at INTEGER,
    by         TEXT,
    kept       INTEGER                          -- the rule that came of it
) STRICT;

-- What is worth telling the operator, and where it is told.
CREATE TABLE notices (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    seq    INTEGER NOT NULL,                    -- the event that it tells of
    uid    TEXT    NOT NULL UNIQUE,
    class  TEXT    NOT NULL,
    job    INTEGER,
    card   INTEGER,
    title  TEXT    NOT NULL,
    text   TEXT    NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

CREATE INDEX notices_of_job ON notices (job) WHERE job IS NOT NULL;
CREATE INDEX notices_at ON notices (at);

CREATE TABLE deliveries (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    notice     INTEGER NOT NULL REFERENCES notices (id),
    channel    TEXT    NOT NULL,
    state      TEXT    NOT NULL,                -- waiting, sent, failed or dropped
    not_before INTEGER NOT NULL,
    digest     INTEGER NOT NULL DEFAULT 0,      -- goes with others in one message
    tries      INTEGER NOT NULL DEFAULT 0,
    ended_at   INTEGER,
    why        TEXT,
    message    TEXT                             -- the message that it went with
) STRICT;

CREATE INDEX deliveries_waiting ON deliveries (channel, not_before) WHERE state = 'waiting';
CREATE INDEX deliveries_of_notice ON deliveries (notice);
CREATE INDEX deliveries_ended ON deliveries (channel, ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE notified (seq INTEGER NOT NULL) STRICT;  -- the log has been read up to there
