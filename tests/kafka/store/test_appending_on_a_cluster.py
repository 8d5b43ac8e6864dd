"""Appends when the cluster answers late, not, or in part: what was acknowledged is there once and in its place."""

import asyncio
from contextlib import suppress

import pytest

from broker.ledger.kafka import appender as module
from broker.ledger.kafka.producer import Producer
from broker.ledger.kafka.topics import DIRECT, LEDGER, OBJECTS
from broker.ledger.port import Append, Decision, LedgerUnavailableError
from broker.migrate import Moved
from tests.faults.deployment import until
from tests.kafka.writing import read

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def answers(monkeypatch):
    """Let answers of the cluster be lost; `lost` says of the sends to come which records (topic, number) of theirs.

    `arrives` says whether a record whose answer is lost is written all the same.
    """
    real = Producer.send
    told = Answers()

    async def send(producer, items, within):
        if not told.lost or not items or items[0].topic != told.topic:
            return await real(producer, items, within)
        lost = told.lost.pop(0)
        sent = [item for number, item in enumerate(items) if told.arrives or number not in lost]
        found = iter(await real(producer, sent, within))
        outcome = [next(found) if told.arrives or number not in lost else None for number in range(len(items))]
        return [TimeoutError() if number in lost else one for number, one in enumerate(outcome)]

    monkeypatch.setattr(Producer, "send", send)
    return told


class Answers:
    def __init__(self):
        self.topic, self.arrives, self.lost = LEDGER, True, []

    def lose(self, topic, *lost, arrives):
        self.topic, self.arrives, self.lost = topic, arrives, list(lost)


def notices(maker, count=3):
    return tuple(maker.notice() for _ in range(count))


def records(ledger):
    return [record for _, record in ledger.read(0, 1000)]


def in_topic(kafka):
    return len(read(kafka, LEDGER))


def test_an_answer_that_is_lost_is_looked_for_in_the_topic(ledger, maker, kafka, answers):
    before, entries = notices(maker), notices(maker)
    ledger.append(Append(before))
    answers.lose(LEDGER, {0, 2}, arrives=True)
    places = ledger.append(Append(entries))
    assert [dict(ledger.read(0, 100))[place] for place in places] == [entry.record for entry in entries]
    assert records(ledger) == [entry.record for entry in (*before, *entries)]
    assert in_topic(kafka) == 6


def test_a_record_that_did_not_arrive_is_sent_once_more(ledger, maker, kafka, answers):
    entries = notices(maker)
    answers.lose(LEDGER, {1}, arrives=False)
    places = ledger.append(Append(entries))
    assert [dict(ledger.read(0, 100))[place] for place in places] == [entry.record for entry in entries]
    assert in_topic(kafka) == 3
    answers.lose(LEDGER, {0}, {0}, arrives=False)
    with pytest.raises(LedgerUnavailableError, match="did not acknowledge"):
        ledger.append(Append(notices(maker, 1)))


def test_moved_records_keep_their_order_whatever_is_lost(ledger, maker, kafka, answers):
    entries = [maker.notice("acknowledge") for _ in range(4)]
    moved = [Moved(entry.record, (), entry.body if number else None) for number, entry in enumerate(entries)]
    answers.lose(LEDGER, {1, 3}, arrives=False)
    ledger.take(moved)
    # The one behind the first that is missing lies there twice, and once more in its place.
    assert records(ledger) == [entries[number].record for number in (0, 2, 1, 2, 3)]
    assert ledger.body(entries[0].record.body_digest) is None
    assert not ledger.holds(entries[0].record.body_digest)
    opened = maker.subscribe("de/police", "*.*")
    ledger.take([Moved(opened.record, (), None)])
    assert records(ledger)[-1] == opened.record


def test_an_entry_whose_body_is_late_is_left_out(ledger, maker, answers):
    entries = (maker.subscribe("de/police", "*.*"), *notices(maker))
    answers.lose(DIRECT, {1}, arrives=True)
    places = ledger.append(Append(entries))
    assert [place is None for place in places] == [False, False, True, False]
    assert records(ledger) == [entries[number].record for number in (0, 1, 3)]


def test_nothing_is_appended_where_no_body_or_not_every_object_is_there(ledger, maker, answers):
    answers.lose(DIRECT, {0, 1, 2}, arrives=True)
    with pytest.raises(LedgerUnavailableError, match="did not acknowledge"):
        ledger.append(Append(notices(maker)))
    answers.lose(OBJECTS, {1}, arrives=True)
    with pytest.raises(LedgerUnavailableError, match="did not acknowledge"):
        ledger.append(Append(notices(maker), {"a": b"1"}, (Decision("2026-01-01", b"{}"),)))
    assert records(ledger) == []
    # One whose only body is late has nothing to append.
    ledger.append(Append(notices(maker, 1)))
    assert ledger.length() > 0


def test_what_another_appended_between_comes_in_the_order_of_the_topic(open_ledger, maker):
    one, other = open_ledger("one"), open_ledger("other")
    first, second, third = notices(maker)
    begun = one.begin(Append((first,)))
    other.append(Append((second,)))
    begun.finish()
    one.append(Append((third,)))
    for ledger in (one, other):
        until(lambda ledger=ledger: records(ledger) == [entry.record for entry in (second, first, third)])
        until(lambda ledger=ledger: all(ledger.body(e.record.body_digest) == e.body for e in (first, second, third)))


def test_an_instance_that_does_not_read_says_so_in_time(open_ledger, maker, monkeypatch):
    """What it appended is durable; who appends it again finds that doubles fold away."""
    monkeypatch.setattr(module, "ANSWER_S", 1.0)
    one, other = open_ledger("one"), open_ledger("other")

    async def stop_reading():
        for task in one._tasks:
            if task.get_name() == "follow-ledger":
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    one._loop.do(stop_reading(), 5)
    first, second = notices(maker, 2)
    other.append(Append((first,)))
    with pytest.raises(LedgerUnavailableError, match="read in time"):
        one.append(Append((second,)))
    until(lambda: records(other) == [first.record, second.record])
