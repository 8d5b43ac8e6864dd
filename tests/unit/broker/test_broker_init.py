"""How a broker comes into being, starts, and what stops a start."""

import json
from dataclasses import replace

import orjson
import pytest

from broker import app, examine, init
from broker.app import open_broker
from broker.init import BrokerPublic, init_broker, install_directory, public_of
from broker.settings import ConfigurationError, Settings
from keys.custody.errors import CustodyError
from keys.directory import edit
from keys.directory.ceremony import Ceremony, RoleKeys, first_targets
from keys.directory.errors import DirectoryError
from keys.directory.tuf_key import TufKey
from schemas.errors import Error, FormError
from schemas.ids import Role
from schemas.rules.network import default_network
from tests.broker_world import HandClock
from tests.unit.schemas.rules.laws import law, law_condition

ORIGIN = "test.invalid/init"
NOW = 1_790_000_000
PASSPHRASE = b"correct horse"


def ceremony(public):
    """Return what a ceremony hands to the broker: signed root, signed targets, the network's files."""
    holders = [TufKey.generate() for _ in range(2)]
    root = Ceremony(tuple(key.public for key in holders), public.snapshot, public.timestamp, threshold=2).root(now=NOW)
    network = {"network/log.json": public.log.encode(), "network/network.json": default_network()}
    law = (TufKey.generate().public, TufKey.generate().public)
    targets = first_targets(network, [RoleKeys(Role("kz"), (TufKey.generate().public,), law)], now=NOW)
    for key in holders:
        root, targets = edit.sign_role(root, key), edit.sign_role(targets, key)
    return {"1.root.json": root, "1.targets.json": targets, **network}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return an initialised folder, its public keys, and a ceremony's files for it."""
    folder = tmp_path_factory.mktemp("broker") / "state"
    public = init_broker(folder, ORIGIN, PASSPHRASE)
    return folder, public, ceremony(public)


@pytest.fixture
def fresh(made, tmp_path):
    """Return a copy of the folder that a test may change."""
    import shutil

    shutil.copytree(made[0], tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def installed(fresh, made):
    install_directory(fresh, made[2], PASSPHRASE, now=NOW)
    return fresh


def settings(folder, **changes):
    return Settings(state=folder, origin=ORIGIN, demo=True, **changes)


def opened(folder, now=NOW, **changes):
    return open_broker(settings(folder, **changes), PASSPHRASE, HandClock(now * 1000))


def test_a_folder_is_made_for_its_owner_alone(made):
    folder, public, _ = made
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["broker-public.json", "keys"]
    assert public_of(folder) == public
    assert public.origin == ORIGIN
    assert BrokerPublic.parse(public.encode()) == public


def test_the_public_file_holds_what_the_ceremony_takes(made):
    value = json.loads((made[0] / "broker-public.json").read_bytes())
    assert list(value) == ["v", "typ", "log", "snapshot", "timestamp"]
    assert json.dumps(value["log"], separators=(",", ":")).encode() == made[1].log.encode()
    assert len({value["snapshot"]["pub"], value["timestamp"]["pub"]}) == 2


def test_a_broker_is_made_once(made):
    with pytest.raises(FileExistsError):
        init_broker(made[0], ORIGIN, PASSPHRASE)


def test_an_origin_has_a_form(tmp_path):
    with pytest.raises(FormError):
        init_broker(tmp_path / "x", "a b", PASSPHRASE)
    assert not (tmp_path / "x").exists()


def test_keys_need_a_passphrase(tmp_path):
    with pytest.raises(CustodyError):
        init_broker(tmp_path / "x", ORIGIN, b"")


def test_an_unfinished_beginning_is_begun_again(tmp_path):
    folder = tmp_path / "x"
    init_broker(folder, ORIGIN, PASSPHRASE)
    (folder / "broker-public.json").unlink()
    public = init_broker(folder, ORIGIN, PASSPHRASE)
    assert public_of(folder) == public


@pytest.mark.parametrize("data", [b"{}", b"", b'{"v":1,"typ":"valise-broker/1","log":1,"snapshot":{},"timestamp":{}}'])
def test_a_damaged_public_file_is_refused(fresh, data):
    (fresh / "broker-public.json").write_bytes(data)
    with pytest.raises(ConfigurationError, match="damaged"):
        public_of(fresh)


def test_a_folder_without_a_broker_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="no broker"):
        public_of(tmp_path)


def test_the_directory_is_installed_once(installed, made):
    with pytest.raises(ConfigurationError, match="already"):
        install_directory(installed, made[2], PASSPHRASE, now=NOW)


@pytest.mark.parametrize("missing", ["1.root.json", "1.targets.json"])
def test_a_ceremony_is_complete(fresh, made, missing):
    files = {name: data for name, data in made[2].items() if name != missing}
    with pytest.raises(ConfigurationError, match=missing):
        install_directory(fresh, files, PASSPHRASE, now=NOW)


def test_a_ceremony_without_its_network_is_refused(fresh, made):
    files = {name: data for name, data in made[2].items() if not name.startswith("network/n")}
    with pytest.raises(DirectoryError):
        install_directory(fresh, files, PASSPHRASE, now=NOW)


def test_a_ceremony_for_another_broker_is_refused(fresh, tmp_path, made):
    other = init_broker(tmp_path / "other", ORIGIN, PASSPHRASE)
    files = ceremony(replace(made[1], log=other.log))
    with pytest.raises(Error) as refused:
        install_directory(fresh, files, PASSPHRASE, now=NOW)
    assert refused.value.code == "wrong-log"


def test_network_rules_are_read_before_they_are_installed(fresh, made):
    public = made[1]
    holders = [TufKey.generate()]
    root = Ceremony((holders[0].public,), public.snapshot, public.timestamp, threshold=1).root(now=NOW)
    network = {"network/log.json": public.log.encode(), "network/network.json": b"{}"}
    targets = first_targets(network, [], now=NOW)
    files = {
        "1.root.json": edit.sign_role(root, holders[0]),
        "1.targets.json": edit.sign_role(targets, holders[0]),
        **network,
    }
    with pytest.raises(FormError):
        install_directory(fresh, files, PASSPHRASE, now=NOW)


def test_laws_are_read_before_they_are_accepted(made):
    keys = init.BrokerKeys.open(init.FileCustody(made[0] / "keys", PASSPHRASE))
    repository = init.repository_of({}, keys)
    good = law("al", [law_condition("c", "purpose", "require", {"purposes": ["investigation"]})])
    repository.check_law("al", orjson.dumps(good))
    again = {**good["conditions"][0], "valid_from": "2027-01-01T00:00:00Z"}
    bad = {
        "malformed": {},
        "law-scope": {**good, "state": "it"},
        "law-unknown-code": law("al", [law_condition("c", "purpose", "require", {"purposes": ["gossip"]})]),
        "law-overlap": {**good, "conditions": [*good["conditions"], again]},
        "invalid-form": law("al", [law_condition("c", "purpose", "require", {})]),
    }
    for problem, profile in bad.items():
        with pytest.raises(Error) as refused:
            repository.check_law("al", orjson.dumps(profile) if profile else b"{")
        assert refused.value.code == problem


# Starting


def test_a_broker_opens_and_closes(installed):
    broker = opened(installed)
    assert broker.serving.size == 1
    assert broker.serving.figures().gauges["tree_size"] == 1
    with pytest.raises(Error):
        opened(installed)
    broker.close()
    opened(installed).close()


def test_a_broker_that_was_away_renews_what_has_expired(installed):
    opened(installed).close()
    for days in (0.3, 3, 30, 300):
        broker = opened(installed, NOW + int(days * 86400))
        directory = broker.serving.trust.directory
        assert directory.valid_until > NOW + int(days * 86400)
        broker.close()
    assert directory.version == 3  # a snapshot lives for seven days, and is renewed after half of them
    assert broker.serving.size == 3


@pytest.mark.parametrize("mode", [0o750, 0o701])
def test_a_folder_that_others_can_look_into_is_refused(installed, mode):
    installed.chmod(mode)
    with pytest.raises(ConfigurationError, match="Others"):
        opened(installed)


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        opened(tmp_path / "missing")
    (tmp_path / "file").touch(0o600)
    with pytest.raises(ConfigurationError, match="Must be a folder"):
        opened(tmp_path / "file")


def test_another_origin_is_refused(installed):
    with pytest.raises(ConfigurationError) as refused:
        open_broker(Settings(state=installed, origin="other.example", demo=True), PASSPHRASE)
    assert refused.value.pointer == "/origin"


def test_another_passphrase_is_refused(installed):
    with pytest.raises(CustodyError):
        open_broker(settings(installed), b"wrong")


def test_a_broker_without_a_directory_does_not_start(fresh):
    with pytest.raises(ConfigurationError, match="No directory"):
        opened(fresh)
    # Nothing stays locked.
    with pytest.raises(ConfigurationError, match="No directory"):
        opened(fresh)


def test_a_ledger_that_lost_leaves_is_not_signed(installed):
    broker = opened(installed)
    broker.serving._sequencer.start()
    broker.serving._sequencer.stop()
    broker.close()
    (installed / "signer" / "signed-head").write_bytes(
        f"{ORIGIN}\n9\n4FpG8sZPL+Mp0VjBz6yVRmWKvK9kEnFHkGaNu6kap1A=\n".encode()
    )
    with pytest.raises(Error) as refused:
        opened(installed)
    assert refused.value.alarm


def test_progress_is_logged_at_most_ten_times(capsys):
    tell = app._progress()
    for done in range(1000):
        tell(done, 1000)
    tell(0, 0)
    assert capsys.readouterr().out.count("view.caught_up") == 9


# Examining


def test_a_sound_folder(installed):
    opened(installed).close()
    seen = []
    report = examine.examine(installed, progress=lambda done, total: seen.append((done, total)))
    assert (report["verdict"], report["leaves"], report["findings"]) == ("sound", 1, [])
    assert seen
    (installed / "view.sqlite").unlink()
    assert examine.examine(installed, full=False)["verdict"] == "sound"


def test_an_unsound_folder(installed):
    broker = opened(installed)
    broker.serving._sequencer.start()
    broker.serving._sequencer.stop()
    broker.close()
    head = installed / "signer" / examine.HEAD
    assert examine.examine(installed)["verdict"] == "sound"
    head.write_bytes(f"{ORIGIN}\n9\n4FpG8sZPL+Mp0VjBz6yVRmWKvK9kEnFHkGaNu6kap1A=\n".encode())
    report = examine.examine(installed)
    assert (report["verdict"], report["counts"]) == ("unsound", {"head-ahead": 1})


def test_a_folder_without_a_ledger_has_nothing_to_examine(fresh):
    with pytest.raises(ConfigurationError, match="no ledger"):
        examine.examine(fresh)
    assert not (fresh / "ledger.sqlite").exists()


def test_a_running_broker_is_not_examined(installed):
    broker = opened(installed)
    with pytest.raises(Error) as refused:
        examine.examine(installed)
    assert refused.value.code == "unavailable"
    broker.close()
