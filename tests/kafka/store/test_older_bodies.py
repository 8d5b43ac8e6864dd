"""A mirror that is made anew: bodies of before come back the newest first, and none is read twice once all are there."""

import asyncio
import itertools
import time

import pytest

from broker.ledger.kafka import backlog, follower, store, topics
from broker.ledger.kafka.mirror import Mirror
from broker.ledger.kafka.store import KafkaLedger
from broker.ledger.port import Append
from keys.custody import durable
from keys.frame import new_frame_key
from tests.cluster import clear
from tests.faults.deployment import until
from tests.kafka.instances import place
from tests.unit.broker.ledger.made_records import ORIGIN, Maker

pytestmark = pytest.mark.timeout(60)
WINDOW = 20
COUNT = 130


@pytest.fixture
def taken(monkeypatch):
    """Return the digests of bodies in the order in which mirrors took them."""
    found = []
    take = Mirror.take

    def listening(mirror, batch):
        found.extend(body.digest for body in batch.bodies)
        take(mirror, batch)

    monkeypatch.setattr(Mirror, "take", listening)
    return found


@pytest.fixture
def open_ledger(kafka, tmp_path, monkeypatch):
    monkeypatch.setattr(topics, "body_topics", lambda: iter((topics.DIRECT,)))  # 85 topics would be made each time
    for module in (backlog, follower):
        monkeypatch.setattr(module, "WINDOW", WINDOW)
    asyncio.run(clear(kafka))
    keys = tmp_path / "frame.keys"
    durable.write(keys, new_frame_key())

    def open_it(name):
        (tmp_path / name).mkdir(exist_ok=True)
        ledger = KafkaLedger(tmp_path / name, ORIGIN, place(kafka, keys, name))
        ledger.refresh()
        return ledger

    yield open_it
    asyncio.run(clear(kafka))


def test_bodies_of_before_come_the_newest_first_and_once(open_ledger, taken):
    maker = Maker()
    entries = tuple(maker.notice() for _ in range(COUNT))
    writer = open_ledger("writer")
    writer.append(Append(entries))
    digests = [entry.record.body_digest for entry in entries]
    place_of = {digest: number for number, digest in enumerate(digests)}
    writer.erase(digests[:1])
    taken.clear()

    fresh = open_ledger("fresh")
    try:
        until(lambda: not fresh.behind)
        # The newest window comes together with what is new; of the others each is older than the one before.
        windows = [(COUNT - 1 - place_of[digest]) // WINDOW for digest in dict.fromkeys(taken)]
        older = [window for window, _ in itertools.groupby(window for window in windows if window)]
        assert older == list(range(1, (COUNT - 1) // WINDOW + 1))
        assert 0 in windows
        assert all(fresh.body(entry.record.body_digest) == entry.body for entry in entries[1:])
        assert fresh.length() == writer.length()
        more = maker.notice()
        writer.append(Append((more,)))
        until(lambda: fresh.body(more.record.body_digest) == more.body)
    finally:
        fresh.close()
        writer.close()

    taken.clear()
    again = open_ledger("fresh")
    try:
        until(lambda: not again.behind)
        assert set(taken) <= {more.record.body_digest}
    finally:
        again.close()


def test_a_start_takes_as_long_as_there_is_more_to_read(open_ledger, monkeypatch):
    maker = Maker()
    writer = open_ledger("writer")
    writer.append(Append(tuple(maker.notice() for _ in range(COUNT))))
    take = Mirror.take

    def slowly(mirror, batch):
        if batch.records:
            time.sleep(0.1)
        take(mirror, batch)

    monkeypatch.setattr(Mirror, "take", slowly)
    monkeypatch.setattr(follower, "PAGE", 10)
    monkeypatch.setattr(store, "PROGRESS_S", 0.4)
    began = time.monotonic()
    fresh = open_ledger("fresh")
    try:
        assert time.monotonic() - began > COUNT / 10 * 0.1 > 3 * store.PROGRESS_S
        assert fresh.length() == writer.length()
    finally:
        fresh.close()
        writer.close()


def test_windows_go_from_the_end_to_the_beginning():
    left = backlog.Backlog({"a": (7, 2500), "b": (3, 3)})
    assert left.topics == ("a",)
    seen = []
    while left:
        low, high = left.window("a")
        seen.append((low, high))
        assert not left.reached("a", high - 1)
        assert left.reached("a", high)
    assert seen == [(1500, 2500), (500, 1500), (7, 500)]


def test_what_a_topic_has_deleted_is_not_waited_for():
    left = backlog.Backlog({"a": (0, 5000)})
    left.begins("a", 4500)
    assert left.window("a") == (4500, 5000)
    left.begins("a", 5000)
    assert not left
