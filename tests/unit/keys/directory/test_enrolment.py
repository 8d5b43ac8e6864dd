"""Kits, requests and eight words: what a focal point can rely on."""

import json
from itertools import combinations

import pytest

from keys.directory import edit
from keys.directory.enrolment import Kit, _words, eight_words, make_request, verify_request
from keys.directory.log_target import LogTarget
from keys.directory.records import RequestRecord, SealingRecord, SigningRecord
from keys.errors import VerificationError
from keys.log.note import LogSigner
from keys.sign import Ed25519Signer, SigningKeys
from schemas.encoding import b64decode, b64encode, encode, from_seconds
from schemas.errors import FormError, MalformedError
from schemas.ids import Code, Origin, ParticipantId

WHO = ParticipantId("fr/customs")
AT = from_seconds(1_800_000_000)


@pytest.fixture(scope="module")
def agency(new_agency):
    return new_agency("fr/customs")


def ask(agency, **changes) -> bytes:
    given = {
        "origin": Origin("test.invalid/directory"),
        "participant": WHO,
        "gateway": Code("gate-2"),
        "made_at": AT,
        "signing": agency.signing,
        "sealing": agency.sealing,
        "request": agency.request,
    }
    return make_request(**{**given, **changes})


@pytest.fixture(scope="module")
def asked(agency) -> bytes:
    return ask(agency)


def test_a_request_becomes_records(agency, asked):
    verified = verify_request(asked)
    assert (verified.participant, verified.gateway, verified.made_at) == (WHO, "gate-2", AT)
    assert verified.origin == "test.invalid/directory"
    assert verified.kids == (*agency.signing.kids, agency.sealing.kid, agency.request.kid)
    later = from_seconds(1_800_000_500)
    signing, sealing, request = verified.records(later)
    assert isinstance(signing, SigningRecord)
    assert isinstance(sealing, SealingRecord)
    assert isinstance(request, RequestRecord)
    for record in (signing, sealing, request):
        assert record.participant == WHO
        assert (record.life.from_, record.life.closed_at, record.life.suspect_from) == (later, None, None)
    assert signing.gateway == request.gateway == "gate-2"


def test_a_request_is_entered_and_published(world, agency, asked):
    state = edit.enter_keys(world.state("fr"), WHO, verify_request(asked).records(AT))
    directory = world.publish("fr", state).directory()
    assert directory.signing(agency.signing.kids).gateway == "gate-2"
    assert directory.owner(agency.sealing.kid) == WHO


def test_a_further_gateway_and_a_next_sealing_key(agency):
    second = verify_request(ask(agency, sealing=None))
    assert [type(record) for record in second.records(AT)] == [SigningRecord, RequestRecord]
    following = verify_request(ask(agency, request=None))
    assert [type(record) for record in following.records(AT)] == [SigningRecord, SealingRecord]


def test_every_byte_counts(asked):
    """Any change is refused: the file has one encoding, and all of the request is signed three times."""
    for at in range(0, len(asked), 7):
        changed = bytearray(asked)
        changed[at] ^= 1
        with pytest.raises((FormError, MalformedError, VerificationError)):
            verify_request(bytes(changed))
    for length in range(0, len(asked), 97):
        with pytest.raises((FormError, MalformedError)):
            verify_request(asked[:length])


def changed(data: bytes, agency, change, *, signer=None, request=None) -> bytes:
    """Return a request whose content was changed and then signed by some keys."""
    value = json.loads(b64decode(json.loads(data)["head"]["payload"]))
    change(value)
    payload = encode(value)
    signed = (signer or agency.signing).sign_head(payload)
    proof = b64encode((request or agency.request).sign(b"valise/enrolment/1\x00" + payload))
    return encode({"head": signed, "request": None if value.get("request") is None else proof})


def test_possession_of_each_key_is_proved(agency, asked, new_agency):
    other = new_agency("fr/customs")

    def nothing(value: dict) -> None:
        pass

    verify_request(changed(asked, agency, nothing))
    with pytest.raises(VerificationError, match="request key"):
        verify_request(changed(asked, agency, nothing, request=other.request))
    with pytest.raises(FormError) as caught:
        verify_request(changed(asked, agency, nothing, signer=other.signing))
    assert caught.value.pointer == "/head/signatures/0/protected"
    value = json.loads(asked)
    theirs = json.loads(changed(asked, agency, nothing, signer=other.signing))
    for n, name in ((0, "Ed25519"), (1, "ML-DSA-65")):
        forged = json.loads(asked)
        forged["head"]["signatures"][n]["signature"] = theirs["head"]["signatures"][n]["signature"]
        with pytest.raises(VerificationError, match=name):
            verify_request(encode(forged))
    value["request"] = None
    with pytest.raises(FormError):
        verify_request(encode(value))


@pytest.mark.parametrize(
    ("member", "new", "pointer"),
    [
        ("v", 2, "/v"),
        ("typ", "valise-batch/1", "/typ"),
        ("origin", "a b", "/origin"),
        ("participant", "fr", "/participant"),
        ("gateway", "Gate", "/gateway"),
        ("made_at", "yesterday", "/made_at"),
        ("signing", [], "/signing"),
        ("signing", None, "/signing"),
        ("sealing", {"kty": "AKP"}, "/sealing/alg"),
        ("request", {"kty": "OKP"}, "/request/crv"),
    ],
)
def test_wrong_forms_are_refused_by_name(agency, asked, member, new, pointer):
    with pytest.raises(FormError) as caught:
        verify_request(changed(asked, agency, lambda value: value.__setitem__(member, new)))
    assert caught.value.pointer == pointer


def test_a_proof_without_a_key_and_a_third_signature_are_refused(agency, asked):
    data = json.loads(ask(agency, request=None))
    data["request"] = json.loads(asked)["request"]
    with pytest.raises(FormError) as caught:
        verify_request(encode(data))
    assert caught.value.pointer == "/request"
    data = json.loads(asked)
    data["head"]["signatures"].append(data["head"]["signatures"][0])
    with pytest.raises(FormError) as caught:
        verify_request(encode(data))
    assert caught.value.pointer == "/head/signatures"


def test_a_batch_head_is_no_request():
    keys = SigningKeys.generate()
    head = keys.sign_head(encode({"typ": "valise-batch/1"}))
    with pytest.raises(FormError):
        verify_request(encode({"head": head, "request": None}))


# Words


def test_eight_words_are_the_same_for_both_sides():
    words = eight_words(b"request")
    assert words == eight_words(b"request")
    assert len(words.split()) == 8
    assert set(words.split()) <= set(_words())
    assert words != eight_words(b"request ")


def test_words_are_easy_to_tell_apart():
    words = _words()
    assert len(set(words)) == len(words) == 256
    assert len({word[:4] for word in words}) == 256
    assert all(4 <= len(word) <= 8 and word.isascii() and word.islower() and word.isalpha() for word in words)
    assert all(_distance(a, b) > 1 for a, b in combinations(words, 2) if abs(len(a) - len(b)) <= 1)


def _distance(a: str, b: str) -> int:
    """Return 0, 1, or 2 for more: by how many letters two words differ."""
    if len(a) == len(b):
        return min(2, sum(x != y for x, y in zip(a, b, strict=True)))
    short, long = sorted((a, b), key=len)
    return 1 if any(long[:n] + long[n + 1 :] == short for n in range(len(long))) else 2


# Kits


def test_kits_are_read_again(world):
    log = world.directory().log.keys
    for vkeys in (None, tuple(sorted((log.ed25519.encode(), log.mldsa44.encode())))):
        kit = Kit(world.origin, "https://broker.example/v1", WHO, world.root, vkeys)
        assert Kit.parse(kit.encode()) == kit
        assert len(kit.fingerprint.split()) == 16


@pytest.mark.parametrize(
    ("member", "new"),
    [
        ("v", 2),
        ("typ", "valise-enrolment/1"),
        ("origin", "a b"),
        ("broker", "broker.example"),
        ("broker", "ftp://x"),
        ("broker", "https://a b"),
        ("participant", "x"),
        ("fingerprint", "0000"),
        ("root", "AAAA"),
        ("root", "A"),
        ("log", []),
        ("log", ["x"]),
    ],
)
def test_kits_that_are_refused(world, member, new):
    value = json.loads(Kit(world.origin, "http://127.0.0.1:8080", WHO, world.root).encode())
    with pytest.raises(FormError) as caught:
        Kit.parse(encode({**value, member: new}))
    assert caught.value.pointer.split("/")[1] in {member, "fingerprint"}


# The log's target


def test_log_targets_are_read_again(world):
    receipt = Ed25519Signer.generate()
    target = LogTarget(LogSigner.generate(Origin("a.invalid/b")).keys, receipt.kid, receipt.public)
    again = LogTarget.parse(target.encode())
    assert again == target
    assert again.receipt_public == receipt.public


@pytest.mark.parametrize(
    ("member", "new"),
    [
        ("v", 2),
        ("origin", "x y"),
        ("ed25519", "x"),
        ("mldsa44", ""),
        ("receipt", {"kty": "OKP"}),
        ("origin", "b.invalid"),
    ],
)
def test_log_targets_that_are_refused(world, member, new):
    value = json.loads(world.network["network/log.json"])
    with pytest.raises(FormError):
        LogTarget.parse(encode({**value, member: new}))


def test_a_log_targets_keys_are_not_swapped(world):
    value = json.loads(world.network["network/log.json"])
    with pytest.raises(FormError):
        LogTarget.parse(encode({**value, "ed25519": value["mldsa44"]}))


def test_the_words_can_be_told_apart_on_the_telephone():
    _words.cache_clear()
    words = _words()
    assert len({word[:4] for word in words}) == len(words) == 256
