"""Which notices' texts are gone here, since when and why, and which signed statement says so to their senders.

Functions of a transaction. A deletion is noted in one commit with the text's end; its certificate is put into the outbox
by `keeping`, once for each.
"""

from dataclasses import dataclass
from typing import Final

from adapters.gateway import duties
from adapters.gateway.store import Transaction
from schemas.ids import Code, NoticeId, ParticipantId

RECALLED: Final = "recalled"
"""Why a text is gone that its sender has recalled."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A text that is gone: `at` in Unix ms, the reason's code, the certificate's outbox id once there is one."""

    participant: ParticipantId
    notice_id: NoticeId
    at: int
    reason: Code
    certificate: NoticeId | None


def note(tx: Transaction, participant: ParticipantId, notice_id: NoticeId, reason: str, *, at: int) -> None:
    """Note a deletion; the first one of a notice counts."""
    tx.connection.execute(
        "INSERT INTO deletion (participant, notice_id, at, reason) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (participant, notice_id, at, reason),
    )
    duties.deleted(tx, participant, notice_id, at=at, recalled=reason == RECALLED)


def of(tx: Transaction, participant: ParticipantId, notice_id: NoticeId) -> Deletion | None:
    """Return the deletion of a notice's text, None where it is there or never was."""
    row = tx.connection.execute(
        "SELECT participant, notice_id, at, reason, certificate FROM deletion WHERE participant = ? AND notice_id = ?",
        (participant, notice_id),
    ).fetchone()
    return None if row is None else Deletion(*row)


def owed(tx: Transaction, participant: ParticipantId, *, limit: int) -> list[Deletion]:
    """Return deletions that are not certified yet."""
    rows = tx.connection.execute(
        "SELECT participant, notice_id, at, reason, certificate FROM deletion WHERE participant = ? AND certificate IS NULL"
        " ORDER BY notice_id LIMIT ?",
        (participant, limit),
    )
    return [Deletion(*row) for row in rows.fetchall()]


def told(tx: Transaction, deletion: Deletion, certificate: NoticeId, *, at: int) -> None:
    """Note which statement, by its outbox id, certifies a deletion."""
    tx.connection.execute(
        "UPDATE deletion SET certificate = ? WHERE participant = ? AND notice_id = ?",
        (certificate, deletion.participant, deletion.notice_id),
    )
    duties.certified(tx, deletion.participant, deletion.notice_id, certificate, at=at)
