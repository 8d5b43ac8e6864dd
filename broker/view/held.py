"""What a decision withheld from a recipient at delivery, kept until the rules change (design: access, Rules).

The view is disposable, and cursors have moved past what is held: so it is also an object of the ledger, from which a
view that was lost gets it back.
"""

from dataclasses import dataclass
from typing import Final

import orjson

from schemas import strict_json
from schemas.errors import FormError
from schemas.ids import Code, LedgerIndex, ParticipantId, Role
from schemas.rules.verdict import Determination, Effect
from schemas.strict_json import Json

PREFIX: Final = "held/"


@dataclass(frozen=True, slots=True)
class Held:
    """A notice that one participant did not get: `since` which index of the ledger, and why.

    `released` is the offer number under which it is offered again, None while it is held.
    """

    participant: ParticipantId
    index: LedgerIndex
    since: int
    why: Determination
    released: int | None = None

    @property
    def name(self) -> str:
        """Return the name of the ledger's object."""
        return f"{PREFIX}{self.participant}/{self.index}"

    def why_json(self) -> bytes:
        """Return the determination as JSON."""
        return orjson.dumps(self.why.to_json())

    def encode(self) -> bytes:
        """Return the ledger's object."""
        return orjson.dumps(
            {
                "participant": self.participant,
                "index": self.index,
                "since": self.since,
                "why": self.why.to_json(),
                "released": self.released,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Held":
        """Read the ledger's object; raise `MalformedError` or `FormError`."""
        match strict_json.parse_object(data):
            case {
                "participant": str(participant),
                "index": int(index),
                "since": int(since),
                "why": dict(why),
                "released": int() | None as released,
            }:
                return cls(ParticipantId(participant), LedgerIndex(index), since, _determination(why), released)
        raise FormError("Must be what is held: participant, index, since, why, released.")


def read_why(data: bytes) -> Determination:
    """Read a determination's JSON; raise `MalformedError` or `FormError`."""
    return _determination(strict_json.parse_object(data))


def _determination(value: dict[str, Json]) -> Determination:
    match value:
        case {
            "condition": str(condition),
            "layer": "network" | "law" | "originator" as layer,
            "state": str() | None as state,
            "effect": str(effect),
            "instrument": str(instrument),
            "article": str(article),
            "reason": dict(reason),
            "evaluated_by": str(evaluated_by),
            "obligation": str() | None as obligation,
            "parameters": dict(parameters),
        }:
            return Determination(
                condition=Code(condition),
                layer=layer,
                state=None if state is None else Role(state),
                effect=Effect(effect),
                instrument=instrument,
                article=article,
                reason={language: str(text) for language, text in reason.items()},
                evaluated_by=evaluated_by,
                obligation=None if obligation is None else Code(obligation),
                parameters={
                    name: tuple(map(str, text)) if isinstance(text, list) else str(text)
                    for name, text in parameters.items()
                },
            )
    raise FormError("Must be a determination.", pointer="/why")
