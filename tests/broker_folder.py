"""A broker's folder made from a `World`, as `broker init` and `broker install` leave it."""

from pathlib import Path

from broker.housekeeping import directory_object
from broker.init import KEYS, LEDGER, PUBLIC, BrokerKeys
from broker.ledger.port import Append
from broker.ledger.sqlite import SqliteLedger
from keys.custody import durable
from keys.custody.file import FileCustody
from tests.world import ORIGIN, World

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
