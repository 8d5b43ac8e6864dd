"""From what a caller asks for to a draft: the notice read by its kind, the label completed, the expiry checked.

What is wrong is said here, at once, with a pointer into the request: after that nobody who asked is there any more.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from adapters.gateway import inbox, labels, onward, outbox
from adapters.gateway.draft import Draft
from adapters.gateway.labels import LabelDefaults
from adapters.gateway.request import NoticeRequest
from adapters.gateway.status import InboxItem, InboxState
from adapters.gateway.store import Transaction
from schemas import ids
from schemas.codes import code_list
from schemas.encoding import Time, from_seconds
from schemas.errors import FormError
from schemas.ids import Code, ParticipantId, Pattern, Role, Topic
from schemas.label import Label
from schemas.limits import LIMITS
from schemas.notice import Notice, parse_notice, to_json
from schemas.statement import SubscriptionBody
from schemas.strict_json import Json

DAY: Final = 24 * 3600


def issue(request: NoticeRequest, participant: ParticipantId, defaults: LabelDefaults, *, at: int) -> Draft:
    """Return the draft of a new notice; `at` is Unix ms. Its thread is its own, or that of `ref` (`in_thread`).

    Raises `FormError` with a pointer into the request.
    """
    check_topic(request.topic)
    notice = read_notice(request.notice)
    if participant in request.to:
        raise FormError("Must name others: the sender always has its own copy.", pointer="/to")
    if len(set(request.to)) != len(request.to):
        raise FormError("Must name each participant once.", pointer="/to")
    return Draft(
        act="issue",
        topic=request.topic,
        label=labels.complete(request.label, notice, defaults),
        notice=to_json(notice),
        to=request.to,
        expires_at=expiry(request.expires_at, at) or from_seconds(at // 1000 + defaults.days * DAY),
        ref=request.ref,
        sanitise=request.sanitise,
    )


def issue_read(notice: Notice, topic: Topic, label: Label, defaults: LabelDefaults, *, at: int) -> Draft:
    """Return the draft of a notice that an importer has read already, with a label that was checked already."""
    return Draft(
        act="issue",
        topic=topic,
        label=label,
        notice=to_json(notice),
        to=(),
        expires_at=from_seconds(at // 1000 + defaults.days * DAY),
    )


def in_thread(tx: Transaction, participant: ParticipantId, draft: Draft, *, at: int) -> tuple[Draft, InboxItem | None]:
    """Return a draft whose `ref` the participant holds as it may be sent, and what it answers where that was received.

    What leaves the sender of what it refers to says whose it is. Raises `FormError` where the participant holds no such
    notice, and as `onward.check` does.
    """
    if draft.ref is None:
        return draft, None
    own = outbox.own(tx, participant, draft.ref)
    if own is not None:
        return replace(draft, ref=own.notice_id, thread=own.thread), None
    held = inbox.item(tx, participant, draft.ref)
    if held is None or held.thread is None or held.state is InboxState.UNVERIFIED:
        raise FormError("Must be a notice that this participant has sent or received.", pointer="/ref")
    complete = onward.check(tx, held, replace(draft, ref=held.notice_id, thread=held.thread), at=at)
    if complete.closed and set(complete.to) <= {held.sender}:
        return complete, held
    sources = {ids.role_of(held.sender), *(Role(name) for name in labels.sources(held.label))}
    return labels.passing_on(complete, sources - {ids.role_of(participant)}), held


def read_notice(content: dict[str, Json]) -> Notice:
    """Read a notice by its kind; raise `FormError` with a pointer into the request."""
    kind = content.get("kind")
    if not isinstance(kind, str):
        raise FormError("Must name the notice's kind.", pointer="/notice/kind")
    try:
        return parse_notice(kind, content)
    except FormError as error:
        raise FormError(error.detail, pointer=f"/notice{error.pointer or ''}") from None


def check_topic(topic: Topic) -> None:
    """Refuse a topic whose region or theme no list knows; raise `FormError`."""
    for part, name in zip(topic.split("."), ("regions", "themes"), strict=True):
        if Code(part) not in code_list(name).entries:
            raise FormError(f"Must be region.theme; the code is not in the list of {name}.", pointer="/topic")


def check_patterns(patterns: tuple[Pattern, ...]) -> None:
    """Refuse patterns that stand twice, or whose codes no list knows; raise `FormError`."""
    for number, pattern in enumerate(patterns):
        if patterns.index(pattern) != number:
            raise FormError("Must name each pattern once.", pointer=f"/patterns/{number}")
        for part, name in zip(pattern.split("."), ("regions", "themes"), strict=True):
            if part != "*" and Code(part) not in code_list(name).entries:
                raise FormError(f"The code is not in the list of {name}.", pointer=f"/patterns/{number}")


def expiry(time: Time | None, at: int, pointer: str = "/expires_at") -> Time | None:
    """Return a time that lies ahead, and not too far, None for none; raise `FormError`."""
    if time is not None and time <= from_seconds(at // 1000):
        raise FormError("Must lie ahead.", pointer=pointer)
    # A day less than the broker takes: it may be sent later than it is written, and clocks differ.
    if time is not None and time > from_seconds(at // 1000 + LIMITS.longest_expiry - DAY):
        raise FormError(f"Must lie at most {LIMITS.longest_expiry // DAY - 1:,} days ahead.", pointer=pointer)
    return time


def subscription(act: str, participant: ParticipantId, patterns: tuple[Pattern, ...]) -> Draft:
    """Return the draft of an open act about subscriptions."""
    body = SubscriptionBody(participant, tuple(sorted(patterns)))
    return Draft(act=act, topic=None, label=None, notice=None, to=(), expires_at=None, body=body)


def recall_content(reason: Code, text: str | None) -> Mapping[str, Json]:
    """Return what a recall says."""
    return {"kind": "recall", "reason": reason, **({} if text is None else {"text": text})}
