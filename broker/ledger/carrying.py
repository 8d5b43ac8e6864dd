"""A write-ahead log is carried over into its file in a thread of its own: who writes it does not wait for the disk.

SQLite carries it over itself in the commit that finds it long, and waits for the disk twice meanwhile: a tenth of a second
for some megabytes, in the middle of somebody's publish. Here the bulk is carried over beside the writer, and what has come
since in a moment under the writer's lock, so that the log begins anew and does not grow.
"""

import sqlite3
import threading
from pathlib import Path
from typing import Final

import structlog

from broker.ledger.database import connect, explained
from broker.ledger.port import LedgerUnavailableError, StorageFullError

EVERY_S: Final = 1.0
PAGES: Final = 2000
"""Pages of a log that is begun anew."""
STOP_S: Final = 10.0

log = structlog.get_logger("broker")


class Carrying:
    """The thread; it has a connection of its own. `lock` is what writers hold."""

    def __init__(self, path: Path, lock: threading.Condition, every_s: float = EVERY_S) -> None:
        """Begin; the file is in WAL mode, and its writer carries nothing over itself."""
        self._path = path
        self._lock = lock
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="carrying", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        db = connect(self._path)
        try:
            while not self._stopping.wait(self._every_s):
                try:
                    self._carry(db)
                except (LedgerUnavailableError, StorageFullError) as error:
                    log.warning("log.not_carried_over", problem=error.code)
        finally:
            db.close()

    def _carry(self, db: sqlite3.Connection) -> None:
        with explained():
            _, pages, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages >= PAGES:
                with self._lock:
                    db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()

    def stop(self) -> None:
        """End the thread, within a bound; once is enough."""
        self._stopping.set()
        self._thread.join(STOP_S)
