"""What only a connection can do wrong: both services as processes, on every route that reads a body.

Time-outs are shortened in the processes' own memory, so that the tests are short: all else is what production runs.
"""

import json
import re
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from schemas.limits import LIMITS
from tests.api.conformance import BROKER, GATEWAY
from tests.api.strict_bodies import MARKER, PREFIX
from tests.faults import deployment
from tests.faults.deployment import BrokerService, GatewayService, closing
from tests.world import make_world

pytestmark = pytest.mark.loopback
SECONDS = 1.0
SHORTENED = {
    "broker": "import broker.http.protocol as p, broker.http.body as b; p.HEADER_SECONDS = p.DRAIN_SECONDS = 1.0; "
    "b.read_body.__kwdefaults__['seconds'] = b.read_lines.__kwdefaults__['seconds'] = 1.0",
    "gateway": "import adapters.gateway.http.protocol as p, adapters.gateway.http.body as b; "
    "p.HEADER_SECONDS = p.DRAIN_SECONDS = b.UPLOAD_SECONDS = b.read.__kwdefaults__['seconds'] = 1.0",
}
NOTICE = "01935f2e-8c00-7a3b-9c4d-5e6f70819203"
DOCUMENTS = {"broker": BROKER, "gateway": GATEWAY}
ROUTES = [
    (service, method.upper(), path)
    for service, document in DOCUMENTS.items()
    for path, item in document["paths"].items()
    for method, operation in item.items()
    if "requestBody" in operation
]
CHUNKED = {"Transfer-Encoding": "chunked"}


class Services:
    """Both processes, and how to speak to them byte by byte."""

    def __init__(self, folder, monkeypatch):
        world = make_world(("kz/customs", "kz/focal-point"))
        self.broker = BrokerService(world, folder / "broker")
        # The gateway has no broker: what it refuses here, it refuses before it would need one.
        self.gateway = GatewayService(world, folder / "gateway", "kz/customs", broker="http://127.0.0.1:9")
        for service in (self.broker, self.gateway):
            code = f"{SHORTENED[service.kind]}; from adapters.cli.main import main; main()"
            monkeypatch.setattr(deployment, "COMMAND", (sys.executable, "-c", code))
            service.start()

    def __getitem__(self, kind):
        return getattr(self, kind)

    def connect(self, kind):
        host, _, port = self[kind].address.partition("//")[2].rpartition(":")
        return socket.create_connection((host, int(port)), timeout=15)

    def head(self, route, fields=()):
        """Return a request's first line and headers, which would be taken with a genuine body."""
        kind, method, path = route
        operation = DOCUMENTS[kind]["paths"][path][method.lower()]
        target = path.replace("{notice_id}", NOTICE).replace("{id}", NOTICE).replace("{role}", "kz")
        lines = {
            "Host": "h",
            "Content-Type": next(iter(operation["requestBody"]["content"])),
            "If-Match": '"1"',
            **(self.gateway.headers("kz/customs") if kind == "gateway" else {}),
            **dict(fields),
        }
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {target} HTTP/1.1\r\n{text}\r\n".encode()

    def memory(self, kind):
        """Return a process's resident memory in MiB."""
        with Path(f"/proc/{self[kind].pid}/status").open() as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) >> 10


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = Services(tmp_path_factory.mktemp("services"), monkeypatch)
        with closing(made.broker, made.gateway):
            yield made


@pytest.fixture(autouse=True)
def alive(services):
    """Whatever was sent, both go on serving and have logged nothing unforeseen."""
    yield
    for kind in ("broker", "gateway"):
        with services.connect(kind) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert received(connection).startswith(b"HTTP/1.1 200 ")
        assert "request.failed" not in services[kind].printed
        assert MARKER not in services[kind].printed


def received(connection) -> bytes:
    """Return what comes until the connection ends."""
    found = b""
    try:
        while part := connection.recv(65536):
            found += part
    except ConnectionError:
        pass
    return found


def talk(services, route, first, endless=None, every=0.0):
    """Send bytes, then others over and over until the connection ends; return the answer and the seconds it took."""
    began = time.monotonic()
    with services.connect(route[0]) as connection:
        answer = []
        listening = threading.Thread(target=lambda: answer.append(received(connection)))
        listening.start()
        try:
            connection.sendall(first)
            while endless is not None and listening.is_alive():
                connection.sendall(endless)
                time.sleep(every)
        except ConnectionError:
            pass
        listening.join()
    return answer[0], time.monotonic() - began


def problem(answer: bytes, route) -> str:
    """Return the code of the one problem that came back, having seen that the operation declares it."""
    kind, method, path = route
    assert len(re.findall(rb"HTTP/1\.1 [0-9]", answer)) == 1, answer[:500]
    head, _, body = answer.partition(b"\r\n\r\n")
    declared = DOCUMENTS[kind]["paths"][path][method.lower()]["responses"][head.split()[1].decode()]
    if b"content-type: application/x-ndjson" in head.lower():
        assert MARKER not in answer.decode()
        code = json.loads(body)["type"].removeprefix(PREFIX)
        assert code in declared["content"]["application/x-ndjson"]["examples"]
        return code
    assert b"content-type: application/problem+json" in head.lower()
    status, document = head.split()[1].decode(), json.loads(body)
    assert (document["status"], MARKER in answer.decode()) == (int(status), False)
    code = document["type"].removeprefix(PREFIX)
    assert code in declared["content"]["application/problem+json"]["examples"]
    return code


def everywhere(services, fields, first, endless=None, every=0.0):
    """Do the same on every route at once; return the codes and the longest time."""
    with ThreadPoolExecutor(len(ROUTES)) as pool:
        found = list(
            pool.map(lambda route: talk(services, route, services.head(route, fields) + first, endless, every), ROUTES)
        )
    return {problem(answer, route) for route, (answer, _) in zip(ROUTES, found, strict=True)}, max(
        seconds for _, seconds in found
    )


def test_chunks_without_an_end(services):
    codes, seconds = everywhere(services, CHUNKED, b"", b"10000\r\n" + b" " * 65536 + b"\r\n")
    assert codes <= {"too-large", "request-timeout"}
    assert seconds < 10


def test_chunks_that_trickle(services):
    codes, seconds = everywhere(services, CHUNKED, b"", b"1\r\n{\r\n", 0.1)
    assert (codes, seconds < 6) == ({"request-timeout"}, True)


@pytest.mark.parametrize("first", [b"", b"{"])
def test_a_body_that_is_announced_and_does_not_come(services, first):
    codes, seconds = everywhere(services, {"Content-Length": "100"}, first, None)
    assert (codes, seconds < 6) == ({"request-timeout"}, True)


def test_an_announced_body_is_refused_before_it_comes(services):
    codes, seconds = everywhere(
        services, {"Content-Length": str(LIMITS.import_file + 1), "Expect": "100-continue"}, b""
    )
    assert (codes, seconds < 6) == ({"too-large"}, True)


@pytest.mark.parametrize(
    ("first", "endless"),
    [
        (b"2\r\n{}\r\n0\r\n", (b"abcd: " + b"x" * 20 + b"\r\n") * 2000),
        (b"2\r\n{}\r\n0\r\n" + b"x" * 100, b"x" * 65536),
        (b"2;", b"x" * 65536),
        (b"0" * 100, b"0" * 65536),
    ],
    ids=["trailers", "one long trailer", "a chunk's extension", "a chunk's length"],
)
@pytest.mark.parametrize("kind", ["broker", "gateway"])
def test_what_stands_around_chunks_has_an_end(services, kind, first, endless):
    route = next(route for route in ROUTES if route[0] == kind)
    before = services.memory(kind)
    answer, seconds = talk(services, route, services.head(route, CHUNKED) + first, endless)
    assert seconds < 6
    assert services.memory(kind) - before < 64
    if answer:
        assert problem(answer, route) in ("request-timeout", "bad-request", "headers-too-large", "malformed")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[1]} {route[2]}")
@pytest.mark.parametrize(
    "fields",
    [
        {"X": MARKER * 1200},
        {f"X-{number}": MARKER for number in range(1500)},
        {MARKER * 1200: "x"},
        {"If-Match": "1" * 20_000},
        {"Content-Type": "a" * 20_000},
        {"Content-Length": "1" * 20_000},
        {"Host": "h" * 20_000},
    ],
    ids=["one field", "many fields", "a name", "If-Match", "Content-Type", "Content-Length", "Host"],
)
def test_huge_headers(services, route, fields):
    answer, seconds = talk(services, route, services.head(route, fields))
    assert (problem(answer, route) in ("headers-too-large", "bad-request"), seconds < 3) == (True, True)


@pytest.mark.parametrize("kind", ["broker", "gateway"])
@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\nX: ", b"GET /", b"G", b"GET / HTTP/1.1\r\n", b"GET /livez HTTP/1.1\r\nHost: h\r\n"]
)
def test_headers_without_an_end(services, kind, first):
    route = next(route for route in ROUTES if route[0] == kind)
    before = services.memory(kind)
    for endless in (b"y" * 65536, b"y: z\r\n" * 1000):
        answer, seconds = talk(services, route, first, endless)
        assert seconds < 5
        # A reset may take the answer along: what was sent and not read is thrown away by the system.
        assert not answer or problem(answer, route) in ("headers-too-large", "bad-request")
    answer, seconds = talk(services, route, first)
    assert (problem(answer, route), seconds < 4) == ("request-timeout", True)
    assert services.memory(kind) - before < 32


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[1]} {route[2]}")
def test_a_body_that_is_cut_off(services, route):
    for fields, body in (({"Content-Length": "100"}, b'{"a":'), (CHUNKED, b'5\r\n{"a":\r\n'), (CHUNKED, b"50\r\n{")):
        with services.connect(route[0]) as connection:
            connection.sendall(services.head(route, fields) + body)
            connection.shutdown(socket.SHUT_WR)
            assert received(connection) == b""


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[1]} {route[2]}")
@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (CHUNKED, b"zz\r\n"),
        (CHUNKED, b"-1\r\n{}\r\n0\r\n\r\n"),
        (CHUNKED, b"10000000000000000\r\n"),
        (CHUNKED, b"2\r\n{}x\r\n0\r\n\r\n"),
        ({**CHUNKED, "Content-Length": "2"}, b"2\r\n{}\r\n0\r\n\r\n"),
        ({"Transfer-Encoding": "gzip, chunked"}, b"2\r\n{}\r\n0\r\n\r\n"),
        ({"Transfer-Encoding": "gzip"}, b"{}"),
        ({"Content-Length": "+2"}, b"{}"),
        ({"Content-Length": "2, 2"}, b"{}"),
        ({"Content-Length": "0x2"}, b"{}"),
        ({"Content-Length": ""}, b"{}"),
        ({"Content-Length": "99999999999999999999"}, b"{}"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_bodies_that_are_no_http(services, route, fields, body):
    with services.connect(route[0]) as connection:
        connection.sendall(services.head(route, fields) + body)
        connection.shutdown(socket.SHUT_WR)
        answer = received(connection)
    # Where the body was under way already there is nobody left who could answer: the connection ends.
    assert not answer or problem(answer, route) in (
        *("bad-request", "malformed", "too-large", "unsupported-media-type", "invalid-form", "not-found"),
        *("precondition-failed", "import"),
    )


@pytest.mark.parametrize("kind", ["broker", "gateway"])
@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\0\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1 x\r\nHost: h\r\n\r\n",
        b"G@T / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"\xff\xfe\xfd" * 50,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b'{"' + MARKER.encode() + b'":1}\r\n\r\n',
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_http(services, kind, data):
    route = next(route for route in ROUTES if route[0] == kind)
    answer, seconds = talk(services, route, data)
    assert (problem(answer, route), seconds < 3) == ("bad-request", True)


@pytest.mark.parametrize("kind", ["broker", "gateway"])
def test_line_breaks_before_a_request_hold_no_connection(services, kind):
    began = time.monotonic()
    with services.connect(kind) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n")
        answer = connection.recv(65536)
        connection.sendall(b"\r\n")
        answer += received(connection)
    assert (answer.count(b"HTTP/1.1 200 "), answer.count(b"HTTP/1.1 408 ")) == (1, 1)
    assert time.monotonic() - began < 5
