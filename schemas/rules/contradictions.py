"""Say where two conditions of one profile cannot both be met, or where one leaves the other nothing to decide.

Compared by the aspect that they look at, whatever their types. As far as texts show: who is in a group only the network
knows, so a group and a State are never held to be different.
"""

from collections.abc import Collection
from typing import Final

from schemas.rules.condition import Applies, LawCondition
from schemas.rules.condition_types import CONDITION_TYPES, UNITS, ConditionType

_SINGLE: Final = frozenset(("purpose", "legal-basis", "assistance", "substitution", "recipient-kind", "counterpart"))
"""Aspects that have one value at a time."""
_NEVER_EMPTY: Final = _SINGLE | {"states", "offences"}
"""Aspects of which there is always a value, or it is not known, which denies."""


def contradiction(a: LawCondition, b: LawCondition, states: Collection[str]) -> str | None:
    """Return the remark that two conditions that deny cannot both be met where both apply; None where they can.

    `states` are codes that stand for one State each; of any other name it is not known who is meant.
    """
    kinds = CONDITION_TYPES.get(a.type), CONDITION_TYPES.get(b.type)
    if kinds[0] is None or kinds[1] is None or "oblige" in (a.effect, b.effect):
        return None
    for (one, kind), (other, its) in (((a, kinds[0]), (b, kinds[1])), ((b, kinds[1]), (a, kinds[0]))):
        if _excluded(one, kind, other, its, states):
            return "contradicts"
        if (kind.aspect, its.aspect) == ("time-to-reply", "kept-for") and number(one, kind) > number(other, its):
            return "reply-outlasts"
    return None


def idle(condition: LawCondition, other: LawCondition) -> str | None:
    """Return the remark that a condition decides nothing where another one applies wherever it does; None where it does."""
    kind, its = CONDITION_TYPES.get(condition.type), CONDITION_TYPES.get(other.type)
    if kind is None or its is None or other.effect == "oblige":
        return None
    if kind.when is not None and its.aspect == kind.when and its.check == "is" and its.operand is False:
        return "all-denied"
    if (
        condition.effect == "oblige"
        and its.aspect is not None
        and its.aspect == kind.aspect
        and its.check == kind.check
    ):
        if its.check in ("is", "empty"):
            denied = its.operand == kind.operand
        elif its.check == "at-least":
            # Only `at-least` has both effects: who is younger than the one asks for is younger than the other.
            denied = number(condition, kind) <= number(other, its)
        else:
            mine, others = codes(condition, kind), codes(other, its)
            denied = mine <= others if its.check == "none-of" else others <= mine
        if denied:
            return "never-asks"
    return None


def _excluded(
    a: LawCondition, kind: ConditionType, b: LawCondition, its: ConditionType, states: Collection[str]
) -> bool:
    """Say whether what meets the first cannot meet the second."""
    if kind.aspect is None or kind.aspect != its.aspect:
        return False
    mine, others = codes(a, kind), codes(b, its)
    checks = (kind.check, its.check)
    if checks == ("some-of", "none-of"):
        return mine <= others
    if checks == ("only", "none-of"):
        return mine <= others and kind.aspect in _NEVER_EMPTY
    apart = not mine & others and (_plain(kind, mine, states) and _plain(its, others, states))
    if checks == ("some-of", "some-of"):
        return apart and kind.aspect in _SINGLE
    if checks == ("only", "only"):
        return apart and kind.aspect in _NEVER_EMPTY
    return checks == ("some-of", "only") and apart


def _plain(kind: ConditionType, names: frozenset[str], states: Collection[str]) -> bool:
    """Say whether different names mean different things: groups and the States in them do not."""
    return names <= set(states) or all(item.form != "states" for item in kind.parameters)


def codes(condition: LawCondition, kind: ConditionType) -> frozenset[str]:
    """Return the codes that an aspect is held against."""
    found: set[str] = set()
    for name in () if isinstance(kind.operand, bool) else kind.operand:
        if name.startswith("="):
            found.add(name[1:])
            continue
        value = condition.parameters.get(name)
        given = (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()
        choices = next((item.choices for item in kind.parameters if item.name == name), None)
        found.update(given if choices is None else (code for one in given for code in choices.get(one, ())))
    return frozenset(found)


def number(condition: LawCondition, kind: ConditionType) -> int:
    """Return the number that an aspect of numbers is held against, in the aspect's unit; 0 where there is none."""
    found = ((item, condition.parameters.get(item.name)) for item in kind.parameters)
    return sum(value * UNITS[item.unit or ""] for item, value in found if isinstance(value, int))


def both_apply(a: Applies, b: Applies) -> bool:
    """Say whether, as far as texts show, there is a notice that both are about; kinds are left to the caller."""
    lists = all(
        meet(getattr(a, name), getattr(b, name)) for name in ("themes", "regions", "tlp", "purpose", "classification")
    )
    directions = a.direction == b.direction or "both" in (a.direction, b.direction)
    nominal = a.nominal is None or b.nominal is None or a.nominal is b.nominal
    return lists and directions and nominal and _counterparts(a, b)


def meet(one: Collection[str] | None, other: Collection[str] | None) -> bool:
    """Say whether two lists have a code in common; None stands for all."""
    return one is None or other is None or not set(one).isdisjoint(other)


def _counterparts(a: Applies, b: Applies) -> bool:
    excepted = {*(a.counterparts_except or ()), *(b.counterparts_except or ())}
    if a.counterparts is None and b.counterparts is None:
        return True
    named = set(a.counterparts or b.counterparts or ())
    if a.counterparts is not None and b.counterparts is not None:
        named &= set(b.counterparts)
    return bool(named - excepted)
