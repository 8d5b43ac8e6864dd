"""A law that changes at the worst moment: the newest one in force wins, nothing is lost, and what is held comes back."""

import pytest

from broker.answers import NotPublished, Published
from broker.housekeeping import directory_object
from broker.ledger.port import Append, Entry
from keys import digests
from keys.log.note import verify_checkpoint
from schemas.delivery import Delivery
from schemas.encoding import b64encode, from_seconds
from schemas.event import DirectoryVersion, Event
from schemas.ids import Pattern
from schemas.leaf import Leaf
from schemas.record import Record
from tests import broker_world
from tests.broker_world import HandClock, running, upload_law
from tests.granting import granted
from tests.world import ORIGIN, denying, make_world, put_law

pytestmark = pytest.mark.anyio
ALL = Pattern("*.*")
SENDER, READER, OTHER = "kz/customs", "uz/focal-point", "tj/focal-point"
MEMBERS = (SENDER, "kz/focal-point", READER, OTHER)


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def publish(broker, signed):
    answer = await broker_world.publish(broker, signed)
    if isinstance(answer, Published):
        await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    return answer


async def fed(broker, who, after=0):
    page = await broker.serving.feed(who, after, 100, ALL)
    return page.next, [Delivery.parse(item).statement.notice_id for item in page.deliveries]


def valid(world, seconds, name="valid_from"):
    return f'{name} = "{from_seconds(world.now + seconds)}"\n'


async def test_a_law_that_begins_while_the_broker_is_down_is_obeyed_by_its_first_answer(tmp_path):
    world = make_world(MEMBERS)
    clock = HandClock(world.now * 1000)
    async with running(world, tmp_path, clock) as broker:
        await upload_law(world, broker, "uz", denying(validity=valid(world, 3600)))
        signed = world.envelope(SENDER, [READER, OTHER])
        assert isinstance(await publish(broker, signed), Published)
    clock.ms += 3_601_000
    async with running(world, tmp_path, clock) as broker:
        assert broker.serving.trust.boundary == from_seconds(world.now + 3600)
        assert (await fed(broker, READER))[1] == []
        assert (await fed(broker, OTHER))[1] == [signed.statement.notice_id]
        (held,) = await broker.serving.held(READER)
        assert held.notice_id == signed.statement.notice_id
        world.now += 3601
        answer = await publish(broker, world.envelope(SENDER, [READER]))
        assert isinstance(answer, NotPublished)
        assert [item.participant for item in answer.denied] == [READER]


async def test_what_is_held_comes_back_when_the_law_ends_while_the_broker_is_down(tmp_path):
    world = make_world(MEMBERS)
    clock = HandClock(world.now * 1000)
    async with running(world, tmp_path, clock) as broker:
        signed = world.envelope(SENDER, [READER])
        await publish(broker, signed)
        grant_to = world.envelope(SENDER, [OTHER])
        await publish(broker, grant_to)
        grant = granted(world, grant_to, [READER])
        await publish(broker, grant)
        await upload_law(world, broker, "uz", denying(validity=valid(world, 3600, "valid_to")))
        await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
        cursor, found = await fed(broker, READER)
        expected = [signed.statement.notice_id, grant_to.statement.notice_id]
        assert found == []
        assert len(await broker.serving.held(READER)) == 2
    clock.ms += 3_601_000
    async with running(world, tmp_path, clock) as broker:
        await broker.serving.wait_checkpoint(cursor - 1, 5)
        assert (await fed(broker, READER, cursor))[1] == expected
        assert await broker.serving.held(READER) == []


async def test_a_law_that_another_instance_puts_between_decision_and_append_is_obeyed(tmp_path):
    """The record was decided under rules that do not hold at its place: it does not count, and is decided again."""
    world = make_world(MEMBERS)
    async with running(world, tmp_path) as broker:
        before = broker.serving.trust.directory.version
        put_law(world, "uz", world.law("uz", denying("just-now", article="9")))
        files = world.repository.files
        snapshot = digests.sha256(files[f"{before + 1}.snapshot.json"])
        event = Event(ORIGIN, b64encode(bytes(16)), DirectoryVersion(before + 1, b64encode(snapshot)))
        document, state = event.encode(), broker.view.state
        leaf = Leaf(event.leaf_type, broker.clock.now_ms(), digests.event_leaf(document))
        record = Record(leaf, document, None, None, state.directory, state.boundary)
        objects = {directory_object(name): data for name, data in files.items()}
        real, put = broker.ledger.append, []

        def append(what):
            if what.entries and not put:
                put.append(what)
                real(Append((Entry(record, None),), objects))
            return real(what)

        broker.ledger.append = append
        signed = world.envelope(SENDER, [READER, OTHER])
        answer = await publish(broker, signed)
        assert put
        assert isinstance(answer, NotPublished), answer
        assert [(item.participant, item.why.article) for item in answer.denied] == [(READER, "9")]
        assert broker.view.by_notice(signed.statement.notice_id) is None
        # Nothing is lost: whoever seals for the others goes on.
        again = world.envelope(SENDER, [OTHER])
        assert isinstance(await publish(broker, again), Published)
        await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
        assert (await fed(broker, OTHER))[1] == [again.statement.notice_id]
        assert (await fed(broker, READER))[1] == []
        assert verify_checkpoint(broker.serving.note, world.directory.log.keys).size == broker.view.size


async def test_between_publishing_and_fetching_a_grant_the_law_changes_back_and_forth(tmp_path):
    world = make_world(MEMBERS)
    async with running(world, tmp_path) as broker:
        signed = world.envelope(SENDER, [OTHER])
        await publish(broker, signed)
        await publish(broker, granted(world, signed, [READER]))
        cursor = 0
        for _ in range(3):
            await upload_law(world, broker, "uz", denying())
            await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
            cursor, found = await fed(broker, READER, cursor)
            assert found == []
            assert len(await broker.serving.held(READER)) == 1
            await upload_law(world, broker, "uz", "")
            await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
        cursor, found = await fed(broker, READER, cursor)
        assert found == [signed.statement.notice_id]
        assert (await fed(broker, READER, cursor))[1] == []
