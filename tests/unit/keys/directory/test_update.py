"""The client at an honest broker: what is asked for, what is kept, and what goes on from it."""

import re
from dataclasses import replace
from itertools import count

import pytest

from keys.directory import edit
from keys.directory.ceremony import RoleKeys, TufKey, delegate
from keys.directory.errors import DirectoryError
from keys.directory.repository import Repository
from keys.directory.update import load_directory, root_fingerprint
from schemas.ids import Role
from tests.unit.keys.directory.lying import CUSTOMS, YEAR, lie, refused, signed_by


def test_the_first_refresh_reads_everything(world, follow):
    client, broker = follow(world)
    assert client.stored() is None
    assert client.files == {}
    directory = client.refresh()
    assert directory.participants.keys() == world.directory().participants.keys()
    assert directory.snapshot == world.directory().snapshot
    assert broker.asked[:4] == ["2.root.json", "timestamp.json", "5.snapshot.json", "1.targets.json"]
    assert len(broker.asked) == len(set(broker.asked))


def test_an_unchanged_directory_costs_two_requests(world, follow):
    client, broker = follow(world)
    directory = client.refresh()
    for known in (directory, None):
        broker.asked.clear()
        assert client.refresh(known) is directory
        assert broker.asked == ["2.root.json", "timestamp.json"]
    broker.serve(world.with_files(world.repository.renew_timestamp(world.now + 3600)))
    broker.asked.clear()
    assert client.refresh() is directory
    assert broker.asked == ["2.root.json", "timestamp.json"]


def test_a_change_costs_what_changed(world, follow):
    client, broker = follow(world)
    known = client.refresh()
    broker.serve(world.publish("fr", edit.suspend(world.state("fr"), CUSTOMS)))
    broker.asked.clear()
    directory = client.refresh(known)
    assert directory.version == 6
    assert directory.participants[CUSTOMS].suspended
    assert len(broker.asked) == 5
    assert broker.asked[:4] == ["2.root.json", "timestamp.json", "6.snapshot.json", "2.fr.json"]


def test_the_last_good_directory_outlives_the_process(world, follow):
    clock = count(world.now)
    client, broker = follow(world, now=lambda: next(clock))
    directory = client.refresh()
    again, broker = follow(world, now=lambda: world.now + YEAR)
    broker.away = True
    stored = again.stored()
    assert stored.snapshot == directory.snapshot
    assert stored.participants.keys() == directory.participants.keys()
    assert again.stored() is stored
    assert again.files == client.files
    refused("broker-away", again.refresh)
    assert again.stored() is stored
    third, broker = follow(world)
    assert third.refresh().snapshot == directory.snapshot
    assert broker.asked == ["2.root.json", "timestamp.json"]


def test_what_was_followed_can_be_loaded_from_its_files(world, follow):
    client, broker = follow(world)
    directory = client.refresh()
    again = load_directory(client.files, world.root, origin=world.origin, now=world.now)
    assert again.snapshot == directory.snapshot
    assert set(client.files) == set(broker.asked) - {"2.root.json"} | {"1.root.json"}


@pytest.mark.parametrize("now", [1 << 40, 1 << 54, (1 << 64) // 1000])
def test_at_a_time_beyond_the_calendar_everything_has_expired(world, follow, now):
    client, _ = follow(world)
    client.refresh()
    refused("directory-frozen", lambda: load_directory(client.files, world.root, origin=world.origin, now=now))


@pytest.mark.parametrize("name", ["1.root.json", "timestamp.json"])
def test_files_that_are_evidence_have_one_spelling(world, follow, name):
    client, _ = follow(world)
    version = client.refresh().version
    files = dict(client.files)
    assert load_directory(files, world.root, origin=world.origin, now=world.now, version=version).version == version
    files[name] = re.sub(rb'"sig": ?"[0-9a-f]+', lambda found: found[0].replace(b"a", b"A"), files[name])
    load_directory(files, world.root, origin=world.origin, now=world.now)
    refused("directory", lambda: load_directory(files, world.root, origin=world.origin, now=world.now, version=version))
    files[name] = b"{}"
    refused("directory", lambda: load_directory(files, world.root, origin=world.origin, now=world.now, version=version))


def test_a_new_version_is_shown_before_it_is_kept(world, follow):
    client, broker = follow(world)
    known = client.refresh()
    newer = world.publish("fr", edit.suspend(world.state("fr"), CUSTOMS))
    broker.serve(newer)
    seen = []

    def no_leaf(directory) -> None:
        seen.append(directory.snapshot)
        raise DirectoryError("Not the newest leaf's.", problem="directory-frozen")

    refused("directory-frozen", lambda: client.refresh(known, check=no_leaf))
    assert seen == [newer.directory().snapshot]
    assert client.stored() is known
    assert follow(newer)[0].stored().version == known.version
    assert client.refresh(known, check=lambda directory: None).version == 6


def test_the_root_is_followed(world, follow):
    client, broker = follow(world)
    client.refresh()
    timestamp_key = TufKey.generate()
    ceremony = replace(world.ceremony(), timestamp=timestamp_key.public)
    metadata = signed_by(ceremony.root(now=world.now, version=2), world.holders[:3])
    keys = {"snapshot_key": world.snapshot_key, "timestamp_key": timestamp_key}
    rotated = world.after(world.repository.accept_root(metadata, **keys, now=world.now))
    broker.serve(rotated)
    directory = client.refresh()
    assert directory.role_versions["root"] == 2
    broker.asked.clear()
    assert client.refresh() is directory
    assert broker.asked == ["3.root.json", "timestamp.json"]
    later = replace(rotated, root=metadata)
    fresh, broker = follow(later, store="other")
    assert fresh.refresh().snapshot == directory.snapshot
    assert broker.asked[0] == "3.root.json"


def test_fingerprints():
    assert root_fingerprint(b"") == "e3b0 c442 98fc 1c14 9afb f4c8 996f b924 27ae 41e4 649b 934c a495 991b 7852 b855"


def test_a_state_can_enter_without_a_role(world, follow):
    client, broker = follow(world)
    client.refresh()
    targets = edit.renew(world.role_file("targets"), now=world.now)
    law = (TufKey.generate().public, TufKey.generate().public)
    targets = delegate(targets, RoleKeys(Role("it"), (TufKey.generate().public,), law))
    broker.serve(lie(world, {"targets": signed_by(targets, world.holders[:3])}))
    directory = client.refresh()
    assert directory.role_versions["targets"] == 2
    assert "it" not in directory.roles


def test_a_repository_goes_on_from_its_files_alone(world):
    again = Repository(dict(world.repository.files), world.snapshot_key, world.timestamp_key)
    assert again.load(world.now).snapshot == world.directory().snapshot
