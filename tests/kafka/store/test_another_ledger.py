"""A ledger's topic that is not, or not all of, what was read of it: nothing is appended, what was read is served."""

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import KafkaConnectionError

from broker.ledger.kafka import follower as module
from broker.ledger.kafka.topics import DIRECT, LEDGER
from broker.ledger.port import Append, LedgerUnavailableError
from tests.cluster import ADMIN, admin
from tests.faults.deployment import until
from tests.kafka.store.faulty import once, without_space
from tests.kafka.test_topics_change import remake
from tests.kafka.writing import read, write

pytestmark = pytest.mark.timeout(60)
SHORT = "the ledger's topic is shorter than what was read of it, or another one"
UNCLEAR = "where a topic ends is not clear"


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """Believe sooner that a ledger ends too early: after as many asks, in less time."""
    monkeypatch.setattr(module, "CONFIRM_S", 0.5)
    monkeypatch.setattr("broker.ledger.kafka.store.BEAT_S", 0.1)


def filled(ledger, maker, count=4):
    """Append some open acts and return what is in the mirror then."""
    ledger.append(Append(tuple(maker.subscribe("de/police", "*.*") for _ in range(count))))
    return ledger.read(0, 100)


def frames(kafka):
    return [(LEDGER, one.key, one.value) for one in read(kafka, LEDGER)]


async def delete_before(kafka, topic, offset):
    """Delete what is before an offset, as an administrator can."""
    async with admin(kafka, ADMIN) as hands:
        await hands.delete_records({TopicPartition(topic, 0): RecordsToDelete(offset)})


def refuses(ledger, held):
    """Demand that an instance appends nothing, says why, and serves what it has."""
    assert SHORT in ledger.troubles()
    assert ledger.condition().short
    with pytest.raises(LedgerUnavailableError, match="Nothing can be appended"):
        ledger.append(Append(objects={"a": b"1"}))
    with pytest.raises(LedgerUnavailableError, match="not all of"):
        ledger.refresh()
    assert ledger.read(0, 100) == held


def test_a_topic_that_was_made_anew_under_a_running_instance(ledger, maker, kafka):
    held = filled(ledger, maker)
    asyncio.run(remake(kafka, LEDGER))
    until(lambda: UNCLEAR in ledger.troubles() or ledger.condition().short)
    until(lambda: ledger.condition().short)
    refuses(ledger, held)


def test_a_node_that_says_too_little_for_a_moment_is_asked_again(ledger, maker, monkeypatch):
    """A leader that stood still may say an old end, once or twice."""
    monkeypatch.setattr(module, "CONFIRM_S", 60.0)
    held, follower = filled(ledger, maker), ledger._follower
    asking, real = follower._consumers["asking"], follower._consumers["asking"].end_offsets
    old = []

    async def ends(parts):
        found = await real(parts)
        return dict.fromkeys(found, 0) if old else found

    monkeypatch.setattr(asking, "end_offsets", ends)
    old.append(True)
    with pytest.raises(LedgerUnavailableError, match="not all of"):
        ledger.refresh()
    assert ledger.troubles() == [UNCLEAR]
    with pytest.raises(LedgerUnavailableError, match="not clear"):
        ledger.append(Append(objects={"a": b"1"}))
    old.clear()
    until(lambda: not ledger.troubles())
    ledger.refresh()
    assert ledger.read(0, 100) == held


def test_who_waits_for_news_does_not_wait_for_a_ledger_that_was_cut(ledger, maker, monkeypatch):
    """It is found while the refresh waits: the end was asked for before."""
    filled(ledger, maker)
    follower = ledger._follower
    real = follower._end

    async def ends(topics):
        found = {topic: end + 1 for topic, end in (await real(topics)).items()}
        asyncio.get_running_loop().call_later(0.1, follower._found_cut, LEDGER, "end")
        return found

    monkeypatch.setattr(follower, "_end", ends)
    ledger.refresh()
    assert ledger.condition().short


def test_a_topic_that_was_made_anew_or_cut_while_nobody_ran(open_ledger, maker, kafka):
    first = open_ledger()
    held = filled(first, maker)
    first.close()
    ours = frames(kafka)
    for how in (
        ours[:-2],  # restored from a backup
        [*ours[:-1], ours[0]],  # as long, and another one
        [*ours[:-1], (LEDGER, None, b"a stranger's")],
    ):
        asyncio.run(remake(kafka, LEDGER))
        write(kafka, *how)
        again = open_ledger()
        until(lambda again=again: again.condition().short)
        refuses(again, held)
        again.close()
    asyncio.run(remake(kafka, LEDGER))
    write(kafka, *ours)
    asyncio.run(delete_before(kafka, LEDGER, 2))
    cut = open_ledger()
    refuses(cut, held)
    cut.close()
    # With its beginning as it was, it is the same ledger again.
    asyncio.run(remake(kafka, LEDGER))
    write(kafka, *ours)
    whole = open_ledger()
    assert whole.troubles() == []
    assert whole.read(0, 100) == held


def test_the_last_record_may_be_a_strangers(open_ledger, maker, kafka):
    first = open_ledger()
    held = filled(first, maker)
    write(kafka, (LEDGER, None, b"a stranger's"))
    until(lambda: first._mirror.next(LEDGER) == len(held) + 1)
    first.close()
    again = open_ledger()
    assert len(filled(again, maker, 1)) == len(held) + 1
    assert again.troubles() == []


def test_bodies_that_were_deleted_before_they_were_read_are_not_waited_for(open_ledger, maker, kafka, monkeypatch):
    """Of other topics than the ledger's something may be missing at the beginning: bodies expire."""
    writer, reader = open_ledger("writer"), open_ledger("reader")
    entries = [maker.notice(filler=200_000) for _ in range(3)]
    with without_space(reader):
        failed = once(monkeypatch, reader._follower._consumers["bodies"], "beginning_offsets", KafkaConnectionError())
        for entry in entries:
            writer.append(Append((entry,)))
        asyncio.run(delete_before(kafka, DIRECT, 2))
        until(lambda: failed)
    until(lambda: reader.length() == writer.length())
    assert [reader.body(entry.record.body_digest) for entry in entries] == [None, None, entries[2].body]
    assert reader.condition().absent == 2
    assert reader.troubles() == []
