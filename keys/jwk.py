"""Public keys as JWKs and their thumbprints (RFC 7517, 7638, 8037; RFC 9964 for the AKP type).

The algorithm of a key is read from its record, never from a message. Small-order Ed25519 keys are refused (RFC 8032
leaves that to the verifier), for they accept signatures that nobody made.
"""

import hashlib
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PublicKey

from schemas import encoding
from schemas.encoding import Members, b64decode, b64encode
from schemas.errors import FormError
from schemas.ids import Kid
from schemas.strict_json import Json

ML_KEM_PUBLIC: Final = 1184
HPKE_PUBLIC: Final = ML_KEM_PUBLIC + 32

# The eight points of small order on edwards25519 in their canonical encodings, and their non-canonical twins.
_SMALL_ORDER: Final = frozenset(
    bytes.fromhex(text)
    for text in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
)

# Scalars are multiples of the cofactor (RFC 7748 section 5), so any one of them shows a key of small order; it is no secret.
_ANY_X25519: Final = X25519PrivateKey.from_private_bytes(bytes(32))

_ED25519: Final = ("kty", "crv", "x")
_AKP: Final = ("kty", "alg", "pub")


def thumbprint(jwk: dict[str, str]) -> Kid:
    """Return a public JWK's RFC 7638 thumbprint (SHA-256): over `alg, kty, pub` for AKP, `crv, kty, x` for OKP."""
    names = ("alg", "kty", "pub") if jwk["kty"] == "AKP" else ("crv", "kty", "x")
    required = encoding.encode({name: jwk[name] for name in names})
    return Kid(b64encode(hashlib.sha256(required).digest()))


def ed25519_jwk(public: bytes) -> dict[str, str]:
    """Return the JWK of a raw Ed25519 public key (RFC 8037)."""
    return {"kty": "OKP", "crv": "Ed25519", "x": b64encode(public)}


def akp_jwk(alg: str, public: bytes) -> dict[str, str]:
    """Return the JWK of a key whose algorithm is part of it: `ML-DSA-65` or `HPKE-9-KE` (RFC 9964)."""
    return {"kty": "AKP", "alg": alg, "pub": b64encode(public)}


def read_ed25519(value: Json, at: str) -> tuple[Kid, Ed25519PublicKey]:
    """Read an Ed25519 JWK; raise `FormError`, also for the keys of small order."""
    m = Members(value, _ED25519, at)
    m.fixed("kty", "OKP")
    m.fixed("crv", "Ed25519")
    raw = b64decode(m.binary("x", 32))
    if raw in _SMALL_ORDER:
        raise FormError("Must not be an Ed25519 key of small order.", pointer=f"{at}/x")
    return thumbprint(ed25519_jwk(raw)), Ed25519PublicKey.from_public_bytes(raw)


def read_mldsa65(value: Json, at: str) -> tuple[Kid, MLDSA65PublicKey]:
    """Read an ML-DSA-65 JWK (RFC 9964); raise `FormError`."""
    m = Members(value, _AKP, at)
    m.fixed("kty", "AKP")
    m.fixed("alg", "ML-DSA-65")
    raw = b64decode(m.binary("pub", 1952))
    return thumbprint(akp_jwk("ML-DSA-65", raw)), MLDSA65PublicKey.from_public_bytes(raw)


def read_hpke(value: Json, at: str) -> tuple[Kid, MLKEM768X25519PublicKey]:
    """Read an `HPKE-9-KE` JWK: ML-KEM-768 public key, then X25519's; raise `FormError`."""
    m = Members(value, _AKP, at)
    m.fixed("kty", "AKP")
    m.fixed("alg", "HPKE-9-KE")
    raw = b64decode(m.binary("pub", HPKE_PUBLIC))
    return thumbprint(akp_jwk("HPKE-9-KE", raw)), load_hpke(raw, at)


def load_hpke(raw: bytes, at: str = "") -> MLKEM768X25519PublicKey:
    """Load a hybrid public key of 1,216 bytes; raise `FormError`.

    Refused are an ML-KEM key that fails the modulus check (FIPS 203 section 7.2) and an X25519 key of small order: with
    that one every exchange is zero, and sealing to it fails (RFC 9180 section 7.1.4), so that nobody could be written to.
    """
    try:
        mlkem = MLKEM768PublicKey.from_public_bytes(raw[:ML_KEM_PUBLIC])
    except (ValueError, UnsupportedAlgorithm):
        raise FormError("Must be a valid ML-KEM-768 public key.", pointer=at) from None
    x25519 = X25519PublicKey.from_public_bytes(raw[ML_KEM_PUBLIC:])
    try:
        _ANY_X25519.exchange(x25519)
    except ValueError:
        raise FormError("Must not have an X25519 key of small order.", pointer=at) from None
    return MLKEM768X25519PublicKey(mlkem, x25519)
