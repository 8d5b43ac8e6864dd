"""One configuration with sources, and nothing that is unsafe."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import settings
from broker.settings import Address, ConfigurationError, load

ENVIRONMENT = {"VALISE_BROKER_STATE": "/var/lib/valise", "VALISE_BROKER_ORIGIN": "log.example/osce"}


def with_file(tmp_path, text, environment=()):
    file = tmp_path / "broker.toml"
    file.write_text(text)
    return load(file, dict(environment))


def refused(environment=ENVIRONMENT, **changes):
    changed = {f"VALISE_BROKER_{name.upper()}": value for name, value in changes.items()}
    with pytest.raises(ConfigurationError) as caught:
        load(None, {**environment, **changed})
    assert caught.value.code == "configuration"
    return caught.value


def private(tmp_path, name, mode=0o600):
    path = tmp_path / name
    path.write_text("x")
    path.chmod(mode)
    return path


def test_the_environment_alone_is_enough():
    loaded = load(None, {**ENVIRONMENT, "PATH": "/bin", "VALISE_GATEWAY_X": "1"})
    assert loaded.settings.state == Path("/var/lib/valise")
    assert loaded.settings.listen == "127.0.0.1:8480"
    rows = {row.name: (row.value, row.source) for row in loaded.explained}
    assert rows["state"] == ("/var/lib/valise", "VALISE_BROKER_STATE")
    assert rows["listen"] == ("127.0.0.1:8480", "default")
    assert rows["demo"] == ("false", "default")
    assert rows["tls.key"] == ("", "default")
    assert all(row.about for row in loaded.explained)


def test_the_environment_goes_over_the_file(tmp_path):
    key = private(tmp_path, "key.pem")
    loaded = with_file(
        tmp_path,
        """
        state = "/srv/valise"
        origin = "log.example/osce"
        listen = "0.0.0.0:443"
        shutdown_seconds = 5
        [tls]
        certificate = "/etc/valise/chain.pem"
        key = "/nowhere"
        """,
        {
            "VALISE_BROKER_STATE": "/var/lib/valise",
            "VALISE_BROKER_TLS_KEY": str(key),
            "VALISE_BROKER_SHUTDOWN_SECONDS": "7",
            "VALISE_BROKER_DEMO": "true",
        },
    )
    rows = {row.name: (row.value, row.source) for row in loaded.explained}
    assert rows["state"] == ("/var/lib/valise", "VALISE_BROKER_STATE")
    assert rows["tls.key"] == (str(key), "VALISE_BROKER_TLS_KEY")
    assert rows["tls.certificate"] == ("/etc/valise/chain.pem", str(tmp_path / "broker.toml"))
    assert rows["shutdown_seconds"] == ("7", "VALISE_BROKER_SHUTDOWN_SECONDS")
    assert rows["listen"][1] == str(tmp_path / "broker.toml")
    assert loaded.settings.demo is True


@pytest.mark.parametrize("origin", ["demo.invalid/1", "test.example/log"])
def test_practice_origins_are_for_practice(origin):
    error = refused(origin=origin)
    assert (error.pointer, "demo" in error.hint) == ("/origin", True)
    assert load(None, {**ENVIRONMENT, "VALISE_BROKER_ORIGIN": origin, "VALISE_BROKER_DEMO": "true"}).settings.demo


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80", "192.0.2.1:1", "example.org:443"])
def test_plain_http_stays_on_this_machine(listen):
    error = refused(listen=listen)
    assert (error.pointer, "tls" in error.hint) == ("/listen", True)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.9.9.9:1", "[::1]:80", "localhost:80", "unix:/run/valise.sock"])
def test_local_addresses_need_no_tls(listen):
    assert load(None, {**ENVIRONMENT, "VALISE_BROKER_LISTEN": listen}).settings.listen == listen


@pytest.mark.parametrize("listen", ["", "80", ":80", "host:", "host:x", "host:65536", "host:123456", "unix:run", "h:²"])
def test_addresses_have_a_form(listen):
    assert refused(listen=listen).pointer == "/listen"


@given(st.text())
def test_an_address_parses_or_says_why(text):
    try:
        address = Address.parse(text)
    except ValueError:
        return
    assert address.socket is not None or 0 <= address.port <= 65535
    assert address.local in (True, False)


def test_metrics_are_for_this_machine_or_off():
    assert refused(metrics="0.0.0.0:9").pointer == "/metrics"
    assert load(None, {**ENVIRONMENT, "VALISE_BROKER_METRICS": "off"}).settings.metrics == "off"


def test_tls_comes_in_pairs(tmp_path):
    key = private(tmp_path, "key.pem")
    assert refused(tls_key=str(key)).pointer == "/tls"
    assert refused(tls_certificate=str(key)).pointer == "/tls"
    loaded = load(
        None,
        {
            **ENVIRONMENT,
            "VALISE_BROKER_LISTEN": "0.0.0.0:443",
            "VALISE_BROKER_TLS_KEY": str(key),
            "VALISE_BROKER_TLS_CERTIFICATE": str(key),
        },
    )
    assert loaded.settings.tls.key == key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_secrets_that_others_can_read_are_refused(tmp_path, mode):
    error = refused(passphrase_file=str(private(tmp_path, "passphrase", mode)))
    assert (error.pointer, "chmod" in error.hint) == ("/passphrase_file", True)


def test_secrets_are_files(tmp_path):
    assert refused(passphrase_file=str(tmp_path)).pointer == "/passphrase_file"
    assert refused(passphrase_file=str(tmp_path / "missing")).pointer == "/passphrase_file"


def test_secrets_of_another_user_are_refused(tmp_path, monkeypatch):
    path = private(tmp_path, "passphrase")
    if path.stat().st_uid == 0:
        os.chown(path, 4711, 4711)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert refused(passphrase_file=str(path)).pointer == "/passphrase_file"


def test_a_misspelt_variable_is_an_error():
    assert "VALISE_BROKER_LISSEN" in refused(lissen="x").detail


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("listten = 1", "/listten"),
        ("state = 1", "/state"),
        ("tls = 1", "/tls"),
        ('[tls]\nkey = ""', "/tls/key"),
        ("shutdown_seconds = 0", "/shutdown_seconds"),
        ('demo = "yes"', "/demo"),
        ('log_level = "loud"', "/log_level"),
    ],
)
def test_the_file_is_read_strictly(tmp_path, text, pointer):
    whole = text if text.startswith("state") else f'state = "/s"\n{text}'
    with pytest.raises(ConfigurationError) as caught:
        with_file(tmp_path, f'origin = "log.example"\n{whole}')
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    ("name", "value"),
    [("state", "relative"), ("state", ""), ("origin", "a b"), ("demo", "1"), ("shutdown_seconds", "many")],
)
def test_the_environment_is_read_strictly(name, value):
    assert refused(**{name: value}).pointer == f"/{name}"


def test_a_section_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        with_file(tmp_path, "tls = 1", {**ENVIRONMENT, "VALISE_BROKER_TLS_KEY": "/k"})
    assert caught.value.pointer == "/tls"


def test_what_is_missing_is_named():
    with pytest.raises(ConfigurationError) as caught:
        load(None, {"VALISE_BROKER_STATE": "/s"})
    assert caught.value.pointer == "/origin"


def test_files_that_are_none(tmp_path):
    with pytest.raises(ConfigurationError, match="read"):
        load(tmp_path / "missing", {})
    with pytest.raises(ConfigurationError, match="TOML"):
        with_file(tmp_path, "= 1")
    (tmp_path / "latin").write_bytes(b'a = "\xff"')
    with pytest.raises(ConfigurationError, match="TOML"):
        load(tmp_path / "latin", {})


def test_every_setting_can_come_from_the_environment():
    assert set(settings._names().values()) == {row.name for row in load(None, ENVIRONMENT).explained}
