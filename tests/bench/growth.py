"""Whole requests at 10⁵ leaves beside 10³: publish, a feed page, a proof, over HTTP at two real brokers, interleaved.

The leaves are statements of the right form to 57 States whose signatures nobody made: a broker looks at those before it
appends, and never again. Also how long `valise broker run` takes to be ready over 10⁵ leaves.
"""

import asyncio
import os
import random
import statistics
import time
from dataclasses import replace
from pathlib import Path

import aiohttp

from broker.ledger.port import Append, Entry
from keys import digests
from keys.http_signature import sign_request
from schemas import encoding
from schemas.encoding import b64encode
from schemas.envelope import SealedHeader, SealedNotice, Stanza
from schemas.ids import new_notice_id
from schemas.leaf import Leaf, LeafType
from schemas.record import Record
from schemas.statement import SealedDigests
from tests.bench.publish import STATES, make, prepare
from tests.broker_world import Broker, HandClock, running
from tests.faults.deployment import BrokerService
from tests.world import ORIGIN, World

SMALL, LARGE = 1_000, 100_000
ROUNDS = 7
GROWTH = 1.2
START_S = 2.0
READER = "uz/focal-point"
PROOF = encoding.encode({"index": 0, "size": 1, "path": [], "head": {"payload": "A" * 400, "signature": "A" * 4600}})


class Filler:
    """Makes records of the right form, a tenth of them to the reader."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = random.Random(7)
        self._kids = [world.people[f"{state}/focal-point"].sealing.kid for state in STATES]
        self._own = world.people["kz/customs"].sealing.kid
        self._reader = world.people[READER].sealing.kid
        self._like = world.statement("kz/customs")

    def fill(self, broker: Broker, leaves: int) -> None:
        """Append until the tree has so many leaves; called in the ledger thread."""
        while (missing := leaves - broker.view.size) > 0:
            state, now = broker.view.state, broker.clock.now_ms()
            made = [self._entry(state.directory, state.boundary, now) for _ in range(min(500, missing))]
            entries = tuple(entry for entry, _ in made)
            first = broker.ledger.append(Append(entries))[0]
            items = [(first + number, entry.record, entry.body) for number, entry in enumerate(entries)]
            broker.view.apply(items, [statement for _, statement in made])

    def _entry(self, directory, boundary, now):
        draw = self._random.randbytes
        other = self._reader if self._random.randrange(10) == 0 else self._random.choice(self._kids)
        stanzas = [Stanza(kid, draw(1120), draw(48)) for kid in sorted({self._own, other})]
        header = SealedHeader(SealedHeader.encode(draw(32), draw(32)), b"", b"")
        body = encoding.encode(SealedNotice(header, tuple(stanzas), draw(12), draw(2048), draw(16)).to_json())
        name = new_notice_id(now)
        sealed = SealedDigests(b64encode(draw(32)), 2048, b64encode(draw(32)), len(stanzas))
        statement = replace(self._like, notice_id=name, thread=name, nonce=b64encode(draw(16)), sealed=sealed)
        document = statement.encode()
        leaf = Leaf(LeafType.SEALED, now, digests.statement_leaf(document, PROOF))
        record = Record(leaf, document, PROOF, digests.sha256(body), directory, boundary)
        return Entry(record, body), statement


class Site:
    """A real broker over some leaves."""

    def __init__(self, world: World, folder: Path, leaves: int) -> None:
        folder.mkdir(parents=True)
        self.world, self.leaves = world, leaves
        self.process = BrokerService(world, folder / "broker")
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        filler = Filler(self.world)
        async with running(self.world, self.process.folder, HandClock(self.world.now * 1000)) as broker:
            await broker.sequencer.call(lambda: filler.fill(broker, self.leaves))
            size = broker.view.size
            picks = random.Random(3).sample(range(size - min(size, 900), size), 200)
            rows = [broker.view.by_index(index) for index in picks]
            self.notices = [row.notice_id for row in rows if row is not None]

    def start(self) -> float:
        """Start the process and return the seconds until it listens."""
        begun = time.perf_counter()
        self.process.start()
        return time.perf_counter() - begun

    async def publish(self, session, envelopes) -> float:
        """Return the median seconds of a publish, one after the other."""
        times = []
        for item in envelopes:
            url = f"{self.process.address}/v1/notices/{item.statement.notice_id}"
            times.append(await _timed(session, "PUT", url, {"Content-Type": "application/json"}, item.envelope))
        return statistics.median(times)

    async def page(self, session) -> float:
        """Return the median seconds of a page of 100 deliveries from the newest thousand leaves."""
        return await self._reads(session, READER, [f"/v1/feed?after={self.leaves - 990}&limit=100"] * 8)

    async def proof(self, session) -> float:
        """Return the median seconds of a proof."""
        paths = [f"/v1/notices/{notice}/proof" for notice in random.sample(self.notices, 40)]
        return await self._reads(session, "kz/customs", paths)

    async def _reads(self, session, who, paths) -> float:
        times = []
        for path in paths:
            url = f"{self.process.address}{path}"
            signer = self.world.people[who].request
            headers = sign_request("GET", url, {}, None, signer=signer, origin=ORIGIN, created=int(time.time()))
            times.append(await _timed(session, "GET", url, headers, None))
        return statistics.median(times)


async def _timed(session, method, url, headers, body) -> float:
    begun = time.perf_counter()
    async with session.request(method, url, headers=headers, data=body) as response:
        text = await response.read()
        if response.status not in (200, 201):
            raise RuntimeError(f"{response.status}: {text[:200]!r}")
    return time.perf_counter() - begun


async def _measure(small: Site, large: Site, envelopes) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {"publish": [], "feed page": [], "proof": []}
    take = iter(envelopes)
    async with aiohttp.ClientSession() as session:
        for _ in range(ROUNDS + 1):
            parts = [[next(take) for _ in range(40)] for _ in range(2)]
            found["publish"].append((await small.publish(session, parts[0]), await large.publish(session, parts[1])))
            found["feed page"].append((await small.page(session), await large.page(session)))
            found["proof"].append((await small.proof(session), await large.proof(session)))
    return {name: rounds[1:] for name, rounds in found.items()}  # the first one warms


def run(folder: Path) -> list[dict[str, object]]:
    """Measure and return the figures."""
    world = make()
    envelopes = prepare(world, (ROUNDS + 1) * 80, 10)
    small, large = Site(world, folder / "small", SMALL), Site(world, folder / "large", LARGE)
    starts = []
    try:
        small.start()
        for number in range(5):
            if number:
                large.process.end()
            starts.append(large.start())
        found = asyncio.run(_measure(small, large, envelopes))
    finally:
        for site in (small, large):
            site.process.close()
    figures = []
    for name, rounds in found.items():
        beside, value = (statistics.median(column) * 1e6 for column in zip(*rounds, strict=True))
        ratio = statistics.median(b / a for a, b in rounds)
        figures.append(
            {
                "name": f"{name}, a whole request at {LARGE:,} leaves",
                "value": round(value),
                "unit": "µs",
                "ratio": round(ratio, 3),
                "beside": f"{beside:.0f} µs at {SMALL:,}",
                "goal": f"<= {GROWTH}",
                "holds": ratio <= GROWTH,
            }
        )
    start = statistics.median(starts)
    return [
        *figures,
        {
            "name": f"start of the process with {LARGE:,} leaves",
            "value": round(start, 2),
            "unit": "s",
            "ratio": None,
            "beside": None,
            "goal": f"<= {START_S}",
            "holds": start <= START_S,
        },
    ]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory(dir=os.environ.get("VALISE_BENCH_DIR")) as place:
        for row in run(Path(place) / "growth"):
            print(row)
