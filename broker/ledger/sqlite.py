"""The embedded ledger: one SQLite file for a national node, a laptop, the demo and the tests (design: ledger).

Write-ahead log with `synchronous=FULL`: an append is one transaction, and is durable once its commit returns. Erased
bodies are overwritten (`secure_delete`), and the write-ahead log that held them is cut off. What it trusts: the file
system. Whoever can write the file can change it; `fsck` and the signer's own head find that, this module does not.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from broker.ledger.database import BUSY_S, connect, explained, transaction
from broker.ledger.files import lock
from broker.ledger.port import (
    Append,
    LedgerUnavailableError,
    StoredBody,
    StoreMismatchError,
    StoreVersionError,
)
from broker.ledger.stanzas import KID_LENGTH, stanza_kids
from schemas.encoding import Time
from schemas.errors import FormError
from schemas.ids import Kid, Origin
from schemas.leaf import Leaf
from schemas.record import Record

VERSION: Final = 1
"""The store's version (`PRAGMA user_version`)."""

APPLICATION_ID: Final = 0x56414C4C  # "VALL"

_SCHEMA: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE records (position INTEGER PRIMARY KEY, leaf BLOB NOT NULL, directory INTEGER NOT NULL,
        boundary TEXT, body_digest BLOB, document BLOB NOT NULL, proof BLOB)""",
    # The body is the last column, so that a reader of the key ids leaves it on its pages; NULL once it is erased.
    "CREATE TABLE bodies (digest BLOB PRIMARY KEY, since INTEGER NOT NULL, kids TEXT NOT NULL, body BLOB)",
    "CREATE TABLE objects (name TEXT PRIMARY KEY, data BLOB NOT NULL)",
    "CREATE TABLE decisions (seq INTEGER PRIMARY KEY, day TEXT NOT NULL, data BLOB NOT NULL)",
    "CREATE INDEX decisions_by_day ON decisions (day, seq)",
    f"PRAGMA application_id={APPLICATION_ID}",
    f"PRAGMA user_version={VERSION}",
)
# Pages of 8 KiB suit bodies of 10 to 100 KB; a checkpoint of the write-ahead log every 8 MB stalls for some 10 ms.
_PRAGMAS: Final = (
    "page_size=8192",
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
    "wal_autocheckpoint=1000",
    "cache_size=-16384",
)
_CUT_MS: Final = 50
"""Milliseconds that cutting off the write-ahead log waits for readers."""

# Asked each second, of a table that only grows: from day to day in the index, where DISTINCT would read every entry.
_DAYS: Final = """WITH RECURSIVE days(day) AS (SELECT MIN(day) FROM decisions
    UNION ALL SELECT (SELECT MIN(day) FROM decisions WHERE day > days.day) FROM days WHERE day IS NOT NULL)
    SELECT day FROM days WHERE day IS NOT NULL"""

MANY: Final = 500
"""Values that one question names: SQLite's own limit was 999 for long."""

COLUMNS: Final = "position, leaf, document, proof, body_digest, directory, boundary"


class Reads:
    """What a connection to a file with these tables can be asked, whoever writes them."""

    def __init__(self, db: sqlite3.Connection, origin: Origin) -> None:
        self.origin: Final = origin
        self._db: Final = db

    def read(self, position: int, limit: int) -> list[tuple[int, Record]]:
        """Return at most `limit` records from `position` on; see the port."""
        with explained():
            rows = self._db.execute(
                f"SELECT {COLUMNS} FROM records WHERE position >= ? ORDER BY position LIMIT ?",  # noqa: S608 - constants
                (position, limit),
            ).fetchall()
        return [(row[0], _record(row)) for row in rows]

    def length(self) -> int:
        """Return the position after the last record's."""
        with explained():
            last: int | None = self._db.execute("SELECT MAX(position) FROM records").fetchone()[0]
        return 0 if last is None else last + 1

    def body(self, digest: bytes) -> bytes | None:
        """Return a body that is stored and not erased."""
        with explained():
            row = self._db.execute("SELECT CAST(body AS BLOB) FROM bodies WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else row[0]

    def holds(self, digest: bytes) -> bool:
        """Say whether a body is stored and not erased."""
        with explained():
            row = self._db.execute("SELECT body IS NOT NULL FROM bodies WHERE digest = ?", (digest,)).fetchone()
        return row is not None and bool(row[0])

    def holders(self, digest: bytes) -> tuple[Kid, ...] | None:
        """Return the key ids of a body's stanzas, also of an erased one."""
        with explained():
            row = self._db.execute("SELECT kids FROM bodies WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else _kids(row[0])

    def holders_of(self, digests: Sequence[bytes]) -> dict[bytes, tuple[Kid, ...]]:
        """Return the key ids of some bodies' stanzas by their digests; see the port."""
        found: dict[bytes, tuple[Kid, ...]] = {}
        for at in range(0, len(digests), MANY):
            some = digests[at : at + MANY]
            marks = ",".join("?" * len(some))
            with explained():
                rows = self._db.execute(f"SELECT digest, kids FROM bodies WHERE digest IN ({marks})", some).fetchall()  # noqa: S608 - marks
            found.update((digest, _kids(kids)) for digest, kids in rows)
        return found

    def bodies(self) -> Iterator[StoredBody]:
        """Iterate over the bodies that are stored and not erased."""
        with explained():
            for digest, since in self._db.execute("SELECT digest, since FROM bodies WHERE body IS NOT NULL"):
                yield StoredBody(digest, since)

    def object(self, name: str) -> bytes | None:
        """Return the newest object of this name."""
        with explained():
            row = self._db.execute("SELECT data FROM objects WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def object_names(self, prefix: str = "") -> list[str]:
        """Return the names of all objects that begin with `prefix`."""
        with explained():
            rows = self._db.execute(
                "SELECT name FROM objects WHERE substr(name, 1, ?) = ? ORDER BY name", (len(prefix), prefix)
            ).fetchall()
        return [row[0] for row in rows]

    def decisions(self, day: str) -> list[bytes]:
        """Return a day's decisions in their order."""
        with explained():
            rows = self._db.execute("SELECT data FROM decisions WHERE day = ? ORDER BY seq", (day,)).fetchall()
        return [row[0] for row in rows]

    def decision_days(self) -> list[str]:
        """Return the days that have decisions."""
        with explained():
            rows = self._db.execute(_DAYS).fetchall()
        return [row[0] for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class SqliteReader(Reads):
    """Reads an embedded ledger's file, in a thread or process of its own; writes nothing."""

    def __init__(self, path: Path, origin: Origin) -> None:
        """Open the file; raise `StoreMismatchError`, `StoreVersionError` or `LedgerUnavailableError`."""
        super().__init__(connect(path, readonly=True), origin)
        try:
            with explained():
                _check(self._db, origin)
        except BaseException:
            self.close()
            raise


class SqliteLedger(Reads):
    """The embedded ledger, open for the one thread that appends.

    Ownership: `_db` and `_next` are the ledger thread's. A lock keeps a second process out.
    """

    def __init__(self, path: Path, origin: Origin) -> None:
        """Open the file, making it where it is missing; raise as `SqliteReader` does, or `StorageFullError`."""
        self._path: Final = path
        self._lock: Final = lock(path.with_name(path.name + ".lock"))
        try:
            super().__init__(connect(path), origin)
            try:
                with explained():
                    self._prepare()
            except BaseException:
                self._db.close()
                raise
        except BaseException:
            os.close(self._lock)
            raise
        self._next: int | None = None  # the next position; None: ask the file

    def _prepare(self) -> None:
        new = _is_new(self._db)
        if not new:
            _check(self._db, self.origin)
        for pragma in _PRAGMAS:
            self._db.execute(f"PRAGMA {pragma}")
        if new:
            with transaction(self._db):
                for statement in _SCHEMA:
                    self._db.execute(statement)
                self._db.execute("INSERT INTO meta VALUES ('origin', ?)", (self.origin,))

    def length(self) -> int:
        """Return the position after the last record's."""
        if self._next is None:
            self._next = super().length()
        return self._next

    def begin(self, append: Append) -> "Later":
        """Begin to append: all of it is done by `finish`."""
        return Later(self, append)

    def append(self, append: Append) -> tuple[int | None, ...]:
        """Append in one transaction; see the port."""
        position = self.length()
        self._next = None  # whatever happens now, the file knows
        with transaction(self._db):
            if append.entries:
                self._db.executemany(
                    f"INSERT INTO records ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
                    [row_of(position + number, entry.record) for number, entry in enumerate(append.entries)],
                )
                # A doubled statement has the same body, which may have been erased meanwhile and stays so.
                self._db.executemany(
                    "INSERT INTO bodies (digest, since, kids, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    [
                        (entry.record.body_digest, entry.record.leaf.received_at, "".join(stanza_kids(body)), body)
                        for entry in append.entries
                        if (body := entry.body) is not None
                    ],
                )
            if append.objects:
                self._db.executemany(
                    "INSERT INTO objects (name, data) VALUES (?, ?) ON CONFLICT DO UPDATE SET data = excluded.data",
                    append.objects.items(),
                )
            if append.decisions:
                self._db.executemany(
                    "INSERT INTO decisions (day, data) VALUES (?, ?)",
                    [(decision.day, decision.data) for decision in append.decisions],
                )
        self._next = position + len(append.entries)
        return tuple(range(position, self._next))

    def refresh(self) -> None:
        """Return at once: nobody else appends."""

    def changed(self) -> list[str]:
        """Return nothing: nobody else puts objects."""
        return []

    def erase(self, digests: Iterable[bytes]) -> None:
        """Overwrite bodies and cut off the write-ahead log that may hold them; see the port."""
        with transaction(self._db):
            self._db.executemany("UPDATE bodies SET body = NULL WHERE digest = ?", [(digest,) for digest in digests])
        with explained():
            # A reader that is busy keeps the log; it must not keep the ledger thread. The next erasure cuts it off then.
            self._db.execute(f"PRAGMA busy_timeout={_CUT_MS}")
            try:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._db.execute(f"PRAGMA busy_timeout={int(BUSY_S * 1000)}")

    def reader(self) -> SqliteReader:
        """Return a reader for another thread."""
        return SqliteReader(self._path, self.origin)

    def close(self) -> None:
        """Close the file and let another process have it."""
        super().close()
        os.close(self._lock)


def _is_new(db: sqlite3.Connection) -> bool:
    return not db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0] and not _pragma(db, "user_version")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    value: int = db.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _check(db: sqlite3.Connection, origin: Origin) -> None:
    """Demand an embedded ledger of this origin and of a version that is known here."""
    if _pragma(db, "application_id") != APPLICATION_ID:
        raise StoreMismatchError("The file is not an embedded ledger.")
    if _pragma(db, "user_version") > VERSION:
        raise StoreVersionError(f"The ledger's file has a newer version than {VERSION}.")
    if db.execute("SELECT value FROM meta WHERE name = 'origin'").fetchone() != (origin,):
        raise StoreMismatchError("The ledger is another deployment's.")


def row_of(position: int, record: Record) -> tuple[int, bytes, bytes, bytes | None, bytes | None, int, str | None]:
    """Return a record's values in the order of `COLUMNS`."""
    return (
        position,
        record.leaf.encode(),
        record.document,
        record.proof,
        record.body_digest,
        record.directory,
        record.boundary,
    )


def _kids(text: str) -> tuple[Kid, ...]:
    return tuple(Kid(text[at : at + KID_LENGTH]) for at in range(0, len(text), KID_LENGTH))


def _record(row: tuple[int, Any, Any, Any, Any, int, str | None]) -> Record:
    """Read a row; raise `LedgerUnavailableError` where somebody has put another type of value into it."""
    position, leaf, document, proof, body_digest, directory, boundary = row
    if isinstance(document, bytes) and isinstance(proof, bytes | None) and isinstance(leaf, bytes):
        with suppress(FormError):
            since = None if boundary is None else Time(boundary)
            return Record(Leaf.parse(leaf), document, proof, body_digest, directory, since)
    raise LedgerUnavailableError(f"The record at position {position} is damaged.")


class Later:
    """An append that waits to be finished."""

    def __init__(self, ledger: SqliteLedger, append: Append) -> None:
        self._ledger = ledger
        self._append = append

    def finish(self) -> tuple[int | None, ...]:
        """Append; see the port."""
        return self._ledger.append(self._append)
