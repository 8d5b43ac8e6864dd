"""Instances and nodes that die or stand still under load: nothing acknowledged is lost, nothing comes twice, one tree for all.

`VALISE_KAFKA_KILLS` says how often an instance is killed (3; `make soak` 100), `VALISE_KAFKA_EVERY` how many seconds lie between
two deaths of nodes (4; 20), `VALISE_KAFKA_LASTS` for how many they go on at least (0; 600), `VALISE_KAFKA_SECONDS` how long the
leader stands still (4; 30), `VALISE_KAFKA_PAUSED` how long an instance does (12; 180).
"""

import asyncio
import os
import random
import signal
import time

import pytest

from broker.ledger.kafka.topics import LEDGER
from tests.cluster import admin, clear
from tests.faults.deployment import closing, start_all, until
from tests.kafka.instances import instances
from tests.kafka.load import Load, reconcile, under_load, unending
from tests.world import make_world

KILLS = int(os.environ.get("VALISE_KAFKA_KILLS", "3"))
EVERY = float(os.environ.get("VALISE_KAFKA_EVERY", "4"))
LASTS = float(os.environ.get("VALISE_KAFKA_LASTS", "0"))
STILL = float(os.environ.get("VALISE_KAFKA_SECONDS", "4"))
PAUSED = float(os.environ.get("VALISE_KAFKA_PAUSED", "12"))
PATIENCE = 10.0
"""Seconds that a sender gives one instance before it asks another."""
PAUSE = 0.1 if KILLS < 10 else 0.5
"""Seconds between two notices of a sender: in hours there must not be more of them than can be compared."""
SENDER, READER = "kz/customs", "uz/focal-point"
pytestmark = pytest.mark.timeout(180 + KILLS * 60 + LASTS * 2 + STILL * 10 + PAUSED * 4)


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


@pytest.fixture
def load(world, pair):
    """Senders that have more to send than any trouble lasts."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return Load(pair, unending(world, SENDER, [READER]), pause=PAUSE, seed=seed, patience=PATIENCE)


def test_instances_and_nodes_are_killed_under_load(world, pair, load, kafka_of_three, tmp_path):
    chance = random.Random(load.chance.random())
    nodes, kills = 0, 0

    async def kill_instances():
        nonlocal kills
        for number in range(KILLS):
            await asyncio.sleep(chance.uniform(0.0, 1.0))
            instance = pair[number % 2]
            instance.kill()
            kills += 1
            # The signer starts again once the others have not heard of it for a while; so does whoever runs as a service.
            await asyncio.to_thread(instance.start_again)

    async def kill_nodes(killing):
        nonlocal nodes
        end = time.monotonic() + LASTS
        while not killing.done() or time.monotonic() < end:
            await (asyncio.sleep(EVERY) if killing.done() else asyncio.wait([killing], timeout=EVERY))
            number = chance.randrange(3) + 1
            await asyncio.to_thread(kafka_of_three.kill, number)
            nodes += 1
            await asyncio.to_thread(kafka_of_three.start, number)
            await asyncio.to_thread(until, lambda n=number: kafka_of_three.serving(n) == 3, 30)

    async def trouble():
        killing = asyncio.create_task(kill_instances())
        await kill_nodes(killing)
        await killing

    asyncio.run(under_load(load, trouble))
    assert load.lasted >= LASTS
    assert (kills, nodes > 0) == (KILLS, True)
    fault = f"instances killed; nodes killed every {EVERY:.0f} s"
    reconcile(world, pair, load, tmp_path, fault, instances_killed=kills, nodes_killed=nodes)


def test_all_nodes_are_killed_and_started_again_and_then_the_leader_stands_still(
    world, pair, load, kafka_of_three, tmp_path
):
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

    asyncio.run(under_load(load, trouble))
    reconcile(world, pair, load, tmp_path, f"all nodes killed, then the leader stopped for {STILL:.0f} s")


def test_an_instance_that_does_not_sign_stands_still_under_load(world, pair, load, tmp_path):
    """Wherever it is just then: between a notice's body and its record, too."""
    still = pair[1]
    load.patience = 3.0  # else the longest stall would be theirs

    async def trouble():
        for seconds in (0.3, 1.0, PAUSED):
            still.process.send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                still.process.send_signal(signal.SIGCONT)
            await asyncio.to_thread(until, lambda: not still.reasons, 30)
            await asyncio.sleep(0.5)

    asyncio.run(under_load(load, trouble))
    reconcile(world, pair, load, tmp_path, f"an instance that does not sign stopped for {PAUSED:.0f} s")


async def leader(kafka):
    """Return the number of the node that leads the ledger's partition."""
    async with admin(kafka) as hands:
        (topic,) = await hands.describe_topics([LEDGER])
    return topic["partitions"][0]["leader"]
