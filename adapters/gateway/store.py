"""The gateway's one file: SQLite in WAL with full synchronisation, content in sealed cells, commits in groups.

Work is a function of a `Transaction`. One thread writes: it takes what waits, runs it in one transaction, each piece in a
savepoint of its own, and answers once the commit is on disk; so one synchronisation serves many callers, and whatever was
answered is durable. Another thread reads. What the tables mean is for `outbox`, `inbox` and `state` to say.
"""

import asyncio
import contextlib
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from keys.custody.cells import Cells
from schemas.errors import Error

VERSION: Final = 3
SCRIPTS: Final = ("store.sql", "store-2.sql", "store-3.sql")
"""What makes each version of the one before it, the first from nothing."""

APPLICATION: Final = 0x56474154  # "VGAT"
MOST_IN_ONE_COMMIT: Final = 512
PROBE: Final = 1 << 16

T = TypeVar("T")


class StorageFullError(Error):
    """Nothing was written: the disk is full."""

    problem = "storage-full"


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a piece of work reads and writes with. `connection` is in a transaction; the work must not end it."""

    connection: sqlite3.Connection
    cells: Cells

    def seal(self, column: str, row: str | int, data: bytes) -> bytes:
        """Seal a cell for `table.column` and a row's key."""
        return self.cells.seal(data, f"{column}/{row}".encode())

    def open(self, column: str, row: str | int, cell: bytes) -> bytes:
        """Open the cell of `table.column` and a row's key."""
        return self.cells.open(cell, f"{column}/{row}".encode())

    def open_or_none(self, column: str, row: str | int, cell: bytes | None) -> bytes | None:
        """Open a cell that may be null."""
        return None if cell is None else self.open(column, row, cell)


Work = Callable[[Transaction], T]


class _Job(Generic[T]):
    """A piece of work and where its outcome goes. `outcome` and `error` are the writing thread's until it delivers."""

    __slots__ = ("error", "future", "outcome", "work")
    outcome: T  # there once the work has run without an error

    def __init__(self, work: Work[T], future: asyncio.Future[T]) -> None:
        self.work = work
        self.future = future
        self.error: BaseException | None = None

    def run(self, tx: Transaction) -> None:
        self.outcome = self.work(tx)

    def deliver(self) -> None:
        if self.future.done():  # the caller was cancelled; what was committed stays
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.outcome)


_AnyJob = _Job[Any]
"""Jobs wait in one line whatever they return: each knows its own future, and nobody else looks at what goes into it."""


class Store:
    """The open file. Exactly one process may hold it: two would send everything twice."""

    def __init__(self, path: Path, cells: Cells) -> None:
        """Open or make the file. Raises `Error`: in use, written by a newer version, or not ours."""
        self._path = path
        self._cells = cells
        self._lock = _hold(path)
        try:
            self._writer = _connect(path)
            try:
                _prepare(self._writer, path)
                self._reader = _tuned(_connect(path))
            except BaseException:
                self._writer.close()
                raise
        except BaseException:
            os.close(self._lock)
            raise
        self._jobs: queue.SimpleQueue[_AnyJob | None] = queue.SimpleQueue()
        self._closed = False
        # Set by the writing thread where it finds no space, and ended by `probe`: what is small may still be kept then.
        self.full = False
        self._thread = threading.Thread(target=self._run, name="gateway-store", daemon=True)
        self._thread.start()
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="gateway-read")

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction and return its result once it is on disk.

        What `work` raises undoes only what it did. Raises `StorageFullError`, after which nothing of it was written.
        """
        if self._closed:
            raise Error("The gateway is stopping.", problem="unavailable")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work, future))
        return await future

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads, on one snapshot of what is committed."""
        if self._closed:
            raise Error("The gateway is stopping.", problem="unavailable")
        return await asyncio.get_running_loop().run_in_executor(self._reads, self._read, work)

    async def probe(self) -> None:
        """Write as much as a notice may need and take it back, to find out whether there is space again.

        Raises as `write` does.
        """

        def work(tx: Transaction) -> None:
            row = tx.connection.execute(
                "INSERT INTO evidence (kind, at, data) VALUES ('probe', 0, zeroblob(?))", (PROBE,)
            ).lastrowid
            tx.connection.execute("DELETE FROM evidence WHERE id = ?", (row,))

        await self.write(work)
        self.full = False

    def read_now(self, work: Work[T]) -> T:
        """Run `work` in the calling thread before others use the store: at the start, and in tests."""
        return self._reads.submit(self._read, work).result()

    def close(self) -> None:
        """Finish what waits, then close the file; may be called twice."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        self._thread.join()
        self._reads.shutdown()
        self._reader.close()
        self._writer.close()
        os.close(self._lock)

    def _read(self, work: Work[T]) -> T:
        self._reader.execute("BEGIN")
        try:
            return work(Transaction(self._reader, self._cells))
        finally:
            self._reader.execute("ROLLBACK")

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            batch, more = [job], True
            while more and len(batch) < MOST_IN_ONE_COMMIT:
                try:
                    waiting = self._jobs.get_nowait()
                except queue.Empty:
                    break
                more = waiting is not None
                if waiting is not None:
                    batch.append(waiting)
            self._commit(batch)
            _deliver(batch)
            if not more:
                break

    def _commit(self, batch: list[_AnyJob]) -> None:
        tx = Transaction(self._writer, self._cells)
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for job in batch:
                self._attempt(job, tx)
            # The one commit point: what any of the batch's callers was promised is on disk once this returns.
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            failure = _explained(error)
            for job in batch:
                job.error = job.error or failure
        self.full = self.full or any(isinstance(job.error, StorageFullError) for job in batch)

    def _attempt(self, job: _AnyJob, tx: Transaction) -> None:
        self._writer.execute("SAVEPOINT job")
        try:
            job.run(tx)
        except BaseException as error:  # it belongs to the caller, who gets it
            if isinstance(error, sqlite3.OperationalError) and not self._writer.in_transaction:
                raise  # the disk is full or failing: SQLite has undone the whole transaction
            job.error = _explained(error) if isinstance(error, sqlite3.OperationalError) else error
            self._writer.execute("ROLLBACK TO job")
        self._writer.execute("RELEASE job")


def _deliver(batch: list[_AnyJob]) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[_AnyJob]] = {}
    for job in batch:
        loops.setdefault(job.future.get_loop(), []).append(job)
    for loop, jobs in loops.items():
        # A loop that was closed has nobody who waits; what was committed stays.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_deliver_all, jobs)


def _deliver_all(jobs: list[_AnyJob]) -> None:
    for job in jobs:
        job.deliver()


def _explained(error: BaseException) -> Error:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return StorageFullError("The disk is full; nothing was kept.")
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return Error(f"The store cannot be written ({name}).", problem="unavailable")


def _hold(path: Path) -> int:
    """Take the file's lock for as long as this process lives; raise `Error` where another has it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Error("Another gateway process uses this folder.", problem="configuration") from None
    return lock


def _connect(path: Path) -> sqlite3.Connection:
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)


def _tuned(connection: sqlite3.Connection) -> sqlite3.Connection:
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        "temp_store=MEMORY",
        "cache_size=-8192",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables in a new file, or those that an older version lacks; refuse what is not ours or newer, unchanged."""
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.DatabaseError as error:
        raise Error(f"{path.name} cannot be read ({error.sqlite_errorname}).", problem="configuration") from None
    if version > VERSION:
        raise Error("The gateway's store was written by a newer version.", problem="newer-store")
    if version == VERSION and application == APPLICATION:
        _tuned(connection)
        return
    empty = connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is None
    if not empty and (application != APPLICATION or version < 1):
        raise Error(f"{path.name} is not a gateway's store.", problem="configuration")
    _tuned(connection)
    folder = resources.files("adapters.gateway")
    script = "\n".join(folder.joinpath(name).read_text("utf-8") for name in SCRIPTS[0 if empty else version :])
    connection.executescript(
        f"BEGIN IMMEDIATE;\n{script}\nPRAGMA application_id={APPLICATION};\nPRAGMA user_version={VERSION};\nCOMMIT;"
    )


@contextlib.contextmanager
def opened(path: Path, cells: Cells) -> Iterator[Store]:
    """Open a store for a block."""
    store = Store(path, cells)
    try:
        yield store
    finally:
        store.close()
