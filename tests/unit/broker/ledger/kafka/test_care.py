"""What is done every minute: topics are looked at, bodies without a record buried, quiet topics closed."""

import asyncio
from contextlib import closing, suppress

import pytest

from broker.ledger.kafka import care as module
from broker.ledger.kafka.care import Care
from broker.ledger.kafka.connection import Connection, ConnectionSettingsError
from broker.ledger.kafka.mirror import Batch, Mirror, ReadBody, ReadRecord
from broker.ledger.kafka.producer import Sent
from broker.ledger.kafka.topics import CLOSING_KEY, LEDGER, Finding
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
        asyncio.run(care.clean())
    assert mirror.body(old) is not None  # it would never be buried otherwise
    producer.fails = False
    asyncio.run(care.clean())
    assert [(item.topic, item.key, item.value) for item in producer.sent] == [(TOPIC, key, None)]
    assert mirror.body(old) is None
    assert mirror.body(new) is not None


def test_a_body_that_was_erased_for_want_of_a_record_is_delivered_once_it_is_published_again(care, mirror, producer):
    entry = Maker(1).notice()
    digest, key = entry.record.body_digest, statement_digest(entry.record.document)
    kids = stanza_kids(entry.body)
    with mirror.lock:
        mirror.take(Batch(bodies=[ReadBody(TOPIC, key, digest, kids, entry.body, 8_000)]))
    asyncio.run(care.clean())
    with mirror.lock:
        mirror.take(Batch(tombstones=[key]))
        mirror.take(Batch(bodies=[ReadBody(TOPIC, key, digest, kids, entry.body, 9_990)]))
        mirror.take(Batch(records=[ReadRecord(0, entry.record, kids)], next={LEDGER: 1}))
    assert mirror.body(digest) == entry.body
    producer.sent.clear()
    asyncio.run(care.clean())
    assert producer.sent == []


def test_a_body_that_was_sent_again_just_now_has_its_time_to_get_a_record(care, mirror, producer):
    entry = Maker(1).notice()
    digest, key = entry.record.body_digest, statement_digest(entry.record.document)
    with mirror.lock:
        for at in (8_000, 9_990):
            mirror.take(Batch(bodies=[ReadBody(TOPIC, key, digest, stanza_kids(entry.body), entry.body, at)]))
    asyncio.run(care.clean())
    assert producer.sent == []
    assert mirror.body(digest) == entry.body


def test_what_an_earlier_signer_erased_is_buried_until_its_topic_has_the_tombstone(care, mirror, producer):
    erased, key = put(mirror, TOPIC, 9_900)
    put(mirror, OTHER, 9_901)
    with mirror.lock:
        mirror.erase([erased])
    for _ in range(2):  # it was sent, but nobody has seen it in its topic yet
        asyncio.run(care.clean())
    assert [(item.topic, item.key, item.value) for item in producer.sent] == [(TOPIC, key, None)] * 2
    with mirror.lock:
        mirror.take(Batch(tombstones=[key]))
    asyncio.run(care.clean())
    assert len(producer.sent) == 2


class Clock:
    ms = 10_000


HOUR = 3_600_000


@pytest.fixture
def clock(care, monkeypatch):
    made = Clock()
    monkeypatch.setattr(care, "_cluster_ms", lambda: made.ms)
    return made


def closed(producer):
    """Return the topics that a closing record was sent to since the last call."""
    found = [item.topic for item in producer.sent if item.key == CLOSING_KEY]
    producer.sent.clear()
    return found


def test_a_topic_is_closed_once_its_segment_is_old_enough_to_be(care, producer, clock):
    asyncio.run(care.clean())
    clock.ms += 4 * HOUR
    care.erased_in([TOPIC])
    asyncio.run(care.clean())
    clock.ms += 5 * HOUR  # no segment that the erased body may be in is closed by a record now
    care.erased_in([OTHER])
    asyncio.run(care.clean())
    assert closed(producer) == []
    clock.ms += 2 * HOUR
    producer.fails = True
    with pytest.raises(LedgerUnavailableError):
        asyncio.run(care.clean())
    producer.fails = False
    asyncio.run(care.clean())
    assert closed(producer) == [TOPIC]
    clock.ms += 4 * HOUR
    care.erased_in([OTHER])  # again: what was erased before is not in a younger segment
    asyncio.run(care.clean())
    clock.ms += 7 * HOUR
    for _ in range(2):
        asyncio.run(care.clean())
    assert closed(producer) == [OTHER]


def test_what_earlier_lives_erased_is_closed_at_once_and_when_it_is_old_enough(care, mirror, producer, clock):
    digest, key = put(mirror, OTHER, 9_900)
    with mirror.lock:
        mirror.erase([digest])
        mirror.take(Batch(tombstones=[key]))
    producer.fails = True
    with pytest.raises(LedgerUnavailableError):
        asyncio.run(care.clean())
    producer.fails = False
    for _ in range(2):
        asyncio.run(care.clean())
    assert closed(producer) == [OTHER]
    clock.ms += 7 * HOUR
    for _ in range(2):
        asyncio.run(care.clean())
    assert closed(producer) == [OTHER]


def look(care, answers, monkeypatch, *, may_clean=True, refresh=None):
    """Let it look as often as there are answers."""

    async def recheck(connection, replication):
        if not answers:
            raise asyncio.CancelledError
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

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
    _, key = put(mirror, TOPIC, 8_000)
    monkeypatch.setattr(care, "_every", 0.001)
    look(care, [(), ()], monkeypatch, refresh=LedgerUnavailableError("away"))
    assert producer.sent == []
    look(care, [(), ()], monkeypatch)
    assert {item.key for item in producer.sent} == {key}


def test_a_certificate_that_cannot_be_read_for_a_moment_ends_nothing(care, monkeypatch, capsys):
    look(care, [(FINDING,), ConnectionSettingsError("A key file cannot be read."), ()], monkeypatch)
    assert care.findings == ()
    said = capsys.readouterr().out
    assert said.count("connection.unusable") == 1
    assert "store.safe" in said
