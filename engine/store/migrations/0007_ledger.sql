-- The ledger: what each message of a model used and cost, once. `usage` holds its sums by attempt and model.

CREATE TABLE ledger (
    agent                 TEXT    NOT NULL,
    message               TEXT    NOT NULL,     -- the provider's own name; or '12/...', which attempt 12 alone knows
    attempt               INTEGER NOT NULL REFERENCES attempts (id),
    at                    INTEGER NOT NULL,
    model                 TEXT    NOT NULL,
    input_tokens          INTEGER NOT NULL,
    output_tokens         INTEGER NOT NULL,
    cache_read_tokens     INTEGER NOT NULL,
    cache_write_tokens    INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,     -- of those
    reasoning_tokens      INTEGER NOT NULL,     -- of the output
    cost_micros           INTEGER,              -- NULL where nobody knows the price
    grade                 TEXT    NOT NULL,
    price                 TEXT,                 -- the table that it was computed by
    final                 INTEGER NOT NULL,     -- all its tokens are told
    PRIMARY KEY (agent, message)                -- the same message is never added twice
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_of_attempt ON ledger (attempt);
CREATE INDEX ledger_by_time ON ledger (at);

ALTER TABLE usage ADD COLUMN cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN reasoning_tokens INTEGER NOT NULL DEFAULT 0;

INSERT INTO ledger
    SELECT attempts.agent, usage.attempt || '/whole/' || usage.model, usage.attempt, usage.at, usage.model,
           usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens, 0, 0,
           usage.cost_micros, usage.grade, NULL, 1
    FROM usage JOIN attempts ON attempts.id = usage.attempt;

-- What was pruned is told apart by account and kind as well.
ALTER TABLE pruned_usage RENAME TO pruned_usage_before;
CREATE TABLE pruned_usage (
    day                   INTEGER NOT NULL,     -- milliseconds UTC of its beginning
    agent                 TEXT    NOT NULL,
    account               TEXT    NOT NULL,     -- '' for the agent's own
    project               TEXT    NOT NULL,     -- '' for none
    kind                  TEXT    NOT NULL,     -- '' for none
    model                 TEXT    NOT NULL,
    grade                 TEXT    NOT NULL,
    attempts              INTEGER NOT NULL,
    input_tokens          INTEGER NOT NULL,
    output_tokens         INTEGER NOT NULL,
    cache_read_tokens     INTEGER NOT NULL,
    cache_write_tokens    INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    reasoning_tokens      INTEGER NOT NULL,
    cost_micros           INTEGER,
    PRIMARY KEY (day, agent, account, project, kind, model, grade)
) STRICT, WITHOUT ROWID;
INSERT INTO pruned_usage
    SELECT day, agent, '', project, '', model, grade, attempts, input_tokens, output_tokens, cache_read_tokens,
           cache_write_tokens, 0, 0, cost_micros
    FROM pruned_usage_before;
DROP TABLE pruned_usage_before;

-- What was spent of each budget in its period; that of a job is 'job:12'. Filled from the ledger when a budget is new.
CREATE TABLE budget_spend (
    scope    TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    micros   INTEGER NOT NULL,
    tokens   INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    warned   INTEGER NOT NULL DEFAULT 0,
    reached  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, since)
) STRICT, WITHOUT ROWID;

-- What the operator allowed beyond a budget in a period.
CREATE TABLE allowances (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    scope    TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    micros   INTEGER,
    tokens   INTEGER,                           -- neither of them: without a cap
    by       TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    card     INTEGER
) STRICT;

CREATE INDEX allowances_of ON allowances (scope, since);

-- Days on which another book differed from the ledger by more than the alarm, as they were last compared.
CREATE TABLE drifts (
    day   TEXT    NOT NULL,
    book  TEXT    NOT NULL,
    share REAL    NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (day, book)
) STRICT, WITHOUT ROWID;
