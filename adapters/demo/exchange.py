"""The broker's side of the demonstration: one broker of its own, or, in `clustered`, several over Kafka."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.client.addresses import SEPARATOR
from adapters.client.broker import BrokerClient
from adapters.demo import ceremony
from adapters.demo.ceremony import Stage
from adapters.demo.outcome import Outcome, Say
from adapters.demo.processes import Service, command
from keys.custody import durable

ANY_PORT: Final = "127.0.0.1:0"


@dataclass(frozen=True, slots=True)
class Blow:
    """What happens once a `share` of what is to arrive has arrived; `kills`: what is dead then is to be done without."""

    share: float
    strike: Callable[[Outcome], Awaitable[None]]
    kills: bool = False


class Broker(Service):
    """One `valise broker run`; it is found at the same port in all its lives."""

    def __init__(self, stage: Stage, name: str, words: str) -> None:
        """Take the name of its folder, and what people are told that it is."""
        self.folder = stage.folder / name
        self.config = stage.folder / f"{name}.toml"
        self.log = stage.logs / f"{name}.log"
        self._stage = stage
        super().__init__(
            words, ["broker", "run", "--config", str(self.config)], log=self.log, address_file=self.folder / "address"
        )

    def configure(self, more: str = "") -> None:
        """Write its configuration."""
        stage = self._stage
        durable.write(
            self.config,
            f'state = "{self.folder}"\norigin = "{stage.origin}"\ndemo = true\nlisten = "{ANY_PORT}"\n'
            f'metrics = "{ANY_PORT}"\npassphrase_file = "{stage.passphrase_file}"\n{more}'.encode(),
        )

    async def start(self) -> None:
        """Start it; a restart is found where the gateways look for it."""
        await super().start()
        listen = self.address.removeprefix("http://")
        durable.write(self.config, self.config.read_bytes().replace(ANY_PORT.encode(), listen.encode(), 1))

    @property
    def metrics_address(self) -> str:
        """Return where its metrics are."""
        return (self.folder / "metrics-address").read_text().strip()


class Exchange(ABC):
    """What stands between the gateways. `brokers` listen once `start` has returned; `who` is what people call it."""

    who = "the broker"

    def __init__(self, stage: Stage, say: Say, brokers: Sequence[Broker]) -> None:
        self.brokers: Final = tuple(brokers)
        self._stage = stage
        self._say = say

    @property
    def address(self) -> str:
        """Return the address that a kit has: all brokers', separated by commas."""
        return SEPARATOR.join(broker.address for broker in self.brokers)

    @property
    def kafka(self) -> Path | None:
        """Return the folder of Kafka's nodes, where there are any."""
        return None

    def preferred(self, state: str) -> str:
        """Return the brokers' addresses in the order in which a State's gateway takes them."""
        del state
        return self.address

    def written(self) -> tuple[list[Path], list[Path]]:
        """Return the folders and the single files that hold all that was written here."""
        return [broker.folder for broker in self.brokers], [broker.log for broker in self.brokers]

    def unpacked(self) -> Iterator[bytes]:
        """Yield what stands in them compressed."""
        yield from ()

    async def start(self) -> None:
        """Make the broker's keys, hold the ceremony, start everything, and enrol everybody."""
        await self._found()
        await self._serve()
        cast = self._stage.cast
        self._say(
            f"Enrolment: {len(cast.states)} States, {len(cast.gateways)} gateways, {len(cast.laws)} laws signed by two keys "
            "each, an auditor"
        )
        async with BrokerClient(self.address) as client:
            await ceremony.enrol(self._stage, client, self.address)

    @abstractmethod
    def blows(self) -> Sequence[Blow]:
        """Return what happens on the way, in its order."""

    @abstractmethod
    async def leave(self) -> None:
        """Let everything run on when this process ends."""

    async def stop(self) -> None:
        """End every process."""
        await asyncio.gather(*(broker.stop() for broker in self.brokers))

    async def command(self, *words: str) -> None:
        """Run a command of the broker to its end."""
        await command(["broker", *words], log=self._stage.logs / "commands.log")

    async def _found(self) -> None:
        """Leave the first broker with keys and the directory that the ceremony signed."""
        self._say("Ceremony: five root keys, three sign; a broker with keys of its own")
        stage, first = self._stage, self.brokers[0].folder
        passphrase = ("--passphrase-file", str(stage.passphrase_file))
        await self.command("init", "--state", str(first), "--origin", stage.origin, *passphrase)
        folder = ceremony.hold_ceremony(stage, (first / "broker-public.json").read_bytes())
        await self.command("install", str(folder), "--state", str(first), *passphrase)

    @abstractmethod
    async def _serve(self) -> None:
        """Start the processes."""


class Alone(Exchange):
    """One broker with its embedded ledger."""

    def __init__(self, stage: Stage, say: Say) -> None:
        super().__init__(stage, say, [Broker(stage, "broker", "the broker")])

    async def _serve(self) -> None:
        (broker,) = self.brokers
        broker.configure()
        await broker.start()

    def blows(self) -> Sequence[Blow]:
        """Kill the broker once and start it again."""
        return [Blow(1 / 3, self._kill)]

    async def _kill(self, outcome: Outcome) -> None:
        (broker,) = self.brokers
        self._say(f"SIGKILL: the broker (process {broker.pid}) is killed in the middle, and started again")
        broker.kill()
        await broker.start()
        outcome.broker_restarts += 1

    async def leave(self) -> None:
        """Do nothing: a broker that is not stopped runs on."""
