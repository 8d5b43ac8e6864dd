"""The originator's and the holders' levers, as a gateway has them: ask, grant, permit, refuse, consent, delete, delegate.

`service.Gateway` has one `Dealings` and hands its calls on. Everything becomes a statement in the outbox: kept durably
when a call returns, and followed by its id like any notice.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, TypeVar

from adapters.gateway import asking, drafting, duties, granting, outbox
from adapters.gateway.draft import Draft
from adapters.gateway.entries import Key, key_of
from adapters.gateway.labels import LabelDefaults
from adapters.gateway.network import Network
from adapters.gateway.request import (
    AskAccessRequest,
    AskUseRequest,
    ConsentRequest,
    DelegationRequest,
    DeleteRequest,
    GrantRequest,
    PermitRequest,
    RefuseRequest,
)
from adapters.gateway.state import Delegation
from adapters.gateway.status import Duty, DutyState, InboxItem, Kept
from adapters.gateway.store import Store, Transaction, Work
from schemas import ids
from schemas.encoding import from_seconds
from schemas.errors import Error, FormError
from schemas.ids import NoticeId, ParticipantId
from schemas.statement import DelegationBody

T = TypeVar("T")
LONGEST_DELEGATION: Final = 366 * 24 * 3600

Answer = Callable[[Transaction, InboxItem, tuple[ParticipantId, ...]], Draft]
"""Makes an answer's draft from what is answered and those who get a copy."""


class Keep(Protocol):
    """Writes to the outbox durably and wakes the participant's sender."""

    async def __call__(self, participant: ParticipantId, work: Work[T]) -> T:
        """Run `work` in a transaction and return its result."""
        ...


class Dealings:
    """What the participants of one gateway ask and answer. Used in one event loop."""

    def __init__(
        self,
        *,
        store: Store,
        keep: Keep,
        defaults: Callable[[ParticipantId], LabelDefaults],
        network: Callable[[], Network | None],
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._keep = keep
        self._defaults = defaults
        self._network = network
        self._now_ms = now_ms

    # Asking

    async def ask_access(
        self,
        participant: ParticipantId,
        notice_id: NoticeId,
        request: AskAccessRequest,
        idempotency_key: str | None = None,
    ) -> Kept:
        """Ask a notice's sender for access to it; raise `FormError`."""
        key = key_of(idempotency_key, request, f"ask_access {notice_id}")
        at = self._now_ms()
        draft = asking.ask_access(participant, notice_id, request, self._defaults(participant), at=at)
        return await self._keep(participant, partial(_accept, participant, draft, at, key, notice_id, None))

    async def ask_use(
        self,
        participant: ParticipantId,
        notice_id: NoticeId,
        request: AskUseRequest,
        idempotency_key: str | None = None,
    ) -> Kept:
        """Ask a received notice's sender to permit a use; raise `FormError`, `NotAnswerableError`."""
        key = key_of(idempotency_key, request, f"ask_use {notice_id}")
        at = self._now_ms()

        def work(tx: Transaction) -> Kept:
            draft = asking.ask_use(_item(tx, participant, notice_id), request, self._defaults(participant), at=at)
            return _accept(participant, draft, at, key, notice_id, None, tx)

        return await self._keep(participant, work)

    # The sender's answers

    async def grant(
        self, participant: ParticipantId, notice_id: NoticeId, request: GrantRequest, idempotency_key: str | None = None
    ) -> Kept:
        """Let others read an own published notice; raise `FormError`, `NotGrantableError`."""
        if not request.to:
            raise FormError("Must name who is to be able to read it.", pointer="/to")
        key = key_of(idempotency_key, request, f"grant {notice_id}")
        at = self._now_ms()

        def work(tx: Transaction) -> Kept:
            return _grants(tx, participant, notice_id, request.to, at, key, None)

        return await self._keep(participant, work)

    async def grant_asked(
        self, participant: ParticipantId, notice_id: NoticeId, request: GrantRequest, idempotency_key: str | None = None
    ) -> Kept:
        """Grant what a question in the inbox asks for; one who asked for others is told that it is permitted.

        Raises `FormError`, `NotGrantableError`, `NotAnswerableError`.
        """
        key = key_of(idempotency_key, request, f"grant_asked {notice_id}")
        at = self._now_ms()

        def work(tx: Transaction) -> Kept:
            question = asking.demand_question(_item(tx, participant, notice_id))
            about = asking.own_notice(tx, participant, question)
            to = asking.readers(question, request.to)
            kept = _grants(tx, participant, about, to, at, key, notice_id)
            if kept.created and question.act == "ask_use":
                beside = self._beside(tx, participant, notice_id)
                # It names them: to grant it to some of those asked for permits nothing towards the others.
                draft = asking.permit(question, PermitRequest(), self._defaults(participant), beside, at=at, to=to)
                _accept(participant, draft, at, None, notice_id, notice_id, tx)
            return kept

        return await self._keep(participant, work)

    async def permit(
        self,
        participant: ParticipantId,
        notice_id: NoticeId,
        request: PermitRequest,
        idempotency_key: str | None = None,
    ) -> Kept:
        """Permit the use that a question in the inbox asks for; raise `FormError`, `NotAnswerableError`."""

        def answer(tx: Transaction, question: InboxItem, beside: tuple[ParticipantId, ...]) -> Draft:
            asking.own_notice(tx, participant, asking.demand_question(question))
            return asking.permit(question, request, self._defaults(participant), beside, at=self._now_ms())

        key = key_of(idempotency_key, request, f"permit {notice_id}")
        return await self._answer(participant, notice_id, key, answer)

    async def refuse(
        self,
        participant: ParticipantId,
        notice_id: NoticeId,
        request: RefuseRequest,
        idempotency_key: str | None = None,
    ) -> Kept:
        """Refuse what a notice in the inbox asks for; raise `NotAnswerableError`."""
        key = key_of(idempotency_key, request, f"refuse {notice_id}")
        return await self._answer(
            participant,
            notice_id,
            key,
            lambda _, item, beside: asking.refuse(
                item, request, self._defaults(participant), beside, at=self._now_ms()
            ),
        )

    async def consent(
        self,
        participant: ParticipantId,
        notice_id: NoticeId,
        request: ConsentRequest,
        idempotency_key: str | None = None,
    ) -> Kept:
        """Consent to what the first notice of a thread asks for; raise `FormError`, `NotAnswerableError`."""
        key = key_of(idempotency_key, request, f"consent {notice_id}")
        return await self._answer(
            participant,
            notice_id,
            key,
            lambda _, item, beside: asking.consent(
                item, request, self._defaults(participant), beside, at=self._now_ms()
            ),
        )

    async def withdraw(
        self,
        participant: ParticipantId,
        notice_id: NoticeId,
        request: RefuseRequest,
        idempotency_key: str | None = None,
    ) -> Kept:
        """Take a consent back; raise `NotAnswerableError`."""
        key = key_of(idempotency_key, request, f"withdraw {notice_id}")
        return await self._answer(
            participant,
            notice_id,
            key,
            lambda _, item, beside: asking.withdraw(
                item, request, self._defaults(participant), beside, at=self._now_ms()
            ),
        )

    async def _answer(self, participant: ParticipantId, notice_id: NoticeId, key: Key | None, answer: Answer) -> Kept:
        at = self._now_ms()

        def work(tx: Transaction) -> Kept:
            draft = answer(tx, _item(tx, participant, notice_id), self._beside(tx, participant, notice_id))
            return _accept(participant, draft, at, key, notice_id, notice_id, tx)

        return await self._keep(participant, work)

    def _beside(self, tx: Transaction, participant: ParticipantId, notice_id: NoticeId) -> tuple[ParticipantId, ...]:
        """Return who is told that a notice with a clock is answered: the own State's focal point and its deputies."""
        clocked = any(duty.code == duties.REPLY for duty in duties.of(tx, participant, notice_id))
        return self.colleagues(participant) if clocked else ()

    def colleagues(self, participant: ParticipantId) -> tuple[ParticipantId, ...]:
        """Return the own State's focal point and who stands in for it now, as far as they are others."""
        network = self._network()
        if network is None:
            return ()
        role = ids.role_of(participant)
        now = from_seconds(network.moment(self._now_ms()).received_at // 1000)
        point = network.focal_point(role)
        found = (*(() if point is None else (point,)), *network.deputies(role, now))
        return tuple(who for who in dict.fromkeys(found) if who != participant)

    # What is owed

    async def delete(self, participant: ParticipantId, notice_id: NoticeId, request: DeleteRequest) -> None:
        """Delete a received notice's text here; the certificate follows. Raises `NotAnswerableError`."""

        def work(tx: Transaction) -> None:
            _item(tx, participant, notice_id)
            asking.delete(tx, participant, notice_id, request, at=self._now_ms())

        await self._keep(participant, work)

    async def duties(self, participant: ParticipantId, state: DutyState | None) -> tuple[Duty, ...]:
        """Return what a participant owes, the nearest time first."""
        return await self._store.read(partial(duties.listed, participant=participant, state=state))

    # Delegations

    def delegations(self, participant: ParticipantId) -> tuple[Delegation, ...]:
        """Return who stands in, now or later, for the focal point of a participant's State."""
        network = self._network()
        if network is None:
            return ()
        role, now = ids.role_of(participant), from_seconds(self._now_ms() // 1000)
        return tuple(one for one in network.delegations if ids.role_of(one.by) == role and one.body.until > now)

    async def delegate(self, participant: ParticipantId, request: DelegationRequest) -> Kept:
        """Have another participant stand in for this focal point for a time.

        Raises `FormError`, and `Error` where the participant is no focal point or the network is not known.
        """
        network = self._network()
        if network is None:
            raise Error("The network is not known yet: the enrolment is not complete.", problem="enrolment")
        role = ids.role_of(participant)
        if network.focal_point(role) != participant:
            raise Error("Only a focal point delegates.", problem="forbidden")
        if request.to == participant or request.to not in network.parties or ids.role_of(request.to) != role:
            raise FormError("Must be another participant of the same State or organisation.", pointer="/to")
        at = self._now_ms()
        if request.from_ >= request.until:
            raise FormError("Must be earlier than `until`.", pointer="/from")
        drafting.expiry(request.until, at, pointer="/until")
        if request.until > from_seconds(at // 1000 + LONGEST_DELEGATION):
            raise FormError("Must lie within 366 days.", pointer="/until")
        body = DelegationBody(request.to, request.from_, request.until)
        draft = Draft(act="delegate", topic=None, label=None, notice=None, to=(), expires_at=None, body=body)
        return await self._keep(participant, partial(_accept, participant, draft, at, None, None, None))


def _item(tx: Transaction, participant: ParticipantId, notice_id: NoticeId) -> InboxItem:
    found = asking.item(tx, participant, notice_id)
    if found is None:
        raise Error("There is no notice of this id for you.", problem="not-found")
    return found


def _accept(
    participant: ParticipantId,
    draft: Draft,
    at: int,
    key: Key | None,
    ref: NoticeId | None,
    answers: NoticeId | None,
    tx: Transaction,
) -> Kept:
    named = [(ids.new_notice_id(at), draft)]
    return outbox.accept(tx, participant, named, at=at, key=key, ref=ref, answers=answers)[0]


def _grants(
    tx: Transaction,
    participant: ParticipantId,
    notice_id: NoticeId,
    to: tuple[ParticipantId, ...],
    at: int,
    key: Key | None,
    answers: NoticeId | None,
) -> Kept:
    """Keep the grants of a notice and its corrections; the first one's id stands for all of them."""
    if key is not None and (known := outbox.known(tx, participant, key)) is not None:
        return known
    kept: list[Kept] = []
    for about, draft in granting.grant(tx, participant, notice_id, to):
        named = [(ids.new_notice_id(at), draft)]
        first = key if not kept else None
        made = outbox.accept(tx, participant, named, at=at, key=first, ref=about.id, answers=answers)[0]
        kept.append(made)
    return kept[0]
