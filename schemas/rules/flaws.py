"""What keeps a condition from being evaluated as it stands, member by member, and what would be allowed there.

The same reading serves three: an author is told where and what; a broker refuses the upload; and whoever compiles a
profile that was signed all the same lets the condition deny, because what cannot be evaluated denies.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from schemas.errors import FormError
from schemas.rules.condition import AnyCondition, LabelCondition, LawCondition, Profile, Value
from schemas.rules.condition_types import CONDITION_TYPES, ConditionType, Parameter
from schemas.rules.vocabulary import Vocabulary

_LANGUAGE: Final = re.compile("[a-z]{2,3}")
_ABOUT: Final = (
    ("kinds", "kinds"),
    ("themes", "themes"),
    ("regions", "regions"),
    ("tlp", "tlp"),
    ("purpose", "purposes"),
    ("classification", "classifications"),
)


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with which member, and what is allowed there; `problem` is a code of `schemas.problems`."""

    member: str
    detail: str
    problem: str = "law-unknown-code"


def flaws(condition: AnyCondition, known: Vocabulary) -> Iterator[Flaw]:
    """Yield what is wrong with a condition itself; names of the network are not known here."""
    if isinstance(condition, LabelCondition):
        if condition.obligation is not None and condition.obligation not in known.obligations:
            yield _unknown("obligation", known.obligations)
        return
    kind = CONDITION_TYPES.get(condition.type)
    if kind is None:
        yield _unknown("type", CONDITION_TYPES)
        return
    if condition.effect not in kind.effects:
        yield Flaw("effect", f"Must be one of: {', '.join(kind.effects)}.", "invalid-form")
    if condition.inputs != kind.inputs:
        yield Flaw("inputs", f"Must be {kind.inputs}, as the type says.", "invalid-form")
    yield from _parameters(condition, kind, known)


def profile_flaws(profile: Profile, known: Vocabulary) -> Iterator[tuple[int, Flaw]]:
    """Yield the flaws of all conditions with their numbers, unknown codes of `applies_to` among them.

    Counterparts are left out: they are names of the network, which a profile's author does not sign.
    """
    conditions: tuple[AnyCondition, ...] = profile.conditions
    for number, condition in enumerate(conditions):
        for name, where in _ABOUT:
            codes: tuple[str, ...] | None = getattr(condition.applies_to, name)
            allowed: Collection[str] = getattr(known, where)
            if codes is not None and not set(codes) <= set(allowed):
                yield number, _unknown(f"applies_to/{name}", allowed)
        for flaw in flaws(condition, known):
            yield number, flaw


def check_flawless(profile: Profile, known: Vocabulary) -> None:
    """Refuse a profile with a flaw; raise `FormError` with the first one's pointer and problem."""
    for number, flaw in profile_flaws(profile, known):
        raise FormError(flaw.detail, pointer=f"/conditions/{number}/{flaw.member}", problem=flaw.problem)


def allowed_codes(parameter: Parameter, known: Vocabulary) -> Collection[str] | None:
    """Return the codes that a parameter takes; None where they are no list (numbers, languages, names of the network)."""
    if parameter.choices is not None:
        return tuple(parameter.choices)
    if isinstance(parameter.list, tuple):
        return parameter.list
    return None if parameter.list is None else known.lists.get(parameter.list, frozenset())


def _parameters(condition: LawCondition, kind: ConditionType, known: Vocabulary) -> Iterator[Flaw]:
    names = [item.name for item in kind.parameters]
    if not condition.parameters.keys() <= set(names):
        has = f"It has: {', '.join(names)}." if names else "It has none."
        yield Flaw("parameters", f"Has a parameter that the type {kind.id} does not know. {has}", "invalid-form")
    for parameter in kind.parameters:
        value = condition.parameters.get(parameter.name)
        member = f"parameters/{parameter.name}"
        if value is None:
            if not parameter.optional:
                yield Flaw(member, f"Is missing. {parameter.says}", "invalid-form")
        elif (flaw := _value(parameter, value, member, known)) is not None:
            yield flaw


def _value(parameter: Parameter, value: Value, member: str, known: Vocabulary) -> Flaw | None:
    if parameter.form == "number":
        least, most = parameter.least or 0, parameter.most or 0
        if not isinstance(value, int) or not least <= value <= most:
            return Flaw(member, f"Must be a number of {parameter.unit} from {least} to {most}.", "invalid-form")
        return None
    several = parameter.form in ("codes", "states")
    if isinstance(value, int) or isinstance(value, str) is several:
        return Flaw(member, "Must be a list of codes." if several else "Must be one code.", "invalid-form")
    allowed = allowed_codes(parameter, known)
    codes = (value,) if isinstance(value, str) else value
    if allowed is not None:
        return None if set(codes) <= set(allowed) else _unknown(member, allowed)
    if parameter.form == "codes" and not all(map(_LANGUAGE.fullmatch, codes)):
        return Flaw(member, "Must be language tags of two or three letters, such as de.")
    return None


def _unknown(member: str, allowed: Collection[str]) -> Flaw:
    return Flaw(member, f"Is not in the code list. Known are: {', '.join(sorted(allowed))}.")
