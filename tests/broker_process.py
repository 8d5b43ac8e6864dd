"""A broker as a real process on the loopback interface, over the keys and the directory of a `World`."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.housekeeping import directory_object
from broker.init import KEYS, LEDGER, PUBLIC, BrokerKeys
from broker.ledger.port import Append
from broker.ledger.sqlite import SqliteLedger
from keys.custody import durable
from keys.custody.file import FileCustody
from keys.http_signature import sign_request
from tests.world import ORIGIN, World

PASSPHRASE = "correct horse battery staple"
COMMAND = (sys.executable, "-c", "from adapters.cli.main import main; main()")
START_SECONDS = 20


def plant(world: World, folder: Path) -> Path:
    """Make a broker's folder that has a world's keys and directory, and return its configuration file."""
    state = folder / "state"
    durable.make_folder(state)
    keys = BrokerKeys(world.log, world.receipts, world.repository.snapshot_key, world.repository.timestamp_key)
    keys.keep(FileCustody(state / KEYS, PASSPHRASE.encode(), memory_kib=64, passes=1, lanes=1))
    durable.write(state / PUBLIC, keys.public.encode())
    ledger = SqliteLedger(state / LEDGER, ORIGIN)
    ledger.append(Append(objects={directory_object(name): data for name, data in world.repository.files.items()}))
    ledger.close()
    durable.write(folder / "passphrase", PASSPHRASE.encode())
    config = folder / "broker.toml"
    config.write_text(
        f'state = "{state}"\norigin = "{ORIGIN}"\ndemo = true\nlisten = "127.0.0.1:0"\nmetrics = "127.0.0.1:0"\n'
        f'passphrase_file = "{folder / "passphrase"}"\nshutdown_seconds = 3\n'
    )
    return config


@dataclass(frozen=True)
class Reply:
    """What came back over a connection."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json()["type"].removeprefix("urn:valise:problem:")


@dataclass
class Process:
    """A running broker: its process, where it listens, and what it has printed so far."""

    popen: subprocess.Popen
    state: Path
    log: Path

    @property
    def address(self) -> str:
        return (self.state / "address").read_text().strip()

    @property
    def metrics_address(self) -> str:
        return (self.state / "metrics-address").read_text().strip()

    @property
    def printed(self) -> str:
        return self.log.read_text()

    def ask(self, method, target, body=None, headers=(), *, metrics=False) -> Reply:
        """Send one request over a connection of its own."""
        host, _, port = (self.metrics_address if metrics else self.address).partition("//")[2].rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=40)
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def signed(self, person, method, target) -> Reply:
        """Send a request that a participant's request key has signed."""
        authority = self.address.partition("//")[2]
        fields = sign_request(
            method, f"{self.address}{target}", {}, None, signer=person.request, origin=ORIGIN, created=int(time.time())
        )
        return self.ask(method, target, None, {"Host": authority, **fields})

    def publish(self, signed) -> Reply:
        target = f"/v1/notices/{signed.statement.notice_id}"
        return self.ask("PUT", target, signed.envelope, {"Content-Type": "application/json"})

    def end(self, number=signal.SIGTERM, seconds=20) -> int:
        """Send a signal and return the exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(seconds)


@contextmanager
def running(config: Path, environment=None):
    """Run a broker until the block ends; it listens when the block begins."""
    state, log = config.parent / "state", config.parent / "log"
    (state / "address").unlink(missing_ok=True)  # a broker that was killed leaves it
    with log.open("ab") as out:
        popen = subprocess.Popen(
            [*COMMAND, "broker", "run", "--config", str(config)],
            stdout=out,
            stderr=out,
            env={**os.environ, **(environment or {})},
        )
    process = Process(popen, state, log)
    try:
        until = time.monotonic() + START_SECONDS
        while not (state / "address").exists():
            assert popen.poll() is None, process.printed
            assert time.monotonic() < until, process.printed
            time.sleep(0.02)
        yield process
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait(10)
