-- What is remembered, in a database of its own: a long write here never stands in the way of the queue.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Scopes by number: the text index holds `s` and the number as a word, so that it can leave out what is not asked for.
CREATE TABLE scopes (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope INTEGER NOT NULL REFERENCES scopes (id),
    kind TEXT NOT NULL,
    standing TEXT NOT NULL,
    text TEXT NOT NULL,
    subject TEXT,
    tags TEXT NOT NULL,             -- JSON
    created_at INTEGER NOT NULL,    -- milliseconds UTC, as all times
    updated_at INTEGER NOT NULL,
    valid_from INTEGER,
    valid_to INTEGER,
    verify_by INTEGER,
    superseded_by INTEGER,
    importance REAL NOT NULL,
    use_count INTEGER NOT NULL,
    last_used_at INTEGER,
    helped INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    verified_count INTEGER NOT NULL,
    contradicted_count INTEGER NOT NULL,
    last_verified_at INTEGER,
    source TEXT NOT NULL,           -- JSON
    transcript TEXT,
    position INTEGER,
    embed_model TEXT,
    embed_dim INTEGER
) STRICT;

CREATE INDEX items_subject ON items (subject, scope) WHERE subject IS NOT NULL;
CREATE INDEX items_transcript ON items (transcript, position) WHERE transcript IS NOT NULL;
CREATE INDEX items_updated ON items (updated_at);
CREATE INDEX items_bare ON items (embed_model, id) WHERE standing IN ('active', 'superseded');

-- Beside the items, so that a list of them does not read over the vectors.
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY REFERENCES items (id) ON DELETE CASCADE,
    data BLOB NOT NULL              -- float32, native order
) STRICT;

-- Without a copy of the texts. A word of `place` is a scope, and weighs nothing.
CREATE VIRTUAL TABLE found USING fts5 (place, words, content = '', tokenize = 'porter unicode61');

-- Which items were told to which attempt, so that the end of its job can be counted, and told where a text went.
CREATE TABLE uses (
    item INTEGER NOT NULL,
    job INTEGER NOT NULL,
    attempt INTEGER NOT NULL,       -- its number among those of the job
    at INTEGER NOT NULL,
    counted TEXT,                   -- how the job ended, once that is counted
    PRIMARY KEY (item, job, attempt)
) STRICT, WITHOUT ROWID;

CREATE INDEX uses_job ON uses (job);

INSERT INTO found (found, rank) VALUES ('rank', 'bm25(0.0, 1.0)');
