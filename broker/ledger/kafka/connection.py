"""How to reach the cluster: identity and trust turned into the arguments of aiokafka's clients, all waits bounded.

Mutual TLS with PEM files, or SCRAM-SHA-512 over TLS; plain connections are for practice on this machine only. The values
are those that were measured (design: kafka): a dead node costs seconds, not tens of them.
"""

import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from broker.ledger.kafka.topics import MAX_MESSAGE
from schemas.errors import Error

REQUEST_MS: Final = 4000
"""Milliseconds that one request may take. A batch that ages past it poisons its producer (aiokafka #1017)."""

_PORTS: Final = 65535
_BATCH: Final = 1 << 20


class ConnectionSettingsError(Error):
    """The cluster cannot be reached safely with these settings; `pointer` names the value."""

    problem = "configuration"


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the cluster is, and who we are there.

    `bootstrap` is `host:port,host:port`. Either `certificate` and `key` (PEM; mutual TLS) or `username` and `password`
    (SCRAM-SHA-512), both with `ca`, the PEM file that the nodes' certificates are held against. None of them: a plain
    connection, which is refused but in `practice` on the loopback interface. Raises `ConnectionSettingsError`.
    """

    bootstrap: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    practice: bool = False

    def __post_init__(self) -> None:
        hosts = [_host(address) for address in self.bootstrap.split(",")]
        tls, scram = self.certificate is not None, self.username is not None
        if tls is (self.key is None):
            raise ConnectionSettingsError("A certificate needs its key.", pointer="/kafka/key")
        if scram is (self.password is None):
            raise ConnectionSettingsError("A user name needs its password.", pointer="/kafka/username")
        if tls and scram:
            raise ConnectionSettingsError("One identity only: a certificate or a user.", pointer="/kafka/username")
        if tls or scram:
            if self.ca is None:
                raise ConnectionSettingsError("The nodes' certificates must be verified.", pointer="/kafka/ca")
        elif self.ca is not None:
            raise ConnectionSettingsError("Nodes must know who we are.", pointer="/kafka/certificate")
        elif not self.practice or not all(_local(host) for host in hosts):
            raise ConnectionSettingsError(
                "A plain connection is for practice on this machine only.",
                pointer="/kafka/bootstrap",
                hint="Set ca, and certificate and key or username and password_file.",
            )

    def client(self) -> dict[str, Any]:
        """Return the arguments that every client takes; raise `ConnectionSettingsError` for files that are no use."""
        common: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap.split(","),
            "request_timeout_ms": REQUEST_MS,
            "retry_backoff_ms": 50,
            "metadata_max_age_ms": 5000,
            "security_protocol": "PLAINTEXT",
        }
        if self.ca is None:
            return common
        common |= {"security_protocol": "SSL", "ssl_context": self._tls(self.ca)}
        if self.username is not None:
            common |= {
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return common

    def producer(self) -> dict[str, Any]:
        """Return the arguments of an `AIOKafkaProducer` whose every acknowledgement means min.insync.replicas copies."""
        return {
            **self.client(),
            "acks": "all",
            "enable_idempotence": True,
            "linger_ms": 0,  # what arrives while a batch is under way makes the next one
            "max_batch_size": _BATCH,
            "max_request_size": MAX_MESSAGE,
        }

    def consumer(self) -> dict[str, Any]:
        """Return the arguments of an `AIOKafkaConsumer` that is assigned its partitions and sought by its owner.

        It belongs to no group, commits nothing, and fails where an offset is not there any more.
        """
        return {
            **self.client(),
            "group_id": None,
            "enable_auto_commit": False,
            "auto_offset_reset": "none",
            "fetch_max_wait_ms": 500,
            "fetch_max_bytes": 8 * MAX_MESSAGE,  # so that an answer comes within the request's time
            "max_partition_fetch_bytes": 4 * MAX_MESSAGE,
        }

    def _tls(self, ca: Path) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=str(ca))
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            if self.certificate is not None:
                # The password is for keys that are encrypted: refuse these, for nobody is there to be asked.
                context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        except OSError as error:  # ssl.SSLError is one
            what = "is not of use" if isinstance(error, ssl.SSLError) else f"cannot be read: {error.strerror}"
            raise ConnectionSettingsError(f"A certificate or key file {what}.", pointer="/kafka") from None
        return context


def _host(address: str) -> str:
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= _PORTS):
        raise ConnectionSettingsError("Must be host:port,host:port.", pointer="/kafka/bootstrap")
    return host.removeprefix("[").removesuffix("]")


def _local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
