"""Broker and gateways as real processes over the keys of a `World`, and the calls that agencies and readers make to them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from adapters.gateway.tokens import Tokens
from keys.custody import durable
from keys.envelope import open_notice, verify_delivery
from keys.http_signature import sign_request
from keys.log.note import verify_checkpoint
from schemas import encoding
from schemas.delivery import Delivery
from schemas.ids import ParticipantId
from schemas.notice import examples
from tests import broker_folder, gateway_world
from tests.world import ORIGIN, World

COMMAND = (sys.executable, "-c", "from adapters.cli.main import main; main()")
START_SECONDS = 40


class Service:
    """`valise broker run` or `valise gateway run`: a process that keeps its port over all its lives.

    `prefix` is what the command is started by, such as another network namespace.
    """

    prefix: tuple[str, ...] = ()

    def __init__(self, kind: str, config: Path, folder: Path) -> None:
        self.kind = kind
        self.config = config
        self.folder = folder
        self.log = config.with_suffix(".log")
        self.address = ""
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self, environment: dict[str, str] | None = None) -> None:
        """Start it and do not wait."""
        (self.folder / "address").unlink(missing_ok=True)  # a kill leaves it behind
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, *COMMAND, self.kind, "run", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
            )

    def start(self, environment: dict[str, str] | None = None) -> None:
        """Start it and wait until it listens."""
        self.launch(environment)
        self.until_listening()

    def until_listening(self) -> None:
        """Wait until it listens; from then on it keeps its port."""
        file = self.folder / "address"
        until = time.monotonic() + START_SECONDS
        while not file.exists():
            assert self.process.poll() is None, self.printed
            assert time.monotonic() < until, f"the {self.kind} did not start: {self.printed}"
            time.sleep(0.01)
        if not self.address:
            self.address = file.read_text().strip()
            fixed = self.config.read_text().replace("127.0.0.1:0", self.address.removeprefix("http://"), 1)
            durable.write(self.config, fixed.encode())

    @property
    def printed(self) -> str:
        return self.log.read_text()

    @property
    def metrics(self) -> bytes:
        with urllib.request.urlopen(f"{(self.folder / 'metrics-address').read_text().strip()}/metrics") as answer:
            return answer.read()

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self, number: int = signal.SIGTERM, seconds: float = 30) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def close(self) -> None:
        """End it however it is."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


@dataclass(frozen=True)
class Reply:
    """An answer: its status, header fields and body."""

    status: int
    headers: object
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json()["type"].removeprefix("urn:valise:problem:")


def ask(url: str, method: str = "GET", body: bytes | None = None, headers=None, seconds: float = 40) -> Reply:
    """Send one request over a connection of its own."""
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return Reply(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.headers, error.read())


class BrokerService(Service):
    """A broker of a world."""

    def __init__(self, world: World, folder: Path) -> None:
        super().__init__("broker", broker_folder.write(world, folder), folder)
        self.world = world

    def publish(self, signed) -> Reply:
        url = f"{self.address}/v1/notices/{signed.statement.notice_id}"
        return ask(url, "PUT", signed.envelope, {"Content-Type": "application/json"})

    def signed(self, who: str, target: str, *, created: int | None = None) -> Reply:
        """Read with a participant's request key, whose clock shows `created`."""
        url = f"{self.address}{target}"
        signer = self.world.people[ParticipantId(who)].request
        fields = sign_request(
            "GET", url, {}, None, signer=signer, origin=ORIGIN, created=int(time.time()) if created is None else created
        )
        return ask(url, headers=fields)

    def notices(self, who: str):
        """Return every notice of a participant's feed as (index, notice id, sender, act, plaintext), verified and opened."""
        key = self.world.people[ParticipantId(who)].sealing
        directory, found, cursor = self.world.directory, [], 0
        while True:
            answer = self.signed(who, f"/v1/feed?after={cursor}&limit=200")
            assert answer.status == 200, answer.body
            page = encoding.parse(answer.body, limit=64 << 20)
            for item in page["deliveries"]:
                delivery = Delivery.from_json(item)
                checkpoint = verify_checkpoint(delivery.inclusion.checkpoint, directory.log.keys)
                verified = verify_delivery(delivery, directory, checkpoint, revoked={}, own={key.kid: key})
                opened = open_notice(verified, key)
                said = opened.statement
                found.append((opened.index, said.notice_id, said.sender, said.act, opened.notice))
            if not page["deliveries"] and page["next"] == cursor:
                return found
            cursor = page["next"]


class GatewayService(Service):
    """A gateway of a world's participants, and one token for each of them."""

    def __init__(self, world: World, folder: Path, *people: str, broker: str, **settings: object) -> None:
        place = gateway_world.plant(world, folder, *people)
        secret, config = folder.parent / f"{folder.name}.passphrase", folder.parent / f"{folder.name}.toml"
        durable.write(secret, gateway_world.PASSPHRASE)
        given = {
            "folder": str(folder),
            "broker": broker,
            "listen": "127.0.0.1:0",
            "metrics": "127.0.0.1:0",
            "passphrase_file": str(secret),
            "practice_notice": False,
            "poll_seconds": 0.2,
            "acknowledge_seconds": 0.5,
            **settings,
        }
        durable.write(config, "".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items()).encode())
        super().__init__("gateway", config, place.path)
        self.tokens = {who: Tokens(place.path).new(ParticipantId(who), "test")[1] for who in people}

    def headers(self, who: str, **more: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.tokens[who]}",
            **{name.replace("_", "-"): v for name, v in more.items()},
        }

    def call(self, who: str, target: str, method: str = "GET", value: object = None, **headers: str) -> Reply:
        """Do what an agency's system does: plain REST with a token."""
        body = None if value is None else json.dumps(value).encode()
        fields = self.headers(who, **({} if body is None else {"Content_Type": "application/json"}), **headers)
        return ask(f"{self.address}{target}", method, body, fields)

    def send(self, who: str, value: object, wait: int = 0) -> Reply:
        return self.call(who, "/v1/notices", "POST", value, **({"Prefer": f"wait={wait}"} if wait else {}))

    def listed(self, who: str, kind: str) -> list[dict]:
        """Return all of `notices` or of the `inbox`, page after page."""
        path, member = {"notices": ("/v1/notices", "notices"), "inbox": ("/v1/inbox", "items")}[kind]
        found, after = [], 0
        while True:
            page = self.call(who, f"{path}?after={after}&limit=200").json()
            found += page[member]
            if len(page[member]) < 200:
                return found
            after = page["next"]

    def alarms(self, who: str) -> dict[str, str]:
        """Return the alarms that are on, with their details."""
        found = self.call(who, "/v1/doctor").json()["alarms"]
        return {one["kind"]: one["detail"] for one in found if one["over"] is None}


def start_all(services: Sequence[Service]) -> None:
    """Start services at once and wait until each listens."""
    for service in services:
        service.launch()
    for service in services:
        service.until_listening()


@contextlib.contextmanager
def closing(*services: Service):
    """End every process when the block ends, however it ends."""
    try:
        yield
    finally:
        for service in services:
            service.close()


def notice(reference: str, *to: str, **more: object) -> dict[str, object]:
    """Return the plain notice that an agency's system posts, told from others by its reference."""
    content = {**examples("seizure"), "reference": reference}
    return {"topic": "central-asia.seizures", "notice": content, "to": list(to), **more}


def tell(fault: str, **counts: object) -> None:
    """Print a line of the fault table: what happened, and what became of what was sent."""
    print(f"FAULT | {fault} | " + " | ".join(f"{name.replace('_', ' ')} {value}" for name, value in counts.items()))


def until(condition, seconds: float = 20.0, every: float = 0.05):
    """Wait until a condition holds and return what it returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(every)


async def post(session: aiohttp.ClientSession, url: str, data: bytes, headers, seconds: float = 15):
    """Post once and return (status, JSON), or None where nothing came back."""
    try:
        async with session.post(url, data=data, headers=headers, timeout=aiohttp.ClientTimeout(seconds)) as answer:
            return answer.status, await answer.json(content_type=None)
    except (TimeoutError, aiohttp.ClientError, json.JSONDecodeError):
        return None
