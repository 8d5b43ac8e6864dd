"""Signing identities, receipts and refusals: what holds, and what an altered one is told."""

import itertools

import pytest

from keys.errors import VerificationError
from keys.sign import Ed25519Signer, SigningKeys, verify_jws, verify_pair, verify_receipt, verify_refusal
from schemas.encoding import b64encode, encode
from schemas.errors import FormError
from schemas.leaf import Leaf, LeafType
from schemas.receipt import RECEIPT_TYP, REFUSAL_TYP, Denial, Receipt, Refusal
from tests.vectors.workshop import unb64

RECEIPT = Receipt(
    origin="test.invalid/sign",  # type: ignore[arg-type]
    index=7,  # type: ignore[arg-type]
    leaf=Leaf(LeafType.SEALED, 1, bytes(32)),
    statement=b64encode(bytes(32)),
    proof=b64encode(bytes(32)),
    directory=1,
    boundary=None,
    due="2026-01-01T00:00:00Z",  # type: ignore[arg-type]
)
REFUSAL = Refusal(
    origin="test.invalid/sign",  # type: ignore[arg-type]
    statement=b64encode(bytes(32)),
    reason="denied",  # type: ignore[arg-type]
    denied=(Denial("kz/focal-point", "no-onward"),),  # type: ignore[arg-type]
    at="2026-01-01T00:00:00Z",  # type: ignore[arg-type]
)
KEY = Ed25519Signer.from_bytes(bytes(32))


def test_seeds_come_back() -> None:
    identity = SigningKeys.generate()
    assert SigningKeys.from_bytes(identity.to_bytes()).kids == identity.kids
    key = Ed25519Signer.generate()
    assert Ed25519Signer.from_bytes(key.to_bytes()).kid == key.kid
    assert key.private_key().public_key() == key.public
    assert len({*identity.kids, key.kid}) == 3


def test_both_signatures_of_a_head_are_needed() -> None:
    """Each combination but the right one is refused: one signature never stands for the other."""
    keys, strangers = SigningKeys.generate(), SigningKeys.generate()
    heads = [one.sign_head(b'{"a":1}') for one in (keys, strangers)]
    inputs = tuple(f"{item['protected']}.{heads[0]['payload']}".encode() for item in heads[0]["signatures"])  # type: ignore[union-attr,index,call-overload]
    pairs = [[unb64(item["signature"]) for item in head["signatures"]] for head in heads]  # type: ignore[union-attr,index,call-overload,arg-type]
    for first, second in itertools.product(range(2), repeat=2):
        signatures = (pairs[first][0], pairs[second][1])
        if (first, second) == (0, 0):
            verify_pair(keys.public, inputs, signatures)  # type: ignore[arg-type]
        else:
            with pytest.raises(VerificationError):
                verify_pair(keys.public, inputs, signatures)  # type: ignore[arg-type]


def test_receipts_and_refusals_come_back_and_are_not_each_other() -> None:
    receipt, refusal = KEY.receipt(RECEIPT), KEY.refusal(REFUSAL)
    assert verify_receipt(receipt, KEY.kid, KEY.public) == RECEIPT
    assert verify_refusal(refusal, KEY.kid, KEY.public) == REFUSAL
    with pytest.raises(VerificationError):
        verify_receipt(refusal, KEY.kid, KEY.public)
    with pytest.raises(VerificationError):
        verify_refusal(receipt, KEY.kid, KEY.public)
    with pytest.raises(FormError):
        verify_receipt(KEY.jws(RECEIPT_TYP, REFUSAL.encode()), KEY.kid, KEY.public)


def test_another_key_is_refused() -> None:
    other = Ed25519Signer.generate()
    for kid, public in ((other.kid, KEY.public), (KEY.kid, other.public)):
        with pytest.raises(VerificationError):
            verify_receipt(KEY.receipt(RECEIPT), kid, public)


def test_every_bit_of_a_receipt_counts() -> None:
    token = KEY.receipt(RECEIPT).encode()
    for bit in range(8 * len(token)):
        bad = bytearray(token)
        bad[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(VerificationError):
            verify_receipt(bad.decode("latin-1"), KEY.kid, KEY.public)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": KEY.kid, "typ": REFUSAL_TYP},
        {"alg": "HS256", "kid": KEY.kid, "typ": REFUSAL_TYP},
        {"alg": "Ed25519", "kid": KEY.kid, "typ": RECEIPT_TYP},
        {"alg": "Ed25519", "kid": "A", "typ": REFUSAL_TYP},
        {"alg": "Ed25519", "kid": KEY.kid, "typ": REFUSAL_TYP, "crit": ["exp"]},
        {"kid": KEY.kid, "alg": "Ed25519", "typ": REFUSAL_TYP},
    ],
)
def test_another_protected_header_is_refused_although_it_is_signed(header: dict[str, object]) -> None:
    text = f"{b64encode(encode(header))}.{b64encode(REFUSAL.encode())}"
    with pytest.raises(VerificationError):
        verify_jws(f"{text}.{b64encode(KEY.sign(text.encode()))}", REFUSAL_TYP, KEY.kid, KEY.public)


@pytest.mark.parametrize("token", ["", ".", "..", "...", "a.b.c", "AA.AA.AA", "é.é.é", "AA.AA"])
def test_what_is_no_jws_is_refused(token: str) -> None:
    with pytest.raises(VerificationError):
        verify_jws(token, REFUSAL_TYP, KEY.kid, KEY.public)
