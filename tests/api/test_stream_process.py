"""Streams over real sockets: who was cut off, or whose broker was killed, goes on exactly there; slow readers wait alone."""

import http.client
import resource
import signal
import socket
import time
from pathlib import Path

import pytest

from keys.http_signature import sign_request
from schemas.delivery import Delivery
from tests.broker_process import plant, running
from tests.sse import Reader
from tests.world import ORIGIN, make_world

pytestmark = pytest.mark.loopback
SENDER, READER, OTHER = "kz/customs", "uz/focal-point", "tj/focal-point"
BIG = {"kind": "seizure", "text": "x" * 30_000}


@pytest.fixture(scope="module")
def world():
    return make_world((SENDER, "kz/focal-point", READER, OTHER))


class Connection:
    """A stream over a socket; what has been read is kept over all connections."""

    def __init__(self, world, who):
        self.world, self.who, self.reader = world, who, Reader()
        self.http = None

    def open(self, broker, *, buffer=None):
        authority = broker.address.partition("//")[2]
        host, _, port = authority.rpartition(":")
        self.http = http.client.HTTPConnection(host, int(port), timeout=20)
        if buffer is not None:
            self.http.sock = socket.socket()
            self.http.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            self.http.sock.settimeout(20)
            self.http.sock.connect((host, int(port)))
        fields = sign_request(
            "GET", f"{broker.address}/v1/feed/stream", {}, None,
            signer=self.world.people[self.who].request, origin=ORIGIN, created=int(time.time()),
        )  # fmt: skip
        self.http.request(
            "GET", "/v1/feed/stream", headers={**fields, "Host": authority, "Last-Event-ID": str(self.reader.cursor)}
        )
        self.answer = self.http.getresponse()
        assert (self.answer.status, self.answer.headers.get_content_type()) == (200, "text/event-stream")

    def until(self, count):
        while len(self.reader.deliveries) < count:
            data = self.answer.read1(65536)
            assert data, "it has ended"
            self.reader.feed(data)
        return [Delivery.parse(data).statement.notice_id for data in self.reader.whole()]

    def end(self):
        """Read to the end in good order."""
        while data := self.answer.read1(65536):
            self.reader.feed(data)

    def cut(self):
        self.answer.close()
        self.http.close()
        self.reader.cut()


def letters(world, count, to=(READER,), notice=None):
    made = [world.sealed(world.statement(SENDER), to, *(() if notice is None else (notice,))) for _ in range(count)]
    return world.sign(made)


def ids(signed):
    return [one.statement.notice_id for one in signed]


def test_a_stream_goes_on_over_cuts_kills_and_an_orderly_end(world, tmp_path):
    config = plant(world, tmp_path)
    connection, sent = Connection(world, READER), []

    def publish(broker, count):
        for signed in letters(world, count):
            assert broker.publish(signed).status == 201
            sent.append(signed)

    with running(config) as broker:
        publish(broker, 2)
        connection.open(broker)
        connection.until(2)
        publish(broker, 2)
        connection.until(4)
        connection.cut()
        publish(broker, 2)
        connection.open(broker)
        connection.until(5)
        assert broker.end(signal.SIGKILL) == -signal.SIGKILL
        connection.cut()
    with running(config) as broker:
        publish(broker, 2)
        connection.open(broker)
        assert connection.until(8) == ids(sent)
        began = time.monotonic()
        assert broker.end() == 0
        assert time.monotonic() - began < 15
        connection.end()
        connection.cut()
    assert connection.until(8) == ids(sent)


def test_a_slow_reader_waits_alone_and_gets_everything(world, tmp_path):
    with running(plant(world, tmp_path)) as broker:
        slow, fast = Connection(world, READER), Connection(world, OTHER)
        slow.open(broker, buffer=4096)
        fast.open(broker)
        before = _memory(broker.popen.pid)
        sent = letters(world, 200, (READER, OTHER), BIG)  # 10 MB a reader: no buffer of the system takes that
        for number, signed in enumerate(sent, 1):
            assert broker.publish(signed).status == 201
            if number % 50 == 0:
                began = time.monotonic()
                fast.until(number)
                assert time.monotonic() - began < 20
        assert len(slow.reader.deliveries) == 0
        assert _memory(broker.popen.pid) - before < 64 << 20
        assert slow.until(200) == ids(sent) == fast.until(200)
        slow.cut()
        fast.cut()


def _memory(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_connection_that_is_lost_with_a_request_behind_it_frees_its_stream(world, tmp_path):
    """The server tells only the last request of a connection that it is gone."""
    with running(plant(world, tmp_path)) as broker:
        assert _streams(broker) == 0
        connection = Connection(world, READER)
        connection.open(broker)
        assert _streams(broker) == 1
        connection.http.sock.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
        connection.cut()
        # What comes next for it shows that it has gone.
        for signed in letters(world, 30):
            assert broker.publish(signed).status == 201
            time.sleep(0.3)
            if _streams(broker) == 0:
                break
        else:
            raise AssertionError("it is still there")


def _streams(broker):
    text = broker.ask("GET", "/metrics", metrics=True).body.decode()
    return float(next(line for line in text.splitlines() if line.startswith("valise_streams ")).split()[1])
