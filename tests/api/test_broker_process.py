"""The broker as a process: a real command, real sockets, signals, faults of the network."""

import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from keys.log.note import verify_checkpoint
from keys.sign import verify_receipt
from schemas.delivery import Delivery
from schemas.limits import LIMITS
from tests.broker_process import COMMAND, plant, running
from tests.world import make_world

pytestmark = pytest.mark.loopback
JSON = {"Content-Type": "application/json"}
NOTICE = "/v1/notices/01935f2e-8c00-7a3b-9c4d-5e6f70819203"


@pytest.fixture(scope="module")
def world():
    return make_world(("kz/customs", "kz/focal-point", "uz/focal-point", "audit/court"))


@pytest.fixture(scope="module")
def config(world, tmp_path_factory):
    return plant(world, tmp_path_factory.mktemp("broker"))


@pytest.fixture(scope="module")
def broker(config):
    with running(config) as process:
        yield process


def raw(broker, data, *, seconds=3.0):
    """Send bytes as they are, and return what comes until the connection ends or `seconds` are over."""
    host, _, port = broker.address.partition("//")[2].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(data)
        found = b""
        try:
            while part := connection.recv(65536):
                found += part
        except TimeoutError:
            pass
        return found


def test_a_notice_goes_through(broker, world):
    log = world.directory.log
    reader = world.people["uz/focal-point"]
    cursor = broker.signed(reader, "GET", "/v1/feed?limit=200&wait=1").json()["next"]
    signed = world.envelope("kz/customs", ["uz/focal-point"])
    reply = broker.publish(signed)
    assert (reply.status, reply.headers["content-type"]) == (201, "application/json")
    receipt = verify_receipt(reply.json()["receipt"], log.receipt_kid, log.receipt_public)
    assert broker.publish(signed).status == 200
    page = broker.signed(reader, "GET", f"/v1/feed?after={cursor}&wait=5").json()
    assert [Delivery.from_json(item).statement for item in page["deliveries"]] == [signed.statement]
    note = broker.ask("GET", "/v1/log/checkpoint").body
    assert verify_checkpoint(note, log.keys).size > receipt.index
    assert broker.signed(reader, "GET", f"/v1/notices/{signed.statement.notice_id}").status == 200
    assert broker.signed(reader, "GET", f"/v1/notices/{signed.statement.notice_id}/proof").status == 200
    listed = broker.signed(world.people["audit/court"], "GET", "/v1/audit/statements").json()["statements"]
    assert [item["index"] for item in listed][-1] == receipt.index
    assert broker.signed(reader, "GET", "/v1/audit/statements").code == "forbidden"


def test_a_page_waits_for_a_notice(broker, world):
    reader = world.people["uz/focal-point"]
    cursor = broker.signed(reader, "GET", "/v1/feed?limit=200").json()["next"]
    found = []
    waiting = threading.Thread(
        target=lambda: found.append(broker.signed(reader, "GET", f"/v1/feed?after={cursor}&wait=20"))
    )
    began = time.monotonic()
    waiting.start()
    time.sleep(0.3)
    broker.publish(world.envelope("kz/customs", ["uz/focal-point"]))
    waiting.join()
    assert 0.3 < time.monotonic() - began < 5
    assert len(found[0].json()["deliveries"]) == 1


def test_the_directory_and_the_log_are_served(broker, world):
    reply = broker.ask("GET", "/v1/directory/metadata/1.root.json")
    assert (reply.status, reply.body) == (200, world.repository.files["1.root.json"])
    assert broker.ask("GET", "/v1/directory/metadata/timestamp.json").headers["cache-control"] == "no-cache"
    target = next(name for name in world.repository.files if name.startswith("targets/kz/"))
    assert broker.ask("GET", f"/v1/directory/{target}").body == world.repository.files[target]
    size = int(broker.ask("GET", "/v1/log/checkpoint").body.split(b"\n")[1])
    assert len(broker.ask("GET", f"/v1/log/tile/0/000.p/{size}").body) == 32 * size
    assert len(broker.ask("GET", f"/v1/log/tile/entries/000.p/{size}").body) == 43 * size
    assert broker.ask("GET", "/v1/log/tile/0/000.p/255").status == 404


def test_health_and_metrics_have_their_places(broker):
    assert broker.ask("GET", "/livez").json() == {"live": True}
    assert broker.ask("GET", "/readyz").json() == {"ready": True}
    assert broker.ask("GET", "/metrics").status == 404
    text = broker.ask("GET", "/metrics", metrics=True).body.decode()
    assert "valise_tree_size" in text
    assert "valise_checkpoint_age_seconds" in text
    assert broker.ask("GET", "/livez", metrics=True).status == 404
    assert "server" not in broker.ask("GET", "/livez").headers


def test_a_body_of_one_byte_too_many_gets_its_answer(broker):
    for _ in range(5):
        reply = broker.ask("PUT", NOTICE, b"x" * (LIMITS.body + 1), JSON)
        assert (reply.status, reply.code) == (413, "too-large")


def send_for_ever(connection, chunk):
    while True:
        connection.sendall(chunk)
        time.sleep(0.001)


def test_endless_chunks_get_an_answer_and_an_end(broker):
    host, _, port = broker.address.partition("//")[2].rpartition(":")
    began = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            f"PUT {NOTICE} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n"
            "transfer-encoding: chunked\r\n\r\n".encode()
        )
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        with pytest.raises(OSError):
            send_for_ever(connection, chunk)
        try:
            answer = connection.recv(65536)
        except OSError:
            answer = b"HTTP/1.1 413"  # it was there, and went down with the reset
    assert answer.startswith(b"HTTP/1.1 413")
    assert time.monotonic() - began < 9


def test_headers_without_an_end_are_refused(broker):
    answer = raw(broker, b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"urn:valise:problem:headers-too-large"' in answer


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01",
        b"GET / HTTP/1.1\r\nhost : x\r\n\r\n",
        b"PUT / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"GET\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_problem(broker, data):
    answer = raw(broker, data)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"urn:valise:problem:bad-request"' in answer


def test_a_bad_chunk_under_way_does_not_answer_twice(broker):
    head = f"PUT {NOTICE} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    answer = raw(broker, head.encode() + b"1\r\nx\r\nzz\r\n")
    assert answer.count(b"HTTP/1.1 ") <= 1


def test_a_request_asks_before_it_sends(broker):
    head = (
        f"PUT {NOTICE} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n"
        "content-length: 9999999\r\nexpect: 100-continue\r\n\r\n"
    )
    answer = raw(broker, head.encode(), seconds=0.5)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_nothing_that_was_sent_is_in_the_log(broker, world):
    marker = "marker-5a1d"
    broker.publish(world.envelope("kz/customs", ["uz/focal-point"]))
    broker.ask("GET", f"/v1/{marker}?{marker}={marker}", headers={"X-Marker": marker, "Host": marker})
    broker.ask("PUT", NOTICE, f'{{"{marker}":1}}'.encode(), JSON)
    lines = [line for line in broker.printed.splitlines() if line.startswith("{")]
    assert lines
    assert all({"event", "level", "at"} <= json.loads(line).keys() for line in lines)
    assert marker not in broker.printed
    assert marker not in broker.ask("GET", "/metrics", metrics=True).body.decode()


def test_it_says_where_it_listens(broker):
    assert f"listening on {broker.address}, metrics on {broker.metrics_address}\n" in broker.printed


# Beginning and end


def test_an_orderly_end(world, tmp_path):
    config = plant(world, tmp_path)
    reader = world.people["uz/focal-point"]
    with running(config) as process:
        signed = world.envelope("kz/customs", ["uz/focal-point"])
        receipt = process.publish(signed).json()
        cursor = process.signed(reader, "GET", "/v1/feed?wait=3").json()["next"]
        found = []
        waiting = threading.Thread(
            target=lambda: found.append(process.signed(reader, "GET", f"/v1/feed?after={cursor}&wait=30"))
        )
        waiting.start()
        time.sleep(0.3)
        began = time.monotonic()
        assert process.end() == 0
        waiting.join()
        assert time.monotonic() - began < 3
        assert found[0].json()["deliveries"] == []
        assert not (process.state / "address").exists()
        assert '"broker.stopped"' in process.printed
    with running(config) as process:
        again = process.publish(signed)
        assert (again.status, again.json()) == (200, receipt)
        assert process.end(signal.SIGINT) == 0


def test_a_kill_loses_nothing(world, tmp_path):
    config = plant(world, tmp_path)
    with running(config) as process:
        signed = world.envelope("kz/customs", ["uz/focal-point"])
        receipt = process.publish(signed).json()
        assert process.end(signal.SIGKILL) == -signal.SIGKILL
    with running(config) as process:
        again = process.publish(signed)
        assert (again.status, again.json()) == (200, receipt)
    report = valise("fsck", "--state", str(tmp_path / "state"), "--json")
    assert (report.returncode, json.loads(report.stdout)["verdict"]) == (0, "sound")


def test_a_second_broker_does_not_start_on_the_same_folder(broker, config):
    second = valise("run", "--config", str(config), seconds=20)
    assert second.returncode == 75
    assert "error:" in second.stderr


def test_an_address_that_is_taken(broker, world, tmp_path):
    config = plant(world, tmp_path)
    taken = broker.address.partition("//")[2]
    second = valise("run", "--config", str(config), environment={"VALISE_BROKER_LISTEN": taken}, seconds=20)
    assert second.returncode == 74


def test_a_unix_socket_for_a_proxy(world, tmp_path):
    config = plant(world, tmp_path)
    path = tmp_path / "socket"
    environment = {"VALISE_BROKER_LISTEN": f"unix:{path}", "VALISE_BROKER_METRICS": "off"}
    for number in (signal.SIGKILL, signal.SIGTERM):  # the second start finds what the kill has left
        with running(config, environment) as process:
            assert process.address == f"unix:{path}"
            assert not (tmp_path / "state" / "metrics-address").exists()
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                connection.sendall(b"GET /livez HTTP/1.1\r\nhost: h\r\n\r\n")
                assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
            assert path.stat().st_mode & 0o777 == 0o660
            process.end(number)


def test_tls_by_certificate_files(world, tmp_path):
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        + [
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("openssl is not installed here")
    (tmp_path / "key.pem").chmod(0o600)
    config = plant(world, tmp_path)
    files = {
        "VALISE_BROKER_TLS_CERTIFICATE": str(tmp_path / "cert.pem"),
        "VALISE_BROKER_TLS_KEY": str(tmp_path / "key.pem"),
    }
    with running(config, files) as process:
        assert process.address.startswith("https://127.0.0.1:")
        host, _, port = process.address.partition("//")[2].rpartition(":")
        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        with (
            socket.create_connection((host, int(port))) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            assert tls.version() == "TLSv1.3"
            tls.sendall(b"GET /livez HTTP/1.1\r\nhost: h\r\n\r\n")
            assert tls.recv(100).startswith(b"HTTP/1.1 200 ")
    (tmp_path / "cert.pem").write_text("nothing")
    second = valise("run", "--config", str(config), environment=files, seconds=20)
    assert (second.returncode, "/tls" in second.stderr) == (78, True)


# The other commands


def valise(*words, environment=None, seconds=60):
    return subprocess.run(
        [*COMMAND, "broker", *words],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**{k: v for k, v in os.environ.items() if not k.startswith("VALISE_")}, **(environment or {})},
    )


def test_init_makes_a_folder_once(tmp_path):
    (tmp_path / "passphrase").write_text("correct horse\n")
    (tmp_path / "passphrase").chmod(0o600)
    words = ("init", "--state", str(tmp_path / "state"), "--origin", "test.invalid/x")
    none = valise(*words)
    assert (none.returncode, "hint:" in none.stderr) == (77, True)
    words = (*words, "--passphrase-file", str(tmp_path / "passphrase"))
    made = valise(*words, "--json")
    assert made.returncode == 0, made.stderr
    value = json.loads(made.stdout)
    assert value["log"]["origin"] == "test.invalid/x"
    assert json.loads((tmp_path / "state/broker-public.json").read_text())["snapshot"] == value["snapshot"]
    assert valise(*words).returncode == 73
    (tmp_path / "passphrase").chmod(0o644)
    assert valise(*words).returncode == 78


def test_check_config_explains(tmp_path):
    environment = {"VALISE_BROKER_STATE": "/var/lib/valise", "VALISE_BROKER_ORIGIN": "log.example"}
    found = valise("check-config", environment=environment)
    assert found.returncode == 0
    assert "state\t/var/lib/valise\tVALISE_BROKER_STATE\t" in found.stdout
    rows = json.loads(valise("check-config", "--json", environment=environment).stdout)["settings"]
    (listen,) = (row for row in rows if row["name"] == "listen")
    assert (listen["value"], listen["source"]) == ("127.0.0.1:8480", "default")
    unsafe = valise("check-config", environment={**environment, "VALISE_BROKER_LISTEN": "0.0.0.0:80"})
    assert (unsafe.returncode, "hint:" in unsafe.stderr, unsafe.stdout) == (78, True, "")
    assert valise("check-config", "--config", str(tmp_path / "missing")).returncode == 78


def test_the_credentials_of_the_service_manager(world, tmp_path):
    config = plant(world, tmp_path)
    (tmp_path / "passphrase").rename(tmp_path / "valise-passphrase")
    config.write_text("\n".join(line for line in config.read_text().splitlines() if "passphrase" not in line))
    with running(config, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) as process:
        assert process.ask("GET", "/livez").status == 200


def test_usage(tmp_path):
    assert valise("nonsense").returncode == 2
    assert valise("fsck").returncode == 2
    assert valise("fsck", "--state", str(tmp_path)).returncode == 78
