"""The root ceremony: root holders' keys, the first root and targets, the delegations to States (design: access).

The operator gives the public halves of its keys in `broker-public.json` and gets the ceremony's outcome as one file; it
takes part in no signature of the root. Bytes in and out; custody and files are the command's business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from keys.directory import edit
from keys.directory.ceremony import Ceremony, RoleKeys, TufKey, TufPublic, first_targets
from keys.directory.log_target import LogTarget
from keys.directory.metadata import LOG_TARGET, NETWORK_TARGET
from schemas import encoding, ids, strict_json
from schemas.encoding import Members, b64encode
from schemas.errors import FormError
from schemas.ids import Origin
from schemas.strict_json import Json

OPERATOR_TYP: Final = "valise-broker-public/1"
TYP: Final = "valise-founding/1"
_OPERATOR: Final = ("v", "typ", "origin", "snapshot", "timestamp", "log")


@dataclass(frozen=True, slots=True)
class Operator:
    """What a broker shows of its keys: those of snapshot and timestamp, and the target `network/log.json`."""

    origin: Origin
    snapshot: TufPublic
    timestamp: TufPublic
    log: LogTarget

    @classmethod
    def parse(cls, data: bytes) -> "Operator":
        """Read `broker-public.json`; raise `MalformedError` or `FormError`."""
        m = Members(strict_json.parse(data), _OPERATOR)
        m.fixed("v", 1)
        m.fixed("typ", OPERATOR_TYP)
        log = LogTarget.parse(_object(m, "log"))
        origin = m.matching("origin", ids.origin)
        if log.keys.origin != origin:
            raise FormError("Must be the log's origin.", pointer="/origin")
        return cls(origin, TufPublic.parse(_object(m, "snapshot")), TufPublic.parse(_object(m, "timestamp")), log)


@dataclass(frozen=True, slots=True)
class Founded:
    """The outcome of a ceremony: root and targets signed by a threshold of holders, and the network's targets."""

    root: bytes
    targets: bytes
    network: Mapping[str, bytes]

    def encode(self) -> bytes:
        """Return the file for the operator: the broker begins its directory with it."""
        network: dict[str, Json] = {path: b64encode(data) for path, data in self.network.items()}
        return encoding.encode(
            {
                "v": 1,
                "typ": TYP,
                "root": b64encode(self.root),
                "targets": b64encode(self.targets),
                "network": network,
            }
        )


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
