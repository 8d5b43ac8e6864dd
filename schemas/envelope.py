"""The envelope: statement, proof, sealed notice, in the one encoding (spec/envelope.md).

Form only, and in one pass: an `Envelope` is strictly parsed and nothing else; `keys.envelope` makes it a verified one.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from schemas import encoding, ids
from schemas.encoding import Members, Time, b64decode, b64decode_all, b64encode
from schemas.errors import FormError, MalformedError
from schemas.ids import Kid, Origin, ParticipantId
from schemas.limits import LIMITS
from schemas.statement import Statement
from schemas.strict_json import Json

BATCH_TYP: Final = "valise-batch/1"
HEAD_TYP: Final = "valise-batch+json"
SEALED_TYP: Final = "valise-sealed+jwe"
CONTENT_TYPE: Final = "application/valise-notice+json"
SEAL_ALG: Final = "HPKE-9-KE"
SIGNATURE_ALGORITHMS: Final = ("Ed25519", "ML-DSA-65")
_SIGNATURE_LENGTHS: Final = (64, 3309)
_STANZA: Final = ("header", "encrypted_key")
_STANZA_HEADER: Final = ("alg", "kid", "ek")
_EK_CHARACTERS: Final = 1494
_KEY_CHARACTERS: Final = 64


class Stanza(NamedTuple):
    """The content key for one recipient: `ek` of 1,120 bytes, `encrypted_key` of 48."""

    kid: Kid
    ek: bytes
    encrypted_key: bytes

    def entry(self) -> bytes:
        """Return the entry that the recipients' root is over: fixed lengths, so that nothing can shift."""
        return self.kid.encode("ascii") + self.ek + self.encrypted_key

    def to_json(self) -> dict[str, Json]:
        """Return the stanza with its members in order."""
        header: dict[str, Json] = {"alg": SEAL_ALG, "kid": self.kid, "ek": b64encode(self.ek)}
        return {"header": header, "encrypted_key": b64encode(self.encrypted_key)}

    @classmethod
    def from_json(cls, value: Json, at: str) -> "Stanza":
        """Read a stanza; raise `FormError`."""
        kid, ek, encrypted_key = _stanza_texts(value, at)
        try:
            return cls(kid, b64decode(ek), b64decode(encrypted_key))
        except MalformedError as error:
            raise FormError(error.detail, pointer=at) from None


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature of a head: the protected header as it was signed, its key id, the signature's bytes."""

    protected: str
    kid: Kid
    value: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """A signed batch head: one pair of signatures over a Merkle root of up to 1,024 statements."""

    payload: str
    origin: Origin
    signer: ParticipantId
    size: int
    root: bytes
    issued_at: Time
    signatures: tuple[Signature, Signature]

    @property
    def kids(self) -> tuple[Kid, Kid]:
        """Return the key ids of the signing identity."""
        return (self.signatures[0].kid, self.signatures[1].kid)

    def signing_inputs(self) -> tuple[bytes, bytes]:
        """Return what each signature is over (RFC 7515 section 5.1)."""
        first, second = self.signatures
        return (
            f"{first.protected}.{self.payload}".encode("ascii"),
            f"{second.protected}.{self.payload}".encode("ascii"),
        )

    @classmethod
    def from_json(cls, value: Json, at: str) -> "Head":
        """Read a head; raise `MalformedError` or `FormError`."""
        m = Members(value, ("payload", "signatures"), at)
        payload, signatures = m.string("payload"), m.items("signatures")
        if len(signatures) != 2:
            raise FormError("Must be exactly two signatures.", pointer=f"{at}/signatures")
        first, second = (
            Members(item, ("protected", "signature"), f"{at}/signatures/{number}")
            for number, item in enumerate(signatures)
        )
        return _head(
            payload,
            (first.string("protected"), first.string("signature")),
            (second.string("protected"), second.string("signature")),
            at,
        )


@lru_cache(maxsize=256)
def _head(payload: str, first: tuple[str, str], second: tuple[str, str], at: str) -> Head:
    """Read the parts of a head. All statements of a batch have the same, so those that were read last are kept."""
    p = Members(
        encoding.parse(Members({"payload": payload}, ("payload",), at).decoded("payload")), _PAYLOAD, f"{at}/payload"
    )
    p.fixed("typ", BATCH_TYP)
    size = p.integer("size")
    if not 1 <= size <= LIMITS.batch_statements:
        raise FormError(f"Must be from 1 to {LIMITS.batch_statements}.", pointer=f"{at}/payload/size")
    return Head(
        payload=payload,
        origin=p.matching("origin", ids.origin),
        signer=p.matching("signer", ids.participant),
        size=size,
        root=p.decoded("root", 32),
        issued_at=p.time("issued_at"),
        signatures=(
            _signature(*first, 0, f"{at}/signatures/0"),
            _signature(*second, 1, f"{at}/signatures/1"),
        ),
    )


_PAYLOAD: Final = ("typ", "origin", "signer", "size", "root", "issued_at")


def batch_payload(origin: Origin, signer: ParticipantId, size: int, root: bytes, issued_at: Time) -> bytes:
    """Return the bytes of a batch's payload in the one encoding."""
    return encoding.encode(
        {
            "typ": BATCH_TYP,
            "origin": origin,
            "signer": signer,
            "size": size,
            "root": b64encode(root),
            "issued_at": issued_at,
        }
    )


def _signature(protected: str, signature: str, number: int, at: str) -> Signature:
    m = Members({"protected": protected, "signature": signature}, ("protected", "signature"), at)
    header = Members(encoding.parse(m.decoded("protected")), ("alg", "kid", "typ"), f"{at}/protected")
    header.fixed("alg", SIGNATURE_ALGORITHMS[number])
    header.fixed("typ", HEAD_TYP)
    value = m.decoded("signature", _SIGNATURE_LENGTHS[number])
    return Signature(protected, header.matching("kid", ids.kid), value)


@dataclass(frozen=True, slots=True)
class Proof:
    """How a statement hangs on a signed head: RFC 6962 path from its leaf at `index` to the head's root."""

    index: int
    size: int
    path: tuple[bytes, ...]
    head: Head

    @classmethod
    def from_json(cls, value: Json, at: str = "/proof") -> "Proof":
        """Read a proof; raise `MalformedError` or `FormError`."""
        m = Members(value, ("index", "size", "path", "head"), at)
        head = Head.from_json(m.value["head"], f"{at}/head")
        index, size = m.integer("index"), m.integer("size")
        if size != head.size or index >= size:
            raise FormError("Must be: index < size = the head's size.", pointer=at)
        return cls(index, size, path_from_json(m.items("path"), f"{at}/path"), head)


def proof_to_json(index: int, size: int, path: tuple[bytes, ...], head: Json) -> dict[str, Json]:
    """Return a proof with its members in order; `head` is a JWS JSON object."""
    return {"index": index, "size": size, "path": [b64encode(item) for item in path], "head": head}


def path_from_json(values: list[Json], at: str) -> tuple[bytes, ...]:
    """Read a Merkle path: digests of 32 bytes; raise `FormError`."""
    path = []
    for number, value in enumerate(values):
        try:
            node = b64decode(value) if isinstance(value, str) else b""
        except MalformedError as error:
            raise FormError(error.detail, pointer=f"{at}/{number}") from None
        if len(node) != 32 or number >= 64:
            raise FormError("Must be at most 64 digests of 32 bytes.", pointer=f"{at}/{number}")
        path.append(node)
    return tuple(path)


@dataclass(frozen=True, slots=True)
class SealedHeader:
    """The JWE's protected header: the text that was authenticated, and what it commits to."""

    protected: str
    binding: bytes
    key_commitment: bytes

    @classmethod
    def from_json(cls, protected: str, at: str) -> "SealedHeader":
        """Read a protected header; raise `MalformedError` or `FormError`."""
        m = Members(encoding.parse(b64decode(protected)), ("enc", "typ", "cty", "binding", "key_commitment"), at)
        m.fixed("enc", "A256GCM")
        m.fixed("typ", SEALED_TYP)
        m.fixed("cty", CONTENT_TYPE)
        return cls(protected, m.decoded("binding", 32), m.decoded("key_commitment", 32))

    @staticmethod
    def encode(binding: bytes, key_commitment: bytes) -> str:
        """Return the protected header in base64url."""
        header = {
            "enc": "A256GCM",
            "typ": SEALED_TYP,
            "cty": CONTENT_TYPE,
            "binding": b64encode(binding),
            "key_commitment": b64encode(key_commitment),
        }
        return b64encode(encoding.encode(header))


@dataclass(frozen=True, slots=True)
class SealedNotice:
    """A JWE in JSON form whose key is sealed to each recipient."""

    header: SealedHeader
    recipients: tuple[Stanza, ...]
    iv: bytes
    ciphertext: bytes
    tag: bytes

    def to_json(self) -> dict[str, Json]:
        """Return the JWE with its members in order."""
        return {
            "protected": self.header.protected,
            "recipients": [stanza.to_json() for stanza in self.recipients],
            "iv": b64encode(self.iv),
            "ciphertext": b64encode(self.ciphertext),
            "tag": b64encode(self.tag),
        }

    @classmethod
    def from_json(cls, value: Json, at: str = "/sealed") -> "SealedNotice":
        """Read a JWE; raise `MalformedError` or `FormError`."""
        m = Members(value, ("protected", "recipients", "iv", "ciphertext", "tag"), at)
        return cls(
            header=SealedHeader.from_json(m.binary("protected"), f"{at}/protected"),
            recipients=_stanzas(m.items("recipients"), f"{at}/recipients"),
            iv=m.decoded("iv", 12),
            ciphertext=m.decoded("ciphertext"),
            tag=m.decoded("tag", 16),
        )


@dataclass(frozen=True, slots=True)
class GrantedKeys:
    """What a grant seals: new stanzas for another envelope's ciphertext."""

    recipients: tuple[Stanza, ...]

    def to_json(self) -> dict[str, Json]:
        """Return the grant's body with its one member."""
        return {"recipients": [stanza.to_json() for stanza in self.recipients]}

    @classmethod
    def from_json(cls, value: Json, at: str = "/sealed") -> "GrantedKeys":
        """Read a grant's body; raise `MalformedError` or `FormError`."""
        return cls(_stanzas(Members(value, ("recipients",), at).items("recipients"), f"{at}/recipients"))


def _stanzas(values: list[Json], at: str) -> tuple[Stanza, ...]:
    """Read stanzas, decoding them all in one go: there are 57 of them in a notice to every State. Raises `FormError`."""
    if not values:
        raise FormError("Must not be empty.", pointer=at)
    read = [_stanza_texts(value, f"{at}/{number}") for number, value in enumerate(values)]
    try:
        decoded = b64decode_all([text for _, ek, encrypted_key in read for text in (ek, encrypted_key)])
    except MalformedError:
        # Once more, one by one: that says which.
        return tuple(Stanza.from_json(value, f"{at}/{number}") for number, value in enumerate(values))
    kids = [kid for kid, _, _ in read]
    if any(a >= b for a, b in pairwise(kids)):
        raise FormError("Must ascend by kid, each kid once.", pointer=at)
    return tuple(map(Stanza, kids, decoded[::2], decoded[1::2]))


def _stanza_texts(value: Json, at: str) -> tuple[Kid, str, str]:
    if not isinstance(value, dict) or tuple(value) != _STANZA:
        raise FormError("Must have exactly the members header, encrypted_key.", pointer=at)
    header, encrypted_key = value["header"], value["encrypted_key"]
    if not isinstance(header, dict) or tuple(header) != _STANZA_HEADER or header["alg"] != SEAL_ALG:
        raise FormError(f"Must be alg {SEAL_ALG}, kid, ek.", pointer=f"{at}/header")
    name, ek = header["kid"], header["ek"]
    if not isinstance(name, str) or not isinstance(ek, str) or len(ek) != _EK_CHARACTERS:
        raise FormError("Must be kid and an ek of 1,120 bytes.", pointer=f"{at}/header")
    if not isinstance(encrypted_key, str) or len(encrypted_key) != _KEY_CHARACTERS:
        raise FormError("Must be 48 bytes in base64url.", pointer=f"{at}/encrypted_key")
    try:
        return ids.kid(name), ek, encrypted_key
    except FormError as error:
        raise FormError(error.detail, pointer=at) from None


SealedBody = SealedNotice | GrantedKeys


def sealed_from_json(value: Json, act: str, at: str = "/sealed") -> SealedBody:
    """Read the sealed part that an act demands; raise `MalformedError` or `FormError`."""
    return GrantedKeys.from_json(value, at) if act == "grant" else SealedNotice.from_json(value, at)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A strictly parsed envelope, with the very bytes of its parts; nothing in it is trusted yet."""

    statement_bytes: bytes
    statement: Statement
    proof_bytes: bytes
    proof: Proof
    sealed_bytes: bytes | None
    sealed: SealedBody | None

    @classmethod
    def parse(cls, data: bytes) -> "Envelope":
        """Read an envelope in the one encoding; raise `TooLargeError`, `MalformedError` or `FormError`."""
        m = Members(encoding.parse(data), ("statement", "proof", "sealed"))
        statement_bytes = m.decoded("statement")
        statement = Statement.parse(statement_bytes)
        proof = m.value["proof"]
        if not isinstance(proof, dict):
            raise FormError("Must be an object.", pointer="/proof")
        proof_bytes = encoding.encode(proof)
        sealed: SealedBody | None = None
        sealed_bytes: bytes | None = None
        if statement.sealed is None:
            m.null("sealed")
        else:
            sealed = sealed_from_json(m.value["sealed"], statement.act)
            # The encoding is exact, so the part's bytes are the envelope's own.
            sealed_bytes = data[
                len('{"statement":"","proof":,"sealed":') + len(m.string("statement")) + len(proof_bytes) : -1
            ]
        return cls(statement_bytes, statement, proof_bytes, proof_of(statement, proof), sealed_bytes, sealed)


def proof_of(statement: Statement, value: Json, at: str = "/proof") -> Proof:
    """Read a statement's proof, which is for the same deployment; raise `MalformedError` or `FormError`."""
    proof = Proof.from_json(value, at)
    if proof.head.origin != statement.origin:
        raise FormError("Must be the statement's origin.", pointer=f"{at}/head/payload/origin")
    return proof


def envelope_bytes(statement: bytes, proof: bytes, sealed: bytes | None) -> bytes:
    """Join the encoded parts of an envelope."""
    return b'{"statement":"%b","proof":%b,"sealed":%b}' % (b64encode(statement).encode(), proof, sealed or b"null")
