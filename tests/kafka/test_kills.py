"""Instances and nodes that die under load: nothing acknowledged is lost, nothing comes twice, one tree for all.

`VALISE_KAFKA_KILLS` says how often an instance is killed (3; `make soak` 100), `VALISE_KAFKA_SECONDS` how long a node stands
still or dies (4; 30), `VALISE_KAFKA_EVERY` how many seconds lie between two deaths of nodes (4; 20).
"""

import asyncio
import os
import random

import pytest

from broker.ledger.kafka.topics import LEDGER
from tests.cluster import admin, clear
from tests.faults.deployment import closing, start_all, until
from tests.kafka.instances import instances
from tests.kafka.load import Load, letters, reconcile
from tests.world import make_world

KILLS = int(os.environ.get("VALISE_KAFKA_KILLS", "3"))
EVERY = float(os.environ.get("VALISE_KAFKA_EVERY", "4"))
STILL = float(os.environ.get("VALISE_KAFKA_SECONDS", "4"))
SENDER, READER = "kz/customs", "uz/focal-point"
pytestmark = pytest.mark.timeout(120 + KILLS * 60 + STILL * 10)


@pytest.fixture(scope="module")
def world():
    return make_world([SENDER, "kz/focal-point", READER])


@pytest.fixture
def pair(world, kafka_of_three, tmp_path):
    """Two instances on three nodes, the first of which signs."""
    pair = instances(world, tmp_path, kafka_of_three, 2)
    with closing(*pair):
        start_all(pair)
        yield pair
    kafka_of_three.start_all()
    asyncio.run(clear(kafka_of_three))


async def under_load(world, pair, seed, trouble, count):
    """Let trouble come while senders send, and return the load once it is over."""
    load = Load(pair, letters(world, count, SENDER, [READER]), pause=0.1, seed=seed)
    task = asyncio.create_task(load.run())
    try:
        await asyncio.sleep(1)
        await trouble()
        await asyncio.sleep(1)
    finally:
        load.over = True
    await task
    return load


def test_instances_and_nodes_are_killed_under_load(world, pair, kafka_of_three, tmp_path):
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    nodes = 0

    async def kill_instances():
        for number in range(KILLS):
            await asyncio.sleep(chance.uniform(0.0, 1.0))
            instance = pair[number % 2]
            instance.kill()
            # The signer starts again once the others have not heard of it for a while; so does whoever runs as a service.
            await asyncio.to_thread(instance.start_again)

    async def kill_nodes(killing):
        nonlocal nodes
        while not killing.done():
            await asyncio.wait([killing], timeout=EVERY)
            number = chance.randrange(3) + 1
            await asyncio.to_thread(kafka_of_three.kill, number)
            nodes += 1
            await asyncio.to_thread(kafka_of_three.start, number)
            await asyncio.to_thread(until, lambda n=number: kafka_of_three.serving(n) == 3, 30)

    async def trouble():
        killing = asyncio.create_task(kill_instances())
        await kill_nodes(killing)
        await killing

    load = asyncio.run(under_load(world, pair, seed, trouble, 400 * (KILLS + 1)))
    reconcile(world, pair, load, tmp_path, READER)
    print(f"{KILLS} kills of an instance, {nodes} of a node, seed {seed}")


def test_all_nodes_are_killed_and_started_again_and_then_the_leader_stands_still(world, pair, kafka_of_three, tmp_path):
    async def trouble():
        await asyncio.to_thread(kafka_of_three.kill_all)
        await asyncio.to_thread(kafka_of_three.start_all)
        await asyncio.sleep(2)
        number = await leader(kafka_of_three)
        kafka_of_three.pause(number)
        try:
            await asyncio.sleep(STILL)
        finally:
            kafka_of_three.resume(number)
        await asyncio.sleep(3)  # it says for a while what was
        await asyncio.to_thread(kafka_of_three.start_all)  # waits until each knows all three

    load = asyncio.run(under_load(world, pair, 1, trouble, int(1500 + 100 * STILL)))
    reconcile(world, pair, load, tmp_path, READER)


async def leader(kafka):
    """Return the number of the node that leads the ledger's partition."""
    async with admin(kafka) as hands:
        (topic,) = await hands.describe_topics([LEDGER])
    return topic["partitions"][0]["leader"]
