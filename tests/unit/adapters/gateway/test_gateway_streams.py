"""Receiving by the broker's stream: the same notices, order and alarms as by long poll, whatever the connection does."""

import asyncio
import random

import orjson
import pytest

from adapters.client.errors import BrokerAwayError, NoStreamError
from adapters.gateway import feed as module
from adapters.gateway.feed import Feed
from adapters.gateway.status import InboxState
from tests.gateway_world import a_request, arrived, problem, scene, sent, until

SENDER, READER, OTHER = "kz/customs", "uz/focal-point", "tj/focal-point"


def asked(made, path):
    return [request for request in made.wire.log if f"/v1{path}" in request.url]


def test_notices_come_by_the_stream(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, streams=True) as made:
            await until(lambda: made.wire.opened)
            statuses = [await sent(made, SENDER, a_request(to=(READER,))) for _ in range(3)]
            items = await arrived(made, READER, 3)
            assert [item.notice_id for item in items] == [status.id for status in statuses]
            assert {item.state for item in items} == {InboxState.OPENED}
            assert not asked(made, "/feed?")
            # One stream a participant, and nothing that a person must see.
            assert len(made.wire.opened) == 2
            assert not made[READER]._alarms.on

    asyncio.run(scenario())


def test_a_connection_that_is_lost_again_and_again_loses_and_doubles_nothing(tmp_path):
    chance = random.Random(5)

    async def scenario():
        async with scene(tmp_path, SENDER, READER, streams=True) as made:
            wanted = []
            for _ in range(12):
                wanted.append((await sent(made, SENDER, a_request(to=(READER,)))).id)
                if chance.random() < 0.6:
                    for streamed in made.wire.opened:
                        streamed.lose()
            items = await arrived(made, READER, 12)
            assert [item.notice_id for item in items] == wanted
            await until(lambda: "not-receiving" not in made[READER]._alarms.on)

    asyncio.run(scenario())


def test_a_stream_that_ends_is_opened_again_without_a_word(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, streams=True) as made:
            await until(lambda: len(made.wire.opened) == 2)
            hub = made.broker.serving._streams
            await until(lambda: len(hub._keys) == 2)
            for stream in list(hub._all):
                stream.close()
            await until(lambda: len(made.wire.opened) == 4)
            await sent(made, SENDER, a_request(to=(READER,)))
            await arrived(made, READER)
            assert "not-receiving" not in made[READER]._alarms.on
            every = await made[READER].alarms(over=True)
            assert not [alarm for alarm in every if alarm.kind == "not-receiving"]

    asyncio.run(scenario())


def test_a_broker_without_streams_is_polled(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            await sent(made, SENDER, a_request(to=(READER,)))
            await arrived(made, READER)
            assert asked(made, "/feed?")
            assert len([one for one in asked(made, "/feed/stream") if one]) == 2  # once each, not for every page

    asyncio.run(scenario())


class Pages:
    """A client whose streams and polls a test makes up: a list a stream, of pages, errors, or None for the end."""

    def __init__(self, *streams):
        self.streams = list(streams)
        self.opened, self.polled, self.closed = [], [], 0

    async def open_stream(self, sign, *, after):
        self.opened.append(after)
        one = self.streams.pop(0)
        if isinstance(one, Exception):
            raise one
        return _Made(self, one)

    async def feed(self, sign, *, after, wait, limit):
        self.polled.append(after)
        return module.Page(after + 1, after + 1, ())


class _Made:
    def __init__(self, pages, given):
        self._pages, self._given = pages, given

    async def page(self):
        if not self._given:
            await asyncio.Event().wait()
        one = self._given.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    def close(self):
        self._pages.closed += 1


def page(position):
    return module.Page(position, position, ())


def test_pages_follow_each_other_on_one_stream_and_another_cursor_opens_another():
    async def scenario():
        client = Pages([page(3), page(5), page(8)], [page(4)])
        feed = Feed(client, None)
        assert [(await feed.page(0)).next, (await feed.page(3)).next] == [3, 5]
        # The page behind 3 is to be had anew.
        assert (await feed.page(3)).next == 4
        assert (client.opened, client.closed, client.polled) == ([0, 3], 1, [])
        feed.close()
        feed.close()
        assert client.closed == 2

    asyncio.run(scenario())


def test_who_is_cancelled_while_it_waits_closes_its_stream_and_no_other():
    async def scenario():
        client = Pages([page(3)], [page(4)])
        feed = Feed(client, None)
        await feed.page(0)
        waiting = asyncio.create_task(feed.page(3))
        await asyncio.sleep(0)
        waiting.cancel()
        assert (await feed.page(2)).next == 4
        assert client.closed == 1
        assert feed._stream is not None

    asyncio.run(scenario())


def test_streams_that_bring_nothing_are_given_up_for_a_while():
    async def scenario():
        now = [0.0]
        silent = [BrokerAwayError("Nothing came.")]
        client = Pages([page(1), None], list(silent), [None], [page(9)])
        feed = Feed(client, None, lambda: now[0])
        await feed.page(0)
        for _ in range(2):  # the end of the first in good order is not said
            with pytest.raises(BrokerAwayError):
                await feed.page(1)
        assert client.polled == []
        assert (await feed.page(1)).next == 2
        assert (await feed.page(2)).next == 3
        assert (client.polled, len(client.opened)) == ([1, 2], 3)
        now[0] += module.POLLING_SECONDS
        assert (await feed.page(3)).next == 9
        assert client.opened[-1] == 3

    asyncio.run(scenario())


def test_a_broker_that_is_away_is_not_one_without_streams():
    async def scenario():
        client = Pages(*[BrokerAwayError("Away.")] * 5, [page(1)], NoStreamError("None."))
        feed = Feed(client, None)
        for _ in range(5):
            with pytest.raises(BrokerAwayError):
                await feed.page(0)
        assert (await feed.page(0)).next == 1
        assert (await feed.page(7)).next == 8
        assert client.polled == [7]

    asyncio.run(scenario())


def _bend(made, change):
    """Change every delivery that the wire's streams bring."""

    def bent(data):
        lines = data.split(b"\n")
        for number, line in enumerate(lines):
            if line.startswith(b'data: {"statement"'):
                value = orjson.loads(line[6:])
                change(value)
                lines[number] = b"data: " + orjson.dumps(value)
        return b"\n".join(lines)

    made.wire.bend = bent


@pytest.mark.parametrize(
    ("change", "alarm"),
    [
        (lambda delivery: delivery["sealed"].update(tag="A" * 22), "unverified-delivery"),
        (lambda delivery: delivery.pop("grant"), "odd-delivery"),
        (lambda delivery: delivery.update(inclusion=7), "odd-delivery"),
    ],
)
def test_what_is_not_right_is_evidence_as_in_a_page(tmp_path, change, alarm):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, streams=True) as made:
            await until(lambda: len(made.wire.opened) == 2)
            _bend(made, change)
            await sent(made, SENDER, a_request(to=(READER,)))
            await until(lambda: alarm in made[READER]._alarms.on)
            items, _ = await made[READER].inbox(READER)
            assert [item.state for item in items] == ([InboxState.UNVERIFIED] if alarm.startswith("unv") else [])

    asyncio.run(scenario())


def test_what_is_no_stream_of_events_is_an_answer_error_and_refusals_are_alarms(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, streams=True) as made:
            await until(lambda: len(made.wire.opened) >= 2)  # one is on its way otherwise, and would not be lost
            made.wire.before = lambda request: (
                problem("unauthenticated", 401) if "/feed/stream" in request.url else None
            )
            for streamed in made.wire.opened:
                streamed.lose()
            await until(lambda: "not-receiving" in made[READER]._alarms.on)
            made.wire.before = None
            await sent(made, SENDER, a_request(to=(READER,)))
            await arrived(made, READER)

    asyncio.run(scenario())
