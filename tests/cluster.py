"""A Kafka of one or three nodes for tests, which ends with the test run, however that ends.

Nodes are made and handled as `deploy/kafka/dev.py` does. Beside each cluster stands a guard: a process that kills the
nodes once the test run that holds the other end of its pipe is gone.
"""

import contextlib
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from broker.ledger.kafka.connection import Connection
from deploy.kafka import certificates, cluster, software
from deploy.kafka.certificates import Authority, Identity
from deploy.kafka.cluster import ADMIN, BROKER, STRANGER

__all__ = [
    "ADMIN",
    "BROKER",
    "STRANGER",
    "Authority",
    "Cluster",
    "Identity",
    "admin",
    "clear",
    "running",
    "skip_without_kafka",
]

_GUARD = """
import shutil
import sys
from pathlib import Path
from deploy.kafka.cluster import Cluster
sys.stdin.read()
folder = Path(sys.argv[1])
if (folder / "cluster.json").exists():
    Cluster(folder).kill_all()
shutil.rmtree(folder, ignore_errors=True)
"""
# aiokafka waits 40 s for a node that is frozen otherwise.
_PATIENCE = {"request_timeout_ms": 4000, "retry_backoff_ms": 50, "metadata_max_age_ms": 5000}
_ASKED = 3
_ROOT = Path(__file__).parent.parent


def lacking() -> str | None:
    """Return what this machine lacks of what Kafka needs; None where it lacks nothing."""
    return software.missing() or certificates.missing()


def skip_without_kafka() -> None:
    """Skip the test, or all that use the fixture, where this machine lacks what Kafka needs."""
    if (lack := lacking()) is not None:
        pytest.skip(lack)


class Cluster(cluster.Cluster):
    """A cluster of a test, and how its clients reach it. `running` makes and removes one."""

    def certificate(self, name: str = BROKER) -> Identity:
        """Return the PEM files (`authority`, `certificate`, `key`) of a client whose principal is that name."""
        return self.identity(name)

    def password_file(self, name: str = BROKER) -> Path:
        """Return a private file with the SCRAM password of `BROKER`, `STRANGER` or `ADMIN`."""
        file = self.folder / f"password-{name}"
        file.touch(mode=0o600)
        file.write_text(self.passwords[name] + "\n", encoding="utf-8")
        return file

    def client(self, name: str = BROKER) -> dict[str, Any]:
        """Return the arguments with which aiokafka's clients connect as that name."""
        common: dict[str, Any] = {"bootstrap_servers": self.bootstrap, **_PATIENCE}
        if self.security == "none":
            return common
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        if self.security == "tls":
            files = self.identity(name)
            context.load_cert_chain(files.certificate, files.key)
            return common | {"security_protocol": "SSL", "ssl_context": context}
        return common | {
            "security_protocol": "SASL_SSL",
            "ssl_context": context,
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": name,
            "sasl_plain_password": self.passwords[name],
        }

    def connection(self) -> Connection:
        """Return how the broker's own code connects: as `BROKER`, with the files that it would be given."""
        if self.security == "none":
            return Connection(self.bootstrap, practice=True)
        files = self.certificate()
        if self.security == "tls":
            return Connection(self.bootstrap, ca=files.authority, certificate=files.certificate, key=files.key)
        return Connection(self.bootstrap, ca=files.authority, username=BROKER, password=self.passwords[BROKER])

    def segments(self, topic: str) -> Iterator[Path]:
        """Find the segment files of a topic on all nodes."""
        for node in self.nodes:
            yield from node.data.glob(f"{topic}-[0-9]*/*.log")


@contextlib.contextmanager
def running(
    nodes: int = 1, security: str = "none", *, host: str = "127.0.0.1", settings: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """Make a cluster, start it, and remove it in the end with all that it kept."""
    cluster.prepare()
    folder = Path(tempfile.mkdtemp(prefix="valise-kafka-"))
    guard = subprocess.Popen(
        [sys.executable, "-c", _GUARD, str(folder)], stdin=subprocess.PIPE, cwd=_ROOT, start_new_session=True
    )
    try:
        kafka = Cluster.create(folder, nodes=nodes, security=security, host=host, settings=settings)
        try:
            kafka.start_all()
            yield kafka
        finally:
            kafka.kill_all()
    finally:
        guard.communicate()


@contextlib.asynccontextmanager
async def admin(kafka: Cluster, name: str = BROKER) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect an administration client as that name."""
    client = AIOKafkaAdminClient(**kafka.client(name))
    try:
        await client.start()
        yield client
    finally:
        await client.close()


async def clear(kafka: Cluster) -> None:
    """Delete the broker's topics and wait until the nodes know, so that the next test begins with none."""

    async def left(client: AIOKafkaAdminClient) -> list[str]:
        return [topic for topic in await client.list_topics() if topic.startswith("valise.")]

    async with admin(kafka, ADMIN) as client:
        answer = await client.delete_topics(await left(client))
        assert all(code == 0 for _, code in answer.topic_error_codes), answer
        agreed = 0
        while agreed < _ASKED * len(kafka.nodes):  # any of the nodes is asked
            agreed = 0 if await left(client) else agreed + 1
