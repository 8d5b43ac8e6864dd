"""Vectors of deliveries, good and bad, and of what is inside their seals (step 8)."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from tests.vectors import workshop as w
from tests.vectors.bending import (
    ACKNOWLEDGED,
    SUBSCRIPTION,
    Bend,
    Vector,
    acknowledgement,
    bent,
    drop,
    flipped,
    grant,
    other_origin,
    put,
    vector,
)


def deliveries() -> Iterator[Vector]:
    """What one recipient gets."""
    parts = w.issue()
    whole = w.delivery(parts)

    def given(name: str, description: str, outcome: str, value: dict[str, Any] | bytes, **more: Any) -> Vector:
        return vector(f"delivery-{name}", description, outcome, value, kind="delivery", **more)

    def refused(name: str, description: str, bend: Bend, outcome: str = "unverified", **more: Any) -> Vector:
        return given(name, description, outcome, bent(whole, bend), **more)

    yield given("good", "A notice, opened.", "ok", whole, notice=w.NOTICE)
    yield given(
        "good-sender",
        "The sender's own copy.",
        "ok",
        w.delivery(parts, "fr/customs"),
        opens=("fr/customs",),
        notice=w.NOTICE,
    )
    yield given(
        "good-acknowledge", "An acknowledgement, opened.", "ok", w.delivery(acknowledgement()), notice=ACKNOWLEDGED
    )
    for name, key in (("closing", "fr/customs/closing"),):
        old = w.Parts(parts.said, w.proof(parts.said, key), parts.sealed)
        yield given(f"key-{name}", "Signed by a key that was closed later.", "ok", w.delivery(old), notice=w.NOTICE)
    yield given(
        "key-revoked-later",
        "Signed by a key that was revoked later.",
        "ok",
        whole,
        notice=w.NOTICE,
        revoked={w.identity("fr/customs/one").kids[1]: w.INDEX + 5},
    )
    yield given(
        "own-key-revoked",
        "The recipient's own key was revoked: it opens what was sealed to it.",
        "ok",
        whole,
        notice=w.NOTICE,
        revoked={w.sealing("kz/focal-point").kid: 3},
    )
    for length in (0, 1, 127, 4000):
        said = w.statement()
        jwe = w.sealed(said, w.plaintext(said, {"x": "y" * length}))
        said = w.digest(said, jwe)
        value = w.delivery(w.Parts(said, w.proof(said), jwe))
        yield given(
            f"length-{length}", f"A text of {length} characters: padding.", "ok", value, notice={"x": "y" * length}
        )

    # form
    text = w.dumps(whole)
    yield given("space", "A space after a colon.", "malformed", text.replace(b'"grant":', b'"grant": ', 1))
    yield given(
        "duplicate", "A member twice.", "malformed", text.replace(b'"grant":null', b'"grant":null,"grant":null', 1)
    )
    yield refused("grant-absent", "No `grant`, not even null.", drop("grant"), "invalid-form")
    yield refused("path-null", "`null` instead of a list.", put("inclusion", "path", to=None), "invalid-form")
    yield refused(
        "recipient-index", "`recipient.index` equal to `size`.", put("recipient", "index", to=3), "invalid-form"
    )
    yield refused(
        "inclusion-index", "`inclusion.index` equal to `size`.", put("inclusion", "index", to=w.TREE), "invalid-form"
    )
    yield refused(
        "recipients-list", "All stanzas instead of one's own.", put("sealed", to=parts.sealed), "invalid-form"
    )
    opened = w.opened("subscribe", SUBSCRIPTION)
    yield refused(
        "open-act",
        "An open act is not delivered.",
        lambda value: {**value, "statement": w.b64(w.dumps(opened.said)), "proof": opened.proof},
        "invalid-form",
    )
    granted = grant()
    yield refused(
        "grant-as-statement",
        "A grant's statement where the notice's belongs.",
        lambda value: {**value, "statement": w.b64(w.dumps(granted.said)), "proof": granted.proof},
        "invalid-form",
    )
    through = {"statement": w.b64(w.dumps(granted.said)), "proof": granted.proof, "inclusion": w.inclusion(granted)}
    yield refused("grant", "Through a grant that is of another notice.", put("grant", to=through))
    yield refused(
        "grant-of-issue",
        "An issue's statement where the grant's belongs.",
        put("grant", to={**through, "statement": whole["statement"], "proof": whole["proof"]}),
        "invalid-form",
    )
    # truth
    yield given("wrong-origin", "Made for another deployment.", "wrong-origin", w.delivery(other_origin()))
    unknown = w.Parts(parts.said, w.proof(parts.said, "xx/nobody"), parts.sealed)
    yield given("unknown-key", "Signed by an identity that the directory lacks.", "unknown-key", w.delivery(unknown))
    closed = w.Parts(parts.said, w.proof(parts.said, "fr/customs/closed"), parts.sealed)
    yield given("closed-key", "Signed by a key that was closed at this index.", "revoked-key", w.delivery(closed))
    yield given(
        "revoked-key",
        "Signed by a key that was revoked before.",
        "revoked-key",
        whole,
        revoked={w.identity("fr/customs/one").kids[0]: 99},
    )
    yield given("not-mine", "Another's stanza.", "unverified", w.delivery(parts, "de/police"))
    yield refused("kid-renamed", "Another's stanza under one's own kid.", rename_kid)
    yield refused("recipient-size", "`recipient.size` is not the signed count.", put("recipient", "size", to=4))
    yield refused(
        "recipient-path",
        "One bit of one's own path.",
        lambda value: put("recipient", "path", 0, to=flipped(value["recipient"]["path"][0]))(value),
    )
    yield refused("recipient-path-short", "One's own path is empty.", put("recipient", "path", to=[]))
    yield refused(
        "received-at", "Another `received_at` than the leaf's.", put("inclusion", "received_at", to=w.RECEIVED_AT + 1)
    )
    yield refused("inclusion-place", "The leaf at another place.", put("inclusion", "index", to=w.INDEX - 1))
    yield refused("inclusion-size", "A size that is not the checkpoint's.", put("inclusion", "size", to=w.TREE + 1))
    yield refused(
        "inclusion-path",
        "One bit of the path.",
        lambda value: put("inclusion", "path", 2, to=flipped(value["inclusion"]["path"][2]))(value),
    )
    yield refused("inclusion-missing", "The path is empty.", put("inclusion", "path", to=[]))
    second = w.Parts(parts.said, w.proof(parts.said, "fr/customs/two"), parts.sealed)
    yield refused(
        "other-proof", "A second proof of the statement: the leaf is of the first.", put("proof", to=second.proof)
    )
    yield refused("leaf-type", "The leaf is of an open statement.", put("inclusion", to=w.inclusion(parts, kind=2)))
    late = w.inclusion(parts, received_at=w.RECEIVED_AT + 15 * 86_400_000)
    yield refused("clock-behind", "Received 15 days after it was issued.", put("inclusion", to=late), "clock-skew")
    early = w.inclusion(parts, received_at=w.RECEIVED_AT - 600_000)
    yield refused("clock-ahead", "Received ten minutes before it was issued.", put("inclusion", to=early), "clock-skew")
    short = w.issue(expires_at="2026-03-01T12:00:00Z")
    yield given("expired", "Received when it had expired.", "expired", w.delivery(short))
    for name, change in (
        ("note-unsigned", lambda note: note[: note.rindex(b"\xe2\x80\x94")]),
        ("note-twice", lambda note: note + note[note.rindex(b"\xe2\x80\x94") :]),
        ("note-root", lambda note: note.replace(note.split(b"\n")[2], w.base64.b64encode(bytes(32)))),
        ("note-size", lambda note: note.replace(b"\n130\n", b"\n131\n")),
        ("note-origin", lambda note: note.replace(b"test.invalid/vectors", b"test.invalid/others1")),
        ("note-text", lambda _: b"not a note"),
    ):
        note = change(w.unb64(whole["inclusion"]["checkpoint"]))
        yield refused(
            name, "A checkpoint that its log did not sign so.", put("inclusion", "checkpoint", to=w.b64(note))
        )
    note = w.unb64(whole["inclusion"]["checkpoint"]) + "— witness.test.invalid AAAAAAECAwQ=\n".encode()
    yield given(
        "note-witness",
        "A line of a key that the reader does not know is ignored.",
        "ok",
        bent(whole, put("inclusion", "checkpoint", to=w.b64(note))),
        notice=w.NOTICE,
    )
    for name in ("iv", "ciphertext", "tag", "protected"):
        yield refused(
            f"content-{name}",
            f"One bit of `{name}`.",
            put("sealed", name, to=flipped(whole["sealed"][name], -1)),
            "unverified" if name != "protected" else "malformed",
        )
    yield from plaintexts()


def rename_kid(value: dict[str, Any]) -> None:
    value["sealed"]["header"]["kid"] = w.sealing("kz/focal-point old").kid


def plaintexts() -> Iterator[Vector]:
    """What a sender with valid keys seals, signs and publishes, and no recipient may take."""

    def given(name: str, description: str, text: bytes | None, outcome: str = "unverified", **more: Any) -> Vector:
        said = w.statement()
        changes = more.pop("header", {})
        jwe = w.sealed(said, text, header=w.protected(said, **changes), content_key=more.pop("key", w.CONTENT_KEY))
        said = w.digest(said, jwe)
        value = w.delivery(w.Parts(said, w.proof(said), jwe))
        return vector(f"inside-{name}", description, outcome, value, kind="delivery", **more)

    label = w.statement()["label"]
    usual = w.dumps({"label": label, **w.NOTICE})
    yield given("padding-none", "No padding where some is due.", usual if len(usual) % 32 else usual + b" ")
    yield given("padding-more", "One space too many.", w.padded(usual) + b" ")
    yield given("padding-double", "Padded to twice its length.", usual.ljust(2 * len(usual)))
    yield given("padding-zeros", "Zero bytes instead of spaces.", usual.ljust(w.seal.padded_length(len(usual)), b"\0"))
    yield given(
        "label-tlp",
        "The label inside differs from the one outside.",
        w.padded(w.dumps({"label": {**label, "tlp": "red"}, **w.NOTICE})),
    )
    yield given("label-null", "No label inside.", w.padded(w.dumps({"label": None, **w.NOTICE})))
    yield given(
        "label-number",
        "`1` where the label outside says `true`.",
        w.padded(w.dumps({"label": {**label, "exercise": 1}, **w.NOTICE})),
    )
    yield given(
        "label-extra",
        "A member more in the label inside.",
        w.padded(w.dumps({"label": {**label, "extra": None}, **w.NOTICE})),
    )
    yield given("label-last", "The label is not the first member.", w.padded(w.dumps({**w.NOTICE, "label": label})))
    yield given("label-missing", "There is no label member.", w.padded(w.dumps(w.NOTICE)))
    yield given(
        "label-order",
        "The same label, its members in another order: equal as a value.",
        w.padded(w.dumps({"label": dict(reversed(label.items())), **w.NOTICE})),
        "ok",
        notice=w.NOTICE,
    )
    pretty = json.dumps({"label": label, **w.NOTICE}, indent=1).encode()
    yield given("white-space", "White space and escapes are allowed inside.", w.padded(pretty), "ok", notice=w.NOTICE)
    signed_number = {**w.NOTICE, "balance": -(2**53) + 1}
    yield given(
        "negative",
        "The smallest integer.",
        w.padded(w.dumps({"label": label, **signed_number})),
        "ok",
        notice=signed_number,
    )
    head = usual[:-1]
    for name, tail, description in (
        ("duplicate", b',"text":"again"}', "A member twice."),
        ("float", b',"mass":1.5}', "A number with a fraction."),
        ("exponent", b',"mass":1e3}', "A number with an exponent."),
        ("minus-zero", b',"mass":-0}', "A negative zero."),
        ("integer", b',"mass":9007199254740992}', "An integer of 2^53."),
        ("nan", b',"mass":NaN}', "NaN."),
        ("surrogate", b',"name":"\\ud800"}', "A lone surrogate."),
        ("not-utf8", b',"name":"\xff"}', "A byte that is not UTF-8."),
        ("control", b',"name":"a\nb"}', "A raw line break in a string."),
        ("depth", b',"deep":' + b"[" * 32 + b"]" * 32 + b"}", "Nested 33 deep."),
        ("trailing", b"}{}", "Something after the object."),
    ):
        yield given(name, f"Inside: {description}", w.padded(head + tail))
    yield given(
        "depth-32",
        "Nested 32 deep.",
        w.padded(head + b',"deep":' + b"[" * 31 + b"]" * 31 + b"}"),
        "ok",
        notice={**w.NOTICE, "deep": json.loads("[" * 31 + "]" * 31)},
    )
    yield given("list", "A list.", w.padded(b"[" + usual + b"]"))
    yield given("bom", "A byte order mark.", w.padded(b"\xef\xbb\xbf" + usual))
    yield given("blank", "Nothing but spaces.", b"    ")
    commitment = w.b64(w.sha256(b"valise/key-commitment/1\x00" + w.seed("another key")))
    yield given(
        "commitment", "Committed to another key than the stanzas hold.", None, header={"key_commitment": commitment}
    )
    yield from odd_stanzas()


def odd_stanzas() -> Iterator[Vector]:
    """Yield stanzas of the right form and root that do not hold the content key."""
    said = w.statement()
    jwe = w.sealed(said)
    kid = w.sealing("kz/focal-point").kid
    number = next(n for n, item in enumerate(jwe["recipients"]) if item["header"]["kid"] == kid)
    for name, ek, encrypted_key, description in (
        ("stanza-noise", w.b64(w.seed("noise") * 35), w.b64(bytes(48)), "A stanza of noise under the signed root."),
        ("stanza-zero", w.b64(bytes(1120)), w.b64(bytes(48)), "A stanza of zeros: an X25519 point of small order."),
        (
            "stanza-for-another",
            jwe["recipients"][number - 1]["header"]["ek"],
            jwe["recipients"][number - 1]["encrypted_key"],
            "Another's stanza under the recipient's kid, signed so.",
        ),
    ):
        changed = copy.deepcopy(jwe)
        changed["recipients"][number] = {
            "header": {"alg": "HPKE-9-KE", "kid": kid, "ek": ek},
            "encrypted_key": encrypted_key,
        }
        signed = w.digest(said, changed)
        value = w.delivery(w.Parts(signed, w.proof(signed), changed))
        yield vector(f"inside-{name}", description, "unverified", value, kind="delivery")
    other = w.sealed(said, content_key=w.seed("another key"))
    other["recipients"] = jwe["recipients"]
    signed = w.digest(said, other)
    value = w.delivery(w.Parts(signed, w.proof(signed), other))
    description = "Encrypted under another key than the one that was committed to and sealed."
    yield vector("inside-other-key", description, "unverified", value, kind="delivery")
