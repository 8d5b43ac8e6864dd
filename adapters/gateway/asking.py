"""What holders of a notice and its sender ask and answer each other: drafts of the acts between them (spec/acts.md).

Who asks for access does not hold the notice, and has to say whose it is; everything else is about a notice of the inbox.
Functions of a transaction that keep nothing: `service` puts the drafts into the outbox.
"""

from dataclasses import replace
from typing import Final

from adapters.gateway import drafting, inbox, labels, outbox
from adapters.gateway.draft import Draft
from adapters.gateway.labels import LabelDefaults
from adapters.gateway.request import (
    AskAccessRequest,
    AskUseRequest,
    ClockRequest,
    ConsentRequest,
    DeleteRequest,
    PermitRequest,
    RefuseRequest,
)
from adapters.gateway.status import InboxItem, InboxState
from adapters.gateway.store import Transaction
from schemas.act_content import KINDS, ActContent
from schemas.codes import code_list
from schemas.encoding import B64, Time, from_seconds
from schemas.errors import Error, FormError
from schemas.ids import Code, NoticeId, ParticipantId, Topic
from schemas.label import Label
from schemas.rules.vocabulary import vocabulary

DAYS: Final = 30
"""How long what is asked and answered lives, unless the time for the answer is later."""

ONWARD: Final = Code("onward")
"""The use that is to pass a notice on."""

_QUESTIONS: Final = ("ask_access", "ask_use")


class NotAnswerableError(Error):
    """What the inbox has under this id cannot be answered so."""

    problem = "not-answerable"


def ask_access(
    participant: ParticipantId, notice_id: NoticeId, request: AskAccessRequest, defaults: LabelDefaults, *, at: int
) -> Draft:
    """Return the draft that asks a notice's sender for access. Raises `FormError`."""
    drafting.check_topic(request.topic)
    if request.sender == participant:
        raise FormError("Must be another participant: one has what one has sent.", pointer="/sender")
    label = _label("ask_access", defaults, request)
    return _draft(
        ActContent("ask_access", text=request.text),
        notice_id,
        request.thread or notice_id,
        request.topic,
        label,
        (request.sender,),
        at=at,
    )


def ask_use(item: InboxItem, request: AskUseRequest, defaults: LabelDefaults, *, at: int) -> Draft:
    """Return the draft that asks a notice's sender to permit a use of it. Raises `FormError`, `NotAnswerableError`."""
    _demand_notice(item)
    if request.use not in code_list("uses").entries:
        raise FormError(f"Must be one of: {', '.join(sorted(code_list('uses').entries))}.", pointer="/use")
    if item.participant in request.for_ or item.sender in request.for_:
        raise FormError("Must be others than those who have it.", pointer="/for")
    content = ActContent("ask_use", use=request.use, for_=tuple(sorted(set(request.for_))), text=request.text)
    return _about(item, content, _label("ask_use", defaults, request), at=at)


def permit(
    question: InboxItem,
    request: PermitRequest,
    defaults: LabelDefaults,
    beside: tuple[ParticipantId, ...],
    *,
    at: int,
    to: tuple[ParticipantId, ...] = (),
) -> Draft:
    """Return the draft that permits what was asked, towards `to` alone where they are named. Raises `NotAnswerableError`."""
    if question.act != "ask_use":
        raise NotAnswerableError("A use is permitted to who asks for one.")
    use = Code(str((question.notice or {})["use"]))
    content = ActContent(
        "permit",
        use=use,
        for_=tuple(sorted(set(to))),
        until=drafting.expiry(request.until, at, pointer="/until"),
        text=request.text,
    )
    return replace(_about(question, content, _label("permit", defaults), at=at), beside=beside)


def refuse(
    question: InboxItem, request: RefuseRequest, defaults: LabelDefaults, beside: tuple[ParticipantId, ...], *, at: int
) -> Draft:
    """Return the draft that refuses what was asked. Raises `NotAnswerableError`."""
    if question.state in (InboxState.UNVERIFIED, InboxState.UNREADABLE):
        raise NotAnswerableError("What cannot be read is not answered.")
    content = ActContent("refuse", reason=request.reason, text=request.text)
    return replace(_about(question, content, _label("refuse", defaults), at=at), beside=beside)


def consent(
    first: InboxItem, request: ConsentRequest, defaults: LabelDefaults, beside: tuple[ParticipantId, ...], *, at: int
) -> Draft:
    """Return the draft that consents to what the first notice of a thread asks for. Raises `NotAnswerableError`."""
    _demand_first(first)
    content = ActContent("consent", until=drafting.expiry(request.until, at, pointer="/until"), text=request.text)
    return replace(_about(first, content, _label("consent", defaults), at=at), beside=beside)


def withdraw(
    first: InboxItem, request: RefuseRequest, defaults: LabelDefaults, beside: tuple[ParticipantId, ...], *, at: int
) -> Draft:
    """Return the draft that takes a consent back. Raises `NotAnswerableError`."""
    _demand_first(first)
    content = ActContent("withdraw", reason=request.reason, text=request.text)
    draft = _about(first, content, _label("withdraw", defaults), at=at)
    # As long as what was consented to: whoever was away meanwhile must not go on.
    ends = [end for end in (draft.expires_at, first.expires_at) if end is not None]
    return replace(draft, beside=beside, expires_at=max(ends))


def certify(
    item: InboxItem, reason: Code, deleted_at: Time, defaults: LabelDefaults, *, at: int, text: str | None = None
) -> Draft:
    """Return the draft that certifies to a notice's sender that its text is gone here."""
    content = ActContent(
        "certify", reason=reason, deleted_at=deleted_at, statement_digest=B64(item.statement_digest), text=text
    )
    return _about(item, content, _label("certify", defaults), at=at)


def delete(
    tx: Transaction, participant: ParticipantId, notice_id: NoticeId, request: DeleteRequest, *, at: int
) -> None:
    """Delete a notice's text here. Raises `NotAnswerableError` where there is none."""
    if not inbox.delete(tx, participant, notice_id, request.reason, at=at):
        raise NotAnswerableError("There is no text of it here.")


def readers(question: InboxItem, asked_for: tuple[ParticipantId, ...]) -> tuple[ParticipantId, ...]:
    """Return to whom a question is granted: whom the answer names, else whom the question is for, or who asks.

    Raises `NotAnswerableError` where it asks for nothing that could be granted.
    """
    said = question.notice or {}
    if question.act == "ask_use" and said.get("use") != ONWARD:
        raise NotAnswerableError("It asks for another use than to pass it on: permit or refuse that.")
    if asked_for:
        return asked_for
    if question.act == "ask_access":
        return (question.sender,)
    named = said.get("for")
    if question.act != "ask_use" or not isinstance(named, list):
        raise NotAnswerableError("It asks for nobody to be granted a notice.")
    return tuple(ParticipantId(str(who)) for who in named)


def item(tx: Transaction, participant: ParticipantId, notice_id: NoticeId) -> InboxItem | None:
    """Return what the inbox has under an id."""
    return inbox.item(tx, participant, notice_id)


def demand_question(found: InboxItem) -> InboxItem:
    """Return a question that can be answered; raise `NotAnswerableError`."""
    if found.act not in _QUESTIONS or found.state is not InboxState.OPENED or found.ref is None:
        raise NotAnswerableError("It asks for nothing.")
    return found


def own_notice(tx: Transaction, participant: ParticipantId, question: InboxItem) -> NoticeId:
    """Return the own notice that a question is about; raise `NotAnswerableError` where it is none."""
    about = None if question.ref is None else outbox.own(tx, participant, question.ref)
    if about is None:
        raise NotAnswerableError("It is about no notice of this participant.")
    return about.notice_id


def _demand_notice(item_: InboxItem) -> None:
    if item_.act not in ("issue", "correct") or item_.state is InboxState.UNVERIFIED:
        raise NotAnswerableError("It is no notice of which a use could be asked for.")


def _demand_first(item_: InboxItem) -> None:
    if item_.act != "issue" or item_.ref is not None or item_.state is InboxState.UNVERIFIED:
        raise NotAnswerableError("Only the first notice of a thread is consented to.")


def _label(act: str, defaults: LabelDefaults, clock: ClockRequest | None = None) -> Label:
    """Return the own label of an act: of its own kind, with nothing of the notice's in it."""
    label = Label(
        kind=KINDS[act],
        handling=tuple(sorted(defaults.handling)),
        tlp=defaults.tlp,
        pap=defaults.pap,
        classification=None,
        urgency=None if clock is None else clock.urgency,
        purpose=defaults.purpose,
        legal_basis=defaults.legal_basis,
        nominal=False,
        exercise=False,
        reply_due=None if clock is None else clock.reply_due,
        conditions=(),
    )
    labels.check(label, vocabulary())
    return label


def _about(item_: InboxItem, content: ActContent, label: Label, *, at: int) -> Draft:
    if item_.topic is None or item_.thread is None:
        raise NotAnswerableError("It has no thread.")
    return _draft(content, item_.notice_id, item_.thread, item_.topic, label, (item_.sender,), at=at)


def _draft(
    content: ActContent,
    ref: NoticeId,
    thread: NoticeId,
    topic: Topic,
    label: Label,
    to: tuple[ParticipantId, ...],
    *,
    at: int,
) -> Draft:
    expires_at = from_seconds(at // 1000 + DAYS * drafting.DAY)
    if label.reply_due is not None and label.reply_due >= expires_at:
        raise FormError(f"Must lie within {DAYS} days.", pointer="/reply_due")
    drafting.expiry(label.reply_due, at, pointer="/reply_due")
    return Draft(
        act=content.act,
        topic=topic,
        label=label,
        notice=content.to_json(),
        to=to,
        expires_at=expires_at,
        ref=ref,
        thread=thread,
        closed=True,
    )
