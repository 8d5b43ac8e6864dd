"""What the HTTP interface asks of the broker behind it, and the values that come back.

Every call may raise `schemas.errors.Error`, which becomes a problem document; nothing else is expected to escape. The
callers of the signed calls were authenticated by `broker.http.auth`; what they may see is decided behind this line.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from broker.answers import Answer
from broker.telemetry import Figures
from broker.trust import Trust
from keys.log.tiles import Tile
from schemas.encoding import Time
from schemas.ids import LedgerIndex, NoticeId, Origin, ParticipantId, Pattern, Topic


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A page of a participant's feed: `next` is the cursor to go on from, `size` that of the checkpoint it is under."""

    next: int
    size: int
    deliveries: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class HeldNotice:
    """A notice that a decision keeps from its recipient since a time; `why` is the determination's JSON."""

    notice_id: NoticeId
    index: LedgerIndex
    sender: ParticipantId
    topic: Topic | None
    since: Time
    why: bytes


@dataclass(frozen=True, slots=True)
class Subscription:
    """One pattern of a participant, and the signed statement that subscribed to it."""

    participant: ParticipantId
    pattern: Pattern
    index: LedgerIndex
    statement: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class AuditedStatement:
    """A statement as an auditor sees it: its leaf (41 bytes), its bytes and its proof's, never its contents."""

    index: LedgerIndex
    leaf: bytes
    statement: bytes
    proof: bytes
    body_digest: bytes | None
    erased: bool


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of statements; `next` is the cursor to go on from."""

    next: int
    statements: Sequence[AuditedStatement]


@dataclass(frozen=True, slots=True)
class OwnStatement:
    """A sealed statement of the caller's: its leaf's index and time (Unix ms), and the envelope's bytes."""

    index: LedgerIndex
    received_at: int
    envelope: bytes


@dataclass(frozen=True, slots=True)
class OwnPage:
    """A page of one's own statements; `next` is the cursor to go on from."""

    next: int
    statements: Sequence[OwnStatement]


@dataclass(frozen=True, slots=True)
class LogObject:
    """What stands behind a leaf: a statement with its proof, or an event (no proof)."""

    document: bytes
    proof: bytes | None


@dataclass(frozen=True, slots=True)
class DirectoryLeaf:
    """The directory version that an upload made, and its leaf's index."""

    version: int
    index: int


class EventSource(Protocol):
    """What a stream sends: events, as their bytes."""

    async def next(self) -> Sequence[bytes] | None:
        """Return the next events in parts, or None at the end; raise `Error` where there is nothing for the reader any more."""
        ...

    def close(self) -> None:
        """End it. May be called more than once."""
        ...


class Service(Protocol):
    """The broker as its HTTP interface sees it. The attributes are immutable values that are replaced as time goes on."""

    @property
    def origin(self) -> Origin:
        """Return the log's origin."""
        ...

    @property
    def trust(self) -> Trust:
        """Return the trust behind the last leaf."""
        ...

    @property
    def size(self) -> int:
        """Return the number of leaves, signed or not."""
        ...

    @property
    def note(self) -> bytes | None:
        """Return the newest signed checkpoint."""
        ...

    @property
    def note_size(self) -> int:
        """Return the number of leaves under it."""
        ...

    def now_ms(self) -> int:
        """Return the broker's Unix milliseconds."""
        ...

    async def publish(self, notice_id: NoticeId, data: bytes) -> Answer:
        """Publish one envelope."""
        ...

    async def publish_many(self, lines: Sequence[bytes]) -> list[Answer]:
        """Publish envelopes in their order and return as many answers; raise `Error` where none was tried."""
        ...

    async def wait_checkpoint(self, size_above: int, seconds: float, caller: ParticipantId | None = None) -> None:
        """Return when a checkpoint of more than `size_above` leaves is out, the time is over, or the service stops.

        A caller is not woken by leaves that cannot be its business.
        """
        ...

    async def feed(self, caller: ParticipantId, after: int, limit: int, topic: Pattern) -> FeedPage:
        """Return a page of the caller's feed."""
        ...

    def stream(self, caller: ParticipantId, after: int, topic: Pattern, demand: Callable[[], None]) -> EventSource:
        """Open a stream of the caller's feed; `demand` raises when it may not go on."""
        ...

    async def held(self, caller: ParticipantId) -> Sequence[HeldNotice]:
        """Return what is kept from the caller, in the order of the ledger."""
        ...

    async def delivery(self, caller: ParticipantId, notice_id: NoticeId) -> bytes | None:
        """Return the caller's delivery of a notice; None where there is nothing for the caller."""
        ...

    async def proof_text(self, caller: ParticipantId, notice_id: NoticeId) -> bytes | None:
        """Return the `.tlog-proof` of a notice's leaf; None where there is nothing for the caller."""
        ...

    async def subscriptions(self) -> Sequence[Subscription]:
        """Return the folded subscriptions."""
        ...

    async def audit_page(self, caller: ParticipantId, after: int, limit: int) -> AuditPage:
        """Return a page of statements, having recorded the access; raise `Error` where the caller has no mandate."""
        ...

    async def own_page(self, caller: ParticipantId, after: int, limit: int) -> OwnPage:
        """Return a page of what the caller has published and is not erased."""
        ...

    async def log_object(self, digest: bytes, caller: ParticipantId | None) -> LogObject | None:
        """Return what stands behind a leaf's digest, for a caller or for anybody; None where there is nothing for it."""
        ...

    async def tile(self, tile: Tile) -> bytes | None:
        """Return a tile's hashes; None where the newest checkpoint's tree does not have it."""
        ...

    async def entries(self, tile: Tile) -> bytes | None:
        """Return the bundle of entries beside a tile of level 0."""
        ...

    async def directory_file(self, name: str) -> bytes | None:
        """Return a file of the directory by its path, such as `metadata/timestamp.json`."""
        ...

    async def upload_role(
        self, role: str, metadata: bytes, targets: Mapping[str, bytes], if_match: int
    ) -> DirectoryLeaf:
        """Take a role's signed metadata and targets into the directory; raise `Error`."""
        ...

    def readiness(self) -> Sequence[str]:
        """Return why the service is not ready, in words without particulars; nothing when it is."""
        ...

    def figures(self) -> Figures:
        """Return what the metrics show of ledger and view."""
        ...
