"""What a person could change about a notice so that a law permits it, and the question as it then is.

A change is elementary: one purpose, one consent, one date. Several together are a set; `changed` gives the facts with
all of them. Nothing here says whether a change is right or true: whoever makes it answers for it with a signature.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from schemas.encoding import Time
from schemas.ids import Code
from schemas.label import Condition, Label
from schemas.rules.facts import Facts


class Change(NamedTuple):
    """One thing to change: `way` names which (a key of `WAYS`), `value` to what: a code, a State, a time, yes or no."""

    way: str
    value: str


@dataclass(frozen=True, slots=True)
class Way:
    """How facts change; `single` says that there is one value at a time, so that a later one takes its place."""

    apply: Callable[[Facts, tuple[str, ...]], Facts]
    single: bool = False


def changed(facts: Facts, changes: Collection[Change]) -> Facts:
    """Return the facts with all changes made."""
    by_way: dict[str, list[str]] = {}
    for way, value in sorted(changes):
        by_way.setdefault(way, []).append(value)
    for name, values in by_way.items():
        facts = WAYS[name].apply(facts, tuple(values))
    return facts


def with_changes(changes: frozenset[Change], more: tuple[Change, ...]) -> frozenset[Change]:
    """Return changes with more of them; where there can be one value only, the later one counts."""
    replaced = {change.way for change in more if WAYS[change.way].single}
    return frozenset(change for change in changes if change.way not in replaced).union(more)


def values_of(label: Label | None, name: str) -> frozenset[str]:
    """Return the values of one of a label's conditions, none where it has no such condition."""
    for item in () if label is None else label.conditions:
        if item.code == name:
            return frozenset(item.values)
    return frozenset()


def _label(facts: Facts, **members: Any) -> Facts:
    return facts if facts.label is None else replace(facts, label=replace(facts.label, **members))


def _content(facts: Facts, **members: Any) -> Facts:
    return facts if facts.content is None else replace(facts, content=replace(facts.content, **members))


def _handled(facts: Facts, values: tuple[str, ...]) -> Facts:
    handling = () if facts.label is None else facts.label.handling
    return _label(facts, handling=tuple(sorted({*handling, *(Code(value) for value in values)})))


def _condition(facts: Facts, name: str, values: tuple[str, ...]) -> Facts:
    if facts.label is None:
        return facts
    others = [item for item in facts.label.conditions if item.code != name]
    both = sorted(values_of(facts.label, name).union(values))
    added = Condition(Code(name), tuple(Code(value) for value in both))
    return _label(facts, conditions=tuple(sorted((*others, added), key=lambda item: item.code)))


def _undertaken(facts: Facts, values: tuple[str, ...]) -> Facts:
    """Add conditions without values, and H3, which announces them."""
    for name in values:
        facts = _condition(facts, name, ())
    return _handled(facts, ("h3",))


def _stated(name: str) -> Way:
    """Return the way in which a sender states something in the label, in addition to what it states already."""
    return Way(lambda facts, values: _condition(facts, name, values))


def _of_label(name: str, kind: Callable[[str], Any] = Code) -> Way:
    return Way(lambda facts, values: _label(facts, **{name: kind(values[-1])}), single=True)


def _of_content(name: str, kind: Callable[[str], Any] = str) -> Way:
    return Way(lambda facts, values: _content(facts, **{name: kind(values[-1])}), single=True)


def _flag(name: str) -> Way:
    return _of_content(name, lambda value: value == "yes")


def _with(name: str) -> Way:
    def apply(facts: Facts, values: tuple[str, ...]) -> Facts:
        held: frozenset[str] = getattr(facts.content, name, None) or frozenset()
        return _content(facts, **{name: held.union(values)})

    return Way(apply)


def _without(name: str) -> Way:
    def apply(facts: Facts, values: tuple[str, ...]) -> Facts:
        held: frozenset[str] | None = getattr(facts.content, name, None)
        # Of what is not known nothing can be taken away.
        return facts if held is None else _content(facts, **{name: held.difference(values)})

    return Way(apply)


def _without_persons(facts: Facts, _: tuple[str, ...]) -> Facts:
    return _content(_label(facts, nominal=False), births=(), special_categories=frozenset())


WAYS: Final[Mapping[str, Way]] = {
    # of the label and the statement
    "purpose": _of_label("purpose"),
    "legal-basis": _of_label("legal_basis"),
    "nominal": Way(_without_persons, single=True),
    "handling": Way(_handled),
    "undertaking": Way(_undertaken),
    "authorised-by": _stated("authorised-by"),
    "consent-of": _stated("consent-of"),
    "transfer-basis": _stated("transfer-basis"),
    "expires-at": Way(lambda facts, values: replace(facts, expires_at=Time(values[-1])), single=True),
    "reply-due": _of_label("reply_due", Time),
    # of the content
    "special-categories": _without("special_categories"),
    "operators": _flag("operators"),
    "authorities": _with("authorities"),
    "assistance": _of_content("assistance"),
    "oral": Way(lambda facts, _: _content(facts, oral=False, oral_until=None), single=True),
    "oral-until": _of_content("oral_until", Time),
    "last-resort": _flag("last_resort"),
    "constant-surveillance": _flag("constant_surveillance"),
    "final-interception": _flag("final_interception"),
    "foreign-officers": _flag("foreign_officers"),
    "handover": _flag("handover"),
    "substitution": _of_content("substitution"),
    "languages": _with("languages"),
    "until": _of_content("ends", Time),
}
"""Every way, by name. The sentence that says it to a person is in `condition-types.json`."""
