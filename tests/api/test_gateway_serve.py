"""Serving the gateway, in this process: addresses, TLS, sockets of the file system, signals, the order of the end."""

import datetime as dt
import http.client
import ipaddress
import json
import os
import signal
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from adapters.cli.gateway_client import Request, exchange
from adapters.gateway import serve
from adapters.gateway.service import Gateway
from adapters.gateway.settings import Address, ConfigurationError, Tls, load
from adapters.gateway.tokens import Tokens
from schemas.errors import Error
from tests.gateway_world import PASSPHRASE, a_world, plant

pytestmark = pytest.mark.loopback


@pytest.fixture
def folder(tmp_path) -> Path:
    """A gateway whose broker is away: it serves all the same."""
    place = plant(a_world(), tmp_path / "gw", "kz/customs")
    data = json.loads((place.path / "gateway.json").read_bytes())
    (place.path / "gateway.json").write_text(
        json.dumps({**data, "broker": "http://127.0.0.1:9"}, separators=(",", ":"))
    )
    return place.path


def run(folder: Path, work, **values):
    """Serve until `work`, which runs beside and is told the addresses, is done; return its result."""
    given = {
        "folder": str(folder),
        "listen": "127.0.0.1:0",
        "metrics": "127.0.0.1:0",
        "shutdown_seconds": "2",
        **values,
    }
    environment = {f"VALISE_GATEWAY_{name.upper()}": value for name, value in given.items()}
    settings = load(None, environment).settings
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

    serve.run(settings, Gateway.open(settings.options(), PASSPHRASE), ready)
    threads[0].join()
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def get(address: str, target: str, ca_file: Path | None = None, token: str = ""):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return exchange(address, ca_file)(Request("GET", target, headers, timeout=10))


def test_it_serves_and_ends_in_order(folder):
    _, token = Tokens(folder).new("kz/customs", "system")

    def work(address, metrics):
        assert get(address, "/livez").status == 200
        ready = get(address, "/readyz")
        assert ready.status == 503
        assert ready.object()["ready"] is False
        assert get(address, "/v1/notices").status == 401
        assert get(address, "/v1/notices", token=token).object() == {"next": 0, "notices": []}
        figures = get(metrics, "/metrics").body.decode()
        assert 'valise_gateway_requests_total{operation="listNotices",status="200"} 1.0' in figures
        while not (folder / "address").exists():
            pass
        assert (folder / "address").read_text() == f"{address}\n"
        assert (folder / "metrics-address").read_text() == f"{metrics}\n"
        return address

    address = run(folder, work)
    assert not (folder / "address").exists()
    assert not (folder / "metrics-address").exists()
    with pytest.raises(OSError):
        get(address, "/livez")
    # The store was closed: the folder can be opened again.
    run(folder, lambda again, _: get(again, "/livez").status)


def test_a_socket_in_the_file_system(folder, tmp_path):
    path = tmp_path / "s"

    def work(address, metrics):
        assert (address, metrics) == (f"unix:{path}", None)
        assert path.stat().st_mode & 0o777 == 0o660
        return get(address, "/livez").status

    assert run(folder, work, listen=f"unix:{path}", metrics="off") == 200
    assert path.exists()  # as a killed gateway leaves it
    assert run(folder, work, listen=f"unix:{path}", metrics="off") == 200
    with socket.socket(socket.AF_UNIX) as other:
        path.unlink()
        other.bind(str(path))
        other.listen()
        with pytest.raises(OSError):
            run(folder, work, listen=f"unix:{path}", metrics="off")


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway.test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, private = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, private


def test_tls_by_certificate_files(folder, certificate):
    chain, key = certificate

    def work(address, _):
        assert address.startswith("https://127.0.0.1:")
        assert get(address, "/livez", chain).status == 200
        with pytest.raises(ssl.SSLError):
            get(address, "/livez")
        old = ssl.create_default_context(cafile=str(chain))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        host, _, port = address.removeprefix("https://").rpartition(":")
        with pytest.raises(ssl.SSLError):
            http.client.HTTPSConnection(host, int(port), context=old, timeout=10).connect()

    run(folder, work, tls_certificate=str(chain), tls_key=str(key))


def test_certificates_that_cannot_be_used(certificate, tmp_path):
    chain, key = certificate
    with pytest.raises(ConfigurationError):
        serve.tls_context(Tls(certificate=key, key=key))
    locked = tmp_path / "locked.pem"
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    locked.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ConfigurationError):
        serve.tls_context(Tls(certificate=chain, key=locked))
    assert serve.tls_context(Tls()) is None


def test_an_address_that_is_taken_stops_the_start_and_frees_the_store(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError):
            run(folder, lambda *_: None, listen=f"127.0.0.1:{port}")
    run(folder, lambda address, _: get(address, "/livez").status)


def test_ipv6(folder):
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        listener = serve.bind(Address.parse("[::1]:0"), tls=False)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with listener.socket:
        assert listener.address.startswith("http://[::1]:")


def test_two_gateways_do_not_share_a_folder(folder):
    settings = load(None, {"VALISE_GATEWAY_FOLDER": str(folder)}).settings
    first = Gateway.open(settings.options(), PASSPHRASE)
    try:
        with pytest.raises(Error) as caught:
            Gateway.open(settings.options(), PASSPHRASE)
        assert caught.value.code == "configuration"
    finally:
        first.store.close()
