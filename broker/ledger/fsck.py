"""Check a whole ledger: fold it again from its records, and hold against that all else that speaks of it (design: ledger).

Nothing is repaired, and nothing is believed but the log's keys: what a leaf stands for, the bodies, the directory's files,
the days' digests, the signed checkpoint, the signer's own head and the view must agree with the records. Signatures of
statements are for auditors, who need the directory for that.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from broker.ledger.fold import FoldState, Past, Reason, Skipped, fold
from broker.ledger.port import LedgerReader, snapshot_object
from broker.ledger.stanzas import stanza_kids
from keys.digests import sha256
from keys.errors import CheckpointError
from keys.log.merkle import root_of
from keys.log.note import LogKeys, verify_checkpoint
from schemas.checkpoint import Checkpoint
from schemas.encoding import b64decode
from schemas.errors import FormError
from schemas.event import Day, DirectoryVersion, Erasure, Event
from schemas.ids import NoticeId
from schemas.record import Record
from schemas.statement import Statement

ORPHAN_MS: Final = 3_600_000
"""Milliseconds for which a body may wait for its record."""

_PAGE: Final = 500
# Doubles and late ones fold away in a sound ledger; nobody appends what cannot be read or is not what its leaf says.
_UNSOUND: Final = frozenset({Reason.FORM, Reason.DIGEST, Reason.ORIGIN})

Progress = Callable[[int, int], None]


class Fault(StrEnum):
    """What can be wrong: stable codes."""

    RECORD = "record-unsound"
    """A record that no instance appends: not of the form, another origin's, or not what its leaf says."""
    BODY_MISSING = "body-missing"
    """A record's body was never stored."""
    BODY_LOST = "body-lost"
    """A body is gone, and no erasure leaf says so."""
    BODY_KEPT = "body-kept"
    """An erasure leaf says that a body is gone, and it is there."""
    BODY_DIGEST = "body-digest"
    """A body is not the one that its record names."""
    BODY_HOLDERS = "body-holders"
    """The key ids kept for a body are not those of its stanzas."""
    BODY_ORPHAN = "body-orphan"
    """A body has waited more than an hour for a record."""
    OBJECT_MISSING = "object-missing"
    """The snapshot that a directory leaf names is not there."""
    OBJECT_DIGEST = "object-digest"
    """The snapshot is not the one that its directory leaf names."""
    DAY_DIGEST = "day-digest"
    """A day's decisions are not those that its leaf counts and names."""
    CHECKPOINT_INVALID = "checkpoint-invalid"
    """The checkpoint is not one of this log under its keys."""
    CHECKPOINT_AHEAD = "checkpoint-ahead"
    """The checkpoint has more leaves than the ledger."""
    CHECKPOINT_ROOT = "checkpoint-root"
    """The checkpoint has another root than the ledger at its size."""
    HEAD_AHEAD = "head-ahead"
    """The signer has signed a larger tree than the ledger's."""
    HEAD_ROOT = "head-root"
    """The signer has signed another root of this size."""
    VIEW_AHEAD = "view-ahead"
    """The view has more leaves than the ledger: delete it."""
    VIEW_ROOT = "view-root"
    """The view has another root than the ledger at its size: delete it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: where it is (a position, a digest in hexadecimal, a day, a size), in words that name no content."""

    fault: Fault
    where: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found; the ledger is sound where `findings` is empty.

    `records` and `leaves` are counts, `root` is the tree's, `skipped` counts by reason the records that do not count.
    """

    records: int
    leaves: int
    root: bytes
    skipped: Mapping[str, int]
    findings: tuple[Finding, ...]


class Tree(Protocol):
    """The view, as far as it is held against the ledger."""

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        ...

    def root(self, size: int) -> bytes:
        """Return the root of the first `size` leaves."""
        ...


@dataclass(slots=True)
class _Bodies:
    """Which bodies records name: by digest, the first position, and whether an erasure counts for it."""

    positions: dict[bytes, int] = field(default_factory=dict)
    of_notice: dict[NoticeId, bytes] = field(default_factory=dict)
    erased: set[bytes] = field(default_factory=set)


def fsck(
    ledger: LedgerReader,
    *,
    now_ms: int,
    checkpoint: bytes | None = None,
    log_keys: LogKeys | None = None,
    head: Checkpoint | None = None,
    view: Tree | None = None,
    full: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Check a ledger that nobody writes meanwhile, and return what was found.

    `checkpoint` is a note, to be given with `log_keys`; `head` is what the signer's folder says. Without `full` bodies
    are looked for but not read. `progress` hears of positions: done, of how many. Raises `LedgerUnavailableError`.
    """
    return _Check(ledger, now_ms, full).run(checkpoint, log_keys, head, view, progress)


class _Check:
    def __init__(self, ledger: LedgerReader, now_ms: int, full: bool) -> None:
        self._ledger = ledger
        self._now_ms = now_ms
        self._full = full
        self._findings: list[Finding] = []
        self._bodies = _Bodies()
        self._roots: dict[int, bytes] = {}

    def run(
        self,
        checkpoint: bytes | None,
        log_keys: LogKeys | None,
        head: Checkpoint | None,
        view: Tree | None,
        progress: Progress | None,
    ) -> Report:
        signed = None if checkpoint is None else self._verified(checkpoint, log_keys)
        size, root = (0, b"") if view is None else (view.size, view.root(view.size))
        trees = [
            (signed, Fault.CHECKPOINT_AHEAD, Fault.CHECKPOINT_ROOT),
            (None if head is None else (head.size, head.root), Fault.HEAD_AHEAD, Fault.HEAD_ROOT),
            (None if view is None else (size, root), Fault.VIEW_AHEAD, Fault.VIEW_ROOT),
        ]
        state, records, skipped = self._fold({tree[0] for tree, _, _ in trees if tree is not None}, progress)
        for tree, ahead, differs in trees:
            if tree is not None:
                self._compare(tree, state.size, ahead, differs)
        self._check_bodies()
        return Report(records, state.size, state.frontier.root(), skipped, tuple(self._findings))

    def _found(self, fault: Fault, where: object) -> None:
        self._findings.append(Finding(fault, where.hex() if isinstance(where, bytes) else str(where)))

    def _verified(self, note: bytes, log_keys: LogKeys | None) -> tuple[int, bytes] | None:
        if log_keys is None:
            raise ValueError("A checkpoint is checked under the log's keys.")
        try:
            verified = verify_checkpoint(note, log_keys)
        except CheckpointError as error:
            self._found(Fault.CHECKPOINT_INVALID, error.detail)
            return None
        return verified.size, verified.root

    def _fold(self, sizes: set[int], progress: Progress | None) -> tuple[FoldState, int, Counter[str]]:
        """Fold all records and keep the roots at `sizes`."""
        state, past, skipped = FoldState(self._ledger.origin), Past(), Counter[str]()
        length, position, records = self._ledger.length(), 0, 0
        self._keep_root(state, sizes)
        while page := self._ledger.read(position, _PAGE):
            for position, record in page:
                folded = fold(state, record, past)
                if record.body_digest is not None:
                    self._bodies.positions.setdefault(record.body_digest, position)
                if isinstance(folded, Skipped):
                    skipped[folded.reason] += 1
                    if folded.reason in _UNSOUND:
                        self._found(Fault.RECORD, position)
                    continue
                state = folded.state
                past.add(folded.what)
                self._keep_root(state, sizes)
                self._look_at(record, folded.what)
            records += len(page)
            position += 1  # behind the page's last one
            if progress is not None:
                progress(position, length)
        return state, records, skipped

    def _keep_root(self, state: FoldState, sizes: set[int]) -> None:
        if state.size in sizes:
            self._roots[state.size] = state.frontier.root()

    def _look_at(self, record: Record, what: Statement | Event) -> None:
        if isinstance(what, Statement):
            if record.body_digest is not None:
                self._bodies.of_notice[what.notice_id] = record.body_digest
            return
        match what.what:
            case DirectoryVersion(version, snapshot):
                self._check_snapshot(version, b64decode(snapshot))
            case Erasure(notice_id):
                body = self._bodies.of_notice.get(notice_id)
                if body is not None:
                    self._bodies.erased.add(body)
            case Day(day, count, root):
                kept = self._ledger.decisions(day)
                if len(kept) != count or root_of(kept) != b64decode(root):
                    self._found(Fault.DAY_DIGEST, day)
            case _:
                pass  # boundaries and log keys name nothing that is stored

    def _check_snapshot(self, version: int, digest: bytes) -> None:
        data = self._ledger.object(snapshot_object(version))
        if data is None:
            self._found(Fault.OBJECT_MISSING, version)
        elif sha256(data) != digest:
            self._found(Fault.OBJECT_DIGEST, version)

    def _compare(self, tree: tuple[int, bytes], leaves: int, ahead: Fault, differs: Fault) -> None:
        size, root = tree
        if size > leaves:
            self._found(ahead, size)
        elif self._roots[size] != root:
            self._found(differs, size)

    def _check_bodies(self) -> None:
        stored = set()
        for body in self._ledger.bodies():
            stored.add(body.digest)
            if body.digest not in self._bodies.positions and body.since < self._now_ms - ORPHAN_MS:
                self._found(Fault.BODY_ORPHAN, body.digest)
        for digest, position in self._bodies.positions.items():
            if digest in stored:
                if digest in self._bodies.erased:
                    self._found(Fault.BODY_KEPT, position)
                if self._full:
                    self._check_body(digest, position)
            elif self._ledger.holders(digest) is None:
                self._found(Fault.BODY_MISSING, position)
            elif digest not in self._bodies.erased:
                self._found(Fault.BODY_LOST, position)

    def _check_body(self, digest: bytes, position: int) -> None:
        body = self._ledger.body(digest)
        if body is None or sha256(body) != digest:
            self._found(Fault.BODY_DIGEST, position)
            return
        try:
            kids = stanza_kids(body)
        except FormError:
            kids = ()
        if kids != self._ledger.holders(digest):
            self._found(Fault.BODY_HOLDERS, position)
