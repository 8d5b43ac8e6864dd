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
