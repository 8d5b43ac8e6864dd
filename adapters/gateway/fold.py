"""Fold what the log says openly into what the gateway knows: directory, boundaries, and what open acts have said.

Pure. Every leaf of a tree that the log signs has counted (design: ledger), so nothing is decided again here; but a
statement has effect only if it verifies, and an event only if its number follows. What does not is returned as odd, for
an alarm: an honest log does not hold it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from adapters.gateway.state import Delegation, LogState
from keys import digests
from keys.directory.directory import Directory, Moment
from keys.envelope import check_clock, verify_envelope
from schemas import ids
from schemas.encoding import Time, b64decode, from_seconds
from schemas.envelope import Envelope, envelope_bytes
from schemas.errors import Error, FormError
from schemas.event import Boundary, DirectoryVersion, Erasure, Event
from schemas.ids import Kid, LedgerIndex, Origin, ParticipantId, Pattern, Role
from schemas.leaf import Leaf, LeafType
from schemas.statement import DelegationBody, RevocationBody, Statement, SubscriptionBody

DEMANDED: Final = frozenset({LeafType.OPEN, LeafType.DIRECTORY, LeafType.BOUNDARY, LeafType.KEY, LeafType.ERASURE})
"""Leaves behind which a gateway demands the statement or event: types 2 to 6."""


@dataclass(frozen=True, slots=True)
class Found:
    """A leaf and what stands behind it, whose digest is the leaf's. `found` alone makes it."""

    index: LedgerIndex
    leaf: Leaf
    document: bytes
    proof: bytes | None


@dataclass(frozen=True, slots=True)
class Folded:
    """The state behind the last leaf; `changed`: what open acts have said is other than before; what is odd, in words."""

    state: LogState
    changed: bool
    erasures: tuple[Erasure, ...]
    odd: tuple[str, ...]


def found(index: LedgerIndex, leaf: Leaf, document: bytes, proof: bytes | None) -> Found:
    """Return what stands behind a leaf; raise `FormError` where it is something else than the leaf's digest says."""
    digest = digests.event_leaf(document) if proof is None else digests.statement_leaf(document, proof)
    if digest != leaf.digest or (proof is None) is (leaf.type is LeafType.OPEN):
        raise FormError("What is served for a leaf is not what the leaf stands for.")
    return Found(index, leaf, document, proof)


def newest_directory(state: LogState, things: Sequence[Found]) -> tuple[int, LedgerIndex, bytes] | None:
    """Return version, leaf index and snapshot digest of the newest directory leaf among `things`, None where none is."""
    newest = None
    version = state.directory
    for item in things:
        if item.leaf.type is LeafType.DIRECTORY:
            event = _event(item)
            if event is not None and isinstance(event.what, DirectoryVersion) and event.what.version == version + 1:
                version = event.what.version
                newest = (version, item.index, b64decode(event.what.snapshot))
    return newest


def fold(state: LogState, things: Sequence[Found], directory: Directory, origin: Origin) -> Folded:
    """Fold leaves in their order; `directory` is the newest one, which verifies every older statement too.

    Frontier and note of the state are left as they are.
    """
    folding = _Folding(state, directory, origin)
    for item in things:
        folding.take(item)
    return folding.result()


class _Folding:
    """The state while leaves are folded in; `revoked` and `subscriptions` are its own copies once they change."""

    def __init__(self, state: LogState, directory: Directory, origin: Origin) -> None:
        self._state = state
        self._directory = directory
        self._origin = origin
        self._revoked: dict[Kid, LedgerIndex] = dict(state.revoked)
        self._subscriptions: dict[ParticipantId, dict[Pattern, LedgerIndex]] = {
            who: dict(patterns) for who, patterns in state.subscriptions.items()
        }
        self._delegations = {(one.by, one.body.to, one.body.from_): one for one in state.delegations}
        self._changed = False
        self._erasures: list[Erasure] = []
        self._odd: list[str] = []

    def take(self, item: Found) -> None:
        if item.leaf.type is LeafType.OPEN:
            try:
                self._statement(item)
            except Error as error:
                self._odd.append(f"The statement at {item.index} does not hold: {error.detail}")
            return
        event = _event(item)
        if event is None or event.origin != self._origin or event.leaf_type is not item.leaf.type:
            self._odd.append(f"The event at {item.index} is not of its leaf's form.")
            return
        match event.what:
            case DirectoryVersion(version, snapshot):
                self._version(item.index, version, b64decode(snapshot))
            case Boundary(at):
                self._boundary(item.index, at)
            case Erasure():
                self._erasures.append(event.what)
            case _:
                pass  # keys of the log are taken from the directory

    def _version(self, index: LedgerIndex, version: int, snapshot: bytes) -> None:
        if version == self._state.directory + 1:
            self._state = replace(self._state, directory=version, directory_index=index, snapshot=snapshot)
        else:
            self._odd.append(f"The directory version at {index} is not the next one.")

    def _boundary(self, index: LedgerIndex, at: Time) -> None:
        if at > (self._state.boundary or ""):
            self._state = replace(self._state, boundary=at)
        else:
            self._odd.append(f"The boundary at {index} is not later than the last one.")

    def _statement(self, item: Found) -> None:
        """Verify an open statement at its place and let it act. Raises `Error`."""
        assert item.proof is not None  # `found` has seen to it
        envelope = Envelope.parse(envelope_bytes(item.document, item.proof, None))
        if envelope.statement.origin != self._origin:
            raise Error("It is another deployment's.", problem="wrong-origin")
        moment = Moment(item.index, item.leaf.received_at)
        statement = verify_envelope(envelope, self._directory, moment=moment, revoked=self._revoked).statement
        # What was said once cannot be brought again later, when it has been taken back.
        check_clock(statement, item.leaf.received_at // 1000)
        body, at = statement.body, from_seconds(item.leaf.received_at // 1000)
        if isinstance(body, SubscriptionBody):
            self._speaks_for(statement, body.participant, at)
            self._subscribe(statement.act, body, item.index)
        elif isinstance(body, RevocationBody):
            self._speaks_for(statement, body.participant, at)
            self._revoke(body, item.index)
        elif isinstance(body, DelegationBody):
            self._delegate(statement, body, item.index)

    def _subscribe(self, act: str, body: SubscriptionBody, index: LedgerIndex) -> None:
        self._changed = True
        patterns = self._subscriptions.setdefault(body.participant, {})
        for pattern in body.patterns:
            if act == "subscribe":
                patterns[pattern] = index
            else:
                patterns.pop(pattern, None)
        if not patterns:
            del self._subscriptions[body.participant]

    def _revoke(self, body: RevocationBody, index: LedgerIndex) -> None:
        if any(self._directory.owner(kid) != body.participant for kid in body.kids):
            raise FormError("Each key must be the named participant's.", pointer="/body/kids")
        self._changed = True
        for kid in body.kids:
            self._revoked.setdefault(kid, index)

    def _delegate(self, statement: Statement, body: DelegationBody, index: LedgerIndex) -> None:
        if not self._was_focal_point(statement.sender, ids.role_of(body.to)):
            raise Error("It is not a focal point of that State that delegates.", problem="act-refused")
        self._changed = True
        self._delegations[statement.sender, body.to, body.from_] = Delegation(statement.sender, body, index)

    def _speaks_for(self, statement: Statement, participant: ParticipantId, at: Time) -> None:
        """Demand that the sender is the participant, a focal point of its State, or stands in for one at that time."""
        sender, role = statement.sender, ids.role_of(participant)
        if sender == participant or self._was_focal_point(sender, role):
            return
        stands_in = any(
            one.body.to == sender and one.body.covers(at) and ids.role_of(sender) == role == ids.role_of(one.by)
            for one in self._delegations.values()
        )
        if not stands_in:
            raise Error("Neither the participant nor its focal point says so.", problem="act-refused")

    def _was_focal_point(self, sender: ParticipantId, role: Role) -> bool:
        """Say whether a participant is a State's focal point: today's, or one of then."""
        known, current = self._directory.participant(sender), self._directory.focal_point(role)
        was = known is not None and known.kind == "focal-point" and ids.role_of(sender) == role
        return was or (current is not None and current.id == sender)

    def result(self) -> Folded:
        state = self._state
        if self._changed:
            delegations = tuple(sorted(self._delegations.values(), key=lambda one: one.index))
            state = replace(state, revoked=self._revoked, subscriptions=self._subscriptions, delegations=delegations)
        return Folded(state, self._changed, tuple(self._erasures), tuple(self._odd))


def _event(item: Found) -> Event | None:
    try:
        return Event.parse(item.document)
    except Error:
        return None
