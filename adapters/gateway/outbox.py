"""The outbox: what was accepted, in its order, and how far each entry has come.

kept → sealed → published → recalled | corrected | expired; kept → returned | refused | expired; sealed → kept, where a
definite refusal frees it to be sealed anew. Functions of a transaction: what they did is durable when `Store.write` has
answered, and only then may anybody be told.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from adapters.gateway import awaited, duties, history
from adapters.gateway.draft import Draft
from adapters.gateway.entries import Addressed, Entry, IdempotencyError, Key, Own, Parts, Publication, Sealing
from adapters.gateway.status import WAITING, Addressee, Kept, NoticeStatus, SanitisedCopy, State, Text, Trouble, Via
from adapters.gateway.store import Transaction
from schemas.encoding import Time, from_seconds
from schemas.ids import LedgerIndex, NoticeId, ParticipantId

PRACTICE: Final = "practice"
WRITTEN: Final = frozenset(("issue", "correct"))
ENDED: Final = frozenset((State.RECALLED, State.EXPIRED))
DRAFT: Final = "outbox.draft"
RECIPIENTS: Final = "outbox.recipients"
STATEMENT: Final = "outbox.statement"
PROOF: Final = "outbox.proof"
SEALED: Final = "outbox.sealed"
PROBLEM: Final = "outbox.problem"
Columns = tuple[Any, ...]
"""A row as SQLite gives it: the columns' types are those of store.sql, whose tables are STRICT."""

KEY_KEPT_MS: Final = 30 * 24 * 3600 * 1000


def accept(
    tx: Transaction,
    participant: ParticipantId,
    drafts: Iterable[tuple[NoticeId, Draft]],
    *,
    at: int,
    key: Key | None = None,
    series: str | None = None,
    ref: NoticeId | None = None,
    answers: NoticeId | None = None,
    copy_of: NoticeId | None = None,
) -> list[Kept]:
    """Keep drafts under new ids, in this order; `at` in Unix ms. With a key, the same request gives the same id again.

    `ref` is what they are about: the outbox id of an own notice, or the notice id of another's; `answers` the notice of the
    inbox whose answer is given by them; `copy_of` the outbox id of the own notice whose sanitised copy they are. Raises
    `IdempotencyError` where the key stood for another request.
    """
    if key is not None and (repeated := known(tx, participant, key)) is not None:
        return [repeated]
    kept = []
    for notice_id, draft in drafts:
        tx.connection.execute(
            "INSERT INTO outbox (id, participant, act, state, series, ref, answers, copy_of, accepted_at, draft,"
            " certify_due) VALUES (?, ?, ?, 'kept', ?, ?, ?, ?, ?, ?, ?)",
            (
                notice_id,
                participant,
                draft.act,
                series,
                ref,
                answers,
                copy_of,
                at,
                tx.seal(DRAFT, notice_id, draft.encode()),
                awaited.due(draft),
            ),
        )
        kept.append(Kept(notice_id, created=True))
    if key is not None:
        tx.connection.execute("DELETE FROM idempotency WHERE at < ?", (at - KEY_KEPT_MS,))
        tx.connection.execute(
            "INSERT INTO idempotency (participant, key, request, id, at) VALUES (?, ?, ?, ?, ?)",
            (participant, key.digest, key.request, kept[0].notice_id, at),
        )
    return kept


def known(tx: Transaction, participant: ParticipantId, key: Key) -> Kept | None:
    """Return what a request with a key has become already; raise `IdempotencyError` where the key stood for another."""
    found = tx.connection.execute(
        "SELECT request, id FROM idempotency WHERE participant = ? AND key = ?", (participant, key.digest)
    ).fetchone()
    if found is None:
        return None
    if found[0] != key.request:
        raise IdempotencyError("The Idempotency-Key was used for another request.")
    return Kept(NoticeId(found[1]), created=False)


def waiting(tx: Transaction, participant: ParticipantId, *, after: int, limit: int) -> list[Entry]:
    """Return up to `limit` entries that wait, behind `after`, in the order of acceptance."""
    rows = tx.connection.execute(
        # Named, because the planner would as soon go through all that was ever published.
        "SELECT seq, id, state, series, draft, notice_id, recipients, attempts, statement, proof, sealed"
        " FROM outbox INDEXED BY outbox_waiting"
        " WHERE participant = ? AND state IN ('kept', 'sealed') AND seq > ? ORDER BY seq LIMIT ?",
        (participant, after, limit),
    )
    return [_entry(tx, participant, row) for row in rows]


def _entry(tx: Transaction, participant: ParticipantId, row: Columns) -> Entry:
    seq, name, state, series, draft, notice_id, recipients, attempts, statement, proof, sealed = row
    parts = None
    if state == State.SEALED:
        parts = Parts(
            notice_id,
            tx.open(STATEMENT, seq, statement),
            tx.open(PROOF, seq, proof),
            tx.open_or_none(SEALED, seq, sealed),
        )
    return Entry(
        seq=seq,
        id=name,
        participant=participant,
        state=State(state),
        series=series,
        draft=Draft.parse(tx.open(DRAFT, name, draft)),
        addressed=Addressed.parse(tx.open_or_none(RECIPIENTS, seq, recipients)),
        attempts=attempts,
        sealed_before=notice_id is not None,
        parts=parts,
    )


def keep_sealed(tx: Transaction, sealings: Sequence[Sealing], *, at: int) -> None:
    """Fix the bytes of entries before they are first sent: from now on these are sent, unchanged, until answered."""
    for item in sealings:
        parts = item.parts
        changed = tx.connection.execute(
            "UPDATE outbox SET state = 'sealed', notice_id = ?, recipients = ?, statement = ?, statement_digest = ?,"
            " proof = ?, sealed = ?, sealed_at = ?, copies = ? WHERE seq = ? AND state = 'kept'",
            (
                parts.notice_id,
                tx.seal(RECIPIENTS, item.seq, item.addressed.encode()),
                tx.seal(STATEMENT, item.seq, parts.statement),
                hashlib.sha256(parts.statement).digest(),
                tx.seal(PROOF, item.seq, parts.proof),
                None if parts.sealed is None else tx.seal(SEALED, item.seq, parts.sealed),
                at,
                len(item.addressed.copies),
                item.seq,
            ),
        ).rowcount
        if changed != 1:
            raise RuntimeError("only an entry that is kept can be sealed")
        tx.connection.execute("INSERT INTO alias (notice_id, seq) VALUES (?, ?)", (parts.notice_id, item.seq))
        if item.draft is not None:
            (name,) = tx.connection.execute("SELECT id FROM outbox WHERE seq = ?", (item.seq,)).fetchone()
            tx.connection.execute(
                "UPDATE outbox SET draft = ? WHERE seq = ?", (tx.seal(DRAFT, name, item.draft.encode()), item.seq)
            )


def mark_published(tx: Transaction, publications: Sequence[Publication]) -> None:
    """Record receipts; a published correction or recall changes what it is about in the same commit."""
    for item in publications:
        tx.connection.execute(
            "UPDATE outbox SET state = 'published', receipt = ?, ledger_index = ?, published_at = ?, problem = NULL,"
            " proof = NULL, sealed = NULL WHERE seq = ? AND state = 'sealed'",
            (item.receipt, item.index, item.at, item.seq),
        )
        _take_effect(tx, item.seq, at=item.at)


def _take_effect(tx: Transaction, seq: int, *, at: int) -> None:
    """Let what was published act on what it is about."""
    act, ref, answers, participant = tx.connection.execute(
        "SELECT act, ref, answers, participant FROM outbox WHERE seq = ?", (seq,)
    ).fetchone()
    if act == "correct":
        tx.connection.execute("UPDATE outbox SET state = 'corrected' WHERE id = ? AND state = 'published'", (ref,))
    elif act == "recall":
        gone = tx.connection.execute(f"{_RECALLED} RETURNING id", (ref,)).fetchall()
        awaited.recalled(tx, tuple(name for (name,) in gone), at=at)
    elif act == "grant":
        _granted(tx, seq, ref)
    if answers is not None:
        duties.answered(tx, participant, answers, _notice_id(tx, seq), act=act, at=at)


def adopt(
    tx: Transaction,
    participant: ParticipantId,
    draft: Draft,
    *,
    parts: Parts,
    index: LedgerIndex,
    at: int,
    addressed: Addressed,
    ref: NoticeId | None,
    answers: NoticeId | None,
    copy_of: NoticeId | None,
) -> None:
    """Keep what another gateway of the participant has published, as if it had been this one; there is no receipt of it here."""
    name = parts.notice_id
    seq = tx.connection.execute(
        "INSERT INTO outbox (id, participant, act, state, ref, answers, copy_of, accepted_at, draft, notice_id,"
        " statement_digest, published_at, ledger_index, certify_due)"
        " VALUES (?, ?, ?, 'published', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            name,
            participant,
            draft.act,
            ref,
            answers,
            copy_of,
            at,
            tx.seal(DRAFT, name, draft.encode()),
            name,
            hashlib.sha256(parts.statement).digest(),
            at,
            index,
            awaited.due(draft),
        ),
    ).lastrowid
    assert seq is not None  # it was just inserted
    tx.connection.execute(
        "UPDATE outbox SET recipients = ?, statement = ? WHERE seq = ?",
        (tx.seal(RECIPIENTS, seq, addressed.encode()), tx.seal(STATEMENT, seq, parts.statement), seq),
    )
    tx.connection.execute("INSERT INTO alias (notice_id, seq) VALUES (?, ?)", (name, seq))
    _take_effect(tx, seq, at=at)


def answers_to(
    tx: Transaction, participant: ParticipantId, notice_id: NoticeId
) -> list[tuple[NoticeId, str, int, tuple[ParticipantId, ...]]]:
    """Return what was published about a notice of the inbox as an answer, the first one first: id, act, time, and to whom.

    Another gateway's may be known before the notice itself is here.
    """
    rows = tx.connection.execute(
        "SELECT notice_id, id, act, published_at, draft FROM outbox WHERE answers = ? AND participant = ?"
        " AND ledger_index IS NOT NULL ORDER BY ledger_index",
        (notice_id, participant),
    )
    return [
        (NoticeId(found), str(act), int(at), Draft.parse(tx.open(DRAFT, name, draft)).to)
        for found, name, act, at, draft in rows
    ]


def _notice_id(tx: Transaction, seq: int) -> NoticeId:
    return NoticeId(tx.connection.execute("SELECT notice_id FROM outbox WHERE seq = ?", (seq,)).fetchone()[0])


def _granted(tx: Transaction, seq: int, about: NoticeId) -> None:
    """Note that those whom a grant was sealed to hold the notice that it grants, by its outbox id, like the others."""
    rows = tx.connection.execute(
        "SELECT seq, recipients FROM outbox WHERE seq = ? OR id = ? ORDER BY seq = ?", (seq, about, seq)
    ).fetchall()
    (first, holders), (_, granted) = rows
    before = Addressed.parse(tx.open_or_none(RECIPIENTS, first, holders))
    new = Addressed.parse(tx.open_or_none(RECIPIENTS, seq, granted)).sealed
    there = {item.participant for item in before.sealed}
    added = tuple(Addressee(item.participant, Via.GRANT) for item in new if item.participant not in there)
    # At the end: acknowledgements are kept by place.
    after = replace(before, sealed=(*before.sealed, *added))
    tx.connection.execute(
        "UPDATE outbox SET recipients = ? WHERE seq = ?", (tx.seal(RECIPIENTS, first, after.encode()), first)
    )


_RECALLED: Final = (
    # A recall takes along the corrections of what it recalls, and theirs.
    "WITH RECURSIVE gone (id) AS (VALUES (?) UNION"
    " SELECT outbox.id FROM outbox JOIN gone ON outbox.ref = gone.id WHERE act = 'correct')"
    " UPDATE outbox SET state = 'recalled' WHERE id IN gone AND state IN ('published', 'corrected')"
)


def mark_refused(tx: Transaction, seq: int, trouble: Trouble, refusal: str | None) -> None:
    """Record that an entry is refused for good; its statement and the broker's word stay."""
    _end(tx, seq, State.REFUSED, trouble, refusal)


def give_back(tx: Transaction, seq: int, trouble: Trouble, addressed: Addressed, refusal: str | None = None) -> None:
    """Give an entry back to its drafter, who finds there what would have to change."""
    tx.connection.execute(
        "UPDATE outbox SET recipients = ? WHERE seq = ?", (tx.seal(RECIPIENTS, seq, addressed.encode()), seq)
    )
    _end(tx, seq, State.RETURNED, trouble, refusal)


def mark_expired(tx: Transaction, seq: int, trouble: Trouble, refusal: str | None = None) -> None:
    """Record that an entry's own expiry came before it could be published."""
    _end(tx, seq, State.EXPIRED, trouble, refusal)


def _end(tx: Transaction, seq: int, state: State, trouble: Trouble, refusal: str | None) -> None:
    tx.connection.execute(
        "UPDATE outbox SET state = ?, problem = ?, refusal = coalesce(?, refusal), proof = NULL, sealed = NULL"
        " WHERE seq = ? AND state IN ('kept', 'sealed')",
        (state, _problem(tx, seq, trouble), refusal, seq),
    )


def free(tx: Transaction, seq: int, trouble: Trouble, addressed: Addressed, refusal: str) -> None:
    """Let an entry be sealed anew after a definite refusal; `addressed.left_out` will not be considered again."""
    tx.connection.execute(
        "UPDATE outbox SET state = 'kept', recipients = ?, problem = ?, refusal = ?, proof = NULL, sealed = NULL,"
        " attempts = attempts + 1 WHERE seq = ? AND state = 'sealed'",
        (tx.seal(RECIPIENTS, seq, addressed.encode()), _problem(tx, seq, trouble), refusal, seq),
    )


def postpone(tx: Transaction, seq: int, trouble: Trouble) -> None:
    """Note why an entry still waits."""
    tx.connection.execute(
        "UPDATE outbox SET attempts = attempts + 1, problem = ? WHERE seq = ? AND state IN ('kept', 'sealed')",
        (_problem(tx, seq, trouble), seq),
    )


def mark_erased(tx: Transaction, notice_id: NoticeId, reason: str) -> None:
    """Note that the ledger says that a notice's body has gone because its time was over."""
    if reason == "expired":
        tx.connection.execute(
            "UPDATE outbox SET state = 'expired' WHERE notice_id = ? AND state IN ('published', 'corrected')",
            (notice_id,),
        )


def mark_acknowledged(
    tx: Transaction, sender: ParticipantId, by: ParticipantId, notice_id: NoticeId, digest: bytes, *, at: int
) -> bool:
    """Record that a recipient has acknowledged an own notice; say whether there is such a notice and recipient.

    The receipt may still be missing: a broker that was killed after it had published is asked again, and a recipient can
    be quicker than that.
    """
    row = tx.connection.execute(
        "SELECT outbox.seq, recipients FROM alias JOIN outbox USING (seq)"
        " WHERE alias.notice_id = ? AND participant = ? AND statement_digest = ?",
        (notice_id, sender, digest),
    ).fetchone()
    if row is None:
        return False
    seq, recipients = row
    addressed = Addressed.parse(tx.open(RECIPIENTS, seq, recipients))
    for place, item in enumerate(addressed.sealed):
        if item.participant == by:
            tx.connection.execute(
                "INSERT INTO acknowledged (seq, place, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (seq, place, at)
            )
            return True
    return False


def own(tx: Transaction, participant: ParticipantId, notice_id: NoticeId) -> Own | None:
    """Return a participant's own published notice, by any id that it had."""
    row = tx.connection.execute(
        "SELECT outbox.seq, id, outbox.notice_id, state, draft, recipients, ledger_index FROM alias JOIN outbox USING (seq)"
        " WHERE alias.notice_id = ? AND participant = ? AND ledger_index IS NOT NULL",
        (notice_id, participant),
    ).fetchone()
    if row is None:
        return None
    seq, name, newest, state, draft, recipients, index = row
    content = Draft.parse(tx.open(DRAFT, name, draft))
    return Own(
        seq=seq,
        id=NoticeId(name),
        notice_id=NoticeId(newest),
        index=LedgerIndex(index),
        state=State(state),
        draft=content,
        thread=content.thread or NoticeId(newest),
        addressed=Addressed.parse(tx.open_or_none(RECIPIENTS, seq, recipients)),
    )


def corrections(tx: Transaction, participant: ParticipantId, name: NoticeId) -> list[Own]:
    """Return the published corrections of an own notice, by its outbox id, and theirs, in the order of acceptance."""
    rows = tx.connection.execute(
        "WITH RECURSIVE chain (id) AS (VALUES (?) UNION"
        " SELECT outbox.id FROM outbox JOIN chain ON outbox.ref = chain.id WHERE act = 'correct')"
        " SELECT notice_id FROM outbox WHERE id IN chain AND id <> ? AND ledger_index IS NOT NULL ORDER BY seq",
        (name, name),
    ).fetchall()
    return [found for (notice_id,) in rows if (found := own(tx, participant, notice_id)) is not None]


def holders(tx: Transaction, participant: ParticipantId, about: Own, act: str) -> tuple[ParticipantId, ...]:
    """Return who has an own notice as far as an act about it must know: of a recall, also who has its corrections only."""
    found = [item.participant for item in about.addressed.sealed]
    if act != "grant":
        found += _being_granted(tx, about.id)
    if act == "recall":
        for one in corrections(tx, participant, about.id):
            found += [*(item.participant for item in one.addressed.sealed), *_being_granted(tx, one.id)]
    return tuple(dict.fromkeys(found))


def _being_granted(tx: Transaction, name: NoticeId) -> tuple[ParticipantId, ...]:
    """Return whom waiting grants of an own notice, by its outbox id, name: they hold it before what waits behind them."""
    rows = tx.connection.execute(
        "SELECT id, draft FROM outbox WHERE ref = ? AND act = 'grant' AND state IN ('kept', 'sealed')", (name,)
    ).fetchall()
    drafts = (Draft.parse(tx.open(DRAFT, found, cell)) for found, cell in rows)
    return tuple(dict.fromkeys(who for draft in drafts for who in draft.to))


def asked(tx: Transaction, participant: ParticipantId, notice_id: NoticeId) -> Draft | None:
    """Return what a participant has asked or said by any id that it had, published or not."""
    row = tx.connection.execute(
        "SELECT id, draft FROM alias JOIN outbox USING (seq) WHERE alias.notice_id = ? AND participant = ?",
        (notice_id, participant),
    ).fetchone()
    return None if row is None else Draft.parse(tx.open(DRAFT, row[0], row[1]))


def pending_about(tx: Transaction, name: NoticeId, act: str) -> NoticeId | None:
    """Return the outbox id of an act about an own notice that waits or is published already."""
    row = tx.connection.execute(
        "SELECT id FROM outbox WHERE ref = ? AND act = ? AND state IN ('kept', 'sealed', 'published')"
        " ORDER BY seq DESC LIMIT 1",
        (name, act),
    ).fetchone()
    return None if row is None else NoticeId(row[0])


def said_about(tx: Transaction, name: NoticeId, act: str) -> list[tuple[NoticeId, Draft]]:
    """Return what waits or is published of an act about an own notice, by outbox ids, in the order of acceptance."""
    rows = tx.connection.execute(
        "SELECT id, draft FROM outbox WHERE ref = ? AND act = ? AND state NOT IN ('returned', 'refused') AND copy_of IS NULL"
        " ORDER BY seq",
        (name, act),
    ).fetchall()
    return [(NoticeId(found), Draft.parse(tx.open(DRAFT, found, cell))) for found, cell in rows]


def practice(tx: Transaction, participant: ParticipantId) -> NoticeId | None:
    """Return the participant's practice notice, None where it has sent none."""
    row = tx.connection.execute(
        "SELECT id FROM outbox WHERE participant = ? AND series = 'practice' ORDER BY seq LIMIT 1", (participant,)
    ).fetchone()
    return None if row is None else NoticeId(row[0])


def open_acts_ahead(tx: Transaction, participant: ParticipantId, size: int) -> list[Draft]:
    """Return open acts that wait, or whose leaf lies behind the log's first `size`, in the order of acceptance."""
    rows = tx.connection.execute(
        "SELECT id, draft FROM outbox WHERE participant = ? AND act IN ('subscribe', 'unsubscribe', 'revoke_key')"
        " AND (state IN ('kept', 'sealed') OR ledger_index >= ?) ORDER BY seq",
        (participant, size),
    )
    return [Draft.parse(tx.open(DRAFT, name, cell)) for name, cell in rows]


_BY_ID: Final = (
    "SELECT * FROM outcome WHERE participant = ?"
    " AND (id = ? OR seq = (SELECT seq FROM alias WHERE alias.notice_id = ?))"
)
_ALL: Final = "SELECT * FROM outcome WHERE participant = ? AND seq > ? ORDER BY seq LIMIT ?"
_OF_STATE: Final = "SELECT * FROM outcome WHERE participant = ? AND seq > ? AND state = ? ORDER BY seq LIMIT ?"


def status(tx: Transaction, participant: ParticipantId, notice_id: NoticeId) -> NoticeStatus | None:
    """Return what became of an entry, by its id or any notice id that it was sealed under."""
    row = tx.connection.execute(_BY_ID, (participant, notice_id, notice_id)).fetchone()
    return None if row is None else _status(tx, row)


def statuses(
    tx: Transaction, participant: ParticipantId, *, after: int, limit: int, state: State | None
) -> tuple[list[NoticeStatus], int]:
    """Return statuses behind the cursor `after`, in the order of acceptance, and the next cursor."""
    if state is None:
        rows = tx.connection.execute(_ALL, (participant, after, limit)).fetchall()
    else:
        rows = tx.connection.execute(_OF_STATE, (participant, after, state.value, limit)).fetchall()
    return [_status(tx, row) for row in rows], rows[-1][0] if rows else after


def _status(tx: Transaction, row: Columns) -> NoticeStatus:
    seq, name, participant, act, state, accepted_at, draft_cell, notice_id, recipients = row[:9]
    sealed_at, attempts, published_at, index, receipt, problem, refusal, copy_of = row[9:]
    draft = Draft.parse(tx.open(DRAFT, name, draft_cell))
    addressed = Addressed.parse(tx.open_or_none(RECIPIENTS, seq, recipients))
    newest: NoticeId = notice_id or name
    aliases = [item for (item,) in tx.connection.execute("SELECT notice_id FROM alias WHERE seq = ?", (seq,))]
    trouble = tx.open_or_none(PROBLEM, seq, problem)
    return NoticeStatus(
        id=name,
        notice_id=newest,
        aliases=tuple(sorted(item for item in aliases if item != newest)),
        participant=participant,
        act=act,
        state=State(state),
        topic=draft.topic,
        label=draft.label,
        ref=draft.ref,
        thread=draft.thread or (newest if draft.label is not None else None),
        expires_at=draft.expires_at,
        accepted_at=_time(accepted_at),
        sealed_at=None if sealed_at is None else _time(sealed_at),
        published_at=None if published_at is None else _time(published_at),
        attempts=attempts,
        receipt=receipt,
        index=index,
        recipients=_acknowledged(tx, seq, addressed),
        left_out=addressed.left_out,
        problem=None if trouble is None else Trouble.from_json(orjson.loads(trouble)),
        refusal=refusal,
        corrected_by=pending_about(tx, name, "correct"),
        recalled_by=pending_about(tx, name, "recall"),
        history=history.of(tx, participant, (name, *aliases)),
        reply_due=_reply_due(act, draft, published_at),
        notice=draft.notice if act in WRITTEN and state not in ENDED else None,
        text=Text.SANITISED if draft.sanitised else Text.FULL,
        sanitised=_sanitised(tx, name, addressed),
        sanitised_of=copy_of,
    )


def _acknowledged(tx: Transaction, seq: int, addressed: Addressed) -> tuple[Addressee, ...]:
    """Return whom an entry was sealed to, and when each acknowledged it."""
    at = dict(tx.connection.execute("SELECT place, at FROM acknowledged WHERE seq = ?", (seq,)))
    return tuple(
        Addressee(item.participant, item.via, _time(at[place]) if place in at else None)
        for place, item in enumerate(addressed.sealed)
    )


def _sanitised(tx: Transaction, name: NoticeId, addressed: Addressed) -> SanitisedCopy | None:
    """Return the sanitised copy of an entry, None where there is none and will be none."""
    row = tx.connection.execute(
        "SELECT seq, id, state, recipients, problem FROM outbox WHERE copy_of = ? ORDER BY seq LIMIT 1", (name,)
    ).fetchone()
    if row is None:
        return SanitisedCopy(None, None, addressed.copies, (), None) if addressed.copies else None
    seq, copy, state, recipients, problem = row
    sealed = Addressed.parse(tx.open_or_none(RECIPIENTS, seq, recipients))
    trouble = tx.open_or_none(PROBLEM, seq, problem)
    return SanitisedCopy(
        id=copy,
        state=State(state),
        recipients=_acknowledged(tx, seq, sealed) or (addressed.copies if state in WAITING else ()),
        left_out=sealed.left_out,
        problem=None if trouble is None else Trouble.from_json(orjson.loads(trouble)),
    )


def _reply_due(act: str, draft: Draft, published_at: int | None) -> Time | None:
    due = None if published_at is None else duties.reply_due(act, draft.label, published_at)
    return None if due is None else _time(due)


def counts(tx: Transaction) -> dict[tuple[ParticipantId, State], int]:
    """Return how many entries there are by participant and state."""
    rows = tx.connection.execute("SELECT participant, state, count(*) FROM outbox GROUP BY participant, state")
    return {(ParticipantId(who), State(state)): number for who, state, number in rows}


def _problem(tx: Transaction, seq: int, trouble: Trouble) -> bytes:
    return tx.seal(PROBLEM, seq, orjson.dumps(trouble.to_json()))


def _time(milliseconds: int) -> Time:
    return from_seconds(milliseconds // 1000)
