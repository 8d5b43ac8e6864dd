"""One or three KRaft nodes in a folder: made, started, stopped, killed, frozen.

The folder holds `cluster.json`, the certificates in `tls/`, and for each node its settings, its log, its data and which
process it is, so that any run may stop what another has started, and nothing else is ever signalled.

With `tls` and `scram` every listener is encrypted and ACLs are on: those of `production/acls.properties`, and nothing is
allowed besides. What this is not: a production set-up. That is `production/`.
"""

import contextlib
import dataclasses
import json
import os
import random
import secrets
import shutil
import signal
import socket
import tempfile
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from deploy.kafka import software
from deploy.kafka.certificates import Authority, Identity
from deploy.kafka.processes import KafkaError, Process, last_lines, spawn, until, wait
from deploy.kafka.protocol import Connection, read_acls

ACLS: Final = software.HERE / "production" / "acls.properties"
START_SECONDS: Final = 60
STOP_SECONDS: Final = 20

BROKER: Final = "valise-broker"
"""Who the broker's instances are to Kafka."""
STRANGER: Final = "stranger"
"""A client with a genuine certificate or password, and no rights."""
ADMIN: Final = "admin"
"""A client that may do everything."""
_NODE: Final = "valise-kafka"
"""Who the nodes are to each other; they may do everything, too."""
_CLIENTS: Final = (BROKER, STRANGER, ADMIN)

_STARTED: Final = b"Kafka Server started"
_PROTOCOLS: Final = {
    "none": {"CLIENT": "PLAINTEXT", "INTERNAL": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"},
    "tls": {"CLIENT": "SSL", "INTERNAL": "SSL", "CONTROLLER": "SSL"},
    "scram": {"CLIENT": "SASL_SSL", "INTERNAL": "SSL", "CONTROLLER": "SSL"},
}
SECURITIES: Final = tuple(_PROTOCOLS)

# What keeps stalls short and heaps small, and does not let a test wait minutes for the cleaner.
_TUNED: Final = {
    "auto.create.topics.enable": "false",
    "unclean.leader.election.enable": "false",
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "250",
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.election.backoff.max.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1000",
    "controller.quorum.request.timeout.ms": "1000",
    "controller.socket.timeout.ms": "2000",
    "replica.socket.timeout.ms": "3000",
    "replica.lag.time.max.ms": "5000",
    "group.initial.rebalance.delay.ms": "0",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.cleaner.backoff.ms": "500",
    "log.initial.task.delay.ms": "500",
    "log.retention.check.interval.ms": "1000",
    "log.segment.delete.delay.ms": "500",
}


def prepare() -> None:
    """Fetch Kafka and archive its loaded classes, unless both were done; raise `KafkaError`."""
    with software.alone():
        if not software.fetched():
            software.fetch()
        if not software.class_archive().exists():
            _archive_classes()


def _archive_classes() -> None:
    """Run a node once and let Java keep the classes that it has loaded: the next ones start in half the time."""
    software.say("Keeping Kafka's loaded classes, once …")
    target = software.class_archive()
    with tempfile.TemporaryDirectory(dir=software.BUILD) as folder:
        made = Path(folder) / "classes.jsa"
        cluster = Cluster.create(Path(folder) / "training", java_options=[f"-XX:ArchiveClassesAtExit={made}"])
        try:
            cluster.start(1)
        finally:
            cluster.stop()
        made.touch()  # stays empty where this Java can make none
        made.replace(target)


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """One node: its number, the ports that it listens at, its folder."""

    number: int
    client: int
    internal: int
    controller: int
    folder: Path

    @property
    def data(self) -> Path:
        """Return where its log directories are."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """Return the file that its talk goes to."""
        return self.folder / "log"

    @property
    def process(self) -> Process:
        """Return its process, running or not."""
        return Process(self.folder / "pid")

    @property
    def pid(self) -> int | None:
        """Return the id of its process while it runs or is frozen."""
        return self.process.pid


class Cluster:
    """One or three nodes in a folder. Every method may be called from a run other than the one that started them."""

    def __init__(self, folder: Path) -> None:
        """Read the cluster of a folder; raise `KafkaError` if there is none."""
        self.folder = folder.resolve()
        try:
            state = json.loads((self.folder / "cluster.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise KafkaError(f"There is no cluster in {folder}.") from None
        self.security: str = state["security"]
        self.host: str = state["host"]
        self.passwords: dict[str, str] = state["passwords"]
        """The SCRAM passwords by name; none with other securities."""
        self.authority = Authority(self.folder / "tls")
        self.nodes = [Node(folder=self.folder / f"node-{node['number']}", **node) for node in state["nodes"]]
        self._java_options: list[str] = state["java_options"]

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        nodes: int = 1,
        security: str = "none",
        host: str = "127.0.0.1",
        settings: Mapping[str, str] | None = None,
        java_options: Sequence[str] = (),
    ) -> Self:
        """Make and format a cluster in a folder that has none, without starting it; raise `KafkaError`.

        `settings` are Kafka's own names and go before those chosen here.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ports = iter(_free_ports(3 * nodes, host))
        numbered = [
            {"number": number, "client": next(ports), "internal": next(ports), "controller": next(ports)}
            for number in range(1, nodes + 1)
        ]
        passwords = {name: secrets.token_urlsafe(24) for name in _CLIENTS} if security == "scram" else {}
        state = {"security": security, "host": host, "nodes": numbered, "passwords": passwords}
        file = folder / "cluster.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(state | {"java_options": list(java_options)}, indent=1), encoding="utf-8")
        cluster = cls(folder)
        try:
            cluster._format(settings or {})
        except KafkaError:
            file.unlink()
            raise
        return cluster

    @property
    def bootstrap(self) -> str:
        """Return where clients begin: `host:port,…`."""
        return ",".join(f"{self.host}:{node.client}" for node in self.nodes)

    def node(self, number: int) -> Node:
        """Return a node by its number, from 1; raise `KafkaError`."""
        for node in self.nodes:
            if node.number == number:
                return node
        raise KafkaError(f"There is no node {number}.")

    def identity(self, name: str) -> Identity:
        """Return the certificate files of a client, made when first asked for; the name is the principal's."""
        return self.authority.identity(name)

    def start_all(self) -> None:
        """Start the nodes that do not run, wait until all serve, and see to the ACLs; raise `KafkaError`."""
        marks = [self._launch(node) for node in self.nodes]
        for node, mark in zip(self.nodes, marks, strict=True):
            self._wait(node, mark, serving=len(self.nodes))
        if self.security != "none":
            self._connection(self.nodes[0]).allow(read_acls(ACLS))

    def start(self, number: int, *, wait: bool = True) -> None:
        """Start one node and wait until it serves, which needs a majority of the nodes; raise `KafkaError`."""
        node = self.node(number)
        mark = self._launch(node)
        if wait:
            self._wait(node, mark, serving=1)

    def kill(self, number: int) -> None:
        """End a node with SIGKILL, frozen or not, and wait until it is gone; raise `KafkaError`."""
        node = self.node(number)
        node.process.send(signal.SIGKILL)
        if not until(lambda: node.pid is None, STOP_SECONDS):
            raise KafkaError(f"Node {number} did not end.")

    def pause(self, number: int) -> None:
        """Freeze a node (SIGSTOP)."""
        self.node(number).process.send(signal.SIGSTOP)

    def resume(self, number: int) -> None:
        """Let a frozen node go on (SIGCONT)."""
        self.node(number).process.send(signal.SIGCONT)

    def stop(self) -> None:
        """End all nodes in good order; kill what has not ended after `STOP_SECONDS`."""
        for node in self.nodes:
            node.process.send(signal.SIGCONT)  # a frozen one would not hear
            node.process.send(signal.SIGTERM)
        if not until(lambda: all(node.pid is None for node in self.nodes), STOP_SECONDS):
            self.kill_all()

    def kill_all(self) -> None:
        """End all nodes with SIGKILL at once: to see what survives, or because nobody needs their data."""
        for node in self.nodes:
            node.process.send(signal.SIGKILL)
        for node in self.nodes:
            self.kill(node.number)

    def remove(self) -> None:
        """Kill all nodes and delete the folder."""
        self.kill_all()
        shutil.rmtree(self.folder)

    def serving(self, number: int) -> int:
        """Ask a node how many nodes serve; 0 if it does not answer."""
        return self._connection(self.node(number)).nodes_serving()

    def _format(self, settings: Mapping[str, str]) -> None:
        """Write each node's settings and format its data folder, all at the same time."""
        if self.security != "none":
            self.authority.create()
            for name in _CLIENTS:
                self.identity(name)
        controllers = ",".join(f"{node.number}@{self.host}:{node.controller}:{_identifier()}" for node in self.nodes)
        how = ["format", "--cluster-id", _identifier(), "--initial-controllers", controllers]
        for name, word in self.passwords.items():
            how += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={word}]"]
        running = []
        for node in self.nodes:
            node.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = node.folder / "server.properties"
            values = self._settings(node) | dict(settings)
            file.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")
            command = software.command("kafka.tools.StorageTool", *how, "--config", str(file))
            running.append(spawn(command, node.folder / "format.log"))
        try:
            codes = [wait(pid) for pid in running]
        except KeyboardInterrupt:
            for pid in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise
        for node, code in zip(self.nodes, codes, strict=True):
            if code != 0:
                said = last_lines((node.folder / "format.log").read_text(encoding="utf-8"))
                raise KafkaError(f"Kafka could not format the data folder of node {node.number}:\n{said}")

    def _settings(self, node: Node) -> dict[str, str]:
        count = str(len(self.nodes))
        ports = {"CLIENT": node.client, "INTERNAL": node.internal, "CONTROLLER": node.controller}
        settings = {
            "process.roles": "broker,controller",
            "node.id": str(node.number),
            "controller.quorum.bootstrap.servers": ",".join(f"{self.host}:{each.controller}" for each in self.nodes),
            "listeners": ",".join(f"{name}://{self.host}:{port}" for name, port in ports.items()),
            "listener.security.protocol.map": ",".join(f"{k}:{v}" for k, v in _PROTOCOLS[self.security].items()),
            "inter.broker.listener.name": "INTERNAL",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(node.data),
            "default.replication.factor": count,
            "min.insync.replicas": "1" if count == "1" else "2",
            "offsets.topic.replication.factor": count,
            "transaction.state.log.replication.factor": count,
            "share.coordinator.state.topic.replication.factor": count,
        }
        return settings | _TUNED | self._security(node)

    def _security(self, node: Node) -> dict[str, str]:
        if self.security == "none":
            return {}
        own = self._own(node)
        settings = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(own.both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(own.authority),
            "ssl.client.auth": "required",
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/,DEFAULT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": f"User:{_NODE};User:{ADMIN}",
        }
        if self.security == "scram":
            login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            settings |= {
                "listener.name.client.ssl.client.auth": "none",
                "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-512",
                "listener.name.client.scram-sha-512.sasl.jaas.config": login,
            }
        return settings

    def _own(self, node: Node) -> Identity:
        return self.authority.identity(f"node-{node.number}", name=_NODE, hosts=[self.host, "localhost"])

    def _connection(self, node: Node) -> Connection:
        return Connection(self.host, node.internal, None if self.security == "none" else self._own(node))

    def _launch(self, node: Node) -> int:
        """Start a node unless it runs, and return where the talk of this life begins in its log, or earlier."""
        if node.pid is not None:
            return 0
        mark = node.log.stat().st_size if node.log.exists() else 0
        settings = str(node.folder / "server.properties")
        node.process.start(software.command("kafka.Kafka", settings, options=self._java_options), node.log)
        return mark

    def _wait(self, node: Node, mark: int, *, serving: int) -> None:
        """Wait until a node says that it has started, and answers that so many serve; raise `KafkaError`."""
        connection = self._connection(node)

        def talk() -> bytes:
            with node.log.open("rb") as file:
                file.seek(mark)
                return file.read()

        def ready() -> bool:
            if node.pid is None:
                said = last_lines(talk().decode(errors="replace"))
                raise KafkaError(f"Node {node.number} has ended. {node.log} ends with:\n{said}")
            return _STARTED in talk() and connection.nodes_serving() >= serving

        if not until(ready, START_SECONDS):
            raise KafkaError(f"Node {node.number} does not serve after {START_SECONDS} s; see {node.log}.")


def _identifier() -> str:
    """Return a random identifier as Kafka writes them: 16 bytes in base64url, not beginning like an option."""
    while (text := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def _free_ports(count: int, host: str) -> list[int]:
    """Find free ports below those that the kernel lends to clients: none of them may take a dead node's port."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="utf-8").split()[0])
    lowest = 10_000 if first > 12_000 else first
    highest = first if first > 12_000 else 60_000
    draw = random.SystemRandom()
    chosen: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(chosen) < count:
            candidate = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):  # taken: draw again
                candidate.bind((host, draw.randrange(lowest, highest)))
                chosen.append(candidate.getsockname()[1])
    return chosen
