-- Version 2: what the gateway owes for a notice and until when, what it has deleted, who stands in for a focal point.

ALTER TABLE outbox ADD COLUMN answers TEXT;  -- the notice of the inbox that this answers, and which is met once it is published

-- One obligation of a received notice: the law's, the originator's, or an answer that is due.
CREATE TABLE duty (
    participant TEXT NOT NULL,
    notice_id TEXT NOT NULL,
    code TEXT NOT NULL,
    state TEXT NOT NULL,
    due INTEGER,                            -- Unix milliseconds, as all times here
    since INTEGER NOT NULL,
    met_at INTEGER,
    met_by TEXT,                            -- notice id of the statement that met it
    permitted_until TEXT,                   -- of a use that was permitted for a time
    why BLOB NOT NULL,                      -- cell: the condition that asks for it, as JSON
    PRIMARY KEY (participant, notice_id, code)
) STRICT, WITHOUT ROWID;
CREATE INDEX duty_due ON duty (due) WHERE due IS NOT NULL AND state IN ('open', 'overdue');
CREATE INDEX duty_listed ON duty (participant, state, due);

-- A notice whose text is gone here, and the certificate that says so.
CREATE TABLE deletion (
    participant TEXT NOT NULL,
    notice_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    certificate TEXT,                       -- outbox id; null until it is put there
    PRIMARY KEY (participant, notice_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deletion_owed ON deletion (participant) WHERE certificate IS NULL;

CREATE TABLE delegation (
    sender TEXT NOT NULL,
    delegate TEXT NOT NULL,
    since TEXT NOT NULL,
    until TEXT NOT NULL,
    ledger_index INTEGER NOT NULL,
    PRIMARY KEY (sender, delegate, since)
) STRICT, WITHOUT ROWID;
