"""Sealing keys and content encryption: HPKE-9-KE (MLKEM768-X25519, SHAKE256, AES-256-GCM) and A256GCM.

RFC 9180 and the hybrid KEM 0x647a; JOSE-HPKE key-encryption mode: info "JOSE-HPKE rcpt" FF "A256GCM" FF, empty aad.
A seed of 32 bytes expands with SHAKE256 to 96: ML-KEM's d ‖ z, then the X25519 scalar. `cryptography` has no call for
that, so the expansion stands here; it is derivation, not a primitive.
"""

import hashlib
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import VerificationError
from keys.jwk import akp_jwk, thumbprint

ALG: Final = "HPKE-9-KE"
KEM_ID: Final = 0x647A
KDF_ID: Final = 0x0011
AEAD_ID: Final = 0x0002
EK_LENGTH: Final = 1120
IV_LENGTH: Final = 12
TAG_LENGTH: Final = 16
_INFO: Final = b"JOSE-HPKE rcpt\xffA256GCM\xff"
_SUITE: Final = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.SHAKE256, hpke.AEAD.AES_256_GCM)

HpkePublic = hpke.MLKEM768X25519PublicKey


class SealingKey:
    """The private half of one sealing key, from its seed of 32 bytes."""

    __slots__ = ("_private", "_seed", "jwk", "kid")

    def __init__(self, seed: bytes) -> None:
        expanded = hashlib.shake_256(seed).digest(96)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
        self._seed = seed
        self._private = hpke.MLKEM768X25519PrivateKey(mlkem, x25519)
        self.jwk = akp_jwk(ALG, mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw())
        self.kid = thumbprint(self.jwk)

    @classmethod
    def generate(cls) -> "SealingKey":
        """Make a new key."""
        return cls(os.urandom(32))

    def to_bytes(self) -> bytes:
        """Return the seed, for custody only."""
        return self._seed

    def public_key(self) -> HpkePublic:
        """Return the public half."""
        return self._private.public_key()

    def open_key(self, ek: bytes, encrypted_key: bytes) -> bytes:
        """Open a stanza and return the content key of 32 bytes; raise `VerificationError`."""
        try:
            key = _SUITE.decrypt(ek + encrypted_key, self._private, _INFO)
        except (InvalidTag, ValueError):
            raise VerificationError("The stanza does not open under this key.") from None
        if len(key) != 32:
            raise VerificationError("The stanza does not hold a content key.")
        return key


def seal_key(content_key: bytes, public: HpkePublic) -> tuple[bytes, bytes]:
    """Seal a content key to one recipient and return `ek` (1,120 bytes) and `encrypted_key` (48)."""
    sealed = _SUITE.encrypt(content_key, public, _INFO)
    return sealed[:EK_LENGTH], sealed[EK_LENGTH:]


def encrypt(content_key: bytes, iv: bytes, plaintext: bytes, aad: bytes) -> tuple[bytes, bytes]:
    """Encrypt with A256GCM and return ciphertext and tag (RFC 7518 section 5.3)."""
    sealed = AESGCM(content_key).encrypt(iv, plaintext, aad)
    return sealed[:-TAG_LENGTH], sealed[-TAG_LENGTH:]


def decrypt(content_key: bytes, iv: bytes, ciphertext: bytes, tag: bytes, aad: bytes) -> bytes:
    """Decrypt A256GCM; raise `VerificationError`."""
    try:
        return AESGCM(content_key).decrypt(iv, ciphertext + tag, aad)
    except InvalidTag:
        raise VerificationError("The ciphertext does not open under the content key.") from None


def padded_length(length: int) -> int:
    """Return the Padmé length of `length` bytes (≥ 2): up to a multiple of 2^(E−S), E = ⌊log₂ L⌋, S = ⌊log₂ E⌋ + 1."""
    exponent = length.bit_length() - 1
    keep = exponent.bit_length()
    step = 1 << max(exponent - keep, 0)
    return -(-length // step) * step
