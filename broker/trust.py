"""The current trust: directory, rules and revocations at one place in the ledger, as one immutable value.

Whoever needs to know whose key it is, whether it counts, or what the rules say asks a `Trust`; when the ledger moves
it, the ledger thread builds a new one. It reads no clock and does no I/O.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from broker.decisions import Decisions
from keys.directory.directory import Directory, Moment
from schemas.encoding import Time, to_seconds
from schemas.ids import Kid, LedgerIndex, ParticipantId, Role, role_of
from schemas.rules.compile import Rules
from schemas.rules.facts import Party
from schemas.statement import DelegationBody


@dataclass(frozen=True, slots=True)
class Current:
    """The newest sealing key in force of each participant from a moment until a time (Unix ms) or an index is reached."""

    owners: Mapping[Kid, ParticipantId]
    since: Moment
    until_ms: float
    until_index: float

    def covers(self, moment: Moment) -> bool:
        """Say whether nothing changes between the moment that this is of and another one."""
        return (
            self.since.received_at <= moment.received_at < self.until_ms
            and self.since.index <= moment.index < self.until_index
        )


@dataclass(frozen=True, slots=True)
class Delegation:
    """Who has somebody stand in for it, and whom, from when until when."""

    by: ParticipantId
    body: DelegationBody


@dataclass(frozen=True)
class Trust:
    """Directory, compiled rules, boundary, revocations and delegations behind the ledger's last leaf."""

    directory: Directory
    rules: Rules
    boundary: Time | None
    revoked: Mapping[Kid, LedgerIndex]
    delegations: Sequence[Delegation] = ()
    parties: Mapping[ParticipantId, Party] = field(init=False)
    decisions: Decisions = field(init=False, repr=False)
    # Owned by the thread that publishes: a memo of `current`, valid for the span that it names.
    _current: list[Current] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        parties = {
            who: Party(
                id=who,
                role=role_of(who),
                kind=record.kind,
                roles=record.roles,
                clearance=record.clearance,
                suspended=record.suspended,
            )
            for who, record in self.directory.participants.items()
        }
        points = {
            role: one.id for role in self.directory.roles if (one := self.directory.focal_point(role)) is not None
        }
        object.__setattr__(self, "parties", parties)
        object.__setattr__(self, "decisions", Decisions(self.rules, parties, points))

    @property
    def version(self) -> tuple[int, Time | None]:
        """Return what a decision was made under: directory version and boundary."""
        return (self.directory.version, self.boundary)

    def focal_point(self, role: Role) -> ParticipantId | None:
        """Return a State's focal point."""
        found = self.directory.focal_point(role)
        return None if found is None else found.id

    def speakers(self, role: Role, moment: Moment) -> tuple[ParticipantId, ...]:
        """Return who speaks for a State at a moment: its focal point, and those who stand in for it then."""
        point = self.focal_point(role)
        if point is None:
            return ()
        deputies = (one.body.to for one in self.delegations if one.by == point and one.body.covers(moment.time))
        return (point, *(who for who in deputies if who in self.parties and role_of(who) == role))

    def current(self, moment: Moment) -> Mapping[Kid, ParticipantId]:
        """Return, for each participant, its newest sealing key in force at a moment, as kid → participant."""
        if self._current and self._current[0].covers(moment):
            return self._current[0].owners
        memo = self._compute(moment)
        self._current[:] = [memo]
        return memo.owners

    def _compute(self, moment: Moment) -> Current:
        owners: dict[Kid, ParticipantId] = {}
        until_ms: float = float("inf")
        until_index: float = float("inf")
        for who, participant in self.directory.participants.items():
            newest = self.directory.newest_sealing(who, moment, self.revoked)
            if newest is not None:
                owners[newest.kid] = who
            for record in participant.keys:
                life = record.life
                if life.from_ > moment.time:
                    until_ms = min(until_ms, to_seconds(life.from_) * 1000)
                if life.closed_at is not None and life.closed_at > moment.index:
                    until_index = min(until_index, life.closed_at)
        return Current(owners, moment, until_ms, until_index)
