"""Two brokers over three nodes of Kafka: one of each is killed on the way, and nobody waits for them to come back."""

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from adapters.client.addresses import SEPARATOR
from adapters.demo import segments
from adapters.demo.ceremony import Stage
from adapters.demo.exchange import Blow, Broker, Exchange
from adapters.demo.kafka import Nodes
from adapters.demo.outcome import Outcome, Say
from keys.custody import durable

NODES: Final = 3
DOOMED: Final = 1
"""The node that is killed."""

_FIRST: Final = "the first broker"
_SECOND: Final = "the second broker"
_SHARED: Final = ("keys", "broker-public.json")
"""What every instance has of the broker's folder."""


class Clustered(Exchange):
    """Two instances, of which the first signs; it is the second that is killed, while gateways are at it."""

    who = "brokers and nodes"

    def __init__(self, stage: Stage, say: Say) -> None:
        super().__init__(stage, say, [Broker(stage, "broker-1", _FIRST), Broker(stage, "broker-2", _SECOND)])
        self.nodes = Nodes(stage.folder / "kafka", NODES, stage.logs / "kafka.log", say)
        self._bootstrap = ""

    @property
    def kafka(self) -> Path:
        """Return the nodes' folder."""
        return self.nodes.folder

    def preferred(self, state: str) -> str:
        """Return both addresses: for one State's gateway the first broker goes first, for the others the second."""
        first, second = (broker.address for broker in self.brokers)
        return SEPARATOR.join((first, second) if state == "uz" else (second, first))

    def written(self) -> tuple[list[Path], list[Path]]:
        """Return what brokers and nodes wrote."""
        folders, files = super().written()
        return [*folders, self.nodes.folder], files

    def unpacked(self) -> Iterator[bytes]:
        """Yield what Kafka keeps compressed."""
        return segments.unpacked(self.nodes.folder)

    async def _found(self) -> None:
        self._say(f"Kafka: {NODES} nodes start, each with a copy of everything")
        try:
            async with asyncio.TaskGroup() as tasks:
                starting = tasks.create_task(self.nodes.start())
                await super()._found()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        self._bootstrap = starting.result()

    async def _serve(self) -> None:
        first, second = self.brokers
        frame_keys = self._stage.folder / "frame.keys"
        await self.command("frame-key", "--append", str(frame_keys))
        for broker in self.brokers:
            broker.configure(
                f'[kafka]\nbootstrap = "{self._bootstrap}"\ninstance = "{broker.folder.name}"\nreplication = {NODES}\n'
                f'signer = {str(broker is first).lower()}\nframe_keys = "{frame_keys}"\n'
            )
        durable.make_folder(second.folder)
        shutil.copytree(first.folder / _SHARED[0], second.folder / _SHARED[0])
        shutil.copy2(first.folder / _SHARED[1], second.folder)
        self._say("Move: the first broker's ledger goes into Kafka; a second broker stands beside it")
        await self.command("migrate", "--config", str(first.config))
        ledger = first.folder / "ledger.sqlite"
        ledger.rename(ledger.with_suffix(".moved"))
        await asyncio.gather(first.start(), second.start())

    def blows(self) -> Sequence[Blow]:
        """Kill a broker, then a node; start the broker again while the node is dead, then the node."""
        return [
            Blow(0.05, self._kill_broker, kills=True),
            Blow(0.4, self._kill_node, kills=True),
            Blow(0.6, self._restart_broker),
            Blow(1, self._restart_node),
        ]

    async def _kill_broker(self, outcome: Outcome) -> None:
        outcome.instances, outcome.kafka_nodes = len(self.brokers), NODES
        second = self.brokers[1]
        self._say(f"SIGKILL: {_SECOND} (process {second.pid}); its gateways go on at {_FIRST}")
        second.kill()

    async def _kill_node(self, outcome: Outcome) -> None:
        self._say(f"SIGKILL: node {DOOMED} of Kafka; two of three have what was acknowledged")
        await self.nodes.kill(DOOMED)
        outcome.nodes_killed += 1

    async def _restart_broker(self, outcome: Outcome) -> None:
        self._say(f"Back: {_SECOND} starts again and reads what it has missed")
        await self.brokers[1].start()
        outcome.broker_restarts += 1

    async def _restart_node(self, outcome: Outcome) -> None:
        self._say(f"Back: node {DOOMED} starts again and copies what it has missed")
        await self.nodes.restart(DOOMED)
        outcome.kafka_restarts += 1

    async def leave(self) -> None:
        """Let the nodes run on, too."""
        await self.nodes.leave()

    async def stop(self) -> None:
        """End the brokers, then the nodes."""
        try:
            await super().stop()
        finally:
            await self.nodes.stop()
