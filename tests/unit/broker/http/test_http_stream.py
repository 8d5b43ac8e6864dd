"""The feed's stream over HTTP: its form, its resuming, its parameters, and its end; each writes at its reader's pace."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

from broker.http.api import create_api
from broker.http.auth import Standing
from broker.http.body import Disconnected
from broker.http.protocol import PARTS
from keys.http_signature import sign_request
from schemas.errors import Error
from tests.unit.broker.http.double import AUTHORITY, code
from tests.world import ORIGIN

PATH = "/v1/feed/stream"


class Source:
    """Gives parts in turn; an exception is raised."""

    def __init__(self, *given):
        self.given = list(given)
        self.closed = 0
        self.taken = 0

    async def next(self):
        self.taken += 1
        one = self.given.pop(0) if self.given else None
        if isinstance(one, Exception):
            raise one
        if callable(one):
            return await one()
        return one

    def close(self):
        self.closed += 1


def test_events_are_sent_as_they_come(ask, service):
    source = service.answers["stream"] = Source([b"id: 1\n", b"data: x\n\n"], [b":\n\n"])
    answer = ask("GET", f"{PATH}?after=3&topic=central-asia.*", by="kz/customs")
    assert (answer.status, answer.body) == (200, b"id: 1\ndata: x\n\n:\n\n")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert "content-length" not in answer.headers
    assert service.asked[0][:4] == ("stream", "kz/customs", 3, "central-asia.*")
    assert source.closed


def test_the_last_id_counts_before_the_address(ask, service):
    service.answers["stream"] = Source
    ask("GET", f"{PATH}?after=3", headers={"Last-Event-ID": "17"}, by="kz/customs")
    ask("GET", PATH, by="kz/customs")
    assert [item[2] for item in service.asked] == [17, 0]


@pytest.mark.parametrize("text", ["", "-1", "1.0", "01", "1e3", " 1 x", "a", "9" * 17, "9007199254740992", "1_0"])
def test_a_last_id_of_another_form_is_refused(ask, service, text):
    answer = ask("GET", PATH, headers={"Last-Event-ID": text}, by="kz/customs")
    assert (answer.status, code(answer), answer.json()["pointer"]) == (422, "invalid-form", "/header/Last-Event-ID")
    assert not service.asked


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("after=-1", "/query/after"),
        ("after=01", "/query/after"),
        ("after=9007199254740992", "/query/after"),
        ("after=1&after=2", "/query/after"),
        ("topic=a", "/query/topic"),
        ("topic=*.*&topic=*.*", "/query/topic"),
        ("wait=1", "/query"),
        ("limit=1", "/query"),
    ],
)
def test_parameters_of_the_wrong_form_are_named(ask, service, query, pointer):
    answer = ask("GET", f"{PATH}?{query}", by="kz/customs")
    assert (answer.status, code(answer), answer.json()["pointer"]) == (422, "invalid-form", pointer)
    assert not service.asked


def test_a_stream_wants_a_signature_and_get(ask, service):
    assert code(ask("GET", PATH)) == "unauthenticated"
    answer = ask("POST", PATH, by="kz/customs")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert not service.asked


def test_what_is_wrong_at_once_is_a_problem_and_what_is_wrong_later_an_end(ask, service):
    source = service.answers["stream"] = Source(Error("Full.", problem="unavailable"))
    assert code(ask("GET", PATH, by="kz/customs")) == "unavailable"
    assert source.closed == 1
    service.answers["stream"] = Error("Too many.", problem="rate-limited")
    assert ask("GET", PATH, by="kz/customs").status == 429
    source = service.answers["stream"] = Source([b":\n\n"], Error("Revoked.", problem="unauthenticated"), [b"not this"])
    answer = ask("GET", PATH, by="kz/customs")
    assert (answer.status, answer.body, source.closed) == (200, b":\n\n", 1)


def test_the_callers_key_is_looked_at_again_and_again(ask, service, world, trust):
    seen = []

    class Demanding(Source):
        async def next(self):
            demand = service.asked[0][4]
            demand()
            demand()
            seen.append(True)
            kid = world.people["kz/customs"].request.kid
            if len(seen) == 2:
                service.trust = trust.__class__(trust.directory, trust.rules, None, {kid: 8})
                service.size = 9
            return [b":\n\n"]

    service.answers["stream"] = Demanding()
    assert ask("GET", PATH, by="kz/customs").body == b":\n\n:\n\n"
    assert len(seen) == 2


def test_a_key_is_looked_up_again_when_something_has_changed_or_it_closes(world, trust):
    kid, looked = world.people["kz/customs"].request.kid, []
    record = trust.directory.request(kid)

    class Looked:
        """A trust whose record of the key closes at leaf 9."""

        directory = SimpleNamespace(request=lambda _kid: replace(record, life=replace(record.life, closed_at=9)))

    class Caller:
        participant = "kz/customs"

        @staticmethod
        def demand_in_force(service):
            looked.append(service.size)
            if service.size >= 9:
                raise Error("Closed.", problem="unauthenticated")

    Caller.kid = kid
    service = SimpleNamespace(trust=Looked(), size=7)
    standing = Standing(Caller, service)
    standing.demand()
    standing.demand()
    service.size = 8
    standing.demand()
    assert looked == [7]
    service.trust = Looked()
    standing.demand()
    assert looked == [7, 8]
    service.size = 9
    with pytest.raises(Error):
        standing.demand()


def test_a_header_that_is_given_twice_is_refused(service, telemetry, world):
    status, _ = asyncio.run(Connection(service, telemetry, world, twice=True).run())
    assert status == 422


class Connection:
    """A connection whose reader a test controls."""

    def __init__(self, service, telemetry, world, *, twice=False, extension=None):
        self.app = create_api(service, telemetry)
        fields = sign_request(
            "GET", f"https://{AUTHORITY}{PATH}", {}, None,
            signer=world.people["kz/customs"].request, origin=ORIGIN, created=world.now,
        )  # fmt: skip
        pairs = [("host", AUTHORITY), *fields.items()] + [("last-event-id", "1")] * (2 if twice else 0)
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": unquote(PATH),
            "raw_path": PATH.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in pairs],
            "client": None,
            "server": None,
            "state": {},
        }
        if extension is not None:
            self.scope["extensions"] = {PARTS: extension}
        self.sent = []
        self.room = asyncio.Event()
        self.gone = asyncio.Event()
        self.room.set()
        self.asked = 0

    async def receive(self):
        self.asked += 1
        if self.asked == 1:
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        await self.room.wait()
        self.sent.append(message)

    async def run(self):
        await self.app(self.scope, self.receive, self.send)
        return self.sent[0]["status"], b"".join(item.get("body", b"") for item in self.sent)


def test_nothing_is_taken_for_a_reader_that_has_no_room(service, telemetry, world):
    async def scenario():
        source = service.answers["stream"] = Source(*([b"x"] for _ in range(5)))
        connection = Connection(service, telemetry, world)
        connection.room.clear()
        task = asyncio.create_task(connection.run())
        await asyncio.sleep(0.1)
        assert (source.taken, connection.sent) == (1, [])
        connection.room.set()
        assert await task == (200, b"xxxxx")
        assert source.closed

    asyncio.run(scenario())


def test_who_goes_away_closes_the_stream(service, telemetry, world):
    async def scenario():
        closed = asyncio.Event()

        async def until_closed():
            await closed.wait()

        source = service.answers["stream"] = Source([b"x"], until_closed)
        source.close = closed.set
        connection = Connection(service, telemetry, world)
        task = asyncio.create_task(connection.run())
        await asyncio.sleep(0.1)
        assert not task.done()
        connection.gone.set()
        assert await asyncio.wait_for(task, 5) == (200, b"x")

    asyncio.run(scenario())


def test_a_server_that_writes_parts_is_given_parts_after_it_has_room(service, telemetry, world):
    async def scenario():
        order = []

        async def room():
            order.append("room")

        def write(parts):
            order.append(tuple(parts))
            if len(order) == 5:
                raise Disconnected

        source = service.answers["stream"] = Source([b"a", b"b"], [b"c"], [b"d"], [b"e"])
        connection = Connection(service, telemetry, world, extension={"room": room, "write": write})
        assert (await connection.run())[0] == 200
        # Room is waited for before the next is taken, not between taking and writing.
        assert order == [(b"a", b"b"), "room", (b"c",), "room", (b"d",)]
        assert (source.taken, source.closed) == (3, 1)

    asyncio.run(scenario())
