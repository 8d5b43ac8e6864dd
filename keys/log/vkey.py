"""Verifier keys of signed notes (C2SP signed-note "Verifier keys"): who signs under which name, type and public key.

Two types are known: Ed25519 over the note's text (0x01), and the timestamped ML-DSA-44 cosignature (0x06, C2SP
tlog-cosignature). What the signed message is, is said in `keys.log.note`.
"""

import binascii
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from keys.errors import VerificationError
from schemas.errors import FormError, MalformedError

ED25519: Final = 0x01
MLDSA44: Final = 0x06

_KEY_SIZES: Final = {ED25519: 32, MLDSA44: 1312}
_NAME_SIZE: Final = 255  # the cosigned message has one byte for it
_NAME: Final = re.compile("[^\\s+\x00-\x1f\ud800-\udfff]+")
_TEXT: Final = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class Vkey:
    """A key's name, its signature type, and the bytes of the public key (32 for Ed25519, 1,312 for ML-DSA-44).

    Raises `FormError` for a name with spaces or plus signs, another type, or another length.
    """

    name: str
    type: int
    key: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name.encode()) > _NAME_SIZE:
            raise FormError("A verifier key's name must have neither spaces nor plus signs, and at most 255 bytes.")
        if _KEY_SIZES.get(self.type) != len(self.key):
            raise FormError("A verifier key must be Ed25519 (32 bytes) or ML-DSA-44 (1,312 bytes).")

    @classmethod
    def parse(cls, text: str) -> "Vkey":
        """Read the text form; raise `MalformedError`, or `FormError` as the constructor does."""
        parts = _TEXT.fullmatch(text)
        if parts is None:
            raise MalformedError("A verifier key is name+id+key, with 8 hexadecimal digits and base64.")
        name, key_id, material = parts.groups()
        data = b64decode(material)
        vkey = cls(name, data[0], data[1:])
        if vkey.key_id.hex() != key_id:
            raise MalformedError("The verifier key's id is not that of its name and key.")
        return vkey

    def encode(self) -> str:
        """Return the text form: name, the id in hexadecimal, and base64 of `material`, joined by plus signs."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(self.material)}"

    @property
    def material(self) -> bytes:
        """Return the type's byte and the public key."""
        return bytes((self.type,)) + self.key

    @property
    def key_id(self) -> bytes:
        """Return the 4 bytes that name the key in a signature line, beside its name."""
        return sha256(self.name.encode() + b"\n" + self.material).digest()[:4]

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check a bare signature over a message, with an empty FIPS 204 context; raise `VerificationError`."""
        loader = Ed25519PublicKey if self.type == ED25519 else MLDSA44PublicKey
        try:
            loader.from_public_bytes(self.key).verify(signature, message)
        except InvalidSignature:
            raise VerificationError("A signature of the note does not hold.") from None


def b64encode(data: bytes) -> str:
    """Encode bytes in the padded base64 of notes (RFC 4648 section 4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def b64decode(text: str) -> bytes:
    """Decode non-empty padded base64; raise `MalformedError` also for loose trailing bits."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # or binascii.Error, which is one
        raise MalformedError("Not base64.") from None
    if not data or b64encode(data) != text:
        raise MalformedError("Not canonical base64.")
    return data
