"""Signing identities: one Ed25519 and one ML-DSA-65 key over the same payload, and both must hold (RFC 7515, 9864, 9964).

Receipts and refusals carry one Ed25519 signature as compact JWS. Nothing here looks a key up.
"""

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

from keys.errors import VerificationError
from keys.jwk import akp_jwk, ed25519_jwk, thumbprint
from schemas import encoding
from schemas.encoding import Members, b64decode, b64encode
from schemas.errors import FormError, MalformedError, TooLargeError
from schemas.ids import Kid, kid
from schemas.receipt import RECEIPT_TYP, REFUSAL_TYP, Receipt, Refusal
from schemas.strict_json import Json

HEAD_TYP: Final = "valise-batch+json"
ALGORITHMS: Final = ("Ed25519", "ML-DSA-65")


@dataclass(frozen=True, slots=True)
class SigningPublic:
    """The public halves of one signing identity."""

    ed25519: Ed25519PublicKey
    mldsa65: MLDSA65PublicKey


class SigningKeys:
    """The private halves of one signing identity."""

    __slots__ = ("_ed25519", "_mldsa65", "jwks", "kids", "public")

    def __init__(self, ed25519: Ed25519PrivateKey, mldsa65: MLDSA65PrivateKey) -> None:
        self._ed25519 = ed25519
        self._mldsa65 = mldsa65
        self.public = SigningPublic(ed25519.public_key(), mldsa65.public_key())
        self.jwks = (
            ed25519_jwk(self.public.ed25519.public_bytes_raw()),
            akp_jwk("ML-DSA-65", self.public.mldsa65.public_bytes_raw()),
        )
        self.kids = (thumbprint(self.jwks[0]), thumbprint(self.jwks[1]))

    @classmethod
    def generate(cls) -> "SigningKeys":
        """Make a new identity."""
        return cls(Ed25519PrivateKey.generate(), MLDSA65PrivateKey.generate())

    @classmethod
    def from_bytes(cls, secret: bytes) -> "SigningKeys":
        """Read what `to_bytes` wrote: two seeds of 32 bytes."""
        return cls(Ed25519PrivateKey.from_private_bytes(secret[:32]), MLDSA65PrivateKey.from_seed_bytes(secret[32:]))

    def to_bytes(self) -> bytes:
        """Return both seeds, for custody only."""
        return self._ed25519.private_bytes_raw() + self._mldsa65.private_bytes_raw()

    def sign_head(self, payload: bytes) -> dict[str, Json]:
        """Sign a batch's payload and return the head, a JWS JSON object with exactly two signatures."""
        encoded = b64encode(payload)
        headers = tuple(protected_header(alg, name) for alg, name in zip(ALGORITHMS, self.kids, strict=True))
        inputs = tuple(f"{protected}.{encoded}".encode("ascii") for protected in headers)
        signed = (self._ed25519.sign(inputs[0]), self._mldsa65.sign(inputs[1]))
        signatures: list[Json] = [
            {"protected": protected, "signature": b64encode(signature)}
            for protected, signature in zip(headers, signed, strict=True)
        ]
        return {"payload": encoded, "signatures": signatures}


def protected_header(alg: str, name: Kid, typ: str = HEAD_TYP) -> str:
    """Return a protected header in base64url: `alg`, `kid`, `typ`, in that order."""
    return b64encode(encoding.encode({"alg": alg, "kid": name, "typ": typ}))


def verify_pair(public: SigningPublic, inputs: tuple[bytes, bytes], signatures: tuple[bytes, bytes]) -> None:
    """Check both signatures of a head; raise `VerificationError` when either does not hold.

    Ed25519 goes first because it is the cheaper one.
    """
    try:
        public.ed25519.verify(signatures[0], inputs[0])
    except InvalidSignature:
        raise VerificationError("The Ed25519 signature does not hold.") from None
    try:
        public.mldsa65.verify(signatures[1], inputs[1])
    except InvalidSignature:
        raise VerificationError("The ML-DSA-65 signature does not hold.") from None


class Ed25519Signer:
    """One Ed25519 key that signs receipts and refusals (the broker) or requests (a participant)."""

    __slots__ = ("_private", "jwk", "kid", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key()
        self.jwk = ed25519_jwk(self.public.public_bytes_raw())
        self.kid = thumbprint(self.jwk)

    @classmethod
    def generate(cls) -> "Ed25519Signer":
        """Make a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, secret: bytes) -> "Ed25519Signer":
        """Read a seed of 32 bytes."""
        return cls(Ed25519PrivateKey.from_private_bytes(secret))

    def to_bytes(self) -> bytes:
        """Return the seed, for custody only."""
        return self._private.private_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """Sign bytes (RFC 8032)."""
        return self._private.sign(data)

    def private_key(self) -> Ed25519PrivateKey:
        """Return the private key for the RFC 9421 library."""
        return self._private

    def jws(self, typ: str, payload: bytes) -> str:
        """Return a compact JWS over `payload`."""
        signing_input = f"{protected_header('Ed25519', self.kid, typ)}.{b64encode(payload)}"
        return f"{signing_input}.{b64encode(self._private.sign(signing_input.encode('ascii')))}"

    def receipt(self, receipt: Receipt) -> str:
        """Sign a receipt."""
        return self.jws(RECEIPT_TYP, receipt.encode())

    def refusal(self, refusal: Refusal) -> str:
        """Sign a refusal."""
        return self.jws(REFUSAL_TYP, refusal.encode())


def verify_jws(token: str, typ: str, name: Kid, public: Ed25519PublicKey) -> bytes:
    """Check a compact JWS of one type under one key and return its payload; raise `VerificationError`."""
    try:
        protected, payload, signature = token.split(".")
        m = Members(encoding.parse(b64decode(protected)), ("alg", "kid", "typ"))
        m.fixed("alg", "Ed25519")
        m.fixed("typ", typ)
        if m.matching("kid", kid) != name:
            raise VerificationError("Signed under another key.")
        public.verify(b64decode(signature), f"{protected}.{payload}".encode("ascii"))
        return b64decode(payload)
    except (ValueError, MalformedError, TooLargeError, InvalidSignature):
        raise VerificationError("Not a valid compact JWS of this type.") from None
    except FormError as error:
        raise VerificationError(f"The protected header is wrong: {error.detail}") from None


def verify_receipt(token: str, name: Kid, public: Ed25519PublicKey) -> Receipt:
    """Check a receipt's signature and form; raise `VerificationError`, `MalformedError` or `FormError`."""
    return Receipt.parse(verify_jws(token, RECEIPT_TYP, name, public))


def verify_refusal(token: str, name: Kid, public: Ed25519PublicKey) -> Refusal:
    """Check a refusal's signature and form; raise `VerificationError`, `MalformedError` or `FormError`."""
    return Refusal.parse(verify_jws(token, REFUSAL_TYP, name, public))
