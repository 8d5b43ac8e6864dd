"""Gateways over a world's keys, talking to a real broker in the same process, without sockets; faults on order.

`Wire` is the only stand-in: it hands requests to the broker's ASGI application instead of a TCP connection.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import orjson
from multidict import CIMultiDict

from adapters.client.broker import BrokerClient
from adapters.client.errors import BrokerAwayError
from adapters.client.transport import Answer, Request
from adapters.gateway.folder import Enrolled, Folder
from adapters.gateway.request import NoticeRequest
from adapters.gateway.service import Gateway, GatewayOptions
from broker.http.api import create_api
from broker.telemetry import Telemetry
from keys.custody.cells import Cells
from keys.custody.file import FileCustody
from schemas.encoding import b64encode, from_seconds
from schemas.envelope import Envelope
from schemas.ids import Code, ParticipantId, Pattern
from schemas.notice import examples
from schemas.receipt import Denial, Refusal
from tests import asgi, broker_world
from tests.broker_world import until
from tests.world import ORIGIN, Person, World, make_world

BASE = "http://broker.test"
PASSPHRASE = b"correct horse battery staple"


@dataclass
class Wire:
    """Carries requests to a broker's application; `before` and `after` may raise, or give another answer."""

    app: object | None
    before: Callable[[Request], Answer | None] | None = None
    after: Callable[[Request, Answer], Answer] | None = None
    log: list[Request] = field(default_factory=list)
    streams: bool = False
    """Whether the broker streams feeds; one that does not is an older one."""
    opened: list[asgi.Streamed] = field(default_factory=list)
    bend: Callable[[bytes], bytes] | None = None
    """Changes what a stream brings."""

    async def open(self, request: Request):
        self.log.append(request)
        await asyncio.sleep(0)
        if self.before is not None and (instead := self.before(request)) is not None:
            return instead
        if self.app is None:
            raise BrokerAwayError("The broker cannot be reached (test).")
        if not self.streams:
            return problem("not-found", 404)
        headers = {"Host": "broker.test", **request.headers}
        streamed = asgi.Streamed(self.app, request.method, request.url.removeprefix(BASE), headers=headers)
        await streamed.started()
        self.opened.append(streamed)
        if streamed.status != 200:
            return Answer(streamed.status, CIMultiDict(streamed.headers), await streamed.rest())
        return _Opened(self, streamed, request.seconds)

    async def send(self, request: Request) -> Answer:
        self.log.append(request)
        await asyncio.sleep(0)
        if self.before is not None and (instead := self.before(request)) is not None:
            return instead
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


@dataclass
class _Opened:
    """An answer under way, as a transport gives it."""

    wire: Wire
    streamed: asgi.Streamed
    seconds: float

    @property
    def headers(self):
        return CIMultiDict(self.streamed.headers)

    async def read(self) -> bytes:
        try:
            async with asyncio.timeout(self.seconds):
                data = await self.streamed.read()
        except TimeoutError:
            raise BrokerAwayError("The broker did not answer in time.") from None
        except ConnectionError:
            raise BrokerAwayError("The broker cannot be reached (test).") from None
        return data if self.wire.bend is None else self.wire.bend(data)

    def close(self) -> None:
        self.streamed.close()


class _Switch:
    """A service that is another broker's from test to test: describing the interface anew costs most of an application."""

    def __init__(self) -> None:
        self.target = None

    def figures(self):
        return self.target.figures()

    def __getattr__(self, name):
        return getattr(self.target, name)


_free: list[tuple[_Switch, object]] = []


def api(broker: broker_world.Broker):
    """Return an application of the broker, for the rest of the test."""
    switch = _Switch()
    switch.target = broker.serving
    return create_api(switch, Telemetry(broker.serving.figures))


@contextmanager
def borrowed_api(broker: broker_world.Broker):
    """Lend an application of the broker for a block."""
    switch, app = _free.pop() if _free else (None, None)
    if switch is None:
        switch = _Switch()
        switch.target = broker.serving
        app = create_api(switch, Telemetry(switch.figures))
    switch.target = broker.serving
    yield app
    _free.append((switch, app))


@cache
def _default_world() -> World:
    return make_world()


def a_world() -> World:
    """Return the world of `make_world`, whose keys are made once for all tests; what a test changes is its own."""
    made = _default_world()
    return replace(made, now=int(time.time()), people=dict(made.people), revoked={})


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


@dataclass
class SkewedClock:
    """The machine's clock, some seconds off; called, it tells Unix ms."""

    seconds: int = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.seconds * 1000


def problem(code: str, status: int = 422, headers=(), **extra) -> Answer:
    """Return a problem document as the broker writes it."""
    body = {
        "type": f"urn:valise:problem:{code}",
        "title": code,
        "status": status,
        "detail": f"{code}.",
        "hint": "",
        **extra,
    }
    return Answer(
        status, CIMultiDict({"Content-Type": "application/problem+json", **dict(headers)}), orjson.dumps(body)
    )


def refuse(world: World, request: Request, code: str, denied=(), signer=None) -> Answer:
    """Return a refusal of the statement in a publish, signed as the broker signs it."""
    envelope = Envelope.parse(request.body)
    refusal = Refusal(
        origin=ORIGIN,
        statement=b64encode(sha256(envelope.statement_bytes).digest()),
        reason=Code(code),
        denied=tuple(Denial(ParticipantId(who), Code("no-grant")) for who in sorted(denied)),
        at=from_seconds(world.now),
    )
    listed = [
        {
            "participant": who,
            "condition": "no-grant",
            "layer": "network",
            "state": None,
            "instrument": "Network rules",
            "article": "1",
            "reason": {"en": "No."},
            "evaluated_by": "broker",
        }
        for who in sorted(denied)
    ]
    extra = {"denied": listed} if denied else {}
    return problem(
        code, 409 if code == "conflict" else 422, refusal=(signer or world.receipts).refusal(refusal), **extra
    )


async def upload(broker: broker_world.Broker, world: World, name: str, path: str, before) -> None:
    """Give the broker the newest version of a role, which `before` (a repository) does not have yet."""
    files, version = world.repository.files, world.repository.version_of(name)
    data = next(files[key] for key in files if key.startswith("targets/") and _same(key, path, files, name, version))
    await broker.serving.upload_role(name, files[f"{version}.{name}.json"], {path: data}, before.version_of(name))


def _same(key, path, files, name, version) -> bool:
    target = orjson.loads(files[f"{version}.{name}.json"])["signed"]["targets"][path]
    folder, _, file = path.rpartition("/")
    return key == f"targets/{folder}/{target['hashes']['sha256']}.{file}"


async def known(gateway: Gateway, seconds: float = 30.0) -> None:
    """Wait until a gateway knows the network."""
    await until(lambda: gateway.network, seconds)


@dataclass
class Scene:
    """A broker and a gateway for each participant that a test asks for."""

    world: World
    broker: broker_world.Broker
    wire: Wire
    gateways: dict[str, Gateway]

    def __getitem__(self, who: str) -> Gateway:
        return self.gateways[who]


@asynccontextmanager
async def scene(folder: Path, *people: str, world: World | None = None, streams: bool = False, **changes):
    """Run a broker and gateways, each over the same wire, that know the network when the block begins."""
    world = world or a_world()
    (folder / "broker").mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(broker_world.running(world, folder / "broker"))
        made = Scene(world, broker, Wire(stack.enter_context(borrowed_api(broker)), streams=streams), {})
        for who in people:
            place = plant(world, folder / who.replace("/", "-"), who)
            made.gateways[who] = await stack.enter_async_context(running(place, made.wire, **changes))
            await known(made.gateways[who])
        yield made


def a_request(**changes) -> NoticeRequest:
    """Return a request to send the seizures' example."""
    return NoticeRequest(**{"topic": "central-asia.seizures", "notice": examples("seizure"), **changes})


async def subscribed(made: Scene, who: str, *patterns: str) -> None:
    """Set a subscription and wait until every gateway of the scene has seen it in the log."""
    await made[who].subscribe(who, tuple(Pattern(item) for item in patterns))
    for gateway in made.gateways.values():
        await until(lambda gateway=gateway: set(gateway.network.subscriptions.get(who, ())) == set(patterns))


async def sent(made: Scene, who: str, notice: NoticeRequest):
    """Have a notice accepted and wait for its outcome."""
    kept = await made[who].accept(who, notice)
    return await made[who].wait_outcome(who, kept.notice_id, 10)


async def arrived(made: Scene, who: str, number: int = 1):
    """Wait for a number of items in an inbox and return them."""

    async def enough():
        items, _ = await made[who].inbox(who, limit=1000)
        return items if len(items) >= number else None

    return await until(enough)
