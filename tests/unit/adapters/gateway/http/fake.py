"""A gateway that lives in dictionaries, for tests of the routes and of the commands that call them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from adapters.gateway.arrivals import Arrivals, InboxWatch
from adapters.gateway.request import (
    AskAccessRequest,
    AskUseRequest,
    ConsentRequest,
    CorrectionRequest,
    DelegationRequest,
    DeleteRequest,
    GrantRequest,
    LabelRequest,
    NoticeRequest,
    PermitRequest,
    RecallRequest,
    RefuseRequest,
)
from adapters.gateway.state import Delegation
from adapters.gateway.status import (
    Addressee,
    Alarm,
    Check,
    Considered,
    Denial,
    Duty,
    DutyState,
    ImportReport,
    InboxItem,
    InboxState,
    Kept,
    LeftOut,
    NoticeStatus,
    Preview,
    Readiness,
    Row,
    State,
    Subscribed,
    TopicPreview,
    Trouble,
    Via,
)
from schemas import ids
from schemas.encoding import Time
from schemas.errors import Error
from schemas.ids import Code, LedgerIndex, NoticeId, ParticipantId, Pattern, Role, Topic
from schemas.label import Label
from schemas.notice import examples, parse_notice
from schemas.rules.changes import Change
from schemas.rules.verdict import Determination, Effect, Verdict
from schemas.statement import DelegationBody

KZ = ParticipantId("kz/customs")
UZ = ParticipantId("uz/police")
TJ = ParticipantId("tj/customs")
NOW = Time("2026-11-24T12:00:00Z")

DENIAL = Denial(
    participant=TJ,
    condition=Code("nominal-needs-agreement"),
    layer="law",
    state=Role("kz"),
    instrument="Illustration: law on personal data",
    article="16",
    reason={"en": "Personal data may go abroad only under an agreement.", "fr": "Un accord est nécessaire."},
    evaluated_by="sender-gateway",
)
CHANGES = ((Change("nominal", "no"),), (Change("consent-of", "tj"), Change("purpose", "investigation")))
PERMIT = Verdict(
    permitted=True,
    determining=(
        Determination(
            condition=Code("states-exchange"),
            layer="network",
            state=None,
            effect=Effect.PERMIT,
            instrument="Decision 1048",
            article="paragraph 20",
            reason={"en": "Agencies exchange information."},
            evaluated_by="sender-gateway",
        ),
    ),
    obligations=(
        Determination(
            condition=Code("copy"),
            layer="law",
            state=Role("uz"),
            effect=Effect.OBLIGE,
            instrument="Illustration",
            article="7",
            reason={"en": "A copy goes to the focal point."},
            evaluated_by="sender-gateway",
            obligation=Code("copy-to-focal-point"),
            parameters={"who": ("uz/focal",)},
        ),
    ),
    directory=12,
    boundary=None,
)
REFUSAL = Verdict(
    permitted=False,
    determining=(
        Determination(
            condition=DENIAL.condition,
            layer="law",
            state=Role("kz"),
            effect=Effect.DENY,
            instrument=DENIAL.instrument,
            article=DENIAL.article,
            reason=DENIAL.reason,
            evaluated_by="sender-gateway",
        ),
    ),
    obligations=(),
    directory=12,
    boundary=None,
)


def label_of(kind: str, asked: LabelRequest) -> Label:
    return Label(
        kind=Code(kind),
        handling=asked.handling or (Code("h2"),),
        tlp=asked.tlp or Code("amber"),
        pap=asked.pap or Code("amber"),
        classification=asked.classification,
        urgency=asked.urgency,
        purpose=asked.purpose or Code("prevent-crime"),
        legal_basis=asked.legal_basis or Code("police-cooperation"),
        nominal=False,
        exercise=asked.exercise,
        reply_due=asked.reply_due,
        conditions=(),
    )


class FakeDealings:
    """Answers as a gateway does, from what the service has."""

    def __init__(self, service: "FakeService") -> None:
        self._service = service
        self.done: list[tuple[str, ParticipantId, NoticeId, object]] = []
        self.stand_ins: tuple[Delegation, ...] = ()
        self.owed: tuple[Duty, ...] = ()

    async def _about(self, act: str, participant: ParticipantId, notice_id: NoticeId, request: object) -> Kept:
        found = await self._service.inbox_item(participant, notice_id)
        if found is None:
            raise Error("There is no notice of this id for you.", problem="not-found")
        return self._keep(act, participant, notice_id, request)

    def _keep(
        self, act: str, participant: ParticipantId, notice_id: NoticeId, request: object, key: str | None = None
    ) -> Kept:
        self.done.append((act, participant, notice_id, request))
        return self._service._keep(participant, act, Topic("central-asia.seizures"), None, key, notice_id)

    async def ask_access(
        self, participant: ParticipantId, notice_id: NoticeId, request: AskAccessRequest, idempotency_key: str | None
    ) -> Kept:
        return self._keep("ask_access", participant, notice_id, request, idempotency_key)

    async def ask_use(
        self, participant: ParticipantId, notice_id: NoticeId, request: AskUseRequest, idempotency_key: str | None
    ) -> Kept:
        return await self._about("ask_use", participant, notice_id, request)

    async def grant(
        self, participant: ParticipantId, notice_id: NoticeId, request: GrantRequest, idempotency_key: str | None
    ) -> Kept:
        if await self._service.status(participant, notice_id) is None:
            raise Error("It is not published.", problem="not-grantable")
        return self._keep("grant", participant, notice_id, request, idempotency_key)

    async def grant_asked(
        self, participant: ParticipantId, notice_id: NoticeId, request: GrantRequest, idempotency_key: str | None
    ) -> Kept:
        return await self._about("grant", participant, notice_id, request)

    async def permit(
        self, participant: ParticipantId, notice_id: NoticeId, request: PermitRequest, idempotency_key: str | None
    ) -> Kept:
        return await self._about("permit", participant, notice_id, request)

    async def refuse(
        self, participant: ParticipantId, notice_id: NoticeId, request: RefuseRequest, idempotency_key: str | None
    ) -> Kept:
        return await self._about("refuse", participant, notice_id, request)

    async def consent(
        self, participant: ParticipantId, notice_id: NoticeId, request: ConsentRequest, idempotency_key: str | None
    ) -> Kept:
        return await self._about("consent", participant, notice_id, request)

    async def withdraw(
        self, participant: ParticipantId, notice_id: NoticeId, request: RefuseRequest, idempotency_key: str | None
    ) -> Kept:
        return await self._about("withdraw", participant, notice_id, request)

    async def delete(self, participant: ParticipantId, notice_id: NoticeId, request: DeleteRequest) -> None:
        found = await self._service.inbox_item(participant, notice_id)
        if found is None:
            raise Error("There is no notice of this id for you.", problem="not-found")
        self._service.arrived[notice_id] = replace(found, state=InboxState.DELETED, notice=None, deleted_at=NOW)

    async def duties(self, participant: ParticipantId, state: DutyState | None) -> Sequence[Duty]:
        return [one for one in self.owed if one.participant == participant and state in (None, one.state)]

    def delegations(self, participant: ParticipantId) -> Sequence[Delegation]:
        return self.stand_ins

    async def delegate(self, participant: ParticipantId, request: DelegationRequest) -> Kept:
        body = DelegationBody(request.to, request.from_, request.until)
        self.stand_ins = (*self.stand_ins, Delegation(participant, body, LedgerIndex(7)))
        return self._service._keep(participant, "delegate", None, None, None, None)


class FakeService:
    """Keeps what it is given; `outcome` decides what becomes of the next notices."""

    def __init__(self, participants: Sequence[ParticipantId] = (KZ, UZ)) -> None:
        self.participants = tuple(participants)
        self.sent: dict[NoticeId, NoticeStatus] = {}
        self.arrived: dict[NoticeId, InboxItem] = {}
        self.arrivals = Arrivals()
        self.patterns: dict[ParticipantId, dict[Pattern, LedgerIndex | None]] = {}
        self.keys: dict[tuple[ParticipantId, str], NoticeId] = {}
        self.outcome = State.PUBLISHED
        self.failure: Exception | None = None
        self.ready = Readiness(ready=True, reasons=())
        self.checks: tuple[Check, ...] = (Check("directory", "ok", "Version 12."),)
        self.found_alarms: tuple[Alarm, ...] = ()
        self.imported: dict[str, Any] = {}
        self.dealings = FakeDealings(self)
        self._count = 0

    def _id(self) -> NoticeId:
        self._count += 1
        return ids.new_notice_id(1_800_000_000_000 + self._count)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def accept(
        self, participant: ParticipantId, request: NoticeRequest, idempotency_key: str | None = None
    ) -> Kept:
        self._fail()
        kind = str(request.notice.get("kind"))
        parse_notice(kind, request.notice)
        if idempotency_key is not None and (participant, idempotency_key) in self.keys:
            return Kept(self.keys[participant, idempotency_key], created=False)
        return self._keep(participant, "issue", request.topic, label_of(kind, request.label), idempotency_key, None)

    def _keep(
        self,
        participant: ParticipantId,
        act: str,
        topic: Topic | None,
        label: Label | None,
        key: str | None,
        ref: NoticeId | None,
    ) -> Kept:
        name = self._id()
        published = self.outcome is State.PUBLISHED
        trouble = Trouble("denied", "A named recipient is denied.", "Leave it out.", None, (DENIAL,))
        self.sent[name] = NoticeStatus(
            id=name,
            notice_id=name,
            aliases=(),
            participant=participant,
            act=act,
            state=State.KEPT,
            topic=topic,
            label=label,
            ref=ref,
            thread=name,
            expires_at=None,
            accepted_at=NOW,
            sealed_at=NOW if published else None,
            published_at=NOW if published else None,
            attempts=1,
            receipt="a.b.c" if published else None,
            index=LedgerIndex(self._count) if published else None,
            recipients=(Addressee(participant, Via.SENDER), Addressee(UZ, Via.SUBSCRIPTION, NOW)) if published else (),
            left_out=(LeftOut(TJ, Via.SUBSCRIPTION, "The rules deny it.", DENIAL),) if published else (),
            problem=None if published else trouble,
            refusal=None,
            corrected_by=None,
            recalled_by=None,
            notice=examples("seizure") if act == "issue" else None,
        )
        if key is not None:
            self.keys[participant, key] = name
        return Kept(name, created=True)

    async def wait_outcome(
        self, participant: ParticipantId, notice_id: NoticeId, seconds: float
    ) -> NoticeStatus | None:
        assert seconds > 0
        self.sent[notice_id] = replace(self.sent[notice_id], state=self.outcome)
        return await self.status(participant, notice_id)

    async def status(self, participant: ParticipantId, notice_id: NoticeId) -> NoticeStatus | None:
        self._fail()
        found = self.sent.get(notice_id)
        if found is None or found.participant != participant:
            return None
        return found

    async def statuses(
        self, participant: ParticipantId, *, after: int, limit: int, state: State | None
    ) -> tuple[Sequence[NoticeStatus], int]:
        mine = [
            (n, one)
            for n, one in enumerate(self.sent.values(), 1)
            if n > after and one.participant == participant and state in (None, one.state)
        ][:limit]
        return [one for _, one in mine], mine[-1][0] if mine else after

    async def preview(
        self,
        participant: ParticipantId,
        request: NoticeRequest,
        *,
        states: bool = False,
        pattern: Pattern | None = None,
    ) -> Preview:
        kind = str(request.notice.get("kind"))
        parse_notice(kind, request.notice)
        sends = TJ not in request.to
        return Preview(
            label=label_of(kind, request.label),
            publish=PERMIT,
            changes=(),
            complete=True,
            candidates=(
                Considered(UZ, Via.SUBSCRIPTION, permitted=True, detail="", verdict=PERMIT),
                Considered(
                    TJ, Via.NAMED, permitted=False, detail="The rules deny it.", verdict=REFUSAL, changes=CHANGES
                ),
                Considered(ParticipantId("kg/police"), Via.NAMED, permitted=False, detail="No key.", verdict=None),
                *([Considered(ParticipantId("am/focal"), Via.ASKED, True, "", PERMIT)] if states else []),
            ),
            would_send=sends,
            problem=None if sends else Trouble("denied", "A named recipient is denied.", "Leave it out.", None, ()),
            directory=12,
            boundary=None,
            checked_at=NOW,
            topics=() if pattern is None else (TopicPreview(Topic(pattern), PERMIT, (), True, (), True),),
        )

    async def recall(
        self,
        participant: ParticipantId,
        notice_id: NoticeId,
        request: RecallRequest,
        idempotency_key: str | None = None,
    ) -> Kept:
        own = await self.status(participant, notice_id)
        if own is None or own.receipt is None:
            raise Error("It is not published.", problem="not-recallable")
        kept = self._keep(participant, "recall", own.topic, own.label, idempotency_key, notice_id)
        self.sent[notice_id] = replace(own, state=State.RECALLED, recalled_by=kept.notice_id)
        return kept

    async def correct(
        self,
        participant: ParticipantId,
        notice_id: NoticeId,
        request: CorrectionRequest,
        idempotency_key: str | None = None,
    ) -> Kept:
        own = await self.status(participant, notice_id)
        if own is None:
            raise Error("It is not published.", problem="not-recallable")
        kind = str(request.notice.get("kind"))
        parse_notice(kind, request.notice)
        return self._keep(participant, "correct", own.topic, own.label, idempotency_key, notice_id)

    def arrive(self, participant: ParticipantId, *, state: InboxState = InboxState.OPENED) -> NoticeId:
        name = self._id()
        readable = state is InboxState.OPENED
        self.arrived[name] = InboxItem(
            seq=self._count,
            notice_id=name,
            participant=participant,
            act="issue",
            state=state,
            sender=UZ if participant == KZ else KZ,
            topic=Topic("central-asia.seizures"),
            thread=name,
            ref=None,
            label=label_of("seizure", LabelRequest()),
            notice=examples("seizure") if readable else None,
            reason=None if readable else "It does not open under a key of this gateway.",
            obligations=({"obligation": "copy-to-focal-point"},),
            index=LedgerIndex(self._count),
            published_at=NOW,
            arrived_at=NOW,
            expires_at=None,
            statement_digest="9WnEJ0Wl0bYcPjYqfKZg2v0v9oYtq0jv4N3u1w1b2bY",
            superseded_by=None,
            recalled_by=None,
            acknowledged_at=None,
            acknowledgement=None,
        )
        self.arrivals.tell(participant)
        return name

    def watch_inbox(self, participant: ParticipantId) -> InboxWatch:
        return self.arrivals.watch(participant)

    async def inbox(
        self, participant: ParticipantId, *, after: int, limit: int, unacknowledged: bool
    ) -> tuple[Sequence[InboxItem], int]:
        mine = [
            one
            for one in self.arrived.values()
            if one.participant == participant
            and one.seq > after
            and not (unacknowledged and one.acknowledged_at is not None)
        ][:limit]
        return mine, mine[-1].seq if mine else after

    async def inbox_item(self, participant: ParticipantId, notice_id: NoticeId) -> InboxItem | None:
        found = self.arrived.get(notice_id)
        return found if found is not None and found.participant == participant else None

    async def acknowledge(self, participant: ParticipantId, notices: tuple[NoticeId, ...]) -> Sequence[NoticeId]:
        new = []
        for name in notices:
            found = await self.inbox_item(participant, name)
            if found is not None and found.acknowledged_at is None:
                self.arrived[name] = replace(found, acknowledged_at=NOW)
                new.append(name)
        return new

    async def subscriptions(self, participant: ParticipantId) -> Sequence[Subscribed]:
        return [Subscribed(pattern, index) for pattern, index in self.patterns.get(participant, {}).items()]

    async def subscribe(self, participant: ParticipantId, patterns: tuple[Pattern, ...]) -> Sequence[Kept]:
        before = self.patterns.get(participant, {})
        self.patterns[participant] = {pattern: before.get(pattern) for pattern in patterns}
        return [Kept(self._id(), created=True)]

    async def unsubscribe(self, participant: ParticipantId, pattern: Pattern) -> Kept | None:
        if pattern not in self.patterns.get(participant, {}):
            return None
        del self.patterns[participant][pattern]
        return Kept(self._id(), created=True)

    async def import_table(
        self, participant: ParticipantId, data: bytes, name: str, *, dry_run: bool, routes: bool
    ) -> ImportReport:
        self._fail()
        self.imported = {"data": data, "name": name, "dry_run": dry_run, "routes": routes}
        kept = [] if dry_run else [self._keep(participant, "issue", Topic("osce.seizures"), None, None, None)]
        refused = (Row(3, "SEIZURE_DATE", "There is no date.", "\\x1b[2J"),) if b"bad" in data else ()
        return ImportReport(
            rows_read=1 + len(refused),
            rows_imported=1,
            rows_refused=len(refused),
            already_known=0,
            notices=tuple(one.notice_id for one in kept),
            refused=refused,
            dry_run=dry_run,
        )

    async def doctor(self) -> Sequence[Check]:
        return self.checks

    async def alarms(self) -> Sequence[Alarm]:
        return self.found_alarms

    def readiness(self) -> Readiness:
        return self.ready
