"""Topics, settings and identities on a real cluster: what is made, what is refused, who gets in, what is erased."""

import asyncio
import os
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError

from broker.ledger.kafka.admin import UnsafeStoreError, prepare, recheck
from broker.ledger.kafka.connection import Connection
from broker.ledger.kafka.frames import BadFrameError, FrameKeys, TopicFrames
from broker.ledger.kafka.topics import (
    CLOSING_KEY,
    DIRECT,
    LEDGER,
    OBJECTS,
    PREFIX,
    body_topics,
    definition,
    definitions,
)
from broker.ledger.port import LedgerUnavailableError
from keys.frame import new_frame_key
from tests.cluster import ADMIN, BROKER, STRANGER, Authority, admin, clear


def connection(kafka, name=BROKER):
    if kafka.security == "none":
        return Connection(kafka.bootstrap, practice=True)
    authority = kafka.authority.certificate
    if kafka.security == "tls":
        files = kafka.certificate(name)
        return Connection(kafka.bootstrap, ca=authority, certificate=files.certificate, key=files.key)
    password = kafka.password_file(name).read_text(encoding="utf-8").strip()
    return Connection(kafka.bootstrap, ca=authority, username=name, password=password)


@asynccontextmanager
async def client(made):
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


async def empty(kafka):
    """Delete all topics, and wait until no node knows them any more."""
    await clear(kafka)
    async with admin(kafka, ADMIN) as hands, asyncio.timeout(20):
        while any(name.startswith(PREFIX) for name in await hands.list_topics()):
            await asyncio.sleep(0.1)


async def read(reached, topic, count):
    """Read a topic from its beginning, as the broker's instances do."""
    partition = TopicPartition(topic, 0)
    async with client(AIOKafkaConsumer(**reached.consumer())) as consumer:
        consumer.assign([partition])
        consumer.seek(partition, 0)
        return [await asyncio.wait_for(consumer.getone(), 10) for _ in range(count)]


async def alter(kafka, topic, settings):
    """Set a topic's settings, and all others to their defaults, as that request does."""
    async with admin(kafka, ADMIN) as hands:
        await hands.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, settings)])


@pytest.mark.parametrize("fixture", ["kafka", "kafka_tls", "kafka_scram"])
def test_topics_are_made_and_found_safe_and_records_pass(request, fixture):
    kafka = request.getfixturevalue(fixture)
    reached = connection(kafka)
    frames = TopicFrames(FrameKeys.parse(new_frame_key()), LEDGER)
    great = os.urandom(1_400_000)

    async def scenario():
        await empty(kafka)
        with pytest.raises(UnsafeStoreError) as caught:
            await prepare(reached, 1, create=False)
        assert len(caught.value.findings) == len(definitions(1))
        bodies, again = await asyncio.gather(
            prepare(reached, 1, create=True), prepare(reached, 1, create=True)
        )  # two instances start at once
        assert bodies == again == tuple(sorted(body_topics()))
        assert await prepare(reached, 1, create=False) == bodies
        assert await recheck(reached, 1) == ()

        async with client(AIOKafkaProducer(**reached.producer())) as producer:
            before = time.time() * 1000
            for payload in (b"record", great):
                await producer.send_and_wait(LEDGER, frames.sign(None, payload), timestamp_ms=1)
            with pytest.raises(MessageSizeTooLargeError):
                await producer.send(LEDGER, bytes(2 << 20))
        found = await read(reached, LEDGER, 2)
        assert [frames.open(one.key, one.value) for one in found] == [b"record", great]
        assert [one.timestamp_type for one in found] == [1, 1]  # the cluster's clock, not the sender's
        assert all(before - 1000 <= one.timestamp <= time.time() * 1000 + 1000 for one in found)
        with pytest.raises(BadFrameError):
            TopicFrames(frames.keys, OBJECTS).open(None, found[0].value)

    asyncio.run(scenario())


@pytest.mark.parametrize("fixture", ["kafka_tls", "kafka_scram"])
def test_a_stranger_sees_and_makes_nothing(request, fixture):
    kafka = request.getfixturevalue(fixture)

    async def scenario():
        await prepare(connection(kafka), 1, create=True)
        with pytest.raises(UnsafeStoreError) as caught:
            await prepare(connection(kafka, STRANGER), 1, create=True)
        assert {finding.found for finding in caught.value.findings} == {"refused (TopicAuthorizationFailedError)"}

    asyncio.run(scenario())


def refused_in_time(reached):
    started = time.monotonic()
    with pytest.raises(LedgerUnavailableError):
        asyncio.run(prepare(reached, 1, create=True, within=2))
    assert asyncio.run(recheck(reached, 1, within=1)) is None
    assert time.monotonic() - started < 6


def test_a_certificate_of_another_authority_does_not_get_in(kafka_tls, tmp_path):
    other = Authority(tmp_path / "other")
    other.create()
    files = other.identity(BROKER)
    ours = kafka_tls.authority.certificate
    refused_in_time(Connection(kafka_tls.bootstrap, ca=ours, certificate=files.certificate, key=files.key))


def test_a_node_of_another_authority_is_not_talked_to(kafka_tls, tmp_path):
    other = Authority(tmp_path / "other")
    other.create()
    files = kafka_tls.certificate(BROKER)
    refused_in_time(Connection(kafka_tls.bootstrap, ca=other.certificate, certificate=files.certificate, key=files.key))


def test_a_wrong_password_does_not_get_in(kafka_scram):
    ours = kafka_scram.authority.certificate
    refused_in_time(Connection(kafka_scram.bootstrap, ca=ours, username=BROKER, password="guessed"))


def test_what_administrators_do_is_found(kafka):
    reached = connection(kafka)

    async def eventually(expected):
        async with asyncio.timeout(10):
            while (found := await recheck(reached, 1)) is None or {str(one) for one in found} != expected:
                await asyncio.sleep(0.1)

    async def scenario():
        await empty(kafka)
        await prepare(reached, 1, create=True)
        safe = definition(LEDGER, 1).created()
        await alter(kafka, LEDGER, {**safe, "retention.ms": "604800000"})
        await eventually({f"{LEDGER}: retention.ms is 604800000, must be -1"})
        with pytest.raises(UnsafeStoreError, match=r"retention\.ms is 604800000, must be -1"):
            await prepare(reached, 1, create=True)
        await alter(kafka, LEDGER, safe)
        await eventually(set())

        async with admin(kafka, ADMIN) as hands:
            await hands.delete_topics([OBJECTS])
            await eventually({f"{OBJECTS}: the topic is missing, must be there"})
            await hands.create_topics([NewTopic(OBJECTS, 2, 1, topic_configs=definition(OBJECTS, 1).created())])
        await eventually({f"{OBJECTS}: partitions is 2, must be 1"})
        await empty(kafka)

    asyncio.run(scenario())


def test_three_nodes_keep_three_copies_and_one_may_be_away(kafka_of_three):
    reached = connection(kafka_of_three)

    async def scenario():
        await prepare(reached, 3, create=True)
        await asyncio.to_thread(kafka_of_three.kill, 3)
        try:
            assert len(await prepare(reached, 3, create=True)) == len(tuple(body_topics()))
            assert await recheck(reached, 3) == ()
        finally:
            await asyncio.to_thread(kafka_of_three.start, 3)
        with pytest.raises(UnsafeStoreError, match=f"{LEDGER}: replication is 3, must be at least 5"):
            await prepare(reached, 5, create=False)
        await empty(kafka_of_three)

    asyncio.run(scenario())


def test_a_frozen_cluster_is_given_up_in_time(kafka):
    kafka.pause(1)
    try:
        refused_in_time(connection(kafka))
    finally:
        kafka.resume(1)


def test_an_erased_body_is_gone_from_the_files_once_its_segment_is_closed(kafka):
    """With hours turned into seconds; a quiet topic needs one more record, which `topics.CLOSING_KEY` is for."""
    reached, marker = connection(kafka), os.urandom(64)

    def held():
        return [file for file in kafka.segments(DIRECT) if marker in _content(file)]

    async def scenario():
        await empty(kafka)
        await prepare(reached, 1, create=True)
        quick = {"segment.ms": "1000", "max.compaction.lag.ms": "1000", "file.delete.delay.ms": "100"}
        await alter(kafka, DIRECT, {**definition(DIRECT, 1).created(), **quick})
        assert await recheck(reached, 1) == ()
        async with client(AIOKafkaProducer(**reached.producer())) as producer:
            await producer.send_and_wait(DIRECT, marker, key=b"digest")
            await producer.send_and_wait(DIRECT, b"stays", key=b"another")
            assert held()
            await producer.send_and_wait(DIRECT, None, key=b"digest")
            await asyncio.sleep(3)
            assert held(), "then no closing record would be needed"
            await producer.send_and_wait(DIRECT, None, key=CLOSING_KEY)
        async with asyncio.timeout(30):
            while held():
                await asyncio.sleep(0.2)
        assert (await read(reached, DIRECT, 1))[0].value == b"stays"
        await empty(kafka)

    asyncio.run(scenario())


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # the cleaner was faster
        return b""
