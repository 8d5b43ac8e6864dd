"""Take back or correct an own notice: a statement of its own, to everybody who has it, whether the rules would let them now.

A recall erases the notice from the broker and from every honest inbox and leaves its stone; a correction puts the new
text beside the old one. Neither reaches what people have read.
"""

from dataclasses import replace
from typing import Final

from adapters.gateway import copies, drafting, labels, outbox
from adapters.gateway.draft import Draft
from adapters.gateway.entries import Key, Own
from adapters.gateway.labels import LabelDefaults
from adapters.gateway.request import CorrectionRequest, RecallRequest
from adapters.gateway.status import Kept, State
from adapters.gateway.store import Transaction
from schemas import ids
from schemas.encoding import Time, from_seconds
from schemas.errors import Error, FormError
from schemas.ids import NoticeId, ParticipantId
from schemas.notice import to_json

RECALL_DAYS: Final = 30
"""Days that a recall lives at least."""


class NotRecallableError(Error):
    """The notice is not an own published one, or was recalled already."""

    problem = "not-recallable"


def recall(
    tx: Transaction,
    participant: ParticipantId,
    notice_id: NoticeId,
    request: RecallRequest,
    *,
    at: int,
    key: Key | None = None,
) -> Kept:
    """Keep a recall of an own notice; it takes corrections and sanitised copy along. A second recall is the first again.

    Raises `NotRecallableError`, `IdempotencyError`.
    """
    about = _about(tx, participant, notice_id)
    known = outbox.pending_about(tx, about.id, "recall")
    if known is not None:
        return Kept(known, created=False)
    if about.state is State.EXPIRED:
        raise NotRecallableError("It has expired: its text is gone already.")
    # As long as a text that it takes back: a gateway that was away meanwhile still has that.
    texts = (about, *outbox.corrections(tx, participant, about.id))
    ends = [one.draft.expires_at for one in texts if one.draft.expires_at is not None]
    draft = _recall(about, request, max([from_seconds(at // 1000 + RECALL_DAYS * drafting.DAY), *ends]))
    kept = _keep(tx, participant, draft, about, at=at, key=key)
    if kept.created:
        copies.recall(tx, participant, about.id, draft, at=at)
    return kept


def correct(
    tx: Transaction,
    participant: ParticipantId,
    notice_id: NoticeId,
    request: CorrectionRequest,
    defaults: LabelDefaults,
    *,
    at: int,
    key: Key | None = None,
) -> Kept:
    """Keep a correction of an own notice; it must be of the same kind.

    Raises `FormError`, `NotRecallableError`, `IdempotencyError`.
    """
    about = _about(tx, participant, notice_id)
    if about.state is State.EXPIRED or outbox.pending_about(tx, about.id, "recall") is not None:
        raise NotRecallableError("It was recalled or has expired.")
    notice = drafting.read_notice(request.notice)
    before = about.draft.label
    if before is None or notice.kind != before.kind:
        raise FormError("Must be the kind of the notice that it corrects.", pointer="/notice/kind")
    draft = Draft(
        act="correct",
        topic=about.draft.topic,
        label=labels.complete(request.label, notice, defaults),
        notice=to_json(notice),
        to=(),
        expires_at=drafting.expiry(request.expires_at, at) or about.draft.expires_at,
        ref=about.notice_id,
        thread=about.thread,
    )
    return _keep(tx, participant, draft, about, at=at, key=key)


def _about(tx: Transaction, participant: ParticipantId, notice_id: NoticeId) -> Own:
    about = outbox.own(tx, participant, notice_id)
    if about is None or about.draft.act not in ("issue", "correct"):
        raise NotRecallableError("It is not a published notice of this participant.")
    return about


def _recall(about: Own, request: RecallRequest, expires_at: Time) -> Draft:
    assert about.draft.label is not None  # an issue or correction has one
    return Draft(
        act="recall",
        topic=about.draft.topic,
        # Its own label: what it is about, without a clock and without what only the text had.
        label=replace(about.draft.label, nominal=False, urgency=None, reply_due=None),
        notice=dict(drafting.recall_content(request.reason, request.text)),
        to=(),
        expires_at=expires_at,
        ref=about.notice_id,
        thread=about.thread,
    )


def _keep(
    tx: Transaction, participant: ParticipantId, draft: Draft, about: Own, *, at: int, key: Key | None = None
) -> Kept:
    return outbox.accept(tx, participant, [(ids.new_notice_id(at), draft)], at=at, key=key, ref=about.id)[0]
