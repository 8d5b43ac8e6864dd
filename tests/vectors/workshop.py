"""What make.py builds vectors with: a fixed deployment, and an envelope's parts as plain objects that can be bent.

Keys, content keys and nonces come from fixed seeds. HPKE encapsulates and ML-DSA signs with fresh randomness, so a vector
made again has other bytes and the same outcome.
"""

import base64
import copy
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from keys import seal
from keys.log import merkle
from keys.log.note import LogSigner, sign_checkpoint
from keys.sign import ALGORITHMS, Ed25519Signer, SigningKeys, protected_header

ORIGIN = "test.invalid/vectors"
INDEX = 100
TREE = 130
RECEIVED_AT = 1772366400500
"""2026-03-01T12:00:00.500Z, in Unix milliseconds."""

ISSUED = "2026-03-01T11:59:30Z"
EXPIRES = "2026-06-01T00:00:00Z"
BOUND = ("v", "origin", "notice_id", "sender", "act", "ref", "thread", "topic", "label", "expires_at")
LABEL: dict[str, Any] = {
    "kind": "seizure",
    "handling": ["h0", "h1"],
    "tlp": "amber",
    "pap": "amber",
    "classification": None,
    "urgency": "routine",
    "purpose": "investigation",
    "legal_basis": "un-convention-1988",
    "nominal": False,
    "exercise": True,
    "reply_due": None,
    "conditions": [{"code": "originator-consent", "values": []}, {"code": "region", "values": ["central-asia"]}],
}
NOTICE: dict[str, Any] = {"kind": "seizure", "text": "Dix kilogrammes derrière le panneau.", "quantity": "10.25"}


def seed(name: str) -> bytes:
    return hashlib.sha256(f"valise vectors 1: {name}".encode()).digest()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def identifier(number: int) -> str:
    return f"019ca8c2-e480-7000-8000-{number:012x}"


# The deployment


def identity(name: str) -> SigningKeys:
    return SigningKeys.from_bytes(seed(f"{name} ed25519") + seed(f"{name} mldsa65"))


def sealing(name: str) -> seal.SealingKey:
    return seal.SealingKey(seed(f"{name} sealing"))


LOG = LogSigner(
    ORIGIN,  # type: ignore[arg-type]
    Ed25519PrivateKey.from_private_bytes(seed("log ed25519")),
    MLDSA44PrivateKey.from_seed_bytes(seed("log mldsa44")),
)
RECEIPTS = Ed25519Signer.from_bytes(seed("receipts"))


def life(from_: str = "2026-01-01T00:00:00Z", closed_at: int | None = None) -> dict[str, Any]:
    return {"from": from_, "closed_at": closed_at, "suspect_from": None}


def signing_record(name: str, **when: Any) -> dict[str, Any]:
    keys = identity(name)
    gateway = name.rpartition("/")[2]
    return {"use": "signing", "gateway": gateway, "keys": list(keys.jwks), "kids": list(keys.kids), **life(**when)}


def sealing_record(name: str, **when: Any) -> dict[str, Any]:
    key = sealing(name)
    numbers = {"kem": seal.KEM_ID, "kdf": seal.KDF_ID, "aead": seal.AEAD_ID}
    return {"use": "sealing", "key": key.jwk, **numbers, "kid": key.kid, **life(**when)}


def request_record(name: str) -> dict[str, Any]:
    key = Ed25519Signer.from_bytes(seed(f"{name} request"))
    return {"use": "request", "gateway": name.rpartition("/")[2], "key": key.jwk, "kid": key.kid, **life()}


def names(text: str) -> dict[str, str]:
    return dict.fromkeys(("en", "fr", "de", "it", "ru", "es"), text)


def member(who: str, kind: str, *records: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": who,
        "kind": kind,
        "names": names(who),
        "roles": [],
        "clearance": None,
        "suspended": False,
        "keys": list(records),
    }


def role(focal_point: str | None, *participants: dict[str, Any]) -> dict[str, Any]:
    return {
        "v": 1,
        "names": names("a role of the vectors"),
        "languages": ["en"],
        "focal_point": focal_point,
        "participants": list(participants),
    }


def directory() -> dict[str, Any]:
    """Return the files that the vectors' directory has, as directory.md describes them."""
    customs = (
        signing_record("fr/customs/one"),
        signing_record("fr/customs/two"),
        signing_record("fr/customs/closed", closed_at=INDEX),
        signing_record("fr/customs/closing", closed_at=INDEX + 1),
        signing_record("fr/customs/future", from_="2026-03-01T12:00:01Z"),
        sealing_record("fr/customs"),
        request_record("fr/customs/one"),
    )
    focal = (
        signing_record("kz/focal-point/one"),
        sealing_record("kz/focal-point old"),
        sealing_record("kz/focal-point", from_="2026-02-01T00:00:00Z"),
        sealing_record("kz/focal-point closed", from_="2026-02-02T00:00:00Z", closed_at=INDEX),
        sealing_record("kz/focal-point future", from_="2026-04-01T00:00:00Z"),
    )
    return {
        "log": {
            "v": 1,
            "origin": ORIGIN,
            "ed25519": LOG.keys.ed25519.encode(),
            "mldsa44": LOG.keys.mldsa44.encode(),
            "receipt": RECEIPTS.jwk,
        },
        "roles": {
            "de": role(
                None, member("de/police", "police", signing_record("de/police/one"), sealing_record("de/police"))
            ),
            "fr": role(
                "fr/focal-point", member("fr/customs", "customs", *customs), member("fr/focal-point", "customs")
            ),
            "int-unodc": role(None, member("int/unodc/desk", "regulator", sealing_record("int/unodc/desk"))),
            "kz": role("kz/focal-point", member("kz/focal-point", "drug-control", *focal)),
        },
    }


# An envelope's parts


def statement(act: str = "issue", **changes: Any) -> dict[str, Any]:
    """Return a statement of good form with `sealed` still to come, then changed."""
    is_open = act in ("subscribe", "unsubscribe", "revoke_key", "delegate")
    about = not is_open and act != "acknowledge"
    me = identifier(1)
    first = identifier(2)
    value = {
        "v": 1,
        "origin": ORIGIN,
        "notice_id": me,
        "sender": "fr/customs",
        "act": act,
        "ref": first if about and act != "issue" else None,
        "thread": (me if act == "issue" else first) if about else None,
        "topic": "central-asia.heroin" if about else None,
        "label": copy.deepcopy(LABEL) if about else None,
        "expires_at": None if is_open else EXPIRES,
        "issued_at": ISSUED,
        "nonce": b64(seed("nonce")[:16]),
        "body": None,
        "sealed": None,
        "attachments": [],
        "checkpoint": {"size": 0, "root": b64(sha256(b""))},
    }
    return {**value, **changes}


def padded(text: bytes) -> bytes:
    return text.ljust(seal.padded_length(len(text)))


def plaintext(said: dict[str, Any], notice: dict[str, Any] = NOTICE) -> bytes:
    return padded(dumps({"label": said["label"], **notice}))


CONTENT_KEY = seed("content key")
IV = seed("iv")[:12]
RECIPIENTS = ("fr/customs", "kz/focal-point", "de/police")


def stanza(name: str, content_key: bytes = CONTENT_KEY) -> dict[str, Any]:
    key = sealing(name)
    ek, encrypted_key = seal.seal_key(content_key, key.public_key())
    return {"header": {"alg": seal.ALG, "kid": key.kid, "ek": b64(ek)}, "encrypted_key": b64(encrypted_key)}


def by_kid(stanzas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(stanzas, key=lambda item: item["header"]["kid"])


def protected(said: dict[str, Any], **changes: Any) -> str:
    header = {
        "enc": "A256GCM",
        "typ": "valise-sealed+jwe",
        "cty": "application/valise-notice+json",
        "binding": b64(sha256(dumps({name: said[name] for name in BOUND}))),
        "key_commitment": b64(sha256(b"valise/key-commitment/1\x00" + CONTENT_KEY)),
    }
    return b64(dumps({**header, **changes}))


def sealed(
    said: dict[str, Any],
    text: bytes | None = None,
    *,
    to: tuple[str, ...] = RECIPIENTS,
    header: str | None = None,
    content_key: bytes = CONTENT_KEY,
) -> dict[str, Any]:
    """Seal a plaintext and return the JWE; `digest` puts it into the statement."""
    header = header or protected(said)
    ciphertext, tag = seal.encrypt(content_key, IV, plaintext(said) if text is None else text, header.encode())
    stanzas = by_kid([stanza(name, content_key) for name in to])
    return {
        "protected": header,
        "recipients": stanzas,
        "iv": b64(IV),
        "ciphertext": b64(ciphertext),
        "tag": b64(tag),
    }


def entry(item: dict[str, Any]) -> bytes:
    return item["header"]["kid"].encode() + unb64(item["header"]["ek"]) + unb64(item["encrypted_key"])


def digest(said: dict[str, Any], body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the statement with the digests of a sealed body."""
    ciphertext = unb64(body["ciphertext"])
    content = sha256(body["protected"].encode() + b"." + unb64(body["iv"]) + ciphertext + unb64(body["tag"]))
    digests = {
        "content_digest": b64(content),
        "length": len(ciphertext),
        "recipients_root": b64(merkle.root_of([entry(item) for item in body["recipients"]])),
        "recipient_count": len(body["recipients"]),
    }
    return {**said, "sealed": {**digests, **changes}}


def head(payload: bytes, name: str = "fr/customs/one", **headers: list[str]) -> dict[str, Any]:
    """Sign a payload; `protected` replaces the protected headers before they are signed."""
    keys = identity(name)
    texts = headers.get("protected") or [
        protected_header(alg, kid) for alg, kid in zip(ALGORITHMS, keys.kids, strict=True)
    ]
    inputs = [f"{text}.{b64(payload)}".encode() for text in texts]
    values = (keys._ed25519.sign(inputs[0]), keys._mldsa65.sign(inputs[1]))
    signatures = [{"protected": text, "signature": b64(value)} for text, value in zip(texts, values, strict=True)]
    return {"payload": b64(payload), "signatures": signatures}


def payload(texts: list[bytes], **changes: Any) -> dict[str, Any]:
    return {
        "typ": "valise-batch/1",
        "origin": ORIGIN,
        "signer": "fr/customs",
        "size": len(texts),
        "root": b64(merkle.root_of(texts)),
        "issued_at": ISSUED,
        **changes,
    }


def proof(said: dict[str, Any] | bytes, name: str = "fr/customs/one", **changes: Any) -> dict[str, Any]:
    """Sign one statement alone; `changes` are the payload's."""
    text = said if isinstance(said, bytes) else dumps(said)
    return {"index": 0, "size": 1, "path": [], "head": head(dumps(payload([text], **changes)), name)}


def batch(texts: list[bytes], index: int) -> dict[str, Any]:
    """Sign several statements and return the proof of one."""
    hashes = [merkle.leaf_hash(text) for text in texts]
    path = [b64(node) for node in merkle.inclusion_path(hashes, index)]
    return {"index": index, "size": len(texts), "path": path, "head": head(dumps(payload(texts)))}


@dataclass
class Parts:
    """An envelope as plain objects; what is bent after signing breaks a check, what is bent before is only a form."""

    said: dict[str, Any]
    proof: dict[str, Any]
    sealed: dict[str, Any] | None

    def value(self) -> dict[str, Any]:
        return {"statement": b64(dumps(self.said)), "proof": self.proof, "sealed": self.sealed}

    def bytes(self) -> bytes:
        return dumps(self.value())


def issue(act: str = "issue", **changes: Any) -> Parts:
    """Return a sealed envelope that holds."""
    said = statement(act, **changes)
    body = sealed(said)
    said = digest(said, body)
    return Parts(said, proof(said), body)


def opened(act: str, body: dict[str, Any], **changes: Any) -> Parts:
    """Return an open act's envelope that holds."""
    said = statement(act, body=body, **changes)
    return Parts(said, proof(said), None)


def again(parts: Parts, **changes: Any) -> Parts:
    """Return the envelope with its statement changed and signed anew, its seal as it was."""
    said = {**parts.said, **changes}
    return Parts(said, proof(said), parts.sealed)


# Deliveries


def inclusion(parts: Parts, *, received_at: int = RECEIVED_AT, kind: int = 1) -> dict[str, Any]:
    """Put the statement's leaf into a tree and return its inclusion under a signed checkpoint."""
    leaf_digest = sha256(b"\x00" + sha256(dumps(parts.said)) + sha256(dumps(parts.proof)))
    leaf = bytes([kind]) + received_at.to_bytes(8, "big") + leaf_digest
    hashes = [sha256(f"leaf {number}".encode()) for number in range(TREE)]
    hashes[INDEX] = merkle.leaf_hash(leaf)
    note = sign_checkpoint(LOG, TREE, merkle.root_of_hashes(hashes), at=received_at // 1000 + 1)
    path = [b64(node) for node in merkle.inclusion_path(hashes, INDEX)]
    return {"received_at": received_at, "index": INDEX, "size": TREE, "path": path, "checkpoint": b64(note)}


def delivery(parts: Parts, to: str = "kz/focal-point", **changes: Any) -> dict[str, Any]:
    """Return what one recipient gets of an envelope."""
    body = parts.sealed
    assert body is not None
    kids = [item["header"]["kid"] for item in body["recipients"]]
    number = kids.index(sealing(to).kid)
    hashes = [merkle.leaf_hash(entry(item)) for item in body["recipients"]]
    value = {
        "statement": b64(dumps(parts.said)),
        "proof": parts.proof,
        "sealed": {
            "protected": body["protected"],
            **body["recipients"][number],
            "iv": body["iv"],
            "ciphertext": body["ciphertext"],
            "tag": body["tag"],
        },
        "recipient": {
            "index": number,
            "size": len(kids),
            "path": [b64(node) for node in merkle.inclusion_path(hashes, number)],
        },
        "grant": None,
        "inclusion": inclusion(parts),
    }
    return {**value, **changes}
