"""The client: follow a broker's static directory and keep its last good version (TUF 1.0.31 section 5).

`load.py` verifies; this module adds the append-only rule, a store, and the short way for a directory that has not
changed. It blocks: call it in a thread. It knows no ledger: pass `check` to compare a new version with the newest
directory leaf before it is kept.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from tuf.api.exceptions import RepositoryError

from keys.directory import metadata as files_of
from keys.directory.append_only import check_append_only
from keys.directory.directory import Directory
from keys.directory.errors import DirectoryAppendOnlyError, DirectoryError, DirectoryRollbackError
from keys.directory.expiry import ExpiryWarning, expiry_warnings
from keys.directory.load import MAX_FILE, Fetch, Files, load, load_directory
from keys.directory.store import DirectoryStore, Stored
from keys.directory.tuf_api import Root, Timestamp
from schemas.ids import Origin

__all__ = [
    "MAX_FILE",
    "DirectoryClient",
    "ExpiryWarning",
    "Fetch",
    "expiry_warnings",
    "load_directory",
    "root_fingerprint",
]


def root_fingerprint(root: bytes) -> str:
    """Return SHA-256 of a root file's bytes in 16 groups of four hexadecimal digits, to be compared out of band."""
    digits = sha256(root).hexdigest()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


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
            directory = load_directory(kept.files, self._root, origin=self._origin, now=kept.verified_at)
            self._directory = replace(directory, last_good={**kept.last_good, **directory.roles})
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
        files = Files(good, self._fetch)
        if known is not None and _unchanged(files, good, known, now):
            return known
        directory, served = load(files, self._root, origin=self._origin, now=now, before=good, known=known)
        if known is not None:
            _check_successor(known, directory, tree_size)
        if check is not None:
            check(directory)
        beside = {role: state for role, state in directory.last_good.items() if role not in directory.roles}
        good_now = Stored(now, served, beside)
        self._store.write(good_now)
        self._good = good_now
        self._directory = directory
        return directory


def _unchanged(files: Files, good: Mapping[str, bytes], known: Directory, now: int) -> bool:
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


def _unix_time() -> int:
    return int(time.time())
