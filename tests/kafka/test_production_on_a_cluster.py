"""Real nodes take the production settings and definitions, and the broker finds nothing unsafe about them."""

import asyncio

import pytest
from aiokafka.admin import NewTopic

from broker.ledger.kafka.admin import prepare
from broker.ledger.kafka.topics import body_topics
from deploy.kafka.production import commands
from deploy.kafka.protocol import read_properties
from tests import cluster
from tests.cluster import ADMIN

# Addresses, files and who is who: a test's nodes have their own.
ITS_OWN = ("node.id", "listeners", "controller.quorum.bootstrap.servers", "log.dirs")
FILES = ("ssl.keystore.location", "ssl.truststore.location")


def settings(*files):
    found = {}
    for file in files:
        found |= read_properties(commands.HERE / file)
    return {name: value for name, value in found.items() if name not in ITS_OWN + FILES}


async def make_topics(kafka):
    async with cluster.admin(kafka, ADMIN) as client:
        topics = commands.topics().items()
        wanted = [NewTopic(name, commands.PARTITIONS, commands.COPIES, topic_configs=own) for name, own in topics]
        answer = await client.create_topics(wanted)
        assert {code for _, code, _ in answer.topic_errors} == {0}, answer
        while len(await client.list_topics()) < len(wanted):
            pass


@pytest.mark.parametrize(
    ("security", "files"), [("tls", ["server.properties"]), ("scram", ["server.properties", "scram.properties"])]
)
def test_the_broker_finds_nodes_and_topics_of_production_safe(security, files):
    cluster.skip_without_kafka()
    with cluster.running(3, security, settings=settings(*files)) as kafka:
        asyncio.run(make_topics(kafka))
        bodies = asyncio.run(prepare(kafka.connection(), commands.COPIES, create=False))
        assert set(bodies) == set(body_topics())
