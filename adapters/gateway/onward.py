"""Passing on what one has received: no further than its originator permits (handling code H2, `sanitise-before-sharing`).

The gateway knows what is passed on by the notice that a new one refers to; what a person copies by hand it cannot know.
"""

from dataclasses import replace
from typing import Final

from adapters.gateway import duties, inbox, outbox
from adapters.gateway.draft import Draft
from adapters.gateway.status import DutyState, InboxItem
from adapters.gateway.store import Transaction
from schemas.errors import Error, FormError
from schemas.ids import ParticipantId

_ONWARD: Final = "onward"


class ConsentNeededError(Error):
    """The originator has not permitted that its notice is passed on to them."""

    problem = "consent-needed"


def check(tx: Transaction, item: InboxItem, draft: Draft, *, at: int) -> Draft:
    """Return a draft that refers to a received notice as it may be sent.

    Without the originator's permission an answer goes to nobody but the originator, whoever subscribes to its topic; to
    others it goes without a nominal part where the originator asks for that, sanitised where the draft wishes it. Raises
    `ConsentNeededError`, `FormError`.
    """
    others = tuple(who for who in draft.to if who != item.sender)
    checked = draft
    if duties.stands(tx, item.participant, item.notice_id, duties.SHARING, now=at):
        if others:
            raise ConsentNeededError(f"{item.sender} has not permitted that it is passed on.", pointer="/to")
        checked = replace(draft, closed=True)
    elif (readers := _permitted(tx, item)) is not None:
        if not readers.issuperset(others):
            raise ConsentNeededError(f"{item.sender} has permitted it for others.", pointer="/to")
        checked = replace(draft, closed=True)
    nominal = draft.label is not None and draft.label.nominal
    goes_on = bool(others) or not checked.closed
    if nominal and goes_on and duties.stands(tx, item.participant, item.notice_id, duties.SANITISE, now=at):
        if not draft.sanitise:
            raise FormError(
                "Must have no nominal part: the originator asks for that. `sanitise` has it left out.",
                pointer="/notice/nominal",
            )
        # Whose notice it is may have back what it has sent.
        checked = replace(checked, whole_for=tuple(who for who in draft.to if who == item.sender))
    return checked


def _permitted(tx: Transaction, item: InboxItem) -> frozenset[ParticipantId] | None:
    """Return to whom alone a permission lets a notice be passed on, None where it names nobody or there is none."""
    duty = next((one for one in item.duties if one.code == duties.SHARING), None)
    if duty is None or duty.state is not DutyState.PERMITTED or duty.met_by is None:
        return None
    answer = inbox.item(tx, item.participant, duty.met_by)
    if answer is None or answer.notice is None:
        return frozenset()  # its text was deleted: towards whom it permitted anything cannot be told any more
    question = None if answer.ref is None else outbox.asked(tx, item.participant, answer.ref)
    named = answer.notice.get("for") or (
        None if question is None or question.notice is None else question.notice.get("for")
    )
    if not isinstance(named, list):
        return None
    return frozenset(ParticipantId(str(who)) for who in named)
