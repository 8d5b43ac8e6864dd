"""Sanitised copies of own notices: made once the whole notice is published, and corrected and recalled with it.

A copy is a notice of its own, with an id of its own, in the thread of the one that it is a copy of. It waits in the
outbox from the commit that keeps the whole notice's receipt, so that a crash in between neither forgets nor doubles it.
Functions of a transaction.
"""

from collections.abc import Iterable
from dataclasses import replace

from adapters.gateway import outbox, sanitising
from adapters.gateway.draft import Draft
from adapters.gateway.entries import Own, Publication
from adapters.gateway.outbox import ENDED
from adapters.gateway.store import Transaction
from schemas import ids
from schemas.ids import NoticeId, ParticipantId


def follow(tx: Transaction, participant: ParticipantId, publications: Iterable[Publication], *, at: int) -> int:
    """Put into the outbox what follows from receipts that were just recorded; return how many statements; `at` in Unix ms.

    A notice's copy, a correction's copies for those who have the copy of what it corrects, and for a copy that was under
    way what has happened to its notice since.
    """
    return sum(_follow(tx, participant, item.seq, at) for item in publications)


def of(tx: Transaction, participant: ParticipantId, name: NoticeId) -> Own | None:
    """Return the published copy of an own notice or correction, by that one's outbox id."""
    row = tx.connection.execute(
        "SELECT notice_id FROM outbox WHERE copy_of = ? AND act IN ('issue', 'correct') AND ledger_index IS NOT NULL",
        (name,),
    ).fetchone()
    return None if row is None else outbox.own(tx, participant, row[0])


def recall(tx: Transaction, participant: ParticipantId, name: NoticeId, draft: Draft, *, at: int) -> int:
    """Recall the copy of an own notice with it, by what the notice's recall says; return how many statements that takes."""
    copy = of(tx, participant, name)
    if copy is None or copy.state in ENDED or outbox.pending_about(tx, copy.id, "recall") is not None:
        return 0  # one that is not published yet is recalled as soon as it is
    return _keep(tx, participant, _about(draft, copy), copy, at, None)


def _follow(tx: Transaction, participant: ParticipantId, seq: int, at: int) -> int:
    found = tx.connection.execute(
        "SELECT notice_id, act, id, ref, copy_of FROM outbox WHERE seq = ? AND act IN ('issue', 'correct')"
        " AND (copies > 0 OR copy_of IS NOT NULL OR act = 'correct')",
        (seq,),
    ).fetchone()
    if found is None:
        return 0
    notice_id, act, name, ref, copy_of = found
    own = outbox.own(tx, participant, notice_id)
    assert own is not None  # its receipt was just recorded
    if copy_of is not None:
        return _catch_up(tx, participant, own, copy_of, at)
    if act == "correct":
        return _correct(tx, participant, own, ref, at)
    draft = sanitising.copy(own.draft, own.addressed.copies, ref=own.notice_id, thread=own.thread)
    outbox.accept(tx, participant, [(ids.new_notice_id(at), draft)], at=at, ref=name, copy_of=name)
    return 1


def _catch_up(tx: Transaction, participant: ParticipantId, copy: Own, of_: NoticeId, at: int) -> int:
    """Do to a copy what was done to its notice while the copy was under way."""
    recalled = outbox.said_about(tx, of_, "recall")
    if recalled:
        return _keep(tx, participant, _about(recalled[-1][1], copy), copy, at, None)
    made = 0
    for name, _ in outbox.said_about(tx, of_, "correct"):
        correction = outbox.own(tx, participant, name)
        made += 0 if correction is None else _correct(tx, participant, correction, of_, at)
    return made


def _correct(tx: Transaction, participant: ParticipantId, correction: Own, about: NoticeId, at: int) -> int:
    """Correct the copy of what a published correction corrects, unless that was done already."""
    copy = of(tx, participant, about)
    done = tx.connection.execute("SELECT 1 FROM outbox WHERE copy_of = ?", (correction.id,)).fetchone()
    if copy is None or copy.state in ENDED or done is not None:
        return 0
    draft = _about(sanitising.sanitised(correction.draft), copy)
    return _keep(tx, participant, draft, copy, at, correction.id)


def _about(draft: Draft, copy: Own) -> Draft:
    """Return what was said about a notice as it is said about the notice's copy."""
    return replace(draft, ref=copy.notice_id, thread=copy.thread)


def _keep(
    tx: Transaction, participant: ParticipantId, draft: Draft, copy: Own, at: int, copy_of: NoticeId | None
) -> int:
    outbox.accept(tx, participant, [(ids.new_notice_id(at), draft)], at=at, ref=copy.id, copy_of=copy_of)
    return 1
