"""Envelopes and deliveries as forms: round trips, and one refusal with its pointer for every rule of the form."""

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import encoding
from schemas.acts import ACTS
from schemas.delivery import Delivery, delivery_bytes
from schemas.envelope import (
    Envelope,
    GrantedKeys,
    SealedHeader,
    SealedNotice,
    batch_payload,
    envelope_bytes,
    path_from_json,
    proof_to_json,
)
from schemas.errors import Error, FormError, MalformedError, TooLargeError
from tests import formed
from tests import strategies as wire
from tests.formed import b64, compact, unb64


@given(formed.envelopes())
def test_an_envelope_reads_as_what_it_says(drawn):
    statement, value = drawn
    data = compact(value)
    envelope = Envelope.parse(data)
    assert envelope.statement == statement
    assert envelope.statement_bytes == statement.encode()
    assert envelope_bytes(envelope.statement_bytes, envelope.proof_bytes, envelope.sealed_bytes) == data
    proof, head = envelope.proof, value["proof"]["head"]
    assert envelope.proof_bytes == compact(value["proof"])
    assert proof_to_json(proof.index, proof.size, proof.path, head) == value["proof"]
    payload = batch_payload(
        proof.head.origin, proof.head.signer, proof.head.size, proof.head.root, proof.head.issued_at
    )
    assert payload == unb64(head["payload"])
    assert proof.head.signing_inputs() == tuple(
        f"{one['protected']}.{head['payload']}".encode() for one in head["signatures"]
    )
    assert [b64(one.value) for one in proof.head.signatures] == [one["signature"] for one in head["signatures"]]
    headers = [encoding.parse(unb64(one["protected"])) for one in head["signatures"]]
    assert [header["kid"] for header in headers] == list(proof.head.kids)
    if statement.form.open:
        assert (envelope.sealed, envelope.sealed_bytes) == (None, None)
    else:
        assert envelope.sealed.to_json() == value["sealed"]
        assert envelope.sealed_bytes == compact(value["sealed"])
        assert isinstance(envelope.sealed, GrantedKeys if statement.act == "grant" else SealedNotice)
        for stanza, one in zip(envelope.sealed.recipients, value["sealed"]["recipients"], strict=True):
            entry = one["header"]["kid"].encode() + unb64(one["header"]["ek"]) + unb64(one["encrypted_key"])
            assert stanza.entry() == entry
            assert len(entry) == 43 + 1120 + 48


@given(wire.b64(32), wire.b64(32))
def test_a_sealed_header_is_its_own_text(binding, commitment):
    text = SealedHeader.encode(unb64(binding), unb64(commitment))
    read = SealedHeader.from_json(text, "/x")
    assert (read.protected, read.binding, read.key_commitment) == (text, unb64(binding), unb64(commitment))


@given(formed.deliveries())
def test_a_delivery_reads_as_what_it_says(drawn):
    statement, value = drawn
    data = compact(value)
    delivery = Delivery.parse(data)
    assert delivery.statement == statement
    assert compact(value["proof"]) == delivery.proof_bytes
    assert delivery.sealed.to_json() == value["sealed"]
    assert delivery.recipient.to_json() == value["recipient"]
    assert delivery.inclusion.to_json() == value["inclusion"]
    if value["grant"] is None:
        assert delivery.grant is None
        parts = (delivery.sealed, delivery.recipient, delivery.inclusion)
        assert delivery_bytes(delivery.statement_bytes, delivery.proof_bytes, *parts) == data
    else:
        assert b64(delivery.grant.statement_bytes) == value["grant"]["statement"]
        assert delivery.grant.statement.act == "grant"
        assert delivery.grant.inclusion.to_json() == value["grant"]["inclusion"]
        assert delivery.grant.proof.index == value["grant"]["proof"]["index"]


def at(value, path):
    """Return the object that a path leads into, and its last step."""
    *steps, last = path
    for step in steps:
        value = value[step]
    return value, last


def inside(change):
    """Return a change to what stands in base64url inside."""

    def apply(text):
        value = encoding.parse(unb64(text))
        change(value)
        return b64(compact(value))

    return apply


def put(name, new):
    return inside(lambda value: value.__setitem__(name, new))


def swap_first_two(items):
    return [items[1], items[0], *items[2:]]


ANY, ISSUE, GRANT, SUBSCRIBE = None, "issue", "grant", "subscribe"
LAST_KID = "z" * 42 + "w"
ENVELOPE_FAULTS = {
    "statement is no text": (ANY, ["statement"], lambda _: 7, "/statement"),
    "statement is not base64url": (ANY, ["statement"], lambda text: text + "=", "/statement"),
    "proof is no object": (ANY, ["proof"], lambda _: [], "/proof"),
    "open acts seal nothing": (SUBSCRIBE, ["sealed"], lambda _: {"recipients": []}, "/sealed"),
    "others do": (ISSUE, ["sealed"], lambda _: None, "/sealed"),
    "a grant has stanzas only": (GRANT, ["sealed"], lambda sealed: {**sealed, "iv": "AAAA"}, "/sealed"),
    "another origin's head": (
        ANY,
        ["proof", "head", "payload"],
        put("origin", "else.where"),
        "/proof/head/payload/origin",
    ),
    "index is not below size": (ANY, ["proof"], lambda proof: {**proof, "index": proof["size"]}, "/proof"),
    "size is not the head's": (ANY, ["proof"], lambda proof: {**proof, "size": proof["size"] + 1}, "/proof"),
    "a batch of none": (ANY, ["proof", "head", "payload"], put("size", 0), "/proof/head/payload/size"),
    "a batch of too many": (ANY, ["proof", "head", "payload"], put("size", 1025), "/proof/head/payload/size"),
    "another typ of payload": (
        ANY,
        ["proof", "head", "payload"],
        put("typ", "valise-batch/2"),
        "/proof/head/payload/typ",
    ),
    "a root of 31 bytes": (ANY, ["proof", "head", "payload"], put("root", b64(bytes(31))), "/proof/head/payload/root"),
    "a signer that is nobody": (ANY, ["proof", "head", "payload"], put("signer", "fr"), "/proof/head/payload/signer"),
    "a 60th second": (
        ANY,
        ["proof", "head", "payload"],
        put("issued_at", "2016-12-31T23:59:60Z"),
        "/proof/head/payload/issued_at",
    ),
    "one signature": (ANY, ["proof", "head", "signatures"], lambda pair: pair[:1], "/proof/head/signatures"),
    "three signatures": (ANY, ["proof", "head", "signatures"], lambda pair: pair + pair[:1], "/proof/head/signatures"),
    "signatures the other way round": (
        ANY,
        ["proof", "head", "signatures"],
        swap_first_two,
        "/proof/head/signatures/0/protected/alg",
    ),
    "the same algorithm twice": (
        ANY,
        ["proof", "head", "signatures", 1, "protected"],
        put("alg", "Ed25519"),
        "/proof/head/signatures/1/protected/alg",
    ),
    "another typ of head": (
        ANY,
        ["proof", "head", "signatures", 0, "protected"],
        put("typ", "valise-receipt+json"),
        "/proof/head/signatures/0/protected/typ",
    ),
    "a kid that is none": (
        ANY,
        ["proof", "head", "signatures", 1, "protected"],
        put("kid", "short"),
        "/proof/head/signatures/1/protected/kid",
    ),
    "a short Ed25519 signature": (
        ANY,
        ["proof", "head", "signatures", 0, "signature"],
        lambda _: b64(bytes(63)),
        "/proof/head/signatures/0/signature",
    ),
    "a long ML-DSA-65 signature": (
        ANY,
        ["proof", "head", "signatures", 1, "signature"],
        lambda _: b64(bytes(3310)),
        "/proof/head/signatures/1/signature",
    ),
    "a header more": (
        ANY,
        ["proof", "head", "signatures", 0, "protected"],
        put("crit", []),
        "/proof/head/signatures/0/protected",
    ),
    "a path of numbers": (ANY, ["proof", "path"], lambda _: [7], "/proof/path/0"),
    "a path of 31 bytes": (ANY, ["proof", "path"], lambda _: [b64(bytes(32)), b64(bytes(31))], "/proof/path/1"),
    "a path with padding": (ANY, ["proof", "path"], lambda _: [b64(bytes(32)) + "="], "/proof/path/0"),
    "a path of 65": (ANY, ["proof", "path"], lambda _: [b64(bytes(32))] * 65, "/proof/path/64"),
    "another enc": (ISSUE, ["sealed", "protected"], put("enc", "A128GCM"), "/sealed/protected/enc"),
    "another typ of seal": (ISSUE, ["sealed", "protected"], put("typ", "JOSE"), "/sealed/protected/typ"),
    "another cty": (ISSUE, ["sealed", "protected"], put("cty", "text/plain"), "/sealed/protected/cty"),
    "a short binding": (ISSUE, ["sealed", "protected"], put("binding", "AAAA"), "/sealed/protected/binding"),
    "a short commitment": (
        ISSUE,
        ["sealed", "protected"],
        put("key_commitment", "AAAA"),
        "/sealed/protected/key_commitment",
    ),
    "no recipients": (ISSUE, ["sealed", "recipients"], lambda _: [], "/sealed/recipients"),
    "no recipients of a grant": (GRANT, ["sealed", "recipients"], lambda _: [], "/sealed/recipients"),
    "a recipient twice": (ISSUE, ["sealed", "recipients"], lambda found: [found[0], *found], "/sealed/recipients"),
    "recipients descend": (
        ISSUE,
        ["sealed", "recipients"],
        lambda found: [{**found[0], "header": {**found[0]["header"], "kid": LAST_KID}}, *found],
        "/sealed/recipients",
    ),
    "a stanza that is none": (ISSUE, ["sealed", "recipients", 0], lambda _: 7, "/sealed/recipients/0"),
    "a stanza with more": (
        ISSUE,
        ["sealed", "recipients", 0],
        lambda stanza: {**stanza, "aad": "AAAA"},
        "/sealed/recipients/0",
    ),
    "a stanza's header is none": (
        ISSUE,
        ["sealed", "recipients", 0, "header"],
        lambda _: "AAAA",
        "/sealed/recipients/0/header",
    ),
    "a stanza's header reordered": (
        ISSUE,
        ["sealed", "recipients", 0, "header"],
        lambda header: dict(reversed(header.items())),
        "/sealed/recipients/0/header",
    ),
    "another alg of a stanza": (
        ISSUE,
        ["sealed", "recipients", 0, "header"],
        lambda header: {**header, "alg": "HPKE-8-KE"},
        "/sealed/recipients/0/header",
    ),
    "a stanza's kid is a number": (
        ISSUE,
        ["sealed", "recipients", 0, "header"],
        lambda header: {**header, "kid": 7},
        "/sealed/recipients/0/header",
    ),
    "a stanza's kid is none": (
        ISSUE,
        ["sealed", "recipients", 0, "header"],
        lambda header: {**header, "kid": "short"},
        "/sealed/recipients/0",
    ),
    "an ek of 1,119 bytes": (
        ISSUE,
        ["sealed", "recipients", 0, "header"],
        lambda header: {**header, "ek": b64(bytes(1119))},
        "/sealed/recipients/0/header",
    ),
    "an ek of null": (
        ISSUE,
        ["sealed", "recipients", 0, "header"],
        lambda header: {**header, "ek": None},
        "/sealed/recipients/0/header",
    ),
    "an ek that is not base64url": (
        ISSUE,
        ["sealed", "recipients", 0, "header"],
        lambda header: {**header, "ek": "+" + header["ek"][1:]},
        "/sealed/recipients/0",
    ),
    "an encrypted key of 49 bytes": (
        ISSUE,
        ["sealed", "recipients", 0, "encrypted_key"],
        lambda _: b64(bytes(49)),
        "/sealed/recipients/0/encrypted_key",
    ),
    "an encrypted key of null": (
        ISSUE,
        ["sealed", "recipients", 0, "encrypted_key"],
        lambda _: None,
        "/sealed/recipients/0/encrypted_key",
    ),
    "an iv of 16 bytes": (ISSUE, ["sealed", "iv"], lambda _: b64(bytes(16)), "/sealed/iv"),
    "a tag of 12 bytes": (ISSUE, ["sealed", "tag"], lambda _: b64(bytes(12)), "/sealed/tag"),
    "no ciphertext": (ISSUE, ["sealed", "ciphertext"], lambda _: "", "/sealed/ciphertext"),
}


@pytest.mark.parametrize("name", ENVELOPE_FAULTS)
@settings(max_examples=3, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_envelope_of_another_form_is_refused_at_its_member(name, data):
    act, path, change, pointer = ENVELOPE_FAULTS[name]
    acts = st.sampled_from(list(ACTS.values())) if act is None else st.just(ACTS[act])
    _, value = data.draw(formed.envelopes(acts))
    value = copy.deepcopy(value)
    where, last = at(value, path)
    where[last] = change(where[last])
    with pytest.raises(FormError) as caught:
        Envelope.parse(compact(value))
    assert caught.value.pointer == pointer


DELIVERY_FAULTS = {
    "an open act": (["statement"], wire.statements(st.sampled_from(formed.OPEN)), "/statement"),
    "a grant by itself": (["statement"], wire.statements(st.just(ACTS["grant"])), "/statement"),
    "a proof that is none": (["proof"], st.just("AAAA"), "/proof"),
    "an index beyond": (["inclusion", "index"], st.just(2**53 - 1), "/inclusion/index"),
    "a place beyond": (["recipient", "index"], st.just(300), "/recipient/index"),
    "an inclusion's path": (["inclusion", "path"], st.just([""]), "/inclusion/path/0"),
    "a recipient's path": (["recipient", "path"], st.just([None]), "/recipient/path/0"),
    "a checkpoint of nothing": (["inclusion", "checkpoint"], st.just(""), "/inclusion/checkpoint"),
    "a time before 1970": (["inclusion", "received_at"], st.just(-1), "/inclusion/received_at"),
    "an iv of 11 bytes": (["sealed", "iv"], st.just(b64(bytes(11))), "/sealed/iv"),
    "a tag of 15 bytes": (["sealed", "tag"], st.just(b64(bytes(15))), "/sealed/tag"),
    "a stanza of another suite": (["sealed", "header", "alg"], st.just("HPKE-0"), "/sealed/header"),
    "no stanza": (["sealed", "header"], st.just(None), "/sealed/header"),
    "a grant that is none": (["grant"], st.just(7), "/grant"),
}


@pytest.mark.parametrize("name", DELIVERY_FAULTS)
@settings(max_examples=3, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_delivery_of_another_form_is_refused_at_its_member(name, data):
    path, new, pointer = DELIVERY_FAULTS[name]
    _, value = data.draw(formed.deliveries())
    where, last = at(value, path)
    drawn = data.draw(new)
    where[last] = b64(drawn.encode()) if path == ["statement"] else drawn
    with pytest.raises(FormError) as caught:
        Delivery.parse(compact(value))
    assert caught.value.pointer == pointer


@settings(max_examples=10)
@given(formed.deliveries(), formed.grants(), wire.statements(st.just(ACTS["issue"])))
def test_a_delivery_names_a_grant_and_nothing_else_as_one(drawn, grant, other):
    _, value = drawn
    value["grant"] = {**grant, "statement": b64(other.encode())}
    with pytest.raises(FormError) as caught:
        Delivery.parse(compact(value))
    assert caught.value.pointer == "/grant/statement"
    value["grant"] = {**grant, "proof": "AAAA"}
    with pytest.raises(FormError) as caught:
        Delivery.parse(compact(value))
    assert caught.value.pointer == "/grant/proof"


@given(st.sampled_from([Envelope.parse, Delivery.parse]), st.data())
@settings(max_examples=60)
def test_bent_bytes_read_as_something_else_or_not_at_all(parse, data):
    strategy = formed.envelopes() if parse == Envelope.parse else formed.deliveries()
    encoded = bytearray(compact(data.draw(strategy)[1]))
    before = parse(bytes(encoded))
    for _ in range(20):
        place = data.draw(st.integers(0, len(encoded) - 1))
        bit = 1 << data.draw(st.integers(0, 7))
        encoded[place] ^= bit
        try:
            assert parse(bytes(encoded)) != before
        except Error as error:
            assert error.code in ("malformed", "invalid-form")
        encoded[place] ^= bit


@given(st.sampled_from([Envelope.parse, Delivery.parse]), st.binary(max_size=200))
def test_only_our_errors_escape(parse, data):
    for garbage in (data, b"{" + data, b'{"statement":"AAAA","proof":' + data + b"}"):
        with pytest.raises(Error):
            parse(garbage)


def test_an_envelope_has_a_size():
    with pytest.raises(TooLargeError):
        Envelope.parse(b" " * ((1 << 20) + 1))


@pytest.mark.parametrize("bad", ["x" * 43, "A" * 42 + "B"])
def test_a_path_says_what_is_wrong_where(bad):
    with pytest.raises(FormError) as caught:
        path_from_json([b64(bytes(32)), bad + "="], "/p")
    assert caught.value.pointer == "/p/1"
    assert isinstance(caught.value.__cause__, MalformedError | None)
