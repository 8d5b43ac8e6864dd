"""Certificates that an originator awaits: who was to delete a text by now, has seen it, and has not certified that it is gone.

Whoever acknowledged a notice has had its text. By the day of `delete-by`, and after a recall, its gateway deletes it and
certifies that by itself, within a day; where it does not, a person here has to ask. Functions of a transaction.
"""

from dataclasses import dataclass
from typing import Final

import orjson

from adapters.gateway import duties
from adapters.gateway.draft import Draft
from adapters.gateway.entries import Addressed
from adapters.gateway.store import Transaction
from schemas.ids import NoticeId, ParticipantId

WITHIN_MS: Final = 24 * 3600 * 1000
"""How long a certificate may take: a gateway may be off for a night."""

_RECIPIENTS: Final = "outbox.recipients"
_HEAD: Final = "inbox.head"


@dataclass(frozen=True, slots=True)
class Awaited:
    """An own notice whose text is to be gone, and who has not certified that; `seq` is the outbox's."""

    seq: int
    participant: ParticipantId
    notice_id: NoticeId
    lacking: tuple[ParticipantId, ...]


def due(draft: Draft) -> int | None:
    """Return by when certificates of a notice are due, in Unix ms, as its label says; None where it says nothing."""
    conditions = () if draft.label is None or draft.act not in ("issue", "correct") else draft.label.conditions
    values = next((item.values for item in conditions if item.code == duties.DELETE_BY), ())
    day = duties.day(values[0]) if values else None
    return None if day is None else day + WITHIN_MS


def recalled(tx: Transaction, names: tuple[NoticeId, ...], *, at: int) -> None:
    """Note that recalled notices, by their outbox ids, are to be certified as gone; what was due before stays due."""
    tx.connection.executemany(
        "UPDATE outbox SET certify_due = min(coalesce(certify_due, ?), ?) WHERE id = ?",
        [(at + WITHIN_MS, at + WITHIN_MS, name) for name in names],
    )


def past(tx: Transaction, now: int, *, limit: int) -> tuple[Awaited, ...]:
    """Return published notices whose certificates are due, the oldest first, those of them too of which none is lacking."""
    rows = tx.connection.execute(
        "SELECT seq, participant, notice_id, recipients FROM outbox WHERE certify_due <= ? AND ledger_index IS NOT NULL"
        " ORDER BY certify_due LIMIT ?",
        (now, limit),
    ).fetchall()
    return tuple(
        Awaited(seq, participant, notice_id, _lacking(tx, seq, participant, cell))
        for seq, participant, notice_id, cell in rows
    )


def complete(tx: Transaction, found: tuple[Awaited, ...]) -> None:
    """Await no more of notices whose certificates are all there."""
    tx.connection.executemany(
        "UPDATE outbox SET certify_due = NULL WHERE seq = ?", [(item.seq,) for item in found if not item.lacking]
    )


def _lacking(tx: Transaction, seq: int, participant: ParticipantId, cell: bytes | None) -> tuple[ParticipantId, ...]:
    places = {place for (place,) in tx.connection.execute("SELECT place FROM acknowledged WHERE seq = ?", (seq,))}
    sealed = Addressed.parse(tx.open_or_none(_RECIPIENTS, seq, cell)).sealed
    certified = {
        orjson.loads(tx.open(_HEAD, f"{participant}/{name}", head))["sender"]
        for name, head in tx.connection.execute(
            "SELECT inbox.notice_id, head FROM alias JOIN inbox ON inbox.ref = alias.notice_id"
            " WHERE alias.seq = ? AND inbox.participant = ? AND act = 'certify' AND state = 'opened'",
            (seq, participant),
        )
    }
    seen = (item.participant for place, item in enumerate(sealed) if place in places)
    return tuple(who for who in seen if who not in certified)
