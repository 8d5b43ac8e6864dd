"""Hold an aspect of a question against the parameters of a condition, and say what would meet it.

Seven checks serve the whole vocabulary: codes of which some, none or only certain ones may be there, or none at all;
yes or no; a number up to or from somewhere. Each is total: an aspect that is not known gives None, never an error.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from schemas.rules.aspects import ASPECTS, after
from schemas.rules.changes import Change
from schemas.rules.condition import LawCondition
from schemas.rules.condition_types import UNITS, ConditionType, Parameter
from schemas.rules.facts import Facts, Party
from schemas.rules.vocabulary import Vocabulary

Members = Callable[[str], frozenset[Any] | None]

CHECKS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "some-of": lambda value, operand: not value.isdisjoint(operand),
    "none-of": lambda value, operand: value.isdisjoint(operand),
    "only": lambda value, operand: value <= operand,
    "empty": lambda value, _: not value,
    "is": lambda value, operand: value is operand,
    "at-most": lambda value, operand: value <= operand,
    "at-least": lambda value, operand: value >= operand,
}
"""Whether a value that is known meets an operand, by the check's name."""


class Check(NamedTuple):
    """One check of one condition: `holds(read(facts, other side), operand)`, unless nothing is known and that is None.

    `aspect` and `name` say of what and how, `offers` are the codes that a person could choose to meet it.
    """

    aspect: str
    read: Callable[[Facts, Party | None], Any]
    holds: Callable[[Any, Any], bool]
    name: str
    operand: Any
    offers: tuple[str, ...]

    def changes(self, facts: Facts, other: Party | None) -> tuple[tuple[Change, ...], ...]:
        """Return what would meet the check: alternatives, each of changes that belong together.

        None where nobody can change the aspect.
        """
        aspect = ASPECTS[self.aspect]
        way = aspect.way
        if way is None:
            return ()
        if self.name == "some-of":
            return tuple((Change(way, code),) for code in self.offers)
        if self.name == "is":
            return ((Change(way, "yes" if self.operand else "no"),),)
        if self.name in ("at-most", "at-least"):
            until = None if aspect.begin is None else after(aspect.begin(facts), self.operand)
            return () if until is None else ((Change(way, until),),)
        value = self.read(facts, other)
        if value is None or self.name == "only":
            return ()
        return (tuple(Change(way, code) for code in sorted(value if self.name == "empty" else value & self.operand)),)


def check_of(kind: ConditionType, condition: LawCondition, members_of: Members, known: Vocabulary) -> Check | None:
    """Return the check of a sound condition, None for a type that checks nothing.

    Raises `LookupError` for a name that neither the network nor the list of countries knows.
    """
    if kind.aspect is None or kind.check is None:
        return None
    aspect = ASPECTS[kind.aspect]
    offers: tuple[str, ...] = ()
    operand: Any = kind.operand
    if not isinstance(kind.operand, bool):
        operand, offers = _operand(kind.operand, kind, condition, members_of, known)
    return Check(kind.aspect, aspect.read, CHECKS[kind.check], kind.check, operand, tuple(sorted(offers)))


def _operand(
    names: tuple[str, ...], kind: ConditionType, condition: LawCondition, members_of: Members, known: Vocabulary
) -> tuple[Any, tuple[str, ...]]:
    """Return what an aspect is held against, and which codes of it a person could choose."""
    by_name = {item.name: item for item in kind.parameters}
    codes: set[str] = set()
    offers: set[str] = set()
    for name in names:
        if name.startswith("="):
            codes.add(name[1:])
            offers.add(name[1:])
            continue
        parameter, value = by_name[name], condition.parameters.get(name)
        if isinstance(value, int):
            return value * UNITS[parameter.unit or ""], ()
        given = (value,) if isinstance(value, str) else value or ()
        meant = _meant(parameter, given, members_of, known)
        codes |= meant
        # Which State the other side is, nobody chooses.
        offers |= meant if parameter.form != "states" else set()
    return frozenset(codes), tuple(offers)


def _meant(parameter: Parameter, given: tuple[str, ...], members_of: Members, known: Vocabulary) -> set[str]:
    """Return the codes that the author's words stand for."""
    if parameter.choices is not None:
        return {code for name in given for code in parameter.choices[name]}
    if parameter.form == "level":
        ranks = known.classifications
        return {code for code, rank in ranks.items() if any(rank >= ranks[name] for name in given)}
    if parameter.form != "states":
        return set(given)
    meant: set[str] = set()
    for name in given:
        roles = members_of(name)
        if roles is None and name not in known.countries:
            raise LookupError(name)
        meant |= {name} if roles is None else roles
    return meant
