"""Several instances on one cluster: any of them takes what any other has, and all of them show the same log."""

import asyncio

import pytest

from tests.cluster import clear
from tests.faults.deployment import closing, start_all, until
from tests.kafka.instances import instances
from tests.world import make_world

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(180)]
SENDER, READER = "kz/customs", "uz/focal-point"


@pytest.fixture(scope="module")
def world():
    return make_world([SENDER, "kz/focal-point", READER])


@pytest.fixture
def pair(world, kafka, tmp_path):
    """Two instances that run, the first of which signs."""
    one, two = instances(world, tmp_path, kafka, 2)
    with closing(one, two):
        start_all((one, two))
        yield one, two
    asyncio.run(clear(kafka))


def test_what_one_takes_all_deliver_and_all_repeat(world, pair):
    one, two = pair
    letters = [world.envelope(SENDER, [READER]) for _ in range(10)]
    receipts = []
    for number, signed in enumerate(letters):
        answer = pair[number % 2].publish(signed)
        assert answer.status == 201, answer.body
        receipts.append(answer.body)
    for number, signed in enumerate(letters):
        other = pair[(number + 1) % 2]
        answer = until(lambda other=other, signed=signed: (found := other.publish(signed)).status == 200 and found)
        assert answer.body == receipts[number]
    for instance in pair:
        until(lambda instance=instance: len(instance.notices(READER)) == 10)
    assert one.notices(READER) == two.notices(READER)
