"""Grant own notices, once they may have them, to those who should have them and could not when they were sent.

A notice with a clock is sealed to those who answer for a State as it is sent: deputies and focal points that are named later
are granted it, as long as nobody of that State has answered. A correction is sealed to the holders who may have it: one
whom the rules denied it is granted it once they do not. Functions of a transaction.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from adapters.gateway import duties, granting, outbox
from adapters.gateway.network import Network
from adapters.gateway.recipients import Chooser
from adapters.gateway.status import Via
from adapters.gateway.store import Transaction
from schemas import ids
from schemas.encoding import Time, from_seconds
from schemas.ids import NoticeId, ParticipantId, Role

AT_ONCE: Final = 200
"""Own statements that are looked at in one transaction."""


def grant(
    tx: Transaction, participant: ParticipantId, network: Network, *, after: int, now: int
) -> tuple[int, int | None]:
    """Grant own notices to those who lack them and may have them under the network as it is; `now` in Unix ms.

    Looks at some behind the cursor `after`; returns how many grants were put into the outbox, and the next cursor, None at
    the end.
    """
    rows = tx.connection.execute(
        "SELECT seq, notice_id, published_at FROM outbox WHERE participant = ? AND seq > ? AND series IS NULL"
        " AND act IN (?, ?, ?, ?) AND state IN ('published', 'corrected') ORDER BY seq LIMIT ?",
        (participant, after, *sorted(duties.CLOCKED), AT_ONCE),
    ).fetchall()
    chooser = Chooser(network, participant, network.moment(now), from_seconds(now // 1000))
    number = sum(_grant(tx, chooser, NoticeId(name), published_at, now) for _, name, published_at in rows)
    return number, rows[-1][0] if len(rows) == AT_ONCE else None


def _grant(tx: Transaction, chooser: Chooser, notice_id: NoticeId, published_at: int, now: int) -> int:
    sender = chooser.sender
    about = outbox.own(tx, sender, notice_id)
    assert about is not None  # it was published
    if outbox.pending_about(tx, about.id, "recall") is not None:
        return 0
    holders = outbox.holders(tx, sender, about, "correct")
    wanted = [item.participant for item in about.addressed.left_out if item.via is Via.HOLDER]
    label = about.draft.label
    called = None if label is None else duties.called_by(label, published_at)
    if called is not None:
        status = outbox.status(tx, sender, notice_id)
        assert status is not None  # it is there
        concerned = {ids.role_of(who) for who in holders if who != sender}
        concerned -= {ids.role_of(who) for who in status.answered_by}
        wanted += _answering(chooser.network, concerned, from_seconds(now // 1000), called)
    lacking = tuple(who for who in dict.fromkeys(wanted) if who not in holders and who != sender)
    number = 0
    for one, draft in granting.grant(tx, sender, notice_id, lacking, acts=duties.CLOCKED) if lacking else ():
        held = outbox.holders(tx, sender, one, "grant")
        # Whom a law denies keeps it from nobody else; it is asked about again when the network changes.
        may = tuple(who for who in draft.to if chooser.choose(replace(draft, to=(who,)), held).trouble is None)
        if may:
            outbox.accept(tx, sender, [(ids.new_notice_id(now), replace(draft, to=may))], at=now, ref=one.id)
            number += 1
    return number


def _answering(network: Network, roles: set[Role], now: Time, called: Time) -> Iterator[ParticipantId]:
    """Yield who answers for some States now, or until a deputy is called."""
    for role in sorted(roles):
        point = network.focal_point(role)
        if point is not None:
            yield point
        yield from network.deputies(role, now, called)
