"""The producer against a real node: it is given up where it may be poisoned, and for nothing less."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError
from structlog.testing import capture_logs

from broker.ledger.kafka import topics
from broker.ledger.kafka.admin import prepare
from broker.ledger.kafka.connection import Connection
from broker.ledger.kafka.producer import Producer, Sending, Sent
from broker.ledger.kafka.topics import MAX_MESSAGE, OBJECTS
from tests.cluster import clear

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def reached(kafka, monkeypatch):
    """Return the way to a cluster that has the topics of a deployment."""
    monkeypatch.setattr(topics, "body_topics", lambda: iter((topics.DIRECT,)))
    asyncio.run(clear(kafka))
    asyncio.run(prepare(kafka.connection(), 1, create=True))
    yield kafka.connection()
    asyncio.run(clear(kafka))


def used(connection, scenario):
    """Run a scenario with a producer, which is stopped after it."""

    async def run():
        producer = Producer(connection)
        try:
            return await scenario(producer)
        finally:
            await producer.stop()

    return asyncio.run(run())


def test_what_the_cluster_refuses_has_the_producer_replaced(reached):
    async def scenario(producer):
        assert await producer.send([], 5) == []
        # A topic that keeps the newest of a key takes nothing without one.
        (refused,) = await producer.send([Sending(OBJECTS, None, b"x")], 5)
        await asyncio.gather(*producer._leaving)  # the one that was given up is used no more
        assert not isinstance(refused, Sent)
        assert producer.replacements == 1
        (sent,) = await producer.send([Sending(OBJECTS, b"a", b"x")], 5)
        assert isinstance(sent, Sent)
        assert producer.replacements == 1

    with capture_logs() as lines:
        used(reached, scenario)
    assert [line["event"] for line in lines] == ["producer.replaced"]


def test_what_is_too_large_or_late_is_no_reason_to_replace_it(reached, kafka):
    async def scenario(producer):
        (large,) = await producer.send([Sending(OBJECTS, b"a", bytes(MAX_MESSAGE + 1))], 5)
        assert isinstance(large, MessageSizeTooLargeError)
        await producer.send([Sending(OBJECTS, b"a", b"x")], 5)
        await asyncio.to_thread(kafka.pause, 1)
        try:
            (late,) = await producer.send([Sending(OBJECTS, b"a", b"y")], 0.2)
            assert isinstance(late, TimeoutError)
        finally:
            await asyncio.to_thread(kafka.resume, 1)
        (sent,) = await producer.send([Sending(OBJECTS, b"a", b"z")], 5)
        assert sent.offset == 2  # the late one has arrived, before it
        assert producer.replacements == 0

    used(reached, scenario)


def test_a_cluster_that_is_not_there():
    async def scenario(producer):
        found = await producer.send([Sending(OBJECTS, b"a", b"x")] * 2, 5)
        assert [type(one) for one in found] == [KafkaConnectionError] * 2
        assert producer.replacements == 0

    used(Connection("127.0.0.1:1", practice=True), scenario)
