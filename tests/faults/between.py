"""A real broker, real gateways, and between them what serves whatever an operator, a thief of its keys or an old backup would."""

import asyncio
import re
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from adapters.client.transport import Answer
from adapters.gateway.folder import Folder
from adapters.gateway.request import NoticeRequest
from adapters.gateway.service import Gateway
from adapters.gateway.status import State
from broker.answers import NotPublished
from broker.settings import Settings
from schemas.notice import examples
from schemas.statement import SubscriptionBody
from tests import broker_world, gateway_world
from tests.broker_world import HandClock
from tests.gateway_world import Wire, until
from tests.world import ORIGIN, World, denying, make_world

SENDER, READER, OTHER = "kz/customs", "uz/focal-point", "tj/focal-point"
FORBIDS = denying()


@dataclass
class Between:
    """Stands between gateways and the broker: `wrongs` are patterns of addresses and what becomes of their answers."""

    wire: Wire
    wrongs: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wire.after = self._after

    def _after(self, request, given: Answer) -> Answer:
        target = request.url.removeprefix(gateway_world.BASE)
        for pattern, wrong in self.wrongs.items():
            if re.search(pattern, target):
                given = wrong(given)
        return given

    @property
    def published(self) -> int:
        return sum(request.method in ("PUT", "POST") for request in self.wire.log)


@dataclass
class Scene:
    """A broker, what stands before it, and gateways."""

    world: World
    folder: Path
    stack: AsyncExitStack
    between: Between = field(default_factory=lambda: Between(Wire(None)))
    broker: broker_world.Broker | None = None
    gateways: dict[str, Gateway] = field(default_factory=dict)
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start_broker(self, *, ahead: int = 0) -> None:
        # Each life begins a little later: it signs with a later time, as a clock that goes on would have it.
        clock = HandClock(int(time.time()) * 1000 + ahead * 1000)
        self.broker = await self._running.enter_async_context(
            broker_world.running(self.world, self.folder / "broker", clock)
        )
        self.between.wire.app = gateway_world.api(self.broker)

    async def stop_broker(self) -> None:
        self.between.wire.app = None
        await self._running.aclose()

    async def gateway(self, who: str, root: bytes | None = None) -> Gateway:
        place = Folder(self.folder / who.replace("/", "-"))
        if not place.path.exists():  # a second life goes on with the keys of the first
            gateway_world.plant(self.world, place.path, who)
        if root is not None:
            place.write(place.enrolled(), root)
        gateway = await self.stack.enter_async_context(gateway_world.running(place, self.between.wire))
        self.gateways[who] = gateway
        return gateway

    async def publish(self, *to: str, sender: str = SENDER) -> None:
        """Publish a notice without any gateway."""
        signed = self.world.envelope(sender, to or (READER,))
        answer = await broker_world.publish(self.broker, signed)
        assert not isinstance(answer, NotPublished), answer

    async def subscribe(self, who: str, *patterns: str) -> None:
        signed = self.world.open_envelope(who, "subscribe", SubscriptionBody(who, patterns))
        answer = await broker_world.publish(self.broker, signed)
        assert not isinstance(answer, NotPublished), answer

    async def change_law(self) -> None:
        """Upload a law, so that the directory has a new version."""
        await broker_world.upload_law(self.world, self.broker, "tj", FORBIDS)


@asynccontextmanager
async def scene(folder: Path, world: World | None = None):
    (folder / "broker").mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        made = Scene(world or make_world(), folder, stack)
        stack.push_async_callback(made.stop_broker)
        await made.start_broker()
        yield made


def wanted(**changes) -> NoticeRequest:
    return NoticeRequest(
        **{"topic": "central-asia.seizures", "notice": examples("seizure"), "to": (READER,), **changes}
    )


async def alarm(gateway: Gateway, kind: str) -> str:
    """Wait for an alarm and return what it says."""
    return await until(lambda: gateway._alarms.on.get(kind))


async def stays_here(made: Scene, gateway: Gateway, who: str = SENDER):
    """Post a notice and see that it is accepted and does not leave the house."""
    before = made.between.published
    kept = await gateway.accept(who, wanted())
    for _ in range(30):
        await asyncio.sleep(0.01)
    assert made.between.published == before
    assert (await gateway.status(who, kept.notice_id)).state in (State.KEPT, State.SEALED)
    return kept


async def goes_out(gateway: Gateway, kept, who: str = SENDER) -> None:
    status = await gateway.wait_outcome(who, kept.notice_id, 20)
    assert status.state is State.PUBLISHED, status


def settings(folder: Path) -> Settings:
    return Settings(state=folder, origin=ORIGIN, demo=True)
