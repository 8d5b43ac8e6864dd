"""A broker killed with SIGKILL while a gateway sends a backlog in batches: everything is published once, in its order."""

import os
import random
import time

import pytest

from tests.faults.deployment import BrokerService, GatewayService, closing, notice, until
from tests.world import make_world

pytestmark = pytest.mark.loopback

SENDER, READER = "kz/customs", "uz/focal-point"
KILLS = max(3, int(os.environ.get("VALISE_KILLS", "3")) // 20)
BACKLOG = 120


def test_a_backlog_is_published_once_and_in_its_order_however_often_the_broker_dies(tmp_path):
    chance = random.Random(1961)
    world = make_world((SENDER, READER))
    broker = BrokerService(world, tmp_path / "broker")
    with closing(broker):
        broker.start()
        gateway = GatewayService(world, tmp_path / "gateway", SENDER, broker=broker.address)
        with closing(gateway):
            gateway.start()
            assert gateway.send(SENDER, notice("first", READER), wait=20).json()["status"] == "published"
            accepted = []
            for kill in range(KILLS):
                broker.kill()
                for number in range(BACKLOG):
                    answer = gateway.send(SENDER, notice(f"{kill}-{number}", READER))
                    assert answer.status == 202
                    accepted.append(answer.json()["id"])
                broker.start()
                before = published(gateway)
                until(lambda before=before: published(gateway) > before, 30)
                time.sleep(chance.uniform(0, 0.25))
            until(lambda: published(gateway) == 1 + len(accepted), 90)
            listed = gateway.listed(SENDER, "notices")[1:]
            assert [one["id"] for one in listed] == accepted
            assert [one["id"] for one in sorted(listed, key=lambda one: one["index"])] == accepted
            assert {one["attempts"] for one in listed} == {0}
            until(lambda: not gateway.alarms(SENDER), 30)
        found = [name for _, name, *_ in broker.notices(READER)][1:]
        assert found == [one["notice_id"] for one in listed]


def published(gateway) -> int:
    """Return how many notices have a receipt."""
    return sum(one["status"] == "published" for one in gateway.listed(SENDER, "notices"))
