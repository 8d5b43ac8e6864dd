"""The label: all that the broker's rules see of a sealed notice. Codes only, no free text (spec/statement.md)."""

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import orjson

from schemas import encoding
from schemas.encoding import Members, Time
from schemas.errors import FormError
from schemas.ids import Code, code
from schemas.strict_json import Json

MEMBERS: Final = (
    "kind",
    "handling",
    "tlp",
    "pap",
    "classification",
    "urgency",
    "purpose",
    "legal_basis",
    "nominal",
    "exercise",
    "reply_due",
    "conditions",
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One handling condition of the originator: a code and its values, sorted."""

    code: Code
    values: tuple[Code, ...]


@dataclass(frozen=True, slots=True)
class Label:
    """Codes that say what a notice is and how it may be handled; an unknown code denies (schemas/rules)."""

    kind: Code
    handling: tuple[Code, ...]
    tlp: Code
    pap: Code
    classification: Code | None
    urgency: Code | None
    purpose: Code
    legal_basis: Code
    nominal: bool
    exercise: bool
    reply_due: Time | None
    conditions: tuple[Condition, ...]

    @classmethod
    def from_json(cls, value: Json, at: str = "/label") -> "Label":
        """Read a label whose members are all there, in order; raise `FormError`.

        There are few different ones among many notices, so those that were read last are kept.
        """
        text = orjson.dumps(value)
        return _remembered(text, at) if len(text) <= _REMEMBERED else cls._read(value, at)

    @classmethod
    def parse(cls, text: str) -> "Label":
        """Read a label in the one encoding; raise `MalformedError` or `FormError`. Those that were read last are kept."""
        return _parsed(text) if len(text) <= _REMEMBERED else cls.from_json(encoding.parse(text.encode()))

    @classmethod
    def _read(cls, value: Json, at: str) -> "Label":
        members = Members(value, MEMBERS, at)
        conditions = tuple(
            _condition(item, f"{at}/conditions/{number}") for number, item in enumerate(members.items("conditions"))
        )
        names = [condition.code for condition in conditions]
        if any(a >= b for a, b in itertools.pairwise(names)):
            raise FormError("Must be sorted by code, each code once.", pointer=f"{at}/conditions")
        return cls(
            kind=members.matching("kind", code),
            handling=members.sorted_strings("handling", code),
            tlp=members.matching("tlp", code),
            pap=members.matching("pap", code),
            classification=None if members.absent("classification") else members.matching("classification", code),
            urgency=None if members.absent("urgency") else members.matching("urgency", code),
            purpose=members.matching("purpose", code),
            legal_basis=members.matching("legal_basis", code),
            nominal=members.boolean("nominal"),
            exercise=members.boolean("exercise"),
            reply_due=None if members.absent("reply_due") else members.time("reply_due"),
            conditions=conditions,
        )

    def to_json(self) -> dict[str, Json]:
        """Return the label as it stands in a statement, members in order."""
        return {
            "kind": self.kind,
            "handling": list(self.handling),
            "tlp": self.tlp,
            "pap": self.pap,
            "classification": self.classification,
            "urgency": self.urgency,
            "purpose": self.purpose,
            "legal_basis": self.legal_basis,
            "nominal": self.nominal,
            "exercise": self.exercise,
            "reply_due": self.reply_due,
            "conditions": [{"code": item.code, "values": list(item.values)} for item in self.conditions],
        }


_REMEMBERED: Final = 1024
"""Bytes of the longest label that is kept: a stranger must not fill the memory with longer ones."""


@lru_cache(maxsize=1024)
def _remembered(text: bytes, at: str) -> Label:
    return Label._read(orjson.loads(text), at)  # noqa: SLF001 - the same thing


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Label:
    return Label.from_json(encoding.parse(text.encode()))


def _condition(value: Json, at: str) -> Condition:
    members = Members(value, ("code", "values"), at)
    return Condition(members.matching("code", code), members.sorted_strings("values", code))
