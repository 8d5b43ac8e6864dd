"""As much of Kafka's protocol as starting it needs: ask a node how many serve, and add ACLs.

Requests are of version 1, which has no tagged fields. ACLs come from a file of properties, the one that production uses.
"""

import contextlib
import dataclasses
import socket
import ssl
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.kafka.certificates import Identity
from deploy.kafka.processes import KafkaError

_METADATA: Final = 3
_CREATE_ACLS: Final = 30
_SECONDS: Final = 5

# Kafka's numbers: ResourceType, PatternType, AclOperation, AclPermissionType.
RESOURCES: Final = {"topic": 2, "group": 3, "cluster": 4}
PATTERNS: Final = {"literal": 3, "prefixed": 4}
OPERATIONS: Final = {"Read": 3, "Write": 4, "Create": 5, "Delete": 6, "Alter": 7, "Describe": 8, "DescribeConfigs": 10}
_ALLOW: Final = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Acl:
    """What a principal may do to a resource, from any host."""

    principal: str
    resource: str
    pattern: str
    name: str
    operation: str


def read_properties(path: Path) -> dict[str, str]:
    """Read a file of `name=value` lines; blank ones and such that start with `#` say nothing."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def read_acls(path: Path) -> list[Acl]:
    """Read ACLs: for each number N `acl.N.principal`, `.resource`, `.pattern`, `.name` and `.operations`."""
    entries: dict[str, dict[str, str]] = {}
    for name, value in read_properties(path).items():
        _, number, member = name.split(".")
        entries.setdefault(number, {})[member] = value
    return [
        Acl(entry["principal"], entry["resource"], entry["pattern"], entry["name"], operation)
        for entry in entries.values()
        for operation in entry["operations"].split(",")
    ]


class Connection:
    """Where a node listens to its like, and as whom it is asked (None: without encryption)."""

    def __init__(self, host: str, port: int, identity: Identity | None) -> None:
        self._address = (host, port)
        self._identity = identity

    def nodes_serving(self) -> int:
        """Return how many nodes serve, as this one knows; 0 if it does not answer."""
        try:
            answer = self._ask(_METADATA, struct.pack(">i", 0))
        except OSError:
            return 0
        return int(struct.unpack_from(">i", answer)[0])

    def allow(self, acls: Sequence[Acl]) -> None:
        """Add ACLs; raise `KafkaError` if one is refused, `OSError` if the node does not answer."""
        answer = self._ask(_CREATE_ACLS, struct.pack(">i", len(acls)) + b"".join(map(_encoded, acls)))
        at = 8  # after the throttle time and the count
        for acl in acls:
            code, length = struct.unpack_from(">hh", answer, at)
            if code != 0:
                raise KafkaError(f"Kafka refused {acl} with error code {code}.")
            at += 4 + max(length, 0)

    def _ask(self, api: int, body: bytes) -> bytes:
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection(self._address, timeout=_SECONDS))
            if self._identity is not None:
                context = ssl.create_default_context(cafile=str(self._identity.authority))
                context.load_cert_chain(self._identity.certificate, self._identity.key)
                connection = stack.enter_context(context.wrap_socket(connection, server_hostname=self._address[0]))
            message = struct.pack(">hhi", api, 1, 1) + _string("valise") + body
            connection.sendall(struct.pack(">i", len(message)) + message)
            file = stack.enter_context(connection.makefile("rb"))
            answer = file.read(int.from_bytes(file.read(4), "big"))
            if len(answer) < 8:
                raise ConnectionError("Kafka closed the connection.")
            return answer[4:]  # after the correlation id


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _encoded(acl: Acl) -> bytes:
    kind, pattern = struct.pack(">b", RESOURCES[acl.resource]), struct.pack(">b", PATTERNS[acl.pattern])
    rights = struct.pack(">bb", OPERATIONS[acl.operation], _ALLOW)
    return kind + _string(acl.name) + pattern + _string(acl.principal) + _string("*") + rights
