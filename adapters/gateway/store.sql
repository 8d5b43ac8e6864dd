-- The gateway's one file. What is content stands in cells sealed by keys.custody.cells; ids, states, times and the
-- public facts of the log stand in clear, because they are what is searched by.

CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of acceptance, which is the order of sending
    id TEXT NOT NULL UNIQUE,                -- the address that the caller was given
    participant TEXT NOT NULL,
    act TEXT NOT NULL,
    state TEXT NOT NULL,
    series TEXT,                            -- rows of one import, which have no order among themselves; or 'practice'
    ref TEXT,                               -- the outbox id of the own notice that a correction or recall is about
    accepted_at INTEGER NOT NULL,           -- Unix milliseconds, as all times here
    draft BLOB NOT NULL,                    -- cell
    notice_id TEXT UNIQUE,                  -- of the newest seal; the first one is `id`
    recipients BLOB,                        -- cell: who it was sealed to and who was left out
    statement BLOB,                         -- cell: kept for good, to hold receipts and acknowledgements against
    statement_digest BLOB,
    proof BLOB,                             -- cell: the proof's bytes
    sealed BLOB,                            -- cell: the sealed part, until it is published
    sealed_at INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    published_at INTEGER,
    ledger_index INTEGER,
    receipt TEXT,
    problem BLOB,                           -- cell: why it is where it is, as JSON
    refusal TEXT
) STRICT;
CREATE INDEX outbox_waiting ON outbox (participant, seq) WHERE state IN ('kept', 'sealed');
CREATE INDEX outbox_listed ON outbox (participant, seq);
CREATE INDEX outbox_stated ON outbox (participant, state, seq);
CREATE INDEX outbox_open ON outbox (participant, seq) WHERE act IN ('subscribe', 'unsubscribe', 'revoke_key');
CREATE INDEX outbox_practice ON outbox (participant, seq) WHERE series = 'practice';
CREATE INDEX outbox_digest ON outbox (statement_digest);
CREATE INDEX outbox_ref ON outbox (ref) WHERE ref IS NOT NULL;

CREATE VIEW outcome AS
    SELECT seq, id, participant, act, state, accepted_at, draft, notice_id, recipients, sealed_at, attempts,
        published_at, ledger_index, receipt, problem, refusal
    FROM outbox;

-- Every notice id that an entry was ever sealed under, the newest too.
CREATE TABLE alias (notice_id TEXT PRIMARY KEY, seq INTEGER NOT NULL REFERENCES outbox) STRICT, WITHOUT ROWID;
CREATE INDEX alias_of ON alias (seq);

-- Which of an entry's recipients, by place in its list, has acknowledged it.
CREATE TABLE acknowledged (
    seq INTEGER NOT NULL REFERENCES outbox,
    place INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (seq, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    participant TEXT NOT NULL,
    key BLOB NOT NULL,                      -- SHA-256 of the caller's key
    request BLOB NOT NULL,                  -- SHA-256 of the request
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (participant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency (at);

CREATE TABLE imported (
    participant TEXT NOT NULL,
    file BLOB NOT NULL,                     -- SHA-256 of the file
    row INTEGER NOT NULL,
    part TEXT NOT NULL,                     -- the kind of notice that the row became
    id TEXT NOT NULL,
    PRIMARY KEY (participant, file, row, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE inbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    participant TEXT NOT NULL,
    notice_id TEXT NOT NULL,
    act TEXT NOT NULL,
    state TEXT NOT NULL,
    ledger_index INTEGER NOT NULL,
    received_at INTEGER NOT NULL,           -- of the leaf
    arrived_at INTEGER NOT NULL,
    ref TEXT,
    statement_digest BLOB NOT NULL,
    head BLOB NOT NULL,                     -- cell: sender, topic, thread, label, expiry, obligations, verdict
    content BLOB,                           -- cell: the notice; null once it was recalled
    reason BLOB,                            -- cell: why it cannot be read
    evidence BLOB,                          -- cell: the delivery, where it could not be trusted or read
    superseded_by TEXT,
    recalled_by TEXT,
    acknowledged_at INTEGER,                -- by a person or system here
    acknowledgement TEXT,                   -- outbox id of the statement that says so
    UNIQUE (participant, notice_id)
) STRICT;
CREATE INDEX inbox_listed ON inbox (participant, seq);
-- With what is null in it, so that counting does not go to the rows.
CREATE INDEX inbox_unacknowledged ON inbox (participant, seq, acknowledged_at) WHERE acknowledged_at IS NULL;
CREATE INDEX inbox_ref ON inbox (participant, ref) WHERE ref IS NOT NULL;
CREATE INDEX inbox_owed ON inbox (participant, seq) WHERE acknowledged_at IS NOT NULL AND acknowledgement IS NULL;

CREATE TABLE cursor (participant TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- The log as far as it was followed: one row.
CREATE TABLE log (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    note BLOB NOT NULL,                     -- the newest checkpoint that was verified and compared
    directory INTEGER NOT NULL,             -- version of the newest directory leaf, 0 for none
    directory_index INTEGER NOT NULL,
    snapshot BLOB,
    boundary TEXT
) STRICT;
CREATE TABLE revoked (kid TEXT PRIMARY KEY, ledger_index INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE subscription (
    participant TEXT NOT NULL,
    pattern TEXT NOT NULL,
    ledger_index INTEGER NOT NULL,
    PRIMARY KEY (participant, pattern)
) STRICT, WITHOUT ROWID;

CREATE TABLE alarm (
    kind TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    detail TEXT NOT NULL,
    over INTEGER                            -- when it ended, null while it lasts
) STRICT, WITHOUT ROWID;
CREATE TABLE evidence (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, at INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
