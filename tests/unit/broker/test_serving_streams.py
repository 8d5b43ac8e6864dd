"""Streams of a real broker: the feed's own deliveries byte by byte, under the rules and keys of the moment."""

import asyncio
from functools import partial

import pytest

from broker import sequencer
from broker.checkpoints import SignedTree
from broker.http.auth import Authenticated, Standing
from broker.view.store import ViewReader
from keys.envelope import open_notice, verify_delivery
from keys.log.note import verify_checkpoint
from schemas.delivery import Delivery
from schemas.errors import Error
from schemas.ids import Pattern
from schemas.statement import RevocationBody
from tests.broker_world import publish, running, until, upload_law
from tests.sse import Reader
from tests.world import NOTICE, denying, make_world

pytestmark = pytest.mark.anyio
ALL = Pattern("*.*")
SENDER, READER, OTHER = "kz/customs", "uz/focal-point", "tj/focal-point"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def world():
    return make_world([SENDER, "kz/focal-point", READER, OTHER])


class Subscriber:
    """Reads a stream in a task, from where it was cut off last."""

    def __init__(self, broker, world, who, topic=ALL):
        self.broker, self.who, self.topic = broker, who, topic
        self.caller = Authenticated(who, world.people[who].request.kid)
        self.reader = Reader()
        self.error = None
        self.begin()

    def begin(self):
        demand = Standing(self.caller, self.broker.serving).demand
        self.stream = self.broker.serving.stream(self.who, self.reader.cursor, self.topic, demand)
        self.task = asyncio.create_task(self._read())

    async def _read(self):
        try:
            while (parts := await self.stream.next()) is not None:
                self.reader.feed(b"".join(parts))
        except Error as error:
            self.error = error

    def cut(self):
        self.task.cancel()
        self.stream.close()
        self.reader.cut()

    async def got(self, count):
        await until(lambda: len(self.reader.deliveries) >= count)
        return self.reader.whole()


async def fed(broker, who, topic=ALL):
    await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    return (await broker.serving.feed(who, 0, 100, topic)).deliveries


def ids_of(deliveries):
    return [Delivery.parse(data).statement.notice_id for data in deliveries]


def plain(world, data, who):
    delivery = Delivery.parse(data)
    checkpoint = verify_checkpoint(delivery.inclusion.checkpoint, world.directory.log.keys)
    key = world.people[who].sealing
    own = {key.kid: key}
    return open_notice(verify_delivery(delivery, world.directory, checkpoint, revoked={}, own=own), key).notice


async def test_a_stream_brings_what_the_feed_brings(world, tmp_path):
    async with running(world, tmp_path) as broker:
        letters = [world.envelope(SENDER, [READER, OTHER]) for _ in range(3)]
        await publish(broker, letters[0])
        subscriber, sender = Subscriber(broker, world, READER), Subscriber(broker, world, SENDER)
        await subscriber.got(1)
        for signed in letters[1:]:
            await publish(broker, signed)
            await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
        found = await subscriber.got(3)
        assert [plain(world, data, READER) for data in found] == [NOTICE] * 3
        # In the page all are under its own newest checkpoint; apart from that they are the same bytes.
        pages = await fed(broker, READER)
        assert found[-1] == pages[-1]
        for streamed, paged in zip(found, pages, strict=True):
            assert streamed.partition(b'"inclusion"')[0] == paged.partition(b'"inclusion"')[0]
        assert [event.id for event, _ in subscriber.reader.deliveries] == [
            str(Delivery.parse(data).inclusion.index + 1) for data in found
        ]
        assert sender.reader.deliveries == []


async def test_who_was_cut_off_goes_on_exactly_there(world, tmp_path):
    async with running(world, tmp_path) as broker:
        subscriber = Subscriber(broker, world, READER)
        for number in range(6):
            await publish(broker, world.envelope(SENDER, [READER]))
            if number % 2:
                subscriber.cut()
                subscriber.begin()
        assert ids_of(await subscriber.got(6)) == ids_of(await fed(broker, READER))


async def test_each_gets_what_its_own_pattern_names(world, tmp_path):
    async with running(world, tmp_path) as broker:
        patterns = ("*.*", "central-asia.*", "*.precursors", "south-caucasus.seizures")
        subscribers = [Subscriber(broker, world, READER, Pattern(pattern)) for pattern in patterns]
        live = broker.serving._streams._keys
        await until(lambda: len(live) == len(patterns))
        topics = ("central-asia.seizures", "central-asia.precursors", "south-caucasus.precursors")
        for topic in topics:
            answer = await publish(broker, world.envelope(SENDER, [READER], topic=topic))
            assert isinstance(answer, sequencer.Published), answer
        for subscriber, pattern, count in zip(subscribers, patterns, (3, 2, 2, 0), strict=True):
            found = await subscriber.got(count)
            assert ids_of(found) == ids_of(await fed(broker, READER, Pattern(pattern)))
            assert len(found) == count


async def test_a_revoked_key_ends_the_stream_and_a_new_one_is_refused(tmp_path):
    world = make_world([SENDER, "kz/focal-point", READER, "uz/police"])
    async with running(world, tmp_path) as broker:
        subscriber, other = Subscriber(broker, world, "uz/police"), Subscriber(broker, world, READER)
        await publish(broker, world.envelope(SENDER, ["uz/police", READER]))
        await subscriber.got(1)
        body = RevocationBody("uz/police", (world.people["uz/police"].request.kid,), "theft")
        await publish(broker, world.open_envelope(READER, "revoke_key", body))
        await publish(broker, world.envelope(SENDER, ["uz/police", READER]))
        await other.got(2)
        await until(subscriber.task.done)
        assert subscriber.error.code == "unauthenticated"
        assert len(subscriber.reader.deliveries) == 1
        subscriber.begin()
        await until(subscriber.task.done)
        assert len(subscriber.reader.deliveries) == 1


async def test_a_change_of_law_withholds_and_releases_in_the_midst_of_a_stream(tmp_path, monkeypatch):
    world = make_world([SENDER, "kz/focal-point", READER, OTHER])
    async with running(world, tmp_path) as broker:
        subscriber, other = Subscriber(broker, world, READER), Subscriber(broker, world, OTHER)
        first = world.envelope(SENDER, [READER, OTHER])
        await publish(broker, first)
        await subscriber.got(1)
        # It is in the ledger and not under a checkpoint yet when the law changes.
        monkeypatch.setattr(sequencer, "SIGN_EVERY_S", 1.0)
        second, third = (world.envelope(SENDER, [READER, OTHER]) for _ in range(2))
        await publish(broker, second)
        await subscriber.got(2)
        await publish(broker, third)
        await upload_law(world, broker, "uz", denying("not-now"))
        await other.got(3)
        held = await until(partial(broker.serving.held, READER))
        assert [item.notice_id for item in held] == [third.statement.notice_id]
        assert len(subscriber.reader.deliveries) == 2
        await upload_law(world, broker, "uz", "")
        found = await subscriber.got(3)
        assert ids_of(found) == [signed.statement.notice_id for signed in (first, second, third)]
        # It has the number of its release, which is behind its leaf's.
        last = subscriber.reader.deliveries[-1][0]
        assert int(last.id) > Delivery.parse(found[-1]).inclusion.index + 1
        assert await broker.serving.held(READER) == []


async def test_what_was_released_together_comes_again_together(tmp_path):
    world = make_world([SENDER, "kz/focal-point", READER], laws={"uz": denying(kind="practice")})
    async with running(world, tmp_path) as broker:
        letters = [world.envelope(SENDER, [READER]) for _ in range(3)]
        for signed in letters:
            await publish(broker, signed)
        await upload_law(world, broker, "uz", denying())
        await fed(broker, READER)
        await until(partial(broker.serving.held, READER))
        await upload_law(world, broker, "uz", "")
        await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
        subscriber = Subscriber(broker, world, READER)
        await subscriber.got(3)
        assert [event.id is None for event, _ in subscriber.reader.deliveries] == [True, True, False]


async def test_what_was_erased_is_not_streamed_from_memory(tmp_path):
    world = make_world([SENDER, "kz/focal-point", READER, OTHER])
    async with running(world, tmp_path) as broker:
        signed = world.envelope(SENDER, [READER, OTHER])
        await publish(broker, signed)
        subscriber = Subscriber(broker, world, READER)
        await subscriber.got(1)
        about = {"ref": signed.statement.notice_id, "thread": signed.statement.thread}
        await publish(broker, world.envelope(SENDER, [READER, OTHER], "recall", **about))
        found = await subscriber.got(2)
        assert [Delivery.parse(data).statement.act for data in found] == ["issue", "recall"]
        late = Subscriber(broker, world, OTHER)
        assert [Delivery.parse(data).statement.act for data in await late.got(1)] == ["recall"]


async def test_a_broker_that_stops_ends_its_streams(world, tmp_path):
    async with running(world, tmp_path) as broker:
        subscriber = Subscriber(broker, world, READER)
        await until(lambda: subscriber.reader.checkpoint)
        broker.serving.release()
        await until(subscriber.task.done)
        assert subscriber.error is None
        subscriber.begin()
        await until(subscriber.task.done)
        assert subscriber.error is None
    with pytest.raises(Error) as caught:
        broker.serving.stream(READER, 0, ALL, lambda: None)
    assert caught.value.code == "unavailable"


async def test_who_waits_for_leaves_beyond_a_checkpoint_is_woken_with_the_next(world, tmp_path):
    """An instance that takes its checkpoints from another hears of leaves before they are under one."""
    async with running(world, tmp_path) as broker:
        serving, kid = broker.serving, world.people[READER].sealing.kid
        await serving.wait_checkpoint(broker.view.size - 1, 5)
        event = asyncio.Event()
        serving._waiting[event] = frozenset({kid})
        note, at = serving.note, serving.note_size
        for signed, kids, size, woken in (
            (at, frozenset({kid}), at + 2, True),
            (at + 1, frozenset(), at + 2, True),
            (at + 2, frozenset(), at + 2, True),
            (at + 3, frozenset(), at + 3, False),
            (at + 3, None, at + 4, True),
            (at + 4, frozenset(), at + 4, True),
            (at + 5, frozenset(), at + 5, False),
        ):
            event.clear()
            serving._announced(SignedTree(note, signed), kids, size)
            assert event.is_set() is woken
        del serving._waiting[event]


@pytest.mark.parametrize("live", [True, False])
async def test_a_notice_whose_body_is_still_read_is_not_passed(world, tmp_path, monkeypatch, live):
    async with running(world, tmp_path) as broker:
        subscriber = Subscriber(broker, world, READER)
        await publish(broker, world.envelope(SENDER, [READER]))
        await subscriber.got(1)
        if not live:
            subscriber.cut()
        with monkeypatch.context() as patch:
            patch.setattr(sequencer.Sequencer, "behind", True)
            patch.setattr(ViewReader, "body", lambda *_: None)
            await publish(broker, late := world.envelope(SENDER, [READER]))
            await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
            if not live:
                subscriber.begin()
            await until(subscriber.task.done)
            assert subscriber.error.code == "unavailable"
            assert len(subscriber.reader.deliveries) == 1
        subscriber.begin()
        await subscriber.got(2)
        assert late.statement.notice_id in ids_of(subscriber.reader.whole())
        subscriber.cut()
