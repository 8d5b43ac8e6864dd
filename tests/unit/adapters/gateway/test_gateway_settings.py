"""The gateway's configuration: file, environment, command line; and what is too unsafe to start with."""

from pathlib import Path

import pytest

from adapters.gateway.labels import LabelDefaults
from adapters.gateway.settings import PREFIX, Address, ConfigurationError, load


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "gateway.toml"
        path.write_text(text.replace("FOLDER", str(tmp_path)))
        return path

    return write


def settings(path, environment=None, given=None):
    return load(path, environment or {}, given).settings


def test_the_environment_goes_over_the_file_and_the_command_line_over_both(file, tmp_path):
    path = file('folder = "FOLDER"\nlisten = "127.0.0.1:1"\nmetrics = "off"\n')
    environment = {
        f"{PREFIX}LISTEN": "127.0.0.1:2",
        f"{PREFIX}FOLDER": "/env",
        "VALISE_GATEWAY": "http://x",
        "HOME": "/",
    }
    loaded = load(path, environment, {"folder": "/given"})
    assert loaded.settings.listen == "127.0.0.1:2"
    assert loaded.settings.folder == Path("/given")
    rows = {row.name: row for row in loaded.explained}
    assert rows["listen"].source == "VALISE_GATEWAY_LISTEN"
    assert rows["folder"].source == "command line"
    assert rows["metrics"].source == str(path)
    assert (rows["poll_seconds"].source, rows["poll_seconds"].value) == ("default", "2")
    assert (rows["practice_notice"].value, rows["broker"].value) == ("true", "")
    assert all(row.about for row in loaded.explained)


def test_every_setting_by_the_environment_alone(tmp_path):
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    values = {
        "FOLDER": str(tmp_path),
        "BROKER": "https://broker.example",
        "CA_FILE": str(secret),
        "PASSPHRASE_FILE": str(secret),
        "LISTEN": "0.0.0.0:8470",
        "METRICS": "unix:/run/metrics",
        "POLL_SECONDS": "0.5",
        "ACKNOWLEDGE_SECONDS": "30",
        "SHUTDOWN_SECONDS": "5",
        "PRACTICE_NOTICE": "false",
        "LOG_LEVEL": "debug",
        "TLS_CERTIFICATE": str(secret),
        "TLS_KEY": str(secret),
    }
    found = settings(None, {PREFIX + name: value for name, value in values.items()})
    options = found.options()
    assert (options.poll_seconds, options.acknowledge_seconds, options.practice_notice) == (0.5, 30.0, False)
    assert (options.folder, options.broker, options.ca_file) == (tmp_path, "https://broker.example", secret)
    assert found.shutdown_seconds == 5


@pytest.mark.parametrize(
    "text", ['"https://a.example, https://b.example"', '["https://a.example", "https://b.example"]']
)
def test_the_addresses_of_several_instances(file, text):
    options = settings(file(f'folder = "FOLDER"\nbroker = {text}')).options()
    assert [one.strip() for one in options.broker.split(",")] == ["https://a.example", "https://b.example"]


def test_defaults_of_labels(file):
    path = file(
        'folder = "FOLDER"\n[defaults."kz/customs"]\npurpose = "investigation"\nhandling = ["h1", "h2"]\ndays = 30\n'
    )
    options = settings(path).options()
    assert options.defaults == {"kz/customs": LabelDefaults(purpose="investigation", handling=("h1", "h2"), days=30)}
    rows = {row.name: row.value for row in load(path, {}).explained}
    assert rows["defaults"] == "kz/customs"


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("", "/folder"),
        ('folder = "relative"', "/folder"),
        ("folder = 5", "/folder"),
        ('folder = "FOLDER"\nbroker = "broker.example"', "/broker"),
        ('folder = "FOLDER"\nbroker = ["https://a.example", "https://a.example"]', "/broker"),
        ('folder = "FOLDER"\nbroker = [5]', "/broker"),
        ('folder = "FOLDER"\nbroker = []', "/broker"),
        ('folder = "FOLDER"\nlisten = "8470"', "/listen"),
        ('folder = "FOLDER"\nlisten = "127.0.0.1:99999"', "/listen"),
        ('folder = "FOLDER"\nlisten = "0.0.0.0:8470"', "/listen"),
        ('folder = "FOLDER"\nlisten = "gateway.example:8470"', "/listen"),
        ('folder = "FOLDER"\nlisten = "[::]:8470"', "/listen"),
        ('folder = "FOLDER"\nmetrics = "0.0.0.0:9470"', "/metrics"),
        ('folder = "FOLDER"\nunknown = 1', "/unknown"),
        ('folder = "FOLDER"\npoll_seconds = 0', "/poll_seconds"),
        ('folder = "FOLDER"\nshutdown_seconds = 1.5', "/shutdown_seconds"),
        ('folder = "FOLDER"\nlog_level = "loud"', "/log_level"),
        ('folder = "FOLDER"\ntls = 5', "/tls"),
        ('folder = "FOLDER"\n[tls]\ncertificate = "/c"', "/tls"),
        ('folder = "FOLDER"\n[tls]\ncertificate = "/c"\nkey = "/nowhere"', "/tls/key"),
        ('folder = "FOLDER"\npassphrase_file = "/nowhere"', "/passphrase_file"),
        ('folder = "FOLDER"\n[defaults."nobody"]\ntlp = "red"', "/defaults/nobody/[key]"),
        ('folder = "FOLDER"\n[defaults."kz/customs"]\nmore = "red"', "/defaults/kz/customs/more"),
    ],
)
def test_what_is_refused(file, text, pointer):
    with pytest.raises(ConfigurationError) as caught:
        load(file(text), {})
    assert caught.value.pointer == pointer


def test_files_that_others_can_read_are_refused(file, tmp_path):
    secret = tmp_path / "secret"
    secret.touch(mode=0o640)
    with pytest.raises(ConfigurationError) as caught:
        load(file(f'folder = "FOLDER"\npassphrase_file = "{secret}"'), {})
    assert caught.value.pointer == "/passphrase_file"


@pytest.mark.parametrize("text", ["folder = ", "\xff", '[a]\n[a]\nx = "y"'])
def test_what_is_no_toml(file, text):
    path = file("")
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match="not TOML"):
        load(path, {})


def test_a_file_that_is_not_there_and_a_variable_that_is_misspelt(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path / "nowhere.toml", {})
    with pytest.raises(ConfigurationError, match="VALISE_GATEWAY_LISTNE"):
        load(None, {"VALISE_GATEWAY_LISTNE": "x"})


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("127.0.0.1:0", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/run/s", True),
        ("192.0.2.1:1", False),
        ("example.org:1", False),
        ("[2001:db8::1]:1", False),
    ],
)
def test_where_an_address_is_reached_from(text, local):
    assert Address.parse(text).local is local


@pytest.mark.parametrize(
    "text", ["", "x", ":1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:٣", "127.0.0.1:999999", "unix:s"]
)
def test_what_is_no_address(text):
    with pytest.raises(ValueError):
        Address.parse(text)
