"""The rules compiled into tables: what `decide` reads, by action, act, notice kind and State.

A row is a few look-ups in sets over one tuple of codes, and rows are grouped so that few are read. This module makes
rows out of grants and conditions that are in force; what is in force is `compile`'s business.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Generic, NamedTuple, TypeVar

from schemas.ids import Code, Role
from schemas.rules.aspects import ASPECTS, Read
from schemas.rules.builtin import ENGINE, UNEVALUABLE
from schemas.rules.changes import Change
from schemas.rules.checks import Check, check_of
from schemas.rules.condition import AnyCondition, LawCondition, sentences
from schemas.rules.condition_types import CONDITION_TYPES, ConditionType
from schemas.rules.facts import Facts, Party
from schemas.rules.flaws import flaws
from schemas.rules.network import Grant
from schemas.rules.verdict import Determination, Effect
from schemas.rules.vocabulary import Vocabulary

T = TypeVar("T")

# What stands where in the tuple that a grant's tests look at, and in that of a law's.
GRANT_CODES: Final = ("region", "theme", "agency_kind", "kind")
LAW_CODES: Final = ("region", "theme", "nominal", "tlp", "purpose", "classification", "counterpart")


class Test(NamedTuple):
    """The code at a place must be in a set, or (`inside` false) must not be."""

    place: int
    codes: frozenset[object]
    inside: bool


def holds(tests: tuple[Test, ...], codes: tuple[object, ...]) -> bool:
    """Say whether all tests hold for a tuple of codes; no tests hold for everything."""
    for place, allowed, inside in tests:  # noqa: SIM110 - a generator costs as much as three tests
        if (codes[place] in allowed) is not inside:
            return False
    return True


class Said(dict[str, Determination]):
    """What one rule says when it applies, by evaluator: made once for each, since most decisions repeat it."""

    __slots__ = ("template",)

    def __init__(self, template: Determination) -> None:
        super().__init__()
        self.template = template

    def __missing__(self, evaluator: str) -> Determination:
        said = self[evaluator] = replace(self.template, evaluated_by=evaluator)
        return said


@dataclass(frozen=True, slots=True)
class ByName(Generic[T]):
    """Rows that can apply to a name: those of the names that some rule mentions, and those of all other names."""

    named: Mapping[str, tuple[T, ...]]
    other: tuple[T, ...]

    @classmethod
    def group(cls, rows: Iterable[tuple[tuple[str, ...] | None, T]]) -> "ByName[T]":
        """Group rows by the names that each is about, None standing for every name; their order is kept."""
        rows = tuple(rows)
        names = {name for about, _ in rows for name in about or ()}
        return cls(
            {name: tuple(row for about, row in rows if about is None or name in about) for name in names},
            tuple(row for about, row in rows if about is None),
        )


@dataclass(frozen=True, slots=True)
class GrantRow:
    """One grant in force."""

    tests: tuple[Test, ...]
    roles: frozenset[str] | None
    within: str
    said: Said


def grant_row(grant: Grant) -> GrantRow:
    """Make the row of a grant."""
    limits = {
        "region": grant.regions,
        "theme": grant.themes,
        "agency_kind": grant.agency_kinds,
        "kind": grant.kinds,
    }
    said = Determination(
        condition=grant.id,
        layer="network",
        state=None,
        effect=Effect.PERMIT,
        instrument=grant.instrument,
        article=grant.article,
        reason=grant.explanation.by_language(),
        evaluated_by="",
    )
    return GrantRow(
        tests=_tests(GRANT_CODES, limits),
        roles=None if grant.roles is None else frozenset(grant.roles),
        within=grant.within,
        said=Said(said),
    )


class LawRow(NamedTuple):
    """One condition in force: when it applies, what it checks, and what it says.

    It applies where `tests` hold and the aspect `when` is true. `met` is said where the check holds, `unmet` where it
    does not or there is none, `unclear` where something is not known. `content` says that only gateways see it.
    """

    tests: tuple[Test, ...]
    when: Read | None
    check: Check | None
    denies: bool
    met: Said | None
    unmet: Said
    unclear: Said
    content: bool
    escapes: tuple[Change, ...]

    def changes(self, facts: Facts, other: Party | None) -> Iterable[tuple[Change, ...]]:
        """Return what would make it no longer deny: alternatives, each of changes that belong together."""
        yield from () if self.check is None else self.check.changes(facts, other)
        for change in self.escapes:
            yield (change,)


@dataclass(frozen=True, slots=True)
class LawTable:
    """A State's conditions by notice kind: to publish at all, to send to somebody, to receive, and both at home.

    `unevaluable` are the ids of those that cannot be evaluated as they stand, sorted: they deny wherever they apply.
    """

    publish: ByName[LawRow]
    send: ByName[LawRow]
    receive: ByName[LawRow]
    domestic: ByName[LawRow]
    unevaluable: tuple[str, ...]


Members = Callable[[str], frozenset[Role] | None]


def law_table(state: Role, conditions: Iterable[AnyCondition], members_of: Members, known: Vocabulary) -> LawTable:
    """Make the tables of a State's conditions; `members_of` resolves names of the network, `known` are the codes."""
    publish, send, receive, domestic = [], [], [], []
    unevaluable = set()
    for condition in conditions:
        about, kind = condition.applies_to, CONDITION_TYPES.get(condition.type)
        row = (_kinds(about.kinds, kind), _law_row(state, condition, kind, members_of, known))
        if row[1].unmet is row[1].unclear:
            unevaluable.add(condition.id)
        if about.direction != "receive":
            send.append(row)
            # To publish is towards nobody yet: who asks about the other side is asked again for each recipient.
            if about.counterparts is None and about.counterparts_except is None and not (kind and kind.towards):
                publish.append(row)
        if about.direction != "send":
            receive.append(row)
        domestic.append(row)
    return LawTable(
        ByName.group(publish),
        ByName.group(send),
        ByName.group(receive),
        ByName.group(domestic),
        tuple(sorted(unevaluable)),
    )


def _kinds(kinds: tuple[str, ...] | None, kind: ConditionType | None) -> tuple[str, ...] | None:
    own = None if kind is None else kind.kinds
    if kinds is None or own is None:
        return own if kinds is None else kinds
    return tuple(name for name in kinds if name in own)


def _law_row(
    state: Role, condition: AnyCondition, kind: ConditionType | None, members_of: Members, known: Vocabulary
) -> LawRow:
    about = condition.applies_to
    sound = not any(flaws(condition, known))
    limits: dict[str, tuple[object, ...] | None] = {
        "region": about.regions,
        "theme": about.themes,
        "nominal": None if about.nominal is None else (about.nominal,),
        "tlp": about.tlp,
        "purpose": about.purpose,
        "classification": about.classification,
    }
    tests = _tests(LAW_CODES, limits)
    for names, inside in ((about.counterparts, True), (about.counterparts_except, False)):
        if names is not None:
            groups = [members_of(name) for name in names]
            if None in groups:
                # A name that the network does not know may be anybody: the condition applies to all, and denies.
                sound = False
            else:
                roles = frozenset[object]().union(*(group for group in groups if group is not None))
                tests = (*tests, Test(LAW_CODES.index("counterpart"), roles, inside))
    check = None
    if sound and kind is not None and isinstance(condition, LawCondition):
        try:
            check = check_of(kind, condition, members_of, known)
        except LookupError:
            sound = False
    escapes = _escapes(condition, kind, known)
    if kind is None or not sound:
        refused = _unevaluable(state, condition, {"condition": condition.id})
        return LawRow(tests, None, None, True, None, refused, refused, content=False, escapes=escapes)
    lacking = {"condition": condition.id, "lacking": kind.aspect or kind.when or ""}
    return LawRow(
        tests=tests,
        when=None if kind.when is None else ASPECTS[kind.when].read,
        check=check,
        denies=condition.effect != "oblige",
        met=_said(state, condition, kind, Effect.OBLIGE) if condition.effect == "limit" and kind.obligation else None,
        unmet=_said(state, condition, kind, Effect(condition.effect)),
        unclear=_unevaluable(state, condition, lacking),
        content=kind.inputs == "content",
        escapes=escapes,
    )


def _escapes(condition: AnyCondition, kind: ConditionType | None, known: Vocabulary) -> tuple[Change, ...]:
    """Return the changes under which a condition would no longer apply: without data on persons, for another purpose."""
    about = condition.applies_to
    nominal = about.nominal is True or (kind is not None and kind.when == "nominal")
    others = () if about.purpose is None else sorted(known.purposes.difference(about.purpose))
    return (
        *((Change("nominal", "no"),) if nominal else ()),
        *((Change("oral", "no"),) if kind is not None and kind.when == "oral" else ()),
        *(Change("purpose", code) for code in others),
    )


def _said(state: Role, condition: AnyCondition, kind: ConditionType, effect: Effect) -> Said:
    parameters: dict[str, str | tuple[str, ...]] = {}
    if isinstance(condition, LawCondition):
        parameters = {k: str(v) if isinstance(v, int) else v for k, v in condition.parameters.items()}
    owed = condition.parameters.get(kind.obligation or "", kind.obligation)
    return Said(
        Determination(
            condition=condition.id,
            layer="law",
            state=state,
            effect=effect,
            instrument=condition.instrument,
            article=condition.article,
            reason=sentences(condition),
            evaluated_by="",
            obligation=Code(str(owed)) if effect is Effect.OBLIGE else None,
            parameters=parameters,
        )
    )


def _unevaluable(state: Role, condition: AnyCondition, parameters: Mapping[str, str | tuple[str, ...]]) -> Said:
    return Said(
        Determination(
            condition=UNEVALUABLE,
            layer="law",
            state=state,
            effect=Effect.DENY,
            instrument=condition.instrument,
            article=condition.article,
            reason=ENGINE[UNEVALUABLE].reason,
            evaluated_by="",
            parameters=parameters,
        )
    )


def _tests(places: tuple[str, ...], limits: Mapping[str, tuple[object, ...] | None]) -> tuple[Test, ...]:
    return tuple(
        Test(places.index(name), frozenset(codes), True) for name, codes in limits.items() if codes is not None
    )
