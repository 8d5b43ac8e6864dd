"""Publishing on a Kafka of three nodes beside a pass-through that verifies nothing: one interleaved run, medians of five.

Then each node dies once, while senders retry as gateways do: the longest time in which nothing was acknowledged.
Broker, pass-through, load generator and all three nodes share the machine's cores.
"""

import asyncio
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from keys.batch import Signed
from tests import cluster
from tests.bench.load import at_rate, closed_loop
from tests.bench.publish import ROUNDS, figure, make, prepare
from tests.faults.deployment import closing, until
from tests.kafka.instances import Instance, instances
from tests.kafka.load import Load, under_load
from tests.world import World

TOPIC = "pass-through"
TOGETHER = 100
CONNECTIONS = 64
STALL = 5.0
"""Seconds that publishing may stand still when a node dies."""


@contextmanager
def pass_through(bootstrap: str):
    """Run the pass-through and give its address."""
    port = 28_480
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.pass_through", bootstrap, str(port), TOPIC])
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=1).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def batches(world: World, signed: Sequence[Signed]) -> list[bytes]:
    """Return request bodies of a hundred lines each."""
    return [
        b"".join(item.envelope + b"\n" for item in signed[at : at + TOGETHER]) for at in range(0, len(signed), TOGETHER)
    ]


async def post_all(address: str, bodies: Sequence[bytes], connections: int = 4) -> float:
    """Post batches and return envelopes a second."""
    waiting = iter(bodies)
    async with aiohttp.ClientSession() as session:

        async def worker() -> None:
            for body in waiting:
                url, headers = f"{address}/v1/notices", {"Content-Type": "application/x-ndjson"}
                async with session.post(url, data=body, headers=headers) as answer:
                    text = await answer.read()
                    if answer.status != 200 or b'"problem"' in text[:200]:
                        raise RuntimeError(f"{answer.status}: {text[:300]!r}")

        begun = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(connections)))
        return len(bodies) * TOGETHER / (time.perf_counter() - begun)


def signed_together(world: World, count: int) -> list[Signed]:
    """Seal notices of 2 KiB for ten and sign each hundred under one head."""
    from keys.envelope import seal_notice
    from tests.bench.publish import NOTICE, recipients

    to, trust = recipients(10), world.directory
    records = [trust.sealing(world.people[who].sealing.kid) for who in (*to, "kz/customs")]
    found: list[Signed] = []
    for _ in range(count // TOGETHER):
        found += world.sign([seal_notice(world.statement("kz/customs"), NOTICE, records) for _ in range(TOGETHER)])
    return found


def stall(kafka: cluster.Cluster, one: Instance, envelopes: Sequence[Signed]) -> float:
    """Kill each node once under a steady load and return the longest time without an acknowledgement, in seconds."""
    load = Load([one], envelopes, pause=0.2)

    async def deaths() -> None:
        for node in kafka.nodes:
            await asyncio.to_thread(kafka.kill, node.number)
            await asyncio.sleep(2 * STALL)  # it stays away for longer than publishing may stand still
            await asyncio.to_thread(kafka.start, node.number)
            await asyncio.to_thread(until, lambda number=node.number: kafka.serving(number) == 3, 30)

    asyncio.run(under_load(load, deaths))
    return float(load.stall)


def run(folder: Path, count: int = 600) -> list[dict[str, object]]:
    """Measure and return the figures."""
    world = make()
    ten = prepare(world, count * ROUNDS + 800, 10)
    steady = prepare(world, 4000, 2)
    bodies = batches(world, signed_together(world, 1000 * ROUNDS))
    singles, beside, many, many_beside = [], [], [], []
    with cluster.running(3) as kafka:
        (one,) = instances(world, folder, kafka, 1)
        asyncio.run(make_topic(kafka))
        with pass_through(kafka.bootstrap) as passing, closing(one):
            one.start()
            for address in (passing, one.address):
                asyncio.run(closed_loop(address, ten[-100:], 8))  # warm
            for number in range(ROUNDS):
                part = ten[number * count : (number + 1) * count]
                beside.append(asyncio.run(closed_loop(passing, part, CONNECTIONS))[0])
                singles.append(asyncio.run(closed_loop(one.address, part, CONNECTIONS))[0])
                some = bodies[number * 10 : (number + 1) * 10]
                many_beside.append(asyncio.run(post_all(passing, some)))
                many.append(asyncio.run(post_all(one.address, some)))
            single = statistics.median(singles)
            latencies = sorted(asyncio.run(at_rate(one.address, ten[count * ROUNDS : -100], single / 2)))
            longest = stall(kafka, one, steady)
    p99 = latencies[int(len(latencies) * 0.99)] * 1000
    ratio = statistics.median(a / b for a, b in zip(singles, beside, strict=True))
    wide = statistics.median(a / b for a, b in zip(many, many_beside, strict=True))
    return [
        figure("Kafka: single publish, 2 KiB, ten recipients", single, "/s", ratio, "pass-through", 0.6),
        figure("Kafka: batches of 100", statistics.median(many), "/s", wide, "pass-through's batches", 1.5),
        {"name": "Kafka: p99 to receipt at half of that load", "value": round(p99, 2), "unit": "ms", "ratio": None,
         "beside": None, "goal": 50, "holds": p99 <= 50},
        {"name": "Kafka: longest stall when a node dies", "value": round(longest, 2), "unit": "s", "ratio": None,
         "beside": None, "goal": STALL, "holds": longest <= STALL},
    ]  # fmt: skip


async def make_topic(kafka: cluster.Cluster) -> None:
    """Make the pass-through's topic, with as many copies as the broker's own."""
    from aiokafka.admin import NewTopic

    async with cluster.admin(kafka) as admin:
        await admin.create_topics(
            [NewTopic(TOPIC, 1, 3, topic_configs={"min.insync.replicas": "2", "max.message.bytes": "2097152"})]
        )


if __name__ == "__main__":
    import json
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(run(Path(place)), indent=1))
