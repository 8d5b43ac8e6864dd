"""The root ceremony: root holders' keys, the first root and targets, the delegations to States (design: access).

The operator gives the public halves of its keys in `broker-public.json` (`broker init` writes it) and gets the ceremony's
outcome as a folder of files; it takes part in no signature of the root. Bytes in and out; custody and files are the
command's business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from keys.directory import edit
from keys.directory.ceremony import Ceremony, RoleKeys, TufKey, TufPublic, first_targets
from keys.directory.log_target import LogTarget
from keys.directory.metadata import LOG_TARGET, NETWORK_TARGET
from schemas import encoding, strict_json
from schemas.encoding import Members
from schemas.errors import FormError
from schemas.ids import Origin

TYP: Final = "valise-broker/1"
ROOT: Final = "1.root.json"
TARGETS: Final = "1.targets.json"
_OPERATOR: Final = ("v", "typ", "log", "snapshot", "timestamp")


@dataclass(frozen=True, slots=True)
class Operator:
    """What a broker shows of its keys: those of snapshot and timestamp, and the target `network/log.json`."""

    log: LogTarget
    snapshot: TufPublic
    timestamp: TufPublic

    @property
    def origin(self) -> Origin:
        """Return the log's origin."""
        return self.log.keys.origin

    @classmethod
    def parse(cls, data: bytes) -> "Operator":
        """Read `broker-public.json`; raise `MalformedError` or `FormError`."""
        m = Members(strict_json.parse(data), _OPERATOR)
        m.fixed("v", 1)
        m.fixed("typ", TYP)
        log, snapshot, timestamp = (_object(m, name) for name in _OPERATOR[2:])
        return cls(LogTarget.parse(log), TufPublic.parse(snapshot), TufPublic.parse(timestamp))


@dataclass(frozen=True, slots=True)
class Founded:
    """The outcome of a ceremony: root and targets signed by a threshold of holders, and the network's targets."""

    root: bytes
    targets: bytes
    network: Mapping[str, bytes]

    def files(self) -> dict[str, bytes]:
        """Return the files that a broker begins its directory with, by name."""
        return {ROOT: self.root, TARGETS: self.targets, **self.network}


def found(
    operator: Operator,
    holders: Sequence[TufKey],
    roles: Sequence[RoleKeys],
    network: bytes,
    *,
    threshold: int,
    now: int,
) -> Founded:
    """Hold the ceremony: the first `threshold` holders sign. Raises `DirectoryError`."""
    ceremony = Ceremony(
        holders=tuple(key.public for key in holders),
        snapshot=operator.snapshot,
        timestamp=operator.timestamp,
        threshold=threshold,
    )
    files = {NETWORK_TARGET: network, LOG_TARGET: operator.log.encode()}
    root, targets = ceremony.root(now=now), first_targets(files, roles, now=now)
    for key in holders[:threshold]:
        root, targets = edit.sign_role(root, key), edit.sign_role(targets, key)
    return Founded(root, targets, files)


def _object(m: Members, name: str) -> bytes:
    value = m.value[name]
    if not isinstance(value, dict):
        raise FormError("Must be an object.", pointer=f"/{name}")
    return encoding.encode(value)
