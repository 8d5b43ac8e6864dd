"""What was said about a notice by its sender and by those who have it, in one line of time (design: domain, evidence).

Put together from outbox and inbox each time: nothing of it is kept beside what was said. Functions of a transaction.
"""

from collections.abc import Collection
from typing import Any, Final

import orjson

from adapters.gateway.draft import Draft
from adapters.gateway.status import Event
from adapters.gateway.store import Transaction
from schemas.encoding import from_seconds
from schemas.ids import NoticeId, ParticipantId
from schemas.strict_json import Json

MOST: Final = 200
"""Events that are shown of one notice: a stranger may say as much as it likes."""

_NOTICES: Final = frozenset({"issue", "correct", "grant"})
_SAID: Final = ("use", "for", "reason", "until", "deleted_at")
_SENT: Final = (
    "SELECT outbox.seq, outbox.id, act, state, accepted_at, published_at, draft, notice_id FROM outbox WHERE participant = ?"
    " AND ref = ? AND act <> 'acknowledge' ORDER BY seq LIMIT ?"
)
_CAME: Final = (
    "SELECT notice_id, act, state, received_at, ref, head, content FROM inbox WHERE participant = ? AND ref = ?"
    " AND state <> 'unverified' ORDER BY seq LIMIT ?"
)


def of(tx: Transaction, participant: ParticipantId, names: Collection[NoticeId]) -> tuple[Event, ...]:
    """Return what was said about a notice, by all ids that it has, and what was answered to that, oldest first."""
    found: dict[NoticeId, Event] = {}
    seen, ahead = set(names), list(dict.fromkeys(names))
    while ahead and len(found) < MOST:
        about = ahead.pop(0)
        for event, aliases in (*_sent(tx, participant, about), *_came(tx, participant, about)):
            found.setdefault(event.notice_id, event)
            new = [alias for alias in aliases if alias not in seen]
            seen.update(new)
            ahead += new
    return tuple(sorted(found.values(), key=lambda event: (event.at, event.notice_id)))[:MOST]


def _sent(tx: Transaction, participant: ParticipantId, about: NoticeId) -> list[tuple[Event, list[NoticeId]]]:
    events = []
    for row in tx.connection.execute(_SENT, (participant, about, MOST)).fetchall():
        seq, name, act, state, accepted_at, published_at, cell, notice_id = row
        draft = Draft.parse(tx.open("outbox.draft", name, cell))
        aliases = [alias for (alias,) in tx.connection.execute("SELECT notice_id FROM alias WHERE seq = ?", (seq,))]
        at = accepted_at if published_at is None else published_at
        event = _event(
            notice_id or name,
            act,
            participant,
            at,
            about,
            state,
            draft.notice or {},
            own=True,
            to=draft.to,
        )
        events.append((event, [name, *aliases]))
    return events


def _came(tx: Transaction, participant: ParticipantId, about: NoticeId) -> list[tuple[Event, list[NoticeId]]]:
    events = []
    for row in tx.connection.execute(_CAME, (participant, about, MOST)).fetchall():
        notice_id, act, state, received_at, ref, head_cell, content_cell = row
        place = f"{participant}/{notice_id}"
        sender = ParticipantId(orjson.loads(tx.open("inbox.head", place, head_cell))["sender"])
        content = tx.open_or_none("inbox.content", place, content_cell)
        said = {} if content is None else orjson.loads(content)
        events.append(
            (_event(notice_id, act, sender, received_at, ref, state, said, own=False, to=()), [NoticeId(notice_id)])
        )
    return events


def _event(
    notice_id: str,
    act: str,
    participant: ParticipantId,
    at: int,
    ref: str,
    state: str,
    said: dict[str, Any],
    *,
    own: bool,
    to: tuple[ParticipantId, ...],
) -> Event:
    # What a notice of its own says, or a grant lets others read, is not repeated here.
    if act in _NOTICES:
        said = {}
    text = said.get("text")
    kept: dict[str, Json] = {name: said[name] for name in _SAID if name in said}
    return Event(
        notice_id=NoticeId(notice_id),
        act=act,
        participant=participant,
        at=from_seconds(at // 1000),
        ref=NoticeId(ref),
        state=state,
        own=own,
        to=to,
        said=kept,
        text=text if isinstance(text, str) else None,
    )
