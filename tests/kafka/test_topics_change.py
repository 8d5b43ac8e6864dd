"""What administrators do to the topics of running instances, and a ledger that comes from an old backup: nothing is signed."""

import asyncio

import pytest
from aiokafka.admin import NewTopic

from broker.app import SIGNER
from broker.ledger.kafka.frames import FrameKeys
from broker.ledger.kafka.topics import LEDGER, OBJECTS, body_topic, definition
from broker.ledger.signer import HEAD
from schemas.ids import Topic
from tests.cluster import ADMIN, admin, clear
from tests.faults.deployment import closing, start_all, until
from tests.kafka.instances import instances
from tests.kafka.load import letters
from tests.kafka.writing import alter, read, write
from tests.world import make_world

pytestmark = pytest.mark.timeout(150)
SENDER, READER = "kz/customs", "uz/focal-point"
BODIES = body_topic(Topic("central-asia.seizures"))
UNSAFE = "a topic is missing or its settings are not safe"
NEWER = "a newer version wrote to the ledger, and this one cannot read it"
SHORTER = "the topic {} is shorter than what was read of it, or another one"
SHORT = "the ledger's topic is shorter than what was read of it, or another one"


@pytest.fixture(scope="module")
def world():
    return make_world([SENDER, "kz/focal-point", READER])


@pytest.fixture
def pair(world, kafka, tmp_path):
    """Two instances that run and look every second, the first of which signs; three notices are published."""
    pair = instances(world, tmp_path, kafka, 2)
    with closing(*pair):
        for one in pair:
            one.more = "recheck_seconds = 1\n"
            one.signs(one is pair[0])
        start_all(pair)
        for signed in letters(world, 3, SENDER, [READER]):
            assert until(lambda signed=signed: pair[1].publish(signed).status in (200, 201))
        until(lambda: all(len(one.notices(READER)) == 3 and not one.reasons for one in pair))
        yield pair
    asyncio.run(clear(kafka))


async def remake(kafka, topic, *, make=True):
    """Delete a topic, and make it anew with nothing in it."""
    async with admin(kafka, ADMIN) as hands:
        await hands.delete_topics([topic])
        while topic in await hands.list_topics():
            await asyncio.sleep(0.1)
        if make:
            settings = definition(topic, 1).created()
            answer = await hands.create_topics([NewTopic(topic, 1, 1, topic_configs=settings)])
            assert answer.topic_errors[0][1] == 0, answer


def head(instance):
    return (instance.folder / SIGNER / HEAD).read_bytes()


def refuses(world, instance):
    """Say that an instance publishes nothing, is not ready, and serves what it has."""
    answer = instance.publish(letters(world, 1, SENDER, [READER])[0])
    assert (answer.status, answer.code, bool(answer.headers["Retry-After"])) == (503, "unavailable", True)
    assert instance.reasons
    assert len(instance.notices(READER)) >= 3


def test_settings_that_are_not_safe_and_a_topic_that_is_deleted(world, pair, kafka):
    before = head(pair[0])
    alter(kafka, LEDGER, retention_ms="604800000")
    for one in pair:
        until(lambda one=one: UNSAFE in one.reasons)
        assert f'"where": "{LEDGER}", "setting": "retention.ms", "now": "604800000", "must": "-1"' in one.printed
        assert b'kind="unsafe-store"' in one.metrics
        refuses(world, one)
    assert head(pair[0]) == before
    alter(kafka, LEDGER)
    for one in pair:
        until(lambda one=one: not one.reasons)
        assert one.publish(letters(world, 1, SENDER, [READER])[0]).status == 201
    until(lambda: all(len(one.notices(READER)) == 5 for one in pair))
    before = head(pair[0])

    asyncio.run(remake(kafka, OBJECTS, make=False))
    for one in pair:
        until(lambda one=one: UNSAFE in one.reasons)
        assert f'"where": "{OBJECTS}", "setting": "the_topic", "now": "missing", "must": "there"' in one.printed
        refuses(world, one)
    assert head(pair[0]) == before
    pair[1].end()
    pair[1].launch()  # nor does who starts make it anew
    assert pair[1].process.wait(60) != 0
    assert f"{OBJECTS}: the topic is missing, must be there" in said(pair[1])


def test_a_ledger_that_is_put_back_from_an_old_backup_while_instances_run(world, pair, kafka):
    frames = [(LEDGER, one.key, one.value) for one in read(kafka, LEDGER)]
    before = head(pair[0])
    asyncio.run(remake(kafka, LEDGER))
    write(kafka, *frames[:-2])
    for one in pair:
        until(lambda one=one: SHORT in one.reasons, 40)
        assert b'kind="ledger-shorter"' in one.metrics
        assert "ledger.shorter" in one.printed
        refuses(world, one)
    assert head(pair[0]) == before
    assert len(read(kafka, LEDGER)) == len(frames) - 2


@pytest.mark.parametrize("topic", [OBJECTS, BODIES])
def test_another_topic_that_is_deleted_and_made_anew_while_instances_run(world, pair, kafka, topic):
    before = head(pair[0])
    asyncio.run(remake(kafka, topic))
    for one in pair:
        until(lambda one=one: SHORTER.format(topic) in one.reasons, 60)
        assert b'kind="ledger-shorter"' in one.metrics
        refuses(world, one)
    assert head(pair[0]) == before


def test_a_ledger_of_which_something_is_deleted_while_instances_run(world, pair, kafka):
    before = head(pair[0])
    asyncio.run(delete_before(kafka, 2))
    for one in pair:
        until(lambda one=one: SHORT in one.reasons, 30)
        assert b'kind="ledger-shorter"' in one.metrics
        refuses(world, one)
    assert head(pair[0]) == before


def test_what_a_newer_version_writes_stops_who_cannot_read_it(world, pair, kafka):
    keys = FrameKeys.parse(pair[0].frame_keys.read_bytes())
    before = head(pair[0])
    write(kafka, (LEDGER, None, keys.sign(LEDGER, None, b"\x02what comes")))
    for one in pair:
        until(lambda one=one: NEWER in one.reasons, 30)
        refuses(world, one)
        assert b'kind="foreign-records"' not in one.metrics
    assert head(pair[0]) == before
    pair[1].end()
    pair[1].launch()
    assert pair[1].process.wait(60) != 0
    assert "A newer version of this software has written to the ledger" in said(pair[1])


def said(instance):
    """Return the last that an instance has printed."""
    return "\n".join(instance.printed.splitlines()[-3:])


def test_a_ledger_that_is_not_the_one_that_was_signed_when_instances_start(world, pair, kafka):
    frames = [(LEDGER, one.key, one.value) for one in read(kafka, LEDGER)]
    for one in pair:
        one.kill()
    before = head(pair[0])
    for how in ("another", "cut", "without-mirror"):
        asyncio.run(remake(kafka, LEDGER))
        if how == "another":  # as long, and another one
            write(kafka, *frames[:-2], frames[0], frames[0], frames[0])
        elif how == "cut":
            write(kafka, *frames)
            asyncio.run(delete_before(kafka, 2))
        else:
            write(kafka, *frames[:-2])
        if how == "without-mirror":
            for one in pair:
                for file in one.folder.glob("mirror.sqlite*"):
                    file.unlink()
        until(lambda: signer_refuses(pair[0]), 60)
        assert ("it is an old copy" if how == "without-mirror" else SHORT) in said(pair[0]), (how, said(pair[0]))
        assert head(pair[0]) == before
        if how == "another":
            pair[1].start_again()
            until(lambda: SHORT in pair[1].reasons, 30)
            refuses(world, pair[1])
            assert b'kind="ledger-shorter"' in pair[1].metrics
            pair[1].end()
    pair[1].launch()  # it has read nothing else, but what was signed is more than it has
    assert pair[1].process.wait(60) != 0
    assert "it is an old copy" in said(pair[1])


def signer_refuses(signer):
    """Start the signer until it ends for another reason than that it was heard of just now."""
    signer.launch()
    assert signer.process.wait(60) != 0
    return "Another instance signs" not in said(signer)


async def delete_before(kafka, offset):
    """Delete what is before an offset, as an administrator can."""
    from aiokafka import TopicPartition
    from aiokafka.admin.records_to_delete import RecordsToDelete

    async with admin(kafka, ADMIN) as hands:
        await hands.delete_records({TopicPartition(LEDGER, 0): RecordsToDelete(offset)})
