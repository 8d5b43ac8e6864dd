"""A role that is uploaded to an instance that does not sign: handed to the one that does, and answered by it.

Both ways go through the ledger's objects, `uploads/…` and `answers/…` of one id. The signer alone makes directory versions,
for it alone signs snapshots; whoever handed a role over answers its uploader once the version is in its own view.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas import encoding
from schemas.encoding import Members, b64encode
from schemas.errors import Error, FormError
from schemas.limits import LIMITS
from schemas.problems import PROBLEMS

UPLOADS: Final = "uploads/"
ANSWERS: Final = "answers/"
DONE: Final = b""
"""What an upload is replaced by once it was answered."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A State's signed role as it was uploaded; `if_match` is the version that was edited."""

    role: str
    metadata: bytes
    targets: Mapping[str, bytes]
    if_match: int | None

    def encode(self) -> bytes:
        """Return the object's bytes."""
        names = sorted(self.targets)
        return encoding.encode(
            {
                "role": self.role,
                "metadata": b64encode(self.metadata),
                "names": list(names),
                "data": [b64encode(self.targets[name]) for name in names],
                "if_match": self.if_match,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Upload":
        """Read the object; raise `MalformedError` or `FormError`."""
        m = Members(encoding.parse(data, limit=4 * LIMITS.body), ("role", "metadata", "names", "data", "if_match"))
        names, blobs = _texts(m, "names"), _texts(m, "data")
        if len(names) != len(blobs):
            raise FormError("Must be as many as there are names.", pointer="/data")
        targets = {name: encoding.b64decode(blob) for name, blob in zip(names, blobs, strict=True)}
        return cls(
            m.string("role"), m.decoded("metadata"), targets, None if m.absent("if_match") else m.integer("if_match")
        )


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The directory version that an upload made, and its leaf's index."""

    version: int
    index: int

    def encode(self) -> bytes:
        """Return the answer's bytes."""
        return encoding.encode({"version": self.version, "index": self.index, "problem": None, "detail": None})


def encode_refusal(error: Error) -> bytes:
    """Return the answer that refuses an upload."""
    return encoding.encode({"version": None, "index": None, "problem": error.code, "detail": error.detail})


def parse_answer(data: bytes) -> Uploaded:
    """Read an answer: return the version, or raise the `Error` that the signer refused with."""
    m = Members(encoding.parse(data), ("version", "index", "problem", "detail"))
    if m.absent("problem"):
        return Uploaded(m.integer("version"), m.integer("index"))
    code = m.string("problem")
    raise Error(m.string("detail"), problem=code if code in PROBLEMS else "internal")


def _texts(m: Members, name: str) -> list[str]:
    found = m.value[name]
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise FormError("Must be a list of strings.", pointer=f"/{name}")
    return [str(item) for item in found]
