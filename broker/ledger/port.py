"""The ledger's port: what a store of records must do, in prose, for its implementations and their one test suite.

A ledger keeps *records* in an order that never changes, the sealed *bodies* that they name by digest until these are
erased, *objects* (files of the directory and the like) by name, and *decisions* by day. It does not say what counts:
that is `broker.ledger.fold`. Everything is synchronous and called from one thread, the ledger thread; a store that is
asynchronous underneath hides its loop. Other threads read through a `LedgerReader` of their own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas.errors import Error
from schemas.ids import Kid, Origin, Topic
from schemas.record import Record


class StorageFullError(Error):
    """There is no space left. Nothing was appended, and what was there can be read."""

    problem = "storage-full"


class StoreVersionError(Error):
    """A newer version of this software wrote the store; it was not touched."""

    problem = "newer-store"


class StoreMismatchError(Error):
    """The file is not such a store, or it is another deployment's; it was not touched."""

    problem = "configuration"


class LedgerUnavailableError(Error):
    """The store cannot be read or written now.

    After a failed append it is open whether it was appended: whoever appends again finds that doubles fold away.
    """

    problem = "unavailable"


@dataclass(frozen=True, slots=True)
class Entry:
    """A record to append, the sealed body that its `body_digest` is of (None where that is None), its statement's topic."""

    record: Record
    body: bytes | None
    topic: Topic | None = None

    def __post_init__(self) -> None:
        if (self.body is None) is not (self.record.body_digest is None):
            raise ValueError("A record names the digest of its body, and nothing where it has none.")


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision or an audit access as auditors see it: the day (UTC) `YYYY-MM-DD`, and its JSON."""

    day: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """What becomes durable in one step: entries in their order, objects by name (replacing), decisions in their order."""

    entries: tuple[Entry, ...] = ()
    objects: Mapping[str, bytes] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredBody:
    """That a body is stored: its digest, and since when (`received_at` of its first record, Unix ms)."""

    digest: bytes
    since: int


class Appending(Protocol):
    """An append that was begun: a store that is far away is waited for while something else is done."""

    def finish(self) -> tuple[int | None, ...]:
        """Return each entry's position once it is durable; see `Ledger.append`."""
        ...


class LedgerReader(Protocol):
    """Reads a ledger; one for each thread. Sees what was appended before the call. Raises `LedgerUnavailableError`."""

    @property
    def origin(self) -> Origin:
        """Return the origin of the log whose records these are."""
        ...

    def read(self, position: int, limit: int) -> list[tuple[int, Record]]:
        """Return at most `limit` records from `position` on, ascending, each with its position.

        Positions ascend; a store may leave gaps. An empty list says that there is nothing from there on yet.
        """
        ...

    def length(self) -> int:
        """Return the position after the last record's, 0 for an empty ledger."""
        ...

    def body(self, digest: bytes) -> bytes | None:
        """Return the sealed body with this SHA-256; None when there is none or it was erased."""
        ...

    def holds(self, digest: bytes) -> bool:
        """Say whether this body is stored, or may still be read: False once it was erased, or where it never was."""
        ...

    def holders(self, digest: bytes) -> tuple[Kid, ...] | None:
        """Return the key ids that a body's stanzas are for, in their order, also once it was erased.

        Who may see that a notice existed outlives its content. None when there never was such a body.
        """
        ...

    def holders_of(self, digests: Sequence[bytes]) -> Mapping[bytes, tuple[Kid, ...]]:
        """Return the same for many bodies by their digests; those that never were are left out."""
        ...

    def bodies(self) -> Iterator[StoredBody]:
        """Iterate over the bodies that are stored and not erased, in no order. The ledger must not change meanwhile."""
        ...

    def object(self, name: str) -> bytes | None:
        """Return the newest object of this name."""
        ...

    def object_names(self, prefix: str = "") -> list[str]:
        """Return the names of all objects that begin with `prefix`, sorted."""
        ...

    def decisions(self, day: str) -> list[bytes]:
        """Return a day's decisions in the order in which they were appended."""
        ...

    def decision_days(self) -> list[str]:
        """Return the days that have decisions, sorted."""
        ...

    def close(self) -> None:
        """Release what is held. Calling anything afterwards is an error."""
        ...


class Ledger(LedgerReader, Protocol):
    """A store that the ledger thread appends to; no two processes may have the same one open."""

    def append(self, append: Append) -> tuple[int | None, ...]:
        """Make all of it durable or nothing, and return each entry's position.

        Once this returns, it survives the end of the process and the loss of power. In a store that others append to,
        their records may lie between two of these. None: that entry was left out, for its body could not be kept soon
        enough; nothing is said about it yet. A body is never there later than its record, an object never later than
        the leaf that names it. Raises `StorageFullError` (nothing was appended) or `LedgerUnavailableError` (which
        leaves it open).
        """
        ...

    def begin(self, append: Append) -> "Appending":
        """Begin to append; `finish` goes on and returns what `append` returns, or raises as it does.

        Until then no record of it is there: one that is never finished has published nothing.
        """
        ...

    def refresh(self) -> None:
        """Return once all can be read here that anybody had appended before the call. Raises `LedgerUnavailableError`."""
        ...

    def changed(self) -> list[str]:
        """Return the names of objects that others have put since the last call."""
        ...

    def erase(self, digests: Iterable[bytes]) -> None:
        """Erase bodies, so that their bytes cannot be found in the store again; unknown digests are passed over.

        Durable once it returns; may be repeated. Raises as `append` does.
        """
        ...

    def reader(self) -> LedgerReader:
        """Return a reader for another thread, which closes it before the ledger is closed."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """The newest checkpoint that an instance has published, and whether it was this one."""

    note: bytes
    own: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """How an instance and the store stand: for the operator's metrics.

    `seconds` since the store last confirmed that it hears this instance; `clock_offset` is how many seconds this machine's
    clock is ahead of the store's; `instances` are alive, this one among them; `replacements` counts producers given up;
    `skipped` foreign records by reason; `absent` bodies that never came; `unsafe` what administrators have set unsafely; `short` says that the store has less, or
    other, than what was read of it.
    """

    seconds: float
    clock_offset: float
    instances: int
    signer: bool
    replacements: int
    skipped: Mapping[str, int]
    absent: int
    unsafe: int
    short: bool = False


class Shared(Protocol):
    """What the instances of one broker tell each other through the store that all of them append to."""

    def on_news(self, wake: Callable[[], None]) -> None:
        """Call `wake` from the store's thread whenever there is something new to read."""
        ...

    def tell(self, note: bytes) -> None:
        """Publish a checkpoint. Raises `LedgerUnavailableError`; then it may or may not be published."""
        ...

    def told(self) -> Told | None:
        """Return the newest checkpoint that was published; None before the first."""
        ...

    @property
    def behind(self) -> bool:
        """Say whether bodies of records that are there already are still being read."""
        ...

    def condition(self) -> Condition:
        """Return how the instance and the store stand to each other."""
        ...

    def troubles(self) -> Sequence[str]:
        """Return what is wrong between instance and store, in words without particulars; nothing while all is well."""
        ...


def snapshot_object(version: int) -> str:
    """Return the name of the object that a directory event's `snapshot` is the SHA-256 of."""
    return f"metadata/{version}.snapshot.json"
