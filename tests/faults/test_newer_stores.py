"""Stores of a newer version: refused, and not touched."""

import asyncio
import contextlib
import io
import json
import sqlite3
import subprocess
import zipfile
from pathlib import Path

import pytest

from adapters.client.broker import BrokerClient
from adapters.gateway.folder import Folder
from adapters.gateway.service import Gateway
from broker.app import open_broker
from broker.init import LEDGER
from schemas.errors import Error
from tests import broker_folder, gateway_world
from tests.faults.between import READER, SENDER, scene, settings
from tests.faults.deployment import COMMAND
from tests.gateway_world import Wire, known
from tests.world import make_world


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def newer_database(path: Path) -> None:
    db = sqlite3.connect(path)
    with contextlib.closing(db):
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.execute(f"PRAGMA user_version={version + 1}")


def newer_json(path: Path) -> None:
    value = json.loads(path.read_bytes())
    path.write_text(json.dumps({**value, "v": 2, "more": True}, separators=(",", ":")))


def test_a_newer_ledger_is_refused_and_not_touched(tmp_path):
    config = broker_folder.write(make_world(["kz/customs", "kz/focal-point", READER]), tmp_path / "broker")
    newer_database(tmp_path / "broker" / LEDGER)
    before = files_of(tmp_path / "broker")
    with pytest.raises(Error) as raised:
        open_broker(settings(tmp_path / "broker"), broker_folder.PASSPHRASE)
    assert raised.value.code == "newer-store"
    done = subprocess.run(
        [*COMMAND, "broker", "run", "--config", str(config)], capture_output=True, timeout=30, check=False
    )
    assert done.returncode != 0
    assert b"newer version" in done.stderr
    assert {name: data for name, data in files_of(tmp_path / "broker").items() if name in before} == before


def test_newer_keys_of_a_broker_are_refused(tmp_path):
    broker_folder.write(make_world(["kz/customs", "kz/focal-point", READER]), tmp_path / "broker")
    newer_json(tmp_path / "broker" / "keys" / "custody.json")
    before = files_of(tmp_path / "broker")
    with pytest.raises(Error) as raised:
        open_broker(settings(tmp_path / "broker"), broker_folder.PASSPHRASE)
    assert raised.value.code == "newer-store"
    assert files_of(tmp_path / "broker") == before


@pytest.mark.parametrize("newer", ["gateway.db", "gateway.json", "keys/custody.json", "directory/directory.zip"])
def test_a_newer_gateway_is_refused_and_not_touched(tmp_path, newer):
    async def scenario():
        async with scene(tmp_path) as made:
            gateway = await made.gateway(SENDER)
            await known(gateway)
            await gateway.stop()
            path = tmp_path / "kz-customs" / newer
            if newer.endswith(".db"):
                newer_database(path)
            elif newer.endswith(".zip"):
                data = path.read_bytes()
                path.write_bytes(rezipped(data))
            else:
                newer_json(path)
            before = files_of(tmp_path / "kz-customs")
            with pytest.raises(Error) as raised:
                await start_and_stop(Folder(tmp_path / "kz-customs"), made.between.wire)
            assert raised.value.code == "newer-store"
            assert files_of(tmp_path / "kz-customs") == before

    asyncio.run(scenario())


async def start_and_stop(place: Folder, wire: Wire) -> None:
    gateway = Gateway.open(gateway_world.options(place), gateway_world.PASSPHRASE)
    try:
        await gateway.start(BrokerClient(gateway_world.BASE, transport=wire))
    finally:
        await gateway.stop()


def rezipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            new.writestr(name, body.replace(b'"v":1', b'"v":2') if name == "store.json" else body)
    return out.getvalue()
