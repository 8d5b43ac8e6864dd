"""The directory target `network/log.json`: the keys of the log's checkpoints and of the broker's receipts.

A threshold of the root holders signs it; so who runs the broker cannot swap the log. Strict JSON, members in order.
"""

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from keys.jwk import ed25519_jwk, read_ed25519
from keys.log.note import LogKeys
from keys.log.vkey import Vkey
from schemas import encoding, ids, strict_json
from schemas.encoding import Members
from schemas.ids import Kid

_MEMBERS: Final = ("v", "origin", "ed25519", "mldsa44", "receipt")


@dataclass(frozen=True, slots=True)
class LogTarget:
    """The log's keys under its origin, and the Ed25519 key of receipts and refusals."""

    keys: LogKeys
    receipt_kid: Kid
    receipt_public: Ed25519PublicKey = field(compare=False, repr=False)

    def encode(self) -> bytes:
        """Return the target's bytes: verifier keys as C2SP text, the receipt key as a JWK."""
        return encoding.encode(
            {
                "v": 1,
                "origin": self.keys.origin,
                "ed25519": self.keys.ed25519.encode(),
                "mldsa44": self.keys.mldsa44.encode(),
                "receipt": ed25519_jwk(self.receipt_public.public_bytes_raw()),
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "LogTarget":
        """Read the target; raise `MalformedError` or `FormError`."""
        m = Members(strict_json.parse(data), _MEMBERS)
        m.fixed("v", 1)
        origin = m.matching("origin", ids.origin)
        keys = LogKeys(origin, m.matching("ed25519", Vkey.parse), m.matching("mldsa44", Vkey.parse))
        return cls(keys, *read_ed25519(m.value["receipt"], "/receipt"))
