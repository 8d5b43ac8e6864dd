"""What is done every minute: topics are looked at, bodies without a record buried, quiet topics closed."""

import asyncio
from contextlib import closing, suppress

import pytest

from broker.ledger.kafka import care as module
from broker.ledger.kafka.care import Care
from broker.ledger.kafka.connection import Connection
from broker.ledger.kafka.mirror import Batch, Mirror, ReadBody
from broker.ledger.kafka.producer import Sent
from broker.ledger.kafka.topics import CLOSING_KEY, Finding
from broker.ledger.port import LedgerUnavailableError
from broker.ledger.stanzas import stanza_kids
from keys.digests import statement_digest
from tests.unit.broker.ledger.made_records import ORIGIN, Maker

TOPIC, OTHER = "valise.notices.direct", "valise.notices.a.b"
FINDING = Finding("node 1", "cleanup.policy", "not shown", "compact,delete")


class FakeProducer:
    def __init__(self):
        self.sent = []
        self.fails = False

    async def send(self, items, within):
        if self.fails:
            return [TimeoutError()] * len(items)
        self.sent += items
        return [Sent(1, 1)] * len(items)


@pytest.fixture
def mirror(tmp_path):
    with closing(Mirror(tmp_path / "mirror.sqlite", ORIGIN)) as made:
        yield made


@pytest.fixture
def producer():
    return FakeProducer()


@pytest.fixture
def care(mirror, producer):
    connection = Connection("127.0.0.1:1", practice=True)
    return Care(connection, 1, mirror, producer, every=0.0, alone_s=1.0, cluster_ms=lambda: 10_000)


def put(mirror, topic, at):
    """Put a body into the mirror and return its digest and key."""
    entry = Maker(at).notice()
    key = statement_digest(entry.record.document)
    found = ReadBody(topic, key, entry.record.body_digest, stanza_kids(entry.body), entry.body, at)
    with mirror.lock:
        mirror.take(Batch(bodies=[found]))
    return entry.record.body_digest, key


def test_a_body_that_has_been_alone_for_long_is_buried_and_then_forgotten(care, mirror, producer):
    old, key = put(mirror, TOPIC, 8_000)
    new, _ = put(mirror, TOPIC, 9_500)
    producer.fails = True
    with pytest.raises(LedgerUnavailableError):
        asyncio.run(care.clean(closing=False))
    assert mirror.body(old) is not None  # it would never be buried otherwise
    producer.fails = False
    asyncio.run(care.clean(closing=False))
    assert [(item.topic, item.key, item.value) for item in producer.sent] == [(TOPIC, key, None)]
    assert mirror.body(old) is None
    assert mirror.body(new) is not None


def test_what_an_earlier_signer_erased_is_buried_until_its_topic_has_the_tombstone(care, mirror, producer):
    erased, key = put(mirror, TOPIC, 9_900)
    put(mirror, OTHER, 9_901)
    with mirror.lock:
        mirror.erase([erased])
    for _ in range(2):  # it was sent, but nobody has seen it in its topic yet
        asyncio.run(care.clean(closing=False))
    assert [(item.topic, item.key, item.value) for item in producer.sent] == [(TOPIC, key, None)] * 2
    with mirror.lock:
        mirror.take(Batch(tombstones=[key]))
    asyncio.run(care.clean(closing=False))
    assert len(producer.sent) == 2


def test_topics_in_which_something_was_erased_are_closed_once(care, mirror, producer):
    digest, key = put(mirror, OTHER, 9_900)
    with mirror.lock:
        mirror.erase([digest])  # in an earlier life
        mirror.take(Batch(tombstones=[key]))
    care.erased_in([TOPIC])
    asyncio.run(care.clean(closing=False))
    assert producer.sent == []
    producer.fails = True
    with pytest.raises(LedgerUnavailableError):
        asyncio.run(care.clean(closing=True))
    producer.fails = False
    for _ in range(2):
        asyncio.run(care.clean(closing=True))
    assert [(item.topic, item.key, item.value) for item in producer.sent] == [
        (OTHER, CLOSING_KEY, None),
        (TOPIC, CLOSING_KEY, None),
    ]


def look(care, answers, monkeypatch, *, may_clean=True, refresh=None):
    """Let it look as often as there are answers."""

    async def recheck(connection, replication):
        if not answers:
            raise asyncio.CancelledError
        return answers.pop(0)

    async def nothing():
        if refresh is not None:
            raise refresh

    async def run():
        with suppress(asyncio.CancelledError):
            await care.look_on(lambda: may_clean, nothing)

    monkeypatch.setattr(module, "recheck", recheck)
    asyncio.run(run())


def test_what_is_unsafe_is_said_once_and_held_against_the_store(care, monkeypatch, capsys):
    look(care, [(FINDING,), None, (FINDING,)], monkeypatch, may_clean=False)
    assert care.findings == (FINDING,)
    assert capsys.readouterr().out.count("store.unsafe") == 1
    look(care, [()], monkeypatch, may_clean=False)
    assert care.findings == ()


def test_it_cleans_at_its_first_round_and_goes_on_after_a_failure(care, mirror, producer, monkeypatch):
    care.erased_in([TOPIC])
    monkeypatch.setattr(care, "_every", 0.001)
    look(care, [(), ()], monkeypatch, refresh=LedgerUnavailableError("away"))
    assert producer.sent == []
    look(care, [(), ()], monkeypatch)
    assert [item.key for item in producer.sent] == [CLOSING_KEY]
