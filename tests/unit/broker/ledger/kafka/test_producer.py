"""What became of each record, whatever became of the others; and when a producer is given up."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError, OutOfOrderSequenceNumber

from broker.ledger.kafka import producer as module
from broker.ledger.kafka.connection import Connection
from broker.ledger.kafka.producer import Producer, Sending, Sent

NEVER = "never"


class FakeClient:
    """Takes records as aiokafka's does: `taking` says by value what happens there, `answers` what the cluster says."""

    def __init__(self, taking, answers):
        self.taking = taking
        self.answers = answers
        self.tried = []
        self.stopped = False

    async def start(self):
        pass

    async def stop(self):
        self.stopped = True

    async def send(self, topic, key, value):
        self.tried.append((topic, value))
        await self._happen(self.taking.get(value))
        return asyncio.ensure_future(self._answer(value))

    async def _answer(self, value):
        await self._happen(self.answers.get(value))
        return SimpleNamespace(offset=int(value), timestamp=1_000)

    @staticmethod
    async def _happen(what):
        if what == NEVER:
            await asyncio.Event().wait()
        if what is not None:
            raise what


@pytest.fixture
def clients(monkeypatch):
    """Return what is made, and let the next ones behave by the two dictionaries."""
    made, taking, answers = [], {}, {}

    def make(**_):
        made.append(FakeClient(taking, answers))
        return made[-1]

    monkeypatch.setattr(module, "AIOKafkaProducer", make)
    return SimpleNamespace(made=made, taking=taking, answers=answers)


def send(*items, within=0.2, then=None):
    async def scenario():
        producer = Producer(Connection("127.0.0.1:1", practice=True))
        try:
            found = await producer.send([Sending(topic, None, value) for topic, value in items], within)
            if then is not None:
                found = (found, await producer.send([Sending(topic, None, value) for topic, value in then], within))
            return found, producer.replacements
        finally:
            await producer.stop()

    return asyncio.run(scenario())


def test_a_topic_that_takes_nothing_keeps_no_other(clients):
    clients.taking[b"2"] = NEVER
    (first, slow, behind, other), replaced = send(("a", b"1"), ("slow", b"2"), ("slow", b"3"), ("b", b"4"))
    assert (first, other) == (Sent(1, 1_000), Sent(4, 1_000))
    assert isinstance(slow, TimeoutError)
    assert isinstance(behind, TimeoutError)
    assert ("slow", b"3") not in clients.made[0].tried, "a topic's order is kept"
    assert replaced == 0


def test_a_topic_s_records_are_handed_over_in_their_order(clients):
    found, _ = send(("a", b"1"), ("b", b"2"), ("a", b"3"), ("a", b"4"))
    assert [one.offset for one in found] == [1, 2, 3, 4]
    assert [value for topic, value in clients.made[0].tried if topic == "a"] == [b"1", b"3", b"4"]


def test_an_error_is_that_of_its_record_alone(clients):
    clients.taking[b"2"] = MessageSizeTooLargeError()
    clients.answers[b"4"] = NEVER
    (first, large, third, silent), replaced = send(("a", b"1"), ("a", b"2"), ("a", b"3"), ("a", b"4"))
    assert (first, third) == (Sent(1, 1_000), Sent(3, 1_000))
    assert isinstance(large, MessageSizeTooLargeError)
    assert isinstance(silent, TimeoutError)
    assert replaced == 0


@pytest.mark.parametrize("where", ["taking", "answers"])
def test_a_producer_that_may_be_poisoned_is_replaced(clients, where):
    getattr(clients, where)[b"1"] = OutOfOrderSequenceNumber()
    (found, after), replaced = send(("a", b"1"), ("a", b"2"), then=[("a", b"3")])
    assert isinstance(found[0], OutOfOrderSequenceNumber)
    assert found[1] == Sent(2, 1_000)
    assert after == [Sent(3, 1_000)]
    assert replaced == 1
    assert [one.stopped for one in clients.made] == [True, True]
    assert clients.made[1].tried == [("a", b"3")]


@pytest.mark.parametrize("error", [KafkaConnectionError(), OSError(), NEVER])
def test_what_cannot_be_opened_fails_each(clients, monkeypatch, error):
    async def start(self):
        await self._happen(error)

    monkeypatch.setattr(FakeClient, "start", start)
    found, replaced = send(("a", b"1"), ("b", b"2"))
    assert len(found) == 2
    assert all(isinstance(one, TimeoutError if error is NEVER else type(error)) for one in found)
    assert replaced == 0
    assert clients.made[0].stopped


def test_nothing_to_send_is_nothing_sent(clients):
    assert send() == ([], 0)
