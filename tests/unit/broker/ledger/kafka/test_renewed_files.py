"""A connection's files while somebody renews them: what needs them waits or is refused, and goes on when they are there."""

import asyncio

import pytest

from broker.ledger.kafka import backlog as backlog_module
from broker.ledger.kafka import producer as producer_module
from broker.ledger.kafka.backlog import Backlog, read_older
from broker.ledger.kafka.connection import ConnectionSettingsError
from broker.ledger.kafka.producer import Producer, Sending
from broker.ledger.port import LedgerUnavailableError


class Renewed:
    """A connection whose files cannot be read the first time."""

    def __init__(self):
        self.asked = 0

    def producer(self):
        self.asked += 1
        if self.asked == 1:
            raise ConnectionSettingsError("A certificate or key file cannot be read: No such file.")
        return {}

    consumer = producer


class Client:
    async def start(self):
        raise OSError("away")

    async def stop(self):
        pass


def test_nothing_is_sent_and_the_next_send_tries_again(monkeypatch):
    monkeypatch.setattr(producer_module, "AIOKafkaProducer", Client)
    producer = Producer(Renewed())

    async def scenario():
        with pytest.raises(LedgerUnavailableError):
            await producer.send([Sending("topic", None, b"")], 1)
        (found,) = await producer.send([Sending("topic", None, b"")], 1)
        assert isinstance(found, OSError)

    asyncio.run(scenario())


def test_older_bodies_are_waited_for(monkeypatch):
    monkeypatch.setattr(backlog_module, "RETRY_S", 0.0)
    monkeypatch.setattr(backlog_module, "AIOKafkaConsumer", Reached)
    connection, left = Renewed(), Backlog({"topic": (0, 1)})

    async def nothing():
        pass

    with pytest.raises(Reached.Ready):
        asyncio.run(read_older(connection, left, lambda found: None, nothing, nothing))
    assert connection.asked == 2


class Reached(Client):
    class Ready(Exception):
        """It has come to read."""

    def assignment(self):
        raise self.Ready
