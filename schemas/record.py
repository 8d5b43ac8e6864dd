"""Records: what a ledger stores, in its order, and what the tree is a pure function of (spec/ledger.md)."""

from dataclasses import dataclass
from typing import Final

from schemas import encoding
from schemas.encoding import Members, Time, b64encode
from schemas.errors import FormError
from schemas.leaf import EVENTS, Leaf
from schemas.limits import LIMITS

MEMBERS: Final = ("leaf", "document", "proof", "body_digest", "directory", "boundary")


@dataclass(frozen=True, slots=True)
class Record:
    """A leaf and what stands behind it.

    `document` holds the statement's or event's bytes, `proof` the proof's (None for events), `body_digest` the SHA-256
    of the sealed body (None where there is none); `directory` and `boundary` are what it was decided under.
    """

    leaf: Leaf
    document: bytes
    proof: bytes | None
    body_digest: bytes | None
    directory: int
    boundary: Time | None

    def encode(self) -> bytes:
        """Return the record's bytes in the one encoding."""
        return encoding.encode(
            {
                "leaf": b64encode(self.leaf.encode()),
                "document": b64encode(self.document),
                "proof": None if self.proof is None else b64encode(self.proof),
                "body_digest": None if self.body_digest is None else b64encode(self.body_digest),
                "directory": self.directory,
                "boundary": self.boundary,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Record":
        """Read a record; raise `MalformedError` or `FormError`. Digests are not compared here."""
        m = Members(encoding.parse(data, limit=4 * LIMITS.body), MEMBERS)
        leaf = Leaf.parse(m.decoded("leaf"))
        if (leaf.type in EVENTS) is not m.absent("proof"):
            raise FormError("Must be there for statements and null for events.", pointer="/proof")
        return cls(
            leaf=leaf,
            document=m.decoded("document"),
            proof=None if m.absent("proof") else m.decoded("proof"),
            body_digest=None if m.absent("body_digest") else m.decoded("body_digest", 32),
            directory=m.integer("directory"),
            boundary=None if m.absent("boundary") else m.time("boundary"),
        )
