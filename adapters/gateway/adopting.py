"""Take up what another gateway of the same participant has published, as if it had been published here.

Grants, permits, consents, answers, corrections and recalls of one gateway are then known to the other: the same notices
can be corrected, recalled and granted from both, what one has answered is answered, and what one was permitted is permitted.
Functions of a transaction; what is taken up is verified (`elsewhere`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from adapters.gateway import copies, inbox, outbox, sanitising
from adapters.gateway.draft import Draft
from adapters.gateway.entries import Addressed, Own, Parts
from adapters.gateway.status import Addressee, Via
from adapters.gateway.store import Transaction
from schemas.encoding import b64decode
from schemas.ids import LedgerIndex, NoticeId, ParticipantId
from schemas.statement import Statement
from schemas.strict_json import Json

_OWN_ABOUT: Final = frozenset({"correct", "recall", "grant"})
_ANSWERING: Final = frozenset({"issue", "permit", "refuse", "consent"})


@dataclass(frozen=True, slots=True)
class Said:
    """A statement of a participant's as it stands in the log, opened; `received_at` in Unix ms, `notice` None for a grant.

    `recipients` are whom it is sealed to, the participant itself among them but of a grant.
    """

    statement: Statement
    data: bytes
    index: LedgerIndex
    received_at: int
    notice: dict[str, Json] | None
    recipients: tuple[ParticipantId, ...]


def position(tx: Transaction, participant: ParticipantId) -> int:
    """Return the cursor up to which everything was taken up."""
    row = tx.connection.execute("SELECT position FROM elsewhere WHERE participant = ?", (participant,)).fetchone()
    return 0 if row is None else int(row[0])


def unknown(tx: Transaction, names: Iterable[NoticeId]) -> frozenset[NoticeId]:
    """Return which of some notice ids this gateway has not published itself or taken up."""
    return frozenset(
        name
        for name in names
        if tx.connection.execute("SELECT 1 FROM alias WHERE notice_id = ?", (name,)).fetchone() is None
    )


def adopt(tx: Transaction, participant: ParticipantId, said: Iterable[Said], following: int, *, at: int) -> int:
    """Take up statements in the ledger's order, and move the cursor; return how many new ones wait in the outbox then."""
    recalls = [own for item in said if (own := _adopt(tx, participant, item)) is not None]
    tx.connection.execute(
        "INSERT INTO elsewhere (participant, position) VALUES (?, ?)"
        " ON CONFLICT (participant) DO UPDATE SET position = max(position, excluded.position)",
        (participant, following),
    )
    # A copy that was under way here when its notice was recalled there: who recalled it could not know of it.
    return sum(copies.recall(tx, participant, about, draft, at=at) for about, draft in recalls)


def _adopt(tx: Transaction, participant: ParticipantId, said: Said) -> tuple[NoticeId, Draft] | None:
    """Take up one statement; return what it recalls, by outbox id, where it is a recall of an own notice."""
    statement = said.statement
    if statement.act == "acknowledge":
        _acknowledge(tx, participant, said)
        return None
    if not unknown(tx, (statement.notice_id,)):
        return None
    about = None if statement.ref is None else outbox.own(tx, participant, statement.ref)
    if statement.act == "grant" and about is None:
        return None  # of a notice that is gone
    draft = _draft(said, about)
    copied = _copied(draft, about)
    if copied is not None:
        draft = replace(draft, sanitised=True)
    ref = statement.ref
    if about is not None and (statement.act in _OWN_ABOUT or copied is not None):
        ref = about.id
    outbox.adopt(
        tx,
        participant,
        draft,
        parts=Parts(statement.notice_id, said.data, b"", None),
        index=said.index,
        at=said.received_at,
        addressed=Addressed(
            tuple(Addressee(who, Via.SENDER if who == participant else Via.HOLDER) for who in said.recipients)
        ),
        ref=ref,
        answers=_answered(tx, participant, said) if about is None else None,
        copy_of=copied,
    )
    if statement.act == "ask_use":
        inbox.permit_again(tx, participant, statement.notice_id)
    if about is not None and statement.act == "grant":
        inbox.granted(tx, participant, about.notice_id, said.recipients, statement.notice_id, at=said.received_at)
    return (about.id, draft) if about is not None and statement.act == "recall" else None


def _answered(tx: Transaction, participant: ParticipantId, said: Said) -> NoticeId | None:
    """Return what a statement answers; to pass something on, or to ask about it, is no answer to whoever sent it."""
    ref = said.statement.ref
    if ref is None or said.statement.act not in _ANSWERING:
        return None
    held = inbox.item(tx, participant, ref)
    # What has not arrived here yet is looked at once it has.
    return ref if held is None or inbox.is_answer(said.statement.act, held.sender, said.recipients) else None


def _draft(said: Said, about: Own | None) -> Draft:
    statement = said.statement
    others = tuple(who for who in said.recipients if who != statement.sender)
    return Draft(
        act=statement.act,
        topic=statement.topic,
        label=statement.label,
        # A grant says nothing itself: what the rules look at is the notice that it grants.
        notice=about.draft.notice if statement.act == "grant" and about is not None else said.notice,
        to=others,
        expires_at=statement.expires_at,
        ref=statement.ref,
        thread=statement.thread,
        closed=True,
    )


def _copied(draft: Draft, about: Own | None) -> NoticeId | None:
    """Return the own notice, by its outbox id, whose sanitised copy a draft is (spec/acts.md)."""
    whole = None if about is None else about.draft
    if draft.act != "issue" or about is None or whole is None or whole.label is None or not whole.label.nominal:
        return None
    clean = sanitising.sanitised(whole)
    label = sanitising.label_of_copy(clean)
    same = (draft.label, draft.notice, draft.thread) == (label, clean.notice, about.thread)
    return about.id if same else None


def _acknowledge(tx: Transaction, participant: ParticipantId, said: Said) -> None:
    """Note that the other gateway has told senders that their notices were seen."""
    listed = (said.notice or {}).get("notices")
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict):
            notice_id, digest = NoticeId(str(item["notice_id"])), b64decode(str(item["statement_digest"]))
            inbox.acknowledged_elsewhere(
                tx, participant, notice_id, digest, said.statement.notice_id, at=said.received_at
            )
