"""Vectors that hold, and vectors that fail by their bytes or their form (step 1)."""

import json
from collections.abc import Iterator
from typing import Any

from tests.vectors import workshop as w
from tests.vectors.bending import SUBSCRIPTION, Bend, Vector, acknowledgement, bent, drop, grant, put, vector


def good() -> Iterator[Vector]:
    """Every act in its form, and the corners of what is allowed."""
    for act in ("issue", "correct", "recall", "ask_access", "ask_use", "permit", "certify", "refuse"):
        yield vector(f"act-{act}", f"A sealed act, {act}, to three recipients.", "ok", w.issue(act).bytes())
    for act in ("consent", "withdraw", "handover", "heartbeat", "stop", "outcome", "close"):
        yield vector(f"act-{act}", f"An act of a room, {act}.", "ok", w.issue(act).bytes())
    yield vector(
        "act-grant", "New stanzas for another notice's ciphertext, without the sender's.", "ok", grant().bytes()
    )
    yield vector(
        "act-acknowledge", "To one other participant, without topic and label.", "ok", acknowledgement().bytes()
    )
    kids = sorted((w.identity("fr/customs/two").kids[0], w.sealing("fr/customs").kid))
    open_acts = {
        "subscribe": SUBSCRIPTION,
        "unsubscribe": SUBSCRIPTION,
        "revoke_key": {"participant": "fr/customs", "kids": kids, "reason": "lost"},
        "delegate": {"to": "fr/customs", "from": "2026-03-01T00:00:00Z", "until": "2026-03-08T00:00:00Z"},
    }
    for act, body in open_acts.items():
        yield vector(f"act-{act}", f"An open act, {act}: nothing is sealed.", "ok", w.opened(act, body).bytes())
    yield vector(
        "issue-answer",
        "An issue that refers to another notice, in its thread.",
        "ok",
        w.issue(ref=w.identifier(2), thread=w.identifier(2)).bytes(),
    )
    bare = {**w.LABEL, "handling": [], "urgency": None, "conditions": [], "nominal": True}
    yield vector("label-bare", "Empty lists and null codes in the label.", "ok", w.issue(label=bare).bytes())
    full = {**w.LABEL, "classification": "restricted", "reply_due": "2026-03-02T12:00:00Z"}
    yield vector("label-full", "A classification and a time to reply by.", "ok", w.issue(label=full).bytes())
    attached = [{"digest": w.b64(w.sha256(b"x")), "length": 0}, {"digest": w.b64(w.sha256(b"y")), "length": 2**53 - 1}]
    yield vector(
        "attachments", "Two attachments, the longest length there is.", "ok", w.issue(attachments=attached).bytes()
    )
    texts = [w.dumps(w.statement("subscribe", body=SUBSCRIPTION, notice_id=w.identifier(n))) for n in range(1024)]
    for count, index in ((2, 1), (5, 4), (7, 3), (1024, 1023)):
        proof = w.batch(texts[:count], index)
        said = json.loads(texts[index])
        yield vector(
            f"batch-{count}-{index}",
            f"Statement {index} of {count} under one head.",
            "ok",
            w.Parts(said, proof, None).bytes(),
        )
    two = w.issue(sender="fr/customs")
    two.proof = w.proof(two.said, "fr/customs/two")
    yield vector("second-gateway", "Signed by the participant's second signing identity.", "ok", two.bytes())
    closing = w.issue()
    closing.proof = w.proof(closing.said, "fr/customs/closing")
    yield vector("key-closing", "The key is closed at the next index: still in force here.", "ok", closing.bytes())
    revoked = {w.identity("fr/customs/one").kids[0]: w.INDEX}
    yield vector(
        "key-revoked-here",
        "Revoked at this very index: in force, revocation ends later leaves.",
        "ok",
        w.issue().bytes(),
        revoked=revoked,
    )
    for name, at in (("clock-edge-ahead", "2026-03-01T12:05:00Z"), ("clock-edge-behind", "2026-02-15T12:00:00Z")):
        yield vector(name, "`issued_at` exactly at the limit.", "ok", w.issue(issued_at=at).bytes())
    yield vector(
        "expiry-edge", "Expires one second after the leaf.", "ok", w.issue(expires_at="2026-03-01T12:00:01Z").bytes()
    )
    yield vector(
        "time-year-9999", "The last second of the last year.", "ok", w.issue(expires_at="9999-12-31T23:59:59Z").bytes()
    )
    yield vector("time-leap-day", "A leap day that exists.", "ok", w.issue(expires_at="2028-02-29T00:00:00Z").bytes())


def bad_bytes() -> Iterator[Vector]:
    """What is not in the one encoding."""
    text = w.opened("subscribe", SUBSCRIPTION).bytes()
    whole = json.loads(text)

    def malformed(name: str, description: str, data: bytes, **more: Any) -> Vector:
        return vector(f"bytes-{name}", description, "malformed", data, **more)

    yield malformed("empty", "Nothing at all.", b"")
    yield malformed("truncated", "The last byte is missing.", text[:-1])
    yield malformed("trailing", "Something follows the object.", text + b"{}")
    yield malformed("newline", "A final newline.", text + b"\n")
    yield malformed("space", "A space after a colon.", text.replace(b'"proof":', b'"proof": ', 1))
    yield malformed("bom", "A byte order mark.", b"\xef\xbb\xbf" + text)
    yield malformed("not-utf8", "A byte that is not UTF-8.", text.replace(b"payload", b"paylo\xff", 1))
    yield malformed("escape", "A member's name with an escape.", text.replace(b'"proof"', b'"\\u0070roof"', 1))
    yield malformed("escaped-slash", "An escape that means itself.", text.replace(b'"index"', b'"in\\/dex"', 1))
    yield malformed(
        "duplicate", "A member twice, with the same value.", text.replace(b'"index":0', b'"index":0,"index":0', 1)
    )
    yield malformed("list", "A list instead of an object.", b"[" + text + b"]")
    yield malformed("float", "A number with a fraction.", text.replace(b'"index":0', b'"index":0.0', 1))
    yield malformed("exponent", "A number with an exponent.", text.replace(b'"size":1', b'"size":1e0', 1))
    yield malformed("minus-zero", "A negative zero.", text.replace(b'"index":0', b'"index":-0', 1))
    yield malformed("leading-zero", "A leading zero.", text.replace(b'"size":1', b'"size":01', 1))
    yield malformed(
        "huge-number", "An integer beyond 64 bits.", text.replace(b'"index":0', b'"index":18446744073709551616', 1)
    )
    yield malformed("nan", "NaN, which is not JSON.", text.replace(b'"index":0', b'"index":NaN', 1))
    deep = text.replace(b'"path":[]', b'"path":' + b"[" * 31 + b"]" * 31, 1)
    yield malformed("depth-33", "Nested 33 deep.", deep)
    bottomless = text.replace(b'"path":[]', b'"path":' + b"[" * 300 + b"]" * 300, 1)
    yield malformed("depth-302", "Nested 302 deep.", bottomless)
    inner = w.unb64(whole["statement"])
    for name, change in (
        ("space", inner.replace(b'"v":1', b'"v": 1')),
        ("duplicate", inner.replace(b'"v":1', b'"v":1,"v":1')),
        ("escape", inner.replace(b"subscribe", b"subscrib\\u0065")),
        ("ampersand", inner.replace(b"test.invalid", b"test&invalid")),
        ("non-ascii", inner.replace(b"test.invalid", "tést.invalid".encode())),
        ("newline", inner + b"\n"),
    ):
        value = {**whole, "statement": w.b64(change), "proof": w.proof(change)}
        yield vector(f"statement-{name}", f"Inside the statement, signed as it is: {name}.", "malformed", value)
    yield vector(
        "depth-32",
        "Nested 32 deep is the encoding's limit; the form refuses it.",
        "invalid-form",
        text.replace(b'"path":[]', b'"path":' + b"[" * 30 + b"]" * 30, 1),
    )
    yield vector("too-large", "One byte more than 1 MiB, by spaces at the end.", "too-large", text, pad=(1 << 20) + 1)
    payload = w.unb64(whole["proof"]["head"]["payload"]).replace(b'"size":1', b'"size": 1')
    spaced = bent(whole, put("proof", "head", to=w.head(payload)))
    yield vector("payload-space", "A space inside the signed payload.", "malformed", spaced)


def bad_form() -> Iterator[Vector]:
    """What is in the one encoding, and not of the form."""
    parts = w.issue()
    whole = parts.value()
    few = w.opened("subscribe", SUBSCRIPTION).value()

    def refused(name: str, description: str, base: Any, bend: Bend, pointer: str | None = None) -> Vector:
        more = {} if pointer is None else {"pointer": pointer}
        return vector(f"form-{name}", description, "invalid-form", bent(base, bend), **more)

    def said(name: str, description: str, act: str, pointer: str, /, **changes: Any) -> Vector:
        sealed_act = act not in ("subscribe", "unsubscribe", "revoke_key", "delegate")
        base = parts if sealed_act else w.Parts(w.statement(act, body=SUBSCRIPTION), {}, None)
        text = {**w.statement(act, sealed=base.said["sealed"], body=base.said["body"]), **changes}
        value = w.Parts(text, w.proof(text), base.sealed).value()
        return vector(f"form-{name}", description, "invalid-form", value, pointer=pointer)

    # members
    yield refused("member-missing", "No `sealed`, not even null.", few, drop("sealed"))
    yield refused("member-unknown", "A member that nobody knows.", few, put("extra", to=None))
    yield refused(
        "member-order",
        "`proof` before `statement`.",
        few,
        lambda value: {name: value[name] for name in ("proof", "statement", "sealed")},
    )
    yield refused("sealed-absent", "A sealed act whose envelope seals nothing.", whole, put("sealed", to=None))
    yield refused("sealed-open", "An open act whose envelope seals something.", few, put("sealed", to=whole["sealed"]))
    # signatures and head
    signatures = ("proof", "head", "signatures")
    yield refused("one-signature", "The ML-DSA-65 signature is missing.", few, drop(*signatures, 1))
    yield refused("one-signature-pq", "The Ed25519 signature is missing.", few, drop(*signatures, 0))
    yield refused(
        "three-signatures",
        "Three signatures.",
        few,
        lambda value: value["proof"]["head"]["signatures"].append(value["proof"]["head"]["signatures"][0]),
    )
    yield refused(
        "swapped-signatures",
        "ML-DSA-65 before Ed25519.",
        few,
        lambda value: value["proof"]["head"]["signatures"].reverse(),
    )
    yield refused("swapped-headers", "The two protected headers changed places.", few, swap_headers)
    short = few["proof"]["head"]["signatures"][0]["signature"]
    yield refused(
        "signature-length",
        "An Ed25519 signature of 63 bytes.",
        few,
        put(*signatures, 0, "signature", to=w.b64(w.unb64(short)[:63])),
    )
    kids = w.identity("fr/customs/one").kids
    text = w.dumps(parts.said)
    payload = w.dumps(w.payload([text]))
    for name, headers in (
        ("alg-other", [{"alg": "EdDSA", "kid": kids[0], "typ": "valise-batch+json"}, None]),
        ("alg-pq-other", [None, {"alg": "ML-DSA-87", "kid": kids[1], "typ": "valise-batch+json"}]),
        ("head-typ", [{"alg": "Ed25519", "kid": kids[0], "typ": "valise-receipt+json"}, None]),
        ("header-extra", [{"alg": "Ed25519", "kid": kids[0], "typ": "valise-batch+json", "crit": []}, None]),
        ("header-jwk", [{"alg": "Ed25519", "jwk": {}, "typ": "valise-batch+json"}, None]),
        ("kid-short", [{"alg": "Ed25519", "kid": kids[0][:42], "typ": "valise-batch+json"}, None]),
        ("kid-bits", [{"alg": "Ed25519", "kid": kids[0][:42] + "B", "typ": "valise-batch+json"}, None]),
    ):
        usual = [w.protected_header(alg, kid) for alg, kid in zip(w.ALGORITHMS, kids, strict=True)]
        texts = [one if other is None else w.b64(w.dumps(other)) for one, other in zip(usual, headers, strict=True)]
        signed = w.head(payload, protected=texts)
        yield refused(
            name, f"A protected header of the head, signed as it is: {name}.", whole, put("proof", "head", to=signed)
        )
    for name, changes, description in (
        ("batch-typ", {"typ": "valise-batch/2"}, "A payload of another version."),
        ("batch-size-1025", {"size": 1025}, "1,025 statements under one head."),
        ("batch-size-0", {"size": 0}, "No statement under the head."),
        ("batch-origin", {"origin": "test.invalid/other"}, "A head for another deployment than its statement."),
        ("batch-time", {"issued_at": "2026-03-01T11:59:60Z"}, "A leap second in the head."),
        ("batch-signer", {"signer": "customs"}, "A signer that is no participant."),
    ):
        proof = {**w.proof(parts.said, **changes), "size": changes.get("size", 1)}
        yield refused(name, description, {**whole, "proof": proof}, unbent)
    yield refused("index-equals-size", "`index` equal to `size`.", few, put("proof", "index", to=1), "/proof")
    yield refused("size-differs", "`size` differs from the head's.", few, put("proof", "size", to=2), "/proof")
    yield refused("negative", "A negative index.", few, put("proof", "index", to=-1), "/proof/index")
    yield refused("integer-2-53", "An index of 2^53.", few, put("proof", "index", to=2**53), "/proof/index")
    yield refused("integer-boolean", "`true` for an integer.", few, put("proof", "size", to=True), "/proof/size")
    yield refused("integer-string", "A string for an integer.", few, put("proof", "size", to="1"), "/proof/size")
    yield refused(
        "path-65", "A path of 65 nodes.", few, put("proof", "path", to=[w.b64(bytes(32))] * 65), "/proof/path/64"
    )
    yield refused(
        "path-node-31", "A node of 31 bytes.", few, put("proof", "path", to=[w.b64(bytes(31))]), "/proof/path/0"
    )
    yield refused(
        "path-bits",
        "A node whose last character has loose bits.",
        few,
        put("proof", "path", to=["A" * 42 + "B"]),
        "/proof/path/0",
    )
    yield refused("path-null", "`null` instead of an empty list.", few, put("proof", "path", to=None), "/proof/path")
    # base64
    body = ("sealed",)
    yield refused(
        "b64-padding",
        "Base64 with padding.",
        whole,
        put("sealed", "tag", to=whole["sealed"]["tag"] + "=="),
        "/sealed/tag",
    )
    yield refused(
        "b64-standard",
        "The standard alphabet's plus sign.",
        whole,
        put("sealed", "iv", to="+" + whole["sealed"]["iv"][1:]),
        "/sealed/iv",
    )
    yield refused(
        "b64-bits",
        "A tag whose last character has loose bits.",
        whole,
        put("sealed", "tag", to=whole["sealed"]["tag"][:-1] + "B"),
        "/sealed/tag",
    )
    yield refused(
        "b64-length",
        "Base64 of an impossible length.",
        whole,
        put("sealed", "ciphertext", to="AAAAA"),
        "/sealed/ciphertext",
    )
    yield refused("b64-empty", "An empty ciphertext.", whole, put("sealed", "ciphertext", to=""), "/sealed/ciphertext")
    yield refused(
        "b64-ek",
        "An `ek` with the plus sign.",
        whole,
        lambda value: put(
            *body, "recipients", 0, "header", "ek", to="+" + value["sealed"]["recipients"][0]["header"]["ek"][1:]
        )(value),
        "/sealed/recipients/0",
    )
    # stanzas
    yield refused(
        "recipients-empty", "No stanza at all.", whole, put("sealed", "recipients", to=[]), "/sealed/recipients"
    )
    yield refused(
        "recipients-reordered",
        "Stanzas in descending order.",
        whole,
        lambda value: value["sealed"]["recipients"].reverse(),
        "/sealed/recipients",
    )
    yield refused(
        "recipients-twice",
        "The same stanza twice.",
        whole,
        lambda value: value["sealed"]["recipients"].insert(0, value["sealed"]["recipients"][0]),
        "/sealed/recipients",
    )
    yield refused("recipient-shifted", "A byte moved from `ek` to `encrypted_key`.", whole, shift_byte)
    yield refused(
        "recipient-alg",
        "A stanza of another suite.",
        whole,
        put("sealed", "recipients", 0, "header", "alg", to="HPKE-8-KE"),
    )
    yield refused("recipient-header", "`ek` beside the header instead of inside.", whole, lift_ek)
    for name, changes in (
        ("enc", {"enc": "A128GCM"}),
        ("sealed-typ", {"typ": "JWE"}),
        ("cty", {"cty": "application/json"}),
        ("binding-length", {"binding": w.b64(bytes(31))}),
        ("header-alg", {"alg": "HPKE-9-KE"}),
        ("header-zip", {"zip": "DEF"}),
    ):
        bad = w.statement()
        jwe = w.sealed(bad, header=w.protected(bad, **changes))
        bad = w.digest(bad, jwe)
        yield vector(
            f"form-{name}",
            f"The seal's protected header: {name}.",
            "invalid-form",
            w.Parts(bad, w.proof(bad), jwe).value(),
        )
    # statements, each signed as it is
    yield said("v-2", "Another version.", "issue", "/v", v=2)
    yield said("v-string", "The version as a string.", "issue", "/v", v="1")
    yield said("act-unknown", "An act that nobody knows.", "issue", "/act", act="publish")
    yield said("empty-string", "An empty string.", "issue", "/sender", sender="")
    yield said("sender-upper", "An upper-case participant.", "issue", "/sender", sender="FR/customs")
    yield said("sender-int", "An organisation without a desk.", "issue", "/sender", sender="int/unodc")
    yield said("id-v4", "A UUID of version 4.", "issue", "/notice_id", notice_id="019ca8c2-e480-4000-8000-000000000001")
    yield said(
        "id-upper", "An upper-case UUID.", "issue", "/notice_id", notice_id="019CA8C2-E480-7000-8000-000000000001"
    )
    yield said(
        "id-variant",
        "A UUID of another variant.",
        "issue",
        "/notice_id",
        notice_id="019ca8c2-e480-7000-c000-000000000001",
    )
    yield said("origin-space", "An origin with a space.", "issue", "/origin", origin="test invalid")
    yield said("topic-form", "A topic of three parts.", "issue", "/topic", topic="central-asia.heroin.bulk")
    yield said("topic-star", "A pattern where a topic belongs.", "issue", "/topic", topic="central-asia.*")
    yield said("time-leap-second", "A leap second.", "issue", "/expires_at", expires_at="2026-06-30T23:59:60Z")
    yield said("time-feb-30", "The 30th of February.", "issue", "/expires_at", expires_at="2027-02-30T00:00:00Z")
    yield said(
        "time-feb-29",
        "The 29th of February of a common year.",
        "issue",
        "/expires_at",
        expires_at="2027-02-29T00:00:00Z",
    )
    yield said("time-hour-24", "Hour 24.", "issue", "/expires_at", expires_at="2026-06-30T24:00:00Z")
    yield said("time-year-0", "The year 0000.", "issue", "/issued_at", issued_at="0000-01-01T00:00:00Z")
    yield said("time-offset", "An offset instead of Z.", "issue", "/issued_at", issued_at="2026-03-01T11:59:30+00:00")
    yield said("time-fraction", "A fraction of a second.", "issue", "/issued_at", issued_at="2026-03-01T11:59:30.5Z")
    yield said("time-lower", "A small t and z.", "issue", "/issued_at", issued_at="2026-03-01t11:59:30z")
    yield said("nonce-15", "A nonce of 15 bytes.", "issue", "/nonce", nonce=w.b64(bytes(15)))
    yield said("thread-other", "A first notice in another's thread.", "issue", "/thread", thread=w.identifier(2))
    yield said("ref-absent", "A recall of nothing.", "recall", "/ref", ref=None)
    yield said("label-absent", "An issue without a label.", "issue", "/label", label=None)
    yield said("topic-absent", "A correction without a topic.", "correct", "/topic", topic=None)
    yield said("expiry-absent", "A sealed act that never expires.", "issue", "/expires_at", expires_at=None)
    yield said(
        "acknowledge-topic", "An acknowledgement with a topic.", "acknowledge", "/topic", topic="central-asia.heroin"
    )
    yield said("open-ref", "An open act that refers to a notice.", "subscribe", "/ref", ref=w.identifier(2))
    yield said("open-expiry", "An open act that expires.", "subscribe", "/expires_at", expires_at=w.EXPIRES)
    one = [{"digest": w.b64(bytes(32)), "length": 1}]
    yield said("open-attachment", "An open act with an attachment.", "subscribe", "/attachments", attachments=one)
    yield said("attachments-null", "`null` instead of an empty list.", "issue", "/attachments", attachments=None)
    yield said(
        "attachment-float",
        "An attachment whose length is a string.",
        "issue",
        "/attachments/0/length",
        attachments=[{"digest": w.b64(bytes(32)), "length": "1"}],
    )
    yield said("body-sealed", "A body in a sealed act.", "issue", "/body", body=SUBSCRIPTION)
    yield said("body-absent", "A subscription without a body.", "subscribe", "/body", body=None)
    yield said(
        "patterns-unsorted",
        "Patterns out of order.",
        "subscribe",
        "/body/patterns",
        body={**SUBSCRIPTION, "patterns": ["central-asia.*", "*.precursors"]},
    )
    yield said("patterns-empty", "No pattern.", "subscribe", "/body/patterns", body={**SUBSCRIPTION, "patterns": []})
    yield said(
        "pattern-partial",
        "A star for a part of a half.",
        "subscribe",
        "/body/patterns",
        body={**SUBSCRIPTION, "patterns": ["central-*.heroin"]},
    )
    yield said(
        "kids-twice",
        "A kid twice.",
        "revoke_key",
        "/body/kids",
        body={"participant": "fr/customs", "kids": [kids[0], kids[0]], "reason": "lost"},
    )
    yield said(
        "delegate-backward",
        "A delegation that ends before it begins.",
        "delegate",
        "/body/from",
        body={"to": "fr/customs", "from": "2026-03-08T00:00:00Z", "until": "2026-03-08T00:00:00Z"},
    )
    yield said(
        "count-0",
        "Sealed to nobody.",
        "issue",
        "/sealed/recipient_count",
        sealed={**parts.said["sealed"], "recipient_count": 0},
    )
    for name, member, value, pointer in (
        ("label-code", "tlp", "AMBER", "/label/tlp"),
        ("label-null", "tlp", None, "/label/tlp"),
        ("label-text", "purpose", "to investigate", "/label/purpose"),
        ("label-boolean", "nominal", 0, "/label/nominal"),
        ("label-handling-unsorted", "handling", ["h1", "h0"], "/label/handling"),
        ("label-handling-null", "handling", None, "/label/handling"),
        ("label-conditions-twice", "conditions", [{"code": "region", "values": []}] * 2, "/label/conditions"),
        (
            "label-condition-values",
            "conditions",
            [{"code": "region", "values": ["b", "a"]}],
            "/label/conditions/0/values",
        ),
    ):
        yield said(name, f"The label's `{member}`.", "issue", pointer, label={**w.LABEL, member: value})
    yield said(
        "label-order", "The label's members in another order.", "issue", "/label", label=dict(reversed(w.LABEL.items()))
    )
    yield said("checkpoint-null", "No checkpoint instead of an empty one.", "issue", "/checkpoint", checkpoint=None)


def unbent(_: Any) -> None:
    """Leave a value as it is: it was made wrong."""


def swap_headers(value: dict[str, Any]) -> None:
    first, second = value["proof"]["head"]["signatures"]
    first["protected"], second["protected"] = second["protected"], first["protected"]


def shift_byte(value: dict[str, Any]) -> None:
    one = value["sealed"]["recipients"][0]
    ek, key = w.unb64(one["header"]["ek"]), w.unb64(one["encrypted_key"])
    one["header"]["ek"], one["encrypted_key"] = w.b64(ek[:-1]), w.b64(ek[-1:] + key)


def lift_ek(value: dict[str, Any]) -> None:
    one = value["sealed"]["recipients"][0]
    ek = one["header"].pop("ek")
    value["sealed"]["recipients"][0] = {"header": one["header"], "ek": ek, "encrypted_key": one["encrypted_key"]}
