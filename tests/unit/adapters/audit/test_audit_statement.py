"""A statement as an auditor checks it, without its body; and a released content key that does not fit."""

from dataclasses import replace

import pytest

from adapters.audit.content import open_content
from adapters.audit.evidence import Content
from adapters.audit.statement import verify_statement
from keys import digests, seal
from keys.errors import RevokedKeyError, UnknownKeyError, VerificationError
from schemas.encoding import b64decode, b64encode
from schemas.envelope import Envelope, SealedHeader
from schemas.leaf import Leaf, LeafType
from schemas.statement import SealedDigests, SubscriptionBody
from tests.gateway_world import a_world

SENDER, READER = "kz/customs", "uz/focal-point"


@pytest.fixture
def world():
    return a_world()


def leaf_of(world, signed, kind=LeafType.SEALED) -> Leaf:
    return Leaf(kind, world.now * 1000, digests.statement_leaf(signed.statement_bytes, signed.proof_bytes))


def check(world, signed, **changes):
    given = {"directory": world.directory, "revoked": {}, **changes}
    leaf = given.pop("leaf", None) or leaf_of(world, signed)
    return verify_statement(signed.statement_bytes, signed.proof_bytes, leaf, given.pop("index", 5), **given)


def test_a_sound_statement(world):
    signed = world.envelope(SENDER, [READER])
    verified = check(world, signed)
    assert (verified.statement, verified.index) == (signed.statement, 5)
    opened = world.open_envelope(READER, "subscribe", SubscriptionBody(READER, ("*.*",)))
    assert check(world, opened, leaf=leaf_of(world, opened, LeafType.OPEN)).statement.act == "subscribe"


def test_what_does_not_hold(world):
    signed, other = world.envelope(SENDER, [READER]), world.envelope(SENDER, [READER])
    with pytest.raises(VerificationError, match="another statement"):
        check(world, signed, leaf=leaf_of(world, other))
    with pytest.raises(VerificationError, match="another type"):
        check(world, signed, leaf=leaf_of(world, signed, LeafType.OPEN))
    with pytest.raises(VerificationError, match="another deployment"):
        check(world, signed, directory=replace(world.directory, origin="test.invalid/other"))
    by_another = world.sign([world.sealed(world.statement(SENDER), [READER])], by=READER)[0]
    with pytest.raises(VerificationError, match="not the sender's"):
        check(world, by_another)
    mixed = replace(signed, proof_bytes=other.proof_bytes)
    with pytest.raises(VerificationError, match="signed head"):
        check(world, mixed)
    with pytest.raises(RevokedKeyError):
        check(world, signed, revoked={world.people[SENDER].signing.kids[1]: 4})
    check(world, signed, revoked={world.people[SENDER].signing.kids[1]: 5})
    stranger = a_world()
    stranger.people[SENDER] = replace(stranger.people[SENDER], signing=type(world.people[SENDER].signing).generate())
    with pytest.raises(UnknownKeyError):
        check(world, stranger.sign([stranger.sealed(stranger.statement(SENDER), [READER])])[0])


def test_a_signature_that_does_not_hold(world):
    signed = world.envelope(SENDER, [READER])
    start = signed.proof_bytes.rindex(b'"signature":"') + len(b'"signature":"')
    bent = bytearray(signed.proof_bytes)
    bent[start] = ord("B") if bent[start] == ord("A") else ord("A")
    altered = replace(signed, proof_bytes=bytes(bent))
    with pytest.raises(VerificationError, match="ML-DSA-65"):
        check(world, altered)


# Content


def _content(world, plaintext: bytes, notice=None):
    """Seal a plaintext as a sender who does not keep to the rules would; return statement and content."""
    statement = world.statement(SENDER)
    key, iv = bytes(range(32)), bytes(12)
    protected = SealedHeader.encode(digests.binding(statement), digests.key_commitment(key))
    ciphertext, tag = seal.encrypt(key, iv, plaintext, protected.encode())
    content = Content(key, protected, iv, ciphertext, tag)
    sealed = SealedDigests(
        b64encode(digests.content(protected, iv, ciphertext, tag)), len(ciphertext), b64encode(bytes(32)), 2
    )
    return replace(statement, sealed=sealed), content


def test_a_notice_is_opened_with_its_key_alone(world):
    signed = world.envelope(SENDER, [READER])
    sealed = Envelope.parse(signed.envelope).sealed
    stanza = next(one for one in sealed.recipients if one.kid == world.people[READER].sealing.kid)
    key = world.people[READER].sealing.open_key(stanza.ek, stanza.encrypted_key)
    content = Content(key, sealed.header.protected, sealed.iv, sealed.ciphertext, sealed.tag)
    assert open_content(signed.statement, content)["kind"] == "seizure"


@pytest.mark.parametrize(
    ("plaintext", "match"),
    [
        (b"{}" + b" " * 7, "padding"),
        (b" " * 8, "padding"),
        (b"[1,2.5]".ljust(seal.padded_length(7)), "strict JSON"),
        (b'{"kind":"seizure"}'.ljust(seal.padded_length(18)), "begin with its label"),
    ],
)
def test_plaintexts_that_no_honest_sender_makes(world, plaintext, match):
    statement, content = _content(world, plaintext)
    with pytest.raises(VerificationError, match=match):
        open_content(statement, content)


def test_what_seals_nothing_has_no_content(world):
    opened = world.open_envelope(READER, "subscribe", SubscriptionBody(READER, ("*.*",)))
    _, content = _content(world, b"{}")
    with pytest.raises(VerificationError, match="seals nothing"):
        open_content(opened.statement, content)
    with pytest.raises(VerificationError, match="another statement"):
        open_content(_content(world, b"{}")[0], content)
    assert b64decode("AA") == b"\x00"
