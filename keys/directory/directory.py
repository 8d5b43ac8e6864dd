"""The verified directory at one version: participants, keys, laws, as a value that never changes (design: access).

`keys.directory.load` alone makes it, after every signature, scope and digest held; whoever has a `Directory` may believe
it. Whether its snapshot is that of the newest directory leaf is for the caller to compare: this knows no ledger.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from keys.directory.errors import DirectoryError
from keys.directory.log_target import LogTarget
from keys.directory.records import KeyRecord, Participant, RequestRecord, SealingRecord, SigningRecord, StateFile
from keys.errors import RevokedKeyError, UnknownKeyError
from schemas.encoding import Time, from_seconds
from schemas.ids import Kid, Origin, ParticipantId, Role


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in the ledger: a leaf's index and its `received_at` in Unix milliseconds."""

    index: int
    received_at: int
    time: Time = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Times have whole seconds: `from` <= received_at exactly if `from` <= received_at rounded down.
        object.__setattr__(self, "time", from_seconds(self.received_at // 1000))


@dataclass(frozen=True, slots=True, eq=False)
class Directory:
    """One version of the directory, verified. Only the loader of this package may construct it.

    Raises `DirectoryError` where a key id occurs twice.

    `version` and `snapshot` are the number and SHA-256 of `N.snapshot.json`; `laws` has a State's `law.json` by its
    role; `network` the bytes of `network/network.json`; `role_versions` the version of each piece of TUF metadata by
    name. `unreadable` names the roles whose metadata had expired when this was loaded and is left out; `last_good` has
    each role's newest file that was ever accepted, for the append-only rule. `valid_until` (Unix seconds) is the first
    time at which loading again would give something else.
    """

    version: int
    snapshot: bytes
    origin: Origin
    roles: Mapping[Role, StateFile]
    laws: Mapping[Role, bytes]
    network: bytes
    log: LogTarget
    role_versions: Mapping[str, int]
    unreadable: frozenset[str]
    last_good: Mapping[Role, StateFile]
    valid_until: int
    participants: Mapping[ParticipantId, Participant] = field(init=False, repr=False)
    _identities: Mapping[tuple[Kid, Kid], SigningRecord] = field(init=False, repr=False)
    _requests: Mapping[Kid, RequestRecord] = field(init=False, repr=False)
    _sealing: Mapping[Kid, SealingRecord] = field(init=False, repr=False)
    _newest: Mapping[ParticipantId, tuple[SealingRecord, ...]] = field(init=False, repr=False)
    _owners: Mapping[Kid, ParticipantId] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("roles", "laws", "role_versions", "last_good"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        participants = {one.id: one for state in self.roles.values() for one in state.participants}
        records = [record for one in participants.values() for record in one.keys]
        sealing = [record for record in records if isinstance(record, SealingRecord)]
        derived = {
            "participants": MappingProxyType(participants),
            "_identities": {record.kids: record for record in records if isinstance(record, SigningRecord)},
            "_requests": {record.kid: record for record in records if isinstance(record, RequestRecord)},
            "_sealing": {record.kid: record for record in sealing},
            "_newest": _newest_first(sealing),
            "_owners": _owners(records),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def participant(self, who: ParticipantId) -> Participant | None:
        """Return a participant, suspended or not, or None."""
        return self.participants.get(who)

    def focal_point(self, role: Role) -> Participant | None:
        """Return the focal point of a State or organisation, or None where none is named."""
        state = self.roles.get(role)
        return None if state is None or state.focal_point is None else self.participants[state.focal_point]

    def signing(self, kids: tuple[Kid, Kid]) -> SigningRecord:
        """Return the signing identity of two key ids, Ed25519's first; raise `UnknownKeyError`, also for a mixed pair."""
        record = self._identities.get(kids)
        if record is None:
            raise UnknownKeyError("No signing identity has these two keys.")
        return record

    def request(self, kid: Kid) -> RequestRecord:
        """Return a request key; raise `UnknownKeyError`."""
        record = self._requests.get(kid)
        if record is None:
            raise UnknownKeyError("No request key has this id.")
        return record

    def sealing(self, kid: Kid) -> SealingRecord:
        """Return a sealing key; raise `UnknownKeyError`."""
        record = self._sealing.get(kid)
        if record is None:
            raise UnknownKeyError("No sealing key has this id.")
        return record

    def owner(self, kid: Kid) -> ParticipantId | None:
        """Return whose key this is, whatever its use, or None where nobody's."""
        return self._owners.get(kid)

    @staticmethod
    def in_force(record: KeyRecord, moment: Moment, revoked: Mapping[Kid, int]) -> bool:
        """Say whether a record is in force at a leaf.

        That is: `from` <= received_at, index < `closed_at`, and none of its keys revoked by a statement at an earlier
        index. `revoked` has, by key id, the index of the statement that revoked it.
        """
        life = record.life
        if life.from_ > moment.time or (life.closed_at is not None and moment.index >= life.closed_at):
            return False
        return not any(revoked.get(kid, moment.index) < moment.index for kid in record.kids)

    @staticmethod
    def demand_in_force(record: KeyRecord, moment: Moment, revoked: Mapping[Kid, int]) -> None:
        """Demand that a record is in force at a leaf; raise `RevokedKeyError`."""
        if not Directory.in_force(record, moment, revoked):
            raise RevokedKeyError("The key is not in force: not yet, closed, or revoked.")

    def newest_sealing(
        self, participant: ParticipantId, moment: Moment, revoked: Mapping[Kid, int]
    ) -> SealingRecord | None:
        """Return a participant's newest sealing key in force at a leaf, or None.

        Newest is the greatest `from`; of several with the same `from`, the greatest key id.
        """
        records = self._newest.get(participant, ())
        return next((record for record in records if self.in_force(record, moment, revoked)), None)


def _owners(records: Iterable[KeyRecord]) -> dict[Kid, ParticipantId]:
    owners: dict[Kid, ParticipantId] = {}
    for record in records:
        for kid in record.kids:
            if kid in owners:
                raise DirectoryError("A key id occurs twice in the directory.")
            owners[kid] = record.participant
    return owners


def _newest_first(records: Iterable[SealingRecord]) -> dict[ParticipantId, tuple[SealingRecord, ...]]:
    grouped: dict[ParticipantId, tuple[SealingRecord, ...]] = {}
    for record in sorted(records, key=lambda one: (one.life.from_, one.kid), reverse=True):
        grouped[record.participant] = (*grouped.get(record.participant, ()), record)
    return grouped
