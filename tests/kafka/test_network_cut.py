"""An instance whose network is cut: it signs and acknowledges nothing, says so, serves what it has, and comes back by itself.

The instance that signs lives in a network namespace of its own and reaches Kafka over one link, with certificates. Instances
talk to each other through Kafka only, so that the link is also the one between them.
"""

import http.client
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass

import pytest

from broker.app import SIGNER
from broker.ledger.signer import HEAD
from keys.log.note import verify_checkpoint
from tests import cluster
from tests.faults.deployment import Reply, ask, closing, tell, until
from tests.kafka.instances import instances
from tests.kafka.load import JSON, letters
from tests.world import make_world

pytestmark = pytest.mark.timeout(150)
SENDER, READER = "kz/customs", "uz/focal-point"


@dataclass(frozen=True)
class Link:
    """A namespace and the link to it."""

    name: str
    here: str
    address: str
    there: str

    def ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def cut(self) -> None:
        self.ip("-n", self.name, "link", "set", f"{self.here}n", "down")

    def mend(self) -> None:
        self.ip("-n", self.name, "link", "set", f"{self.here}n", "up")


@pytest.fixture(scope="module")
def link():
    number = os.getpid() % 250
    made = Link(f"valise-{number}", f"val{number}", f"10.231.{number}.1", f"10.231.{number}.2")
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and ip (iproute2), to make a network namespace")
    try:
        made.ip("netns", "add", made.name)
    except subprocess.CalledProcessError:
        pytest.skip("may not make a network namespace here")
    try:
        made.ip("link", "add", made.here, "type", "veth", "peer", "name", f"{made.here}n", "netns", made.name)
        made.ip("addr", "add", f"{made.address}/30", "dev", made.here)
        made.ip("link", "set", made.here, "up")
        made.ip("-n", made.name, "addr", "add", f"{made.there}/30", "dev", f"{made.here}n")
        made.ip("-n", made.name, "link", "set", "lo", "up")
        made.mend()
        yield made
    finally:
        made.ip("netns", "del", made.name)


@pytest.fixture(scope="module")
def world():
    return make_world([SENDER, "kz/focal-point", READER])


@pytest.fixture(scope="module")
def pair(world, link, tmp_path_factory):
    """Two instances that do not run; the first, which signs, in the namespace, listening at a socket in its folder."""
    cluster.skip_without_kafka()
    with cluster.running(security="tls", host=link.address) as kafka:
        pair = instances(world, tmp_path_factory.mktemp("cut"), kafka, 2)
        far = pair[0]
        far.prefix = ("ip", "netns", "exec", link.name)
        text = far.config.read_text().replace('listen = "127.0.0.1:0"', f'listen = "unix:{far.folder / "http"}"', 1)
        far.config.write_text(text)
        with closing(*pair):
            yield pair


class _Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=40)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask_far(instance, target, method="GET", body=None) -> Reply:
    """Ask the instance in the namespace, which nobody reaches by network."""
    connection = _Unix(instance.folder / "http")
    try:
        connection.request(method, target, body, JSON if body else {})
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def test_the_signer_is_cut_off_and_comes_back(world, pair, link):
    far, near = pair
    far.start()
    near.start()

    def publish_far(signed):
        return ask_far(far, f"/v1/notices/{signed.statement.notice_id}", "PUT", signed.envelope)

    def checkpoint(answer):
        return verify_checkpoint(answer.body, world.directory.log.keys)

    def signed_far():
        return checkpoint(ask_far(far, "/v1/log/checkpoint"))

    def signed_near():
        return checkpoint(ask(f"{near.address}/v1/log/checkpoint"))

    before, first, second, *others = letters(world, 8, SENDER, [READER])
    assert publish_far(before).status == 201
    until(lambda: signed_far().size == signed_near().size > 5)
    link.cut()
    try:
        began = time.monotonic()
        answer = publish_far(first)
        waited = time.monotonic() - began
        assert (answer.status, answer.code, bool(answer.headers["Retry-After"])) == (503, "unavailable", True)
        assert waited < 20
        until(lambda: any("does not answer" in reason for reason in ask_far(far, "/readyz").json()["reasons"]), 15)
        head, last = (far.folder / SIGNER / HEAD).read_bytes(), signed_far()
        began = time.monotonic()
        assert publish_far(second).status == 503
        assert time.monotonic() - began < 8
        for signed in (second, *others):
            assert near.publish(signed).status == 201
        until(lambda: "the newest leaves are not signed" in near.reasons)
        time.sleep(1)
        assert (far.folder / SIGNER / HEAD).read_bytes() == head
        assert signed_far() == last  # reads go on
        assert ask_far(far, "/v1/directory/metadata/timestamp.json").status == 200
    finally:
        link.mend()
    began = time.monotonic()
    until(lambda: ask_far(far, "/readyz").status == 200, 30)
    ready = f"{time.monotonic() - began:.1f} s"
    tell("the signer cut off", answered_503_after=f"{waited:.1f} s", ready_after_the_return=ready)
    assert publish_far(second).status == 200  # published at the other meanwhile
    assert until(lambda: (found := publish_far(first).status) in (200, 201) and found)
    until(lambda: signed_near().size > 12)
    until(lambda: (one := signed_far()).size == (other := signed_near()).size and one.root == other.root)
    ids = until(lambda: len(found := [item[1] for item in near.notices(READER)]) == 8 and found)
    assert len(set(ids)) == 8
