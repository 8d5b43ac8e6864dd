"""Vectors of envelopes that have the form and do not hold (steps 1 and 3 to 7)."""

from collections.abc import Iterator
from typing import Any

from tests.vectors import workshop as w
from tests.vectors.bending import SUBSCRIPTION, Vector, bent, drop, flipped, grant, other_origin, put, vector


def bad_truth() -> Iterator[Vector]:
    """What has the form, and does not hold."""
    parts = w.issue()
    whole = parts.value()

    def refused(name: str, description: str, outcome: str, value: Any, **more: Any) -> Vector:
        return vector(name, description, outcome, value.value() if isinstance(value, w.Parts) else value, **more)

    # origin
    yield refused("wrong-origin", "Made for another deployment, whole in itself.", "wrong-origin", other_origin())
    # keys
    stranger = w.Parts(parts.said, w.proof(parts.said, "xx/nobody"), parts.sealed)
    yield refused("unknown-key", "Signed by an identity that the directory lacks.", "unknown-key", stranger)
    one, two = w.identity("fr/customs/one"), w.identity("fr/customs/two")
    mixed = w.SigningKeys.from_bytes(one.to_bytes()[:32] + two.to_bytes()[32:])
    payload = w.dumps(w.payload([w.dumps(parts.said)]))
    yield refused(
        "mixed-identity",
        "Ed25519 of one gateway, ML-DSA-65 of another; both valid.",
        "unknown-key",
        bent(whole, put("proof", "head", to=mixed.sign_head(payload))),
    )
    texts = [w.protected_header("Ed25519", one.kids[1]), w.protected_header("ML-DSA-65", one.kids[0])]
    yield refused(
        "alg-not-the-records",
        "Each `alg` names the key of the other algorithm.",
        "unknown-key",
        bent(whole, put("proof", "head", to=w.head(payload, protected=texts))),
    )
    request = w.Ed25519Signer.from_bytes(w.seed("fr/customs/one request"))
    texts = [w.protected_header("Ed25519", request.kid), w.protected_header("ML-DSA-65", one.kids[1])]
    yield refused(
        "request-key",
        "A request key where a signing key belongs.",
        "unknown-key",
        bent(whole, put("proof", "head", to=w.head(payload, protected=texts))),
    )
    for name, key, description in (
        ("closed-key", "fr/customs/closed", "Closed at this very index."),
        ("future-key", "fr/customs/future", "In force from one second later."),
    ):
        yield refused(name, description, "revoked-key", w.Parts(parts.said, w.proof(parts.said, key), parts.sealed))
    for number, name in enumerate(("revoked-key", "revoked-key-pq")):
        revoked = {one.kids[number]: w.INDEX - 1}
        yield refused(name, "One key of the pair was revoked one leaf before.", "revoked-key", parts, revoked=revoked)
    # sender
    police = w.Parts(parts.said, w.proof(parts.said, "de/police/one", signer="de/police"), parts.sealed)
    yield refused("signed-by-another", "A statement signed again by another participant.", "unverified", police)
    posing = w.Parts(parts.said, w.proof(parts.said, "de/police/one"), parts.sealed)
    yield refused("signed-in-anothers-name", "Another's keys, with the sender named as signer.", "unverified", posing)
    named = w.Parts(parts.said, w.proof(parts.said, signer="de/police"), parts.sealed)
    yield refused("signer-differs", "The sender's keys, with another named as signer.", "unverified", named)
    # proof
    yield refused(
        "statement-altered",
        "One letter of the statement changed after signing.",
        "unverified",
        w.Parts({**parts.said, "nonce": w.b64(bytes(16))}, parts.proof, parts.sealed),
    )
    for number, name in enumerate(("signature-flipped", "signature-flipped-pq")):
        path = ("proof", "head", "signatures", number, "signature")
        value = whole["proof"]["head"]["signatures"][number]["signature"]
        yield refused(name, "One bit of a signature.", "unverified", bent(whole, put(*path, to=flipped(value))))
    other = w.proof(w.issue(notice_id=w.identifier(9), thread=w.identifier(9)).said)
    yield refused(
        "head-of-another", "The proof of another statement.", "unverified", bent(whole, put("proof", to=other))
    )
    later = w.head(w.dumps(w.payload([w.dumps(parts.said)], issued_at="2026-03-01T11:59:31Z")))
    swapped = bent(whole, put("proof", "head", "signatures", 0, to=later["signatures"][0]))
    yield refused("signatures-of-two-heads", "Each signature is over another payload.", "unverified", swapped)
    yield refused(
        "path-too-long", "A node too many.", "unverified", bent(whole, put("proof", "path", to=[w.b64(bytes(32))]))
    )
    said = [w.statement("subscribe", body=SUBSCRIPTION, notice_id=w.identifier(n)) for n in range(5)]
    batch = w.Parts(said[3], w.batch([w.dumps(item) for item in said], 3), None).value()
    yield refused("path-too-short", "A node too few.", "unverified", bent(batch, drop("proof", "path", 0)))
    yield refused(
        "path-other-index", "Another index of the same batch.", "unverified", bent(batch, put("proof", "index", to=2))
    )
    yield refused(
        "path-reversed",
        "The path upside down.",
        "unverified",
        bent(batch, lambda value: value["proof"]["path"].reverse()),
    )
    # content
    for name in ("iv", "ciphertext", "tag"):
        value = flipped(whole["sealed"][name])
        yield refused(
            f"content-{name}", f"One bit of `{name}`.", "unverified", bent(whole, put("sealed", name, to=value))
        )
    wrong = w.b64(w.sha256(b"wrong"))
    for name, value in (("content_digest", wrong), ("recipients_root", wrong), ("length", 1), ("recipient_count", 2)):
        changed = w.again(parts, sealed={**parts.said["sealed"], name: value})
        yield refused(
            f"sealed-{name.replace('_', '-')}", f"The statement's `{name}` is not the seal's.", "unverified", changed
        )
    for name, changes in (
        ("topic", {"topic": "central-asia.cocaine"}),
        ("label", {"label": {**w.LABEL, "tlp": "clear"}}),
        ("expiry", {"expires_at": "2026-07-01T00:00:00Z"}),
        ("id", {"notice_id": w.identifier(8), "thread": w.identifier(8)}),
    ):
        yield refused(
            f"binding-{name}",
            f"The {name} changed and signed anew: the seal is bound to the old one.",
            "unverified",
            w.again(parts, **changes),
        )
    stolen = w.again(parts, sender="de/police")
    stolen.proof = w.proof(stolen.said, "de/police/one", signer="de/police")
    yield refused("binding-sender", "Another's ciphertext under one's own name.", "unverified", stolen)
    swapped = bent(whole, put("sealed", "protected", to=w.protected(w.statement(topic="central-asia.cocaine"))))
    yield refused("protected-swapped", "The protected header of another seal.", "unverified", swapped)
    # recipients
    yield refused("stanza-removed", "A stanza is missing.", "unverified", bent(whole, drop("sealed", "recipients", 0)))
    added = w.stanza("int/unodc/desk")
    yield refused(
        "stanza-added",
        "A stanza too many, in its place.",
        "unverified",
        bent(
            whole,
            lambda value: put("sealed", "recipients", to=w.by_kid([*value["sealed"]["recipients"], added]))(value),
        ),
    )
    yield refused("stanza-replaced", "A stanza sealed anew to the same key.", "unverified", bent(whole, reseal))
    yield refused(
        "stanza-keys-swapped",
        "Two stanzas' contents changed places under their kids.",
        "unverified",
        bent(whole, swap_stanzas),
    )
    yield refused("stanza-bit", "One bit of `ek`.", "unverified", bent(whole, flip_ek))
    lonely = w.statement()
    jwe = w.sealed(lonely, to=("kz/focal-point", "de/police"))
    lonely = w.digest(lonely, jwe)
    yield refused(
        "own-stanza-missing", "The sender cannot open it itself.", "unverified", w.Parts(lonely, w.proof(lonely), jwe)
    )
    generous = grant()
    stanzas = w.by_kid([*generous.sealed["recipients"], w.stanza("fr/customs")]) if generous.sealed else []
    root = w.b64(w.merkle.root_of([w.entry(item) for item in stanzas]))
    text = {**generous.said, "sealed": {**generous.said["sealed"], "recipients_root": root, "recipient_count": 3}}
    yield refused(
        "grant-own-stanza",
        "A grant to the sender itself.",
        "unverified",
        w.Parts(text, w.proof(text), {"recipients": stanzas}),
    )
    for name, to, description in (
        ("recipients-nobody-else", ("fr/customs",), "Sealed to the sender alone."),
        ("recipients-unknown", ("fr/customs", "xx/nobody"), "A stanza for a key that the directory lacks."),
        ("recipients-old-key", ("fr/customs", "kz/focal-point old"), "A stanza for a key that is not the newest."),
        ("recipients-closed-key", ("fr/customs", "kz/focal-point closed"), "A stanza for a closed key."),
        (
            "recipients-future-key",
            ("fr/customs", "kz/focal-point future"),
            "A stanza for a key that is not in force yet.",
        ),
        (
            "recipients-two-keys",
            ("fr/customs", "kz/focal-point", "kz/focal-point old"),
            "Two stanzas for one participant.",
        ),
    ):
        said_ = w.statement()
        jwe = w.sealed(said_, to=to)
        said_ = w.digest(said_, jwe)
        yield refused(name, description, "recipients", w.Parts(said_, w.proof(said_), jwe))
    yield refused(
        "recipients-revoked-key",
        "The recipient's key was revoked before.",
        "recipients",
        parts,
        revoked={w.sealing("kz/focal-point").kid: 7},
    )
    # clock
    for name, outcome, changes in (
        ("clock-ahead", "clock-skew", {"issued_at": "2026-03-01T12:05:01Z"}),
        ("clock-behind", "clock-skew", {"issued_at": "2026-02-15T11:59:59Z"}),
        ("expired", "expired", {"expires_at": "2026-03-01T12:00:00Z"}),
        ("expired-long-ago", "expired", {"expires_at": "0001-01-01T00:00:00Z"}),
    ):
        yield refused(name, f"{next(iter(changes))} is one second too far, or more.", outcome, w.issue(**changes))


def reseal(value: dict[str, Any]) -> None:
    kid = w.sealing("kz/focal-point").kid
    stanzas = value["sealed"]["recipients"]
    number = next(n for n, item in enumerate(stanzas) if item["header"]["kid"] == kid)
    stanzas[number] = w.stanza("kz/focal-point")


def swap_stanzas(value: dict[str, Any]) -> None:
    first, second = value["sealed"]["recipients"][:2]
    first["header"]["kid"], second["header"]["kid"] = second["header"]["kid"], first["header"]["kid"]
    value["sealed"]["recipients"][:2] = [second, first]


def flip_ek(value: dict[str, Any]) -> None:
    header = value["sealed"]["recipients"][0]["header"]
    header["ek"] = flipped(header["ek"], 1119)
