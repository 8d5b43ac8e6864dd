"""Gateways over a world's keys, talking to a real broker in the same process, without sockets; faults on order.

`Wire` is the only stand-in: it hands requests to the broker's ASGI application instead of a TCP connection.
"""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from multidict import CIMultiDict

from adapters.client.broker import BrokerClient
from adapters.client.errors import BrokerAwayError
from adapters.client.transport import Answer, Request
from adapters.gateway.folder import Enrolled, Folder
from adapters.gateway.service import Gateway, GatewayOptions
from broker.http.api import create_api
from broker.telemetry import Telemetry
from keys.custody.cells import Cells
from keys.custody.file import FileCustody
from tests import asgi, broker_world
from tests.world import ORIGIN, Person, World

BASE = "http://broker.test"
PASSPHRASE = b"correct horse battery staple"


@dataclass
class Wire:
    """Carries requests to a broker's application; `before` and `after` may raise, or give another answer."""

    app: object | None
    before: Callable[[Request], None] | None = None
    after: Callable[[Request, Answer], Answer] | None = None
    log: list[Request] = field(default_factory=list)

    async def send(self, request: Request) -> Answer:
        self.log.append(request)
        await asyncio.sleep(0)
        if self.before is not None:
            self.before(request)
        if self.app is None:
            raise BrokerAwayError("The broker cannot be reached (test).")
        headers = {"Host": "broker.test", **request.headers}
        if request.body is not None:
            headers["Content-Length"] = str(len(request.body))
        try:
            async with asyncio.timeout(request.seconds):
                answer = await asgi.request(
                    self.app, request.method, request.url.removeprefix(BASE), body=request.body or b"", headers=headers
                )
        except TimeoutError:
            raise BrokerAwayError("The broker did not answer in time.") from None
        given = Answer(answer.status, CIMultiDict(answer.headers), answer.body)
        return given if self.after is None else self.after(request, given)

    async def close(self) -> None:
        """Nothing is held."""


def api(broker: broker_world.Broker):
    """Return the broker's application."""
    return create_api(broker.serving, Telemetry(broker.serving.figures))


def plant(world: World, folder: Path, *people: Person | str) -> Folder:
    """Make the folder of a gateway that has the keys of some of the world's participants."""
    place = Folder(folder)
    custody = FileCustody(place.keys, PASSPHRASE, memory_kib=64, passes=1, lanes=1)
    custody.keep("store", Cells.new_key())
    for one in people:
        person = world.people[one] if isinstance(one, str) else one
        name = person.id.replace("/", ".")
        custody.keep(f"sealing.{name}.1", person.sealing.to_bytes())
        custody.keep(f"request.{name}", person.request.to_bytes())
        custody.keep(f"signing.{name}", person.signing.to_bytes())
    place.write(Enrolled(ORIGIN, BASE, "gate", backup=True), world.repository.files["1.root.json"])
    return place


def options(place: Folder, **changes) -> GatewayOptions:
    """Return options that make a test fast."""
    given = {"poll_seconds": 0.05, "acknowledge_seconds": 0.05, "practice_notice": False, **changes}
    return GatewayOptions(place.path, **given)


@asynccontextmanager
async def running(place: Folder, wire: Wire, **changes):
    """Run a gateway over a wire until the block ends."""
    gateway = Gateway.open(options(place, **changes), PASSPHRASE)
    await gateway.start(BrokerClient(BASE, transport=wire))
    try:
        yield gateway
    finally:
        await gateway.stop()


async def until(condition: Callable[[], object], seconds: float = 10.0) -> object:
    """Wait until a condition, or what it returns to be awaited, holds; return it."""
    async with asyncio.timeout(seconds):
        while True:
            value = condition()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.01)


async def known(gateway: Gateway, seconds: float = 10.0) -> None:
    """Wait until a gateway knows the network."""
    await until(lambda: gateway.network, seconds)
