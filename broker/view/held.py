"""What a decision withheld from a recipient at delivery, kept until the rules change (design: access, Rules).

The view is disposable, and cursors have moved past what is held: so it is also an object of the ledger, from which a
view that was lost gets it back.
"""

from dataclasses import dataclass
from typing import Final, Self

import orjson

from schemas import strict_json
from schemas.encoding import Time
from schemas.errors import FormError
from schemas.ids import LedgerIndex, ParticipantId
from schemas.rules.verdict import Determination

PREFIX: Final = "held/"


@dataclass(frozen=True, slots=True)
class Held:
    """A notice that one participant did not get: since when, and `why` (JSON of the determination).

    `released` is the offer number under which it is offered again, None while it is held.
    """

    participant: ParticipantId
    index: LedgerIndex
    since: Time
    why: bytes
    released: int | None = None

    @classmethod
    def of(cls, participant: ParticipantId, index: LedgerIndex, why: Determination, since: Time) -> Self:
        """Return what is to be held, from the determination that denies it."""
        return cls(participant, index, since, orjson.dumps(why.to_json()))

    @property
    def name(self) -> str:
        """Return the name of the ledger's object."""
        return f"{PREFIX}{self.participant}/{self.index}"

    def encode(self) -> bytes:
        """Return the ledger's object."""
        return orjson.dumps(
            {
                "participant": self.participant,
                "index": self.index,
                "since": self.since,
                "why": orjson.Fragment(self.why),
                "released": self.released,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the ledger's object; raise `MalformedError` or `FormError`."""
        match strict_json.parse_object(data):
            case {
                "participant": str(participant),
                "index": int(index),
                "since": str(since),
                "why": dict(why),
                "released": int() | None as released,
            }:
                return cls(ParticipantId(participant), LedgerIndex(index), Time(since), orjson.dumps(why), released)
        raise FormError("Must be what is held: participant, index, since, why, released.")
