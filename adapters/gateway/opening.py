"""Open a page of deliveries: verify, decide, open, read. Pure; it costs most of a receiving gateway's time: use a thread.

Every delivery becomes an arrival: opened, unreadable (authentic, but forbidden here, not of its kind's schema, or no key
here opens it) or unverified (not what its statement says; kept as evidence). None is dropped and none stops those behind
it. What an acknowledgement or a recall does is for the caller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from adapters.gateway.identity import Identity
from adapters.gateway.inbox import Arrival
from adapters.gateway.network import RECIPIENT, Network
from adapters.gateway.status import InboxState
from keys import digests
from keys.envelope import VerifiedDelivery, open_notice, verify_delivery
from keys.heads import HeadMemory
from keys.log.note import VerifiedCheckpoint
from schemas import encoding, ids
from schemas.act_content import ACTS, ActContent
from schemas.delivery import Delivery
from schemas.encoding import Members, b64decode
from schemas.errors import Error, FormError
from schemas.ids import LedgerIndex, NoticeId, ParticipantId
from schemas.notice import Notice, is_nominal, parse_notice
from schemas.rules.content import Content, content_of
from schemas.rules.decide import decide
from schemas.rules.facts import Facts
from schemas.rules.verdict import Verdict
from schemas.statement import Statement
from schemas.strict_json import Json

NO_KEY: Final = "No key of this gateway opens it."


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What one participant says that it has received: notice ids and statement digests; `at` in Unix ms of its leaf."""

    by: ParticipantId
    notices: tuple[tuple[NoticeId, bytes], ...]
    at: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A page's arrivals for the inbox, and the acknowledgements in it."""

    arrivals: tuple[Arrival, ...]
    acknowledged: tuple[Acknowledged, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """A delivery that is of the form, and the object that it was read from."""

    delivery: Delivery
    value: dict[str, Json]


def read_page(deliveries: Sequence[dict[str, Json]]) -> tuple[list[Read], list[bytes]]:
    """Read deliveries strictly; return those that are of the form, and the bytes of those that are not."""
    read, broken = [], []
    for value in deliveries:
        try:
            read.append(Read(Delivery.from_json(value), value))
        except Error:
            broken.append(encoding.encode(value))
    return read, broken


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens for one participant; `checkpoints` are those of the page's notes, by the notes' bytes, as verified.

    `heads` remembers batch heads from page to page: whoever imports a table signs a hundred rows with one.
    """

    identity: Identity
    network: Network
    checkpoints: Mapping[bytes, VerifiedCheckpoint]
    heads: HeadMemory

    def open(self, page: Sequence[Read]) -> Opened:
        """Open deliveries in their order."""
        arrivals: list[Arrival] = []
        acknowledged: list[Acknowledged] = []
        who = self.identity.participant
        is_focal_point = self.network.focal_point(ids.role_of(who)) == who
        for item in page:
            try:
                verified = self._verify(item.delivery)
            except Error as error:
                arrivals.append(_arrival(item, InboxState.UNVERIFIED, None, error.detail))
                continue
            outcome = self._open(item, verified)
            if isinstance(outcome, Acknowledged):
                acknowledged.append(outcome)
            else:
                arrivals.append(replace(outcome, is_focal_point=is_focal_point))
        return Opened(tuple(arrivals), tuple(acknowledged))

    def _verify(self, delivery: Delivery) -> VerifiedDelivery:
        return verify_delivery(
            delivery,
            self.network.directory,
            self.checkpoints[delivery.inclusion.checkpoint],
            revoked=self.network.revoked,
            own={delivery.sealed.stanza.kid: None},  # whose stanza it is, is looked at next
            heads=self.heads,
        )

    def _open(self, item: Read, verified: VerifiedDelivery) -> Arrival | Acknowledged:
        delivery, statement = verified.delivery, verified.statement
        kid = delivery.sealed.stanza.kid
        if self.network.directory.owner(kid) != self.identity.participant:
            return _arrival(item, InboxState.UNVERIFIED, None, "The stanza is another participant's.")
        key = self.identity.sealing.get(kid)
        if key is None:
            return _arrival(item, InboxState.UNREADABLE, None, NO_KEY)
        verdict = self._decide(statement)
        denial = None if verdict is None else verdict.first_denial()
        if denial is not None:
            return _told(_arrival(item, InboxState.UNREADABLE, None, denial.reason_in("en")), verdict)
        try:
            notice = open_notice(verified, key).notice
        except Error as error:
            return _arrival(item, InboxState.UNVERIFIED, None, error.detail)
        try:
            if statement.act == "acknowledge":
                return Acknowledged(statement.sender, _acknowledged(notice), delivery.inclusion.received_at)
            content = _check(statement, notice)
        except Error as error:
            return _arrival(item, InboxState.UNREADABLE, notice, f"{error.pointer or ''} {error.detail}".strip())
        facts = None if content is None else content_of(content)
        if facts is not None and self.network.rules.open:
            # What only an opened notice shows; the label's conditions are read again with it, to the same end.
            verdict = self._decide(statement, facts)
            denial = None if verdict is None else verdict.first_denial()
            if denial is not None:
                return _told(_arrival(item, InboxState.UNREADABLE, None, denial.reason_in("en")), verdict)
        obligations = () if verdict is None else tuple(item.to_json() for item in verdict.obligations)
        return _told(replace(_arrival(item, InboxState.OPENED, notice, None, obligations), facts=facts), verdict)

    def _decide(self, statement: Statement, content: Content | None = None) -> Verdict | None:
        """Ask the rules that this gateway knows once more; what must never be blocked is not asked about."""
        if statement.form.unblockable:
            return None
        parties = self.network.parties
        facts = Facts(
            "receive",
            statement.act,
            statement.topic,
            statement.label,
            parties[statement.sender],  # its keys were found, so the directory has it, whatever became of its State
            parties[self.identity.participant],
            statement.issued_at,
            statement.expires_at,
            content,
        )
        return decide(facts, self.network.rules, evaluator=RECIPIENT)


def _told(arrival: Arrival, verdict: Verdict | None) -> Arrival:
    """Return an arrival with the verdict that it was opened or kept closed under."""
    return arrival if verdict is None else replace(arrival, verdict=verdict.to_json())


def _arrival(
    item: Read,
    state: InboxState,
    notice: dict[str, Json] | None,
    reason: str | None,
    obligations: tuple[Mapping[str, Json], ...] = (),
) -> Arrival:
    delivery = item.delivery
    return Arrival(
        statement=delivery.statement,
        digest=digests.statement_digest(delivery.statement_bytes),
        index=LedgerIndex(delivery.inclusion.index),
        received_at=delivery.inclusion.received_at,
        state=state,
        notice=notice,
        reason=reason,
        evidence=None if state is InboxState.OPENED else encoding.encode(item.value),
        obligations=obligations,
        granted_by=None if delivery.grant is None else delivery.grant.statement.notice_id,
    )


def _check(statement: Statement, notice: dict[str, Json]) -> Notice | None:
    """Hold a notice against its kind's schema and its label, and return it (None for other acts); raise `FormError`."""
    if statement.act in ACTS:
        ActContent.from_json(statement.act, notice)
        return None
    if statement.label is None:
        raise FormError("It is of an act that is not read here.")
    content = parse_notice(statement.label.kind, notice, known_codes=False)
    if is_nominal(content) is not statement.label.nominal:
        raise FormError("Must say the same as the notice's own content.", pointer="/label/nominal")
    return content


def _acknowledged(notice: dict[str, Json]) -> tuple[tuple[NoticeId, bytes], ...]:
    """Read an acknowledgement's list: sorted by notice id, each once, at least one; raise `FormError`."""
    found: list[tuple[NoticeId, bytes]] = []
    for number, item in enumerate(Members(notice, ("notices",)).items("notices")):
        m = Members(item, ("notice_id", "statement_digest"), f"/notices/{number}")
        notice_id = m.matching("notice_id", ids.notice_id)
        if found and notice_id <= found[-1][0]:
            raise FormError("Must be sorted by notice id, each once.", pointer="/notices")
        found.append((notice_id, b64decode(m.binary("statement_digest", 32))))
    if not found:
        raise FormError("Must not be empty.", pointer="/notices")
    return tuple(found)
