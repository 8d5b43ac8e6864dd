"""The broker's commands, run in this process: what they print, where, and what they refuse."""

import json
import sys

import pytest
from typer.testing import CliRunner

from broker import command, init
from broker.settings import ConfigurationError
from keys.custody.errors import CustodyError
from keys.frame import FrameKeys
from tests.broker_process import plant
from tests.world import make_world

ORIGIN = "test.invalid/command"


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Keep the machine's environment out."""
    for name in ("VALISE_PASSPHRASE_FILE", "CREDENTIALS_DIRECTORY", "VALISE_BROKER_STATE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Return a folder with a broker's state, configuration and passphrase."""
    return plant(make_world(("kz/customs", "kz/focal-point")), tmp_path_factory.mktemp("broker")).parent


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text("correct horse\n")
    path.chmod(0o600)
    return path


def valise(*words):
    return CliRunner().invoke(command.app, [str(word) for word in words])


def test_init_prints_where_the_public_file_is(tmp_path, secret):
    made = valise("init", "--state", tmp_path / "s", "--origin", ORIGIN, "--passphrase-file", secret)
    assert made.stdout == f"{tmp_path / 's' / 'broker-public.json'}\n"
    assert "directory init" in made.stderr
    again = valise("init", "--state", tmp_path / "s", "--origin", ORIGIN, "--passphrase-file", secret)
    assert isinstance(again.exception, FileExistsError)


def test_init_prints_json(tmp_path, secret):
    made = valise("init", "--state", tmp_path / "s", "--origin", ORIGIN, "--passphrase-file", secret, "--json")
    assert json.loads(made.stdout)["log"]["origin"] == ORIGIN
    assert made.stderr == ""


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_install_takes_the_ceremony_s_files(tmp_path, secret, monkeypatch, words):
    given = {}

    def install(folder, files, passphrase, *, now):
        given.update(folder=folder, files=files, passphrase=passphrase, now=now)
        return 1

    monkeypatch.setattr(init, "install_directory", install)
    (tmp_path / "c" / "network").mkdir(parents=True)
    for name in ("1.root.json", "1.targets.json", "network/log.json", "network/network.json", "secret.key"):
        (tmp_path / "c" / name).write_bytes(name.encode())
    done = valise("install", tmp_path / "c", "--state", tmp_path / "s", "--passphrase-file", secret, *words)
    assert done.exit_code == 0
    assert sorted(given["files"]) == ["1.root.json", "1.targets.json", "network/log.json", "network/network.json"]
    assert given["passphrase"] == b"correct horse"
    if words:
        assert json.loads(done.stdout)["version"] == 1
    else:
        assert "version 1" in done.stderr


def test_install_says_what_is_missing(tmp_path, secret):
    done = valise("install", tmp_path / "nothing", "--state", tmp_path, "--passphrase-file", secret)
    assert isinstance(done.exception, FileNotFoundError)


def test_a_frame_key_is_printed_or_put_into_a_file(tmp_path):
    line = valise("frame-key").stdout.encode()
    assert len(FrameKeys.parse(line).ids) == 1
    told = json.loads(valise("frame-key", "--json").stdout)
    assert FrameKeys.parse(told["line"].encode()).ids == (told["id"],)
    file = tmp_path / "frame.keys"
    made = valise("frame-key", "--append", file)
    assert (made.stdout, file.stat().st_mode & 0o777) == ("", 0o600)
    assert "line 1" in made.stderr
    # An editor may have left the last line without its end.
    file.write_bytes(file.read_bytes().strip())
    told = json.loads(valise("frame-key", "--append", file, "--json").stdout)
    assert (told["file"], told["line"]) == (str(file), 2)
    first, second = FrameKeys.parse(file.read_bytes()).ids
    assert first in made.stderr
    assert second == told["id"]


def test_a_frame_key_file_that_is_unsafe_or_damaged_is_left_alone(tmp_path):
    file = tmp_path / "frame.keys"
    file.touch(mode=0o644)
    assert isinstance(valise("frame-key", "--append", file).exception, ConfigurationError)
    file.chmod(0o600)
    file.write_bytes(b"something else\n")
    assert isinstance(valise("frame-key", "--append", file).exception, CustodyError)
    assert file.read_bytes() == b"something else\n"


def test_check_config_for_people_and_programs(tmp_path, monkeypatch):
    monkeypatch.setenv("VALISE_BROKER_STATE", "/var/lib/valise")
    monkeypatch.setenv("VALISE_BROKER_ORIGIN", "log.example")
    plain = valise("check-config")
    assert "listen\t127.0.0.1:8480\tdefault\t" in plain.stdout
    assert json.loads(valise("check-config", "--json").stdout)["settings"][0]["name"] == "state"
    monkeypatch.setenv("VALISE_BROKER_LISTEN", "0.0.0.0:1")
    assert isinstance(valise("check-config").exception, ConfigurationError)


def test_a_table_for_people(capsys):
    command._table([{"name": "listen", "value": "[x]", "source": "default", "about": "where"}])
    printed = capsys.readouterr().out
    assert "listen" in printed
    assert "[x]" in printed


def test_fsck_reports(planted):
    found = valise("fsck", "--state", planted / "state", "--json")
    assert (found.exit_code, json.loads(found.stdout)["verdict"]) == (0, "sound")
    found = valise("fsck", "--state", planted / "state", "--quick")
    assert (found.exit_code, found.stdout) == (0, "")
    assert "sound" in found.stderr


def test_fsck_finds(planted, monkeypatch):
    from broker import examine

    report = {"verdict": "unsound", "records": 1, "leaves": 1, "root": "00"}
    findings = [{"fault": "body-lost", "where": "7"}]
    monkeypatch.setattr(examine, "examine", lambda *_, **__: {**report, "findings": findings})
    found = valise("fsck", "--state", planted / "state")
    assert (found.exit_code, found.stdout) == (1, "body-lost\t7\n")


def test_a_bar_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with command._bar(shown=True) as tell:
        tell(1, 2)
    with command._bar(shown=False) as tell:
        assert tell is None


def test_run_composes_and_serves(planted, monkeypatch):
    from broker import serve, telemetry

    served = []
    monkeypatch.setattr(serve, "run", lambda settings, broker, ready: served.append((settings, broker, ready)))
    monkeypatch.setattr(telemetry, "configure_logging", lambda **_: None)
    done = valise("run", "--config", planted / "broker.toml")
    assert done.exit_code == 0, done.exception
    ((settings, broker, ready),) = served
    broker.close()
    assert settings.shutdown_seconds == 3
    assert "demonstration" in done.stderr
    assert ready is command._ready


def test_where_it_listens(capsys):
    command._ready("http://127.0.0.1:1", None)
    command._ready("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert capsys.readouterr().err.splitlines() == [
        "listening on http://127.0.0.1:1",
        "listening on http://127.0.0.1:1, metrics on http://127.0.0.1:2",
    ]


# Passphrases


def test_a_passphrase_from_a_file_or_the_service_manager(secret, tmp_path, monkeypatch):
    assert command.passphrase(secret) == b"correct horse"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(CustodyError):
        command.passphrase(None)
    secret.rename(tmp_path / command.CREDENTIAL)
    assert command.passphrase(None) == b"correct horse"


def test_a_passphrase_that_others_can_read_is_refused(secret):
    secret.chmod(0o604)
    with pytest.raises(ConfigurationError):
        command.passphrase(secret)


def test_a_person_is_asked_at_a_terminal(monkeypatch):
    said = iter(["one", "one", "two", "one", "other"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _question: next(said))
    assert command.passphrase(None, new=True) == b"one"
    assert command.passphrase(None) == b"two"
    with pytest.raises(CustodyError, match="differ"):
        command.passphrase(None, new=True)
