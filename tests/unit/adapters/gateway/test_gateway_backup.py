"""A gateway's backup as a file: whatever happened to it, it is restored as it was or refused."""

import asyncio
from functools import partial

import pytest

from adapters.gateway import backup, inbox
from keys.custody.backup import make_backup
from keys.custody.file import FileCustody
from schemas.errors import Error
from tests import gateway_world
from tests.gateway_world import PASSPHRASE

SENDER = "kz/customs"


@pytest.fixture
def made(tmp_path, monkeypatch):
    for name, value in {"memory_kib": 64, "passes": 1, "lanes": 1}.items():
        monkeypatch.setitem(make_backup.__kwdefaults__, name, value)
        monkeypatch.setitem(FileCustody.__init__.__kwdefaults__, name, value)
    # A folder whose name means something else in an address of SQLite's.
    place = gateway_world.plant(gateway_world.a_world(), tmp_path / "a%20b?c", SENDER)
    gateway = gateway_world.Gateway.open(gateway_world.options(place), PASSPHRASE)
    asyncio.run(gateway.store.write(lambda tx: inbox.put(tx, SENDER, (), 7, at=1)))
    gateway.store.close()
    return backup.make(place.path, PASSPHRASE, b"another phrase")


def test_it_comes_back_as_it_was(made, tmp_path):
    backup.restore(made, tmp_path / "new", b"new phrase", b"another phrase")
    again = gateway_world.Gateway.open(gateway_world.options(gateway_world.Folder(tmp_path / "new")), b"new phrase")
    assert again.participants == (SENDER,)
    assert again.store.read_now(partial(inbox.cursor, participant=SENDER)) == 7
    again.store.close()


def test_a_damaged_one_is_refused(made):
    outcomes = set()
    for place in range(0, len(made), 17):
        damaged = bytearray(made)
        damaged[place] ^= 0xFF
        try:
            outcomes.add(len(backup._read(bytes(damaged))))
        except Error as error:
            outcomes.add(error.code)
    assert "custody" in outcomes
    for end in range(0, len(made), 97):
        with pytest.raises(Error):
            backup._read(made[:end])
