"""Verifier keys: the published example, ids, and one text for each key."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import VerificationError
from keys.log import vkey
from keys.log.vkey import ED25519, MLDSA44, Vkey
from schemas.errors import FormError, MalformedError

# The example of C2SP signed-note: key, text and signature.
EXAMPLE = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
TEXT = b"This is an example message.\n"
SIGNATURE = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="

names = st.text(min_size=1, max_size=60).filter(lambda name: not any(c.isspace() or c == "+" or c < " " for c in name))
keys = st.one_of(
    st.builds(Vkey, names, st.just(ED25519), st.binary(min_size=32, max_size=32)),
    st.builds(Vkey, names, st.just(MLDSA44), st.binary(min_size=1312, max_size=1312)),
)


def test_the_specifications_example():
    key = Vkey.parse(EXAMPLE)
    assert (key.name, key.type, len(key.key), key.key_id.hex()) == ("example.com/foo", 1, 32, "530d903a")
    assert key.encode() == EXAMPLE
    signature = base64.b64decode(SIGNATURE)
    assert signature[:4] == key.key_id
    key.verify(TEXT, signature[4:])
    with pytest.raises(VerificationError):
        key.verify(TEXT + b"\n", signature[4:])


def test_the_key_id_covers_name_type_and_key():
    key = Vkey("example.com/log", MLDSA44, bytes(range(256)) * 5 + bytes(32))
    assert key.key_id == hashlib.sha256(b"example.com/log\n\x06" + key.key).digest()[:4]
    assert key.key_id.hex() == "6f880df5"


@given(keys)
def test_a_key_reads_back(key):
    assert Vkey.parse(key.encode()) == key


def test_every_altered_character_is_refused():
    for at, character in enumerate(EXAMPLE):
        for other in ("A" if character != "A" else "B", "+", " ", "\n", "é", chr(ord(character) ^ 1)):
            if other == character:
                continue
            with pytest.raises((FormError, MalformedError)):
                Vkey.parse(EXAMPLE[:at] + other + EXAMPLE[at + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "++",
        EXAMPLE.upper(),
        EXAMPLE + "\n",
        EXAMPLE[:-4],
        EXAMPLE + "AAAA",
        EXAMPLE[:-1] + "=",
        EXAMPLE.replace("530d903a", "530D903A"),
        EXAMPLE.replace("+530d903a", ""),
        "example.com/foo+530d903a+A",
    ],
)
def test_another_form_is_refused(text):
    with pytest.raises((FormError, MalformedError)):
        Vkey.parse(text)


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\u2003b", "a\u00a0", "a\nb", "a\x00", "\ud800", "a" * 256, "é" * 128]
)
def test_a_name_has_neither_spaces_nor_plus_signs(name):
    with pytest.raises(FormError, match="name"):
        Vkey(name, ED25519, bytes(32))


@pytest.mark.parametrize(("kind", "length"), [(1, 31), (1, 1312), (6, 32), (6, 1311), (4, 32), (2, 91), (255, 32)])
def test_types_and_lengths_are_fixed(kind, length):
    with pytest.raises(FormError, match="ML-DSA-44"):
        Vkey("example.com/log", kind, bytes(length))


def test_ml_dsa_signatures_have_an_empty_context():
    private = MLDSA44PrivateKey.from_seed_bytes(bytes(32))
    key = Vkey("example.com/log", MLDSA44, private.public_key().public_bytes_raw())
    key.verify(b"message", private.sign(b"message"))
    for signature in (private.sign(b"message", b"context"), private.sign(b"other"), b"", bytes(2420), bytes(2421)):
        with pytest.raises(VerificationError):
            key.verify(b"message", signature)


@pytest.mark.parametrize("length", [0, 63, 64, 65])
def test_ed25519_signatures_of_any_length_are_refused_alike(length):
    with pytest.raises(VerificationError):
        Vkey.parse(EXAMPLE).verify(TEXT, bytes(length))


@pytest.mark.parametrize("text", ["", "A", "AB==", "AAB=", "AAA", "AAAA=", "AA\nAA", "AA-_", "====", "A===", "é==="])
def test_base64_has_one_form(text):
    with pytest.raises(MalformedError):
        vkey.b64decode(text)
