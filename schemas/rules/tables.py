"""The rules compiled into tables: what `decide` reads, by action, act, notice kind and State.

A row is a few look-ups in sets over one tuple of codes, and rows are grouped so that few are read. This module makes
rows out of grants and conditions that are in force; what is in force is `compile`'s business.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Generic, NamedTuple, TypeVar

from schemas.ids import Role
from schemas.rules.builtin import ENGINE, UNEVALUABLE
from schemas.rules.condition import LawCondition
from schemas.rules.network import Grant
from schemas.rules.verdict import Determination, Effect

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
    """One condition in force: its tests, whether it denies, and what it says."""

    tests: tuple[Test, ...]
    denies: bool
    said: Said


@dataclass(frozen=True, slots=True)
class LawTable:
    """A State's conditions by notice kind: to publish at all, to send to somebody, to receive, and both at home."""

    publish: ByName[LawRow]
    send: ByName[LawRow]
    receive: ByName[LawRow]
    domestic: ByName[LawRow]


def law_table(
    state: Role,
    conditions: Iterable[LawCondition],
    members_of: Callable[[str], frozenset[Role] | None],
    obligations: frozenset[str],
) -> LawTable:
    """Make the tables of a State's conditions; `members_of` resolves counterparts, `obligations` are those known."""
    publish, send, receive, domestic = [], [], [], []
    for condition in conditions:
        about = condition.applies_to
        row = (about.kinds, _law_row(state, condition, members_of, obligations))
        if about.direction != "receive":
            send.append(row)
            # To publish is towards nobody yet: who restricts counterparts is asked again for each recipient.
            if about.counterparts is None and about.counterparts_except is None:
                publish.append(row)
        if about.direction != "send":
            receive.append(row)
        domestic.append(row)
    return LawTable(ByName.group(publish), ByName.group(send), ByName.group(receive), ByName.group(domestic))


def _law_row(
    state: Role,
    condition: LawCondition,
    members_of: Callable[[str], frozenset[Role] | None],
    obligations: frozenset[str],
) -> LawRow:
    about = condition.applies_to
    sound = condition.obligation is None or condition.obligation in obligations
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
    if sound:
        said = Determination(
            condition=condition.id,
            layer="law",
            state=state,
            effect=Effect(condition.effect),
            instrument=condition.instrument,
            article=condition.article,
            reason=condition.explanation.by_language(),
            evaluated_by="",
            obligation=condition.obligation,
        )
        return LawRow(tests, said.effect is Effect.DENY, Said(said))
    said = Determination(
        condition=UNEVALUABLE,
        layer="law",
        state=state,
        effect=Effect.DENY,
        instrument=condition.instrument,
        article=condition.article,
        reason=ENGINE[UNEVALUABLE].reason,
        evaluated_by="",
        parameters={"condition": condition.id},
    )
    return LawRow(tests, denies=True, said=Said(said))


def _tests(places: tuple[str, ...], limits: Mapping[str, tuple[object, ...] | None]) -> tuple[Test, ...]:
    return tuple(
        Test(places.index(name), frozenset(codes), True) for name, codes in limits.items() if codes is not None
    )
