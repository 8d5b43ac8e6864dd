"""What the gateway knows of the network at one place of the log, as a value that never changes.

`follow` alone makes it, from a verified directory, the rules compiled from it, and the open statements of the log. Whoever
chooses recipients, seals or verifies asks one `Network` and gets answers that belong together.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from adapters.gateway.state import Delegation, Subscriptions
from keys.directory.directory import Directory, Moment
from keys.directory.records import SealingRecord
from keys.log.merkle import EMPTY_ROOT
from keys.log.note import VerifiedCheckpoint
from schemas import ids
from schemas.encoding import Time, b64encode
from schemas.ids import Kid, LedgerIndex, ParticipantId, Role, Topic
from schemas.rules.compile import Rules
from schemas.rules.facts import Party
from schemas.statement import SeenCheckpoint

SENDER: Final = "sender-gateway"
RECIPIENT: Final = "recipient-gateway"
DEPUTY: Final = "deputy"
"""The role in a participant's record that makes it the deputy of its State's focal point."""


@dataclass(frozen=True, eq=False)
class Network:
    """Directory, rules at the last boundary, subscriptions and revocations, all as of `checkpoint`."""

    directory: Directory
    rules: Rules
    subscriptions: Subscriptions
    revoked: Mapping[Kid, LedgerIndex]
    checkpoint: VerifiedCheckpoint | None
    delegations: tuple[Delegation, ...] = ()
    parties: Mapping[ParticipantId, Party] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parties = {
            who: Party(who, ids.role_of(who), one.kind, one.roles, one.clearance, one.suspended)
            for who, one in self.directory.participants.items()
        }
        object.__setattr__(self, "parties", parties)

    @property
    def size(self) -> int:
        """Return the number of leaves that are known."""
        return 0 if self.checkpoint is None else self.checkpoint.size

    @property
    def seen(self) -> SeenCheckpoint:
        """Return the newest verified checkpoint as it stands in a statement."""
        if self.checkpoint is None:
            return SeenCheckpoint(0, b64encode(EMPTY_ROOT))
        return SeenCheckpoint(self.checkpoint.size, b64encode(self.checkpoint.root))

    def moment(self, now_ms: int) -> Moment:
        """Return the place in the log that something published now would take.

        The log's own time counts where our clock is behind it: keys would else seem not to be in force yet.
        """
        return Moment(self.size, max(now_ms, 0 if self.checkpoint is None else self.checkpoint.at * 1000))

    def subscribers(self, topic: Topic) -> Iterator[ParticipantId]:
        """Yield who subscribes to a topic, in the order of their ids."""
        for who in sorted(self.subscriptions):
            if any(ids.matches(pattern, topic) for pattern in self.subscriptions[who]):
                yield who

    def sealing_key(self, who: ParticipantId, moment: Moment) -> SealingRecord | None:
        """Return a participant's newest sealing key in force, or None."""
        return self.directory.newest_sealing(who, moment, self.revoked)

    def deputies(self, role: Role, at: Time, until: Time | None = None) -> tuple[ParticipantId, ...]:
        """Return who stands in for a State's focal point at a time, and those whose record names them its deputies.

        With a later time `until`, those who do at any moment in between.
        """
        point, last = self.focal_point(role), at if until is None else max(at, until)
        standing_in = (one for one in self.delegations if one.by == point)
        named = [one.body.to for one in standing_in if one.body.from_ <= last and at < one.body.until]
        named += [who for who, party in self.parties.items() if party.role == role and DEPUTY in party.roles]
        return tuple(who for who in dict.fromkeys(named) if who in self.parties and ids.role_of(who) == role)

    def focal_point(self, role: Role) -> ParticipantId | None:
        """Return a State's focal point."""
        one = self.directory.focal_point(role)
        return None if one is None else one.id
