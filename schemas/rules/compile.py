"""Compile the two signed rule files of one directory version into an immutable value (design: access, Rules).

Compiled once a directory version, and cheaply again for each boundary, since a boundary only changes what is in force.
A network file that cannot be read is an error: nothing could be decided. A State's profile that cannot be read costs
that State alone its part: every decision about it denies, and `Rules.unreadable` says why, for an alarm. A condition
that cannot be evaluated (a group that the network does not know, a type of a later vocabulary) denies wherever it
applies, and `Rules.unevaluable` names it, for an alarm too.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from schemas.encoding import Time
from schemas.errors import Error
from schemas.ids import Role
from schemas.rules.aspects import ASPECTS
from schemas.rules.condition import AnyCondition, Profile, own_profile
from schemas.rules.condition_types import CONDITION_TYPES
from schemas.rules.network import Grant, Network, parse_network
from schemas.rules.tables import ByName, GrantRow, LawTable, grant_row, law_table
from schemas.rules.vocabulary import Vocabulary, vocabulary

GrantTable = Mapping[str, Mapping[Role, ByName[GrantRow]]]


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """The rules in force at directory version `version` and boundary `boundary`.

    `profiles` are the laws that could be read, `unreadable` says of each other one what is wrong with it. `names` gives
    the roles behind each role and group, `roles` are those that take part; `edges` are all times at which a validity
    begins or ends. `grants` and `laws` are the tables: by action, role and act, and by State.
    """

    version: int
    boundary: Time | None
    network: Network = field(repr=False)
    profiles: Mapping[Role, Profile] = field(repr=False)
    unreadable: Mapping[Role, str] = field(repr=False)
    known: Vocabulary = field(repr=False)
    edges: tuple[Time, ...] = field(repr=False)
    names: Mapping[str, frozenset[Role]] = field(repr=False)
    roles: frozenset[Role] = field(repr=False)
    suspended: frozenset[Role] = field(repr=False)
    grants: GrantTable = field(repr=False)
    laws: Mapping[Role, LawTable] = field(repr=False)
    # What the conditions of all profiles look at, whoever's and whenever in force: nobody need find out the rest.
    reads: frozenset[str] = field(repr=False)

    @property
    def timed(self) -> bool:
        """Say whether a decision depends on a statement's times."""
        return any(ASPECTS[name].timed for name in self.reads)

    @property
    def open(self) -> bool:
        """Say whether a decision depends on what only an opened notice shows."""
        return any(ASPECTS[name].inputs == "content" for name in self.reads)

    @property
    def clocks(self) -> frozenset[str]:
        """Return the urgencies within which an answer is due."""
        return self.known.clocks

    @property
    def unevaluable(self) -> Mapping[Role, tuple[str, ...]]:
        """Return by State the conditions in force that cannot be evaluated: they deny, and somebody must know."""
        return {state: table.unevaluable for state, table in self.laws.items() if table.unevaluable}

    def at(self, boundary: Time | None) -> "Rules":
        """Return the same rules as they stand at another boundary."""
        laws = {
            state: _law(profile, boundary, self.names, self.known) if _changes(profile) else self.laws[state]
            for state, profile in self.profiles.items()
        }
        return replace(self, boundary=boundary, grants=_grants(self.network, self.names, boundary), laws=laws)


def compile_rules(
    *,
    version: int,
    boundary: Time | None,
    network: bytes,
    laws: Mapping[Role, bytes],
    known: Vocabulary | None = None,
) -> Rules:
    """Compile `network.json` and the States' `law.json` of one directory version.

    `laws` is by State (`fr`); a State that is not in it has no profile. `known` are the codes (None: the code lists').
    Raises what `parse_network` raises; a profile's errors are kept in `Rules.unreadable` instead.
    """
    known = vocabulary() if known is None else known
    rules = parse_network(network)
    profiles: dict[Role, Profile] = {}
    unreadable: dict[Role, str] = {}
    for state, data in sorted(laws.items()):
        try:
            profiles[state] = own_profile(state, data)
        except Error as error:
            unreadable[state] = f"{error.detail} ({error.pointer or '/'})"
    names: dict[str, frozenset[Role]] = {item.role: frozenset((item.role,)) for item in rules.participants}
    names.update((group.id, frozenset(group.members)) for group in rules.groups)
    return Rules(
        version=version,
        boundary=boundary,
        network=rules,
        profiles=profiles,
        unreadable=unreadable,
        known=known,
        edges=_edges(rules, profiles),
        names=names,
        roles=frozenset(item.role for item in rules.participants),
        suspended=frozenset(item.role for item in rules.participants if item.suspended),
        grants=_grants(rules, names, boundary),
        laws={state: _law(profile, boundary, names, known) for state, profile in profiles.items()},
        reads=_reads(profiles),
    )


def next_boundary(rules: Rules, after: Time | None, until: Time) -> Time | None:
    """Return the latest time t at which a validity begins or ends with `after` < t <= `until`, or None.

    `after` is the last boundary (None: there was none yet). One leaf for the latest is enough: what is in force depends
    on the last boundary only, and the earlier ones lie behind it.
    """
    place = bisect_right(rules.edges, until)
    if place == 0 or (after is not None and rules.edges[place - 1] <= after):
        return None
    return rules.edges[place - 1]


def _in_force(item: Grant | AnyCondition, boundary: Time | None) -> bool:
    if boundary is None:
        return item.valid_from is None
    begun = item.valid_from is None or item.valid_from <= boundary
    return begun and (item.valid_to is None or boundary < item.valid_to)


def _reads(profiles: Mapping[Role, Profile]) -> frozenset[str]:
    kinds = [CONDITION_TYPES.get(item.type) for profile in profiles.values() for item in profile.conditions]
    return frozenset(name for kind in kinds if kind for name in (kind.aspect, kind.when) if name)


def _changes(profile: Profile) -> bool:
    return any(item.valid_from is not None or item.valid_to is not None for item in profile.conditions)


def _edges(network: Network, profiles: Mapping[Role, Profile]) -> tuple[Time, ...]:
    items: list[Grant | AnyCondition] = [
        *network.grants,
        *(item for profile in profiles.values() for item in profile.conditions),
    ]
    times = {time for item in items for time in (item.valid_from, item.valid_to) if time is not None}
    return tuple(sorted(times))


def _grants(network: Network, names: Mapping[str, frozenset[Role]], boundary: Time | None) -> GrantTable:
    table: dict[str, dict[Role, ByName[GrantRow]]] = {}
    # Most States are in the same groups: they share one table, found by the grants that it is made of.
    shared: dict[tuple[str, ...], ByName[GrantRow]] = {}
    rows = [
        (grant, frozenset[Role]().union(*(names[name] for name in grant.to)), grant_row(grant))
        for grant in network.grants
        if _in_force(grant, boundary)
    ]
    for action in {action for grant, _, _ in rows for action in grant.actions}:
        table[action] = {}
        for participant in network.participants:
            mine = [(grant, row) for grant, to, row in rows if action in grant.actions and participant.role in to]
            key = tuple(grant.id for grant, _ in mine)
            if key not in shared:
                shared[key] = ByName.group((grant.acts, row) for grant, row in mine)
            table[action][participant.role] = shared[key]
    return table


def _law(profile: Profile, boundary: Time | None, names: Mapping[str, frozenset[Role]], known: Vocabulary) -> LawTable:
    in_force = (item for item in profile.conditions if _in_force(item, boundary))
    return law_table(profile.state, in_force, names.get, known)
