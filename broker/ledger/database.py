"""SQLite files as ledger and view open them: one way to connect, to write in a transaction, and to say what failed.

What is in a file is its owner's business. A connection may be used by one thread at a time, whichever that is.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broker.ledger.files import make_private
from broker.ledger.port import LedgerUnavailableError, StorageFullError

BUSY_S: Final = 5.0
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_PRIMARY: Final = 0xFF
# A write-ahead index that cannot grow: the file system has no page left for it.
_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """Open a database file, without looking into it; make it, private to its owner, where it is missing.

    A read-only connection demands that the file is there. Raises as `explained` does.
    """
    with explained():
        if readonly:
            return sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
        # To close a file that this process has open elsewhere would give up its locks (POSIX): one that is there is left alone.
        if not os.path.exists(path):  # noqa: PTH110 - where it cannot be asked, making it says why
            os.close(make_private(path))
        return sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what SQLite reports into `StorageFullError` or `LedgerUnavailableError`; misuse stays what it is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None or isinstance(error, sqlite3.IntegrityError):
            raise
        if code in _FULL or code & _PRIMARY in _FULL:
            raise StorageFullError("There is no space left on the device.") from None
        raise LedgerUnavailableError(f"The store cannot be used now ({error.sqlite_errorname}).") from None


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Write all of it or nothing. Raises as `explained` does; the commit is the last thing that happens."""
    with explained():
        try:
            db.execute("BEGIN IMMEDIATE")
            yield
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # some failures have rolled back already
                db.execute("ROLLBACK")
            raise


META: Final = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
"""The table that a file must have that is written without waiting for the disk."""


def begin_unsynced(db: sqlite3.Connection) -> None:
    """Write without waiting for the disk from here on: for a file that can be filled again from elsewhere.

    The end of the process costs nothing; the loss of power may cost all. So the file says first, durably, in which life of
    the machine it is being written (`unharmed`).
    """
    with explained():
        db.execute("PRAGMA synchronous=FULL")
        with transaction(db):
            db.execute("INSERT OR REPLACE INTO meta VALUES ('written-in', ?)", (_life(),))
        db.execute("PRAGMA synchronous=OFF")


def end_unsynced(db: sqlite3.Connection) -> None:
    """Make all that was written durable, say so in the file, and wait for the disk as usual from here on."""
    with explained():
        db.execute("PRAGMA synchronous=FULL")
        # A checkpoint flushes the file only where it has a page to carry over: this is one.
        with transaction(db):
            db.execute("INSERT OR REPLACE INTO meta VALUES ('written-in', ?)", (_life(),))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        # --- crash point: whole, and does not say so ---
        with transaction(db):
            db.execute("DELETE FROM meta WHERE name = 'written-in'")
        db.execute("PRAGMA synchronous=NORMAL")


def written_in(db: sqlite3.Connection) -> str | None:
    """Return in which life of the machine a file is written without waiting for the disk; None where it does wait."""
    row = db.execute("SELECT value FROM meta WHERE name = 'written-in'").fetchone()
    return None if row is None else str(row[0])


def unharmed(db: sqlite3.Connection) -> bool:
    """Say whether a file that was written without waiting for the disk was closed, or the machine has run ever since."""
    life = written_in(db)
    return life is None or (life == _life() != "")


def _life() -> str:
    """Return what Linux calls this run of the machine; nothing where that is not told."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
