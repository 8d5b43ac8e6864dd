"""An update of a directory role on its way: edited, then signed by whoever must sign, then uploaded.

A file in the one encoding, passed from hand to hand: `{v, typ, role, edited, metadata, targets {path: bytes}}`, binary as
base64url. It holds nothing secret. Whether it is acceptable is for the broker, and every client, to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from keys.directory import edit
from keys.directory.tuf_key import TufKey
from schemas import encoding
from schemas.encoding import Members, b64decode, b64encode
from schemas.errors import FormError

TYP: Final = "valise-role-update/1"
LIMIT: Final = 16 << 20
_MEMBERS: Final = ("v", "typ", "role", "edited", "metadata", "targets")


@dataclass(frozen=True, slots=True)
class RoleUpdate:
    """Metadata of a role and the files that it signs; `edited` is the version that it was made from, 0 for none."""

    role: str
    edited: int
    metadata: bytes
    targets: Mapping[str, bytes]

    def signed(self, key: TufKey) -> "RoleUpdate":
        """Return the update with one more signature."""
        return replace(self, metadata=edit.sign_role(self.metadata, key))

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return encoding.encode(
            {
                "v": 1,
                "typ": TYP,
                "role": self.role,
                "edited": self.edited,
                "metadata": b64encode(self.metadata),
                "targets": {path: b64encode(data) for path, data in self.targets.items()},
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "RoleUpdate":
        """Read a file; raise `TooLargeError`, `MalformedError` or `FormError`."""
        m = Members(encoding.parse(data, limit=LIMIT), _MEMBERS)
        m.fixed("v", 1)
        m.fixed("typ", TYP)
        targets = m.value["targets"]
        if not isinstance(targets, dict) or not all(isinstance(value, str) for value in targets.values()):
            raise FormError("Must be an object of texts.", pointer="/targets")
        return cls(
            role=m.string("role"),
            edited=m.integer("edited"),
            metadata=b64decode(m.binary("metadata")),
            targets={path: b64decode(str(value)) for path, value in targets.items()},
        )
