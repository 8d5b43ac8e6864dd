"""Signed checkpoints: both lines or nothing, one form, and what the log's signer writes."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import CheckpointError, VerificationError
from keys.log import note as notes
from keys.log.merkle import EMPTY_ROOT
from keys.log.note import LogKeys, LogSigner, NoteSignature, Vkey
from schemas.checkpoint import Checkpoint
from schemas.errors import FormError, MalformedError, TooLargeError

ORIGIN = "test.invalid/log"
SECRET = bytes(range(32)) + bytes(range(32, 64)) + ORIGIN.encode()
SIGNER = LogSigner.from_bytes(SECRET)
KEYS = SIGNER.keys
ROOT = hashlib.sha256(b"root").digest()
AT = 1_790_000_000
NOTE = notes.sign_checkpoint(SIGNER, 4711, ROOT, at=AT)
TEXT, ED25519_LINE, MLDSA_LINE = (
    b"".join(NOTE.splitlines(keepends=True)[:3]),
    NOTE.splitlines(keepends=True)[4],
    NOTE.splitlines(keepends=True)[5],
)
STRANGER = LogSigner.from_bytes(bytes(64) + ORIGIN.encode())
WITNESS_LINE = NoteSignature("witness.example/w1", b"\x01\x02\x03\x04", bytes(72)).line()

times = st.integers(1, 2**63 - 1)


def refused(data, why=None):
    with pytest.raises(CheckpointError, match=why):
        notes.verify_checkpoint(data, KEYS)


# What the signer writes


@given(st.integers(1, 2**53 - 1), st.binary(min_size=32, max_size=32), times)
def test_a_checkpoint_verifies(size, root, at):
    note = notes.sign_checkpoint(SIGNER, size, root, at=at)
    found = notes.verify_checkpoint(note, KEYS)
    assert (found.origin, found.size, found.root, found.at, found.note) == (ORIGIN, size, root, at, note)


def test_a_note_is_laid_out_as_c2sp_says():
    text, signatures = NOTE.split(b"\n\n")
    assert text == f"{ORIGIN}\n4711\n{base64.b64encode(ROOT).decode()}".encode()
    lines = [line.split(" ") for line in signatures.decode().removesuffix("\n").split("\n")]
    assert [line[:2] for line in lines] == [["—", ORIGIN]] * 2
    ed25519, mldsa = (base64.b64decode(line[2]) for line in lines)
    assert ed25519[:4] == hashlib.sha256(f"{ORIGIN}\n\x01".encode() + KEYS.ed25519.key).digest()[:4]
    assert mldsa[:4] == hashlib.sha256(f"{ORIGIN}\n\x06".encode() + KEYS.mldsa44.key).digest()[:4]
    Ed25519PublicKey.from_public_bytes(KEYS.ed25519.key).verify(ed25519[4:], text + b"\n")
    assert int.from_bytes(mldsa[4:12], "big") == AT
    message = b"subtree/v1\n\x00\x10" + ORIGIN.encode() + mldsa[4:12] + b"\x10" + ORIGIN.encode()
    message += bytes(8) + (4711).to_bytes(8, "big") + ROOT
    MLDSA44PublicKey.from_public_bytes(KEYS.mldsa44.key).verify(mldsa[12:], message)


def test_known_key_ids():
    assert KEYS.ed25519.encode() == "test.invalid/log+eea277b3+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
    assert KEYS.mldsa44.encode().startswith("test.invalid/log+69f936cf+BhUh78xmuXMyWQxk8WCHtJ")
    assert Vkey.parse(KEYS.mldsa44.encode()) == KEYS.mldsa44


def test_the_empty_log_has_the_empty_root():
    note = notes.sign_checkpoint(SIGNER, 0, EMPTY_ROOT, at=AT)
    assert notes.verify_checkpoint(note, KEYS).size == 0
    refused(notes.sign_checkpoint(SIGNER, 0, ROOT, at=AT), "empty tree")


def test_renewing_changes_the_cosignature_only():
    renewed = notes.sign_checkpoint(SIGNER, 4711, ROOT, at=AT + 60)
    assert renewed.startswith(TEXT + b"\n" + ED25519_LINE)
    assert not renewed.endswith(MLDSA_LINE)
    assert notes.verify_checkpoint(renewed, KEYS).at == AT + 60


@pytest.mark.parametrize("at", [-1, 0, 2**63])
def test_a_cosignature_has_a_time(at):
    with pytest.raises(ValueError, match="time"):
        notes.sign_checkpoint(SIGNER, 1, ROOT, at=at)


@pytest.mark.parametrize(("size", "root"), [(-1, ROOT), (2**53, ROOT), (1, b"")])
def test_nothing_is_signed_that_no_checkpoint_has(size, root):
    with pytest.raises(FormError):
        notes.sign_checkpoint(SIGNER, size, root, at=AT)


def test_generated_keys_survive_custody():
    signer = LogSigner.generate("test.invalid/other")
    again = LogSigner.from_bytes(signer.to_bytes())
    assert again.keys == signer.keys
    assert again.origin == "test.invalid/other"
    assert SIGNER.to_bytes() == SECRET
    assert LogSigner.generate("test.invalid/other").keys != signer.keys
    assert signer.to_bytes()[:32].hex() not in repr(signer)


def test_an_origin_that_no_note_can_name_gets_no_keys():
    with pytest.raises(FormError):
        LogSigner.generate("two words")


@pytest.mark.parametrize("secret", [b"", SECRET[:63], SECRET[:64], bytes(64) + b"two words", bytes(64) + b"\xff"])
def test_other_bytes_are_no_secret(secret):
    with pytest.raises(MalformedError):
        LogSigner.from_bytes(secret)


def test_a_logs_keys_are_one_of_each_type_under_its_origin():
    ed25519, mldsa44 = KEYS.ed25519, KEYS.mldsa44
    for pair in ((ed25519, ed25519), (mldsa44, mldsa44), (mldsa44, ed25519)):
        with pytest.raises(FormError, match="Ed25519"):
            LogKeys(ORIGIN, *pair)
    other = LogSigner.generate("test.invalid/other").keys
    for pair in ((other.ed25519, mldsa44), (ed25519, other.mldsa44), (other.ed25519, other.mldsa44)):
        with pytest.raises(FormError, match="named"):
            LogKeys(ORIGIN, *pair)
    with pytest.raises(FormError):
        LogKeys("two words", ed25519, mldsa44)


# What a reader refuses


@pytest.mark.no_cover  # thousands of the same: what it reaches is measured elsewhere
def test_every_bit_flip_is_refused():
    for bit in range(8 * len(NOTE)):
        altered = bytearray(NOTE)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CheckpointError):
            notes.verify_checkpoint(bytes(altered), KEYS)


def test_every_truncation_is_refused():
    for length in range(len(NOTE)):
        refused(NOTE[:length])


def test_a_bit_flip_in_a_line_of_a_stranger_means_the_same_or_is_refused():
    found = notes.verify_checkpoint(NOTE + WITNESS_LINE, KEYS)
    for bit in range(8 * len(NOTE), 8 * len(found.note)):
        altered = bytearray(found.note)
        altered[bit // 8] ^= 1 << bit % 8
        try:
            other = notes.verify_checkpoint(bytes(altered), KEYS)
        except CheckpointError:
            continue
        assert (other.origin, other.size, other.root, other.at) == (found.origin, found.size, found.root, found.at)


def lines(*signatures):
    return TEXT + b"\n" + b"".join(signatures)


def test_unknown_lines_are_ignored_wherever_they_stand():
    strangers = [
        WITNESS_LINE,
        NoteSignature(ORIGIN, b"\x00\x00\x00\x00", b"another key of the log").line(),
        NoteSignature("witness.example", KEYS.mldsa44.key_id, b"the id of a known key").line(),
        NoteSignature("zeuge-österreich", KEYS.ed25519.key_id, b"a name that is not ASCII").line(),
        STRANGER.sign(TEXT).line(),
    ]
    note = lines(*strangers, MLDSA_LINE, *strangers, ED25519_LINE, *strangers)
    assert notes.verify_checkpoint(note, KEYS).at == AT


@pytest.mark.parametrize(
    "signatures",
    [
        [],
        [ED25519_LINE],
        [MLDSA_LINE],
        [ED25519_LINE, ED25519_LINE],
        [ED25519_LINE, MLDSA_LINE, MLDSA_LINE],
        [ED25519_LINE, MLDSA_LINE, SIGNER.cosign(Checkpoint(ORIGIN, 4711, ROOT), AT + 1).line()],
        [ED25519_LINE, ED25519_LINE, MLDSA_LINE],
        [STRANGER.sign(TEXT).line(), MLDSA_LINE],
        [ED25519_LINE, STRANGER.cosign(Checkpoint(ORIGIN, 4711, ROOT), AT).line()],
    ],
)
def test_one_line_of_each_key_is_required(signatures):
    refused(lines(*signatures))


def as_line(key, value):
    return NoteSignature(ORIGIN, key.key_id, value).line()


def test_a_known_keys_line_must_hold():
    checkpoint = Checkpoint(ORIGIN, 4711, ROOT)
    stranger = STRANGER.cosign(checkpoint, AT).value
    for value in (stranger, b"short", AT.to_bytes(8, "big"), AT.to_bytes(8, "big") + bytes(2420)):
        refused(lines(ED25519_LINE, as_line(KEYS.mldsa44, value)))
    for value in (STRANGER.sign(TEXT).value, SIGNER.sign(TEXT[:-1]).value, bytes(64), b"short"):
        refused(lines(as_line(KEYS.ed25519, value), MLDSA_LINE), "does not hold")


@pytest.mark.parametrize("at", [0, 2**63, 2**64 - 1])
def test_a_cosignature_without_a_time_is_refused(at):
    private = MLDSA44PrivateKey.from_seed_bytes(SECRET[32:64])
    value = private.sign(notes.cosigned_message(ORIGIN, Checkpoint(ORIGIN, 4711, ROOT), at))
    refused(lines(ED25519_LINE, as_line(KEYS.mldsa44, at.to_bytes(8, "big") + value)), "no time")


def test_signatures_of_another_kind_do_not_count():
    private = Ed25519PrivateKey.from_private_bytes(SECRET[:32])
    cosigned = private.sign(f"cosignature/v1\ntime {AT}\n".encode() + TEXT)
    refused(lines(as_line(KEYS.ed25519, cosigned), MLDSA_LINE))
    subtree = bytearray(notes.cosigned_message(ORIGIN, Checkpoint(ORIGIN, 4711, ROOT), AT))
    subtree[-48:-40] = (1).to_bytes(8, "big")  # `start`: a subtree, not a checkpoint
    assert len(subtree) == 12 + 1 + 16 + 8 + 1 + 16 + 8 + 8 + 32
    value = MLDSA44PrivateKey.from_seed_bytes(SECRET[32:64]).sign(bytes(subtree))
    refused(lines(ED25519_LINE, as_line(KEYS.mldsa44, AT.to_bytes(8, "big") + value)))


def test_another_origin_is_refused():
    other = LogSigner.from_bytes(SECRET.replace(b"test.invalid/log", b"test.invalid/two"))
    note = notes.sign_checkpoint(other, 4711, ROOT, at=AT)
    assert notes.verify_checkpoint(note, other.keys).origin == "test.invalid/two"
    refused(note, "another log")


def test_an_extension_line_is_refused_though_ed25519_signs_it():
    text = TEXT + b"extension\n"
    refused(text + b"\n" + SIGNER.sign(text).line() + MLDSA_LINE, "three lines")


def test_a_size_beyond_the_wire_is_refused():
    text = TEXT.replace(b"4711", b"9007199254740992")
    refused(text + b"\n" + SIGNER.sign(text).line() + MLDSA_LINE, "size")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"text\n\n",
        b"text\n",
        b"text\n" + WITNESS_LINE,
        b"text\n\n" + WITNESS_LINE[:-1],
        b"text\n\n" + WITNESS_LINE + b"\n",
        b"text\n\n" + WITNESS_LINE + b"no line\n",
        b"text\r\n\r\n" + WITNESS_LINE,
        b"te\x00xt\n\n" + WITNESS_LINE,
        b"te\txt\n\n" + WITNESS_LINE,
        b"te\x1fxt\n\n" + WITNESS_LINE,
        b"te\xffxt\n\n" + WITNESS_LINE,
        b"te\xed\xa0\x80xt\n\n" + WITNESS_LINE,
        b"text\n\n" + WITNESS_LINE.replace("—".encode(), b"-"),
        b"text\n\n" + WITNESS_LINE.replace(b" witness", b"  witness"),
        b"text\n\n" + WITNESS_LINE.replace(b"witness.example", b"witness+example"),
        b"text\n\n" + WITNESS_LINE.replace(b"witness.example", "witness\u00a0example".encode()),
        b"text\n\n" + WITNESS_LINE.replace(b"witness.example/w1", b""),
        b"text\n\n" + WITNESS_LINE.replace(b"AQID", b"AQ-D"),
        "text\n\n— witness.example AQIDBA==\n".encode(),
        "text\n\n— witness.example AQIDBAV=\n".encode(),
        "text\n\n— witness.example AQIDBAU\n".encode(),
        "text\n\n— witness.example \n".encode(),
        "text\n\n— witness.example\n".encode(),
    ],
)
def test_a_note_has_one_form(data):
    with pytest.raises(MalformedError):
        notes.parse_note(data)


@given(st.binary(max_size=300))
def test_only_our_errors_escape(data):
    with pytest.raises((MalformedError, CheckpointError)):
        notes.verify_checkpoint(data, KEYS)


@given(st.binary(max_size=120))
def test_what_parses_is_written_back_the_same(data):
    head = b"text\n\n"
    for tail in (data, data + b"\n", "— name ".encode() + base64.b64encode(data) + b"\n"):
        try:
            parsed = notes.parse_note(head + tail)
        except MalformedError:
            continue
        assert parsed.text + b"\n" + b"".join(line.line() for line in parsed.signatures) == head + tail


def test_the_last_empty_line_separates():
    parsed = notes.parse_note(b"first\n\nsecond\n\n" + WITNESS_LINE + WITNESS_LINE)
    assert parsed.text == b"first\n\nsecond\n"
    assert [line.line() for line in parsed.signatures] == [WITNESS_LINE] * 2


def test_notes_have_limits():
    post_quantum = NoteSignature("witness.example", b"\x01\x02\x03\x04", bytes(4627)).line()
    assert notes.verify_checkpoint(NOTE + 16 * post_quantum, KEYS).at == AT
    refused(NOTE + 22 * post_quantum, "bytes")
    assert notes.verify_checkpoint(NOTE + 62 * WITNESS_LINE, KEYS).at == AT
    refused(NOTE + 63 * WITNESS_LINE, "signatures")
    with pytest.raises(TooLargeError):
        notes.parse_note(bytes(notes.NOTE_SIZE + 1))


def test_a_checkpoint_error_is_a_verification_error():
    assert issubclass(CheckpointError, VerificationError)
    assert CheckpointError("x").code == "unverified"
