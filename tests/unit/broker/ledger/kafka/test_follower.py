"""Reading the topics into the mirror: what a full disk, a topic made anew or a newer version may do to it."""

import asyncio
from contextlib import closing, suppress
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition

from broker.ledger.kafka import follower as module
from broker.ledger.kafka.connection import Connection
from broker.ledger.kafka.follower import Follower
from broker.ledger.kafka.frames import FrameKeys, TopicFrames
from broker.ledger.kafka.mirror import Batch, Mirror, ReadRecord
from broker.ledger.kafka.payloads import encode_record
from broker.ledger.kafka.topics import DECISIONS, DIRECT, LEDGER, OBJECTS
from broker.ledger.port import LedgerUnavailableError, StorageFullError
from broker.ledger.stanzas import stanza_kids
from keys.digests import statement_digest
from keys.frame import new_frame_key
from tests.unit.broker.ledger.made_records import ORIGIN, Maker


class Topics:
    """What the cluster has, by topic: messages at their offsets, and where each topic begins."""

    def __init__(self):
        self.keys = FrameKeys.parse(new_frame_key())
        self.messages = {}
        self.begins = {}

    def write(self, topic, key, value):
        messages = self.messages.setdefault(topic, [])
        messages.append(SimpleNamespace(offset=len(messages), key=key, value=value, timestamp=5))

    def put(self, topic, key, payload):
        self.write(topic, key, TopicFrames(self.keys, topic).sign(key, payload))

    def publish(self, entry):
        """Write an entry's body, and its record."""
        if entry.body is not None:
            self.put(DIRECT, statement_digest(entry.record.document), entry.body)
        self.put(LEDGER, None, encode_record(entry.record, () if entry.body is None else stanza_kids(entry.body)))

    def end(self, topic):
        return len(self.messages.get(topic, ()))

    def consumer(self, **_):
        return Consumer(self)


class Consumer:
    """As much of aiokafka's as is used, reading `Topics`."""

    def __init__(self, topics):
        self.topics = topics
        self.at = {}

    async def start(self):
        pass

    async def stop(self):
        pass

    def assign(self, parts):
        self.at = dict.fromkeys(parts, 0)

    def assignment(self):
        return set(self.at)

    def pause(self, *parts):
        pass

    def resume(self, *parts):
        pass

    def seek(self, part, offset):
        self.at[part] = offset

    async def beginning_offsets(self, parts):
        return {part: self.topics.begins.get(part.topic, 0) for part in parts}

    async def end_offsets(self, parts):
        return {part: self.topics.end(part.topic) for part in parts}

    async def getmany(self, *, timeout_ms, max_records):
        found = {}
        for part, at in self.at.items():
            if messages := self.topics.messages.get(part.topic, [])[at:]:
                found[part] = messages
                self.at[part] = messages[-1].offset + 1
        await asyncio.sleep(0 if found else 0.001)
        return found


@pytest.fixture
def topics(monkeypatch):
    made = Topics()
    monkeypatch.setattr(module, "AIOKafkaConsumer", made.consumer)
    return made


@pytest.fixture
def mirror(tmp_path):
    with closing(Mirror(tmp_path / "mirror.sqlite", ORIGIN)) as made:
        yield made


def follower_of(topics, mirror):
    connection = Connection("127.0.0.1:1", practice=True)
    return Follower(connection, topics.keys, mirror, (DIRECT,), name="one", news=lambda: None)


def offsets(mirror):
    return [at for at, _ in mirror.read(0, 100)]


async def following(follower, during):
    """Let a follower read for as long as `during` takes."""
    await follower.start()
    tasks = follower.tasks()
    try:
        async with asyncio.timeout(20):
            await during()
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)


@pytest.mark.parametrize("fails_for", ["ledger", "bodies"])
def test_no_record_is_lost_where_the_disk_is_full_for_a_moment(topics, mirror, monkeypatch, fails_for):
    maker = Maker(1)
    entries = [maker.notice() for _ in range(4)]
    for entry in entries:
        topics.publish(entry)
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    take, failed = mirror.take, []

    def full(batch):
        if batch.records and not failed:
            failed.append(batch)
            raise StorageFullError("full")
        take(batch)

    monkeypatch.setattr(mirror, "take", full)
    follower = follower_of(topics, mirror)

    async def scenario():
        # One task has read the records, and another one is the first that has them written.
        await follower.start()
        parts = {topic: TopicPartition(topic, 0) for topic in (LEDGER, DIRECT)}
        follower._take_records({parts[LEDGER]: topics.messages[LEDGER][:3]})
        with pytest.raises(StorageFullError):
            await follower._advance()
        if fails_for == "ledger":
            follower._again("ledger")
            follower._take_records({parts[LEDGER]: topics.messages[LEDGER][:3]})
        follower._take_records({parts[LEDGER]: topics.messages[LEDGER][3:]})
        await follower._advance()

    asyncio.run(scenario())
    assert failed
    assert offsets(mirror) == [0, 1, 2, 3]
    assert mirror.next(LEDGER) == 4


@pytest.mark.parametrize("topic", [DIRECT, OBJECTS, DECISIONS])
@pytest.mark.parametrize("when", ["running", "starting"])
def test_a_topic_that_was_made_anew_is_noticed_and_named(topics, mirror, monkeypatch, topic, when):
    for name, value in (("CONFIRM_S", 0.0), ("LOOK_S", 0.0)):
        monkeypatch.setattr(module, name, value)
    maker = Maker(1)
    for _ in range(3):
        topics.publish(maker.notice())
        topics.put(OBJECTS, b"name", b"bytes")
        topics.put(DECISIONS, b"2026-01-01", b"{}")

    async def ask(follower):
        for number in range(1, module.CONFIRM_ASKS + 1):
            assert follower.cut is None
            await follower.look()
            assert follower.suspicious
            assert follower.short is (number == module.CONFIRM_ASKS)
        with pytest.raises(LedgerUnavailableError):
            await follower.refresh()

    async def scenario():
        first = follower_of(topics, mirror)

        async def during():
            await first.refresh()
            while mirror.next(topic) < 3 or first.behind:
                await asyncio.sleep(0.001)
            await first.look()
            assert not first.suspicious
            if when == "running":
                del topics.messages[topic][1:]
                await ask(first)

        await following(first, during)
        if when == "running":
            return first
        del topics.messages[topic][1:]
        again = follower_of(topics, mirror)
        await again.start()
        return again

    assert asyncio.run(scenario()).cut == topic


def test_what_is_deleted_of_the_ledger_is_noticed_while_it_is_read(topics, mirror, monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    topics.publish(Maker(1).notice())

    async def scenario():
        follower = follower_of(topics, mirror)

        async def during():
            await follower.refresh()
            await follower.look()
            assert follower.cut is None
            topics.begins[LEDGER] = 1  # what was deleted had been read long ago, and nobody asks for it
            await follower.look()
            assert follower.cut == LEDGER

        await following(follower, during)

    asyncio.run(scenario())


def test_a_node_that_stood_still_is_asked_again(topics, mirror, monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    topics.publish(Maker(1).notice())
    ends = iter((0, 1))

    async def scenario():
        follower = follower_of(topics, mirror)

        async def during():
            await follower.refresh()
            monkeypatch.setattr(topics, "end", lambda topic: next(ends) if topic == LEDGER else 1)
            await follower.look()
            assert follower.suspicious
            await follower.look()
            assert not follower.suspicious

        await following(follower, during)

    asyncio.run(scenario())


def test_what_is_appended_while_the_end_is_asked_for_makes_nobody_suspicious(topics, mirror, monkeypatch):
    entry = Maker(1).notice()

    async def scenario():
        follower = follower_of(topics, mirror)
        await follower.start()
        asking = follower._consumers["asking"]

        async def answered_late(parts):
            with mirror.lock:
                mirror.take(Batch(records=[ReadRecord(0, entry.record, ())], next={LEDGER: 1}))
            return dict.fromkeys(parts, 0)

        monkeypatch.setattr(asking, "end_offsets", answered_late)
        await follower.look()
        assert not follower.suspicious

    asyncio.run(scenario())


def test_what_a_newer_version_wrote_is_not_skipped(topics, mirror, capsys):
    maker = Maker(1)
    topics.publish(maker.notice())
    topics.write(LEDGER, None, b"a stranger's")
    newer = maker.notice()
    topics.put(LEDGER, None, b"\x02" + encode_record(newer.record, ())[1:])
    topics.publish(maker.notice())

    async def scenario():
        follower = follower_of(topics, mirror)

        async def during():
            for _ in range(2):
                with pytest.raises(LedgerUnavailableError):
                    await follower.refresh()
            follower._again("ledger")
            with pytest.raises(LedgerUnavailableError):
                await follower.refresh()

        await following(follower, during)
        return follower

    follower = asyncio.run(scenario())
    assert (follower.newer, follower.halted, follower.short) == (2, True, False)
    assert offsets(mirror) == [0]
    assert mirror.next(LEDGER) <= 2  # the version that can read it begins there
    assert capsys.readouterr().out.count("ledger.newer") == 1
