"""How a broker comes into being: its keys, and the directory that the ceremony signed. Done once, before the first start.

The folder is the operator's: `keys/` sealed under a passphrase, `broker-public.json` for the ceremony, `ledger.sqlite`.
The broker's own keys sign the log, receipts, snapshot and timestamp; root and targets are signed elsewhere.
"""

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.housekeeping import directory_files, directory_object
from broker.ledger.port import Append
from broker.ledger.sqlite import SqliteLedger
from broker.settings import ConfigurationError
from keys.custody import durable
from keys.custody.file import FileCustody
from keys.custody.port import Custody
from keys.directory.log_target import LogTarget
from keys.directory.repository import Repository
from keys.directory.tuf_key import TufKey, TufPublic
from keys.log.note import LogSigner
from keys.sign import Ed25519Signer
from schemas import encoding, ids
from schemas.encoding import Members
from schemas.errors import Error, FormError
from schemas.ids import Origin, Role
from schemas.rules.condition import own_profile
from schemas.rules.flaws import check_flawless
from schemas.rules.network import parse_network
from schemas.rules.vocabulary import vocabulary

KEYS: Final = "keys"
PUBLIC: Final = "broker-public.json"
LEDGER: Final = "ledger.sqlite"
ROOT: Final = "1.root.json"
TARGETS: Final = "1.targets.json"
NETWORK: Final = "network/"

_TYP: Final = "valise-broker/1"
_MEMBERS: Final = ("v", "typ", "log", "snapshot", "timestamp")


@dataclass(frozen=True, slots=True)
class BrokerPublic:
    """The public halves of a broker's keys, which the ceremony takes into root and `network/log.json`."""

    log: LogTarget
    snapshot: TufPublic
    timestamp: TufPublic

    @property
    def origin(self) -> Origin:
        """Return the log's origin."""
        return self.log.keys.origin

    def encode(self) -> bytes:
        """Return the file `broker-public.json`; its member `log` is the target `network/log.json` as it stands."""
        return encoding.encode(
            {
                "v": 1,
                "typ": _TYP,
                "log": encoding.parse(self.log.encode()),
                "snapshot": encoding.parse(self.snapshot.encode()),
                "timestamp": encoding.parse(self.timestamp.encode()),
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "BrokerPublic":
        """Read the file; raise `MalformedError` or `FormError`."""
        m = Members(encoding.parse(data), _MEMBERS)
        m.fixed("v", 1)
        m.fixed("typ", _TYP)
        log, snapshot, timestamp = (_object(m, name) for name in ("log", "snapshot", "timestamp"))
        return cls(LogTarget.parse(log), TufPublic.parse(snapshot), TufPublic.parse(timestamp))


def _object(m: Members, name: str) -> bytes:
    value = m.value[name]
    if not isinstance(value, dict):
        raise FormError("Must be an object.", pointer=f"/{name}")
    return encoding.encode(value)


@dataclass(frozen=True, slots=True)
class BrokerKeys:
    """The private halves."""

    log: LogSigner
    receipts: Ed25519Signer
    snapshot: TufKey
    timestamp: TufKey

    @classmethod
    def generate(cls, origin: Origin) -> "BrokerKeys":
        """Make new keys."""
        return cls(LogSigner.generate(origin), Ed25519Signer.generate(), TufKey.generate(), TufKey.generate())

    @classmethod
    def open(cls, custody: Custody) -> "BrokerKeys":
        """Open the keys of a custody; raise `CustodyError` or `MalformedError`."""
        return cls(
            LogSigner.from_bytes(custody.open("log")),
            Ed25519Signer.from_bytes(custody.open("receipt")),
            TufKey.from_bytes(custody.open("snapshot")),
            TufKey.from_bytes(custody.open("timestamp")),
        )

    def keep(self, custody: Custody) -> None:
        """Keep the keys in a custody, durably."""
        custody.keep("log", self.log.to_bytes())
        custody.keep("receipt", self.receipts.to_bytes())
        custody.keep("snapshot", self.snapshot.to_bytes())
        custody.keep("timestamp", self.timestamp.to_bytes())

    @property
    def public(self) -> BrokerPublic:
        """Return the public halves."""
        log = LogTarget(self.log.keys, self.receipts.kid, self.receipts.public)
        return BrokerPublic(log, self.snapshot.public, self.timestamp.public)


def init_broker(folder: Path, origin: str, passphrase: bytes) -> BrokerPublic:
    """Make a broker's folder with new keys, and write `broker-public.json` into it.

    Raises `FileExistsError` where there is a broker already, `FormError` for an origin that cannot be one, and
    `CustodyError` for an empty passphrase or for keys under another one.
    """
    name = ids.origin(origin)
    durable.make_folder(folder)
    if (folder / PUBLIC).exists():
        raise FileExistsError(errno.EEXIST, "There is a broker in this folder already", str(folder))
    keys = BrokerKeys.generate(name)
    keys.keep(FileCustody(folder / KEYS, passphrase))
    # The public file comes last: without it nothing was initialised, and the next attempt makes new keys.
    durable.create(folder / PUBLIC, keys.public.encode())
    return keys.public


def public_of(folder: Path) -> BrokerPublic:
    """Return the public keys of a broker's folder; raise `ConfigurationError` where there is none."""
    try:
        data = (folder / PUBLIC).read_bytes()
    except OSError:
        raise ConfigurationError(
            "There is no broker in this folder.", pointer="/state", hint="Run `valise broker init` first."
        ) from None
    try:
        return BrokerPublic.parse(data)
    except Error:
        raise ConfigurationError(f"{PUBLIC} is damaged.", pointer="/state") from None


def install_directory(folder: Path, files: Mapping[str, bytes], passphrase: bytes, *, now: int) -> int:
    """Put what the ceremony signed into a broker's ledger, as the directory's first version, and return the version.

    `files` are `1.root.json`, `1.targets.json` and every target `network/…` by path; `now` is Unix seconds. The broker
    signs snapshot and timestamp. Raises `DirectoryError` where a client would refuse it, a `wrong-log` problem where it
    names another log's keys, and `ConfigurationError` where a directory is installed already.
    """
    public = public_of(folder)
    keys = BrokerKeys.open(FileCustody(folder / KEYS, passphrase))
    missing = {ROOT, TARGETS} - files.keys()
    if missing:
        raise ConfigurationError(f"The ceremony's files lack {', '.join(sorted(missing))}.")
    network = {path: data for path, data in files.items() if path.startswith(NETWORK)}
    repository = repository_of({ROOT: files[ROOT]}, keys)
    version = repository.begin(files[TARGETS], network, now=now)
    demand_own_log(version.directory.log, public)
    ledger = SqliteLedger(folder / LEDGER, public.origin)
    try:
        if directory_files(ledger):
            raise ConfigurationError("A directory is installed already; it changes by uploads.", pointer="/state")
        found = repository.after(version).files
        ledger.append(Append(objects={directory_object(name): data for name, data in found.items()}))
    finally:
        ledger.close()
    return version.snapshot_version


def repository_of(files: Mapping[str, bytes], keys: BrokerKeys) -> Repository:
    """Return the repository of a broker: files, its two keys, and the readers of laws and network rules."""
    return Repository(files, keys.snapshot, keys.timestamp, _check_law, _check_network)


def demand_own_log(log: LogTarget, public: BrokerPublic) -> None:
    """Demand that the directory names this broker's log and receipt keys: its clients would refuse everything else."""
    if log != public.log:
        raise Error("The directory names another log's keys than this broker's.", problem="wrong-log")


def _check_law(state: Role, data: bytes) -> None:
    """Refuse a law that is another State's, or that could only deny: what cannot be evaluated is not let in."""
    check_flawless(own_profile(state, data), vocabulary())


def _check_network(data: bytes) -> None:
    parse_network(data)
