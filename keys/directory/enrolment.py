"""How keys get into the directory: the kit that a focal point hands out, and the request that a gateway answers with.

The request carries the public keys, and signatures over all of them by both keys of the signing identity (as a JWS
head, whose payload is the request) and by the request key: so it proves possession of these three. A sealing key cannot
sign. That its private half is there shows when the gateway opens its first practice notice; until then the signing
identity vouches for it. Nobody gains by naming another's sealing key: the directory holds a key once, and what is sealed
to it only its holder opens.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keys.digests import sha256
from keys.directory.records import KeyRecord, Life, RequestRecord, SealingRecord, SigningRecord, read_pair
from keys.directory.update import root_fingerprint
from keys.errors import VerificationError
from keys.jwk import read_ed25519, read_hpke
from keys.log.vkey import Vkey
from keys.seal import SealingKey
from keys.sign import ALGORITHMS, Ed25519Signer, SigningKeys, protected_header, verify_pair
from schemas import encoding, ids
from schemas.encoding import Members, Time, b64decode, b64encode
from schemas.errors import FormError
from schemas.ids import Code, Kid, Origin, ParticipantId

REQUEST_TYP: Final = "valise-enrolment/1"
KIT_TYP: Final = "valise-kit/1"

_SIGNED: Final = b"valise/enrolment/1\x00"
_WORDS_SALT: Final = b"valise/eight-words/1"
_FILE: Final = ("head", "request")
_HEAD: Final = ("payload", "signatures")
_SIGNATURE: Final = ("protected", "signature")
_AKP: Final = ("kty", "alg", "pub")
_REQUEST: Final = ("v", "typ", "origin", "participant", "gateway", "made_at", "signing", "sealing", "request")
_ADDRESS: Final = re.compile(r"https?://[!-~]+")
_KIT: Final = ("v", "typ", "origin", "broker", "participant", "fingerprint", "root", "log")


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """What a gateway asks to have entered for a participant: its signing identity, a sealing key, a request key.

    The signing identity is always there, entered already or not. `sealing` is None for a further gateway of the
    participant, which shares the key; `request` is None where only a sealing key is to follow another.
    """

    origin: Origin
    participant: ParticipantId
    gateway: Code
    made_at: Time
    signing: tuple[Mapping[str, str], Mapping[str, str]]
    sealing: Mapping[str, str] | None
    request: Mapping[str, str] | None

    def encode(self) -> bytes:
        """Return the request's bytes in the one encoding: what the proofs sign."""
        return encoding.encode(
            {
                "v": 1,
                "typ": REQUEST_TYP,
                "origin": self.origin,
                "participant": self.participant,
                "gateway": self.gateway,
                "made_at": self.made_at,
                "signing": [dict(jwk) for jwk in self.signing],
                "sealing": None if self.sealing is None else dict(self.sealing),
                "request": None if self.request is None else dict(self.request),
            }
        )


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """A request whose proofs hold. `verify_request` alone makes it; whose it is, the eight words tell the focal point."""

    origin: Origin
    participant: ParticipantId
    gateway: Code
    made_at: Time
    kids: tuple[Kid, ...]
    _records: tuple[KeyRecord, ...] = field(repr=False)

    def records(self, from_: Time) -> tuple[KeyRecord, ...]:
        """Return the key records, to be in force from a time on."""
        return tuple(_beginning(record, Life(from_)) for record in self._records)


def make_request(
    *,
    origin: Origin,
    participant: ParticipantId,
    gateway: Code,
    made_at: Time,
    signing: SigningKeys,
    sealing: SealingKey | None,
    request: Ed25519Signer | None,
) -> bytes:
    """Return a request file, signed by the keys that it asks to have entered."""
    asked = EnrolmentRequest(
        origin=origin,
        participant=participant,
        gateway=gateway,
        made_at=made_at,
        signing=signing.jwks,
        sealing=None if sealing is None else sealing.jwk,
        request=None if request is None else request.jwk,
    ).encode()
    proof = None if request is None else b64encode(request.sign(_SIGNED + asked))
    return encoding.encode({"head": signing.sign_head(asked), "request": proof})


def verify_request(data: bytes) -> VerifiedRequest:
    """Check a request file's form and every proof in it, and return it as verified.

    Raises `MalformedError`, `FormError`, and `VerificationError` where a proof does not hold. It proves that whoever
    made the file has the keys, and nothing of who that is: compare `eight_words` by another way.
    """
    file = Members(encoding.parse(data), _FILE)
    head = Members(file.value["head"], _HEAD, "/head")
    asked = b64decode(head.binary("payload"))
    m = Members(encoding.parse(asked), _REQUEST)
    m.fixed("v", 1)
    m.fixed("typ", REQUEST_TYP)
    who = m.matching("participant", ids.participant)
    gateway = m.matching("gateway", ids.code)
    life = Life(m.time("made_at"))
    signing = SigningRecord(who, gateway, life, *read_pair(m, "signing"))
    _verify_head(head, signing)
    records: list[KeyRecord] = [signing]
    if not m.absent("sealing"):
        sealing, public = read_hpke(m.value["sealing"], "/sealing")
        records.append(SealingRecord(who, life, sealing, public, Members(m.value["sealing"], _AKP).string("pub")))
    if m.absent("request"):
        file.null("request")
    else:
        kid, request = read_ed25519(m.value["request"], "/request")
        try:
            request.verify(b64decode(file.binary("request", 64)), _SIGNED + asked)
        except InvalidSignature:
            raise VerificationError("The request key's signature does not hold.") from None
        records.append(RequestRecord(who, gateway, life, kid, request))
    kids = tuple(kid for record in records for kid in record.kids)
    return VerifiedRequest(m.matching("origin", ids.origin), who, gateway, life.from_, kids, tuple(records))


def eight_words(data: bytes) -> str:
    """Return eight words for a request file's bytes, to be read out over the telephone; costs 64 MiB and some 60 ms.

    They are 64 bits of SHA-256 run through Argon2id: so little is enough because each trial at another file with the
    same words costs as much again, and the words are compared while the caller waits.
    """
    kdf = Argon2id(salt=_WORDS_SALT, length=8, iterations=1, lanes=1, memory_cost=64 << 10)
    words = _words()
    return " ".join(words[byte] for byte in kdf.derive(sha256(data)))


@dataclass(frozen=True, slots=True)
class Kit:
    """What a focal point hands to a participant: where the broker is, the root of trust, and who it is to be.

    `root` is the file `root.json`; `log` the log's verifier keys as text, for those who want to see them before the
    directory says so, or None.
    """

    origin: Origin
    broker: str
    participant: ParticipantId
    root: bytes
    log: tuple[str, ...] | None = None

    @property
    def fingerprint(self) -> str:
        """Return the root's fingerprint, which is compared out of band."""
        return root_fingerprint(self.root)

    def encode(self) -> bytes:
        """Return the kit's bytes in the one encoding."""
        return encoding.encode(
            {
                "v": 1,
                "typ": KIT_TYP,
                "origin": self.origin,
                "broker": self.broker,
                "participant": self.participant,
                "fingerprint": self.fingerprint,
                "root": b64encode(self.root),
                "log": None if self.log is None else list(self.log),
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Kit":
        """Read a kit; raise `MalformedError` or `FormError`, also where fingerprint and root differ."""
        m = Members(encoding.parse(data), _KIT)
        m.fixed("v", 1)
        m.fixed("typ", KIT_TYP)
        kit = cls(
            origin=m.matching("origin", ids.origin),
            broker=m.matching("broker", _address),
            participant=m.matching("participant", ids.participant),
            root=b64decode(m.binary("root")),
            log=None
            if m.absent("log")
            else m.sorted_strings("log", lambda text: Vkey.parse(text).encode(), at_least=1),
        )
        m.fixed("fingerprint", kit.fingerprint)
        return kit


def _verify_head(head: Members, signing: SigningRecord) -> None:
    """Check both signatures over the payload; the protected headers must be those of the keys in it."""
    signatures = [Members(item, _SIGNATURE, f"/head/signatures/{n}") for n, item in enumerate(head.items("signatures"))]
    if len(signatures) != len(ALGORITHMS):
        raise FormError("Must be exactly two signatures.", pointer="/head/signatures")
    headers = [protected_header(alg, kid) for alg, kid in zip(ALGORITHMS, signing.kids, strict=True)]
    for one, header in zip(signatures, headers, strict=True):
        one.fixed("protected", header)
    first, second = (f"{header}.{head.string('payload')}".encode("ascii") for header in headers)
    values = (b64decode(signatures[0].binary("signature", 64)), b64decode(signatures[1].binary("signature", 3309)))
    verify_pair(signing.public, (first, second), values)


def _beginning(record: KeyRecord, life: Life) -> KeyRecord:
    return replace(record, life=life)


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise FormError("Must be an address that begins with https:// or http://.")
    return text


@cache
def _words() -> tuple[str, ...]:
    """Return 256 words that differ in their first four letters."""
    return tuple(resources.files("keys.directory").joinpath("words.txt").read_text("ascii").split())
