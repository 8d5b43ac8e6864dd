"""The systemd units against the programs that they start: command lines, credentials, folders, times, exit codes."""

import inspect
import re
import shutil
import subprocess
import zipfile

import pytest

from adapters.cli import failures
from adapters.cli import passphrase as gateway_passphrase
from adapters.gateway import service
from adapters.gateway import settings as gateway_settings
from broker import command, serving
from broker import settings as broker_settings
from broker.http.protocol import CONNECTIONS
from broker.ledger.kafka import loop, store
from schemas.errors import Error
from tests.deploy.command_lines import DEPLOY, fault, read_unit

FOLDER = DEPLOY / "systemd"
NAMES = ("valise-broker", "valise-gateway", "valise-kafka")
OURS = NAMES[:2]
KAFKA_LIBS = DEPLOY.parent / "build" / "kafka" / "libs"
SPARE = 5
MOST_EXPOSED = 15
"""Tenths of `systemd-analyze security`'s scale of ten: below 2 is its best class."""

EVERYWHERE = {
    "UMask": "0077",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "PrivateUsers": "yes",
    "ProtectProc": "invisible",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectControlGroups": "yes",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "SystemCallArchitectures": "native",
    "StateDirectoryMode": "0700",
    "LimitCORE": "0",
    "Restart": "on-failure",
}


def service_of(name):
    """Return the settings of a unit's service, each with its values in order."""
    found: dict[str, list[str]] = {}
    for setting, value in read_unit((FOLDER / f"{name}.service").read_text())["Service"]:
        found.setdefault(setting, []).append(value)
    return found


def one(name, setting):
    (value,) = service_of(name)[setting]
    return value


def test_these_are_the_units():
    assert sorted(path.stem for path in FOLDER.glob("*.service")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_starts_with_the_machine_and_never_gives_up(name):
    unit = read_unit((FOLDER / f"{name}.service").read_text())
    assert set(unit) == {"Unit", "Service", "Install"}
    assert ("StartLimitIntervalSec", "0") in unit["Unit"]
    assert unit["Install"] == [("WantedBy", "multi-user.target")]


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_is_hardened(name):
    settings = service_of(name)
    assert {setting: settings[setting] for setting in EVERYWHERE} == {k: [v] for k, v in EVERYWHERE.items()}
    assert settings["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    assert settings.get("MemoryDenyWriteExecute") == (["yes"] if name in OURS else None)
    assert not {"ReadWritePaths", "BindPaths", "ExecStartPre", "ExecStartPost", "PermissionsStartOnly"} & set(settings)


@pytest.mark.parametrize(("name", "noun"), [("valise-broker", "broker"), ("valise-gateway", "gateway")])
def test_the_command_line_is_one_that_the_program_takes(name, noun):
    program, *words = one(name, "ExecStart").split()
    assert program == "/opt/valise/bin/valise"
    assert words == [noun, "run", "--config", f"/etc/valise/{noun}.toml"]
    assert fault(words) is None


@pytest.mark.parametrize(
    ("name", "read"), [("valise-broker", command.CREDENTIAL), ("valise-gateway", gateway_passphrase.CREDENTIAL)]
)
def test_the_credential_is_the_one_that_the_program_reads(name, read):
    credential, _, source = one(name, "LoadCredential").partition(":")
    assert credential == read
    assert source == f"/etc/valise/{name.removeprefix('valise-')}.passphrase"
    assert source in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("name", OURS)
def test_there_is_time_to_stop_in_order(name):
    if name == "valise-broker":
        requests = broker_settings.Settings.model_fields["shutdown_seconds"].default
        # The cluster's loop is waited for twice where it hangs: to be told to stop, and to end.
        behind = inspect.signature(serving.Serving.stop).parameters["seconds"].default + store.STOP_S + 2 * loop.GRACE_S
    else:
        requests = gateway_settings.Settings.model_fields["shutdown_seconds"].default
        behind = service.STOP_SECONDS
    assert int(one(name, "TimeoutStopSec")) >= requests + behind + SPARE


@pytest.mark.parametrize("name", OURS)
def test_what_a_person_must_mend_is_not_tried_again(name):
    never = {int(code) for code in one(name, "RestartPreventExitStatus").split()}
    assert {
        failures.exit_code(Error("x", problem=code)) for code in ("configuration", "newer-store", "custody")
    } < never
    again = {failures.exit_code(Error("x", problem=code)) for code in ("unavailable", "storage-full", "broker-away")}
    assert not never & {*again, failures.exit_code(OSError()), failures.exit_code(RuntimeError())}
    assert (failures.exit_code(Error("x", problem="wrong-log")) in never) is (name == "valise-broker")


@pytest.mark.parametrize("name", OURS)
def test_there_are_descriptors_for_all_connections(name):
    assert int(one(name, "LimitNOFILE")) >= 2 * CONNECTIONS


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_user_and_a_folder_of_its_own(name):
    users = re.findall(r'^u (\S+)\s+- "[^"]+"\s+(\S+)$', (FOLDER / "valise-sysusers.conf").read_text(), re.MULTILINE)
    assert len(users) == len(NAMES)
    assert one(name, "Group") == one(name, "User") == name
    assert dict(users)[name] == f"/var/lib/{one(name, 'StateDirectory')}"
    assert f"`/var/lib/{one(name, 'StateDirectory')}`" in (FOLDER / "README.md").read_text()


def test_kafka_s_main_class_is_in_its_libraries():
    words = one("valise-kafka", "ExecStart").split()
    assert words[-3:] == ["/opt/kafka/libs/*", "kafka.Kafka", "/etc/kafka/server.properties"]
    jars = sorted(KAFKA_LIBS.glob("kafka_2.13-*.jar"))
    if not jars:
        pytest.skip("Kafka is not fetched")
    with zipfile.ZipFile(jars[0]) as jar:
        assert "kafka/Kafka.class" in jar.namelist()


@pytest.fixture
def analyze():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")

    def run(*words):
        return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=60)

    return run


def test_systemd_understands_every_line(analyze, tmp_path):
    """Only the programs and users are not on this machine."""
    for name in NAMES:
        text = (FOLDER / f"{name}.service").read_text()
        (tmp_path / f"{name}.service").write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/sh", text))
    done = analyze("verify", "--man=no", *(str(tmp_path / f"{name}.service") for name in NAMES))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_little_exposed(analyze, name):
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(FOLDER / f"{name}.service"))
    assert done.returncode == 0, done.stdout[-400:] + done.stderr
