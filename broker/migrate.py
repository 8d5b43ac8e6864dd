"""Moving a ledger into another store: the same records in the same order, so the same leaves, roots and receipts.

What is in the target decides where to go on: whatever an interruption has left there is compared, never assumed, and the
way back in is the way in. Nothing is written into a target that has anything else. At the end both ledgers are folded and
held against each other, and only then is the target marked as complete. The source is read only, and nobody may write
either of them meanwhile. Key ids of erased bodies are carried over, for who could read a notice outlives it; so are the
objects (directory, held notices) and the decisions. The view is not: it makes itself anew (design: ledger).
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final, Protocol

from broker.ledger.fold import Counted, FoldState, Past, fold
from broker.ledger.port import Append, Decision, Ledger, LedgerReader
from keys.digests import sha256
from schemas import encoding
from schemas.checkpoint import Checkpoint
from schemas.encoding import b64encode
from schemas.errors import Error
from schemas.ids import Kid, Origin
from schemas.record import Record

MARK: Final = "moved"
"""The object that says that a target is complete; from then on it may have a life of its own."""

BATCH: Final = 500
"""Records, objects or decisions in one step."""

BATCH_BYTES: Final = 4 << 20
"""Bytes after which a step ends earlier."""

DOUBLES: Final = 2 * BATCH
"""How far back a record may lie that the target has twice: a step whose answer was lost may have been done."""

_ANEW: Final = "Nothing of it is used. Begin anew with new topics."

Progress = Callable[[int, int], None]


class ForeignTargetError(Error):
    """The target has something that the source has not: it is another ledger, or has gone on by itself."""

    problem = "conflict"


class DamagedSourceError(Error):
    """The source does not have what its records name, or is not what was signed: run fsck."""

    problem = "configuration"


@dataclass(frozen=True, slots=True)
class Moved:
    """A record on its way, with the key ids that its body is for, and the body; None where it has none or it was erased."""

    record: Record
    holders: tuple[Kid, ...]
    body: bytes | None

    @property
    def size(self) -> int:
        """Return about how many bytes it has."""
        return len(self.record.document) + len(self.record.proof or b"") + len(self.body or b"")


class Target(Ledger, Protocol):
    """A ledger that can be moved into."""

    def take(self, moved: Sequence[Moved]) -> None:
        """Append records in this very order, their bodies before them, durable once it returns.

        Of an erased body `holders` answers afterwards as it did where it came from, and `body` returns None. Raises
        `StorageFullError` or `LedgerUnavailableError`: then any number of them may be there, or be there twice, but none
        without all those before it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Move:
    """What the target has: records, leaves and the tree's root, bodies, of which so many are erased.

    `added` counts the records that this run has added.
    """

    records: int
    leaves: int
    root: bytes
    bodies: int
    erased: int
    added: int


def migrate(
    source: LedgerReader, target: Target, *, head: Checkpoint | None = None, progress: Progress | None = None
) -> Move:
    """Move a ledger, or go on with it, and return what the target has then; repeating it changes nothing.

    `head` is what the signer's folder says; the source must have it. `progress` hears of records: done, of how many.
    Raises `DamagedSourceError`, `ForeignTargetError` (for all that the target has, before anything is written),
    `StorageFullError`, and `LedgerUnavailableError`, after which the same call goes on.
    """
    if source.origin != target.origin:
        raise ForeignTargetError("The target is another origin's.")
    tree = _folded(source.origin, _records(source), () if head is None else (head.size,))
    if head is not None and tree.roots.get(head.size) != head.root:
        raise DamagedSourceError("The source is not the ledger that was signed.", hint="It is an old copy, or changed.")
    named = {record.body_digest for record in _records(source) if record.body_digest is not None}
    target.refresh()
    complete = target.object(MARK) is not None
    found = _compare(source, target, complete=complete)
    if not complete:
        objects, decisions = _lacking_objects(source, target), _lacking_decisions(source, target)
        _copy_objects(source, target, objects)
        for day, data in decisions:
            target.append(Append(decisions=tuple(Decision(day, one) for one in data)))
        _copy_records(source, target, found, tree.records, progress)
        if gone := named - _stored(source):
            # What was moved with its body before an interruption may have been erased at the source since.
            target.erase(gone)
        target.refresh()
    move = _verified(source, target, tree, named, tree.records - found.have, complete=complete)
    if not complete:
        target.append(Append(objects={MARK: _mark(move)}))
    return move


def _records(ledger: LedgerReader) -> Iterator[Record]:
    position = 0
    while page := ledger.read(position, BATCH):
        for at, record in page:
            position = at + 1
            yield record


def _stored(ledger: LedgerReader) -> set[bytes]:
    return {body.digest for body in ledger.bodies()}


@dataclass(frozen=True, slots=True)
class _Tree:
    """What records fold to: how many there are, the state behind the last, the roots at sizes that were asked for."""

    records: int
    state: FoldState
    roots: Mapping[int, bytes]


def _folded(origin: Origin, records: Iterable[Record], sizes: Collection[int]) -> _Tree:
    state, past, count = FoldState(origin), Past(), 0
    roots = {0: state.frontier.root()}
    for record in records:
        count += 1
        counted = fold(state, record, past)
        if isinstance(counted, Counted):
            state = counted.state
            past.add(counted.what)
            if state.size in sizes:
                roots[state.size] = state.frontier.root()
    return _Tree(count, state, roots)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """How far two ledgers are the same.

    The target has the source's first `have` records among its first `seen`; `rest` are those that it lacks.
    """

    have: int
    seen: int
    rest: Iterator[Record]


def _compare(source: LedgerReader, target: LedgerReader, *, complete: bool) -> _Comparison:
    """Hold a target against the source, record by record; one that is `complete` may have gone on by itself.

    Raises `ForeignTargetError` for a record that is neither the source's next one nor one of its last.
    """
    ours, recent = _records(source), deque[Record](maxlen=DOUBLES)
    have = seen = 0
    expected = next(ours, None)
    for found in _records(target):
        if found == expected:
            recent.append(found)
            have += 1
            expected = next(ours, None)
        elif found not in recent:
            if complete and expected is None:
                break
            raise ForeignTargetError(f"The target's record {seen} is not the source's.", hint=_ANEW)
        seen += 1
    if complete and expected is not None:
        raise ForeignTargetError(
            "The target was complete, and the source has gone on since.",
            hint="They are two ledgers now. Nothing was changed.",
        )
    return _Comparison(have, seen, ours if expected is None else chain((expected,), ours))


def _lacking_objects(source: LedgerReader, target: LedgerReader) -> list[str]:
    names = source.object_names()
    if foreign := set(target.object_names()).difference(names):
        raise ForeignTargetError(f"The target has {len(foreign)} objects that the source has not.", hint=_ANEW)
    # The source may have been a target itself; its mark says nothing about the next one.
    return [name for name in names if name != MARK and target.object(name) != source.object(name)]


def _lacking_decisions(source: LedgerReader, target: LedgerReader) -> list[tuple[str, list[bytes]]]:
    """Return what is missing of each day, in steps; a day's leaf says how many there are, and in which order."""
    days, lacking = source.decision_days(), []
    for day in sorted({*days, *target.decision_days()}):
        ours, theirs = source.decisions(day), target.decisions(day)
        if theirs != ours[: len(theirs)]:
            raise ForeignTargetError(f"The target's decisions of {day} are not the source's.", hint=_ANEW)
        lacking += [(day, ours[at : at + BATCH]) for at in range(len(theirs), len(ours), BATCH)]
    return lacking


def _copy_objects(source: LedgerReader, target: Target, names: Sequence[str]) -> None:
    batch, size = dict[str, bytes](), 0
    for name in names:
        data = source.object(name)
        assert data is not None  # the source has just named it, and nobody writes to it
        batch[name] = data
        size += len(data)
        if len(batch) == BATCH or size >= BATCH_BYTES:
            target.append(Append(objects=batch))
            batch, size = {}, 0
    if batch:
        target.append(Append(objects=batch))


def _copy_records(
    source: LedgerReader, target: Target, found: _Comparison, total: int, progress: Progress | None
) -> None:
    done, batch, size = found.have, list[Moved](), 0
    for record in found.rest:
        batch.append(moved := _moved(source, record))
        size += moved.size
        if len(batch) == BATCH or size >= BATCH_BYTES or done + len(batch) == total:
            target.take(batch)
            # --- crash point: any first part of them may be there; the next run compares ---
            done += len(batch)
            batch, size = [], 0
            if progress is not None:
                progress(done, total)


def _moved(source: LedgerReader, record: Record) -> Moved:
    digest = record.body_digest
    if digest is None:
        return Moved(record, (), None)
    holders, body = source.holders(digest), source.body(digest)
    if holders is None or (body is not None and sha256(body) != digest):
        raise DamagedSourceError("The source lacks a body that a record names.", hint="Run `valise broker fsck`.")
    return Moved(record, holders, body)


def _verified(
    source: LedgerReader, target: LedgerReader, tree: _Tree, named: Collection[bytes], added: int, *, complete: bool
) -> Move:
    """Demand that the target is the source: records, tree, bodies, and who held those that are gone."""
    same = _compare(source, target, complete=complete)
    other = _folded(target.origin, islice(_records(target), same.seen), ())
    if same.have != tree.records or other.state != tree.state:
        raise ForeignTargetError("The target's tree is not the source's.", hint=_ANEW)
    stored = _stored(source).intersection(named)
    # A target with a life of its own has erased more since.
    if not complete and _stored(target) != stored:
        raise ForeignTargetError("The target's bodies are not the source's.", hint=_ANEW)
    for digest in named:
        if target.holders(digest) != source.holders(digest):
            raise ForeignTargetError("The target's bodies are for others than the source's.", hint=_ANEW)
    return Move(
        records=tree.records,
        leaves=tree.state.size,
        root=tree.state.frontier.root(),
        bodies=len(named),
        erased=len(named) - len(stored),
        added=added,
    )


def _mark(move: Move) -> bytes:
    return encoding.encode({"v": 1, "records": move.records, "size": move.leaves, "root": b64encode(move.root)})
