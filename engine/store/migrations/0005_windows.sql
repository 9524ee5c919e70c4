-- Rate-limit windows by account: what is believed of each, and what that comes from. What an earlier engine had read is
-- kept as far as it serves; one that it had seen closed is simply tried again.

CREATE TABLE windows (
    account TEXT NOT NULL,                      -- as `claude@work`
    name    TEXT NOT NULL,
    model   TEXT NOT NULL,                      -- '' for all of the account
    state   TEXT NOT NULL,                      -- JSON
    PRIMARY KEY (account, name, model)
) STRICT, WITHOUT ROWID;

INSERT INTO windows (account, name, model, state)
    SELECT agent, window, '', json_object(
        'account', agent, 'name', window,
        'serving', json_object(
            'window', window, 'standing', iif(status = 'warning', 'warning', 'open'), 'at', observed_at,
            'source', source, 'used', used, 'resets_at', resets_at
        )
    ) FROM limits WHERE status <> 'rejected';

DROP TABLE limits;
