"""A write-ahead log that is carried over beside its writer: it begins anew, and nobody waits for more than a moment."""

import threading
from contextlib import closing

import pytest
import structlog

from broker.ledger import carrying
from broker.ledger.carrying import Carrying
from broker.ledger.database import connect
from broker.ledger.port import StorageFullError

PAGE = 4096


@pytest.fixture
def file(tmp_path):
    """A file in WAL mode whose writer carries nothing over itself."""
    path = tmp_path / "some.sqlite"
    with closing(connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA wal_autocheckpoint=0")
        db.execute("CREATE TABLE some (data BLOB)")
        yield db


def path_of(db):
    return carrying.Path(db.execute("PRAGMA database_list").fetchone()[2])


def write(db, pages):
    for _ in range(pages):
        db.execute("INSERT INTO some VALUES (randomblob(3000))")


def until(condition):
    waited = threading.Event()
    for _ in range(1000):
        if condition():
            return
        waited.wait(0.01)
    raise AssertionError("It did not come.")


def test_a_long_log_begins_anew(file, monkeypatch):
    monkeypatch.setattr(carrying, "PAGES", 50)
    log = path_of(file).with_name("some.sqlite-wal")
    lock = threading.Condition()
    thread = Carrying(path_of(file), lock, every_s=0.01)
    try:
        for _ in range(10):
            with lock:
                write(file, 50)
                grown = path_of(file).stat().st_size
            until(lambda grown=grown: path_of(file).stat().st_size > grown)
        assert log.stat().st_size < 300 * PAGE, "the log grows without an end"
    finally:
        thread.stop()
        thread.stop()
    assert file.execute("SELECT COUNT(*) FROM some").fetchone() == (500,)


def test_a_short_log_is_carried_over_and_nobody_is_held_up(file):
    lock = threading.Condition()
    thread = Carrying(path_of(file), lock, every_s=0.01)
    try:
        with lock:  # a writer that is at work for long
            write(file, 50)
            until(lambda: path_of(file).stat().st_size > 40 * PAGE)
    finally:
        thread.stop()


def test_a_disk_that_is_full_ends_nothing(file, monkeypatch):
    tries = []

    def full(self, db):
        tries.append(db)
        if len(tries) < 3:
            raise StorageFullError("There is no space left on the device.")

    monkeypatch.setattr(Carrying, "_carry", full)
    with structlog.testing.capture_logs() as said:
        thread = Carrying(path_of(file), threading.Condition(), every_s=0.01)
        until(lambda: len(tries) > 3)
        thread.stop()
    assert [line["event"] for line in said] == ["log.not_carried_over"] * 2
