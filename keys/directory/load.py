"""From files to a verified `Directory`: python-tuf's `Updater`, and what it leaves out (TUF 1.0.31 section 5).

The updater checks signatures, thresholds, versions, digests and expiry; this module checks scopes (`scope.py`), forms and
the origin. Files come from memory or from a function; nothing is kept. A role that has expired is left out, for the
others go on without it; anything else that is wrong refuses the whole.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from keys.directory import metadata as files_of
from keys.directory import scope as scopes
from keys.directory.directory import Directory
from keys.directory.errors import (
    DirectoryAwayError,
    DirectoryError,
    DirectoryFrozenError,
    DirectoryRollbackError,
    DirectoryScopeError,
    DirectorySignatureError,
)
from keys.directory.log_target import LogTarget
from keys.directory.records import MAX_STATE_FILE, StateFile
from keys.directory.tuf_api import Root, Snapshot, Targets, Timestamp
from schemas.errors import FormError, MalformedError, TooLargeError
from schemas.ids import Origin, Role

Fetch = Callable[[str], bytes | None]
"""Return a file of the static directory by its name, such as `timestamp.json`, or None where it is not served (404).

Raises whatever it likes when the broker cannot be reached; must not read more than `MAX_FILE` bytes.
"""

MAX_FILE: Final = MAX_STATE_FILE

_BASE: Final = "directory:/"
_CONFIG: Final = UpdaterConfig(max_delegations=4096, root_max_length=1 << 20, targets_max_length=MAX_FILE)


def load_directory(
    files: Mapping[str, bytes], root: bytes, *, origin: Origin, now: int, version: int | None = None
) -> Directory:
    """Verify a directory that is at hand as files, without network, and return it.

    `root` is the trusted root metadata, `now` the Unix seconds at which nothing may have expired. `version` asks for an
    older snapshot by its number: give the time of its ledger leaf for `now`; in files that are evidence like this no
    flipped bit passes, not even one that python-tuf takes for another spelling. Raises `DirectoryError`.
    """
    at_hand = dict(files)
    if version is not None:
        # All other files are fixed by digests; these by their signatures alone.
        for name in files:
            if name.endswith((files_of.TIMESTAMP, files_of.ROOT_SUFFIX)):
                files_of.demand_one_spelling(files[name])
        if (then := files.get(f"{version}.{files_of.TIMESTAMP}")) is not None:
            at_hand[files_of.TIMESTAMP] = then
    directory, _ = load(Files({}, at_hand.get), root, origin=origin, now=now, before={})
    if version not in {None, directory.version}:
        raise DirectoryError("The files do not hold this version of the directory.")
    return directory


class Files(FetcherInterface):
    """Files for the updater: immutable ones that are at hand, else fetched, once; remembers what it served."""

    def __init__(self, at_hand: Mapping[str, bytes], fetch: Fetch) -> None:
        self._at_hand = {name: data for name, data in at_hand.items() if name != files_of.TIMESTAMP}
        self._fetch_one = fetch
        self._answers: dict[str, bytes | None] = {}

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.removeprefix(_BASE)
        if name not in self._answers:
            self._answers[name] = self._at_hand.get(name) or self._fetch_one(name)
        data = self._answers[name]
        if data is None:
            raise DownloadHTTPError("not served", 404)
        return iter((data,))

    def get(self, name: str) -> bytes | None:
        """Return a file, or None where it is not served; raise `DirectoryAwayError`."""
        try:
            return self.download_bytes(f"{_BASE}{name}", MAX_FILE)
        except DownloadHTTPError:
            return None
        except DownloadError as error:
            raise _translated(error) from error

    def served(self) -> dict[str, bytes]:
        """Return every file that was asked for and found."""
        return {name: data for name, data in self._answers.items() if data is not None}


def load(
    files: Files,
    root: bytes,
    *,
    origin: Origin,
    now: int,
    before: Mapping[str, bytes],
    known: Directory | None = None,
) -> tuple[Directory, dict[str, bytes]]:
    """Run python-tuf's updater over some files and read the directory; return it with the files that it consists of.

    `before` are the last good files, against which timestamp and snapshot must not go back.
    """
    with TemporaryDirectory(prefix="valise-directory-") as folder:
        cache, targets = Path(folder, "metadata"), Path(folder, "targets")
        cache.mkdir()
        targets.mkdir()
        _prepare(cache, before)
        try:
            updater = Updater(
                str(cache), _BASE, str(targets), f"{_BASE}targets/", fetcher=files, config=_CONFIG, bootstrap=root
            )
            # The updater reads the machine's clock and has no argument for it.
            updater._trusted_set.reference_time = files_of.moment(now)  # noqa: SLF001
            updater.refresh()
            return _Reading(updater, cache, files).directory(origin, known)
        except (RepositoryError, DownloadError) as error:
            raise _translated(error) from error
        except (FormError, MalformedError, TooLargeError) as error:
            raise DirectoryError(error.detail, pointer=error.pointer) from error


def _prepare(cache: Path, before: Mapping[str, bytes]) -> None:
    timestamp = before.get(files_of.TIMESTAMP)
    if timestamp is None:
        return
    version = files_of.read(timestamp, Timestamp).signed.snapshot_meta.version
    (cache / files_of.TIMESTAMP).write_bytes(timestamp)
    (cache / "snapshot.json").write_bytes(before[f"{version}.snapshot.json"])


class _Reading:
    """Read a directory out of a refreshed updater and its cache."""

    def __init__(self, updater: Updater, cache: Path, files: Files) -> None:
        self._updater = updater
        self._cache = cache
        self._files = files
        self.root = self._read("root", Root)
        self.timestamp = self._read("timestamp", Timestamp)
        self.snapshot = self._read("snapshot", Snapshot)
        self.targets = self._read("targets", Targets)
        self._expiries: list[datetime] = [self.root.expires, self.snapshot.expires, self.targets.expires]
        self._unreadable: set[str] = set()

    def directory(self, origin: Origin, known: Directory | None) -> tuple[Directory, dict[str, bytes]]:
        """Check the scopes, read every role, and return the directory and its files."""
        scopes.check_root(self.root)
        scopes.check_timestamp(self.timestamp)
        # Before any target is asked for: a top-level target would be taken for a State's own.
        scopes.check_targets(self.targets)
        scopes.check_snapshot(self.snapshot, self.targets)
        network = self._target(files_of.NETWORK_TARGET)
        log = LogTarget.parse(self._target(files_of.LOG_TARGET))
        if log.keys.origin != origin:
            raise DirectoryError("The directory is another deployment's.", problem="wrong-log")
        roles: dict[Role, StateFile] = {}
        laws: dict[Role, bytes] = {}
        for name in scopes.delegated(self.targets):
            scope = scopes.scope_of(name)
            data = self._role(name, scope)
            if data is not None and scope.law:
                laws[scope.role] = data
            elif data is not None:
                roles[scope.role] = StateFile.parse(data, scope.role)
        snapshot = self._bytes("snapshot")
        directory = Directory(
            version=self.snapshot.version,
            snapshot=sha256(snapshot).digest(),
            origin=origin,
            roles=roles,
            laws=laws,
            network=network,
            log=log,
            role_versions={
                "root": self.root.version,
                **{name.removesuffix(".json"): meta.version for name, meta in self.snapshot.meta.items()},
            },
            unreadable=frozenset(self._unreadable),
            last_good={**({} if known is None else known.last_good), **roles},
            valid_until=int(min(self._expiries).timestamp()),
        )
        return directory, {
            **self._files.served(),
            f"{self.root.version}.root.json": self._bytes("root"),
            files_of.TIMESTAMP: self._bytes("timestamp"),
            f"{self.snapshot.version}.snapshot.json": snapshot,
        }

    def _role(self, name: str, scope: scopes.Scope) -> bytes | None:
        """Return a role's own target, or None where it has none yet or has expired: the others go on without it."""
        if f"{name}.json" not in self.snapshot.meta:
            return None
        try:
            data = self._target(scope.target)
        except ExpiredMetadataError:
            self._unreadable.add(name)
            return None
        role = self._read(name, Targets)
        scopes.check_role(name, role)
        self._expiries.append(role.expires)
        return data

    def _target(self, path: str) -> bytes:
        info = self._updater.get_targetinfo(path)
        if info is None:
            raise DirectoryScopeError(f"No role names {path}.")
        if info.length > MAX_FILE:
            raise DirectoryError(f"{path} has more than {MAX_FILE} bytes.")
        return Path(self._updater.download_target(info)).read_bytes()

    def _read(self, name: str, kind: type[files_of.T]) -> files_of.T:
        return files_of.read(self._bytes(name), kind).signed

    def _bytes(self, name: str) -> bytes:
        return (self._cache / f"{name}.json").read_bytes()


def _translated(error: RepositoryError | DownloadError) -> DirectoryError:
    """Return our error for one of python-tuf's, in our words."""
    if isinstance(error, ExpiredMetadataError):
        return DirectoryFrozenError("Root, timestamp, snapshot or targets have expired.")
    if isinstance(error, BadVersionNumberError):
        return DirectoryRollbackError("Metadata has another version than it must have, or an older one.")
    if isinstance(error, UnsignedMetadataError):
        return DirectorySignatureError("Metadata is not signed by as many of its role's keys as it must be.")
    if isinstance(error, LengthOrHashMismatchError):
        return DirectoryError("Files do not belong together: a length or digest differs.")
    if isinstance(error, DownloadHTTPError | DownloadLengthMismatchError):
        return DirectoryError("A file that is listed is not served, or has another length.")
    if isinstance(error, DownloadError):
        return DirectoryAwayError("The directory cannot be fetched now.")
    return DirectoryError("Metadata is malformed, or does not go on from what is known.")
