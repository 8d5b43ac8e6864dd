"""What somebody may write to the cluster beside the instances, and what can be read of its topics."""

import asyncio
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from broker.ledger.kafka.payloads import encode_record
from broker.ledger.kafka.topics import LEDGER, definition
from keys.digests import sha256, statement_leaf
from schemas.leaf import Leaf, LeafType
from schemas.record import Record
from tests.cluster import ADMIN, admin


def write(kafka, *records):
    """Write (topic, key, value) one after the other, and wait until each is there."""

    async def send():
        producer = AIOKafkaProducer(**kafka.client(), acks="all", max_request_size=4 << 20)
        try:
            await producer.start()
            for topic, key, value in records:
                await producer.send_and_wait(topic, value, key=key)
        finally:
            await producer.stop()

    asyncio.run(send())


def read(kafka, topic):
    """Return all records of a topic that are there now."""

    async def fetch():
        part = TopicPartition(topic, 0)
        consumer = AIOKafkaConsumer(**kafka.client(), auto_offset_reset="none", enable_auto_commit=False)
        try:
            await consumer.start()
            consumer.assign([part])
            consumer.seek(part, (await consumer.beginning_offsets([part]))[part])
            end, found = (await consumer.end_offsets([part]))[part], []
            while await consumer.position(part) < end:
                for page in (await consumer.getmany(timeout_ms=500)).values():
                    found += page
            return found
        finally:
            await consumer.stop()

    return asyncio.run(fetch())


def alter(kafka, topic, **settings):
    """Set a topic's settings as the code wants them, but for these (`_` for `.`)."""

    async def ask():
        async with admin(kafka, ADMIN) as hands:
            wanted = definition(topic, len(kafka.nodes)).created()
            wanted |= {name.replace("_", "."): value for name, value in settings.items()}
            await hands.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)])

    asyncio.run(ask())


def record_of(world, unsigned, directory=1, boundary=None, *, at=None):
    """Return the record of a statement as an instance would append it now."""
    (signed,) = world.sign([unsigned])
    leaf = Leaf(
        LeafType.SEALED, at or time.time_ns() // 1_000_000, statement_leaf(signed.statement_bytes, signed.proof_bytes)
    )
    return Record(leaf, signed.statement_bytes, signed.proof_bytes, sha256(unsigned.sealed_bytes), directory, boundary)


def ledger_frame(keys, record, kids=()):
    """Return what a holder of the frame keys writes into the ledger."""
    return LEDGER, None, keys.sign(LEDGER, None, encode_record(record, kids))
