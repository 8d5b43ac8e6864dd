"""The inbox: what arrived for a participant, opened, once each, with what became of it since.

Functions of a transaction. An item and the feed's cursor behind it are written in one commit, so that a crash in between
neither loses a notice nor shows it twice. A recall erases what it recalls and leaves its stone; a correction points from
the old text to the new one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from adapters.gateway import deletions, duties, history, outbox
from adapters.gateway.status import InboxItem, InboxState
from adapters.gateway.store import Transaction
from schemas.encoding import Time, b64encode, from_seconds
from schemas.ids import LedgerIndex, NoticeId, ParticipantId
from schemas.label import Label
from schemas.rules.builtin import ANSWERS
from schemas.rules.content import Content
from schemas.statement import Statement
from schemas.strict_json import Json

HEAD: Final = "inbox.head"
CONTENT: Final = "inbox.content"
REASON: Final = "inbox.reason"
EVIDENCE: Final = "inbox.evidence"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One delivery as it goes into the inbox. `notice` is None where it could not be opened or read; `reason` says why.

    `evidence` are the delivery's bytes where it could not be trusted or read, `obligations` what the laws of the States
    concerned ask of the recipient. `granted_by` is the grant that it came through, `is_focal_point` says whether the
    participant is its State's.
    """

    statement: Statement
    digest: bytes
    index: LedgerIndex
    received_at: int
    state: InboxState
    notice: Mapping[str, Json] | None
    reason: str | None = None
    evidence: bytes | None = None
    obligations: tuple[Mapping[str, Json], ...] = ()
    granted_by: NoticeId | None = None
    is_focal_point: bool = False
    facts: Content | None = None
    """What its content shows of times that obligations count from; None where it has no content of a known kind."""
    verdict: Mapping[str, Json] | None = None
    """What this gateway's rules said of it, None where they were not asked."""


@dataclass(frozen=True, slots=True)
class Owed:
    """An item whose acknowledgement was asked for here and has not been sent yet."""

    seq: int
    notice_id: NoticeId
    sender: ParticipantId
    digest: bytes


def cursor(tx: Transaction, participant: ParticipantId) -> int:
    """Return the cursor of the feed up to which everything is in the inbox."""
    row = tx.connection.execute("SELECT position FROM cursor WHERE participant = ?", (participant,)).fetchone()
    return 0 if row is None else int(row[0])


def put(
    tx: Transaction, participant: ParticipantId, arrivals: Sequence[Arrival], position: int, *, at: int
) -> list[NoticeId]:
    """Keep a page's arrivals and move the cursor to `position`; return the ids that are new.

    What is there already stays as it is: a page that was fetched twice changes nothing.
    """
    new = [item.statement.notice_id for item in arrivals if _put(tx, participant, item, at)]
    tx.connection.execute(
        "INSERT INTO cursor (participant, position) VALUES (?, ?)"
        " ON CONFLICT (participant) DO UPDATE SET position = max(position, excluded.position)",
        (participant, position),
    )
    return new


def unreadable(tx: Transaction, participant: ParticipantId, *, limit: int) -> list[NoticeId]:
    """Return notices that are authentic and were not opened: no key here did, or a law forbade it; the newest first."""
    rows = tx.connection.execute(
        "SELECT notice_id FROM inbox WHERE participant = ? AND state = 'unreadable' ORDER BY seq DESC LIMIT ?",
        (participant, limit),
    )
    return [NoticeId(name) for (name,) in rows]


def put_again(tx: Transaction, participant: ParticipantId, item: Arrival, *, at: int) -> bool:
    """Keep a notice that could not be read before and can be now, as one that has just arrived; say whether it is so."""
    gone = tx.connection.execute(
        "DELETE FROM inbox WHERE participant = ? AND notice_id = ? AND state = 'unreadable'",
        (participant, item.statement.notice_id),
    ).rowcount
    return bool(gone) and _put(tx, participant, item, at)


def _put(tx: Transaction, participant: ParticipantId, item: Arrival, at: int) -> bool:
    statement = item.statement
    notice_id = statement.notice_id
    place = f"{participant}/{notice_id}"
    head = orjson.dumps(
        {
            "sender": statement.sender,
            "topic": statement.topic,
            "thread": statement.thread,
            "label": None if statement.label is None else statement.label.to_json(),
            "expires_at": statement.expires_at,
            "obligations": item.obligations,
            "granted_by": item.granted_by,
            "verdict": _without_duties(item),
        }
    )
    content = None if item.notice is None else tx.seal(CONTENT, place, orjson.dumps(item.notice))
    inserted = tx.connection.execute(
        "INSERT INTO inbox (participant, notice_id, act, state, ledger_index, received_at, arrived_at, ref,"
        " statement_digest, head, content, reason, evidence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (participant, notice_id) DO NOTHING",
        (
            participant,
            notice_id,
            statement.act,
            item.state,
            item.index,
            item.received_at,
            at,
            statement.ref,
            item.digest,
            tx.seal(HEAD, place, head),
            content,
            None if item.reason is None else tx.seal(REASON, place, item.reason.encode()),
            None if item.evidence is None else tx.seal(EVIDENCE, place, item.evidence),
        ),
    ).rowcount
    if not inserted:
        return False
    # What could not be verified is evidence against somebody: it has no effect on anything else.
    if item.state is not InboxState.UNVERIFIED:
        if item.state is InboxState.OPENED:
            _owe(tx, participant, item)
        _apply(tx, participant, item)
    return True


def _without_duties(item: Arrival) -> dict[str, Json] | None:
    """Return the verdict as it is kept: what is owed for an opened notice stands in the head already."""
    return None if item.verdict is None else {**item.verdict, **({"obligations": None} if item.obligations else {})}


def _owe(tx: Transaction, participant: ParticipantId, item: Arrival) -> None:
    """Keep what an opened notice asks for, and let an answer meet what it answers."""
    statement = item.statement
    duties.arise(
        tx,
        participant,
        statement.notice_id,
        statement.act,
        statement.label,
        item.obligations,
        received_at=item.received_at,
        issued_at=statement.issued_at,
        expires_at=statement.expires_at,
        is_focal_point=item.is_focal_point,
        facts=item.facts,
    )
    # Another gateway of the participant may have answered it before it arrived here.
    for answer, act, at, to in outbox.answers_to(tx, participant, statement.notice_id):
        if is_answer(act, statement.sender, to):
            duties.answered(tx, participant, statement.notice_id, answer, act=act, at=at)
    if statement.ref is None:
        return
    if statement.act in _ANSWERING or (statement.act == "issue" and _states_answer(statement.label)):
        duties.answered_for(tx, participant, statement.sender, statement.ref, statement.notice_id, at=item.received_at)
    if statement.act in ("issue", "correct") and _is_written_request(item.facts):
        # A request in writing, from whoever made the oral one: anything else that it says confirms nothing.
        found = _find(tx, participant, statement.ref)
        if found is not None and found[1] == statement.sender:
            duties.confirmed(tx, participant, statement.ref, statement.notice_id, at=item.received_at)
    if statement.act in ("permit", "refuse") and item.notice is not None:
        word = _Word(statement.act, statement.sender, statement.ref, statement.notice_id, item.received_at)
        _permission(tx, participant, word, item.notice)


def _is_written_request(facts: Content | None) -> bool:
    return facts is not None and facts.kind == "controlled-delivery" and facts.oral is False


_ANSWERING: Final = ("permit", "refuse", "consent")


def is_answer(act: str, sender: ParticipantId, to: Collection[ParticipantId]) -> bool:
    """Say whether an act about a notice answers it: a notice does where it goes to whoever sent that one."""
    return act in _ANSWERING or (act == "issue" and sender in to)


def _states_answer(label: Label | None) -> bool:
    """Say whether a notice states that it answers what it refers to; the broker sees to it that it went there."""
    return label is not None and any(item.code == ANSWERS for item in label.conditions)


@dataclass(frozen=True, slots=True)
class _Word:
    """A `permit` or `refuse`: whose, about what, its own id, and when its leaf was received in Unix ms."""

    act: str
    sender: ParticipantId
    ref: NoticeId
    notice_id: NoticeId
    at: int


def permit_again(tx: Transaction, participant: ParticipantId, question: NoticeId) -> None:
    """Let answers count that arrived before the question was known here that another gateway has asked."""
    for notice_id, act, at, head, cell in tx.connection.execute(
        "SELECT notice_id, act, received_at, head, content FROM inbox WHERE participant = ? AND ref = ?"
        " AND act IN ('permit', 'refuse') AND state = 'opened' ORDER BY ledger_index",
        (participant, question),
    ).fetchall():
        content = tx.open_or_none(CONTENT, f"{participant}/{notice_id}", cell)
        if content is not None:
            word = _Word(act, _sender(tx, participant, notice_id, head), question, notice_id, at)
            _permission(tx, participant, word, orjson.loads(content))


def granted(
    tx: Transaction,
    participant: ParticipantId,
    notice_id: NoticeId,
    readers: Collection[ParticipantId],
    by: NoticeId,
    *,
    at: int,
) -> None:
    """Note that those who had asked for access to an own notice have it by a grant of another gateway's."""
    for question, head in tx.connection.execute(
        "SELECT notice_id, head FROM inbox WHERE participant = ? AND ref = ? AND act = 'ask_access' AND state = 'opened'",
        (participant, notice_id),
    ).fetchall():
        if _sender(tx, participant, question, head) in readers:
            duties.answered(tx, participant, question, by, act="grant", at=at)


def acknowledged_elsewhere(
    tx: Transaction, participant: ParticipantId, notice_id: NoticeId, digest: bytes, by: NoticeId, *, at: int
) -> None:
    """Note that another gateway of the participant has acknowledged a notice, by the statement `by`."""
    tx.connection.execute(
        "UPDATE inbox SET acknowledged_at = coalesce(acknowledged_at, ?), acknowledgement = ? WHERE participant = ?"
        " AND notice_id = ? AND statement_digest = ? AND acknowledgement IS NULL AND state <> 'unverified'",
        (at, by, participant, notice_id, digest),
    )


def _permission(tx: Transaction, participant: ParticipantId, statement: _Word, said: Mapping[str, Json]) -> None:
    """Let a notice's sender permit or refuse a use of it: what it answers is our question, or the notice itself."""
    at = statement.at
    about, use = statement.ref, said.get("use")
    question = outbox.asked(tx, participant, statement.ref)
    if question is not None:
        if question.act != "ask_use" or question.ref is None or question.notice is None:
            return
        about, use = question.ref, question.notice["use"]
    found = _find(tx, participant, about)
    # Only whose notice it is may say so.
    if found is None or found[1] != statement.sender or not isinstance(use, str):
        return
    if statement.act == "permit":
        until = said.get("until")
        permitted_until = Time(until) if isinstance(until, str) else None
        duties.permit(tx, participant, about, use, permitted_until, statement.notice_id, at=at)
    else:
        duties.forbid(tx, participant, about, use, statement.notice_id, at=at)


def _apply(tx: Transaction, participant: ParticipantId, item: Arrival) -> None:
    """Let a recall or correction act on what it is about, and what came late be acted on by those that came before."""
    statement = item.statement
    if statement.act in ("recall", "correct") and statement.ref is not None:
        _act(tx, participant, statement.act, statement.sender, statement.ref, statement.notice_id)
    # What was held and is released late may be recalled already, it or what it corrects.
    for act, by, about in tx.connection.execute(
        # By the index of `ref`: a condition that hides it from the planner costs a scan of the inbox for each arrival.
        "SELECT act, notice_id, ref FROM inbox WHERE participant = ? AND ref IN (?, ?)"
        " AND (act = 'recall' OR (act = 'correct' AND ref = ?)) AND state <> 'unverified' ORDER BY +seq",
        (participant, statement.notice_id, statement.ref, statement.notice_id),
    ).fetchall():
        if by != statement.notice_id and (statement.act == "correct" or about == statement.notice_id):
            found = _find(tx, participant, by)
            assert found is not None  # it was just read
            _act(tx, participant, act, found[1], statement.notice_id, by)


def _act(
    tx: Transaction, participant: ParticipantId, act: str, sender: ParticipantId, about: NoticeId, by: NoticeId
) -> None:
    """Recall or supersede an item of the same sender; a recall takes the corrections of it along."""
    names = [about]  # and, of a recall, corrections and theirs: a chain may be as long as its sender likes
    while names:
        name = names.pop()
        found = _find(tx, participant, name)
        if found is not None and found[1] == sender:
            _mark(tx, found[0], act, by)
        elif name != about:
            continue
        if act == "recall":
            names += [
                correction
                for (correction,) in tx.connection.execute(
                    "SELECT notice_id FROM inbox"
                    " WHERE participant = ? AND ref = ? AND act = 'correct' AND state <> 'recalled'",
                    (participant, name),
                )
            ]


def _mark(tx: Transaction, seq: int, act: str, by: NoticeId) -> None:
    if act == "recall":
        participant, notice_id, state, at = tx.connection.execute(
            "SELECT participant, notice_id, state, (SELECT arrived_at FROM inbox AS one WHERE one.notice_id = ? AND"
            " one.participant = inbox.participant) FROM inbox WHERE seq = ?",
            (by, seq),
        ).fetchone()
        tx.connection.execute(
            "UPDATE inbox SET state = 'recalled', recalled_by = ?, content = NULL, evidence = NULL WHERE seq = ?",
            (by, seq),
        )
        if state in ("opened", "corrected"):
            deletions.note(tx, participant, notice_id, deletions.RECALLED, at=at)
        elif state == "deleted":
            duties.deleted(tx, participant, notice_id, at=at, recalled=True)
    else:
        tx.connection.execute(
            "UPDATE inbox SET state = CASE state WHEN 'opened' THEN 'corrected' ELSE state END, superseded_by = ?"
            " WHERE seq = ?",
            (by, seq),
        )


def _find(tx: Transaction, participant: ParticipantId, notice_id: NoticeId) -> tuple[int, ParticipantId] | None:
    """Return an item's `seq` and sender. What is unverified is not found: evidence is not to be recalled."""
    row = tx.connection.execute(
        "SELECT seq, head FROM inbox WHERE participant = ? AND notice_id = ? AND state <> 'unverified'",
        (participant, notice_id),
    ).fetchone()
    return None if row is None else (row[0], _sender(tx, participant, notice_id, row[1]))


def _sender(tx: Transaction, participant: ParticipantId, notice_id: NoticeId, head: bytes) -> ParticipantId:
    return ParticipantId(orjson.loads(tx.open(HEAD, f"{participant}/{notice_id}", head))["sender"])


def item(tx: Transaction, participant: ParticipantId, notice_id: NoticeId) -> InboxItem | None:
    """Return one item."""
    row = tx.connection.execute(
        "SELECT * FROM inbox WHERE participant = ? AND notice_id = ?", (participant, notice_id)
    ).fetchone()
    return None if row is None else _item(tx, row)


def items(
    tx: Transaction, participant: ParticipantId, *, after: int, limit: int, unacknowledged: bool = False
) -> tuple[list[InboxItem], int]:
    """Return items behind the cursor `after`, in the order of arrival, and the next cursor."""
    query = _UNACKNOWLEDGED if unacknowledged else _ALL
    rows = tx.connection.execute(query, (participant, after, limit)).fetchall()
    return [_item(tx, row) for row in rows], rows[-1][0] if rows else after


_ALL: Final = "SELECT * FROM inbox WHERE participant = ? AND seq > ? ORDER BY seq LIMIT ?"
_UNACKNOWLEDGED: Final = (
    "SELECT * FROM inbox WHERE participant = ? AND seq > ? AND acknowledged_at IS NULL ORDER BY seq LIMIT ?"
)


def _item(tx: Transaction, row: tuple[Any, ...]) -> InboxItem:
    seq, participant, notice_id, act, state, index, received_at, arrived_at, ref, digest = row[:10]
    deletion = deletions.of(tx, participant, notice_id)
    head_cell, content_cell, reason_cell, _, superseded_by, recalled_by, acknowledged_at, acknowledgement = row[10:]
    place = f"{participant}/{notice_id}"
    head = orjson.loads(tx.open(HEAD, place, head_cell))
    content = tx.open_or_none(CONTENT, place, content_cell)
    reason = tx.open_or_none(REASON, place, reason_cell)
    verdict = head.get("verdict")  # items that arrived under an earlier version have none
    if verdict is not None and verdict["obligations"] is None:
        verdict["obligations"] = head["obligations"]
    return InboxItem(
        seq=seq,
        notice_id=notice_id,
        participant=participant,
        act=act,
        state=InboxState(state),
        sender=head["sender"],
        topic=head["topic"],
        thread=head["thread"],
        ref=ref,
        label=None if head["label"] is None else Label.from_json(head["label"]),
        notice=None if content is None else orjson.loads(content),
        reason=None if reason is None else reason.decode(),
        obligations=tuple(head["obligations"]),
        index=index,
        published_at=_time(received_at),
        arrived_at=_time(arrived_at),
        expires_at=head["expires_at"],
        statement_digest=b64encode(digest),
        superseded_by=superseded_by,
        recalled_by=recalled_by,
        acknowledged_at=None if acknowledged_at is None else _time(acknowledged_at),
        acknowledgement=acknowledgement,
        granted_by=head.get("granted_by"),
        verdict=verdict,
        deleted_at=None if deletion is None else _time(deletion.at),
        certificate=None if deletion is None else deletion.certificate,
        duties=duties.of(tx, participant, notice_id),
        history=history.of(tx, participant, (notice_id,)),
    )


def delete(tx: Transaction, participant: ParticipantId, notice_id: NoticeId, reason: str, *, at: int) -> bool:
    """Delete a notice's text here, and note that this is to be certified; say whether it was there."""
    changed = tx.connection.execute(
        "UPDATE inbox SET state = 'deleted', content = NULL, evidence = NULL WHERE participant = ? AND notice_id = ?"
        " AND state IN ('opened', 'corrected')",
        (participant, notice_id),
    ).rowcount
    if changed:
        deletions.note(tx, participant, notice_id, reason, at=at)
    return bool(changed)


def acknowledge(tx: Transaction, participant: ParticipantId, notices: Sequence[NoticeId], *, at: int) -> list[NoticeId]:
    """Note that a person or system here has seen notices; return those that it had not seen before.

    What cannot be verified is never acknowledged: nobody may be told that it arrived.
    """
    return [
        notice_id
        for notice_id in notices
        if tx.connection.execute(
            "UPDATE inbox SET acknowledged_at = ? WHERE participant = ? AND notice_id = ? AND acknowledged_at IS NULL"
            " AND state <> 'unverified'",
            (at, participant, notice_id),
        ).rowcount
    ]


def owed(tx: Transaction, participant: ParticipantId, *, limit: int) -> list[Owed]:
    """Return items that were acknowledged here and whose senders have not been told."""
    rows = tx.connection.execute(
        "SELECT seq, notice_id, head, statement_digest FROM inbox WHERE participant = ? AND acknowledged_at IS NOT NULL"
        " AND acknowledgement IS NULL ORDER BY seq LIMIT ?",
        (participant, limit),
    ).fetchall()
    return [
        Owed(seq, notice_id, _sender(tx, participant, notice_id, head), digest) for seq, notice_id, head, digest in rows
    ]


def told(tx: Transaction, items_told: Sequence[Owed], acknowledgement: NoticeId) -> None:
    """Note which statement tells the sender."""
    tx.connection.executemany(
        "UPDATE inbox SET acknowledgement = ? WHERE seq = ?", [(acknowledgement, item.seq) for item in items_told]
    )


def counts(tx: Transaction) -> dict[tuple[ParticipantId, str], int]:
    """Return how many items there are by participant: `arrived`, `unacknowledged`."""
    found = {}
    # Two questions that an index answers each: one for both would go through the text of every notice.
    for who, arrived in tx.connection.execute("SELECT participant, count(*) FROM inbox GROUP BY participant"):
        found[(ParticipantId(who), "arrived")] = int(arrived)
        found[(ParticipantId(who), "unacknowledged")] = 0
    for who, waiting in tx.connection.execute(
        "SELECT participant, count(*) FROM inbox WHERE acknowledged_at IS NULL GROUP BY participant"
    ):
        found[(ParticipantId(who), "unacknowledged")] = int(waiting)
    return found


def _time(milliseconds: int) -> Time:
    return from_seconds(milliseconds // 1000)
