"""Serving, in this process: addresses, signals, the order of the end."""

import http.client
import os
import resource
import signal
import socket
import threading
from pathlib import Path

import pytest

from broker import serve
from broker.app import open_broker
from broker.settings import Address, ConfigurationError, Tls, load
from tests.broker_process import PASSPHRASE, plant
from tests.world import make_world

pytestmark = pytest.mark.loopback


@pytest.fixture(scope="module")
def world():
    return make_world(("kz/customs", "kz/focal-point"))


@pytest.fixture
def config(world, tmp_path):
    return plant(world, tmp_path)


def run(config, work, environment=None):
    """Serve until `work`, which runs beside and is told the addresses, is done; return its result."""
    settings = load(config, environment or {}).settings
    found, threads = [], []

    def ready(address, metrics):
        def beside():
            try:
                found.append(work(address, metrics))
            except Exception as error:
                found.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

        threads.append(threading.Thread(target=beside))
        threads[0].start()

    serve.run(settings, open_broker(settings, PASSPHRASE.encode()), ready)
    threads[0].join()
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def get(address, target):
    host, _, port = address.partition("//")[2].rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", target)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_a_life(config):
    state = config.parent / "state"

    def work(address, metrics):
        assert get(address, "/readyz")[0] == 200
        assert b"valise_tree_size" in get(metrics, "/metrics")[1]
        return address

    before = signal.getsignal(signal.SIGTERM)
    address = run(config, work)
    assert address.startswith("http://127.0.0.1:")
    assert not (state / "address").exists()
    assert not (state / "metrics-address").exists()
    assert signal.getsignal(signal.SIGTERM) == before
    # All is closed: another start takes the same folder.
    run(config, lambda address, _metrics: get(address, "/livez"))


def test_without_metrics(config):
    assert run(config, lambda _address, metrics: metrics, {"VALISE_BROKER_METRICS": "off"}) is None


def test_an_address_that_is_taken_ends_the_start(config):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            run(config, None, {"VALISE_BROKER_LISTEN": f"127.0.0.1:{port}"})
    run(config, lambda address, _metrics: get(address, "/livez"))


@pytest.mark.parametrize(
    ("limits", "taken"),
    [
        ((1024, 524288), 8192),
        ((1024, 4096), 4096),
        ((1024, resource.RLIM_INFINITY), 8192),
        ((65536, 65536), None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_descriptors_for_all_connections(monkeypatch, limits, taken):
    found = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, given: found.append(given))
    serve.raise_descriptor_limit()
    assert found == ([] if taken is None else [(taken, limits[1])])


def test_addresses_of_both_families():
    listener = serve.bind(Address("127.0.0.1", 0), tls=True)
    assert listener.address == f"https://127.0.0.1:{listener.socket.getsockname()[1]}"
    listener.socket.close()
    try:
        listener = serve.bind(Address("::1", 0), tls=False)
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert listener.address.startswith("http://[::1]:")
    listener.socket.close()


def test_a_socket_that_answers_is_not_taken_over(tmp_path):
    path = tmp_path / "s"
    first = serve.bind(Address("", 0, path), tls=False)
    with pytest.raises(OSError, match="in use"):
        serve.bind(Address("", 0, path), tls=False)
    first.socket.close()
    again = serve.bind(Address("", 0, path), tls=False)
    assert again.address == f"unix:{path}"
    again.socket.close()


def test_a_file_is_no_socket(tmp_path):
    path = tmp_path / "s"
    path.write_text("mine")
    with pytest.raises(OSError, match="in use"):
        serve.bind(Address("", 0, path), tls=False)
    assert path.read_text() == "mine"


def test_certificates_that_cannot_be_used(tmp_path):
    assert serve.tls_context(Tls()) is None
    (tmp_path / "x").write_text("no certificate")
    for path in (tmp_path / "x", Path("/nonexistent")):
        with pytest.raises(ConfigurationError) as refused:
            serve.tls_context(Tls(certificate=path, key=path))
        assert refused.value.pointer == "/tls"


def test_a_key_with_a_password_is_refused_without_asking():
    with pytest.raises(ConfigurationError):
        serve._no_password()
