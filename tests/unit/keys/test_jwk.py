"""Public keys as JWKs: what is read, and which keys are refused whoever vouches for them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys.jwk import _SMALL_ORDER, akp_jwk, ed25519_jwk, load_hpke, read_ed25519, read_hpke, read_mldsa65, thumbprint
from keys.seal import SealingKey
from keys.sign import SigningKeys
from schemas.encoding import b64decode
from schemas.errors import FormError

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def test_what_is_written_is_read() -> None:
    signing, sealing = SigningKeys.generate(), SealingKey.generate()
    assert read_ed25519(signing.jwks[0], "")[0] == signing.kids[0]
    assert read_mldsa65(signing.jwks[1], "")[0] == signing.kids[1]
    assert read_hpke(sealing.jwk, "")[0] == sealing.kid
    assert len({*signing.kids, sealing.kid}) == 3


def times_eight(encoded: bytes) -> tuple[int, int]:
    """Decode a point as RFC 8032 section 5.1.3 does, without its demand that y is canonical, and double it thrice."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, (number & (1 << 255) - 1) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0
    x = -x % P if x & 1 != sign else x
    for _ in range(3):
        product = D * x * x * y * y % P
        x, y = 2 * x * y * pow(1 + product, -1, P) % P, (y * y + x * x) * pow(1 - product, -1, P) % P
    return x, y


@pytest.mark.parametrize("raw", sorted(_SMALL_ORDER), ids=bytes.hex)
def test_the_keys_of_small_order_are_refused(raw: bytes) -> None:
    """Each encoding listed is one of a point whose eighth multiple is the neutral element."""
    assert times_eight(raw) == (0, 1)
    with pytest.raises(FormError) as refused:
        read_ed25519(ed25519_jwk(raw), "/key")
    assert refused.value.pointer == "/key/x"


def test_every_encoding_of_small_order_is_listed() -> None:
    """Eight points; those with y < 19 have a second encoding, as y + p, and x = 0 has both signs."""
    ys = {int.from_bytes(raw, "little") & (1 << 255) - 1 for raw in _SMALL_ORDER}
    assert {y % P for y in ys} | {0, 1, P - 1} == {y % P for y in ys}
    assert {y + P for y in ys if y < 19} <= ys
    assert {bytes([*raw[:31], raw[31] ^ 0x80]) for raw in _SMALL_ORDER} == _SMALL_ORDER
    assert len({y % P for y in ys}) == 5


def test_a_usual_key_is_not_refused() -> None:
    raw = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert read_ed25519(ed25519_jwk(raw), "")[1].public_bytes_raw() == raw


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"kty": "AKP", "alg": "ML-DSA-65"},
        {"alg": "ML-DSA-65", "kty": "AKP", "pub": "AA"},
        akp_jwk("ML-DSA-65", bytes(1951)),
        akp_jwk("ML-DSA-44", bytes(1952)),
        {**akp_jwk("ML-DSA-65", bytes(1952)), "use": "sig"},
    ],
)
def test_another_form_is_refused(value: object) -> None:
    with pytest.raises(FormError):
        read_mldsa65(value, "")  # type: ignore[arg-type]


def test_an_ml_kem_key_beyond_its_modulus_is_refused() -> None:
    """FIPS 203 section 7.2: coefficients are below 3,329; twelve bits of ones are not."""
    raw = b64decode(SealingKey(bytes(32)).jwk["pub"])
    load_hpke(raw)
    with pytest.raises(FormError):
        load_hpke(b"\xff" * 3 + raw[3:])
    with pytest.raises(FormError) as refused:
        read_hpke(akp_jwk("HPKE-9-KE", b"\xff" * 3 + raw[3:]), "/key")
    assert refused.value.pointer == "/key"


@pytest.mark.parametrize(
    "u", [0, 1, P - 1, P, P + 1, 325606250916557431795983626356110631294008115727848805560023387167927233504]
)
def test_a_sealing_key_whose_x25519_half_is_of_small_order_is_refused(u: int) -> None:
    """Every exchange with it would be zero, so nobody could seal to it."""
    raw = b64decode(SealingKey(bytes(32)).jwk["pub"])
    with pytest.raises(FormError):
        read_hpke(akp_jwk("HPKE-9-KE", raw[:1184] + u.to_bytes(32, "little")), "/key")


def test_the_thumbprint_is_of_the_required_members_alone() -> None:
    jwk = ed25519_jwk(bytes(31) + b"\x01")
    assert thumbprint({**jwk, "use": "sig", "alg": "Ed25519"}) == thumbprint(jwk)
    assert thumbprint(akp_jwk("HPKE-9-KE", bytes(1216))) != thumbprint(akp_jwk("HPKE-8-KE", bytes(1216)))
