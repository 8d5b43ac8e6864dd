"""What of a directory expires soon: for `doctor`, the console and the focal point's monitor, which warn people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keys.directory import metadata as files_of
from keys.directory.tuf_api import Root, Snapshot, Targets, Timestamp
from schemas.encoding import Time, from_seconds

DAY: Final = 24 * 3600
WARN_DAYS: Final = (60, 30, 7, 0)


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
