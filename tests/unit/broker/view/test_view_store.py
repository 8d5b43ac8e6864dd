"""The view's writer: whatever happened to it, it says what the ledger says."""

import sqlite3
import threading
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.ledger.fold import Reason
from broker.ledger.port import Append, LedgerUnavailableError, StorageFullError
from broker.ledger.sqlite import SqliteLedger
from broker.view.schema import VERSION
from broker.view.store import Applied, View, ViewReader
from keys.log.merkle import root_of
from schemas.event import Event
from schemas.leaf import LeafType
from schemas.statement import Statement


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), sizes=st.lists(st.integers(1, 9), min_size=4, max_size=8), erase=st.booleans())
def test_a_rebuilt_view_equals_the_live_one(made, open_broker, all_tables, seed, sizes, erase):
    maker, broker = made.Maker(seed), open_broker()
    entries = made.random_entries(maker, sum(sizes))
    entries.append(entries[0])  # a double
    digests = {
        Statement.parse(entry.record.document).notice_id: entry.record.body_digest
        for entry in entries
        if entry.record.proof
    }
    applied = []
    for number, size in enumerate((*sizes, 1)):
        at = sum(sizes[:number])
        applied += broker.append(*entries[at : at + size])
        if erase:
            for entry in entries[at : at + size]:
                if entry.record.leaf.type is LeafType.ERASURE:
                    broker.ledger.erase([digests[Event.parse(entry.record.document).what.notice_id]])
    assert [item.index for item in applied] == [*range(len(entries) - 1), None]
    live, state = all_tables(broker.view), broker.view.state
    assert state.frontier.root() == root_of([entry.record.leaf.encode() for entry in entries[:-1]])
    for name in ("view.sqlite", "another.sqlite"):
        rebuilt = broker.reopen(name)
        assert all_tables(rebuilt) == live
        assert (rebuilt.state, rebuilt.position) == (state, len(entries))
    broker.close()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), batch=st.integers(1, 30))
def test_the_size_of_a_batch_makes_no_difference(made, open_broker, all_tables, seed, batch):
    entries = made.random_entries(made.Maker(seed), 30)
    one, other = open_broker(), open_broker()
    one.append(*entries)
    for at in range(0, 30, batch):
        other.append(*entries[at : at + batch])
    assert all_tables(one.view) == all_tables(other.view)
    one.close()
    other.close()


def test_what_is_known_within_a_batch_counts(broker, maker):
    notice = maker.notice()
    notice_id = Statement.parse(notice.record.document).notice_id
    erasure, day = maker.erasure(notice_id), maker.day("2026-01-01")
    applied = broker.append(notice, notice, erasure, erasure, day, day)
    assert applied == [
        Applied(0, 0, None),
        Applied(1, None, Reason.KNOWN),
        Applied(2, 1, None),
        Applied(3, None, Reason.ERASED),
        Applied(4, 2, None),
        Applied(5, None, Reason.DAY),
    ]
    assert broker.append(notice, erasure, day) == [
        Applied(6, None, Reason.KNOWN),
        Applied(7, None, Reason.ERASED),
        Applied(8, None, Reason.DAY),
    ]
    assert broker.view.skipped == {Reason.KNOWN: 2, Reason.ERASED: 2, Reason.DAY: 2}
    assert broker.view.position == 9


def test_statements_that_were_parsed_already_are_taken(broker, maker, monkeypatch):
    entries = [maker.notice(), maker.next_directory()]
    parsed = [Statement.parse(entries[0].record.document), None]
    monkeypatch.setattr(Statement, "parse", lambda data: pytest.fail("parsed again"))
    position = broker.ledger.append(Append(tuple(entries)))[0]
    items = [(position + n, entry.record, entry.body) for n, entry in enumerate(entries)]
    assert [item.index for item in broker.view.apply(items, parsed)] == [0, 1]


def test_records_are_applied_once_and_in_order(broker, maker):
    first, second = maker.notice(), maker.notice()
    broker.append(first)
    for positions in ((0,), (2,), (1, 1), (2, 1), (1, 3)):
        with pytest.raises(LedgerUnavailableError, match="same position"):
            broker.view.apply([(position, second.record, second.body) for position in positions])
    assert broker.view.size == 1


def test_a_store_may_leave_gaps_between_positions(broker, maker):
    broker.append(*(maker.notice() for _ in range(3)))
    broker.ledger._db.execute("UPDATE records SET position = position + 100 WHERE position > 0")
    broker.ledger._next = None
    rebuilt = broker.reopen("another.sqlite")
    assert (rebuilt.size, rebuilt.position) == (3, 103)
    broker.append(maker.notice())
    assert rebuilt.size == 4


def test_a_start_reads_only_what_is_new(broker, maker, monkeypatch):
    broker.append(*(maker.notice() for _ in range(20)))
    broker.ledger.append(Append((maker.notice(), maker.notice())))
    reads, read = [], broker.ledger.read
    monkeypatch.setattr(broker.ledger, "read", lambda position, limit: reads.append(position) or read(position, limit))
    progress = []
    broker.view.close()
    broker.view = View(broker.folder / "view.sqlite", broker.ledger.origin)
    broker.view.catch_up(broker.ledger, lambda *at: progress.append(at))
    assert reads == [19, 20, 22]  # the last leaf for comparison, the new ones, the end
    assert progress == [(22, 22)]
    assert broker.view.size == 22


@pytest.mark.parametrize("how", ["version", "origin", "application", "garbage", "empty", "no table"])
def test_a_view_that_cannot_serve_is_replaced(broker, maker, how):
    broker.append(maker.next_directory(), maker.notice())
    state = broker.view.state
    broker.view.close()
    path = broker.folder / "view.sqlite"
    if how == "garbage":
        path.write_bytes(b"garbage" * 5000)
    elif how == "empty":
        path.write_bytes(b"")
    else:
        with closing(sqlite3.connect(path)) as db:
            if how == "origin":
                db.execute("UPDATE state SET origin = 'test.invalid/other'")
            elif how == "no table":
                db.execute("DROP TABLE state")
            else:
                name = "user_version" if how == "version" else "application_id"
                db.execute(f"PRAGMA {name}={VERSION + 1}")
            db.commit()
    broker.view = View(path, broker.ledger.origin)
    assert broker.view.position == 0
    broker.view.catch_up(broker.ledger)
    assert broker.view.state == state
    assert [file.name for file in broker.folder.iterdir() if "view" in file.name and "-" not in file.name] == [
        "view.sqlite"
    ]


def test_a_view_that_is_busy_is_not_replaced(broker, maker, monkeypatch):
    broker.append(maker.notice())
    broker.view.close()
    monkeypatch.setattr("broker.ledger.database.BUSY_S", 0.01)
    with closing(sqlite3.connect(broker.folder / "view.sqlite", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerUnavailableError, match="BUSY"):
            View(broker.folder / "view.sqlite", broker.ledger.origin)
        other.execute("COMMIT")
    assert broker.reopen().size == 1


def test_a_view_that_cannot_be_written_says_so(broker, monkeypatch):
    def full(*_):
        raise StorageFullError("made to fail")

    monkeypatch.setattr("broker.view.store._create", full)
    with pytest.raises(StorageFullError):
        View(broker.folder / "another.sqlite", broker.ledger.origin)


@pytest.mark.parametrize("other", ["shorter", "different", "gap", "empty"])
def test_a_view_of_another_ledger_is_rebuilt(broker, made, tmp_path, other):
    entries = made.random_entries(made.Maker(1), 30)
    broker.append(*entries)
    mark = broker.view.inclusion(3, 30)
    ledger = SqliteLedger(tmp_path / "other.sqlite", made.ORIGIN)
    entries = made.random_entries(made.Maker(1 if other == "shorter" else 2), 12 if other == "shorter" else 40)
    if other != "empty":
        ledger.append(Append(tuple(entries)))
    if other == "gap":
        ledger._db.execute("DELETE FROM records WHERE position = 29")
    expected = View(tmp_path / "expected.sqlite", made.ORIGIN)
    expected.catch_up(ledger)
    broker.view.catch_up(ledger)
    assert broker.view.state == expected.state
    if other == "different":
        assert broker.view.inclusion(3, 30) != mark  # nothing is remembered of the old tree
    expected.close()
    ledger.close()


def test_a_view_whose_records_count_not_at_all_is_kept(broker, made):
    foreign = made.Maker(1, "test.invalid/other").notice()
    broker.append(foreign)
    assert broker.reopen().position == 1


class Failing:
    """A connection on which one statement fails."""

    def __init__(self, db, statement):
        self.db, self.statement = db, statement

    def __getattr__(self, name):
        return getattr(self.db, name)

    def execute(self, query, *values):
        self._look(query)
        return self.db.execute(query, *values)

    def executemany(self, query, rows):
        self._look(query)
        return self.db.executemany(query, rows)

    def _look(self, query):
        if query.startswith(self.statement):
            error = sqlite3.OperationalError("made to fail")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
            raise error


@pytest.mark.parametrize("step", ["BEGIN", "INSERT INTO leaves", "INSERT INTO stanzas", "UPDATE state", "COMMIT"])
def test_a_batch_that_fails_is_caught_up_with(broker, maker, all_tables, step):
    broker.append(maker.notice(recipients=["it/customs"]))
    before = all_tables(broker.view), broker.view.state, broker.view.position
    db, view = broker.view._db, broker.view
    lost = maker.notice(recipients=["kz/border", "kg/police"])
    object.__setattr__(view, "_db", Failing(db, step))
    with pytest.raises(StorageFullError):
        broker.append(lost)
    object.__setattr__(view, "_db", db)
    assert (all_tables(view), view.state, view.position) == before
    view.catch_up(broker.ledger)
    broker.append(maker.notice(recipients=["kg/police"]))
    live = all_tables(view)
    assert all_tables(broker.reopen("another.sqlite")) == live


def test_a_record_whose_body_the_ledger_never_had_stops_the_rebuild(broker, maker):
    broker.append(maker.notice())
    broker.ledger._db.execute("DELETE FROM bodies")
    with pytest.raises(LedgerUnavailableError, match="does not know"):
        broker.reopen("another.sqlite")


def test_a_record_that_the_ledger_lost_is_said(broker, maker):
    broker.append(maker.notice(), maker.notice())
    broker.ledger._db.execute("DELETE FROM records WHERE position = 0")
    with pytest.raises(LedgerUnavailableError, match="no record"):
        broker.view.record(0)


def test_nothing_is_asked_of_a_view_that_has_not_caught_up(broker, maker):
    broker.append(maker.notice())
    broker.view.close()
    broker.view = View(broker.folder / "view.sqlite", broker.ledger.origin)
    with pytest.raises(RuntimeError, match="caught up"):
        broker.view.record(0)
    with pytest.raises(RuntimeError, match="caught up"):
        broker.view.reader()


def test_a_reader_sees_in_another_thread_what_has_been_applied(broker, maker):
    broker.append(maker.next_directory())
    seen = []

    def read():
        reader = broker.view.reader()
        seen.append((reader.size, reader.root(reader.size), reader.stored_object("a")))
        reader.close()

    broker.append(maker.notice())
    broker.ledger.append(Append(objects={"a": b"1"}))
    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert seen == [(2, broker.view.root(2), b"1")]


def test_a_reader_writes_nothing(broker, maker):
    broker.append(maker.notice())
    reader = broker.view.reader()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM leaves")
    reader.close()
    with pytest.raises(LedgerUnavailableError, match="CANTOPEN"):
        ViewReader(broker.folder / "missing.sqlite", broker.ledger)._all("SELECT 1")


def test_what_others_put_is_said_again_until_it_could_be_restored(made, open_broker, monkeypatch):
    broker = open_broker()
    broker.append(*made.random_entries(made.Maker(5), 5))
    told = [["held/de/police/3", "metadata/timestamp.json"], [], ["uploads/1"]]
    monkeypatch.setattr(SqliteLedger, "changed", lambda _: told.pop(0))
    restored, failing = [], [StorageFullError("There is no space left."), None, None]

    def restore(_, names):
        if (error := failing.pop(0)) is not None:
            raise error
        restored.extend(names)

    monkeypatch.setattr(View, "_restore_held", restore)
    with pytest.raises(StorageFullError):
        broker.view.keep_up()
    assert broker.view.keep_up() == ["metadata/timestamp.json"]
    assert restored == ["held/de/police/3"]
    assert broker.view.keep_up() == ["uploads/1"]
    broker.close()
