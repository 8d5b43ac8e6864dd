"""A broker's folder made from a `World`, and the real process over it: for tests that kill."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from broker.housekeeping import directory_object
from broker.init import KEYS, LEDGER, PUBLIC, BrokerKeys
from broker.ledger.port import Append
from broker.ledger.sqlite import SqliteLedger
from keys.custody import durable
from keys.custody.file import FileCustody
from tests.world import ORIGIN, World

COMMAND = (sys.executable, "-c", "from adapters.cli.main import main; main()")
PASSPHRASE = b"only for tests"


def write(world: World, folder: Path) -> Path:
    """Write keys, public file and directory as `broker init` and `broker install` do; return the configuration."""
    durable.make_folder(folder)
    repository = world.repository
    keys = BrokerKeys(world.log, world.receipts, repository.snapshot_key, repository.timestamp_key)
    keys.keep(FileCustody(folder / KEYS, PASSPHRASE))
    durable.create(folder / PUBLIC, keys.public.encode())
    ledger = SqliteLedger(folder / LEDGER, ORIGIN)
    ledger.append(Append(objects={directory_object(name): data for name, data in repository.files.items()}))
    ledger.close()
    secret = folder.parent / "passphrase"
    durable.write(secret, PASSPHRASE)
    config = folder.parent / "broker.toml"
    durable.write(
        config,
        f'state = "{folder}"\norigin = "{ORIGIN}"\ndemo = true\nlisten = "127.0.0.1:0"\nmetrics = "127.0.0.1:0"\n'
        f'passphrase_file = "{secret}"\n'.encode(),
    )
    return config


class BrokerProcess:
    """The broker as `valise broker run` starts it, on one port over all its lives."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self.log = folder.parent / "broker.log"
        self.address = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, environment: dict[str, str] | None = None, seconds: float = 30) -> None:
        """Start it and wait for its address."""
        file = self.folder / "address"
        file.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "broker", "run", "--config", str(self.config)], stdout=log, stderr=log, env=environment
            )
        until = time.monotonic() + seconds
        while not file.exists():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, "the broker did not start"
            time.sleep(0.01)
        if not self.address:
            self.address = file.read_text().strip()
            text = self.config.read_text().replace("127.0.0.1:0", self.address.removeprefix("http://"), 1)
            durable.write(self.config, text.encode())

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid
