"""The TUF client: from files, or from the broker's static directory, to a verified `Directory` (TUF 1.0.31 section 5).

python-tuf's `Updater` checks signatures, thresholds, versions, digests and expiry; this module adds what it leaves out:
scopes (`scope.py`), the append-only rule, the origin, and a store that keeps the last good files. It blocks: call it in a
thread. It knows no ledger: pass `check` to compare a new version with the newest directory leaf before it is kept.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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
from keys.directory.append_only import check_append_only
from keys.directory.directory import Directory
from keys.directory.errors import (
    DirectoryAppendOnlyError,
    DirectoryAwayError,
    DirectoryError,
    DirectoryFrozenError,
    DirectoryRollbackError,
    DirectoryScopeError,
    DirectorySignatureError,
)
from keys.directory.log_target import LogTarget
from keys.directory.records import MAX_STATE_FILE, StateFile
from keys.directory.store import DirectoryStore, Stored
from keys.directory.tuf_api import Root, Snapshot, Targets, Timestamp
from schemas.encoding import Time, from_seconds
from schemas.errors import FormError, MalformedError, TooLargeError
from schemas.ids import Origin, Role

Fetch = Callable[[str], bytes | None]
"""Return a file of the static directory by its name, such as `timestamp.json`, or None where it is not served (404).

Raises whatever it likes when the broker cannot be reached; must not read more than `MAX_FILE` bytes.
"""

MAX_FILE: Final = MAX_STATE_FILE

DAY: Final = 24 * 3600
WARN_DAYS: Final = (60, 30, 7, 0)

_BASE: Final = "directory:/"
_CONFIG: Final = UpdaterConfig(max_delegations=4096, root_max_length=1 << 20, targets_max_length=MAX_FILE)


def load_directory(
    files: Mapping[str, bytes], root: bytes, *, origin: Origin, now: int, version: int | None = None
) -> Directory:
    """Verify a directory that is at hand as files, without network, and return it.

    `root` is the trusted root metadata, `now` the Unix seconds at which nothing may have expired. `version` asks for an
    older snapshot by its number: give the time of its ledger leaf for `now`. Raises `DirectoryError`.
    """
    at_hand = dict(files)
    if version is not None and (then := files.get(f"{version}.{files_of.TIMESTAMP}")) is not None:
        at_hand[files_of.TIMESTAMP] = then
    directory, _ = _load(_Files({}, at_hand.get), root, origin=origin, now=now, before={})
    if version not in {None, directory.version}:
        raise DirectoryError("The files do not hold this version of the directory.")
    return directory


def root_fingerprint(root: bytes) -> str:
    """Return SHA-256 of a root file's bytes in 16 groups of four hexadecimal digits, to be compared out of band."""
    digits = sha256(root).hexdigest()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


@dataclass(frozen=True, slots=True)
class ExpiryWarning:
    """Metadata that expires soon: its name (`root`, `targets`, `fr`, `fr-law`), when, and the days left, rounded down.

    `within` is the smallest of 60, 30, 7 and 0 days that is left; 0 says that it has expired.
    """

    name: str
    expires: Time
    days: int
    within: int


def expiry_warnings(directory_files: Mapping[str, bytes], now: int) -> tuple[ExpiryWarning, ...]:
    """Return what of a verified directory's files expires within 60 days from `now` (Unix seconds), soonest first.

    Snapshot and timestamp are not looked at: the operator renews them by machine. Raises `DirectoryError`.
    """
    timestamp = files_of.read(directory_files[files_of.TIMESTAMP], Timestamp).signed
    snapshot = files_of.read(directory_files[f"{timestamp.snapshot_meta.version}.snapshot.json"], Snapshot).signed
    root = files_of.read(directory_files[f"{files_of.newest_root(directory_files)}.root.json"], Root).signed
    expiries = {"root": int(root.expires.timestamp())}
    for file, meta in snapshot.meta.items():
        name = file.removesuffix(".json")
        role = files_of.read(directory_files[f"{meta.version}.{file}"], Targets).signed
        expiries[name] = int(role.expires.timestamp())
    warnings = []
    for name, expires in sorted(expiries.items(), key=lambda item: (item[1], item[0])):
        left = expires - now
        if left <= WARN_DAYS[0] * DAY:
            within = min(days for days in WARN_DAYS if left <= days * DAY)
            warnings.append(ExpiryWarning(name, from_seconds(expires), left // DAY, within))
    return tuple(warnings)


class DirectoryClient:
    """Follow a broker's directory and keep its last good version in a folder. Not for several threads at once.

    `root` is the root metadata that was installed at enrolment: trust begins there on every load.
    """

    def __init__(
        self, fetch: Fetch, store: Path, root: bytes, origin: Origin, *, clock: Callable[[], int] | None = None
    ) -> None:
        self._fetch = fetch
        self._store = DirectoryStore(store)
        self._root = root
        self._origin = origin
        self._clock = clock or _unix_time
        self._good: Stored | None = None  # the files of the last good version; written by `stored` and `refresh`
        self._directory: Directory | None = None  # what `_good` says; written with it

    def stored(self) -> Directory | None:
        """Return the last good directory, as of the time when it was verified, or None where there is none yet.

        It may have expired since (`valid_until`). Raises `DirectoryError` where the store is damaged, and a `newer-store`
        problem where a newer version wrote it.
        """
        if self._directory is None and (kept := self._store.read()) is not None:
            self._directory = load_directory(kept.files, self._root, origin=self._origin, now=kept.verified_at)
            self._good = kept
        return self._directory

    @property
    def files(self) -> Mapping[str, bytes]:
        """Return the files of the last good version by name, for evidence and for `expiry_warnings`; raise as `stored`."""
        self.stored()
        return {} if self._good is None else self._good.files

    def refresh(
        self,
        known: Directory | None = None,
        *,
        tree_size: int = 0,
        check: Callable[[Directory], None] | None = None,
    ) -> Directory:
        """Fetch what is new and return the directory: `known` itself where nothing is (two requests).

        `known` (default: the last good one) is what the append-only rule is held against; `tree_size` is the index of
        its leaf + 1, if the caller knows it. `check` sees a new version before it is kept, and refuses it by raising.
        Raises `DirectoryError`, whose problem says what is wrong; the last good version then stays.
        """
        good = self.files
        known = known or self._directory
        now = self._clock()
        files = _Files(good, self._fetch)
        if known is not None and _unchanged(files, good, known, now):
            return known
        directory, served = _load(files, self._root, origin=self._origin, now=now, before=good, known=known)
        if known is not None:
            _check_successor(known, directory, tree_size)
        if check is not None:
            check(directory)
        good_now = Stored(now, served)
        self._store.write(good_now)
        self._good = good_now
        self._directory = directory
        return directory


class _Files(FetcherInterface):
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


def _unchanged(files: _Files, good: Mapping[str, bytes], known: Directory, now: int) -> bool:
    """Say whether a fresh timestamp still names the known snapshot: two requests, one signature.

    Whatever is odd is left to the full load, which says what is wrong.
    """
    newest = files_of.newest_root(good)
    if newest == 0 or now >= known.valid_until or files.get(f"{newest + 1}.root.json") is not None:
        return False
    root = files_of.read(good[f"{newest}.root.json"], Root).signed
    seen = files_of.read(good[files_of.TIMESTAMP], Timestamp).signed
    try:
        new = files_of.read(files.get(files_of.TIMESTAMP) or b"", Timestamp)
        root.verify_delegate(Timestamp.type, new.signed_bytes, new.signatures)
    except (DirectoryError, RepositoryError):
        return False
    meta = new.signed.snapshot_meta
    return (
        new.signed.version >= seen.version
        and not new.signed.is_expired(files_of.moment(now))
        and meta.version == known.version
        and meta.hashes == {"sha256": known.snapshot.hex()}
    )


def _load(
    files: _Files,
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

    def __init__(self, updater: Updater, cache: Path, files: _Files) -> None:
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


def _check_successor(old: Directory, new: Directory, tree_size: int) -> None:
    """Check a new version against the known one; raise `DirectoryError`."""
    if new.version < old.version:
        raise DirectoryRollbackError("The directory is older than the one known.")
    if new.version == old.version and new.snapshot != old.snapshot:
        raise DirectoryRollbackError("Another directory stands under the version known.")
    for role, state in old.last_good.items():
        if role in new.roles:
            check_append_only(state, new.roles[role], tree_size=tree_size, now_s=0, at_upload=False)
        elif role not in new.unreadable:
            raise DirectoryAppendOnlyError("A role was removed; it may only be suspended.")


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


def _unix_time() -> int:
    return int(time.time())
