"""`broker migrate` without a cluster: what it prints, and what it refuses before it looks for one."""

import json
import os

import pytest
from typer.testing import CliRunner

from broker import command, moving, telemetry
from broker.init import LEDGER
from broker.ledger.files import lock
from broker.ledger.port import LedgerUnavailableError
from broker.migrate import Move
from broker.moving import move_ledger
from broker.settings import ConfigurationError, Kafka, load
from tests.broker_process import plant
from tests.world import make_world

MOVE = Move(records=9, leaves=7, root=b"\x01" * 32, bodies=5, erased=2, added=4)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Return the configuration of a broker that has a ledger."""
    return plant(make_world(("kz/customs", "kz/focal-point")), tmp_path_factory.mktemp("broker"))


@pytest.fixture
def settings(planted, tmp_path):
    def make(**changes):
        own = {"bootstrap": "127.0.0.1:9", "signer": True, "replication": 1, "frame_keys": tmp_path / "frame.keys"}
        loaded = load(planted, {}).settings
        return loaded.model_copy(update={"kafka": Kafka(**{**own, **changes})})

    return make


@pytest.fixture
def migrate(monkeypatch, planted):
    """Run the command; what it would have moved is told to `asked`."""
    asked = []

    def moved(settings, file, progress):
        asked.append((settings.origin, file))
        if progress is not None:
            progress(1, 2)
        return MOVE

    monkeypatch.setattr(moving, "move_ledger", moved)
    monkeypatch.setattr(telemetry, "configure_logging", lambda **_: None)

    def run(*words):
        return CliRunner().invoke(command.app, ["migrate", "--config", str(planted), *words]), asked

    return run


def test_the_command_says_what_was_moved(migrate):
    done, asked = migrate()
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"9 records, 7 leaves, root {'01' * 32}: moved, 4 of them now, with 3 bodies.\n"
    assert asked == [("test.invalid/world", None)]


def test_the_command_prints_json(migrate, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done, asked = migrate("--json", "--from", "mirror.sqlite")
    counts = {"records": 9, "leaves": 7, "bodies": 5, "erased": 2, "added": 4}
    assert json.loads(done.stdout) == {**counts, "root": "01" * 32}
    assert done.stderr == ""
    assert asked == [("test.invalid/world", tmp_path / "mirror.sqlite")]


def refused(settings, file=None):
    with pytest.raises(ConfigurationError) as caught:
        move_ledger(settings, file)
    return caught.value.pointer


def test_there_must_be_a_cluster_and_only_who_signs_moves(settings):
    assert refused(settings(bootstrap=None)) == "/kafka/bootstrap"
    assert refused(settings(signer=False)) == "/kafka/signer"


def test_another_origin_s_folder_is_refused(settings):
    assert refused(settings().model_copy(update={"origin": "test.invalid/other"})) == "/origin"


def test_there_must_be_a_ledger(settings, tmp_path):
    assert refused(settings(), tmp_path / "none") == "/state"


def test_a_ledger_that_a_broker_has_open_is_left_alone(settings):
    one = settings()
    held = lock(one.state / f"{LEDGER}.lock")
    try:
        with pytest.raises(LedgerUnavailableError, match="open"):
            move_ledger(one)
    finally:
        os.close(held)
