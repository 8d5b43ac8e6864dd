"""Live streams: 400 participants, each with a stream of its own, and notices to all of them; one broker process on one core.

*Handed out*: another instance has verified the notices; this one appends them, signs over them, reads them back, decides
and streams. *Published here*: this very process also parses and verifies them and answers their sender. Beside it, in the
same rounds: an ASGI application in the same server that sends as many bytes to as many connections and knows nothing. The
load generator has the other core and only counts; what one subscriber got is verified and opened when the clock has stopped.

    python -m tests.bench.streaming [--rounds N]
"""

import argparse
import asyncio
import itertools
import multiprocessing
import socket
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import uvicorn
import uvloop

from broker.http.api import create_api
from broker.http.protocol import GuardedProtocol
from broker.ledger.port import Append, Entry
from broker.publish import Accepted, decide_on, examine
from broker.serve import spare_collector
from broker.staged import Staged
from broker.telemetry import Telemetry
from keys.directory.directory import Moment
from keys.envelope import open_notice, seal_notice, verify_delivery
from keys.http_signature import sign_request
from keys.log.note import verify_checkpoint
from schemas.delivery import Delivery
from tests.bench.load import closed_loop
from tests.bench.publish import NOTICE, STATES
from tests.bench.serve import WallClock, pin
from tests.broker_world import running
from tests.sse import Reader
from tests.world import ORIGIN, make_world

SUBSCRIBERS = 400
SENDER = "kz/customs"
KINDS = ("focal-point", "police", "customs", "border", "prosecutor", "judicial", "drug-control", "fiu")
ROUNDS = 5
NOTICES = 100
CHUNK = 10
GOAL = 40_000
MARK = b"event: delivery\n"


def people(count):
    """Return the subscribers."""
    named = (f"{state}/{kind}" for kind in KINDS for state in STATES)
    return list(itertools.islice((who for who in named if who != SENDER), count))


def prepare(world, to, count):
    """Seal and sign notices of 2 KiB to everybody, each with a head of its own."""
    directory = world.directory
    records = [directory.sealing(world.people[who].sealing.kid) for who in (*to, SENDER)]
    return [world.sign([seal_notice(world.statement(SENDER), NOTICE, records)])[0] for _ in range(count)]


class Raw:
    """Streams that know nothing: what is put into all queues goes out as it is."""

    def __init__(self):
        self.queues = []

    async def __call__(self, _scope, _receive, send):
        queue = asyncio.Queue()
        self.queues.append(queue)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        while True:
            await send({"type": "http.response.body", "body": await queue.get(), "more_body": True})

    async def fan_out(self, length):
        frame = (b"id: 1\n" + MARK + b"data: ").ljust(length, b"x")
        for _ in range(NOTICES // CHUNK):
            for queue in self.queues:
                queue.put_nowait(b"".join([frame] * CHUNK))
            await asyncio.sleep(0)


class Child:
    """A broker in a process of its own, which verifies notices ahead and appends them when it is told to."""

    def __init__(self, world, folder, letters, core=1):
        self.world, self.folder, self.letters, self.core = world, folder, letters, core
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.pipe, self._inner = multiprocessing.Pipe()
        self._accepted = []

    def _run(self):
        pin(self.core)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self):
        self.folder.mkdir(parents=True)
        async with running(self.world, self.folder, WallClock()) as broker:
            api, raw = create_api(broker.serving, Telemetry(broker.serving.figures)), Raw()

            async def app(scope, receive, send):
                await (raw if scope["path"] == "/raw" else api)(scope, receive, send)

            config = uvicorn.Config(app, http=GuardedProtocol, lifespan="off", log_level="critical", access_log=False)
            server = uvicorn.Server(config)
            task = asyncio.create_task(server.serve(sockets=[self.listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            spare_collector()
            self._inner.send("ready")
            while (order := await asyncio.to_thread(self._inner.recv)) is not None:
                self._inner.send(await self._obey(broker, raw, *order))
            broker.serving.release()
            server.should_exit = server.force_exit = True
            await task

    async def _obey(self, broker, raw, what, first, last):
        if what == "verify":
            self._accepted = await broker.sequencer.call(lambda: verify(broker, self.letters[first:last]))
        elif what == "append":
            for begin in range(0, len(self._accepted), CHUNK):
                part = self._accepted[begin : begin + CHUNK]
                await broker.sequencer.call(lambda part=part: append(broker, part))
        elif what == "raw":
            await raw.fan_out(first)
        return time.process_time()

    @contextmanager
    def alive(self):
        process = multiprocessing.get_context("fork").Process(target=self._run, daemon=True)
        process.start()
        try:
            self.pipe.recv()
            yield self
        finally:
            self.pipe.send(None)
            process.join(10)
            process.kill()
            self.listener.close()

    async def tell(self, what, first=0, last=0):
        """Have an order carried out and return the seconds of processor that the process has used by then."""
        self.pipe.send((what, first, last))
        return await asyncio.to_thread(self.pipe.recv)


def verify(broker, letters):
    """Verify and decide as publishing does; called in the ledger thread."""
    now, trust = broker.clock.now_ms(), broker.sequencer.trust
    staged, found = Staged(broker.view), []
    for item in letters:
        examined = examine(item.envelope, item.statement.notice_id, ORIGIN, trust, Moment(broker.view.size, now))
        outcome = decide_on(examined, ORIGIN, trust, staged, now_ms=now)
        if not isinstance(outcome, Accepted):
            raise TypeError(f"refused: {outcome}")
        found.append(outcome)
    return found


def append(broker, accepted):
    """Append what was verified, and apply it to the view; called in the ledger thread."""
    entries = tuple(Entry(item.record, item.body) for item in accepted)
    positions = broker.ledger.append(Append(entries))
    items = [(position, entry.record, entry.body) for position, entry in zip(positions, entries, strict=True)]
    broker.view.apply(items, [item.statement for item in accepted])


class Subscriber(asyncio.Protocol):
    """Reads a stream and counts deliveries."""

    def __init__(self, request, tally, *, keep=False):
        self._request, self._tally, self._tail = request, tally, b""
        self.kept = [] if keep else None

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data):
        # A mark that two reads share is found in the second.
        self._tally.add(data.count(MARK) + (self._tail + data[: len(MARK) - 1]).count(MARK))
        self._tail = data[-len(MARK) + 1 :] if len(data) >= len(MARK) else (self._tail + data)[-len(MARK) + 1 :]
        if self.kept is not None:
            self.kept.append(data)

    def connection_lost(self, _error):
        self._tally.lost += 1


class Tally:
    """Deliveries of all subscribers."""

    def __init__(self):
        self.count = self.lost = self.wanted = 0
        self.done = asyncio.Event()

    def add(self, number):
        self.count += number
        if self.count >= self.wanted:
            self.done.set()

    def wait(self, more, seconds=60):
        self.wanted = self.count + more
        self.done.clear()
        return asyncio.create_task(asyncio.wait_for(self.done.wait(), seconds))


def request_of(world, who, address, path):
    """Return the request for a stream, as it goes out."""
    signer = world.people[who].request
    fields = sign_request("GET", address + path, {}, None, signer=signer, origin=ORIGIN, created=int(time.time()))
    lines = [f"GET {path} HTTP/1.1", f"Host: {address.removeprefix('http://')}"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in fields.items()), "", ""]).encode()


async def subscribe(world, child, who, path):
    """Open a stream for everybody; the first keeps what it gets."""
    tally, made = Tally(), []
    port = int(child.address.rpartition(":")[2])
    for number, one in enumerate(who):
        subscriber = Subscriber(request_of(world, one, child.address, path), tally, keep=number == 0)
        await asyncio.get_running_loop().create_connection(lambda one=subscriber: one, "127.0.0.1", port)
        made.append(subscriber)
    return tally, made


async def measure(world, child, who, letters, rounds):
    """Return deliveries a second of each kind by rounds, and processor time a delivery of what is handed out."""
    streams, subscribers = await subscribe(world, child, who, "/v1/feed/stream")
    raw, others = await subscribe(world, child, who, "/raw")
    await asyncio.sleep(2)
    total = NOTICES * len(who)
    batches = iter(range(0, len(letters), NOTICES))
    found = {"handed out": [], "published here": [], "raw": [], "processor": []}

    async def handed_out():
        first = next(batches)
        cpu = await child.tell("verify", first, first + NOTICES)
        waiting, begun = streams.wait(total), time.perf_counter()
        await child.tell("append")
        await waiting
        rate = total / (time.perf_counter() - begun)
        return rate, (await child.tell("nothing") - cpu) / total

    async def published():
        first = next(batches)
        waiting, begun = streams.wait(total), time.perf_counter()
        await closed_loop(child.address, letters[first : first + NOTICES], 8)
        await waiting
        return total / (time.perf_counter() - begun)

    async def sent_raw(length):
        waiting, begun = raw.wait(total), time.perf_counter()
        await child.tell("raw", length)
        await waiting
        return total / (time.perf_counter() - begun)

    await handed_out()
    length = sum(map(len, subscribers[0].kept)) // NOTICES
    for _ in range(rounds):
        rate, processor = await handed_out()
        found["handed out"].append(rate)
        found["processor"].append(processor)
        found["raw"].append(await sent_raw(length))
        found["published here"].append(await published())
    if streams.lost or raw.lost:
        raise RuntimeError("connections were lost")
    check(world, who[0], b"".join(subscribers[0].kept), letters)
    for one in (*subscribers, *others):
        one.transport.close()
    return found, length


def check(world, who, text, letters):
    """Verify and open what a subscriber got: every notice, once."""
    _, _, body = text.partition(b"\r\n\r\n")
    reader, at = Reader(), 0
    while at < len(body):
        begin = body.index(b"\r\n", at) + 2
        end = begin + int(body[at : begin - 2], 16)
        reader.feed(body[begin:end])
        at = end + 2
    key, notes, got = world.people[who].sealing, {}, []
    for data in reader.whole():
        delivery = Delivery.parse(data)
        note = delivery.inclusion.checkpoint
        if note not in notes:
            notes[note] = verify_checkpoint(note, world.directory.log.keys)
        verified = verify_delivery(delivery, world.directory, notes[note], revoked={}, own={key.kid: key})
        if open_notice(verified, key).notice != NOTICE:
            raise RuntimeError("a notice came as another")
        got.append(delivery.statement.notice_id)
    if sorted(got) != sorted(item.statement.notice_id for item in letters) or len(set(got)) != len(got):
        raise RuntimeError("notices are missing or twice")


def run(folder, rounds=ROUNDS, count=SUBSCRIBERS):
    """Measure and return the figures."""
    who = people(count)
    world = make_world([SENDER, *who])
    pin(0)
    letters = prepare(world, who, NOTICES * (2 * rounds + 1))
    child = Child(world, folder / "broker", letters)
    with child.alive(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found, length = runner.run(measure(world, child, who, letters, rounds))
    median = {name: statistics.median(values) for name, values in found.items()}
    rows = []
    for name, goal in (("handed out", GOAL), ("published here", None)):
        ratio = statistics.median(a / b for a, b in zip(found[name], found["raw"], strict=True))
        rows.append(
            {
                "name": f"live stream, {count} subscribers, {name}",
                "value": round(median[name]),
                "unit": "/s",
                "ratio": round(ratio, 3),
                "beside": f"{median['raw']:,.0f}/s of {length / 1000:.1f} kB by an ASGI application that knows nothing",
                "goal": goal,
                "holds": goal is None or median[name] >= goal,
            }
        )
    per_core = 1 / median["processor"]
    rows.append(
        {
            "name": f"live stream, {count} subscribers, handed out in a second of processor time",
            "value": round(per_core),
            "unit": "",
            "ratio": None,
            "beside": f"{median['processor'] * 1e6:.1f} µs each, all threads, appending included",
            "goal": GOAL,
            "holds": per_core >= GOAL,
        }
    )
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Live streams to many subscribers.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    with tempfile.TemporaryDirectory() as place:
        for row in run(Path(place), parser.parse_args().rounds):
            print(row)
