"""The containers' scripts without containers: three nodes by `kafka.sh`, their rights by `rights.py`, health by `ready.py`."""

import http.server
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from deploy.kafka import software
from deploy.kafka.certificates import Authority, Identity
from deploy.kafka.processes import KafkaError
from deploy.kafka.protocol import Acl, Connection
from tests.deploy.command_lines import DEPLOY

pytestmark = pytest.mark.loopback
FOLDER = DEPLOY / "compose"
NODES = {1: "127.0.0.1", 2: "127.0.0.2", 3: "127.0.0.3"}
PORTS = (9092, 9093, 9094)
CONTROLLERS = ",".join(f"{number}@kafka-{number}:9094:{number}Y2RpcmVjdG9yeSBvZiBhIA"[:-1] for number in NODES)
SECONDS = 90


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    made = Authority(tmp_path_factory.mktemp("tls") / "tls")
    made.create()
    return made


def free(host):
    """Say whether the containers' ports can be had here."""
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


@pytest.fixture(scope="module")
def cluster(authority, tmp_path_factory):
    """Run the three nodes as their containers do: same script, same settings, their names on addresses of this machine."""
    if not software.fetched() or shutil.which("java") is None:
        pytest.skip("Kafka is not fetched, or there is no Java")
    work = tmp_path_factory.mktemp("kafka")
    secrets = work / "secrets"
    secrets.mkdir()
    (secrets / "ca.pem").write_bytes(authority.certificate.read_bytes())
    (work / "hosts").write_text("".join(f"{host} kafka-{number}\n" for number, host in NODES.items()))
    running = []
    for number, host in NODES.items():
        own = authority.identity(f"kafka-{number}", name="valise-kafka", hosts=[f"kafka-{number}", host])
        (secrets / f"kafka-{number}.pem").write_bytes(own.both.read_bytes())
        (work / str(number)).mkdir()
    if not all(map(free, NODES.values())):
        pytest.skip("the ports of the nodes are taken")
    for number in NODES:
        environment = {
            "NODE": str(number),
            "CLUSTER": "Y2x1c3RlciBvZiBhIHRlc3",
            "DATA": str(work / str(number)),
            "SECRETS": str(secrets),
            "LIBS": str(DEPLOY.parent / "build" / "kafka" / "libs"),
            "COMMON": str(DEPLOY / "kafka" / "production" / "server.properties"),
            "CONTROLLERS": CONTROLLERS,
            "HEAP": "256m",
            "JAVA_OPTIONS": f"-Djdk.net.hosts.file={work / 'hosts'} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            "TMPDIR": str(work),
        }
        with (work / f"{number}.log").open("wb") as log:
            running.append(
                subprocess.Popen(
                    [FOLDER / "kafka.sh"], env={"PATH": os.environ["PATH"], **environment}, stdout=log, stderr=log
                )
            )
    try:
        yield work, running
    finally:
        for node in running:
            node.kill()
            node.wait(10)


def until(condition):
    limit = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.2)


def test_three_nodes_serve_and_give_the_brokers_their_rights_alone(cluster, authority):
    work, running = cluster
    admin, stranger = authority.identity("admin"), authority.identity("stranger")

    def serving():
        talk = [(work / f"{number}.log").read_text()[-2000:] for number in NODES]
        assert all(node.poll() is None for node in running), talk
        return Connection(NODES[1], PORTS[0], admin).nodes_serving() == len(NODES)

    until(serving)
    acls = DEPLOY / "kafka" / "production" / "acls.properties"
    give = [sys.executable, FOLDER / "rights.py", NODES[1], str(PORTS[0]), acls, admin.authority, admin.both]
    for _ in range(2):
        done = subprocess.run(
            give, env={"PYTHONPATH": str(DEPLOY.parent)}, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("rights are given.\n")
    mine = Acl("User:stranger", "topic", "prefixed", "valise.", "Read")
    with pytest.raises(KafkaError, match="refused"):
        Connection(NODES[1], PORTS[0], stranger).allow([mine])
    with pytest.raises(KafkaError, match="refused"):
        Connection(NODES[1], PORTS[0], authority.identity("valise-broker")).allow([mine])
    running[0].send_signal(signal.SIGTERM)
    assert running[0].wait(60) in (0, 143), "what systemd and the engine take for a good end"


@contextmanager
def answering(authority, status, body):
    """Answer every request over TLS."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    own: Identity = authority.identity("service", hosts=["localhost"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own.both)
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    beside = threading.Thread(target=server.serve_forever, args=(0.05,))
    beside.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        beside.join()
        server.server_close()


def ready(port, authority, host="localhost"):
    command = [sys.executable, FOLDER / "ready.py", f"https://{host}:{port}/readyz", authority.certificate]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_service_that_is_ready_is_healthy(authority):
    with answering(authority, 200, b'{"ready":true}') as port:
        assert ready(port, authority) == (0, "")


def test_a_service_that_is_not_ready_says_why(authority):
    with answering(authority, 503, b'{"reasons":["no checkpoint is signed yet"]}') as port:
        code, said = ready(port, authority)
    assert code == 1
    assert "no checkpoint is signed yet" in said


def test_a_service_that_does_not_answer_is_not_healthy(authority):
    with answering(authority, 200, b"") as port:
        pass
    assert ready(port, authority)[0] == 1


def test_a_service_of_another_name_is_not_healthy(authority):
    with answering(authority, 200, b"") as port:
        code, said = ready(port, authority, host="127.0.0.1")
    assert code == 1
    assert "certificate" in said
