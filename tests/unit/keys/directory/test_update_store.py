"""A line that fails and a store that is damaged: the last good directory stays."""

import io
import shutil
import zipfile

import pytest

from keys.directory import edit
from keys.directory import metadata as files_of
from keys.directory.errors import DirectoryAwayError, DirectoryError
from keys.directory.store import DirectoryStore, Stored
from keys.directory.tuf_api import Timestamp
from keys.directory.update import DirectoryClient
from schemas.errors import Error
from tests.unit.keys.directory.lying import CUSTOMS, refused


def test_a_broker_that_is_away_changes_nothing(world, follow):
    client, broker = follow(world)
    broker.away = True
    with pytest.raises(DirectoryAwayError) as caught:
        client.refresh()
    assert caught.value.status == 503
    broker.away = False
    known = client.refresh()
    broker.away = True
    refused("broker-away", client.refresh)
    assert client.stored() is known


def test_a_broker_that_loses_its_timestamp(world, follow):
    client, broker = follow(world)
    known = client.refresh()
    del broker.files["timestamp.json"]
    refused("directory", client.refresh)
    broker.files["timestamp.json"] = b"{}"
    refused("directory", client.refresh)
    assert client.stored() is known


def test_a_timestamp_of_somebody_else_is_refused(world, follow):
    client, broker = follow(world)
    client.refresh()
    forged = files_of.read(world.file("timestamp.json"), Timestamp).signed
    forged.version += 1
    broker.files["timestamp.json"] = files_of.signed(forged, world.snapshot_key)
    refused("unverified", client.refresh)


def test_stores_that_cannot_be_read(world, follow, tmp_path):
    client, _ = follow(world)
    client.refresh()
    path = tmp_path / "store" / "directory.zip"
    good = path.read_bytes()
    for bad in (b"", good[:-10], good.replace(b"store.json", b"stare.json"), good.replace(b'"v":1', b'"v":0')):
        path.write_bytes(bad)
        assert refused("directory", follow(world)[0].stored, "damaged").hint.startswith("Remove directory.zip")
    swapped = good.replace(b'"verified_at"', b'"verified_by"')
    path.write_bytes(swapped)
    refused("directory", follow(world)[0].stored)


def test_a_store_with_flipped_bits_is_whole_or_damaged(tmp_path):
    store = DirectoryStore(tmp_path)
    kept = Stored(7, {"timestamp.json": b"{}"})
    store.write(kept)
    path = tmp_path / "directory.zip"
    good = path.read_bytes()
    for at in range(8 * len(good)):
        bad = bytearray(good)
        bad[at // 8] ^= 1 << at % 8
        path.write_bytes(bad)
        try:
            found = store.read()
        except DirectoryError as error:
            assert error.hint.startswith("Remove directory.zip")
        else:
            assert found is not None
            assert set(found.files.values()) <= {b"{}"}


def test_a_newer_store_is_refused(world, follow, tmp_path):
    store = DirectoryStore(tmp_path / "store")
    assert store.read() is None
    store.write(Stored(7, {"a": b"b", "timestamp.json": b""}))
    assert store.read() == Stored(7, {"a": b"b", "timestamp.json": b""})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("store.json", '{"v":2,"other":1}')
    (tmp_path / "store" / "directory.zip").write_bytes(buffer.getvalue())
    with pytest.raises(Error) as caught:
        store.read()
    assert caught.value.code == "newer-store"


def test_a_store_that_cannot_be_written_keeps_the_last_good(world, follow, tmp_path):
    client, broker = follow(world)
    known = client.refresh()
    broker.serve(world.publish("fr", edit.suspend(world.state("fr"), CUSTOMS)))
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "store").write_bytes(b"in the way")
    with pytest.raises(OSError, match="store"):
        client.refresh()
    assert client.stored() is known
    (tmp_path / "store").unlink()
    assert client.refresh().version == 6


def test_the_machines_clock_is_the_default(world, tmp_path, monkeypatch):
    client = DirectoryClient(world.repository.files.get, tmp_path, world.root, world.origin)
    monkeypatch.setattr("time.time", lambda: world.now + 6 * 3600 + 0.5)
    refused("directory-frozen", client.refresh)
    monkeypatch.setattr("time.time", lambda: world.now + 0.5)
    assert client.refresh().version == 5
