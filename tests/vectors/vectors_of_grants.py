"""Vectors of deliveries that open through a grant."""

from collections.abc import Iterator
from typing import Any

from tests.vectors import workshop as w
from tests.vectors.bending import Bend, Vector, bent, flipped, put, vector

READERS = ("de/police", "int/unodc/desk")
PLACE = w.INDEX + 3
"""Of the grant's leaf."""


def notice() -> w.Parts:
    """Return a notice to its sender and one other."""
    said = w.statement(notice_id=w.identifier(2), thread=w.identifier(2))
    body = w.sealed(said, to=("fr/customs", "kz/focal-point"))
    said = w.digest(said, body)
    return w.Parts(said, w.proof(said), body)


def granting(
    about: w.Parts, *, said: dict[str, Any] | None = None, key: str = "fr/customs/one", **bends: Any
) -> w.Parts:
    """Return a grant of a notice to two others; `said` replaces members of its statement, `bends` those of `sealed`."""
    stanzas = w.by_kid([w.stanza(name, bends.pop("content_key", w.CONTENT_KEY)) for name in READERS])
    root = w.b64(w.merkle.root_of([w.entry(item) for item in stanzas]))
    statement = {
        **w.statement("grant"),
        **(said or {}),
        "sealed": {**about.said["sealed"], "recipients_root": root, "recipient_count": 2, **bends},
    }
    return w.Parts(statement, w.proof(statement, key), {"recipients": stanzas})


def leaf(parts: w.Parts, received_at: int) -> bytes:
    digest = w.sha256(b"\x00" + w.sha256(w.dumps(parts.said)) + w.sha256(w.dumps(parts.proof)))
    return b"\x01" + received_at.to_bytes(8, "big") + digest


def through(
    about: w.Parts, grant: w.Parts, to: str = "de/police", *, granted_at: int = w.RECEIVED_AT
) -> dict[str, Any]:
    """Return what one of a grant's recipients gets: the notice, its own stanza, the grant, both in one tree."""
    value = w.delivery(about, "kz/focal-point")
    hashes = [w.sha256(f"leaf {number}".encode()) for number in range(w.TREE)]
    hashes[w.INDEX] = w.merkle.leaf_hash(leaf(about, w.RECEIVED_AT))
    hashes[PLACE] = w.merkle.leaf_hash(leaf(grant, granted_at))
    note = w.sign_checkpoint(w.LOG, w.TREE, w.merkle.root_of_hashes(hashes), at=w.RECEIVED_AT // 1000 + 1)

    def inclusion(index: int, received_at: int) -> dict[str, Any]:
        path = [w.b64(node) for node in w.merkle.inclusion_path(hashes, index)]
        return {
            "received_at": received_at,
            "index": index,
            "size": w.TREE,
            "path": path,
            "checkpoint": w.b64(note),
        }

    assert grant.sealed is not None
    stanzas = grant.sealed["recipients"]
    number = [item["header"]["kid"] for item in stanzas].index(w.sealing(to).kid)
    entries = [w.merkle.leaf_hash(w.entry(item)) for item in stanzas]
    return {
        **value,
        "sealed": {**value["sealed"], **stanzas[number]},
        "recipient": {
            "index": number,
            "size": len(stanzas),
            "path": [w.b64(node) for node in w.merkle.inclusion_path(entries, number)],
        },
        "grant": {
            "statement": w.b64(w.dumps(grant.said)),
            "proof": grant.proof,
            "inclusion": inclusion(PLACE, granted_at),
        },
        "inclusion": inclusion(w.INDEX, w.RECEIVED_AT),
    }


def grants() -> Iterator[Vector]:
    """What a recipient gets of a notice that it was granted."""
    about = notice()
    whole = through(about, granting(about))

    def given(name: str, description: str, outcome: str, value: dict[str, Any], **more: Any) -> Vector:
        more = {"opens": ("de/police",), **more}
        return vector(f"granted-{name}", description, outcome, value, kind="delivery", **more)

    def refused(name: str, description: str, bend: Bend, outcome: str = "unverified") -> Vector:
        return given(name, description, outcome, bent(whole, bend))

    def other(name: str, description: str, grant: w.Parts, outcome: str = "unverified") -> Vector:
        return given(name, description, outcome, through(about, grant))

    yield given("good", "A notice that was granted, opened.", "ok", whole, notice=w.NOTICE)
    yield given(
        "good-second",
        "The grant's other recipient.",
        "ok",
        through(about, granting(about), "int/unodc/desk"),
        opens=("int/unodc/desk",),
        notice=w.NOTICE,
    )
    yield refused(
        "older-checkpoint",
        "The grant's own `checkpoint` is not looked at.",
        put("grant", "inclusion", "checkpoint", to=w.b64(b"not a note")),
        "ok",
    ) | {"expected": {"outcome": "ok", "notice": w.NOTICE}}
    yield refused("without", "The grant left out: the stanza is not under the notice's root.", put("grant", to=None))
    yield other("other-notice", "A grant of another notice.", granting(about, said={"ref": w.identifier(3)}))
    yield other("topic", "A grant with another topic.", granting(about, said={"topic": "osce.heroin"}))
    label = {**about.said["label"], "tlp": "clear"}
    yield other("label", "A grant with another label.", granting(about, said={"label": label}))
    yield other("expires", "A grant with another expiry.", granting(about, said={"expires_at": "2026-04-02T00:00:00Z"}))
    yield other("thread", "A grant in another thread.", granting(about, said={"thread": w.identifier(4)}))
    yield other("content", "A grant of another ciphertext.", granting(about, content_digest=w.b64(bytes(32))))
    yield other("length", "A grant that says another length.", granting(about, length=7))
    yield other("sender", "A grant of a holder's own.", granting(about, said={"sender": "kz/focal-point"}))
    yield other(
        "closed-key", "Signed by a key that was closed.", granting(about, key="fr/customs/closed"), "revoked-key"
    )
    yield other("unknown-key", "Signed by nobody known.", granting(about, key="xx/nobody"), "unknown-key")
    yield other("other-key", "Another content key in the stanza.", granting(about, content_key=w.seed("another key")))
    late = through(about, granting(about), granted_at=w.RECEIVED_AT + 15 * 86_400_000)
    yield given("late", "The grant was received 15 days after it was issued.", "clock-skew", late)
    yield refused(
        "received-at",
        "Another `received_at` than the grant's leaf has.",
        put("grant", "inclusion", "received_at", to=w.RECEIVED_AT + 1),
    )
    yield refused("place", "The grant's leaf at another place.", put("grant", "inclusion", "index", to=PLACE - 1))
    yield refused("size", "A size that is not the checkpoint's.", put("grant", "inclusion", "size", to=w.TREE + 1))
    yield refused(
        "path",
        "One bit of the grant's path.",
        lambda value: put("grant", "inclusion", "path", 1, to=flipped(value["grant"]["inclusion"]["path"][1]))(value),
    )
    yield refused(
        "recipient-size", "`recipient.size` is the notice's, not the grant's.", put("recipient", "size", to=3)
    )
    yield refused(
        "form", "A grant without `proof`.", lambda value: value["grant"].pop("proof") and None, "invalid-form"
    )
    second = w.proof(granting(about).said, "fr/customs/two")
    yield refused("other-proof", "A second proof: the leaf is of the first.", put("grant", "proof", to=second))
