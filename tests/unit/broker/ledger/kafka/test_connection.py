"""Connections: who may be reached how, with which arguments."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from broker.ledger.kafka.connection import Connection, ConnectionSettingsError

PLAIN = "127.0.0.1:9092"
NODES = "k1.example:9093,k2.example:9093,[2001:db8::1]:9093"


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pem")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "valise")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    for file, encryption in (("key.pem", NoEncryption()), ("locked.pem", BestAvailableEncryption(b"secret"))):
        (folder / file).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return folder


@pytest.fixture
def mutual(pem):
    return Connection(NODES, ca=pem / "ca.pem", certificate=pem / "ca.pem", key=pem / "key.pem")


def test_every_wait_of_a_client_is_bounded():
    connection = Connection(PLAIN, practice=True)
    for arguments in (connection.client(), connection.producer(), connection.consumer()):
        assert arguments["bootstrap_servers"] == [PLAIN]
        assert arguments["security_protocol"] == "PLAINTEXT"
        assert (arguments["request_timeout_ms"], arguments["retry_backoff_ms"]) == (4000, 50)
        assert arguments["metadata_max_age_ms"] == 5000


def test_a_producer_waits_for_all_copies_and_repeats_nothing():
    arguments = Connection(PLAIN, practice=True).producer()
    assert (arguments["acks"], arguments["enable_idempotence"]) == ("all", True)
    assert arguments["max_batch_size"] == 1 << 20
    assert arguments["max_request_size"] == 2 << 20


def test_a_consumer_belongs_to_no_group_and_never_jumps():
    arguments = Connection(PLAIN, practice=True).consumer()
    assert (arguments["group_id"], arguments["auto_offset_reset"]) == (None, "none")
    assert arguments["enable_auto_commit"] is False


def test_mutual_tls(mutual):
    arguments = mutual.client()
    assert arguments["security_protocol"] == "SSL"
    assert arguments["bootstrap_servers"] == NODES.split(",")
    context = arguments["ssl_context"]
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1  # the system's are not trusted


def test_scram_over_tls(pem):
    connection = Connection(NODES, ca=pem / "ca.pem", username="valise", password="a secret")
    arguments = connection.client()
    assert (arguments["security_protocol"], arguments["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (arguments["sasl_plain_username"], arguments["sasl_plain_password"]) == ("valise", "a secret")
    assert "a secret" not in repr(connection)


@pytest.mark.parametrize("bootstrap", ["localhost:1", "127.0.0.1:9092,127.0.0.2:65535", "[::1]:9092"])
def test_practice_on_this_machine_may_be_plain(bootstrap):
    assert Connection(bootstrap, practice=True).client()["security_protocol"] == "PLAINTEXT"
    with pytest.raises(ConnectionSettingsError):
        Connection(bootstrap)


@pytest.mark.parametrize(
    ("settings", "pointer"),
    [
        ({"bootstrap": "k1.example:9092", "practice": True}, "bootstrap"),
        ({"bootstrap": "127.0.0.1:9092,192.0.2.1:9092", "practice": True}, "bootstrap"),
        ({"bootstrap": "", "practice": True}, "bootstrap"),
        ({"bootstrap": "localhost", "practice": True}, "bootstrap"),
        ({"bootstrap": ":9092", "practice": True}, "bootstrap"),
        ({"bootstrap": "localhost:", "practice": True}, "bootstrap"),
        ({"bootstrap": "localhost:0", "practice": True}, "bootstrap"),
        ({"bootstrap": "localhost:65536", "practice": True}, "bootstrap"),
        ({"bootstrap": "localhost:9092,", "practice": True}, "bootstrap"),
        ({"ca": "ca"}, "certificate"),
        ({"ca": "ca", "certificate": "c"}, "key"),
        ({"ca": "ca", "key": "k"}, "key"),
        ({"certificate": "c", "key": "k"}, "ca"),
        ({"username": "u", "password": "p"}, "ca"),
        ({"ca": "ca", "username": "u"}, "username"),
        ({"ca": "ca", "password": "p"}, "username"),
        ({"ca": "ca", "certificate": "c", "key": "k", "username": "u", "password": "p"}, "username"),
    ],
)
def test_what_is_unsafe_or_incomplete_is_refused(settings, pointer):
    with pytest.raises(ConnectionSettingsError) as caught:
        Connection(**{"bootstrap": NODES, **settings})
    assert caught.value.code == "configuration"
    assert caught.value.pointer == f"/kafka/{pointer}"


@pytest.mark.parametrize("key", ["missing.pem", "locked.pem", "ca.pem"])
def test_files_that_are_no_use_are_refused_without_asking_anybody(pem, key):
    connection = Connection(NODES, ca=pem / "ca.pem", certificate=pem / "ca.pem", key=pem / key)
    with pytest.raises(ConnectionSettingsError):
        connection.client()


def test_a_ca_that_is_not_there_is_refused(pem):
    with pytest.raises(ConnectionSettingsError, match="cannot be read"):
        Connection(NODES, ca=pem / "no.pem", username="u", password="p").client()
