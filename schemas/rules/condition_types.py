"""The vocabulary of law profiles `law/1`: which types of condition there are (design: access, Law profile).

It is data, `condition-types.json` beside this: each type says which aspect of a question it looks at, how it checks it
against its parameters, which effects it may have, what it obliges to, its sentence in the six languages, when it
applies, and a worked example each way. This module reads that file; README.md explains it to authors.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, Literal

from schemas.ids import Code
from schemas.rules.aspects import ASPECTS, Aspect, Inputs
from schemas.strict_json import Json

UNITS: Final = MappingProxyType({"hours": 3600, "days": 86400, "kilograms": 1000, "years": 1})
"""What one of a parameter's unit is in the aspect's own: seconds, grams, years."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a type.

    `form` is `codes` or `code` (of the code list `list`, of the codes in it, or language tags where it is None),
    `level` (a code of a ranked list), `states` (States, organisations or groups of the network), `number` (of `unit`,
    from `least` to `most`) or `choice` (a name for a set of codes).
    """

    name: str
    form: Literal["codes", "code", "level", "states", "number", "choice"]
    list: str | tuple[str, ...] | None
    unit: str | None
    least: int | None
    most: int | None
    choices: Mapping[str, tuple[str, ...]] | None
    optional: bool
    says: str

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Parameter":
        """Read a parameter of the file."""
        allowed, choices = value["list"], value["choices"]
        return cls(
            **{
                **value,
                "list": tuple(allowed) if isinstance(allowed, list) else allowed,
                "choices": None if choices is None else {name: tuple(codes) for name, codes in choices.items()},
            }
        )


@dataclass(frozen=True, slots=True)
class ConditionType:
    """One entry of the vocabulary.

    It applies to notices of `kinds` (None: all) where the aspect `when` is true (None: always). Then `check` holds the
    aspect against the `operand`: names of parameters, `=code` for a code that is always meant, or true or false.
    `aspect` None checks nothing: the effect follows at once. What follows if the check does not hold, for `deny` and
    `require`: a denial; for `limit` a denial, and the obligation if it does hold; for `oblige` the obligation.
    `obligation` is a code, or the name of the parameter that is one. `examples` are worked cases, one for each effect: a
    notice of which it says nothing, and one of which it speaks.
    """

    id: Code
    part: Literal["controlled-delivery", "sharing"]
    effects: tuple[str, ...]
    kinds: tuple[str, ...] | None
    when: str | None
    aspect: str | None
    check: str | None
    operand: bool | tuple[str, ...]
    obligation: str | None
    parameters: tuple[Parameter, ...]
    says: Mapping[str, str] = field(hash=False)
    applies: str
    examples: tuple[Mapping[str, Json], ...] = field(hash=False)

    @property
    def inputs(self) -> Inputs:
        """Return who can evaluate it: everybody (`label`) or only who opens the notice (`content`)."""
        return "content" if any(item.inputs == "content" for item in self._aspects()) else "label"

    @property
    def towards(self) -> bool:
        """Say whether it asks about the other side, so that nothing can be said before there is one."""
        return any(item.towards for item in self._aspects())

    def _aspects(self) -> tuple[Aspect, ...]:
        return tuple(ASPECTS[name] for name in (self.aspect, self.when) if name is not None)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "ConditionType":
        """Read an entry of the file."""
        operand, kinds = value["operand"], value["kinds"]
        return cls(
            **{
                **value,
                "effects": tuple(value["effects"]),
                "examples": tuple(value["examples"]),
                "kinds": None if kinds is None else tuple(kinds),
                "operand": operand if isinstance(operand, bool) else _names(operand),
                "parameters": tuple(Parameter.from_json(item) for item in value["parameters"]),
            }
        )


def _names(operand: str | list[str] | None) -> tuple[str, ...]:
    return () if operand is None else (operand,) if isinstance(operand, str) else tuple(operand)


_FILE: Final = json.loads(files("schemas.rules").joinpath("condition-types.json").read_bytes())

CONDITION_TYPES: Final[Mapping[str, ConditionType]] = MappingProxyType(
    {item["id"]: ConditionType.from_json(item) for item in _FILE["types"]}
)
"""Every type, by id, in the order of the file: controlled delivery first, then sharing."""

CHANGES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(_FILE["changes"])
"""What a change of an aspect is called, by language; `{values}` stands for the new values."""
