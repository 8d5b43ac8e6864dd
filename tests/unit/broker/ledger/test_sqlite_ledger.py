"""The embedded ledger's own: its file, its version, its lock, and what it says when the machine fails it."""

import os
import sqlite3
import stat
import time
from contextlib import closing

import pytest

from broker.ledger import database
from broker.ledger.database import explained, transaction
from broker.ledger.files import make_private, read_file, replace_file
from broker.ledger.port import (
    Append,
    Decision,
    LedgerUnavailableError,
    StorageFullError,
    StoreMismatchError,
    StoreVersionError,
)
from broker.ledger.sqlite import VERSION, SqliteLedger, SqliteReader


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path, made):
    store = SqliteLedger(path, made.ORIGIN)
    yield store
    store.close()


def files(path):
    return [path.with_name(name) for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}.lock")]


def test_it_is_durable_and_private(ledger, path, maker):
    ledger.append(Append((maker.notice(),)))
    assert ledger._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert ledger._db.execute("PRAGMA secure_delete").fetchone() == (1,)
    for file in files(path):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_one_append_is_one_commit(ledger, maker):
    seen = []
    ledger._db.set_trace_callback(seen.append)
    ledger.append(Append((maker.notice(), maker.notice()), {"a": b"1"}, (Decision("2026-01-01", b"{}"),)))
    assert [query for query in seen if not query.startswith(("INSERT", "SELECT"))] == ["BEGIN IMMEDIATE", "COMMIT"]


def test_a_second_process_is_kept_out(ledger, path, made):
    with pytest.raises(LedgerUnavailableError, match="Another process"):
        SqliteLedger(path, made.ORIGIN)
    SqliteReader(path, made.ORIGIN).close()


def test_a_closed_ledger_can_be_opened_and_a_closed_one_is_no_longer_used(ledger, path, made):
    store = SqliteLedger(path.with_name("other.sqlite"), made.ORIGIN)
    store.close()
    with pytest.raises(sqlite3.ProgrammingError):
        store.object("a")
    SqliteLedger(path.with_name("other.sqlite"), made.ORIGIN).close()


def test_another_deployments_ledger_is_not_touched(ledger, path, made):
    ledger.close()
    before = path.read_bytes()
    for opener in (SqliteLedger, SqliteReader):
        with pytest.raises(StoreMismatchError, match="deployment"):
            opener(path, "test.invalid/other")
    assert path.read_bytes() == before
    ledger.__init__(path, made.ORIGIN)


def test_a_newer_store_is_refused_and_not_touched(ledger, path, made):
    ledger.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={VERSION + 1}")
    before = path.read_bytes()
    for opener in (SqliteLedger, SqliteReader):
        with pytest.raises(StoreVersionError) as caught:
            opener(path, made.ORIGIN)
        assert caught.value.code == "newer-store"
    assert path.read_bytes() == before
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={VERSION}")
    ledger.__init__(path, made.ORIGIN)


def test_another_programs_database_is_refused_and_not_touched(path, made):
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    before = path.read_bytes()
    for opener in (SqliteLedger, SqliteReader):
        with pytest.raises(StoreMismatchError):
            opener(path, made.ORIGIN)
    assert path.read_bytes() == before


def test_what_is_no_database_at_all_is_refused(path, made):
    path.write_bytes(b"nothing like it" * 1000)
    for opener in (SqliteLedger, SqliteReader):
        with pytest.raises(LedgerUnavailableError, match="NOTADB"):
            opener(path, made.ORIGIN)


def test_a_reader_makes_no_file(path, made):
    with pytest.raises(LedgerUnavailableError, match="CANTOPEN"):
        SqliteReader(path, made.ORIGIN)
    assert not path.exists()


def test_a_folder_that_is_missing_is_said(tmp_path, made):
    with pytest.raises(LedgerUnavailableError, match="ENOENT"):
        SqliteLedger(tmp_path / "missing" / "ledger.sqlite", made.ORIGIN)


def test_an_erased_body_is_nowhere_in_the_files(ledger, path, maker):
    entries = [maker.notice(filler=3000) for _ in range(20)]
    ledger.append(Append(tuple(entries)))
    marks = [entry.body[200:260] for entry in entries]
    everything = b"".join(file.read_bytes() for file in files(path))
    assert all(mark in everything for mark in marks)
    ledger.erase([entry.record.body_digest for entry in entries[::2]])
    everything = b"".join(file.read_bytes() for file in files(path))
    assert [mark in everything for mark in marks] == [False, True] * 10


def test_a_busy_reader_does_not_keep_an_erasure_waiting(ledger, path, maker):
    entry = maker.notice(filler=3000)
    ledger.append(Append((entry,)))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        assert other.execute("SELECT COUNT(*) FROM records").fetchone() == (1,)
        begin = time.monotonic()
        ledger.erase([entry.record.body_digest])
        assert time.monotonic() - begin < 2
        assert ledger.body(entry.record.body_digest) is None
        assert ledger._db.execute("PRAGMA busy_timeout").fetchone() == (5000,)
        other.execute("ROLLBACK")
    ledger.erase([])
    assert all(entry.body[200:260] not in file.read_bytes() for file in files(path))


@pytest.mark.parametrize("damage", ["leaf = x'00'", "leaf = 'a'", "document = '{}'", "proof = 5"])
def test_a_damaged_record_is_said_by_its_position(ledger, maker, damage):
    ledger.append(Append((maker.notice(), maker.notice())))
    ledger._db.execute(f"UPDATE records SET {damage} WHERE position = 1")
    assert len(ledger.read(0, 1)) == 1
    with pytest.raises(LedgerUnavailableError, match="position 1 is damaged"):
        ledger.read(0, 2)


class Failing:
    """A connection on which one statement fails, before it is run or after."""

    def __init__(self, db, statement, code, *, after):
        self.db, self.statement, self.code, self.after = db, statement, code, after

    def __getattr__(self, name):
        return getattr(self.db, name)

    def execute(self, query, *values):
        return self._run(query, lambda: self.db.execute(query, *values))

    def executemany(self, query, rows):
        return self._run(query, lambda: self.db.executemany(query, rows))

    def _run(self, query, run):
        if not query.startswith(self.statement):
            return run()
        if self.after:
            run()
        error = sqlite3.OperationalError("made to fail")
        error.sqlite_errorcode, error.sqlite_errorname = self.code, "SQLITE_MADE_UP"
        raise error


STEPS = ("BEGIN", "INSERT INTO records", "INSERT INTO bodies", "INSERT INTO objects", "INSERT INTO decisions", "COMMIT")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (sqlite3.SQLITE_FULL, StorageFullError),
        (sqlite3.SQLITE_IOERR_SHMSIZE, StorageFullError),
        (sqlite3.SQLITE_IOERR_FSYNC, LedgerUnavailableError),
        (sqlite3.SQLITE_BUSY, LedgerUnavailableError),
    ],
)
def test_an_append_that_fails_leaves_all_or_nothing_and_the_next_one_works(ledger, maker, step, after, code, raised):
    before = maker.notice()
    ledger.append(Append((before,)))
    db, lost = ledger._db, Append((maker.notice(),), {"a": b"1"}, (Decision("2026-01-01", b"{}"),))
    object.__setattr__(ledger, "_db", Failing(db, step, code, after=after))
    with pytest.raises(raised):
        ledger.append(lost)
    object.__setattr__(ledger, "_db", db)
    # Failed, and persisted all the same: only a commit can do that.
    persisted = step == "COMMIT" and after
    assert not db.in_transaction
    assert ledger.length() == (2 if persisted else 1)
    assert (ledger.object("a") is not None) is persisted
    assert bool(ledger.decision_days()) is persisted
    more = maker.notice()
    assert ledger.append(Append((more,))) == ((2,) if persisted else (1,))
    assert ledger.read(0, 10)[-1][1] == more.record


def test_misuse_is_not_explained_away(ledger):
    with pytest.raises(sqlite3.IntegrityError), explained():
        ledger._db.execute("INSERT INTO records (position) VALUES (1)")
    with pytest.raises(ZeroDivisionError), transaction(ledger._db):
        1 / 0  # noqa: B018
    assert not ledger._db.in_transaction


def test_a_busy_file_is_unavailable(ledger, path, maker, monkeypatch):
    monkeypatch.setattr(database, "BUSY_S", 0.01)
    ledger._db.execute("PRAGMA busy_timeout=10")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailableError, match="BUSY"):
            ledger.append(Append((maker.notice(),)))
        other.execute("ROLLBACK")
    assert ledger.append(Append((maker.notice(),))) == (0,)


# Small files


def test_a_file_is_replaced_whole_and_privately(tmp_path):
    path = tmp_path / "head"
    assert read_file(path) is None
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert read_file(path) == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["head"]


def test_a_replacement_is_synchronised_before_and_after_it_counts(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(os, "fsync", lambda number: steps.append(stat.S_ISDIR(os.fstat(number).st_mode)))
    monkeypatch.setattr("pathlib.Path.replace", lambda self, target: steps.append("replace"))
    replace_file(tmp_path / "head", b"one")
    assert steps == [False, "replace", True]


@pytest.mark.parametrize(
    ("number", "raised"), [(28, StorageFullError), (122, StorageFullError), (5, LedgerUnavailableError)]
)
def test_a_file_that_cannot_be_written_is_said(tmp_path, monkeypatch, number, raised):
    replace_file(tmp_path / "head", b"one")

    def fail(_):
        raise OSError(number, "made to fail")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(raised):
        replace_file(tmp_path / "head", b"two")
    assert read_file(tmp_path / "head") == b"one"


def test_a_file_that_cannot_be_opened_is_said(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(LedgerUnavailableError, match="EISDIR"):
        make_private(tmp_path / "folder")
    with pytest.raises(LedgerUnavailableError, match="EISDIR"):
        read_file(tmp_path / "folder")
