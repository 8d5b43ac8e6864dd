"""Publishing, as a function: envelope in, decision out, no I/O of its own (spec/envelope.md, "Order of checks").

parse → known statement → verify (`examine` does the first and the third beforehand) → notice id and clock → the act's
own rules → recipients → access. What the function reads of the ledger comes through `Published`; what it decides, the
ledger thread makes durable. A seeded simulation can run it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import orjson

from broker.accounts import Said, account
from broker.acts import ActsLedger, check_act
from broker.decisions import EVALUATOR, About
from broker.trust import Trust
from keys import digests
from keys.directory.directory import Directory, Moment
from keys.envelope import VerifiedEnvelope, check_clock, verify_envelope
from keys.errors import VerificationError
from keys.heads import HeadMemory
from schemas.encoding import b64decode, b64encode, from_seconds
from schemas.envelope import Envelope
from schemas.errors import Error, FormError
from schemas.ids import Code, LedgerIndex, NoticeId, Origin, ParticipantId, Topic
from schemas.leaf import Leaf, LeafType
from schemas.limits import LIMITS
from schemas.receipt import Denial, Receipt, Refusal
from schemas.record import Record
from schemas.rules.copies import COPIED
from schemas.rules.decide import decide
from schemas.rules.facts import Facts, Party
from schemas.rules.verdict import Determination
from schemas.statement import DelegationBody, RevocationBody, Statement, SubscriptionBody


class Published(ActsLedger, Protocol):
    """What publishing reads of the ledger: the view, at its size."""

    @property
    def size(self) -> int:
        """Return the number of leaves whose tree `root` knows."""
        ...

    @property
    def next_index(self) -> int:
        """Return the index that the statement's leaf would take: beyond `size` where others are about to be appended."""
        ...

    def known(self, digest: bytes) -> tuple[LedgerIndex, Record] | None:
        """Return the leaf's index and record of a statement, by its SHA-256."""
        ...

    def root(self, size: int) -> bytes:
        """Return the tree's root at an earlier size."""
        ...


@dataclass(frozen=True, slots=True)
class ReceiptDigests:
    """SHA-256 of a record's statement and proof, as its receipt names them."""

    statement: bytes
    proof: bytes

    @classmethod
    def of(cls, record: Record) -> "ReceiptDigests":
        """Take the digests of a record."""
        assert record.proof is not None  # statements have one
        return cls(digests.sha256(record.document), digests.sha256(record.proof))


@dataclass(frozen=True, slots=True)
class Accepted:
    """A statement to append: its record, its sealed body, and the decision to keep for auditors."""

    statement: Statement
    record: Record
    body: bytes | None
    decision: bytes
    receipt: ReceiptDigests


@dataclass(frozen=True, slots=True)
class Repeated:
    """A statement that is in the ledger already: its receipt again."""

    index: LedgerIndex
    record: Record


@dataclass(frozen=True, slots=True)
class Denied:
    """A recipient (or the sender) that the rules deny, and the condition that says so."""

    participant: ParticipantId
    why: Determination


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a statement is not published. A `refusal` is definite: the broker signs it, and the gateway may seal anew."""

    error: Error
    denied: tuple[Denied, ...] = ()
    refusal: Refusal | None = None
    decision: bytes | None = None


Outcome = Accepted | Repeated | Refused


class DeniedError(Error):
    """The rules deny the sender or some recipients; `verdicts` are all that were asked for, as they are kept."""

    problem = "denied"

    def __init__(self, denied: tuple[Denied, ...], verdicts: bytes) -> None:
        code = "no-profile" if all(item.why.condition == "no-profile" for item in denied) else "denied"
        super().__init__(f"{len(denied)} of those concerned may not take part in this notice.", problem=code)
        self.denied = denied
        self.verdicts = verdicts


class CopyLackingError(Error):
    """A law obliges to a copy to a focal point, and there is no stanza for it; `lacking` says which law."""

    problem = "copy-lacking"

    def __init__(self, lacking: tuple[Denied, ...], verdicts: bytes) -> None:
        names = ", ".join(item.participant for item in lacking)
        super().__init__(f"A law obliges to a copy to {names}.", pointer="/sealed/recipient_count")
        self.denied = lacking
        self.verdicts = verdicts


@dataclass(frozen=True, slots=True)
class Examined:
    """What an envelope says for itself, whatever the ledger holds: steps 1 and 3 to 5, under one directory.

    `envelope` is None where step 1 failed; exactly one of `verified` and `error` is there.
    """

    envelope: Envelope | None
    verified: VerifiedEnvelope | None
    error: Error | None
    directory: Directory


def examine(
    data: bytes,
    notice_id: NoticeId | None,
    origin: Origin,
    trust: Trust,
    moment: Moment,
    heads: HeadMemory | None = None,
) -> Examined:
    """Parse and verify one envelope. The dear part of publishing, and it may be done by any thread beforehand.

    `heads` spares the signatures of a batch's head that verified before.
    """
    envelope = None
    try:
        envelope = _parse(data, notice_id, origin)
        verified = verify_envelope(envelope, trust.directory, moment=moment, revoked=trust.revoked, heads=heads)
    except Error as error:
        return Examined(envelope, None, error, trust.directory)
    return Examined(envelope, verified, None, trust.directory)


def publish(
    data: bytes, notice_id: NoticeId | None, origin: Origin, trust: Trust, ledger: Published, *, now_ms: int
) -> Outcome:
    """Decide on one envelope; `notice_id` is the address it was put to, where there was one.

    Never raises for what a sender did: every refusal is an outcome.
    """
    examined = examine(data, notice_id, origin, trust, Moment(ledger.next_index, now_ms))
    return decide_on(examined, origin, trust, ledger, now_ms=now_ms)


def decide_on(examined: Examined, origin: Origin, trust: Trust, ledger: Published, *, now_ms: int) -> Outcome:
    """Decide on an examined envelope as the ledger and the trust stand now."""
    envelope = examined.envelope
    if envelope is None:
        assert examined.error is not None  # see Examined
        return Refused(examined.error)
    known = ledger.known(digests.statement_digest(envelope.statement_bytes))
    if known is not None:
        return Repeated(*known)
    moment = Moment(ledger.next_index, now_ms)
    try:
        verified = _still_verified(examined, envelope, trust, moment)
    except Error as error:
        return Refused(error)
    try:
        recipients, verdicts = _check(verified, trust, ledger, moment)
    except Error as error:
        return _refuse(verified, error, origin, trust, now_ms)
    return _accept(verified, recipients, verdicts, trust, now_ms)


def _still_verified(examined: Examined, envelope: Envelope, trust: Trust, moment: Moment) -> VerifiedEnvelope:
    """Return the verified envelope if its key counts at this very place; verify anew where another one may count here."""
    if isinstance(examined.error, VerificationError) and examined.directory is trust.directory:
        raise examined.error  # no place in the ledger mends it, and the ledger thread is not to pay for it twice
    if examined.verified is None or examined.directory is not trust.directory:
        return verify_envelope(envelope, trust.directory, moment=moment, revoked=trust.revoked)
    trust.directory.demand_in_force(examined.verified.identity, moment, trust.revoked)
    return examined.verified


def _parse(data: bytes, notice_id: NoticeId | None, origin: Origin) -> Envelope:
    """Take step 1. Raises `Error`."""
    envelope = Envelope.parse(data)
    if envelope.statement.origin != origin:
        raise Error("The statement is for another deployment.", problem="wrong-origin", pointer="/origin")
    if notice_id is not None and envelope.statement.notice_id != notice_id:
        raise FormError("Must be the id in the address.", pointer="/notice_id")
    return envelope


def receipt_of(origin: Origin, index: LedgerIndex, record: Record, own: ReceiptDigests) -> Receipt:
    """Return the receipt of a record: a pure function, so that every instance answers with the same payload."""
    return Receipt(
        origin=origin,
        index=index,
        leaf=record.leaf,
        statement=b64encode(own.statement),
        proof=b64encode(own.proof),
        directory=record.directory,
        boundary=record.boundary,
        due=from_seconds(record.leaf.received_at // 1000 + LIMITS.receipt_due),
    )


def _check(
    verified: VerifiedEnvelope, trust: Trust, ledger: Published, moment: Moment
) -> tuple[tuple[ParticipantId, ...], bytes]:
    """Take steps 6 and 7 and return the recipients' ids and the verdicts as they are kept. Raises `Error`."""
    statement = verified.statement
    if ledger.by_notice(statement.notice_id) is not None:
        raise Error("Another statement has this notice id.", problem="conflict", pointer="/notice_id")
    check_clock(statement, moment.received_at // 1000)
    if not statement.form.served:
        raise Error("This broker does not act on such statements yet.", problem="act-not-served", pointer="/act")
    if statement.attachments:
        raise Error("This broker does not carry attachments yet.", problem="act-not-served", pointer="/attachments")
    _check_expiry(statement, moment)
    _check_gossip(statement, ledger)
    recipients = recipients_of(verified, trust, moment)
    check_act(statement, recipients, trust, ledger, moment)
    return recipients, _check_access(statement, recipients, trust, moment)


def _check_expiry(statement: Statement, moment: Moment) -> None:
    """Demand an expiry that the stores of bodies wait for: their retention is the last resort of erasure."""
    until = from_seconds(moment.received_at // 1000 + LIMITS.longest_expiry)
    if statement.expires_at is not None and statement.expires_at > until:
        days = LIMITS.longest_expiry // 86_400
        raise Error(f"It must expire within {days:,} days.", problem="act-refused", pointer="/expires_at")


def _check_gossip(statement: Statement, ledger: Published) -> None:
    """Compare the checkpoint that the sender has seen with this ledger's tree."""
    seen = statement.checkpoint
    contradicts = seen.size > ledger.size
    if not contradicts:
        contradicts = b64decode(seen.root) != ledger.root(seen.size)
    if contradicts:
        raise Error(
            "The checkpoint that the sender has verified is not of this log.", problem="fork", pointer="/checkpoint"
        )


def recipients_of(verified: VerifiedEnvelope, trust: Trust, moment: Moment) -> tuple[ParticipantId, ...]:
    """Return whom an envelope is sealed to, in the order of its stanzas: none for an open act.

    Raises `Error` unless each stanza is for a participant's newest key in force, and there is one beside the sender. (Of a
    grant the sender has none.)
    """
    sealed = verified.envelope.sealed
    if sealed is None:
        return ()
    newest = trust.current(moment)
    recipients = []
    for number, stanza in enumerate(sealed.recipients):
        owner = newest.get(stanza.kid)
        if owner is None:
            known = trust.directory.owner(stanza.kid) is not None
            what = "a key that is not its owner's newest in force" if known else "a key that the directory lacks"
            raise Error(f"A stanza is for {what}.", problem="recipients", pointer=f"/sealed/recipients/{number}")
        recipients.append(owner)
    if len(recipients) < 2 and verified.statement.act != "grant":
        raise Error("There is no recipient beside the sender.", problem="recipients", pointer="/sealed/recipients")
    return tuple(recipients)


def _check_access(statement: Statement, recipients: tuple[ParticipantId, ...], trust: Trust, moment: Moment) -> bytes:
    """Ask the rules whether the sender may publish this, and each recipient receive it; return the verdicts."""
    denied: list[Denied] = []
    said: list[Said] = []
    verdicts = None
    sender = trust.parties[statement.sender]
    body = statement.body
    if isinstance(body, SubscriptionBody):
        if statement.act == "subscribe":
            subject = trust.parties[body.participant]
            speaker = _speaking(sender, body.participant, trust, moment)
            for pattern in body.patterns:
                facts = Facts("subscribe", statement.act, Topic(pattern), None, speaker, subject)
                denied += _denials(facts, body.participant, trust, said)
    elif isinstance(body, RevocationBody):
        speaker = _speaking(sender, body.participant, trust, moment)
        facts = Facts("administer", statement.act, None, None, speaker, trust.parties[body.participant])
        denied += _denials(facts, sender.id, trust, said)
    elif isinstance(body, DelegationBody):
        facts = Facts("administer", statement.act, None, None, sender, trust.parties[body.to])
        denied += _denials(facts, sender.id, trust, said)
    else:
        told = trust.decisions.about(statement, sender)
        copies: dict[ParticipantId, Determination] = {}
        if told.sender is not None:
            denied.append(Denied(sender.id, told.sender))
        for who in recipients:
            one = told.told(who)
            if one.denial is not None:
                denied.append(Denied(who, one.denial))
            elif one.copies:
                copies.update(one.copies)
        verdicts = told.account(recipients)
        if copies and not denied and statement.act in COPIED:
            _check_copies(copies, recipients, told, trust, moment)
    # What must never be blocked is held at delivery instead; only a sender that may not speak at all is refused.
    if statement.form.unblockable:
        denied = [item for item in denied if item.participant == sender.id and item.why.condition == "suspended"]
    if denied:
        unique = {item.participant: item for item in reversed(denied)}
        raise DeniedError(tuple(unique[who] for who in sorted(unique)), verdicts or account(said))
    return verdicts or account(said)


def _check_copies(
    owed: Mapping[ParticipantId, Determination],
    recipients: tuple[ParticipantId, ...],
    told: About,
    trust: Trust,
    moment: Moment,
) -> None:
    """Demand a stanza for each focal point that is owed a copy, may have it, and has a key to open it with.

    What the rules deny to a focal point no law can ask to be sent there. Raises `CopyLackingError`.
    """
    lacking = owed.keys() - set(recipients)
    if not lacking:
        return
    keyed = set(trust.current(moment).values())
    without = [who for who in sorted(lacking) if who in keyed and told.recipient(who) is None]
    if without:
        raise CopyLackingError(tuple(Denied(who, owed[who]) for who in without), told.account(recipients))


def _speaking(sender: Party, about: ParticipantId, trust: Trust, moment: Moment) -> Party:
    """Return whose rights count: the focal point's for who stands in for it, and says something of another."""
    point = trust.focal_point(sender.role)
    if about == sender.id or point is None or sender.id not in trust.speakers(sender.role, moment):
        return sender
    return trust.parties[point]


def _denials(facts: Facts, about: ParticipantId, trust: Trust, said: list[Said]) -> list[Denied]:
    verdict = decide(facts, trust.rules, evaluator=EVALUATOR)
    said.append((facts.action, about, verdict))
    denial = verdict.first_denial()
    return [] if denial is None else [Denied(about, denial)]


def _accept(
    verified: VerifiedEnvelope, recipients: tuple[ParticipantId, ...], verdicts: bytes, trust: Trust, now_ms: int
) -> Accepted:
    envelope, statement = verified.envelope, verified.statement
    own = ReceiptDigests(verified.statement_digest, digests.sha256(envelope.proof_bytes))
    leaf_type = LeafType.OPEN if statement.form.open else LeafType.SEALED
    leaf = Leaf(leaf_type, now_ms, digests.joined_leaf(own.statement, own.proof))
    body = envelope.sealed_bytes
    record = Record(
        leaf=leaf,
        document=envelope.statement_bytes,
        proof=envelope.proof_bytes,
        body_digest=None if body is None else digests.sha256(body),
        directory=trust.directory.version,
        boundary=trust.boundary,
    )
    decision = _decision(verified, "accepted", trust, now_ms, recipients=recipients, verdicts=verdicts)
    return Accepted(statement, record, body, decision, own)


def _refuse(verified: VerifiedEnvelope, error: Error, origin: Origin, trust: Trust, now_ms: int) -> Refused:
    refused = error if isinstance(error, DeniedError | CopyLackingError) else None
    denied, verdicts = ((), b"[]") if refused is None else (refused.denied, refused.verdicts)
    refusal = Refusal(
        origin=origin,
        statement=b64encode(verified.statement_digest),
        reason=Code(error.code),
        denied=tuple(Denial(item.participant, item.why.condition) for item in denied),
        at=from_seconds(now_ms // 1000),
    )
    decision = _decision(verified, error.code, trust, now_ms, denied=denied, verdicts=verdicts)
    return Refused(error, denied, refusal, decision)


def _named(why: Determination) -> dict[str, str | None]:
    """Return a determination as it is kept: which condition of whose rules, and where it stands."""
    return {
        "condition": why.condition,
        "layer": why.layer,
        "state": why.state,
        "instrument": why.instrument,
        "article": why.article,
    }


def _decision(
    verified: VerifiedEnvelope,
    outcome: str,
    trust: Trust,
    now_ms: int,
    *,
    verdicts: bytes,
    recipients: tuple[ParticipantId, ...] = (),
    denied: tuple[Denied, ...] = (),
) -> bytes:
    """Return a decision as it is kept for auditors: ids, conditions and versions, never content.

    `denied` are those whom the refusal names, each with its first condition; `verdicts` are the rules' whole answers (see
    `accounts`), none where it was refused before they were asked. Of an act that nothing may block they say what was
    answered, not what was done.
    """
    statement = verified.statement
    return orjson.dumps(
        {
            "typ": "decision",
            "at": from_seconds(now_ms // 1000),
            "statement": b64encode(verified.statement_digest),
            "notice_id": statement.notice_id,
            "sender": statement.sender,
            "act": statement.act,
            "outcome": outcome,
            "recipients": recipients,
            "denied": [{"participant": item.participant, **_named(item.why)} for item in denied],
            "directory": trust.directory.version,
            "boundary": trust.boundary,
            "evaluator": EVALUATOR,
            "verdicts": orjson.Fragment(verdicts),
        }
    )
