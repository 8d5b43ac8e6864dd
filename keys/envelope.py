"""The envelope's verbs: seal, verify, open (spec/envelope.md, "Order of checks").

`Envelope` → `VerifiedEnvelope`, and `Delivery` → `VerifiedDelivery` → `OpenedNotice`: a function that needs trust accepts
only the later type, and each is made only here. Whether the rules allow a notice is not decided here.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NewType

import orjson

from keys import digests, seal
from keys.batch import Unsigned
from keys.directory.directory import Directory, Moment
from keys.directory.records import SealingRecord, SigningRecord
from keys.errors import VerificationError
from keys.heads import HeadMemory
from keys.log import merkle
from keys.log.note import VerifiedCheckpoint
from keys.sign import verify_pair
from schemas import strict_json
from schemas.delivery import Delivery, Grant, SealedShare
from schemas.encoding import b64decode, b64encode, encode, from_seconds
from schemas.envelope import Envelope, GrantedKeys, Proof, SealedHeader, SealedNotice, Stanza
from schemas.errors import Error, FormError, MalformedError
from schemas.ids import Kid, LedgerIndex
from schemas.leaf import Leaf, LeafType
from schemas.limits import LIMITS
from schemas.statement import SealedDigests, Statement
from schemas.strict_json import Json

ContentKey = NewType("ContentKey", bytes)
"""The key of one notice's ciphertext; whoever has it can show the notice's content to a court."""

Revoked = Mapping[Kid, LedgerIndex]
"""Key ids and the index of the statement that revoked each."""


@dataclass(frozen=True, slots=True)
class VerifiedEnvelope:
    """An envelope whose sender, signatures, digests and binding hold. `keys.envelope` alone makes it."""

    envelope: Envelope
    identity: SigningRecord
    statement_digest: bytes

    @property
    def statement(self) -> Statement:
        """Return the statement, which is authentic."""
        return self.envelope.statement


@dataclass(frozen=True, slots=True)
class VerifiedDelivery:
    """A delivery that is authentic, in the log under a verified checkpoint, and addressed to `kid`."""

    delivery: Delivery
    checkpoint: VerifiedCheckpoint
    statement_digest: bytes

    @property
    def statement(self) -> Statement:
        """Return the statement, which is authentic."""
        return self.delivery.statement


@dataclass(frozen=True, slots=True)
class OpenedNotice:
    """A notice in clear: the members beside `label`, and the content key with which it can be shown to others."""

    statement: Statement
    notice: dict[str, Json]
    received_at: int
    index: LedgerIndex
    content_key: ContentKey


def seal_notice(statement: Statement, notice: Mapping[str, Json], recipients: Sequence[SealingRecord]) -> Unsigned:
    """Seal a notice to its recipients and return the statement that says so, unsigned.

    `statement` carries everything but `sealed`; `notice` is the plaintext without its label; `recipients` are the newest
    keys in force, the sender's own among them, one a participant. Raises as `encode_plaintext` does.
    """
    plaintext = encode_plaintext(statement, notice)
    content_key = ContentKey(os.urandom(32))
    iv = os.urandom(seal.IV_LENGTH)
    protected = SealedHeader.encode(digests.binding(statement), digests.key_commitment(content_key))
    ciphertext, tag = seal.encrypt(content_key, iv, plaintext, protected.encode("ascii"))
    stanzas = _stanzas(content_key, recipients)
    header = SealedHeader(protected, b"", b"")
    body = encode(SealedNotice(header, stanzas, iv, ciphertext, tag).to_json())
    sealed = SealedDigests(
        content_digest=b64encode(digests.content(protected, iv, ciphertext, tag)),
        length=len(ciphertext),
        recipients_root=b64encode(recipients_root(stanzas)),
        recipient_count=len(stanzas),
    )
    complete = replace(statement, sealed=sealed)
    return Unsigned(complete, complete.encode(), body)


def grant_notice(
    statement: Statement, granted: SealedDigests, content_key: ContentKey, recipients: Sequence[SealingRecord]
) -> Unsigned:
    """Seal a notice's content key to further recipients and return the grant that says so, unsigned.

    `statement` is the grant's but for `sealed`, `granted` says what the notice's own statement seals; `recipients` are the
    newest keys in force of participants who do not hold it, the sender's not among them.
    """
    stanzas = _stanzas(content_key, recipients)
    complete = replace(
        statement,
        sealed=replace(granted, recipients_root=b64encode(recipients_root(stanzas)), recipient_count=len(stanzas)),
    )
    return Unsigned(complete, complete.encode(), encode(GrantedKeys(stanzas).to_json()))


def grants(grant: Statement, notice: Statement) -> bool:
    """Say whether a grant is one of this very notice: the same sender's, for the same ciphertext, all that is bound alike."""
    if grant.sealed is None or notice.sealed is None or grant.ref != notice.notice_id:
        return False
    alike = replace(grant, notice_id=notice.notice_id, act=notice.act, ref=notice.ref)
    return alike.bound() == notice.bound() and (grant.sealed.content_digest, grant.sealed.length) == (
        notice.sealed.content_digest,
        notice.sealed.length,
    )


def open_act(statement: Statement) -> Unsigned:
    """Return an open act's statement, unsigned: it seals nothing."""
    return Unsigned(statement, statement.encode(), None)


def encode_plaintext(statement: Statement, notice: Mapping[str, Json]) -> bytes:
    """Return the padded plaintext: the label as first member, then the notice's, then spaces up to the Padmé length.

    Raises `MalformedError` or `TooLargeError` where it is not strict, `FormError` where the notice brings a label itself.
    """
    if "label" in notice:
        raise FormError("Must not be there: the label is the statement's.", pointer="/label")
    label = None if statement.label is None else statement.label.to_json()
    plaintext = orjson.dumps({"label": label, **notice})
    strict_json.parse(plaintext)
    return plaintext.ljust(seal.padded_length(len(plaintext)))


def _stanzas(content_key: ContentKey, recipients: Sequence[SealingRecord]) -> tuple[Stanza, ...]:
    return tuple(
        Stanza(record.kid, *seal.seal_key(content_key, record.public))
        for record in sorted(recipients, key=lambda item: item.kid)
    )


def recipients_root(stanzas: Sequence[Stanza]) -> bytes:
    """Return the RFC 6962 root over the stanzas' fixed-length entries."""
    return merkle.root_of([stanza.entry() for stanza in stanzas])


def verify_envelope(
    envelope: Envelope, directory: Directory, *, moment: Moment, revoked: Revoked, heads: HeadMemory | None = None
) -> VerifiedEnvelope:
    """Check an envelope's steps 3 to 5 in the order of spec/envelope.md and return it as trusted.

    `moment` is the place in the ledger that it would take (or took); `heads` spares the signatures of a head that verified
    before. The strict parse (step 1) made the `Envelope`; steps 2, 6 and 7 need the ledger and are the broker's. Raises
    `UnknownKeyError`, `RevokedKeyError`, `VerificationError`; never returns a partly checked envelope.
    """
    statement = envelope.statement
    identity = _verify_sender(statement, envelope.proof, directory, moment, revoked)
    _verify_proof(envelope.statement_bytes, envelope.proof, identity, heads)
    sealed = envelope.sealed
    if statement.sealed is not None:
        if isinstance(sealed, SealedNotice):
            _verify_content(statement, sealed.header, sealed.iv, sealed.ciphertext, sealed.tag)
        elif not isinstance(sealed, GrantedKeys):
            raise VerificationError("The sealed part is missing.")
        _verify_recipients(statement, sealed.recipients, directory)
    return VerifiedEnvelope(envelope, identity, digests.statement_digest(envelope.statement_bytes))


def check_clock(statement: Statement, now: int) -> None:
    """Hold a statement's times against the broker's clock, in Unix seconds (step 6): a recipient takes `received_at`.

    Raises `Error` with the problem `clock-skew` or `expired`.
    """
    if statement.issued_at > from_seconds(now + LIMITS.clock_ahead):
        raise Error(
            f"`issued_at` lies more than {LIMITS.clock_ahead} s ahead of the broker's clock.",
            problem="clock-skew",
            pointer="/issued_at",
        )
    if statement.issued_at < from_seconds(now - LIMITS.clock_behind):
        raise Error("`issued_at` lies more than 14 days back.", problem="clock-skew", pointer="/issued_at")
    if statement.expires_at is not None and statement.expires_at <= from_seconds(now):
        raise Error("`expires_at` has passed.", problem="expired", pointer="/expires_at")


def verify_delivery(
    delivery: Delivery,
    directory: Directory,
    checkpoint: VerifiedCheckpoint,
    *,
    revoked: Revoked,
    own: Mapping[Kid, object],
    heads: HeadMemory | None = None,
) -> VerifiedDelivery:
    """Check a delivery as its recipient: signatures and times at its leaf's place, digests, inclusion, own stanza, path.

    `checkpoint` is the delivery's own note, verified under the log's keys, or a newer one of the same size; `own` holds
    the recipient's key ids; `heads` spares the signatures of a head that verified before. Raises `UnknownKeyError`,
    `RevokedKeyError`, `VerificationError`, as `check_clock` does, and `Error` for another deployment's.
    """
    statement, grant, share = delivery.statement, delivery.grant, delivery.sealed
    if statement.origin != checkpoint.origin:
        raise Error("The statement is for another deployment.", problem="wrong-origin")
    in_log = _InLog(directory, checkpoint, revoked, heads)
    in_log.demand_signed(delivery)
    _verify_content(statement, share.header, share.iv, share.ciphertext, share.tag)
    in_log.demand_included(delivery)
    sealed = statement.sealed
    if grant is not None:
        if not grants(grant.statement, statement):
            raise VerificationError("The grant is not one of this notice.")
        in_log.demand_signed(grant)
        in_log.demand_included(grant)
        sealed = grant.statement.sealed
    assert sealed is not None  # Delivery.parse and `grants` have seen to it
    if share.stanza.kid not in own:
        raise VerificationError("The stanza is not for one of the recipient's keys.")
    if delivery.recipient.size != sealed.recipient_count:
        raise VerificationError("The number of recipients differs from the statement's.")
    root = merkle.root_from_path(
        merkle.leaf_hash(share.stanza.entry()),
        delivery.recipient.index,
        delivery.recipient.size,
        delivery.recipient.path,
    )
    if root != b64decode(sealed.recipients_root):
        raise VerificationError("The stanza is not under the signed recipients' root.")
    return VerifiedDelivery(delivery, checkpoint, digests.statement_digest(delivery.statement_bytes))


@dataclass(frozen=True, slots=True)
class _InLog:
    """What a delivery's two statements, its own and a grant's, are held against."""

    directory: Directory
    checkpoint: VerifiedCheckpoint
    revoked: Revoked
    heads: HeadMemory | None

    def demand_signed(self, part: Delivery | Grant) -> None:
        """Demand the sender's signatures, under keys in force at the leaf's place."""
        moment = Moment(part.inclusion.index, part.inclusion.received_at)
        identity = _verify_sender(part.statement, part.proof, self.directory, moment, self.revoked)
        _verify_proof(part.statement_bytes, part.proof, identity, self.heads)

    def demand_included(self, part: Delivery | Grant) -> None:
        """Demand times that were acceptable when it was received, and the leaf in the log."""
        inclusion = part.inclusion
        check_clock(part.statement, inclusion.received_at // 1000)
        digest = digests.statement_leaf(part.statement_bytes, part.proof_bytes)
        leaf = Leaf(LeafType.SEALED, inclusion.received_at, digest)
        if inclusion.size != self.checkpoint.size:
            raise VerificationError("The inclusion is for another checkpoint.")
        merkle.verify_inclusion(
            merkle.leaf_hash(leaf.encode()), inclusion.index, inclusion.size, inclusion.path, self.checkpoint.root
        )


def open_notice(verified: VerifiedDelivery, key: seal.SealingKey) -> OpenedNotice:
    """Open a verified delivery: stanza, key commitment, ciphertext, padding, label inside equal to label outside.

    Whether the notice follows its kind's schema is for the caller to check. Raises `VerificationError`.
    """
    share = verified.delivery.sealed
    content_key, notice = _open(verified.statement, share, share.stanza, key)
    inclusion = verified.delivery.inclusion
    return OpenedNotice(
        statement=verified.statement,
        notice=notice,
        received_at=inclusion.received_at,
        index=LedgerIndex(inclusion.index),
        content_key=content_key,
    )


def open_own(verified: VerifiedEnvelope, key: seal.SealingKey) -> dict[str, Json]:
    """Open a whole envelope by one of its stanzas, as its sender can, and return the notice without its label.

    Raises `VerificationError`, also for an envelope that seals nothing to the key: a grant, an open act, another's.
    """
    sealed = verified.envelope.sealed
    stanzas = sealed.recipients if isinstance(sealed, SealedNotice) else ()
    stanza = next((one for one in stanzas if one.kid == key.kid), None)
    if stanza is None or not isinstance(sealed, SealedNotice):
        raise VerificationError("It is not sealed to this key.")
    return _open(verified.envelope.statement, sealed, stanza, key)[1]


def _open(
    statement: Statement, sealed: SealedNotice | SealedShare, stanza: Stanza, key: seal.SealingKey
) -> tuple[ContentKey, dict[str, Json]]:
    content_key = ContentKey(key.open_key(stanza.ek, stanza.encrypted_key))
    if digests.key_commitment(content_key) != sealed.header.key_commitment:
        raise VerificationError("The content key is not the committed one.")
    protected = sealed.header.protected.encode("ascii")
    plaintext = seal.decrypt(content_key, sealed.iv, sealed.ciphertext, sealed.tag, protected)
    return content_key, read_plaintext(statement, plaintext)


def read_plaintext(statement: Statement, plaintext: bytes) -> dict[str, Json]:
    """Return the notice in a decrypted plaintext, without its label; raise `VerificationError`.

    The last checks of step 8: padding, strict JSON, the label first and equal to the statement's.
    """
    text = plaintext.rstrip(b" ")
    if len(text) < 2 or len(plaintext) != seal.padded_length(len(text)):
        raise VerificationError("The padding is not the Padmé length.")
    try:
        notice = strict_json.parse_object(text)
    except (MalformedError, FormError) as error:
        raise VerificationError(f"The notice is not strict JSON: {error.detail}") from None
    if next(iter(notice), None) != "label":
        raise VerificationError("The notice does not begin with its label.")
    outside = None if statement.label is None else statement.label.to_json()
    # As values: Python's own comparison would take 1 for true.
    if orjson.dumps(notice.pop("label"), option=orjson.OPT_SORT_KEYS) != orjson.dumps(
        outside, option=orjson.OPT_SORT_KEYS
    ):
        raise VerificationError("The label inside differs from the one outside.")
    return notice


def _verify_sender(
    statement: Statement, proof: Proof, directory: Directory, moment: Moment, revoked: Revoked
) -> SigningRecord:
    """Step 3: the signing identity by its two key ids, its owner, and that it is in force."""
    identity = directory.signing(proof.head.kids)
    if identity.participant != statement.sender or proof.head.signer != statement.sender:
        raise VerificationError("The signing identity is not the sender's.")
    directory.demand_in_force(identity, moment, revoked)
    return identity


def _verify_proof(statement: bytes, proof: Proof, identity: SigningRecord, heads: HeadMemory | None = None) -> None:
    """Step 4: the path to the batch's head, and both of its signatures."""
    if merkle.root_from_path(merkle.leaf_hash(statement), proof.index, proof.size, proof.path) != proof.head.root:
        raise VerificationError("The statement is not under the signed head.")
    if heads is not None:
        heads.verify(proof.head, identity.public)
        return
    first, second = proof.head.signatures
    verify_pair(identity.public, proof.head.signing_inputs(), (first.value, second.value))


def _verify_content(statement: Statement, header: SealedHeader, iv: bytes, ciphertext: bytes, tag: bytes) -> None:
    """Step 5, first half: the seal is bound to this statement, and the statement to this ciphertext."""
    sealed = statement.sealed
    assert sealed is not None  # the act's form has seen to it
    if header.binding != digests.binding(statement):
        raise VerificationError("The seal is bound to another statement.")
    if sealed.length != len(ciphertext):
        raise VerificationError("The ciphertext's length differs from the statement's.")
    if b64decode(sealed.content_digest) != digests.content(header.protected, iv, ciphertext, tag):
        raise VerificationError("The ciphertext is not the signed one.")


def _verify_recipients(statement: Statement, stanzas: Sequence[Stanza], directory: Directory) -> None:
    """Step 5, second half: count and root of the stanzas, and whether the sender's own is among them."""
    sealed = statement.sealed
    assert sealed is not None  # the act's form has seen to it
    if sealed.recipient_count != len(stanzas):
        raise VerificationError("The number of recipients differs from the statement's.")
    if b64decode(sealed.recipients_root) != recipients_root(stanzas):
        raise VerificationError("The recipients are not the signed ones.")
    own = any(directory.owner(stanza.kid) == statement.sender for stanza in stanzas)
    if own is (statement.act == "grant"):
        raise VerificationError("The sender's own stanza must be among the recipients, and not in a grant.")
