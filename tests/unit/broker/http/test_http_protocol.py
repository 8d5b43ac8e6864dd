"""Limits of a connection, driven byte by byte: headers, time, readers who do not read, a full house."""

import asyncio
import json

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from broker.http import protocol
from broker.http.body import Disconnected, read_body
from broker.http.protocol import PARTS, GuardedProtocol
from schemas.errors import Error
from schemas.limits import LIMITS

GET = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


class Transport(asyncio.Transport):
    """A connection's other end: it keeps what was written."""

    def __init__(self):
        super().__init__()
        self.written = bytearray()
        self.closed = self.aborted = False

    def get_extra_info(self, name, default=None):
        return ("127.0.0.1", 1) if name in ("sockname", "peername") else default

    def write(self, data):
        assert not self.closed
        self.written += data

    def writelines(self, parts):
        self.write(b"".join(parts))

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = self.closed = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


class Connection:
    """One connection to an application that reads its body and says how long it was."""

    def __init__(self, app=None, connections=()):
        config = Config(
            app or reading, http=GuardedProtocol, ws="none", lifespan="off", log_config=None, access_log=False
        )
        state = ServerState()
        state.connections.update(connections)
        self.protocol = GuardedProtocol(config, state, {}, asyncio.get_running_loop())
        self.transport = Transport()
        self.protocol.connection_made(self.transport)

    async def send(self, *parts, wait=0.0):
        for part in parts:
            self.protocol.data_received(part)
            await asyncio.sleep(0)
        await asyncio.sleep(wait)
        for _ in range(20):
            await asyncio.sleep(0)
        return bytes(self.transport.written)

    def end(self):
        self.protocol.connection_lost(None)


async def reading(scope, receive, send):
    try:
        length = len(await read_body(scope, receive)) if scope["method"] == "PUT" else 0
        status, body = 200, str(length).encode()
    except Error as error:
        status, body = error.status, b""
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def hanging(_scope, _receive, _send):
    await asyncio.sleep(60)


def run(test):
    asyncio.run(test)


def problem(written):
    head, _, body = written.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    document = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % document["status"])
    return document["type"].removeprefix("urn:valise:problem:")


def test_honest_requests_pass():
    async def test():
        connection = Connection()
        written = await connection.send(GET, GET)
        assert written.count(b"HTTP/1.1 200 OK") == 2
        put = b"PUT / HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\nabc"
        written = await connection.send(*(bytes([byte]) for byte in put))
        assert written.endswith(b"\r\n\r\n3")
        connection.end()
        assert not connection.transport.aborted

    run(test())


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    "start",
    [b"GET / HTTP/1.1\r\nx: ", b"GET /", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 4000 + b"x: "],
    ids=["value", "url", "many"],
)
def test_headers_have_a_size(start, whole):
    async def test():
        connection = Connection()
        parts = [start, *([b"y" * 4096] * 6)]
        tail = b"" if whole is False else b" HTTP/1.1\r\nhost: h\r\n\r\n" if start == b"GET /" else b"\r\n\r\n"
        written = await connection.send(*([b"".join(parts) + tail] if whole else parts))
        assert problem(written) == "headers-too-large"
        assert connection.transport.closed
        await connection.send(GET)
        assert connection.transport.written == written
        connection.end()

    run(test())


def test_what_comes_with_headers_that_are_too_large_is_thrown_away():
    async def test():
        connection = Connection()
        head = b"PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\nx: " + b"y" * LIMITS.headers + b"\r\n\r\n"
        written = await connection.send(head + b"abc" + GET)
        assert problem(written) == "headers-too-large"
        connection.end()

    run(test())


def test_a_connection_that_closes_already_gets_nothing_more():
    async def test():
        connection = Connection()
        connection.transport.close()
        connection.protocol._too_slow()
        assert connection.transport.written == b""
        connection.end()

    run(test())


def test_headers_up_to_the_limit_pass():
    async def test():
        connection = Connection()
        line = b"x: " + b"y" * (LIMITS.headers - 200) + b"\r\n"
        assert b"200 OK" in await connection.send(b"GET / HTTP/1.1\r\nhost: h\r\n" + line + b"\r\n")
        connection.end()

    run(test())


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: h\r\n", b"\r\n\r\n"])
def test_headers_have_a_time(monkeypatch, sent):
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.01)

    async def test():
        connection = Connection()
        written = await connection.send(*([sent] if sent else []), wait=0.05)
        assert problem(written) == "request-timeout"
        assert connection.transport.closed
        connection.end()

    run(test())


@pytest.mark.parametrize("sent", [b"\r\n", b"GET / HTTP/1.1\r\nx"])
def test_the_next_headers_have_a_time_too(monkeypatch, sent):
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.01)

    async def test():
        connection = Connection()
        written = await connection.send(GET, sent, wait=0.05)
        assert problem(written[written.index(b"HTTP/1.1 408") :]) == "request-timeout"
        connection.end()

    run(test())


def test_a_request_under_way_needs_no_next_one(monkeypatch):
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.01)

    async def test():
        connection = Connection(hanging)
        assert await connection.send(GET, wait=0.05) == b""
        assert not connection.transport.closed
        connection.protocol.server_state.tasks.pop().cancel()
        connection.end()

    run(test())


def test_nothing_is_written_into_an_answer_under_way(monkeypatch):
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.01)

    async def test():
        connection = Connection(hanging)
        assert await connection.send(GET, b"GET / HT", wait=0.05) == b""
        assert connection.transport.aborted
        connection.protocol.server_state.tasks.pop().cancel()
        connection.end()

    run(test())


def test_a_refused_body_is_read_on_for_a_moment(monkeypatch):
    monkeypatch.setattr(protocol, "DRAIN_SECONDS", 0.03)
    head = b"PUT / HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 2000000\r\n\r\n"

    async def test():
        connection = Connection()
        written = await connection.send(head, b"x" * 1000)
        assert written.startswith(b"HTTP/1.1 413 ")
        # The rest arrives in time: the connection goes on.
        written = await connection.send(b"x" * 1_999_000, GET, wait=0.05)
        assert written.endswith(b"\r\n\r\n0")
        assert not connection.transport.closed
        # This one's never does.
        await connection.send(head, b"x" * 1000, wait=0.05)
        assert connection.transport.aborted
        connection.end()

    run(test())


def test_readers_who_stall_are_cut_off(monkeypatch):
    monkeypatch.setattr(protocol, "STALL_SECONDS", 0.02)

    async def test():
        connection = Connection()
        connection.protocol.pause_writing()
        connection.protocol.pause_writing()
        connection.protocol.resume_writing()
        connection.protocol.resume_writing()
        await asyncio.sleep(0.04)
        assert not connection.transport.aborted
        connection.protocol.pause_writing()
        await asyncio.sleep(0.04)
        assert connection.transport.aborted
        connection.end()

    run(test())


def test_a_full_house_says_so(monkeypatch):
    monkeypatch.setattr(protocol, "CONNECTIONS", 2)

    async def test():
        connection = Connection(connections=(object(), object()))
        written = bytes(connection.transport.written)
        assert problem(written) == "unavailable"
        assert b"retry-after: 5\r\n" in written
        await connection.send(GET)
        connection.end()

    run(test())


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost : h\r\n\r\n",
        b"PUT / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"PUT / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"PUT / HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"CONNECT h:443 HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_problem(sent):
    async def test():
        connection = Connection()
        written = await connection.send(sent)
        assert problem(written) == "bad-request"
        assert connection.transport.closed
        connection.end()

    run(test())


def test_a_connection_that_ends_leaves_no_timer(monkeypatch):
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 1.0)  # on a busy machine the end must not come after it

    async def test():
        connection = Connection()
        await connection.send(b"GET")
        connection.end()
        await asyncio.sleep(1.2)
        assert connection.transport.written == b""

    run(test())


CHUNKED = (
    b"PUT / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\n2\r\n{}\r\n"
)


def test_trailers_are_not_kept():
    async def test():
        connection = Connection()
        answer = await connection.send(CHUNKED + b"0\r\n" + b"a: b\r\n" * 100, b"x: y\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert [name for name, _ in connection.protocol.headers] == [b"host", b"transfer-encoding", b"content-type"]
        connection.end()

    run(test())


@pytest.mark.parametrize("first", [b"0\r\n" + b"a: b\r\n" * 10, b"0\r\nx: ", b"2;", b"000000"])
def test_what_stands_around_chunks_has_an_end(first):
    async def test():
        connection = Connection()
        assert await connection.send(CHUNKED + first, *[b"0" * 1000] * 18) == b""
        assert connection.transport.aborted
        connection.end()

    run(test())


def test_chunks_are_written_from_their_parts_once_there_is_room():
    async def test():
        log = []

        async def streaming(scope, _receive, send):
            own = scope["extensions"][PARTS]
            await send({"type": "http.response.start", "status": 200, "headers": []})
            own["write"]([b"abc", b"", b"de"])
            await own["room"]()
            log.append("room")
            own["write"]([b"f" * 16])
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        connection = Connection(streaming)
        connection.protocol.pause_writing()
        connection.protocol.data_received(GET)
        await asyncio.sleep(0.01)
        # Whoever began with the head waits, too, as for any answer.
        assert log == []
        connection.protocol.resume_writing()
        written = await connection.send(wait=0.01)
        head, _, body = written.partition(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        assert body == b"5\r\nabcde\r\n10\r\n" + b"f" * 16 + b"\r\n0\r\n\r\n"
        connection.end()

    run(test())


def test_nothing_is_written_to_who_has_gone_even_where_a_request_waits_behind():
    async def test():
        ended = []

        async def streaming(scope, _receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            try:
                while True:
                    scope["extensions"][PARTS]["write"]([b"x"])
                    await asyncio.sleep(0.01)
            except Disconnected:
                ended.append(True)

        connection = Connection(streaming)
        await connection.send(GET, GET, wait=0.03)
        assert not ended
        connection.transport.closed = True
        await asyncio.sleep(0.05)
        assert ended == [True]
        connection.end()

    run(test())
