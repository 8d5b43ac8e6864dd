"""Who may do what on a cluster with ACLs: the broker's instances what they need, and nobody else anything."""

import asyncio
import contextlib
import ssl

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from broker.ledger.kafka.admin import prepare, recheck
from broker.ledger.kafka.topics import LEDGER, definitions
from tests import cluster
from tests.cluster import ADMIN, BROKER, STRANGER, Authority

TOPIC_AUTHORIZATION_FAILED = TopicAuthorizationFailedError.errno
CLUSTER_AUTHORIZATION_FAILED = ClusterAuthorizationFailedError.errno


@pytest.fixture(params=["kafka_tls", "kafka_scram"])
def kafka(request):
    """A secured cluster that holds what the broker made itself, with the rights that it has in production."""
    made = request.getfixturevalue(request.param)
    asyncio.run(cluster.clear(made))
    asyncio.run(prepare(made.connection(), 1, create=True))
    return made


@contextlib.asynccontextmanager
async def started(client):
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


async def send(arguments, topic, *, idempotent=True):
    async with started(AIOKafkaProducer(**arguments, acks="all", enable_idempotence=idempotent)) as producer:
        return await asyncio.wait_for(producer.send_and_wait(topic, b"value", key=b"key"), 15)


async def read(arguments, topic):
    consumer = AIOKafkaConsumer(**arguments, auto_offset_reset="none", enable_auto_commit=False)
    async with started(consumer):
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek(TopicPartition(topic, 0), 0)
        return (await asyncio.wait_for(consumer.getone(), 5)).value


async def create(kafka, name, topic):
    async with cluster.admin(kafka, name) as client:
        return (await client.create_topics([NewTopic(topic, 1, 1)])).topic_errors[0][1]


async def delete(kafka, name, topic):
    async with cluster.admin(kafka, name) as client:
        return (await client.delete_topics([topic])).topic_error_codes[0][1]


async def topics(kafka, name):
    async with cluster.admin(kafka, name) as client:
        return {topic for topic in await client.list_topics() if topic.startswith("valise.")}


def test_the_broker_makes_its_topics_and_finds_them_safe(kafka):
    assert asyncio.run(topics(kafka, BROKER)) == {one.name for one in definitions(1)}
    assert asyncio.run(recheck(kafka.connection(), 1)) == ()


def test_the_broker_writes_and_reads(kafka):
    asyncio.run(send(kafka.client(), LEDGER))
    assert asyncio.run(read(kafka.client(), LEDGER)) == b"value"


def test_the_broker_makes_no_topic_but_its_own_and_deletes_none(kafka):
    assert asyncio.run(create(kafka, BROKER, "another.topic")) == TOPIC_AUTHORIZATION_FAILED
    assert asyncio.run(delete(kafka, BROKER, LEDGER)) == TOPIC_AUTHORIZATION_FAILED


def test_another_principal_neither_writes_nor_reads_nor_sees_nor_makes(kafka):
    asyncio.run(send(kafka.client(), LEDGER))
    with pytest.raises(ClusterAuthorizationFailedError):
        asyncio.run(send(kafka.client(STRANGER), LEDGER))
    with pytest.raises((TopicAuthorizationFailedError, KafkaError)):
        asyncio.run(send(kafka.client(STRANGER), LEDGER, idempotent=False))
    with pytest.raises((TopicAuthorizationFailedError, TimeoutError)):  # a consumer without the right may just wait
        asyncio.run(read(kafka.client(STRANGER), LEDGER))
    assert asyncio.run(topics(kafka, STRANGER)) == set()
    assert asyncio.run(create(kafka, STRANGER, "valise.mine")) == TOPIC_AUTHORIZATION_FAILED
    assert asyncio.run(delete(kafka, STRANGER, LEDGER)) == TOPIC_AUTHORIZATION_FAILED
    assert LEDGER in asyncio.run(topics(kafka, ADMIN))


def test_who_has_no_certificate_or_one_of_another_authority_is_not_let_in(kafka_tls, tmp_path):
    stranger = Authority(tmp_path / "tls")
    stranger.create()
    files = stranger.identity(BROKER)  # the right name, signed by nobody we know
    foreign = ssl.create_default_context(cafile=str(kafka_tls.authority.certificate))
    foreign.load_cert_chain(files.certificate, files.key)
    without = ssl.create_default_context(cafile=str(kafka_tls.authority.certificate))
    for context in (foreign, without):
        with pytest.raises(KafkaConnectionError):
            asyncio.run(send({**kafka_tls.client(), "ssl_context": context}, LEDGER))
    plain = {"bootstrap_servers": kafka_tls.bootstrap}
    with pytest.raises(KafkaConnectionError):
        asyncio.run(send(plain, LEDGER))


def test_a_wrong_password_or_an_unknown_user_is_not_let_in(kafka_scram):
    for wrong in (
        {"sasl_plain_password": "guessed"},
        {"sasl_plain_username": "nobody"},
        {"security_protocol": "SSL"},
    ):
        with pytest.raises(KafkaConnectionError):
            asyncio.run(send({**kafka_scram.client(), **wrong}, LEDGER))
