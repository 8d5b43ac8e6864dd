"""The view's one writer: the ledger thread folds records into it, and everybody else reads it on connections of their own.

SQLite with `synchronous=NORMAL`: a loss of power may cost its last transactions, and catching up repeats them from the
ledger. A view of another version, of another origin, or of another ledger than the one it meets is emptied and rebuilt,
without waiting for the disk until it has caught up. Nothing is in it that the ledger does not have.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Final

from broker.ledger.database import begin_unsynced, connect, end_unsynced, explained, transaction, unharmed, written_in
from broker.ledger.fold import FoldState, Skipped, fold
from broker.ledger.port import Append, Ledger, LedgerReader, LedgerUnavailableError
from broker.ledger.stanzas import stanza_kids
from broker.view.batch import Batch
from broker.view.feed import Feed
from broker.view.held import PREFIX, Held, read_why
from broker.view.log import Log
from broker.view.schema import APPLICATION_ID, TABLES, VERSION
from broker.view.statements import Statements
from keys.log.merkle import tree_frontier
from schemas.errors import Error
from schemas.ids import Kid, LedgerIndex, Origin, ParticipantId
from schemas.record import Record
from schemas.statement import Statement

Progress = Callable[[int, int], None]
"""Told how far a long work has come: done, of how many."""

_PAGE: Final = 500
_PRAGMAS: Final = ("journal_mode=WAL", "synchronous=NORMAL", "wal_autocheckpoint=2000", "cache_size=-32768")


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of the record at a position: the index of its leaf, or the reason why it does not count."""

    position: int
    index: LedgerIndex | None
    reason: str | None


class ViewReader(Statements, Feed, Log):
    """All queries, for a thread other than the ledger's. Close it in the thread that used it."""

    def __init__(self, path: Path, ledger: LedgerReader) -> None:
        """Open the view's file for reading only, and take over the ledger's reader."""
        super().__init__(connect(path, readonly=True), ledger)

    def close(self) -> None:
        """Close the connection and the ledger's reader."""
        self._db.close()
        self._reader.close()


class View(Statements, Feed, Log):
    """The view for the thread that writes it. Call `catch_up` before anything else.

    Ownership: all is the ledger thread's. `state` and `position` are replaced once their transaction has committed, so
    another thread that reads them sees one that is. `skipped` counts by reason what did not count since the start.
    `addressed` are the key ids that leaves have stanzas for, since whoever tells their owners took them last.
    """

    def __init__(self, path: Path, origin: Origin) -> None:
        """Open the view, making it anew where it is missing, damaged, or not this origin's or version's."""
        super().__init__(_open(path, origin), None)
        self._path: Final = path
        with explained():
            self._unsynced = written_in(self._db) is not None
        self._writes: Ledger | None = None
        self._kids: dict[Kid, int] = {}
        self._changed: list[str] = []  # names of objects that the ledger has said are new
        self.skipped: Counter[str] = Counter()
        self.addressed: set[Kid] = set()
        self._load(origin)

    def _load(self, origin: Origin) -> None:
        with explained():
            row = self._db.execute("SELECT position, size, directory, boundary, key_number, newest, settled FROM state")
            position, size, directory, boundary, key_number, newest, settled = row.fetchone()
        frontier = tree_frontier(size, self._read)
        self.state = FoldState(origin, frontier, directory, boundary, key_number, newest)
        self.position: int = position
        self.settled: int = settled
        self._kids = dict(self._all("SELECT kid, id FROM kids"))

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        return self.state.size

    def root(self, size: int) -> bytes:
        """Return the root of the first `size` leaves; raise `IndexError` when there are fewer."""
        return self.state.frontier.root() if size == self.state.size else super().root(size)

    def catch_up(self, ledger: Ledger, progress: Progress | None = None) -> None:
        """Apply what the ledger has beyond the view; from nothing when the view is not of this very ledger.

        The same call at every start: a crash, a lost view and a new one differ only in how much there is to do.
        """
        self._ledger = self._writes = ledger
        length = ledger.length()
        if not self._is_of(ledger, length):
            self._empty()
        while self._read_on():
            if progress is not None:
                progress(self.position, length)
        self._restore_held(self._reader.object_names(PREFIX))
        self._end_unsynced()

    def _end_unsynced(self) -> None:
        if self._unsynced:
            end_unsynced(self._db)
            self._unsynced = False

    def follow(
        self,
        items: Sequence[tuple[int, Record, bytes | None]],
        statements: Sequence[Statement | None] | None = None,
    ) -> list[Applied]:
        """Fold records that were just appended, and what others have appended before and between them.

        As `apply`, but wherever they lie; returns what became of these.
        """
        if all(position == self.position + number for number, (position, _, _) in enumerate(items)):
            return self.apply(items, statements)
        last = max(position for position, _, _ in items)
        applied: dict[int, Applied] = {}
        while self.position <= last:
            if not (further := self._read_on()):
                raise LedgerUnavailableError("The ledger does not show yet what was appended.")
            applied |= {item.position: item for item in further}
        return [applied[position] for position, _, _ in items]

    def keep_up(self) -> list[str]:
        """Apply what the ledger has beyond the view, and what others hold; return the names of objects beside these."""
        while self._read_on():
            pass
        self._changed += self._writable().changed()
        if held := [name for name in self._changed if name.startswith(PREFIX)]:
            self._restore_held(held)
        # Said once, and not before all of it could be read and written: the ledger does not say it again.
        names, self._changed = self._changed, []
        return [name for name in names if not name.startswith(PREFIX)]

    def _read_on(self) -> list[Applied]:
        records = self._writable().read(self.position, _PAGE)
        digests = [record.body_digest for _, record in records if record.body_digest is not None]
        holders = self._reader.holders_of(digests)
        if any(digest not in holders for digest in digests):
            raise LedgerUnavailableError("The ledger has a record whose body it does not know.")
        return self._apply(
            [
                (position, record, holders.get(record.body_digest or b"", ()), _statement_of(record))
                for position, record in records
            ]
        )

    def _is_of(self, ledger: Ledger, length: int) -> bool:
        """Say whether the last leaf came from this ledger: a restored backup, or another file, may have less or other."""
        if self.position > length:
            return False
        rows = self._all("SELECT position, leaf FROM leaves ORDER BY idx DESC LIMIT 1")
        if not rows:
            return True
        records = ledger.read(rows[0][0], 1)
        return bool(records) and records[0][0] == rows[0][0] and records[0][1].leaf.encode() == rows[0][1]

    def _empty(self) -> None:
        begin_unsynced(self._db)
        self._unsynced = True
        with transaction(self._db):
            names = self._db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('state', 'meta')"
            ).fetchall()
            for (name,) in names:
                self._db.execute(f"DELETE FROM {name}")  # noqa: S608 - its own tables
            self._db.execute(_RESET)
        for memo in (self._low, self._high, self._roots):
            memo.clear()
        self._revoked = {}
        self._delegations, self._delegated = (), -1
        self._load(self.state.origin)

    def apply(
        self,
        items: Sequence[tuple[int, Record, bytes | None]],
        statements: Sequence[Statement | None] | None = None,
    ) -> list[Applied]:
        """Fold records that were just appended, each with its position and body, in one transaction.

        They begin at `position`, one after the other. `statements` are theirs, one for each record, where the caller has
        parsed them from the very bytes. Raises `StorageFullError`, or `LedgerUnavailableError`, also where the view is
        behind the ledger or was told of them before; then nothing of them has become part of the view, and `catch_up` brings
        what is missing. Nothing is answered to anybody before this returns.
        """
        if any(position != self.position + number for number, (position, _, _) in enumerate(items)):
            raise LedgerUnavailableError("The view and the ledger are not at the same position.")
        parsed = statements or repeat(None)
        return self._apply(
            [
                (position, record, () if body is None else stanza_kids(body), statement or _statement_of(record))
                for (position, record, body), statement in zip(items, parsed, strict=False)
            ]
        )

    def _apply(self, items: Sequence[tuple[int, Record, tuple[Kid, ...], Statement | None]]) -> list[Applied]:
        if not items:
            return []
        batch, addressed = Batch(self._db), set[Kid]()
        batch.look_up([statement.notice_id for _, _, _, statement in items if statement is not None])
        state, position = self.state, self.position
        applied = []
        with explained():
            for at, record, kids, statement in items:
                counted = fold(state, record, batch, statement)
                position = at + 1
                if isinstance(counted, Skipped):
                    applied.append(Applied(at, None, counted.reason))
                    continue
                batch.add(at, record, counted, kids)
                addressed.update(kids)
                state = counted.state
                applied.append(Applied(at, counted.index, None))
        numbers = dict[Kid, int]()
        with transaction(self._db):
            batch.write(lambda kid: self._kid_number(kid, numbers))
            self._db.execute(
                "UPDATE state SET position = ?, size = ?, directory = ?, boundary = ?, key_number = ?, newest = ?",
                (position, state.size, state.directory, state.boundary, state.key_number, state.newest),
            )
        self._kids.update(numbers)
        self.addressed |= addressed
        self.skipped.update(item.reason for item in applied if item.reason is not None)
        self.state, self.position = state, position
        return applied

    def _kid_number(self, kid: Kid, numbers: dict[Kid, int]) -> int:
        """Return a key id's number, giving it the next one where it is new; `numbers` are those of this transaction."""
        number = self._kids.get(kid) or numbers.get(kid)
        if number is None:
            number = numbers[kid] = len(self._kids) + len(numbers) + 1
            self._db.execute("INSERT INTO kids (id, kid) VALUES (?, ?)", (number, kid))
        return number

    # What is held

    def hold(self, held: Iterable[Held]) -> None:
        """Keep what decisions withheld, in the ledger first: durable once this returns, also for a view that is lost.

        Whoever lets a cursor pass a notice that it withholds has called this before.
        """
        self._store_held(list(held))

    def release(self, releases: Iterable[tuple[ParticipantId, int, int]]) -> None:
        """Offer held notices again: participant, index of the notice, offer number. What is not held is passed over.

        The number is the index of the leaf that changed the rules + 1. Call this before a checkpoint over that leaf is
        signed, then `settle`: no page can have passed the number by then.
        """
        items = []
        for participant, index, number in releases:
            rows = self._all(
                "SELECT since, why FROM held WHERE participant = ? AND idx = ? AND released IS NULL", participant, index
            )
            items += [Held(participant, LedgerIndex(index), since, read_why(why), number) for since, why in rows]
        self._store_held(items)

    def settle(self, index: int) -> None:
        """Note that what is held was decided again under the rules of the leaf at `index`; `settled` says so at a start.

        A view that was rebuilt has settled nothing (-1): decide on all that is held again, which repeats nothing.
        """
        with transaction(self._db):
            self._db.execute("UPDATE state SET settled = ?", (index,))
        self.settled = index

    def _store_held(self, items: Sequence[Held]) -> None:
        if items:
            self._writable().append(Append(objects={item.name: item.encode() for item in items}))
            self._write_held(items)

    def _restore_held(self, names: Iterable[str]) -> None:
        found = (self._reader.object(name) for name in names)
        self._write_held([Held.parse(data) for data in found if data is not None])

    def _write_held(self, items: Sequence[Held]) -> None:
        with transaction(self._db):
            self._db.executemany(
                "INSERT OR REPLACE INTO held (participant, idx, since, why, released) VALUES (?, ?, ?, ?, ?)",
                [(item.participant, item.index, item.since, item.why_json(), item.released) for item in items],
            )

    def erased_bodies(self) -> list[bytes]:
        """Return digests of bodies whose erasure counts and that the ledger still has: a crash came in between.

        Those that are gone are not looked at again.
        """
        rows = self._all(
            """SELECT erasures.notice_id, body_digest FROM erasures JOIN statements USING (notice_id)
            WHERE NOT done AND body_digest IS NOT NULL ORDER BY erasures.idx"""
        )
        left = [(notice_id, digest) for notice_id, digest in rows if self._reader.holds(digest)]
        with transaction(self._db):
            self._db.execute("UPDATE erasures SET done = 1 WHERE NOT done")
            self._db.executemany(
                "UPDATE erasures SET done = 0 WHERE notice_id = ?", [(notice_id,) for notice_id, _ in left]
            )
        return [digest for _, digest in left]

    # Readers

    def reader(self) -> ViewReader:
        """Return a reader for another thread, with a reader of the ledger; to be closed before this and the ledger."""
        return ViewReader(self._path, self._writable().reader())

    def _writable(self) -> Ledger:
        if self._writes is None:
            raise RuntimeError("The view does not know its ledger before it has caught up.")
        return self._writes

    def close(self) -> None:
        """Close the connection; the ledger stays open."""
        with suppress(Error):  # then it is made anew
            self._end_unsynced()
        self._db.close()


def _statement_of(record: Record) -> Statement | None:
    """Return a record's statement; None for an event's, and for one that cannot be read: the fold says so."""
    if record.proof is None:
        return None
    try:
        return Statement.parse(record.document)
    except Error:
        return None


_DAMAGED: Final = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_RESET: Final = """UPDATE state SET position = 0, size = 0, directory = 0, boundary = NULL, key_number = 0, newest = 0,
    settled = -1"""


def _open(path: Path, origin: Origin) -> sqlite3.Connection:
    """Open the view's file, replacing it where it cannot serve."""
    db = connect(path)
    try:
        if not _serves(db, origin):
            db.close()
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                path.with_name(name).unlink(missing_ok=True)
            db = connect(path)
        with explained():
            for pragma in _PRAGMAS:
                db.execute(f"PRAGMA {pragma}")
            if not db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                _create(db, origin)
                begin_unsynced(db)
    except BaseException:
        db.close()
        raise
    return db


def _create(db: sqlite3.Connection, origin: Origin) -> None:
    with transaction(db):
        for statement in TABLES:
            db.execute(statement)
        db.execute("INSERT INTO state VALUES (?, 0, 0, 0, NULL, 0, 0, -1)", (origin,))
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute(f"PRAGMA user_version={VERSION}")


def _serves(db: sqlite3.Connection, origin: Origin) -> bool:
    """Say whether an open file is a view of this version and origin; a damaged one is not."""
    with explained():
        try:
            application = db.execute("PRAGMA application_id").fetchone()[0]
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if (application, version) != (APPLICATION_ID, VERSION):
                return False
            return db.execute("SELECT origin FROM state").fetchall() == [(origin,)] and unharmed(db)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF in _DAMAGED:
                return False
            raise
