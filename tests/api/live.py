"""Both services as real ASGI applications on an event loop of their own, for tests that ask from outside of it.

`Carrier` lets `requests` (and so schemathesis) speak to an application without a socket; `Signed` is the participant's
request signature as an auth hook.
"""

import asyncio
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from statistics import median
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import HTTPHeaderDict, HTTPResponse

from adapters.gateway.http import api as gateway_api
from adapters.gateway.http.edge import Edge
from adapters.gateway.service import Gateway
from adapters.gateway.telemetry import Telemetry
from adapters.gateway.tokens import Tokens
from broker.init import BrokerKeys, repository_of
from keys.http_signature import sign_request
from tests import asgi, broker_world, gateway_world
from tests.world import ORIGIN, Person, World

AUTHORITY = "service.test"
BASE = f"http://{AUTHORITY}"


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="service")
        self._thread.start()

    def run(self, work, seconds=60):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    @contextmanager
    def entered(self, context):
        """Enter an asynchronous context on the loop, and leave it there."""
        value = self.run(context.__aenter__())
        try:
            yield value
        finally:
            self.run(context.__aexit__(None, None, None))

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass
class Live:
    """An application on its loop."""

    loop: Loop
    app: object

    def ask(self, method, target, body=b"", headers=()) -> asgi.Answer:
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
        if not any(name.lower() == "host" for name, _ in pairs):
            pairs.append(("Host", AUTHORITY))
        return self.loop.run(asgi.request(self.app, method, target, body=body, headers=pairs))

    def timed(self, method, target, *, most, **named) -> tuple[asgi.Answer, float]:
        """Ask, and return the answer and the seconds that it took, without the way between threads.

        Where these are more than `most`, which noise alone may do, it is asked again, and the median of five is returned.
        """

        async def once():
            began = time.perf_counter()
            answer = await asgi.request(self.app, method, target, **named)
            return answer, time.perf_counter() - began

        async def perhaps_again():
            answer, seconds = await once()
            if seconds > most:
                seconds = median([seconds, *[(await once())[1] for _ in range(4)]])
            return answer, seconds

        return self.loop.run(perhaps_again())

    def session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.mount(BASE, Carrier(self))
        return session


class Carrier(HTTPAdapter):
    """Carries prepared requests to an application; what comes back is what a socket would have given."""

    def __init__(self, live: Live):
        super().__init__()
        self.live = live

    def send(self, request, **_):
        parts = urlsplit(request.url)
        body = request.body or b""
        began = time.perf_counter()
        answer = self.live.ask(
            request.method,
            parts.path + (f"?{parts.query}" if parts.query else ""),
            body.encode() if isinstance(body, str) else body,
            list(request.headers.items()),
        )
        raw = HTTPResponse(
            body=BytesIO(answer.body),
            headers=HTTPHeaderDict(answer.headers),
            status=answer.status,
            version=11,
            reason="",
            preload_content=False,
            request_method=request.method,
        )
        response = self.build_response(request, raw)
        response.elapsed = time.perf_counter() - began
        return response


class Signed(AuthBase):
    """Signs each request as it is sent, by a participant's request key."""

    def __init__(self, person: Person, *, origin=ORIGIN, at=None):
        self.person, self.origin, self.at = person, origin, at

    def __call__(self, request):
        url = request.url if urlsplit(request.url).query else request.url.rstrip("?")
        fields = sign_request(
            request.method,
            url,
            {},
            request.body if isinstance(request.body, bytes) else None,
            signer=self.person.request,
            origin=self.origin,
            created=self.at or int(time.time()),
        )
        request.headers.update(fields)
        return request


class Bearer(AuthBase):
    """Shows a gateway's token."""

    def __init__(self, token: str):
        self.token = token

    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


@dataclass
class LiveBroker(Live):
    """A broker's application, with the broker to look into."""

    broker: broker_world.Broker
    world: World

    def signed(self, who, method, target, body=b"", headers=()) -> asgi.Answer:
        """Ask as a participant of the world, or as a `Person`."""
        person = self.world.people[who] if isinstance(who, str) else who
        prepared = Signed(person)(requests.Request(method, BASE + target).prepare())
        fields = {name: prepared.headers[name] for name in ("Signature-Input", "Signature")}
        return self.ask(method, target, body, {**dict(headers), **fields})

    def publish(self, signed) -> asgi.Answer:
        target = f"/v1/notices/{signed.statement.notice_id}"
        return self.ask("PUT", target, signed.envelope, {"Content-Type": "application/json"})

    def settle(self):
        """Wait until a signed checkpoint covers every leaf."""
        serving = self.broker.serving
        self.loop.run(gateway_world.until(lambda: serving.note_size == serving.size))


class _Now:
    """The world's time goes on."""

    @staticmethod
    def now_ms():
        return time.time_ns() // 1_000_000


@contextmanager
def live_broker(world: World, folder, loop: Loop | None = None):
    """Serve a broker. Nobody waits for a page: what is not there yet is not there."""
    keys = BrokerKeys(world.log, world.receipts, world.repository.snapshot_key, world.repository.timestamp_key)
    # As in production: uploads of laws and network rules are read before they are taken.
    world.repository = repository_of(world.repository.files, keys)
    own = loop or Loop()
    try:
        with own.entered(broker_world.running(world, folder, _Now())) as broker:
            own.run(_called(broker.serving.release))
            yield LiveBroker(own, gateway_world.api(broker), broker, world)
    finally:
        if loop is None:
            own.close()


async def _called(function):
    return function()


@dataclass
class LiveGateway(Live):
    """A gateway's application over a broker in the same process, with a token for each participant it serves."""

    gateway: Gateway
    tokens: dict[str, str]
    stored: Tokens
    broker: LiveBroker

    def by(self, who, method, target, body=b"", headers=()) -> asgi.Answer:
        """Ask by the token of a participant."""
        return self.ask(method, target, body, {**dict(headers), "Authorization": f"Bearer {self.tokens[who]}"})


@contextmanager
def live_gateway(world: World, folder, *people):
    """Serve a broker, and a gateway of some participants that knows the network; nobody waits for arrivals."""
    loop = Loop()
    (folder / "broker").mkdir()
    try:
        with live_broker(world, folder / "broker", loop) as broker:
            place = gateway_world.plant(world, folder / "gateway", *people)
            wire = gateway_world.Wire(broker.app)
            with loop.entered(gateway_world.running(place, wire)) as gateway:
                loop.run(gateway_world.known(gateway))
                loop.run(_called(gateway.release))
                stored = Tokens(place.path)
                tokens = {who: stored.new(world.people[who].id, "system")[1] for who in people}
                app = Edge(gateway_api.create_api(gateway, stored), Telemetry())
                yield LiveGateway(loop, app, gateway, tokens, stored, broker)
    finally:
        loop.close()
