"""A second reader of envelopes and deliveries, written from schemas/spec/ alone.

It shares no code with `schemas` or `keys`: the standard library, and primitives of `cryptography` (Ed25519, ML-DSA, ML-KEM,
X25519, AES-GCM). HPKE, Merkle paths, notes and every check are its own. It favours plainness over speed.
"""

import base64
import hashlib
import json
import re
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.vectors.reader_forms import (
    MOST,
    Form,
    Refused,
    ascending,
    binary,
    boolean,
    code,
    encoded,
    exactly,
    form,
    integer,
    kid,
    many,
    members,
    need,
    notice_id,
    one_encoding,
    optional,
    origin,
    participant,
    seconds,
    strict_object,
    string,
    time,
    topic,
    topic_pattern,
    unbase64,
)

# statement.md and acts.md

LABEL = members(
    kind=code,
    handling=ascending(code),
    tlp=code,
    pap=code,
    classification=optional(code),
    urgency=optional(code),
    purpose=code,
    legal_basis=code,
    nominal=boolean,
    exercise=boolean,
    reply_due=optional(time),
    conditions=ascending(members(code=code, values=ascending(code)), key=lambda item: item["code"]),
)
SUBSCRIPTION = members(participant=participant, patterns=ascending(topic_pattern, least=1))
BODIES = {
    "subscribe": SUBSCRIPTION,
    "unsubscribe": SUBSCRIPTION,
    "revoke_key": members(participant=participant, kids=ascending(kid, least=1), reason=code),
    "delegate": members(to=participant, from_=time, until=time),
}
ASKING = ["issue", "correct", "recall", "ask_access", "ask_use", "permit", "certify", "refuse", "grant"]
ROOM = ["consent", "withdraw", "handover", "heartbeat", "stop", "outcome", "close"]
SEALED_ACTS = [*ASKING, *ROOM, "acknowledge"]
STATEMENT = members(
    v=exactly(1),
    origin=origin,
    notice_id=notice_id,
    sender=participant,
    act=string,
    ref=optional(notice_id),
    thread=optional(notice_id),
    topic=optional(topic),
    label=optional(LABEL),
    expires_at=optional(time),
    issued_at=time,
    nonce=binary(16),
    body=lambda value: value,
    sealed=optional(
        members(content_digest=binary(32), length=integer, recipients_root=binary(32), recipient_count=integer)
    ),
    attachments=many(members(digest=binary(32), length=integer)),
    checkpoint=members(size=integer, root=binary(32)),
)
BOUND = ("v", "origin", "notice_id", "sender", "act", "ref", "thread", "topic", "label", "expires_at")


class Statement:
    """A statement of good form: its bytes, its members, and the digest that binds a seal to it."""

    def __init__(self, data: bytes) -> None:
        self.bytes = data
        raw = one_encoding(data)
        self.says = says = STATEMENT(raw)
        self.act = act = says["act"]
        bound = json.dumps({name: raw[name] for name in BOUND}, separators=(",", ":")).encode()
        self.binding = sha256(bound)
        self.label = raw["label"]
        form(act in BODIES or act in SEALED_ACTS, "must be an act")
        is_open, about = act in BODIES, act in SEALED_ACTS and act != "acknowledge"
        if is_open:
            body = BODIES[act](says["body"])
            form(act != "delegate" or body["from"] < body["until"], "from < until")
        else:
            form(says["body"] is None, "body must be null")
        for name in ("thread", "topic", "label"):
            form((says[name] is not None) is about, f"{name} as the act's row says")
        form(act == "issue" or (says["ref"] is not None) is about, "ref as the act's row says")
        for name in ("expires_at", "sealed"):
            form((says[name] is None) is is_open, f"{name} as the act's row says")
        if act == "issue" and says["ref"] is None:
            form(says["thread"] == says["notice_id"], "the thread of a first notice is its own id")
        if is_open or act in ("grant", "acknowledge"):
            form(says["attachments"] == [], "no attachments")
        if not is_open:
            form(1 <= says["sealed"]["recipient_count"] <= 1 << 20, "recipient_count")


# envelope.md: forms

PATH = many(binary(32), most=64)
ALGORITHMS = (("Ed25519", 64), ("ML-DSA-65", 3309))
PAYLOAD = members(
    typ=exactly("valise-batch/1"),
    origin=origin,
    signer=participant,
    size=integer,
    root=binary(32),
    issued_at=time,
)


def signatures(value: Any) -> list[dict[str, Any]]:
    form(isinstance(value, list) and len(value) == 2, "must be exactly two signatures")
    return [
        members(
            protected=encoded(members(alg=exactly(alg), kid=kid, typ=exactly("valise-batch+json"))),
            signature=binary(length),
        )(item)
        for item, (alg, length) in zip(value, ALGORITHMS, strict=True)
    ]


PROOF = members(index=integer, size=integer, path=PATH, head=members(payload=encoded(PAYLOAD), signatures=signatures))
PROTECTED = encoded(
    members(
        enc=exactly("A256GCM"),
        typ=exactly("valise-sealed+jwe"),
        cty=exactly("application/valise-notice+json"),
        binding=binary(32),
        key_commitment=binary(32),
    )
)
HEADER = members(alg=exactly("HPKE-9-KE"), kid=kid, ek=binary(1120))
STANZA = members(header=HEADER, encrypted_key=binary(48))
STANZAS = ascending(STANZA, least=1, key=lambda stanza: stanza["header"]["kid"])
SEALED = members(protected=PROTECTED, recipients=STANZAS, iv=binary(12), ciphertext=binary(), tag=binary(16))
GRANTED = members(recipients=STANZAS)


def proof_of(statement: Statement, value: Any) -> dict[str, Any]:
    proof = PROOF(value)
    payload = proof["head"]["payload"][1]
    form(1 <= payload["size"] <= 1024, "1 to 1,024 statements under a head")
    form(proof["size"] == payload["size"] and proof["index"] < proof["size"], "index < size = the head's size")
    form(payload["origin"] == statement.says["origin"], "the head's origin is the statement's")
    return proof


# Digests, Merkle


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def root_of(entries: list[bytes]) -> bytes:
    """RFC 6962 by its own recursion: the left half is the largest power of two below the whole."""
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0])
    left = 1
    while left * 2 < len(entries):
        left *= 2
    return sha256(b"\x01" + root_of(entries[:left]) + root_of(entries[left:]))


def lead(entry: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Return the root that a path leads to, by recursion from the top: the last node is the sibling of the top half."""
    if size == 1:
        need(not path, "unverified", "the path is too long")
        return sha256(b"\x00" + entry)
    need(path, "unverified", "the path is too short")
    left = 1
    while left * 2 < size:
        left *= 2
    if index < left:
        return sha256(b"\x01" + lead(entry, index, left, path[:-1]) + path[-1])
    return sha256(b"\x01" + path[-1] + lead(entry, index - left, size - left, path[:-1]))


def stanza_entry(stanza: dict[str, Any]) -> bytes:
    return stanza["header"]["kid"].encode() + stanza["header"]["ek"] + stanza["encrypted_key"]


# directory.md


class World:
    """The public side: origin, log keys, and every key record of the directory's files."""

    def __init__(self, value: dict[str, Any], revoked: dict[str, int]) -> None:
        self.origin = value["log"]["origin"]
        self.log = value["log"]
        self.revoked = revoked
        self.identities: dict[tuple[str, str], dict[str, Any]] = {}
        self.sealing: dict[str, dict[str, Any]] = {}
        self.owners: dict[str, str] = {}
        for file in value["roles"].values():
            for one in file["participants"]:
                for item in one["keys"]:
                    record = {**item, "owner": one["id"]}
                    kids = record.get("kids") or [record["kid"]]
                    assert kids == [thumbprint(key) for key in record.get("keys") or [record["key"]]]
                    self.owners.update(dict.fromkeys(kids, one["id"]))
                    if record["use"] == "signing":
                        self.identities[kids[0], kids[1]] = record
                    if record["use"] == "sealing":
                        self.sealing[kids[0]] = record

    def in_force(self, record: dict[str, Any], index: int, received_at: int) -> bool:
        kids = record.get("kids") or [record["kid"]]
        return (
            seconds(record["from"]) <= received_at // 1000
            and (record["closed_at"] is None or index < record["closed_at"])
            and not any(self.revoked.get(kid, index) < index for kid in kids)
        )

    def newest(self, owner: str, index: int, received_at: int) -> str | None:
        candidates = [
            (record["from"], kid)
            for kid, record in self.sealing.items()
            if record["owner"] == owner and self.in_force(record, index, received_at)
        ]
        return max(candidates)[1] if candidates else None


def thumbprint(jwk: dict[str, str]) -> str:
    names = ("alg", "kty", "pub") if jwk["kty"] == "AKP" else ("crv", "kty", "x")
    text = json.dumps({name: jwk[name] for name in names}, separators=(",", ":"))
    return base64.urlsafe_b64encode(sha256(text.encode())).rstrip(b"=").decode()


# envelope.md: order of checks, steps 3 to 7


def check_sender(statement: Statement, proof: dict[str, Any], world: World, index: int, received_at: int) -> None:
    head = proof["head"]
    kids = [item["protected"][1]["kid"] for item in head["signatures"]]
    record = world.identities.get((kids[0], kids[1]))
    need(record, "unknown-key", "no such signing identity")
    assert record is not None
    payload_text, payload = head["payload"]
    sender = statement.says["sender"]
    need(record["owner"] == sender == payload["signer"], "unverified", "the identity is not the sender's")
    need(world.in_force(record, index, received_at), "revoked-key", "the key is not in force")
    root = lead(statement.bytes, proof["index"], proof["size"], proof["path"])
    need(root == payload["root"], "unverified", "the path does not lead to the head's root")
    publics = (
        Ed25519PublicKey.from_public_bytes(unbase64(record["keys"][0]["x"])),
        MLDSA65PublicKey.from_public_bytes(unbase64(record["keys"][1]["pub"])),
    )
    for public, item in zip(publics, head["signatures"], strict=True):
        verify(public, item["signature"], f"{item['protected'][0]}.{payload_text}".encode())


def verify(public: Ed25519PublicKey | MLDSA44PublicKey | MLDSA65PublicKey, signature: bytes, message: bytes) -> None:
    try:
        public.verify(signature, message)
    except InvalidSignature as error:
        raise Refused("unverified", "a signature does not hold") from error


def check_content(statement: Statement, sealed: dict[str, Any]) -> None:
    text, header = sealed["protected"]
    said = statement.says["sealed"]
    need(header["binding"] == statement.binding, "unverified", "binding")
    need(said["length"] == len(sealed["ciphertext"]), "unverified", "length")
    digest = sha256(text.encode() + b"." + sealed["iv"] + sealed["ciphertext"] + sealed["tag"])
    need(said["content_digest"] == digest, "unverified", "content_digest")


def check_clock(statement: Statement, now: int) -> None:
    issued = seconds(statement.says["issued_at"])
    need(now - 1_209_600 <= issued <= now + 300, "clock-skew", "issued_at")
    expires = statement.says["expires_at"]
    need(expires is None or seconds(expires) > now, "expired", "expires_at")


def read_envelope(data: bytes, world: World, index: int, received_at: int) -> Statement:
    """Check an envelope as a broker would that appends it at `index`, as far as directory and clock can say."""
    value = one_encoding(data)
    form(list(value) == ["statement", "proof", "sealed"], "the envelope's members")
    statement = Statement(binary()(value["statement"]))
    if statement.says["sealed"] is None:
        form(value["sealed"] is None, "an open act seals nothing")
        sealed = None
    else:
        sealed = (GRANTED if statement.act == "grant" else SEALED)(value["sealed"])
    proof = proof_of(statement, value["proof"])
    need(statement.says["origin"] == world.origin, "wrong-origin", "another deployment's")
    check_sender(statement, proof, world, index, received_at)
    if sealed is not None:
        if statement.act != "grant":
            check_content(statement, sealed)
        said = statement.says["sealed"]
        need(said["recipient_count"] == len(sealed["recipients"]), "unverified", "recipient_count")
        root = root_of([stanza_entry(stanza) for stanza in sealed["recipients"]])
        need(said["recipients_root"] == root, "unverified", "recipients_root")
        owners = [world.owners.get(stanza["header"]["kid"]) for stanza in sealed["recipients"]]
        need(
            (statement.says["sender"] in owners) is (statement.act != "grant"), "unverified", "the sender's own stanza"
        )
    check_clock(statement, received_at // 1000)
    if sealed is not None:
        kids = [stanza["header"]["kid"] for stanza in sealed["recipients"]]
        newest = {world.newest(owner, index, received_at) for owner in set(world.owners.values())}
        need(all(kid in newest for kid in kids), "recipients", "not a newest key in force")
        need(len(kids) >= 2 or statement.act == "grant", "recipients", "nobody beside the sender")
    return statement


# ledger.md: checkpoints


def check_note(note: bytes, log: dict[str, str]) -> tuple[int, bytes]:
    """Check a checkpoint's two lines and return its size and root."""
    need(len(note) <= 128 << 10 and not re.search(rb"[\x00-\x09\x0b-\x1f]", note), "unverified", "not a note")
    match = re.fullmatch(rb"((.+)\n(0|[1-9][0-9]*)\n([A-Za-z0-9+/]{43}=)\n)\n((?:\xe2\x80\x94 [^\n]+\n)+)", note)
    need(match, "unverified", "not a checkpoint")
    assert match is not None
    text, name, size, root_text, lines = match.groups()
    root = base64.b64decode(root_text)
    need(base64.b64encode(root) == root_text and int(size) <= MOST, "unverified", "not a checkpoint")
    need(name.decode("utf-8", "replace") == log["origin"], "unverified", "another log's")
    need(int(size) or root == sha256(b""), "unverified", "not the empty tree's root")
    need(lines.count(b"\n") <= 64, "unverified", "too many lines")
    signed: dict[bytes, list[bytes]] = {}
    for line in lines.decode("utf-8", "replace").splitlines():
        parts = re.fullmatch("— ([^\\s+]+) ([A-Za-z0-9+/]+={0,2})", line)
        need(parts, "unverified", "not a signature line")
        assert parts is not None
        try:
            data = base64.b64decode(parts[2], validate=True)
        except ValueError as error:
            raise Refused("unverified", "not base64") from error
        need(base64.b64encode(data).decode() == parts[2] and len(data) > 4, "unverified", "loose base64")
        if parts[1] == log["origin"]:
            signed.setdefault(data[:4], []).append(data[4:])

    def line_of(vkey: str) -> tuple[bytes, bytes]:
        owner, hexadecimal, material_text = vkey.split("+", 2)
        material = base64.b64decode(material_text)
        key_id = sha256(owner.encode() + b"\n" + material)[:4]
        assert (owner, key_id.hex()) == (log["origin"], hexadecimal)
        need(len(signed.get(key_id, ())) == 1, "unverified", "must have one line of each of the log's keys")
        return material, signed[key_id][0]

    material, signature = line_of(log["ed25519"])
    assert material[0] == 1
    verify(Ed25519PublicKey.from_public_bytes(material[1:]), signature, text)
    material, cosignature = line_of(log["mldsa44"])
    assert material[0] == 6
    at = int.from_bytes(cosignature[:8], "big")
    need(0 < at < 1 << 63, "unverified", "no time")
    named = bytes([len(name)]) + name
    message = b"subtree/v1\n\x00" + named + cosignature[:8] + named + bytes(8) + int(size).to_bytes(8, "big") + root
    verify(MLDSA44PublicKey.from_public_bytes(material[1:]), cosignature[8:], message)
    return int(size), root


# delivery.md

RECIPIENT = members(index=integer, size=integer, path=PATH)
INCLUSION = members(received_at=integer, index=integer, size=integer, path=PATH, checkpoint=binary())
SHARE = members(
    protected=PROTECTED, header=HEADER, encrypted_key=binary(48), iv=binary(12), ciphertext=binary(), tag=binary(16)
)
DELIVERY = ["statement", "proof", "sealed", "recipient", "grant", "inclusion"]


def placed(inner: Form) -> Form:
    def check(value: Any) -> Any:
        place = inner(value)
        form(place["index"] < place["size"], "index < size")
        return place

    return check


def check_in_log(statement: Statement, proof: Any, inclusion: Any, tree: tuple[int, bytes]) -> None:
    """Take steps 5 and 6 of a delivery: the times, and that the leaf is in the tree."""
    size, root = tree
    index, received_at = inclusion["index"], inclusion["received_at"]
    check_clock(statement, received_at // 1000)
    proof_bytes = json.dumps(proof, separators=(",", ":")).encode()
    digest = sha256(b"\x00" + sha256(statement.bytes) + sha256(proof_bytes))
    leaf = b"\x01" + received_at.to_bytes(8, "big") + digest
    need(inclusion["size"] == size, "unverified", "another checkpoint's size")
    need(lead(leaf, index, size, inclusion["path"]) == root, "unverified", "not in the log")


def check_granted(grant: dict[str, Any], notice: dict[str, Any]) -> None:
    """Hold a grant's statement against that of the notice that it names."""
    need(grant["ref"] == notice["notice_id"], "unverified", "a grant of another notice")
    for name in BOUND:
        need(name in ("notice_id", "act", "ref") or grant[name] == notice[name], "unverified", f"another {name}")
    for name in ("content_digest", "length"):
        need(grant["sealed"][name] == notice["sealed"][name], "unverified", f"another {name}")


def read_delivery(data: bytes, world: World, seeds: dict[str, bytes]) -> dict[str, Any]:
    """Check a delivery as the owner of the sealing seeds (by kid), open it, and return the notice without its label."""
    value = one_encoding(data)
    form(list(value) == DELIVERY, "the delivery's members")
    statement = Statement(binary()(value["statement"]))
    form(statement.says["sealed"] is not None and statement.act != "grant", "must be sealed, and not a grant")
    proof = proof_of(statement, value["proof"])
    sealed = SHARE(value["sealed"])
    recipient = placed(RECIPIENT)(value["recipient"])
    grant = value["grant"]
    if grant is not None:
        grant = members(statement=binary(), proof=lambda item: item, inclusion=placed(INCLUSION))(grant)
        granted = Statement(grant["statement"])
        form(granted.act == "grant", "must be a grant's statement")
        given = proof_of(granted, grant["proof"])
    inclusion = placed(INCLUSION)(value["inclusion"])
    need(statement.says["origin"] == world.origin, "wrong-origin", "another deployment's")
    tree = check_note(inclusion["checkpoint"], world.log)
    check_sender(statement, proof, world, inclusion["index"], inclusion["received_at"])
    check_content(statement, sealed)
    check_in_log(statement, value["proof"], inclusion, tree)
    said = statement.says["sealed"]
    if grant is not None:
        check_granted(granted.says, statement.says)
        check_sender(granted, given, world, grant["inclusion"]["index"], grant["inclusion"]["received_at"])
        check_in_log(granted, grant["proof"], grant["inclusion"], tree)
        said = granted.says["sealed"]
    seed = seeds.get(sealed["header"]["kid"])
    need(seed, "unverified", "not one's own stanza")
    assert seed is not None
    need(recipient["size"] == said["recipient_count"], "unverified", "the number of recipients")
    led = lead(stanza_entry(sealed), recipient["index"], recipient["size"], recipient["path"])
    need(led == said["recipients_root"], "unverified", "not under the recipients' root")
    return open_notice(statement, sealed, seed)


def open_stanza(seed: bytes, ek: bytes, encrypted_key: bytes) -> bytes:
    """HPKE-9-KE, written out."""
    expanded = hashlib.shake_256(seed).digest(96)
    x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
    try:
        ss_m = MLKEM768PrivateKey.from_seed_bytes(expanded[:64]).decapsulate(ek[:1088])
        ss_x = x25519.exchange(X25519PublicKey.from_public_bytes(ek[1088:]))
    except ValueError as error:  # an X25519 point of small order
        raise Refused("unverified", "no shared secret") from error
    ss = hashlib.sha3_256(ss_m + ss_x + ek[1088:] + x25519.public_key().public_bytes_raw() + rb"\.//^" + b"\\").digest()

    def p(data: bytes) -> bytes:
        return len(data).to_bytes(2, "big") + data

    suite = b"HPKE\x64\x7a\x00\x11\x00\x02"
    context = b"\x00" + p(b"") + p(b"JOSE-HPKE rcpt\xffA256GCM\xff")
    labelled = p(b"") + p(ss) + b"HPKE-v1" + suite + p(b"secret") + (108).to_bytes(2, "big") + context
    secrets = hashlib.shake_256(labelled).digest(108)
    try:
        return AESGCM(secrets[:32]).decrypt(secrets[32:44], encrypted_key, None)
    except InvalidTag as error:
        raise Refused("unverified", "the stanza does not open") from error


def open_notice(statement: Statement, sealed: dict[str, Any], seed: bytes) -> dict[str, Any]:
    content_key = open_stanza(seed, sealed["header"]["ek"], sealed["encrypted_key"])
    need(len(content_key) == 32, "unverified", "not a content key")
    text, header = sealed["protected"]
    commitment = sha256(b"valise/key-commitment/1\x00" + content_key)
    need(commitment == header["key_commitment"], "unverified", "key commitment")
    try:
        padded = AESGCM(content_key).decrypt(sealed["iv"], sealed["ciphertext"] + sealed["tag"], text.encode())
    except InvalidTag as error:
        raise Refused("unverified", "the ciphertext does not open") from error
    plain = padded.rstrip(b" ")
    need(len(plain) >= 2 and len(padded) == padme(len(plain)), "unverified", "padding")
    notice = strict_object(plain)
    need(next(iter(notice), None) == "label", "unverified", "the label comes first")
    need(same(notice.pop("label"), statement.label), "unverified", "the label inside differs")
    return notice


def padme(length: int) -> int:
    e = 0
    while 2 ** (e + 1) <= length:
        e += 1
    s = 1
    while 2**s <= e:
        s += 1
    while length % 2 ** (e - s):
        length += 1
    return length


def same(one: Any, other: Any) -> bool:
    """Say whether two JSON values are equal; 1 is not true."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
