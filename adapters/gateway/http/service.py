"""What the routes ask of the gateway. `adapters.gateway.service.Gateway` has it; tests have one of their own."""

from collections.abc import Sequence
from typing import Protocol

from adapters.gateway.arrivals import InboxWatch
from adapters.gateway.request import (
    AskAccessRequest,
    AskUseRequest,
    ConsentRequest,
    CorrectionRequest,
    DelegationRequest,
    DeleteRequest,
    GrantRequest,
    NoticeRequest,
    PermitRequest,
    RecallRequest,
    RefuseRequest,
)
from adapters.gateway.state import Delegation
from adapters.gateway.status import (
    Alarm,
    Check,
    Duty,
    DutyState,
    ImportReport,
    InboxItem,
    Kept,
    NoticeStatus,
    Preview,
    Readiness,
    State,
    Subscribed,
)
from schemas.ids import NoticeId, ParticipantId, Pattern


class Dealing(Protocol):
    """What participants ask and answer each other. Every call raises `Error` for what it refuses."""

    async def ask_access(
        self, participant: ParticipantId, notice_id: NoticeId, request: AskAccessRequest, idempotency_key: str | None
    ) -> Kept:
        """Ask a notice's sender for access to it."""
        ...

    async def ask_use(
        self, participant: ParticipantId, notice_id: NoticeId, request: AskUseRequest, idempotency_key: str | None
    ) -> Kept:
        """Ask a received notice's sender to permit a use."""
        ...

    async def grant(
        self, participant: ParticipantId, notice_id: NoticeId, request: GrantRequest, idempotency_key: str | None
    ) -> Kept:
        """Let others read an own notice."""
        ...

    async def grant_asked(
        self, participant: ParticipantId, notice_id: NoticeId, request: GrantRequest, idempotency_key: str | None
    ) -> Kept:
        """Grant what a question asks for."""
        ...

    async def permit(
        self, participant: ParticipantId, notice_id: NoticeId, request: PermitRequest, idempotency_key: str | None
    ) -> Kept:
        """Permit the use that a question asks for."""
        ...

    async def refuse(
        self, participant: ParticipantId, notice_id: NoticeId, request: RefuseRequest, idempotency_key: str | None
    ) -> Kept:
        """Refuse what a notice asks for."""
        ...

    async def consent(
        self, participant: ParticipantId, notice_id: NoticeId, request: ConsentRequest, idempotency_key: str | None
    ) -> Kept:
        """Consent to what the first notice of a thread asks for."""
        ...

    async def withdraw(
        self, participant: ParticipantId, notice_id: NoticeId, request: RefuseRequest, idempotency_key: str | None
    ) -> Kept:
        """Take a consent back."""
        ...

    async def delete(self, participant: ParticipantId, notice_id: NoticeId, request: DeleteRequest) -> None:
        """Delete a received text; the certificate follows."""
        ...

    async def duties(self, participant: ParticipantId, state: DutyState | None) -> Sequence[Duty]:
        """Return what is owed."""
        ...

    def delegations(self, participant: ParticipantId) -> Sequence[Delegation]:
        """Return who stands in for the focal point of the participant's State."""
        ...

    async def delegate(self, participant: ParticipantId, request: DelegationRequest) -> Kept:
        """Have somebody stand in for this focal point."""
        ...


class Service(Protocol):
    """A gateway. Every call raises `Error` for what it refuses."""

    @property
    def dealings(self) -> Dealing:
        """Return what deals with others' questions and answers."""
        ...

    @property
    def participants(self) -> Sequence[ParticipantId]:
        """Return whom the gateway serves."""
        ...

    async def accept(
        self, participant: ParticipantId, request: NoticeRequest, idempotency_key: str | None = None
    ) -> Kept:
        """Keep a notice durably."""
        ...

    async def wait_outcome(
        self, participant: ParticipantId, notice_id: NoticeId, seconds: float
    ) -> NoticeStatus | None:
        """Return the status once it does not wait any more, or after some seconds; None where there is none."""
        ...

    async def status(self, participant: ParticipantId, notice_id: NoticeId) -> NoticeStatus | None:
        """Return what became of a notice, None where there is none."""
        ...

    async def statuses(
        self, participant: ParticipantId, *, after: int, limit: int, state: State | None
    ) -> tuple[Sequence[NoticeStatus], int]:
        """Return a page of statuses and the next cursor."""
        ...

    async def preview(
        self,
        participant: ParticipantId,
        request: NoticeRequest,
        *,
        states: bool = False,
        pattern: Pattern | None = None,
    ) -> Preview:
        """Say what would happen, with `states` also who else may have it, with a pattern the same for each of its topics."""
        ...

    async def recall(
        self,
        participant: ParticipantId,
        notice_id: NoticeId,
        request: RecallRequest,
        idempotency_key: str | None = None,
    ) -> Kept:
        """Take a notice back."""
        ...

    async def correct(
        self,
        participant: ParticipantId,
        notice_id: NoticeId,
        request: CorrectionRequest,
        idempotency_key: str | None = None,
    ) -> Kept:
        """Send a corrected text."""
        ...

    async def inbox(
        self, participant: ParticipantId, *, after: int, limit: int, unacknowledged: bool
    ) -> tuple[Sequence[InboxItem], int]:
        """Return a page of the inbox and the next cursor."""
        ...

    def watch_inbox(self, participant: ParticipantId) -> InboxWatch:
        """Watch a participant's inbox, as a context."""
        ...

    async def inbox_item(self, participant: ParticipantId, notice_id: NoticeId) -> InboxItem | None:
        """Return one notice of the inbox, None where there is none."""
        ...

    async def acknowledge(self, participant: ParticipantId, notices: tuple[NoticeId, ...]) -> Sequence[NoticeId]:
        """Say that notices were read; return those that were not acknowledged before."""
        ...

    async def subscriptions(self, participant: ParticipantId) -> Sequence[Subscribed]:
        """Return what the participant is subscribed to."""
        ...

    async def subscribe(self, participant: ParticipantId, patterns: tuple[Pattern, ...]) -> Sequence[Kept]:
        """Subscribe to these patterns and no others."""
        ...

    async def unsubscribe(self, participant: ParticipantId, pattern: Pattern) -> Kept | None:
        """End one subscription; return None where there is none."""
        ...

    async def import_table(
        self, participant: ParticipantId, data: bytes, name: str, *, dry_run: bool, routes: bool
    ) -> ImportReport:
        """Turn a table's rows into notices."""
        ...

    async def doctor(self) -> Sequence[Check]:
        """Look at every step from the keys to a receipt."""
        ...

    async def alarms(self) -> Sequence[Alarm]:
        """Return what a person must see."""
        ...

    def readiness(self) -> Readiness:
        """Say whether the gateway serves."""
        ...
