"""Published JOSE-HPKE vectors, key encryption (RFC 7516 JSON and compact): our suite, and those that `cryptography` has.

Not covered: integrated encryption (`HPKE-n` without `-KE`), for which the library's one-shot calls take no AAD, X448
(HPKE-5, HPKE-6), and the hybrids on P-256 and P-384 (HPKE-8, HPKE-10), which have no derivation from their seeds in it.
RFC 6962 inclusion vectors are held in tests/unit/keys/log/test_merkle.py.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM1024PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from keys.errors import VerificationError
from keys.jwk import thumbprint
from keys.seal import SealingKey, decrypt
from tests.vectors.reader import open_stanza
from tests.vectors.reader import thumbprint as thumbprint_of_the_second_reader
from tests.vectors.workshop import unb64

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors"
OURS = "jose-hpke-pq-vectors.json"
CLASSICAL = "jose-hpke-vectors.json"

KDF, KEM, AEAD = hpke.KDF, hpke.KEM, hpke.AEAD
SUITES = {
    "HPKE-0-KE": (KEM.P256, KDF.HKDF_SHA256, AEAD.AES_128_GCM),
    "HPKE-1-KE": (KEM.P384, KDF.HKDF_SHA384, AEAD.AES_256_GCM),
    "HPKE-2-KE": (KEM.P521, KDF.HKDF_SHA512, AEAD.AES_256_GCM),
    "HPKE-3-KE": (KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM),
    "HPKE-4-KE": (KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305),
    "HPKE-7-KE": (KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    "HPKE-12-KE": (KEM.MLKEM768, KDF.SHAKE256, AEAD.AES_256_GCM),
    "HPKE-13-KE": (KEM.MLKEM1024, KDF.SHAKE256, AEAD.AES_256_GCM),
}
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
CONTENT = {"A128GCM": AESGCM, "A256GCM": AESGCM, "C20P": ChaCha20Poly1305}


def vectors(name: str) -> dict[str, dict[str, Any]]:
    path = VECTORS / name
    if not path.is_file():
        pytest.skip(f"the published vectors are not here: {name}")
    return {vector["alg"]: vector for vector in json.loads(path.read_text(encoding="utf-8"))}


def flattened(vector: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any], bytes]:
    """Return the parts, the protected header, and the AAD with the JWE's own `aad` (RFC 7516 section 5.1, step 14)."""
    parts = vector["flattened"]
    return parts, json.loads(unb64(parts["protected"])), f"{parts['protected']}.{parts['aad']}".encode()


def compact(vector: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any], bytes]:
    names = ("protected", "encrypted_key", "iv", "ciphertext", "tag")
    parts = dict(zip(names, vector["compact"].split("."), strict=True))
    return parts, json.loads(unb64(parts["protected"])), parts["protected"].encode()


@pytest.mark.parametrize("form", [flattened, compact])
def test_our_suite_opens_through_our_sealing_key(form: Any) -> None:
    vector = vectors(OURS)["HPKE-9-KE"]
    key = SealingKey(unb64(vector["jwk"]["priv"]))
    assert key.jwk["pub"] == vector["jwk"]["pub"]
    assert key.kid == vector["jwk"]["kid"] == thumbprint_of_the_second_reader(key.jwk)
    parts, header, aad = form(vector)
    ek, encrypted_key = unb64(header["ek"]), unb64(parts["encrypted_key"])
    content_key = key.open_key(ek, encrypted_key)
    assert content_key == open_stanza(key.to_bytes(), ek, encrypted_key)
    text = decrypt(content_key, unb64(parts["iv"]), unb64(parts["ciphertext"]), unb64(parts["tag"]), aad)
    assert text.startswith(b"You can trust us to stick with you")
    with pytest.raises(VerificationError):
        decrypt(content_key, unb64(parts["iv"]), unb64(parts["ciphertext"]), unb64(parts["tag"]), aad + b".")
    with pytest.raises(VerificationError):
        key.open_key(ek, encrypted_key[::-1])


def test_thumbprints_are_theirs() -> None:
    keys = [vector["jwk"] for vector in vectors(OURS).values() if vector["jwk"]["kty"] == "AKP"]
    assert keys
    assert [thumbprint(key) for key in keys] == [key["kid"] for key in keys]


def private_key(jwk: dict[str, str], alg: str) -> Any:
    if jwk["kty"] == "AKP":
        return (MLKEM768PrivateKey if alg == "HPKE-12-KE" else MLKEM1024PrivateKey).from_seed_bytes(unb64(jwk["priv"]))
    if jwk["kty"] == "OKP":
        return X25519PrivateKey.from_private_bytes(unb64(jwk["d"]))
    return ec.derive_private_key(int.from_bytes(unb64(jwk["d"]), "big"), CURVES[jwk["crv"]])


@pytest.mark.parametrize("form", [flattened, compact])
@pytest.mark.parametrize("alg", SUITES)
def test_the_suites_of_the_library_open(alg: str, form: Any) -> None:
    vector = {**vectors(CLASSICAL), **vectors(OURS)}[alg]
    parts, header, aad = form(vector)
    info = b"JOSE-HPKE rcpt\xff" + header["enc"].encode() + b"\xff"
    sealed = unb64(header["ek"]) + unb64(parts["encrypted_key"])
    content_key = hpke.Suite(*SUITES[alg]).decrypt(sealed, private_key(vector["jwk"], alg), info)
    cipher = CONTENT[header["enc"]](content_key)
    text = cipher.decrypt(unb64(parts["iv"]), unb64(parts["ciphertext"]) + unb64(parts["tag"]), aad)
    assert text.startswith(b"You can trust us to stick with you")
