"""Receipts and signed refusals: the broker's word, as payloads of compact JWS (spec/receipts.md)."""

import itertools
from dataclasses import dataclass
from typing import Final

from schemas import encoding, ids
from schemas.encoding import B64, Members, Time, b64encode
from schemas.errors import FormError
from schemas.ids import Code, LedgerIndex, Origin, ParticipantId
from schemas.leaf import Leaf
from schemas.strict_json import Json

RECEIPT_TYP: Final = "valise-receipt+json"
REFUSAL_TYP: Final = "valise-refusal+json"
_RECEIPT: Final = ("typ", "origin", "index", "leaf", "statement", "proof", "directory", "boundary", "due")
_REFUSAL: Final = ("typ", "origin", "statement", "problem", "denied", "at")


@dataclass(frozen=True, slots=True)
class Receipt:
    """`leaf` is at `index` in every checkpoint larger than it, issued by `due`. A pure function of the record."""

    origin: Origin
    index: LedgerIndex
    leaf: Leaf
    statement: B64
    proof: B64
    directory: int
    boundary: Time | None
    due: Time

    def encode(self) -> bytes:
        """Return the payload in the one encoding."""
        return encoding.encode(
            {
                "typ": "valise-receipt/1",
                "origin": self.origin,
                "index": self.index,
                "leaf": b64encode(self.leaf.encode()),
                "statement": self.statement,
                "proof": self.proof,
                "directory": self.directory,
                "boundary": self.boundary,
                "due": self.due,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Receipt":
        """Read a payload; raise `MalformedError` or `FormError`."""
        m = Members(encoding.parse(data), _RECEIPT)
        m.fixed("typ", "valise-receipt/1")
        return cls(
            origin=m.matching("origin", ids.origin),
            index=LedgerIndex(m.integer("index")),
            leaf=Leaf.parse(m.decoded("leaf", 41)),
            statement=m.binary("statement", 32),
            proof=m.binary("proof", 32),
            directory=m.integer("directory"),
            boundary=None if m.absent("boundary") else m.time("boundary"),
            due=m.time("due"),
        )


@dataclass(frozen=True, slots=True)
class Denial:
    """A denied participant and the id of the condition that denied it."""

    participant: ParticipantId
    condition: Code


@dataclass(frozen=True, slots=True)
class Refusal:
    """A definite refusal: a leaf for a statement that was refused proves misbehaviour."""

    origin: Origin
    statement: B64
    reason: Code
    denied: tuple[Denial, ...]
    at: Time

    def encode(self) -> bytes:
        """Return the payload in the one encoding."""
        denied: list[Json] = [{"participant": item.participant, "condition": item.condition} for item in self.denied]
        return encoding.encode(
            {
                "typ": "valise-refusal/1",
                "origin": self.origin,
                "statement": self.statement,
                "problem": self.reason,
                "denied": denied,
                "at": self.at,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Refusal":
        """Read a payload; raise `MalformedError` or `FormError`."""
        m = Members(encoding.parse(data), _REFUSAL)
        m.fixed("typ", "valise-refusal/1")
        denied = tuple(_denial(item, f"/denied/{n}") for n, item in enumerate(m.items("denied")))
        keys = [(item.participant, item.condition) for item in denied]
        if any(a >= b for a, b in itertools.pairwise(keys)):
            raise FormError("Must be sorted and without repeats.", pointer="/denied")
        return cls(
            origin=m.matching("origin", ids.origin),
            statement=m.binary("statement", 32),
            reason=m.matching("problem", ids.code),
            denied=denied,
            at=m.time("at"),
        )


def _denial(value: Json, at: str) -> Denial:
    m = Members(value, ("participant", "condition"), at)
    return Denial(m.matching("participant", ids.participant), m.matching("condition", ids.code))
