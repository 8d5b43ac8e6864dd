"""Instances of one broker as real processes over one cluster: the first signs, the others take over what it signs."""

import time
from pathlib import Path

from broker.init import LEDGER
from broker.ledger.kafka.frames import FrameKeys
from broker.ledger.kafka.store import KafkaLedger, Place
from broker.ledger.sqlite import SqliteLedger
from broker.migrate import migrate
from keys.custody import durable
from keys.frame import new_frame_key
from tests.cluster import Cluster
from tests.faults.deployment import BrokerService, ask
from tests.world import ORIGIN, World


class Instance(BrokerService):
    """One of several brokers; `name` is also its folder's."""

    def __init__(self, world: World, folder: Path, name: str, cluster: Cluster, frame_keys: Path) -> None:
        (folder / name).mkdir()
        super().__init__(world, folder / name / "broker")
        self.name = name
        self.cluster = cluster
        self.frame_keys = frame_keys
        self.more = ""

    def signs(self, signer: bool) -> None:
        """Write the section of the cluster, anew where there is one, with the lines of `more`."""
        text = self.config.read_text().split("[kafka]")[0]
        section = (
            f'[kafka]\nbootstrap = "{self.cluster.bootstrap}"\ninstance = "{self.name}"\nsigner = {str(signer).lower()}\n'
            f'replication = {len(self.cluster.nodes)}\nframe_keys = "{self.frame_keys}"\n'
            f"{self.more}{self._identity()}"
        )
        durable.write(self.config, (text + section).encode())

    def _identity(self) -> str:
        if self.cluster.security == "none":
            return ""
        files = self.cluster.certificate()
        return f'ca = "{files.authority}"\ncertificate = "{files.certificate}"\nkey = "{files.key}"\n'

    def start_again(self, environment: dict[str, str] | None = None) -> None:
        """Start it until it runs, as a service is: nodes may be away, and a signer's name may still be heard of."""
        for _ in range(20):
            self.launch(environment)
            end = time.monotonic() + 60
            while not (self.folder / "address").exists() and self.process.poll() is None:
                assert time.monotonic() < end, self.printed[-2000:]
                time.sleep(0.05)
            if self.process.poll() is None:
                return
            time.sleep(0.5)
        raise AssertionError(self.printed[-2000:])

    @property
    def reasons(self) -> list[str]:
        """Return why it is not ready; nothing where it is."""
        return ask(f"{self.address}/readyz").json().get("reasons", [])

    @property
    def replacements(self) -> int:
        """Return how many producers it has given up, by its metrics."""
        (line,) = [
            line for line in self.metrics.split(b"\n") if line.startswith(b"valise_producer_replacements_total ")
        ]
        return int(float(line.split()[-1]))

    def ledger(self, folder: Path) -> KafkaLedger:
        """Open the cluster's ledger in another folder, as an instance that does not sign."""
        folder.mkdir()
        return KafkaLedger(folder, ORIGIN, place(self.cluster, self.frame_keys, folder.name))


def place(cluster: Cluster, frame_keys: Path, name: str) -> Place:
    """Return the part of one who does not sign."""
    keys = FrameKeys.parse(frame_keys.read_bytes())
    return Place(cluster.connection(), keys, name, signer=False, replication=len(cluster.nodes))


def instances(world: World, folder: Path, cluster: Cluster, count: int) -> list[Instance]:
    """Move a new embedded ledger into the cluster and return the instances, none of them started."""
    frame_keys = folder / "frame.keys"
    durable.write(frame_keys, new_frame_key())
    made = [Instance(world, folder, f"broker-{number}", cluster, frame_keys) for number in range(1, count + 1)]
    for one in made:
        one.signs(one is made[0])
    source = SqliteLedger(made[0].folder / LEDGER, ORIGIN)
    target = made[0].ledger(folder / "move")
    try:
        migrate(source, target)
    finally:
        target.close()
        source.close()
    for one in made:
        (one.folder / LEDGER).unlink()
    return made
