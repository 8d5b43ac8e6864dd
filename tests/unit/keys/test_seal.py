"""Sealing keys, content encryption and padding."""

import pytest
from cryptography.hazmat.primitives import hpke
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import VerificationError
from keys.seal import (
    _INFO,
    _SUITE,
    EK_LENGTH,
    SealingKey,
    decrypt,
    encrypt,
    padded_length,
    seal_key,
)

KEY = SealingKey(bytes(range(32)))


def test_a_content_key_comes_back_to_its_owner_alone() -> None:
    content_key = bytes(range(32))
    ek, encrypted_key = seal_key(content_key, KEY.public_key())
    assert (len(ek), len(encrypted_key)) == (EK_LENGTH, 48)
    assert KEY.open_key(ek, encrypted_key) == content_key
    assert SealingKey(KEY.to_bytes()).open_key(ek, encrypted_key) == content_key
    with pytest.raises(VerificationError):
        SealingKey.generate().open_key(ek, encrypted_key)


@given(st.binary(max_size=64).filter(lambda key: len(key) != 32))
def test_a_stanza_that_holds_no_content_key_is_refused(content: bytes) -> None:
    sealed = _SUITE.encrypt(content, KEY.public_key(), _INFO)
    with pytest.raises(VerificationError):
        KEY.open_key(sealed[:EK_LENGTH], sealed[EK_LENGTH:])


def test_a_stanza_of_another_purpose_is_refused() -> None:
    for info in (b"", b"JOSE-HPKE rcpt\xffA128GCM\xff", _INFO + b"x"):
        sealed = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.SHAKE256, hpke.AEAD.AES_256_GCM).encrypt(
            bytes(32), KEY.public_key(), info
        )
        with pytest.raises(VerificationError):
            KEY.open_key(sealed[:EK_LENGTH], sealed[EK_LENGTH:])


@pytest.mark.parametrize("length", [0, 1, 47, 1119, 1121])
def test_a_stanza_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(VerificationError):
        KEY.open_key(bytes(length), b"")


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=20), st.integers(0))
def test_content_is_refused_when_a_bit_of_anything_differs(plaintext: bytes, aad: bytes, which: int) -> None:
    key, iv = bytes(32), bytes(12)
    ciphertext, tag = encrypt(key, iv, plaintext, aad)
    assert len(ciphertext) == len(plaintext)
    assert decrypt(key, iv, ciphertext, tag, aad) == plaintext
    parts = [bytearray(part) for part in (key, iv, ciphertext, tag, aad)]
    bit = which % (8 * sum(map(len, parts)))
    for part in parts:
        if bit < 8 * len(part):
            part[bit >> 3] ^= 1 << (bit & 7)
            break
        bit -= 8 * len(part)
    with pytest.raises(VerificationError):
        decrypt(*map(bytes, parts))


@given(st.integers(2, 1 << 21))
def test_padding_is_padme(length: int) -> None:
    """At least as long, at most 12 % more, few lengths, and padding what is padded adds nothing."""
    padded = padded_length(length)
    assert length <= padded <= length * 1.12
    assert padded_length(padded) == padded
    exponent = padded.bit_length() - 1
    assert padded & ((1 << max(exponent - exponent.bit_length(), 0)) - 1) == 0
    assert padded_length(length - 1 if length > 2 else length) <= padded
