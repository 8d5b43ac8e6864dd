"""What became of a record that was sent, and what a sender makes of it; that of real clusters is in `tests/kafka`."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError, NotEnoughReplicasError
from aiokafka.structs import RecordMetadata, TopicPartition
from structlog.testing import capture_logs

from broker.ledger.kafka import producer as module
from broker.ledger.kafka.connection import Connection
from broker.ledger.kafka.producer import Producer, Sent, demand_all
from broker.ledger.port import LedgerUnavailableError


def test_what_became_of_a_record():
    async def scenario():
        loop = asyncio.get_running_loop()
        there, failed, under_way, late = (loop.create_future() for _ in range(4))
        there.set_result(RecordMetadata("a", 0, TopicPartition("a", 0), 7, 1_790_000_000_000, 1, 0))
        failed.set_exception(NotEnoughReplicasError())
        found = [module._outcome(one) for one in (there, failed, under_way, late)]
        # Nobody asks for these any more: that they fail or are cancelled is no news, and no warning.
        under_way.set_exception(KafkaConnectionError())
        late.cancel()
        await asyncio.sleep(0)
        return found

    there, *others = asyncio.run(scenario())
    assert there == Sent(7, 1_790_000_000_000)
    assert [type(one) for one in others] == [NotEnoughReplicasError, TimeoutError, TimeoutError]


def test_all_must_be_acknowledged():
    demand_all([])
    demand_all([Sent(1, 1), Sent(2, 1)])
    with pytest.raises(LedgerUnavailableError, match="NotEnoughReplicasError"):
        demand_all([Sent(1, 1), NotEnoughReplicasError(), TimeoutError()])


class Leaving:
    """A client that is stopped: it fails, or does not come to an end."""

    def __init__(self, error=None):
        self.error = error
        self.cancelled = False

    async def stop(self):
        if self.error is not None:
            raise self.error
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


def test_a_client_that_does_not_stop_keeps_nobody(monkeypatch):
    monkeypatch.setattr(module, "STOP_S", 0.01)
    client = Leaving()
    asyncio.run(module._stop(client))
    assert client.cancelled


def test_a_client_that_fails_to_stop_is_said_and_left():
    with capture_logs() as lines:
        asyncio.run(module._stop(Leaving(OSError())))
    assert [(line["event"], line["failed"]) for line in lines] == [("producer.stopped", "OSError")]


def test_nothing_was_opened_and_nothing_is_closed():
    asyncio.run(Producer(Connection("127.0.0.1:1", practice=True)).stop())
