"""The store: durable when it answers, one commit for many, nothing of a piece of work that failed."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from importlib import resources

import pytest

from adapters.gateway import store as stores
from adapters.gateway.store import StorageFullError, Store, opened
from keys.custody.cells import Cells
from keys.custody.errors import CustodyError
from schemas.errors import Error


@pytest.fixture
def cells():
    return Cells(Cells.new_key())


def put(name):
    def work(tx):
        tx.connection.execute("INSERT INTO cursor (participant, position) VALUES (?, 1)", (name,))
        return name

    return work


def names(tx):
    return [name for (name,) in tx.connection.execute("SELECT participant FROM cursor ORDER BY participant")]


def test_what_was_answered_is_on_disk_and_stays(tmp_path, cells):
    path = tmp_path / "folder" / "gateway.db"

    async def scenario():
        with opened(path, cells) as store:
            assert await asyncio.gather(*(store.write(put(f"{n:03}")) for n in range(200))) == [
                f"{n:03}" for n in range(200)
            ]
            assert len(await store.read(names)) == 200

    asyncio.run(scenario())
    with opened(path, cells) as store:
        assert len(store.read_now(names)) == 200
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_piece_of_work_that_fails_undoes_itself_and_nothing_else(tmp_path, cells):
    async def scenario():
        with opened(tmp_path / "gateway.db", cells) as store:

            def fail(tx):
                put("half")(tx)
                raise ValueError("no")

            outcomes = await asyncio.gather(
                store.write(put("a")), store.write(fail), store.write(put("b")), return_exceptions=True
            )
            assert outcomes[0::2] == ["a", "b"]
            assert isinstance(outcomes[1], ValueError)
            assert await store.read(names) == ["a", "b"]
            with pytest.raises(sqlite3.IntegrityError):
                await store.write(put("a"))

    asyncio.run(scenario())


def test_reading_changes_nothing(tmp_path, cells):
    async def scenario():
        with opened(tmp_path / "gateway.db", cells) as store:
            await store.read(put("a"))
            assert await store.read(names) == []

    asyncio.run(scenario())


def test_a_caller_that_went_away_does_not_stop_the_writer(tmp_path, cells):
    async def scenario():
        with opened(tmp_path / "gateway.db", cells) as store:
            task = asyncio.create_task(store.write(put("a")))
            await asyncio.sleep(0)
            task.cancel()
            assert await store.write(put("b")) == "b"
            assert await store.read(names) == ["a", "b"]

    asyncio.run(scenario())


def test_a_full_disk_refuses_the_whole_commit_and_recovers(tmp_path, cells):
    async def scenario():
        with opened(tmp_path / "gateway.db", cells) as store:
            await store.write(put("a"))
            pages = (await store.write(lambda tx: tx.connection.execute("PRAGMA page_count").fetchone()))[0]
            store._writer.execute(f"PRAGMA max_page_count={pages + 2}")

            def large(tx):
                tx.connection.execute("INSERT INTO evidence (kind, at, data) VALUES ('x', 1, zeroblob(100000))")

            with pytest.raises(StorageFullError) as raised:
                await store.write(large)
            assert raised.value.status == 507
            assert await store.read(names) == ["a"]
            store._writer.execute("PRAGMA max_page_count=1000000")
            await store.write(large)
            await store.write(put("b"))
            assert await store.read(names) == ["a", "b"]

    asyncio.run(scenario())


def test_a_commit_that_fails_is_an_error_for_everybody_in_it(tmp_path, cells, monkeypatch):
    async def scenario():
        with opened(tmp_path / "gateway.db", cells) as store:
            real = store._writer

            class Failing:
                in_transaction = True

                def execute(self, query, *values):
                    if query == "COMMIT":
                        raise sqlite3.OperationalError("disk I/O error")
                    return real.execute(query, *values)

            store._writer = Failing()
            outcomes = await asyncio.gather(store.write(put("a")), store.write(put("b")), return_exceptions=True)
            assert [item.code for item in outcomes] == ["unavailable", "unavailable"]
            store._writer = real
            assert await store.read(names) == []
            await store.write(put("a"))

    asyncio.run(scenario())


def test_a_store_is_one_process_s_alone(tmp_path, cells):
    with opened(tmp_path / "gateway.db", cells):
        with pytest.raises(Error) as raised:
            Store(tmp_path / "gateway.db", cells)
        assert raised.value.code == "configuration"
    Store(tmp_path / "gateway.db", cells).close()


def test_a_newer_store_and_another_file_are_refused(tmp_path, cells):
    Store(tmp_path / "gateway.db", cells).close()
    connection = sqlite3.connect(tmp_path / "gateway.db")
    connection.execute(f"PRAGMA user_version={stores.VERSION + 1}")
    connection.close()
    with pytest.raises(Error) as raised:
        Store(tmp_path / "gateway.db", cells)
    assert raised.value.code == "newer-store"
    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("CREATE TABLE x (y)")
    connection.close()
    with pytest.raises(Error) as raised:
        Store(tmp_path / "other.db", cells)
    assert raised.value.code == "configuration"
    (tmp_path / "no.db").write_bytes(b"no database" * 100)
    with pytest.raises(Error) as raised:
        Store(tmp_path / "no.db", cells)
    assert raised.value.code == "configuration"


def test_a_store_of_an_older_version_gets_what_it_lacks_and_loses_nothing(tmp_path, cells):
    folder = resources.files("adapters.gateway")
    path = tmp_path / "gateway.db"
    connection = sqlite3.connect(path)
    connection.executescript(folder.joinpath(stores.SCRIPTS[0]).read_text("utf-8"))
    connection.execute("INSERT INTO cursor VALUES ('kz/customs', 4711)")
    connection.execute(f"PRAGMA application_id={stores.APPLICATION}")
    connection.execute("PRAGMA user_version=1")
    connection.commit()
    connection.close()
    with opened(path, cells) as store:
        assert store.read_now(lambda tx: tx.connection.execute("SELECT position FROM cursor").fetchone()) == (4711,)
        assert store.read_now(lambda tx: tx.connection.execute("SELECT * FROM duty").fetchall()) == []
    Store(tmp_path / "new.db", cells).close()
    schemas = []
    for name in ("gateway.db", "new.db"):
        connection = sqlite3.connect(tmp_path / name)
        assert connection.execute("PRAGMA user_version").fetchone() == (stores.VERSION,)
        schemas.append(connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall())
        connection.close()
    assert schemas[0] == schemas[1]


def test_after_closing_nothing_is_accepted(tmp_path, cells):
    async def scenario():
        store = Store(tmp_path / "gateway.db", cells)
        pending = [asyncio.ensure_future(store.write(put(str(n)))) for n in range(20)]
        await asyncio.sleep(0)
        await asyncio.to_thread(store.close)
        assert await asyncio.gather(*pending) == [str(n) for n in range(20)]
        store.close()
        for call in (store.write, store.read):
            with pytest.raises(Error):
                await call(names)

    asyncio.run(scenario())


def test_a_cell_opens_in_its_own_place_alone(tmp_path, cells):
    with opened(tmp_path / "gateway.db", cells) as store:

        def work(tx):
            cell = tx.seal("outbox.draft", "a", b"secret")
            assert b"secret" not in cell
            assert tx.open("outbox.draft", "a", cell) == b"secret"
            assert tx.open_or_none("outbox.draft", "a", None) is None
            with pytest.raises(CustodyError):
                tx.open("outbox.draft", "b", cell)
            with pytest.raises(CustodyError):
                tx.open("inbox.head", "a", cell)

        store.read_now(work)


KILLED = """
import asyncio, os, sys
from pathlib import Path
from adapters.gateway.store import Store
from keys.custody.cells import Cells
store = Store(Path(sys.argv[1]), Cells(b"k" * 32))
def work(tx):
    tx.connection.execute("INSERT INTO cursor (participant, position) VALUES ('kept', 1)")
def lost(tx):
    tx.connection.execute("INSERT INTO cursor (participant, position) VALUES ('lost', 1)")
    os.kill(os.getpid(), 9)
async def main():
    await store.write(work)
    await store.write(lost)
asyncio.run(main())
"""


def test_killed_in_a_transaction_it_has_what_it_answered(tmp_path):
    path = tmp_path / "gateway.db"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, env={**os.environ}, timeout=60)
    assert done.returncode == -9
    with opened(path, Cells(b"k" * 32)) as store:
        assert store.read_now(names) == ["kept"]
