-- Version 3: sanitised copies, certificates that are awaited, what other gateways of the same participant have published.

ALTER TABLE outbox ADD COLUMN copy_of TEXT;  -- the outbox id of the own notice whose sanitised copy this is
ALTER TABLE outbox ADD COLUMN copies INTEGER NOT NULL DEFAULT 0;  -- how many a sanitised copy of it is for
ALTER TABLE outbox ADD COLUMN certify_due INTEGER;  -- by when those who have it are to have certified that its text is gone
CREATE INDEX outbox_certify ON outbox (certify_due) WHERE certify_due IS NOT NULL;
CREATE INDEX outbox_copy ON outbox (copy_of) WHERE copy_of IS NOT NULL;

DROP VIEW outcome;
CREATE VIEW outcome AS
    SELECT seq, id, participant, act, state, accepted_at, draft, notice_id, recipients, sealed_at, attempts,
        published_at, ledger_index, receipt, problem, refusal, copy_of
    FROM outbox;

-- How far it is known here what other gateways of the same participant have published: a cursor of the ledger.
CREATE TABLE elsewhere (participant TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_answers ON outbox (answers) WHERE answers IS NOT NULL;
