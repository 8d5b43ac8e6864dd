"""The form of a role's `directory.json`: a State or organisation, its participants, and their key records (design: access).

Strict JSON, members in the order given here. What is said here is the role's own word, and whether a record is in force
at some leaf is for `keys.directory.directory` to say. The algorithm of a key is read here, never from a message.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from keys.jwk import akp_jwk, ed25519_jwk, read_ed25519, read_hpke, read_mldsa65
from keys.seal import AEAD_ID, ALG, KDF_ID, KEM_ID, HpkePublic
from keys.sign import ALGORITHMS, SigningPublic
from schemas import encoding, ids, strict_json
from schemas.codes import LANGUAGES
from schemas.encoding import Members, Time
from schemas.errors import FormError
from schemas.ids import Code, Kid, ParticipantId, Role
from schemas.strict_json import Json

MAX_STATE_FILE: Final = 8 << 20
"""Bytes that a role's file may have: records are never removed, so it grows for ever."""

_MAX_NAME: Final = 200
_LIFE: Final = ("from", "closed_at", "suspect_from")
_SIGNING: Final = ("use", "gateway", "keys", "kids", *_LIFE)
_SEALING: Final = ("use", "key", "kem", "kdf", "aead", "kid", *_LIFE)
_REQUEST: Final = ("use", "gateway", "key", "kid", *_LIFE)
_PARTICIPANT: Final = ("id", "kind", "names", "roles", "clearance", "suspended", "keys")
_STATE: Final = ("v", "names", "languages", "focal_point", "participants")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Life:
    """When a key counts: `from_` a time, `closed_at` a ledger index or None; `suspect_from` flags and never invalidates."""

    from_: Time
    closed_at: int | None = None
    suspect_from: Time | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the three members in order."""
        return {"from": self.from_, "closed_at": self.closed_at, "suspect_from": self.suspect_from}

    @classmethod
    def read(cls, m: Members) -> "Life":
        """Read the three members; raise `FormError`."""
        return cls(m.time("from"), _or_none(m, "closed_at", m.integer), _or_none(m, "suspect_from", m.time))


@dataclass(frozen=True, slots=True)
class SigningRecord:
    """A signing identity: one Ed25519 and one ML-DSA-65 key, for one gateway and one participant."""

    participant: ParticipantId
    gateway: Code
    life: Life
    kids: tuple[Kid, Kid]
    public: SigningPublic = field(compare=False, repr=False)

    def to_json(self) -> dict[str, Json]:
        """Return the record with its members in order."""
        ed25519 = ed25519_jwk(self.public.ed25519.public_bytes_raw())
        mldsa65 = akp_jwk("ML-DSA-65", self.public.mldsa65.public_bytes_raw())
        return {
            "use": "signing",
            "gateway": self.gateway,
            "keys": [_jwk(ed25519), _jwk(mldsa65)],
            "kids": list(self.kids),
            **self.life.to_json(),
        }


@dataclass(frozen=True, slots=True)
class SealingRecord:
    """A sealing key of one participant, shared by its gateways; HPKE-9-KE with its three numbers beside the label."""

    participant: ParticipantId
    life: Life
    kid: Kid
    public: HpkePublic = field(compare=False, repr=False)
    pub: str = field(repr=False)

    @property
    def kids(self) -> tuple[Kid]:
        """Return the record's key ids."""
        return (self.kid,)

    def to_json(self) -> dict[str, Json]:
        """Return the record with its members in order."""
        return {
            "use": "sealing",
            "key": {"kty": "AKP", "alg": ALG, "pub": self.pub},
            "kem": KEM_ID,
            "kdf": KDF_ID,
            "aead": AEAD_ID,
            "kid": self.kid,
            **self.life.to_json(),
        }


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request key: the Ed25519 key that a gateway signs its HTTP requests with."""

    participant: ParticipantId
    gateway: Code
    life: Life
    kid: Kid
    public: Ed25519PublicKey = field(compare=False, repr=False)

    @property
    def kids(self) -> tuple[Kid]:
        """Return the record's key ids."""
        return (self.kid,)

    def to_json(self) -> dict[str, Json]:
        """Return the record with its members in order."""
        return {
            "use": "request",
            "gateway": self.gateway,
            "key": _jwk(ed25519_jwk(self.public.public_bytes_raw())),
            "kid": self.kid,
            **self.life.to_json(),
        }


KeyRecord = SigningRecord | SealingRecord | RequestRecord


@dataclass(frozen=True, slots=True)
class Names:
    """A name in the six languages, each 1 to 200 printable characters."""

    en: str
    fr: str
    de: str
    it: str
    ru: str
    es: str

    def to_json(self) -> dict[str, Json]:
        """Return the names in order."""
        return {language: getattr(self, language) for language in LANGUAGES}

    @classmethod
    def from_json(cls, value: Json, at: str) -> "Names":
        """Read the names; raise `FormError`."""
        m = Members(value, LANGUAGES, at)
        return cls(*(m.matching(language, _name) for language in LANGUAGES))

    @classmethod
    def same(cls, name: str) -> "Names":
        """Return one name for all languages, for those that have no translation."""
        return cls(name, name, name, name, name, name)


@dataclass(frozen=True, slots=True)
class Participant:
    """An agency, focal point, organisation's desk or auditor, and every key it ever had, in the order of entry."""

    id: ParticipantId
    kind: Code
    names: Names
    roles: tuple[Code, ...]
    clearance: Code | None
    suspended: bool
    keys: tuple[KeyRecord, ...]

    @property
    def role(self) -> Role:
        """Return the directory role that speaks for the participant."""
        return ids.role_of(self.id)

    def to_json(self) -> dict[str, Json]:
        """Return the participant with its members in order."""
        return {
            "id": self.id,
            "kind": self.kind,
            "names": self.names.to_json(),
            "roles": list(self.roles),
            "clearance": self.clearance,
            "suspended": self.suspended,
            "keys": [record.to_json() for record in self.keys],
        }

    @classmethod
    def from_json(cls, value: Json, at: str) -> "Participant":
        """Read a participant with its records; raise `FormError`."""
        m = Members(value, _PARTICIPANT, at)
        who = m.matching("id", ids.participant)
        return cls(
            id=who,
            kind=m.matching("kind", ids.code),
            names=Names.from_json(m.value["names"], f"{at}/names"),
            roles=m.sorted_strings("roles", ids.code),
            clearance=_or_none(m, "clearance", lambda name: m.matching(name, ids.code)),
            suspended=m.boolean("suspended"),
            keys=tuple(read_record(item, who, f"{at}/keys/{n}") for n, item in enumerate(m.items("keys"))),
        )


@dataclass(frozen=True, slots=True)
class StateFile:
    """What a role's `directory.json` says. Participants ascend by id; all of them are the role's own."""

    names: Names
    languages: tuple[str, ...]
    focal_point: ParticipantId | None
    participants: tuple[Participant, ...]

    def participant(self, who: ParticipantId) -> Participant | None:
        """Return a participant of this file."""
        return next((one for one in self.participants if one.id == who), None)

    def encode(self) -> bytes:
        """Return the file's bytes: compact JSON in UTF-8, the same for the same content."""
        return encoding.encode(
            {
                "v": 1,
                "names": self.names.to_json(),
                "languages": list(self.languages),
                "focal_point": self.focal_point,
                "participants": [one.to_json() for one in self.participants],
            }
        )

    @classmethod
    def parse(cls, data: bytes, role: Role) -> "StateFile":
        """Read a role's file; raise `TooLargeError`, `MalformedError` or `FormError`."""
        m = Members(strict_json.parse(data, limit=MAX_STATE_FILE), _STATE)
        m.fixed("v", 1)
        participants = tuple(
            Participant.from_json(item, f"/participants/{n}") for n, item in enumerate(m.items("participants"))
        )
        state = cls(
            names=Names.from_json(m.value["names"], "/names"),
            languages=_languages(m),
            focal_point=_or_none(m, "focal_point", lambda name: m.matching(name, ids.participant)),
            participants=participants,
        )
        check_participants(state, role)
        return state


def check_participants(state: StateFile, role: Role) -> None:
    """Demand that the participants are the role's own, ascend, and have the focal point among them; raise `FormError`."""
    before = ""
    for n, one in enumerate(state.participants):
        if one.role != role:
            raise FormError("Must be a participant of the role's own.", pointer=f"/participants/{n}/id")
        if one.id <= before:
            raise FormError("Must be sorted by id and without repeats.", pointer=f"/participants/{n}/id")
        before = one.id
    if state.focal_point is not None and state.participant(state.focal_point) is None:
        raise FormError("Must be one of the participants.", pointer="/focal_point")


def read_record(value: Json, who: ParticipantId, at: str) -> KeyRecord:
    """Read one key record of a participant, its keys checked and its key ids computed again; raise `FormError`."""
    use = value.get("use") if isinstance(value, dict) else None
    if use == "signing":
        return _signing(value, who, at)
    if use == "sealing":
        return _sealing(value, who, at)
    if use == "request":
        return _request(value, who, at)
    raise FormError("Must be signing, sealing or request.", pointer=f"{at}/use")


def read_pair(m: Members, name: str) -> tuple[tuple[Kid, Kid], SigningPublic]:
    """Read a signing identity's two JWKs, Ed25519's first, with their key ids; raise `FormError`."""
    keys, at = m.items(name), f"{m.at}/{name}"
    if len(keys) != len(ALGORITHMS):
        raise FormError("Must be an Ed25519 and an ML-DSA-65 key.", pointer=at)
    first, ed25519 = read_ed25519(keys[0], f"{at}/0")
    second, mldsa65 = read_mldsa65(keys[1], f"{at}/1")
    return (first, second), SigningPublic(ed25519, mldsa65)


def _signing(value: Json, who: ParticipantId, at: str) -> SigningRecord:
    m = Members(value, _SIGNING, at)
    kids, public = read_pair(m, "keys")
    if m.items("kids") != list(kids):
        raise FormError("Must be the keys' thumbprints, in their order.", pointer=f"{at}/kids")
    return SigningRecord(who, m.matching("gateway", ids.code), Life.read(m), kids, public)


def _sealing(value: Json, who: ParticipantId, at: str) -> SealingRecord:
    m = Members(value, _SEALING, at)
    name, public = read_hpke(m.value["key"], f"{at}/key")
    for number, expected in (("kem", KEM_ID), ("kdf", KDF_ID), ("aead", AEAD_ID)):
        m.fixed(number, expected)
    _same(m, name)
    key = m.value["key"]
    assert isinstance(key, dict)  # read_hpke has seen to it
    return SealingRecord(who, Life.read(m), name, public, str(key["pub"]))


def _request(value: Json, who: ParticipantId, at: str) -> RequestRecord:
    m = Members(value, _REQUEST, at)
    name, public = read_ed25519(m.value["key"], f"{at}/key")
    _same(m, name)
    return RequestRecord(who, m.matching("gateway", ids.code), Life.read(m), name, public)


def _same(m: Members, name: Kid) -> None:
    if m.value["kid"] != name:
        raise FormError("Must be the key's thumbprint.", pointer=f"{m.at}/kid")


def _languages(m: Members) -> tuple[str, ...]:
    """Read the languages that the role works in, in its own order of preference."""
    languages = tuple(item for item in m.items("languages") if isinstance(item, str) and _is_language(item))
    if not languages or len(set(languages)) != len(m.items("languages")):
        raise FormError("Must be a list of two-letter language codes without repeats.", pointer="/languages")
    return languages


def _is_language(text: str) -> bool:
    return len(text) == 2 and text.isascii() and text.isalpha() and text.islower()


def _name(text: str) -> str:
    if len(text) > _MAX_NAME or not text.isprintable():
        raise FormError(f"Must be at most {_MAX_NAME} printable characters.")
    return text


def _or_none(m: Members, name: str, read: Callable[[str], _T]) -> _T | None:
    return None if m.absent(name) else read(name)


def _jwk(jwk: Mapping[str, str]) -> dict[str, Json]:
    return dict(jwk)
