"""TUF metadata as bytes in and out: read, signed, named as files (TUF 1.0.31, consistent snapshots).

python-tuf does the work; its errors become ours here, without its words, which may quote what it was given. Names of
files are those of the static directory: `2.root.json`, `timestamp.json`, `5.snapshot.json`, `3.fr.json`,
`targets/fr/<sha256>.directory.json`.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, TypeVar

from tuf.api.exceptions import RepositoryError

from keys.directory.errors import DirectoryError
from keys.directory.tuf_api import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from keys.directory.tuf_key import TufKey

T = TypeVar("T", Root, Snapshot, Targets, Timestamp)

YEAR: Final = 365 * 24 * 3600
SNAPSHOT_LIFE: Final = 7 * 24 * 3600
TIMESTAMP_LIFE: Final = 6 * 3600
"""Seconds that metadata lives: root, targets and roles a year."""

TIMESTAMP: Final = "timestamp.json"
DIRECTORY_FILE: Final = "directory.json"
LAW_FILE: Final = "law.json"
ROOT_SUFFIX: Final = ".root.json"
NETWORK_TARGET: Final = "network/network.json"
LOG_TARGET: Final = "network/log.json"

_ROOT_NAME: Final = re.compile(r"([1-9][0-9]{0,9})\.root\.json")


def read(data: bytes, kind: type[T]) -> Metadata[T]:
    """Read metadata of one type, unverified; raise `DirectoryError`."""
    try:
        metadata = Metadata[T].from_bytes(data)
    except RepositoryError:
        raise DirectoryError("Not TUF metadata.") from None
    # python-tuf compares a version as it stands, and true or 1.0 would pass for 1.
    if not isinstance(metadata.signed, kind) or type(metadata.signed.version) is not int:
        raise DirectoryError(f"Not TUF metadata of type {kind.type}.")
    return metadata


def kind_of(data: bytes) -> str:
    """Return the type of some metadata, such as `root`; raise `DirectoryError`."""
    try:
        return Metadata.from_bytes(data).signed.type
    except RepositoryError:
        raise DirectoryError("Not TUF metadata.") from None


def demand_one_spelling(data: bytes) -> None:
    """Demand signatures in lower-case hexadecimal, for python-tuf takes either case; raise `DirectoryError`."""
    try:
        signatures = Metadata.from_bytes(data).signatures.values()
    except RepositoryError:
        raise DirectoryError("Not TUF metadata.") from None
    if any(one.signature != one.signature.lower() for one in signatures):
        raise DirectoryError("A signature is not written in lower-case hexadecimal.")


def sign(metadata: Metadata[T], key: TufKey) -> None:
    """Add one key's signature, in place of an older one of the same key."""
    metadata.sign(key.signer(), append=True)


def signed(signed_part: T, *keys: TufKey) -> bytes:
    """Return new metadata signed by some keys."""
    metadata = Metadata(signed_part)
    for key in keys:
        sign(metadata, key)
    return metadata.to_bytes()


def expiry(now: int, life: int) -> datetime:
    """Return the time `life` seconds after `now` (Unix seconds)."""
    return moment(now) + timedelta(seconds=life)


def moment(now: int) -> datetime:
    """Return a time in Unix seconds as python-tuf compares times; beyond the calendar's end, that end."""
    try:
        return datetime.fromtimestamp(now, tz=UTC)
    except (ValueError, OverflowError):
        return datetime.max.replace(tzinfo=UTC)


def meta_file(version: int, data: bytes) -> MetaFile:
    """Return version, length and SHA-256 of a metadata file."""
    return MetaFile.from_data(version, data, ["sha256"])


def target_file(path: str, data: bytes) -> TargetFile:
    """Return length and SHA-256 of a target."""
    return TargetFile.from_data(path, data, ["sha256"])


def stored_name(path: str, data: bytes) -> str:
    """Return the name under which a target is stored."""
    return named_by_digest(path, sha256(data).hexdigest())


def named_by_digest(path: str, digest: str) -> str:
    """Return the name under which a target of some SHA-256 (hexadecimal) is stored."""
    folder, _, name = path.rpartition("/")
    return f"targets/{folder}/{digest}.{name}"


def newest_root(files: Iterable[str]) -> int:
    """Return the greatest version of root among the names of some files, or 0."""
    return max((int(found[1]) for name in files if (found := _ROOT_NAME.fullmatch(name))), default=0)
