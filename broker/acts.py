"""The acts' own rules, which need the ledger: what each may refer to, who may say it, and to whom (spec/acts.md).

A function of a statement and of what the ledger says; `publish` calls it at step 7. Whether the rules of access allow a
statement is not decided here. Every check raises `Error` with the problem `act-refused` or `recipients`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from broker.trust import Trust
from keys.directory.directory import Moment
from keys.envelope import grants
from schemas.encoding import from_seconds
from schemas.errors import Error
from schemas.ids import Kid, NoticeId, ParticipantId, Topic, role_of
from schemas.rules.builtin import ANSWERS
from schemas.statement import DelegationBody, RevocationBody, Statement, SubscriptionBody

LONGEST_DELEGATION: Final = 366 * 24 * 3600
"""Seconds. Who stands in for longer is the focal point, and the directory says so."""


class Row(Protocol):
    """What the acts need to know of a notice that is in the ledger."""

    @property
    def sender(self) -> ParticipantId:
        """Return who published it."""
        ...

    @property
    def act(self) -> str:
        """Return its act."""
        ...

    @property
    def ref(self) -> NoticeId | None:
        """Return the notice that it refers to."""
        ...

    @property
    def thread(self) -> NoticeId | None:
        """Return its thread."""
        ...

    @property
    def topic(self) -> Topic | None:
        """Return its topic."""
        ...

    @property
    def erased(self) -> bool:
        """Say whether its body is gone."""
        ...


class ActsLedger(Protocol):
    """What the acts read of the ledger."""

    def by_notice(self, notice_id: NoticeId) -> Row | None:
        """Return a notice that counts."""
        ...

    def statement(self, notice_id: NoticeId) -> Statement | None:
        """Return the whole statement of a notice that counts."""
        ...

    def holders(self, notice_id: NoticeId) -> Collection[Kid]:
        """Return the key ids that a notice's stanzas and those of its grants are for."""
        ...


@dataclass(frozen=True, slots=True)
class _Referring:
    """A statement that refers to a notice in the ledger, and who holds that one."""

    statement: Statement
    recipients: frozenset[ParticipantId]
    ref: Row
    holders: frozenset[ParticipantId]
    trust: Trust
    ledger: ActsLedger
    moment: Moment


def check_act(
    statement: Statement, recipients: tuple[ParticipantId, ...], trust: Trust, ledger: ActsLedger, moment: Moment
) -> None:
    """Hold a statement against its act's own rules."""
    holders: frozenset[ParticipantId] = frozenset()
    if statement.ref is not None:
        holders = _check_ref(statement, recipients, trust, ledger, moment)
    if statement.act == "acknowledge" and len(recipients) != 2:
        raise _refused("An acknowledgement goes to exactly one other participant.", "/sealed/recipient_count")
    body = statement.body
    if isinstance(body, SubscriptionBody | RevocationBody):
        _check_own(statement, body.participant, trust, moment)
    if isinstance(body, RevocationBody) and any(trust.directory.owner(kid) != body.participant for kid in body.kids):
        raise _refused("Each key must be the named participant's.", "/body/kids")
    if isinstance(body, DelegationBody):
        _check_delegation(statement, body, trust, moment)
    if _has_clock(statement, trust):
        _check_escalation(recipients, holders if statement.act == "grant" else (), trust)


def _check_ref(
    statement: Statement, recipients: tuple[ParticipantId, ...], trust: Trust, ledger: ActsLedger, moment: Moment
) -> frozenset[ParticipantId]:
    """Check what a statement says of the notice that it refers to, and return who holds that one."""
    assert statement.ref is not None  # the caller has looked
    ref = ledger.by_notice(statement.ref)
    asks = statement.act == "ask_access"
    if ref is None:
        raise _nowhere() if asks else _not_held()
    owners = (trust.directory.owner(kid) for kid in ledger.holders(statement.ref))
    holders = frozenset(owner for owner in owners if owner is not None)
    # Who does not hold a notice is told the same as if there were none: refusals must not show what there is.
    if not asks and statement.sender not in holders:
        raise _not_held()
    if statement.thread != ref.thread:
        raise _nowhere() if asks else _refused("The thread must be that of the notice it refers to.", "/thread")
    _CHECKS[statement.act](_Referring(statement, frozenset(recipients), ref, holders, trust, ledger, moment))
    return holders


def _check_issue(said: _Referring) -> None:
    """Check that what states that it answers goes to whom it answers: others let their clocks rest on that."""
    label = said.statement.label
    states_answer = label is not None and any(item.code == ANSWERS for item in label.conditions)
    if states_answer and (said.ref.sender == said.statement.sender or said.ref.sender not in said.recipients):
        raise _refused("An answer goes to the sender of the notice that it refers to.", "/label/conditions")


def _check_own_notice(said: _Referring) -> None:
    """Check a correction or recall."""
    ref = said.ref
    if ref.sender != said.statement.sender or ref.act not in ("issue", "correct"):
        raise _refused("Only one's own issue or correction can be corrected or recalled.", "/ref")
    if ref.erased:
        raise _refused("The notice that it refers to was recalled or has expired.", "/ref")
    _demand_topic(said)
    # A holder without a key in force cannot be sealed to, and must not keep its sender from recalling.
    reachable = said.holders & set(said.trust.current(said.moment).values())
    if said.statement.act == "correct":
        reachable = _may_have(said, reachable)
    if not reachable <= said.recipients:
        raise _refused("It must go to everybody who holds the notice it refers to.", "/sealed/recipient_count")


def _may_have(said: _Referring, holders: Collection[ParticipantId]) -> frozenset[ParticipantId]:
    """Return the holders who may have a correction, as far as that can be decided here.

    Whom the rules deny it keeps it from nobody else. What they leave to the gateways may deny it, and is not seen here.
    """
    trust = said.trust
    about = trust.decisions.about(said.statement, trust.parties[said.statement.sender])
    return frozenset(who for who in holders if about.recipient(who) is None and not about.told(who).verdict.unseen)


def _check_asking_access(said: _Referring) -> None:
    statement, ref, trust = said.statement, said.ref, said.trust
    if statement.sender in said.holders:
        raise _refused("The sender holds the notice that it asks for.", "/ref")
    to = {statement.sender, ref.sender}
    may = set(to)
    if _has_clock(statement, trust):
        may |= {point for who in to if (point := trust.focal_point(role_of(who))) is not None}
    if statement.topic != ref.topic or not to <= said.recipients <= may:
        raise _nowhere()


def _check_grant(said: _Referring) -> None:
    statement, ref = said.statement, said.ref
    if ref.act in ("grant", "acknowledge") or ref.sender != statement.sender:
        raise _refused("Only the sender of a sealed notice grants it.", "/ref")
    if ref.erased:
        raise _refused("The notice that it grants was recalled or has expired.", "/ref")
    assert statement.ref is not None  # a grant has one
    granted = said.ledger.statement(statement.ref)
    if granted is None or not grants(statement, granted):
        raise _refused("What is bound and the ciphertext must be those of the notice that it grants.", "/ref")
    if not said.holders.isdisjoint(said.recipients):
        raise _refused("A grant is for those who do not hold the notice.", "/sealed/recipient_count")


def _check_between_holders(said: _Referring) -> None:
    """Check what holders of a notice say to each other about it."""
    _demand_topic(said)


def _check_room(said: _Referring) -> None:
    _check_between_holders(said)
    if said.ref.act != "issue" or said.ref.ref is not None:
        raise _refused("It must refer to the first notice of its thread.", "/ref")


_CHECKS: Final[Mapping[str, Callable[[_Referring], None]]] = {
    "issue": _check_issue,
    "correct": _check_own_notice,
    "recall": _check_own_notice,
    "ask_access": _check_asking_access,
    "grant": _check_grant,
    "ask_use": _check_between_holders,
    "permit": _check_between_holders,
    "certify": _check_between_holders,
    "refuse": _check_between_holders,
    "consent": _check_room,
    "withdraw": _check_room,
}
"""By each act that is served and refers to a notice."""


def _demand_topic(said: _Referring) -> None:
    if said.statement.topic != said.ref.topic:
        raise _refused("The topic must be that of the notice it refers to.", "/topic")


def _check_own(statement: Statement, participant: ParticipantId, trust: Trust, moment: Moment) -> None:
    party = trust.parties.get(participant)
    if party is None:
        raise _refused("The directory has no such participant.", "/body/participant")
    if statement.sender not in (participant, *trust.speakers(party.role, moment)):
        raise _refused("Only the participant itself or its focal point may say this.", "/sender")


def _check_delegation(statement: Statement, body: DelegationBody, trust: Trust, moment: Moment) -> None:
    if statement.sender != trust.focal_point(role_of(statement.sender)):
        raise _refused("Only a focal point delegates, and only what is its own.", "/sender")
    if body.to not in trust.parties or body.to == statement.sender or role_of(body.to) != role_of(statement.sender):
        raise _refused("Must be another participant of the same State or organisation.", "/body/to")
    now = moment.received_at // 1000
    if body.until <= from_seconds(now):
        raise _refused("It must end later than now.", "/body/until")
    if body.until > from_seconds(now + LONGEST_DELEGATION):
        raise _refused("It must end within 366 days.", "/body/until")


def _has_clock(statement: Statement, trust: Trust) -> bool:
    label = statement.label
    if label is None:
        return False
    return label.reply_due is not None or label.urgency in trust.rules.clocks


def _check_escalation(recipients: tuple[ParticipantId, ...], holders: Collection[ParticipantId], trust: Trust) -> None:
    """Demand a stanza for each recipient State's focal point, so that it can open what is overdue."""
    for who in recipients:
        focal_point = trust.focal_point(trust.parties[who].role)
        if focal_point is not None and focal_point not in recipients and focal_point not in holders:
            raise Error(
                "A notice with a clock goes to each recipient State's focal point as well.",
                problem="recipients",
                pointer="/sealed/recipient_count",
            )


def _not_held() -> Error:
    return _refused("There is no such notice in the ledger that the sender holds.", "/ref")


def _nowhere() -> Error:
    return _refused("There is no such notice of the recipient's in this thread and on this topic.", "/ref")


def _refused(detail: str, pointer: str) -> Error:
    return Error(detail, problem="act-refused", pointer=pointer)
