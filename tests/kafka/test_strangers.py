"""What does not belong into the topics: a stranger's records, doubles, a body that nothing names, a record whose body is gone."""

import asyncio
import os
from dataclasses import replace

import pytest

from broker.ledger.kafka.frames import FrameKeys
from broker.ledger.kafka.topics import CHECKPOINTS, DECISIONS, LEDGER, OBJECTS, body_topic
from broker.ledger.stanzas import stanza_kids
from keys.digests import statement_digest
from keys.frame import new_frame_key
from keys.log.note import verify_checkpoint
from schemas.ids import Topic
from tests.cluster import clear
from tests.faults.deployment import ask, closing, start_all, tell, until
from tests.kafka.instances import instances
from tests.kafka.load import Load, assert_one_tree, letters
from tests.kafka.writing import ledger_frame, read, record_of, write
from tests.world import make_world

pytestmark = pytest.mark.timeout(120)
SENDER, READER = "kz/customs", "uz/focal-point"
BODIES = body_topic(Topic("central-asia.seizures"))


@pytest.fixture(scope="module")
def world():
    return make_world([SENDER, "kz/focal-point", READER])


@pytest.fixture
def pair(world, kafka, tmp_path):
    """Two instances that run and look often, the first of which signs."""
    pair = instances(world, tmp_path, kafka, 2)
    with closing(*pair):
        for one in pair:
            one.more = "recheck_seconds = 1\nalone_seconds = 3\n"
            one.signs(one is pair[0])
        start_all(pair)
        yield pair
    asyncio.run(clear(kafka))


def counted(instance, reason):
    """Return how many records did not count for a reason, by the metrics."""
    for line in instance.metrics.decode().splitlines():
        if line.startswith("valise_records_skipped_total") and f'reason="{reason}"' in line:
            return int(float(line.split()[-1]))
    return 0


def checkpoint(world, instance):
    note = ask(f"{instance.address}/v1/log/checkpoint").body
    return verify_checkpoint(note, world.directory.log.keys)


def test_what_a_stranger_writes_is_skipped_counted_and_alarmed(world, pair, kafka, tmp_path):
    keys = FrameKeys.parse(pair[0].frame_keys.read_bytes())
    load = Load(pair, letters(world, 10, SENDER, [READER]))
    asyncio.run(load.run())
    until(lambda: all(len(one.notices(READER)) == 10 for one in pair))
    size = until(lambda: len(found := {checkpoint(world, one).size for one in pair}) == 1 and found.pop())
    frame, body = read(kafka, LEDGER)[-1].value, read(kafka, BODIES)[-1]

    forged = frame[:-1] + bytes([frame[-1] ^ 1])
    great = os.urandom(2_090_000)
    malformed = ((LEDGER, None, b""), (LEDGER, b"a key", None), (LEDGER, b"key", b"short"))
    foreign = (
        (LEDGER, None, forged),
        (LEDGER, None, os.urandom(500)),
        (LEDGER, None, great),
        (LEDGER, b"a key", frame),  # ours, in another place
        (LEDGER, body.key, body.value),
        (BODIES, body.key, forged),
        (BODIES, os.urandom(32), body.value),
        (BODIES, b"another", great),
        (BODIES, b"closing", frame),
        (OBJECTS, b"metadata/timestamp.json", os.urandom(100)),
        (OBJECTS, b"\xff\xfe", os.urandom(100)),
        (CHECKPOINTS, b"checkpoint", os.urandom(100)),
        (DECISIONS, None, os.urandom(100)),
    )
    write(kafka, *malformed, *foreign)
    # Ours, once more: these are no stranger's, and fold away.
    unsigned = world.sealed(world.statement(SENDER), [READER])
    old = record_of(world, unsigned, directory=0)
    late = record_of(world, unsigned, at=old.leaf.received_at - 120_000)  # nobody moves the log's time back
    again = read(kafka, LEDGER)[-len(malformed) - 6 - 1].value
    key, kids = statement_digest(unsigned.statement_bytes), stanza_kids(unsigned.sealed_bytes)
    write(
        kafka,
        (BODIES, key, keys.sign(BODIES, key, unsigned.sealed_bytes)),
        (LEDGER, None, again),
        (LEDGER, None, again),
        *(ledger_frame(keys, one, kids) for one in (old, late)),
    )

    for one in pair:
        # One of the bodies' topic is under the key of what closes segments, and nobody reads it.
        until(lambda one=one: sum(counted(one, reason) for reason in ("unknown-key", "unverified", "malformed")) == 15)
        until(lambda one=one: (counted(one, "known"), counted(one, "rules"), counted(one, "late")) == (2, 1, 1))
        assert b'kind="foreign-records"' in one.metrics
        assert "record.foreign" in one.printed
        assert not one.reasons
        assert checkpoint(world, one).size == size

    more = Load(pair, letters(world, 10, SENDER, [READER]))
    asyncio.run(more.run())
    until(lambda: all(len(one.notices(READER)) == 20 for one in pair))
    load.envelopes += more.envelopes
    load.receipts |= more.receipts
    load.notes |= more.notes
    for one in pair:
        assert one.end() == 0
    assert_one_tree(world, pair, load, tmp_path)


def test_a_body_without_record_is_erased_and_a_record_without_body_alarmed(world, pair, kafka):
    keys = FrameKeys.parse(pair[0].frame_keys.read_bytes())
    first = letters(world, 1, SENDER, [READER])[0]
    assert pair[1].publish(first).status == 201
    alone, lost = (world.sealed(world.statement(SENDER), [READER]) for _ in range(2))
    key = statement_digest(alone.statement_bytes)
    write(kafka, (BODIES, key, keys.sign(BODIES, key, alone.sealed_bytes)))
    write(kafka, ledger_frame(keys, record_of(world, lost), stanza_kids(lost.sealed_bytes)))

    for one in pair:
        until(lambda one=one: b'kind="bodies-absent"' in one.metrics)
        assert "body.absent" in one.printed
    until(lambda: any(item.key == key and item.value is None for item in read(kafka, BODIES)), 20, 0.3)
    assert "bodies.without_record" in pair[0].printed
    # What was published is not touched by it, and the exchange goes on around the gap.
    kept = statement_digest(first.statement_bytes)
    assert not any(item.key == kept and item.value is None for item in read(kafka, BODIES))
    last = letters(world, 1, SENDER, [READER])[0]
    assert pair[0].publish(last).status == 201
    for one in pair:
        found = until(lambda one=one: len(ids := [item[1] for item in one.notices(READER)]) >= 2 and ids)
        assert found == [first.statement.notice_id, last.statement.notice_id]
        assert one.publish(last).status == 200
    # Whoever sent it sends it again: it is delivered by every instance, as is what was never erased.
    (again,) = world.sign([alone])
    assert pair[1].publish(again).status == 201
    for one in pair:
        until(lambda one=one: again.statement.notice_id in [item[1] for item in one.notices(READER)])


@pytest.mark.parametrize("writer", ["a stranger without a key", "an instance"])
def test_another_statement_under_a_notice_s_id_changes_nothing(world, pair, kafka, tmp_path, writer):
    ours = FrameKeys.parse(pair[0].frame_keys.read_bytes())
    keys = ours if writer == "an instance" else FrameKeys.parse(new_frame_key())
    load = Load(pair, letters(world, 1, SENDER, [READER]))
    asyncio.run(load.run())
    (first,) = load.envelopes
    until(lambda: all(len(one.notices(READER)) == 1 for one in pair))
    size = until(lambda: len(found := {checkpoint(world, one).size for one in pair}) == 1 and found.pop())
    other = world.sealed(replace(world.statement(SENDER), **ids_of(first.statement)), [READER])
    (signed,) = world.sign([other])
    assert signed.statement_bytes != first.statement_bytes
    key = statement_digest(other.statement_bytes)
    write(
        kafka,
        (BODIES, key, keys.sign(BODIES, key, other.sealed_bytes)),
        ledger_frame(keys, record_of(world, other), stanza_kids(other.sealed_bytes)),
    )
    for one in pair:
        if writer == "an instance":
            until(lambda one=one: counted(one, "known") == 1)
        else:
            until(lambda one=one: sum(counted(one, reason) for reason in ("unknown-key", "unverified")) == 2)
            assert b'kind="foreign-records"' in one.metrics
        assert checkpoint(world, one).size == size
        assert [item[1] for item in one.notices(READER)] == [first.statement.notice_id]
        # The first one's receipt still is what its sender gets, and the other one is told that the id is taken.
        assert one.publish(first).json()["receipt"] == load.receipts[first.statement.notice_id]
        assert one.publish(signed).status == 409
        assert not one.reasons
    tell(f"another statement under a notice's id, by {writer}", sent=1, acknowledged=1, lost=0, doubled=0)
    for one in pair:
        assert one.end() == 0
    assert_one_tree(world, pair, load, tmp_path)


def ids_of(statement):
    return {"notice_id": statement.notice_id, "thread": statement.thread}
