"""What a decision says: permitted or not, which conditions determined it, what is owed, under which versions.

The JSON forms here are stable: they are recorded for auditors and shown by both services. They are UTF-8 JSON, not the
one encoding of signed things; a refusal on the wire names the participant and the condition only (`schemas.receipt`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from schemas.encoding import Time
from schemas.ids import Code, Role
from schemas.strict_json import Json

Layer = Literal["network", "law", "originator"]


class Effect(StrEnum):
    """What a condition does when it applies."""

    PERMIT = "permit"
    DENY = "deny"
    REQUIRE = "require"
    OBLIGE = "oblige"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Determination:
    """One condition that applied, with the words a person needs to look it up.

    `state` is the role whose rule it is or whom it is about (None: nobody's in particular), `reason` a sentence by
    language, `evaluated_by` who evaluated it, `parameters` what the reason leaves open (texts or lists of codes).
    """

    condition: Code
    layer: Layer
    state: Role | None
    effect: Effect
    instrument: str
    article: str
    reason: Mapping[str, str] = field(hash=False)
    evaluated_by: str
    obligation: Code | None = None
    parameters: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, hash=False)

    def reason_in(self, language: str) -> str:
        """Return the reason in a language, in English where it lacks that one, with the member that is missing."""
        reasons = self.reasons
        return reasons.get(language) or reasons["en"]

    @property
    def missing(self) -> str | None:
        """Return the pointer of the member of the notice for lack of which it could not be evaluated, None for none."""
        field = self.parameters.get("field")
        return field if isinstance(field, str) else None

    @property
    def reasons(self) -> Mapping[str, str]:
        """Return the reason by language, with the member of the notice that is missing where one is."""
        if self.missing is None:
            return self.reason
        return {language: f"{text} ({self.missing})" for language, text in self.reason.items()}

    def to_json(self) -> dict[str, Json]:
        """Return the determination with its members in order; languages that are lacking are left out."""
        parameters: dict[str, Json] = {
            name: value if isinstance(value, str) else list(value) for name, value in sorted(self.parameters.items())
        }
        return {
            "condition": self.condition,
            "layer": self.layer,
            "state": self.state,
            "effect": self.effect.value,
            "instrument": self.instrument,
            "article": self.article,
            "reason": dict(self.reason),
            "evaluated_by": self.evaluated_by,
            "obligation": self.obligation,
            "parameters": parameters,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one question, under directory version `directory` and the boundary `boundary`.

    `determining` are all denials in the order of the layers, or the grants that permit it; `obligations` are what all
    States and the originator ask for, also where it is denied. `unseen` are conditions over contents that apply by the
    label, but that who decided cannot see: they are left to the gateways, and nothing is said of them here.
    """

    permitted: bool
    determining: tuple[Determination, ...]
    obligations: tuple[Determination, ...]
    directory: int
    boundary: Time | None
    unseen: tuple[Determination, ...] = ()

    def first_denial(self) -> Determination | None:
        """Return the denial that comes first in the order of the layers, None where it is permitted."""
        return None if self.permitted else self.determining[0]

    def to_json(self) -> dict[str, Json]:
        """Return the verdict with its members in order."""
        return {
            "permitted": self.permitted,
            "determining": [item.to_json() for item in self.determining],
            "obligations": [item.to_json() for item in self.obligations],
            "directory": self.directory,
            "boundary": self.boundary,
            "unseen": [item.to_json() for item in self.unseen],
        }
