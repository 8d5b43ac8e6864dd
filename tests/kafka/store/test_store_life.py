"""A store from its opening to its end: what it says of itself, what it does not do while something is wrong."""

import asyncio
from contextlib import closing

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs

from broker.ledger.kafka import follower
from broker.ledger.kafka import store as module
from broker.ledger.kafka.admin import UnsafeStoreError
from broker.ledger.kafka.follower import Follower
from broker.ledger.kafka.mirror import Mirror
from broker.ledger.kafka.producer import Producer
from broker.ledger.kafka.topics import DIRECT, LEDGER
from broker.ledger.port import Append, LedgerUnavailableError
from tests.faults.deployment import until
from tests.kafka.store.faulty import once
from tests.kafka.test_topics_change import remake
from tests.kafka.writing import alter, read
from tests.unit.broker.ledger.made_records import ORIGIN

pytestmark = pytest.mark.timeout(60)
STALE = "the cluster does not answer, what is shown may be old"


def tombstones(kafka):
    return [item.key for item in read(kafka, DIRECT) if item.value is None]


def test_who_signs_erases_everywhere_and_others_only_here(open_ledger, maker, kafka):
    signer, other = open_ledger("signer", signer=True), open_ledger("other")
    entries = [maker.notice() for _ in range(2)]
    signer.append(Append(tuple(entries)))
    digests = [entry.record.body_digest for entry in entries]
    until(lambda: all(other.body(digest) for digest in digests))
    signer.erase([])
    signer.erase([bytes(32)])
    other.erase(digests)
    assert tombstones(kafka) == []
    assert [other.body(digest) for digest in digests] == [None, None]
    assert not other.holds(digests[0])
    signer.erase(digests[:1])
    assert len(tombstones(kafka)) == 1
    assert [found.digest for found in signer.bodies()] == digests[1:]


def test_a_body_that_nothing_names_is_erased_by_who_signs(open_ledger, maker, kafka, monkeypatch):
    signer = open_ledger("signer", signer=True, recheck_s=0.1, alone_s=0.0)
    other = open_ledger("other", recheck_s=0.1)
    alone = maker.notice()
    other.begin(Append((alone,)))  # and never finished
    until(lambda: tombstones(kafka))
    until(lambda: not signer.holds(alone.record.body_digest))
    assert signer.findings == ()


def test_settings_that_are_not_safe_and_are_set_right(open_ledger, kafka):
    ledger = open_ledger(recheck_s=0.1)
    assert ledger.findings == ()
    alter(kafka, LEDGER, retention_ms="604800000")
    until(ledger.troubles)
    assert ledger.troubles() == ["a topic is missing or its settings are not safe"]
    assert ledger.condition().unsafe == 1
    with pytest.raises(LedgerUnavailableError, match="settings are not safe"):
        ledger.append(Append(objects={"a": b"1"}))
    alter(kafka, LEDGER)
    until(lambda: not ledger.troubles())
    ledger.append(Append(objects={"a": b"1"}))


def test_a_topic_that_was_deleted_is_not_made_again_by_who_has_read_of_it(open_ledger, maker, kafka):
    first = open_ledger()
    first.append(Append((maker.notice(),)))
    first.close()
    asyncio.run(remake(kafka, LEDGER, make=False))
    with pytest.raises(UnsafeStoreError, match="missing"):
        open_ledger()


def test_a_cluster_that_stands_still_and_goes_on(open_ledger, maker, kafka, monkeypatch):
    monkeypatch.setattr(module, "STALE_S", 0.5)
    monkeypatch.setattr(module, "BEAT_S", 0.1)
    monkeypatch.setattr(module, "ANSWER_S", 0.5)
    monkeypatch.setattr(module, "STALE_ANSWER_S", 0.3)
    ledger = open_ledger()
    entry = maker.notice()
    ledger.append(Append((entry,)))
    with capture_logs() as lines:
        kafka.pause(1)
        try:
            until(lambda: ledger.stale)
            assert ledger.troubles() == [STALE]
            for ask in (ledger.refresh, lambda: ledger.append(Append(objects={"a": b"1"}))):
                with pytest.raises(LedgerUnavailableError):
                    ask()
            assert ledger.body(entry.record.body_digest) == entry.body
            until(lambda: any(line["event"] == "cluster.silent" for line in lines))
        finally:
            kafka.resume(1)
        until(lambda: not ledger.stale)
    ledger.append(Append(objects={"a": b"1"}))
    ledger.refresh()
    assert ledger.object("a") == b"1"


def test_a_process_that_stood_still_asks_before_it_appends(ledger):
    """The cluster answers, and this instance has not heard it for long."""
    ledger.confirmed = 0.0
    assert ledger.stale
    ledger.append(Append(objects={"a": b"1"}))
    assert not ledger.stale


def test_a_checkpoint_that_did_not_arrive_is_said_at_the_next(ledger, monkeypatch):
    real = Producer.send

    async def lost(producer, items, within):
        answers = await real(producer, items, within)
        return [TimeoutError() if item.key == b"checkpoint" else one for item, one in zip(items, answers, strict=True)]

    with monkeypatch.context() as patch:
        patch.setattr(Producer, "send", lost)
        ledger.tell(b"one")
        until(ledger._telling.done)
    with pytest.raises(LedgerUnavailableError, match="did not acknowledge"):
        ledger.tell(b"two")
    until(lambda: ledger.told() is not None and ledger.told().note == b"two")


def test_a_clock_that_differs_from_the_clusters(ledger):
    """Nothing is appended then: with it retention and expiry would be judged."""
    until(lambda: ledger.condition().seconds < 1)
    ledger.skew_ms = 31_000
    with pytest.raises(LedgerUnavailableError, match="clock differs"):
        ledger.append(Append(objects={"a": b"1"}))


def test_a_part_that_ends_by_an_error_that_nobody_foresaw_is_said(ledger, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(ledger._follower, "_write_ready", fail)
    with capture_logs() as lines:
        until(lambda: ledger.broken)
    assert "reading the cluster has stopped" in ledger.troubles()
    assert {(line["event"], line["failed"]) for line in lines} >= {("kafka.task_failed", "ZeroDivisionError")}


def test_a_closed_ledger_says_that_it_is(open_ledger):
    ledger = open_ledger()
    ledger.close()
    for ask in (lambda: ledger.read(0, 1), ledger.refresh, ledger.told, lambda: ledger.append(Append())):
        with pytest.raises(LedgerUnavailableError, match="closed"):
            ask()


def test_what_cannot_be_opened_leaves_nothing_open(open_ledger, monkeypatch):
    """Who opens it next finds the mirror free."""
    with pytest.raises(UnsafeStoreError, match="the topic is missing"):
        open_ledger(create=False)
    failed = once(monkeypatch, Follower, "refresh", LedgerUnavailableError("The cluster cannot be read now."))
    with pytest.raises(LedgerUnavailableError, match="cannot be read"):
        open_ledger()
    assert failed
    assert open_ledger().troubles() == []


def test_a_cluster_that_is_not_there_when_it_is_opened(open_ledger, monkeypatch):
    failed = once(monkeypatch, AIOKafkaConsumer, "start", KafkaConnectionError())
    with pytest.raises(LedgerUnavailableError, match=r"cannot be read now \(KafkaConnectionError\)"):
        open_ledger()
    assert failed


def test_a_follower_that_did_not_get_to_open_anything_is_stopped(kafka, keys, tmp_path):
    """As where a certificate cannot be read any more."""
    with closing(Mirror(tmp_path / "mirror.sqlite", ORIGIN)) as mirror:
        none = Follower(kafka.connection(), keys, mirror, (), name="one", news=lambda: None)
        asyncio.run(none.stop())


async def never():
    await asyncio.Event().wait()


def test_a_consumer_that_does_not_stop_keeps_nobody(open_ledger, monkeypatch):
    monkeypatch.setattr(follower, "STOP_S", 0.1)
    ledger = open_ledger()
    consumer = ledger._follower._consumers["small"]
    real = consumer.stop
    monkeypatch.setattr(consumer, "stop", never)
    with capture_logs() as lines:
        ledger._loop.do(ledger._stop(), 5)
    ledger._loop.do(real(), 5)
    assert lines == []


def test_a_store_that_cannot_be_left_in_time_is_left(open_ledger, monkeypatch):
    ledger = open_ledger()
    ledger._loop.do(ledger._stop(), 5)
    monkeypatch.setattr(module, "STOP_S", 0.1)
    monkeypatch.setattr(ledger, "_stop", never)
    with capture_logs() as lines:
        ledger.close()
    assert [line["event"] for line in lines] == ["cluster.left_open"]
    assert not ledger._loop.running
    open_ledger()  # the mirror is free


def test_a_store_whose_loop_has_ended_is_closed_all_the_same(open_ledger):
    ledger = open_ledger()
    ledger._loop.do(ledger._stop(), 5)
    ledger._loop.stop()
    ledger.close()
    open_ledger()
