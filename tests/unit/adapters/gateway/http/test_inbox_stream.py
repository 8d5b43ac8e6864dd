"""The inbox as a stream: resumed exactly, for whom `GET /v1/inbox` is, at the reader's pace."""

import asyncio
import json

import pytest

from adapters.gateway.http import inbox_stream
from adapters.gateway.http.api import create_api
from adapters.gateway.tokens import Tokens
from schemas.errors import Error
from tests.asgi import Streamed, request
from tests.sse import events
from tests.unit.adapters.gateway.http.fake import KZ, UZ, FakeService

PATH = "/v1/inbox/stream"


class Agency:
    """A system with a token, and what it has read."""

    def __init__(self, folder):
        self.service, self.tokens = FakeService(), Tokens(folder)
        self.app = create_api(self.service, self.tokens)
        self.record, self.token = self.tokens.new(KZ, "system")
        self.text = b""

    def open(self, target=PATH, **headers):
        fields = {"Authorization": f"Bearer {self.token}", **headers}
        self.text = b""
        self.streamed = Streamed(self.app, "GET", target, headers=fields)

    async def until(self, count):
        """Read until so many entries have come, and return them."""
        async with asyncio.timeout(5):
            while len(self.read) < count:
                data = await self.streamed.read()
                assert data, "it has ended"
                self.text += data
        return self.read

    @property
    def read(self):
        return [event for event in events(self.text) if event.data is not None]


@pytest.fixture
def agency(tmp_path):
    return Agency(tmp_path)


def test_entries_come_as_they_arrive_and_only_ones_own(agency):
    async def scenario():
        first = agency.service.arrive(KZ)
        agency.service.arrive(UZ)
        agency.open()
        await agency.until(1)
        assert agency.streamed.status == 200
        assert agency.streamed.headers["content-type"].startswith("text/event-stream")
        assert agency.streamed.headers["cache-control"] == "no-store"
        agency.service.arrive(UZ)
        second = agency.service.arrive(KZ)
        found = await agency.until(2)
        assert [event.name for event in found] == ["notice", "notice"]
        assert [event.json()["id"] for event in found] == [first, second]
        assert [int(event.id) for event in found] == [event.json()["seq"] for event in found]
        page = await request(agency.app, "GET", "/v1/inbox", headers={"Authorization": f"Bearer {agency.token}"})
        assert [event.json() for event in found] == page.json()["items"]
        agency.streamed.close()

    asyncio.run(scenario())


def test_who_was_cut_off_goes_on_exactly_there(agency, monkeypatch):
    monkeypatch.setattr(inbox_stream, "PAGE", 2)

    async def scenario():
        wanted = [agency.service.arrive(KZ) for _ in range(7)]
        got, last = [], None
        while len(got) < 7:
            agency.open(f"{PATH}?after=0", **({} if last is None else {"Last-Event-ID": last}))
            data = b""
            while not events(data):
                data += await agency.streamed.read()
            # The connection ends in the midst of an event.
            whole = [event for event in events(data[:-7]) if event.data is not None]
            if not whole:
                agency.text = data
                whole = (await agency.until(1))[:1]
            got += [event.json()["id"] for event in whole]
            last = whole[-1].id
            agency.streamed.close()
        assert got == wanted

    asyncio.run(scenario())


def test_only_what_nobody_acknowledged(agency):
    async def scenario():
        first, second = agency.service.arrive(KZ), agency.service.arrive(KZ)
        await agency.service.acknowledge(KZ, (first,))
        agency.open(f"{PATH}?unacknowledged=true")
        assert [event.json()["id"] for event in await agency.until(1)] == [second]
        agency.streamed.close()

    asyncio.run(scenario())


def test_a_revoked_token_gets_nothing_more(agency):
    async def scenario():
        agency.service.arrive(KZ)
        agency.open()
        await agency.until(1)
        agency.tokens.revoke(agency.record.id)
        agency.service.arrive(KZ)
        async with asyncio.timeout(5):
            assert await agency.streamed.read() == b""

    asyncio.run(scenario())


def test_an_idle_stream_says_that_it_lives_and_ends_in_time(agency, monkeypatch):
    monkeypatch.setattr(inbox_stream, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(inbox_stream, "LIFE_SECONDS", 0.2)

    async def scenario():
        agency.open()
        async with asyncio.timeout(5):
            read = [data async for data in _all(agency.streamed)]
        assert len(read) > 2
        assert set(read) == {b":\n\n"}

    asyncio.run(scenario())


async def _all(streamed):
    while data := await streamed.read():
        yield data


def test_a_gateway_that_stops_ends_streams_behind_what_is_there(agency):
    async def scenario():
        agency.service.arrive(KZ)
        agency.open()
        await agency.until(1)
        agency.service.arrivals.finish()
        async with asyncio.timeout(5):
            assert [data async for data in _all(agency.streamed)] == []
        agency.open()
        await agency.until(1)
        assert [data async for data in _all(agency.streamed)] == []
        assert not agency.service.arrivals._waiting

    asyncio.run(scenario())


def test_a_slow_reader_holds_up_nobody_and_costs_a_page(agency, monkeypatch):
    monkeypatch.setattr(inbox_stream, "PAGE", 3)

    async def scenario():
        asked = []
        real = agency.service.inbox

        async def inbox(who, **named):
            asked.append(named["after"])
            return await real(who, **named)

        agency.service.inbox = inbox
        for _ in range(9):
            agency.service.arrive(KZ)
        agency.open()
        await agency.streamed.started()
        await asyncio.sleep(0.2)
        assert len(asked) == 1  # the reader has not even read that the stream lives
        found = await agency.until(9)
        assert len({event.id for event in found}) == 9
        agency.streamed.close()

    asyncio.run(scenario())


def test_what_fails_ends_the_stream(agency):
    async def scenario():
        async def inbox(*_, **__):
            raise Error("The store does not answer.", problem="unavailable")

        agency.service.inbox = inbox
        agency.open()
        async with asyncio.timeout(5):
            assert [data async for data in _all(agency.streamed)] == [b":\n\n"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("target", "headers", "pointer"),
    [
        ("?after=-1", {}, "/query/after"),
        ("?after=01", {}, "/query/after"),
        ("?limit=1", {}, "/query"),
        ("?after=1&after=1", {}, "/query"),
        ("?unacknowledged=yes", {}, "/query/unacknowledged"),
        ("", {"Last-Event-ID": "x"}, "/header/Last-Event-ID"),
        ("", {"Last-Event-ID": ""}, "/header/Last-Event-ID"),
        ("", {"Last-Event-ID": "9007199254740992"}, "/header/Last-Event-ID"),
        ("", [("Last-Event-ID", "1"), ("Last-Event-ID", "1")], "/header/Last-Event-ID"),
    ],
)
def test_parameters_of_another_form_are_refused(agency, target, headers, pointer):
    pairs = [*(headers.items() if isinstance(headers, dict) else headers), ("Authorization", f"Bearer {agency.token}")]
    answer = asyncio.run(request(agency.app, "GET", PATH + target, headers=pairs))
    assert answer.status == 422
    assert answer.json()["pointer"] == pointer


def test_the_document_describes_an_event(agency):
    answer = asyncio.run(request(agency.app, "GET", "/openapi.json"))
    content = answer.json()["paths"][PATH]["get"]["responses"]["200"]["content"]["text/event-stream"]
    assert json.loads(content["example"]["data"])["seq"] == int(content["example"]["id"])
    assert asyncio.run(request(agency.app, "GET", PATH)).status == 401
