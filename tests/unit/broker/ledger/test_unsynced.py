"""Files that are written without waiting for the disk: the end of the process costs nothing, that of the machine all."""

import sqlite3
from contextlib import closing

import pytest

from broker.ledger import database
from broker.ledger.kafka.mirror import Batch, Mirror, ReadRecord
from broker.ledger.port import Append
from broker.ledger.sqlite import SqliteLedger
from broker.ledger.stanzas import stanza_kids
from broker.view.store import View
from tests.unit.broker.ledger.made_records import ORIGIN, Maker


@pytest.fixture
def boot(tmp_path, monkeypatch):
    """The file that names the machine's life; a test lets it begin anew by writing to it."""
    path = tmp_path / "boot_id"
    path.write_text("first\n")
    monkeypatch.setattr(database, "_BOOT", path)
    return path


def left_open(path, name="copy.sqlite"):
    """Copy a file as the end of its process would leave it, and return the copy's path."""
    copy = path.with_name(name)
    for ending in ("", "-wal"):
        copy.with_name(copy.name + ending).write_bytes(path.with_name(path.name + ending).read_bytes())
    return copy


def filled(path):
    """Return a mirror with a record in it, open."""
    mirror = Mirror(path, ORIGIN)
    entry = Maker().notice()
    with mirror.lock:
        mirror.take(Batch(records=[ReadRecord(0, entry.record, stanza_kids(entry.body))]))
        mirror.filled()
    return mirror


def synchronous(file):
    return file._db.execute("PRAGMA synchronous").fetchone()[0]


@pytest.mark.parametrize("life", ["first", "second", None])
def test_a_mirror_that_is_being_filled_outlives_its_process_and_not_the_machine(boot, tmp_path, life):
    with closing(filled(tmp_path / "mirror.sqlite")) as mirror:
        assert synchronous(mirror) == 0
        copy = left_open(tmp_path / "mirror.sqlite")
    if life is None:
        boot.unlink()  # not told: it may have been any
    else:
        boot.write_text(life)
    with closing(Mirror(copy, ORIGIN)) as again:
        assert (again.new, again.length()) == ((False, 1) if life == "first" else (True, 0))
        assert synchronous(again) == 0
        again.built()
        again.built()  # once is enough
        assert synchronous(again) == 1
        built = left_open(copy, "built.sqlite")
    boot.write_text("third")
    with closing(Mirror(built, ORIGIN)) as again:
        assert (again.new, again.length(), synchronous(again)) == (life != "first", int(life == "first"), 1)


@pytest.mark.parametrize("life", ["first", "second", None])
def test_a_mirror_that_was_closed_is_whole(boot, tmp_path, life):
    filled(tmp_path / "mirror.sqlite").close()
    if life is None:
        boot.unlink()
    else:
        boot.write_text(life)
    with closing(Mirror(tmp_path / "mirror.sqlite", ORIGIN)) as again:
        assert (again.new, again.length()) == (False, 1)


def test_a_view_waits_for_the_disk_once_it_is_filled(boot, tmp_path):
    with closing(SqliteLedger(tmp_path / "ledger.sqlite", ORIGIN)) as ledger:
        ledger.append(Append((Maker().notice(),)))
        with closing(View(tmp_path / "view.sqlite", ORIGIN)) as view:
            assert synchronous(view) == 0
            unfinished = left_open(tmp_path / "view.sqlite", "unfinished.sqlite")
            view.catch_up(ledger)
            assert (view.size, synchronous(view)) == (1, 1)
            finished = left_open(tmp_path / "view.sqlite")
        boot.write_text("second")
        for copy, kept in ((finished, 1), (unfinished, 0)):
            with closing(View(copy, ORIGIN)) as again:
                assert again.size == kept
                again.catch_up(ledger)
                assert (again.size, synchronous(again)) == (1, 1)


def test_closing_says_nothing_of_a_disk_that_is_full(boot, tmp_path, monkeypatch):
    def full(_):
        raise database.StorageFullError("There is no space left on the device.")

    for module, opened in (("broker.ledger.kafka.mirror", Mirror), ("broker.view.store", View)):
        path = tmp_path / f"{opened.__name__}.sqlite"
        file = opened(path, ORIGIN)
        with monkeypatch.context() as patched:
            patched.setattr(f"{module}.end_unsynced", full)
            file.close()
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT value FROM meta WHERE name = 'written-in'").fetchone() == ("first",)
