"""The client against a broker that lies, fails, or merely grows old: what is refused, and what stays."""

import io
import re
import shutil
import zipfile
from dataclasses import replace
from itertools import count

import pytest

from keys.directory import edit
from keys.directory import metadata as files_of
from keys.directory.ceremony import RoleKeys, TufKey, delegate
from keys.directory.errors import DirectoryAwayError, DirectoryError
from keys.directory.repository import Repository
from keys.directory.store import DirectoryStore, Stored
from keys.directory.tuf_api import DelegatedRole, Delegations, MetaFile, Snapshot, Targets, Timestamp
from keys.directory.update import DirectoryClient, expiry_warnings, load_directory, root_fingerprint
from schemas.errors import Error
from schemas.ids import Code, ParticipantId, Role

PATH = "fr/directory.json"
LAW = "fr/law.json"
DAY = 24 * 3600
YEAR = 365 * DAY
CUSTOMS = ParticipantId("fr/customs")


def refused(problem: str, work, match: str | None = None) -> Error:
    with pytest.raises(DirectoryError, match=match) as caught:
        work()
    assert caught.value.code == problem
    return caught.value


def lie(world, metadata=None, targets=None, *, now=None, change=lambda snapshot: None, last=lambda timestamp: None):
    """Return the world after an operator signed snapshot and timestamp over whatever it was given, unchecked."""
    now = now or world.now
    repository = world.repository
    timestamp = files_of.read(world.file("timestamp.json"), Timestamp).signed
    old = timestamp.snapshot_meta.version
    snapshot = files_of.read(world.file(f"{old}.snapshot.json"), Snapshot).signed
    files = {files_of.stored_name(path, data): data for path, data in (targets or {}).items()}
    for name, data in (metadata or {}).items():
        version = files_of.read(data, Targets).signed.version
        files[f"{version}.{name}.json"] = data
        snapshot.meta[f"{name}.json"] = files_of.meta_file(version, data)
    snapshot.version += 1
    snapshot.expires = files_of.expiry(now, 7 * DAY)
    change(snapshot)
    signed = files_of.signed(snapshot, repository.snapshot_key)
    files[f"{snapshot.version}.snapshot.json"] = signed
    timestamp.version += 1
    timestamp.expires = files_of.expiry(now, 6 * 3600)
    timestamp.snapshot_meta = files_of.meta_file(snapshot.version, signed)
    last(timestamp)
    files["timestamp.json"] = files_of.signed(timestamp, repository.timestamp_key)
    return world.with_files(files)


def lying_role(world, role: str, change, *, keys=None, **more):
    """Return the world after an operator took a role's metadata that no honest one would."""
    signed = files_of.read(edit.renew(world.role_file(role), now=world.now), Targets).signed
    change(signed)
    metadata = files_of.signed(signed, *(world.signers(role) if keys is None else keys))
    return lie(world, {role: metadata}, **more)


def lying_state(world, role: str, state):
    """Return the world after an operator took a State's signed file unchecked."""
    targets = {f"{role}/directory.json": state.encode()}
    return lie(world, {role: world.next_role(role, targets)}, targets)


def load(world, now=None):
    return load_directory(world.repository.files, world.root, origin=world.origin, now=now or world.now)


# What an honest broker serves


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
    metadata = ceremony.root(now=world.now, version=2)
    for key in world.holders[:3]:
        metadata = edit.sign_role(metadata, key)
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


# Rollback, freeze, mix-and-match


def test_rollback_is_refused(world, follow):
    client, broker = follow(world)
    newer = world.publish("fr", edit.suspend(world.state("fr"), CUSTOMS))
    broker.serve(newer)
    known = client.refresh()
    broker.serve(world)
    refused("directory-rollback", lambda: client.refresh(known))
    refused("directory-rollback", follow(world)[0].refresh)  # also after a restart
    assert client.stored() is known
    # A new timestamp over the old snapshot is no better.
    old = world.repository.renew_timestamp(world.now)["timestamp.json"]
    newest = files_of.read(old, Timestamp).signed
    newest.version = 99
    broker.serve(world.with_files({"timestamp.json": files_of.signed(newest, world.timestamp_key)}))
    refused("directory-rollback", lambda: client.refresh(known))


def test_rollback_is_refused_without_a_store(world, follow):
    known = world.publish("fr", edit.suspend(world.state("fr"), CUSTOMS)).directory()
    client, _ = follow(world)
    refused("directory-rollback", lambda: client.refresh(known), "older than the one known")
    other = lie(world, change=lambda snapshot: setattr(snapshot, "expires", files_of.expiry(world.now, DAY)))
    client, _ = follow(other)
    refused("directory-rollback", lambda: client.refresh(known), "Another directory")


def test_a_role_rolled_back_inside_a_new_snapshot_is_refused(world, follow):
    newer = world.publish("fr", edit.suspend(world.state("fr"), CUSTOMS))
    client, broker = follow(newer)
    client.refresh()

    def change(snapshot: Snapshot) -> None:
        snapshot.meta["fr.json"] = files_of.meta_file(1, world.role_file("fr"))

    broker.serve(lie(newer, change=change))
    refused("directory-rollback", client.refresh)


def test_a_role_dropped_from_a_snapshot_is_refused(world, follow):
    client, broker = follow(world)
    known = client.refresh()
    dropped = lie(world, change=lambda snapshot: snapshot.meta.pop("fr.json"))
    broker.serve(dropped)
    refused("directory", client.refresh)
    # Without the cached snapshot the records of the known directory tell.
    fresh, _ = follow(dropped, store="other")
    refused("directory-append-only", lambda: fresh.refresh(known), "role was removed")


def test_a_frozen_directory_is_refused(world, follow):
    now = [world.now]
    client, broker = follow(world, now=lambda: now[0])
    known = client.refresh()
    now[0] += 6 * 3600 - 1
    assert client.refresh() is known
    now[0] += 1
    refused("directory-frozen", client.refresh)
    assert client.stored() is known
    broker.serve(world.with_files(world.repository.renew_timestamp(now[0])))
    assert client.refresh() is known
    now[0] = world.now + 7 * DAY
    broker.serve(world.with_files(world.repository.renew_timestamp(now[0])))
    refused("directory-frozen", client.refresh)


def test_a_mixed_directory_is_refused(world, follow):
    newer = world.publish("fr", edit.suspend(world.state("fr"), CUSTOMS))
    other = world.publish("fr", edit.set_focal_point(world.state("fr"), CUSTOMS))
    for name in ("2.fr.json", "6.snapshot.json"):
        mixed = newer.with_files({name: other.file(name)})
        refused("directory", lambda mixed=mixed: load(mixed))
    mixed = newer.with_files({name: b"{}" for name in newer.repository.files if name.startswith("targets/fr/")})
    refused("directory", lambda: load(mixed))
    client, broker = follow(newer)
    client.refresh()
    broker.serve(lie(newer, {"fr": other.role_file("fr")}))
    refused("directory", client.refresh)


def test_a_snapshot_without_digests_is_refused(world):
    def change(snapshot: Snapshot) -> None:
        snapshot.meta["fr.json"] = MetaFile(1)

    refused("directory", lambda: load(lie(world, change=change)), "length and SHA-256")

    def last(timestamp: Timestamp) -> None:
        timestamp.snapshot_meta = MetaFile(timestamp.snapshot_meta.version)

    refused("directory", lambda: load(lie(world, last=last)), "length and SHA-256")


def test_a_snapshot_of_undelegated_roles_is_refused(world):
    spy = files_of.signed(Targets(expires=files_of.expiry(world.now, YEAR)), TufKey.generate())
    refused("directory-scope", lambda: load(lie(world, {"it": spy})), "not delegated")


# Who signs


@pytest.mark.parametrize("signer", ["de", "operator"])
def test_the_wrong_states_key_is_refused(world, signer):
    key = world.snapshot_key if signer == "operator" else world.role_keys[signer]
    refused("unverified", lambda: load(lying_role(world, "fr", lambda signed: None, keys=(key,))))


def test_a_key_added_by_the_operator_is_refused(world):
    """The operator enters a key of its own into a State's file: there is nobody to sign it."""
    mine = replace(world.state("fr").participants[0].keys[1], participant=CUSTOMS)
    state = edit.enter_keys(world.state("fr"), CUSTOMS, [mine])
    targets = {PATH: state.encode()}
    metadata = world.next_role("fr", targets, keys=())
    refused("unverified", lambda: load(lie(world, {"fr": metadata}, targets)))


def test_a_file_swapped_by_the_operator_is_refused(world):
    name = next(name for name in world.repository.files if name.startswith("targets/fr/") and "directory" in name)
    data = world.file(name)
    swapped = data.replace(b"fr/customs", b"fr/customz")
    assert len(swapped) == len(data) != 0
    refused("directory", lambda: load(world.with_files({name: swapped})))


@pytest.mark.parametrize("which", [0, 1])
def test_one_alone_cannot_change_a_law(world, which):
    targets = {LAW: b'{"mine":1}'}
    metadata = world.next_role("fr-law", targets, keys=(world.law_keys["fr"][which],))
    refused("unverified", lambda: load(lie(world, {"fr-law": metadata}, targets)))


def test_the_focal_point_cannot_name_a_law_in_its_role(world):
    targets = {LAW: b'{"mine":1}'}
    metadata = world.next_role("fr", targets)
    refused("directory-scope", lambda: load(lie(world, {"fr": metadata}, targets)), "law role alone")


def test_anothers_root_is_refused(world, follow):
    holders = tuple(TufKey.generate() for _ in range(5))
    other = replace(world, holders=holders)
    client, _ = follow(replace(world, root=_root(other, 1)))
    refused("unverified", client.refresh)
    client, _ = follow(replace(world, root=b"{}"))
    refused("directory", client.refresh)
    # The broker brings a second root that only its friends signed.
    refused("unverified", lambda: load(world.with_files({"2.root.json": _root(other, 2)})))
    refused("directory-rollback", lambda: load(world.with_files({"2.root.json": _root(world, 3)})))


def _root(world, version: int) -> bytes:
    metadata = world.ceremony().root(now=world.now, version=version)
    for key in world.holders[:3]:
        metadata = edit.sign_role(metadata, key)
    return metadata


# Scope


def test_a_top_level_target_does_not_override_a_states_own(world):
    data = world.state("de").encode()

    def change(signed: Targets) -> None:
        signed.targets[PATH] = files_of.target_file(PATH, data)

    overridden = lying_role(world, "targets", change, targets={PATH: data})
    refused("directory-scope", lambda: load(overridden), "network/ only")


def test_a_state_does_not_delegate(world):
    def change(signed: Targets) -> None:
        signed.delegations = Delegations({}, {"x": DelegatedRole("x", [], 1, False, ["fr/*"])})

    refused("directory-scope", lambda: load(lying_role(world, "fr", change)), "may not delegate")


def test_a_state_names_nothing_outside_its_paths(world):
    def change(signed: Targets) -> None:
        signed.targets["de/directory.json"] = files_of.target_file("de/directory.json", b"{}")

    refused("directory-scope", lambda: load(lying_role(world, "fr", change)), "outside its paths")


def test_a_state_names_its_file(world):
    refused("directory-scope", lambda: load(lying_role(world, "fr", lambda signed: signed.targets.clear())), PATH)


def test_a_law_stays_before_its_state_and_with_two_keys(world):
    def alone(signed: Targets) -> None:
        signed.delegations.roles["fr-law"].threshold = 1

    refused("directory-scope", lambda: load(lying_role(world, "targets", alone)), "exactly two keys")

    def after(signed: Targets) -> None:
        signed.delegations.roles["fr-law"] = signed.delegations.roles.pop("fr-law")

    refused("directory-scope", lambda: load(lying_role(world, "targets", after)), "before its role")


def test_another_deployments_directory_is_refused(world, follow):
    refused(
        "wrong-log",
        lambda: load_directory(world.repository.files, world.root, origin="other.invalid", now=world.now),
    )


# Append-only, with the operator's help


def test_a_removed_record_is_refused_by_those_who_know_it(world, follow, new_agency):
    client, broker = follow(world)
    known = client.refresh()
    state = world.state("fr")
    one = state.participants[0]
    lies = {
        "participant was removed": replace(state, participants=state.participants[1:]),
        "record was removed": edit.set_participant(state, replace(one, keys=one.keys[1:]), Role("fr")),
        "record was altered": edit.set_participant(
            state, replace(one, keys=(replace(one.keys[0], gateway=Code("x")), *one.keys[1:])), Role("fr")
        ),
    }
    for match, lied in lies.items():
        bad = lying_state(world, "fr", lied)
        assert load(bad).version == 6  # who knows nothing cannot tell
        broker.serve(bad)
        refused("directory-append-only", lambda: client.refresh(known), match)
        refused("directory-append-only", lambda bad=bad: follow(bad)[0].refresh(), match)
        assert client.stored() is known
    broker.serve(lying_state(world, "fr", edit.close_key(state, one.keys[1].kid, 5)))
    refused("directory-append-only", lambda: client.refresh(known, tree_size=6), "not reached")
    assert client.refresh(known, tree_size=5).version == 6


def test_a_role_that_expired_cannot_come_back_altered(world, follow):
    """A year of silence does not make a client forget what it knew."""
    late = world.now + YEAR
    now = [world.now]
    client, broker = follow(world, now=lambda: now[0])
    client.refresh()
    aged = _aged(world, late)
    now[0] = late
    broker.serve(aged)
    without = client.refresh()
    assert without.unreadable == {"fr", "fr-law"}
    assert without.roles.keys() == {"de"}
    assert CUSTOMS not in without.participants
    assert client.refresh() is without
    emptied = replace(world.state("fr"), participants=(), focal_point=None)
    targets = {PATH: emptied.encode()}
    again, other = follow(aged, now=lambda: now[0])
    assert again.stored().last_good.keys() == {"fr", "de"}
    other.serve(lie(aged, {"fr": aged.next_role("fr", targets, now=late)}, targets, now=late))
    refused("directory-append-only", again.refresh, "participant was removed")
    broker.serve(lie(aged, {"fr": aged.next_role("fr", targets, now=late)}, targets, now=late))
    refused("directory-append-only", client.refresh, "participant was removed")
    broker.serve(lie(aged, {"fr": aged.next_role("fr", {}, now=late)}, now=late))
    assert CUSTOMS in client.refresh().participants


def _aged(world, now: int):
    """Return the world in which all but France renewed in time."""
    metadata = {
        name: _signed(edit.renew(world.role_file(name), now=now - 1), world.signers(name))
        for name in ("targets", "de", "de-law")
    }
    return lie(world.with_files({"2.root.json": _root_at(world, now - 1)}), metadata, now=now)


def _root_at(world, now: int) -> bytes:
    return _signed(world.ceremony().root(now=now, version=2), world.holders[:3])


def _signed(metadata: bytes, keys) -> bytes:
    for key in keys:
        metadata = edit.sign_role(metadata, key)
    return metadata


def test_an_expired_role_leaves_the_others(world):
    late = world.now + YEAR
    directory = load(_aged(world, late), late)
    assert directory.unreadable == {"fr", "fr-law"}
    assert directory.laws.keys() == {"de"}
    assert directory.valid_until == late + 7 * DAY


def test_expired_root_and_targets_are_frozen(world):
    late = world.now + YEAR
    aged = _aged(world, late)
    refused("directory-frozen", lambda: load(lie(world, now=late), late))
    refused(
        "directory-frozen",
        lambda: load(lie(world.with_files({"2.root.json": _root_at(world, late - 1)}), now=late), late),
    )
    assert load(aged, late).version == 6


def test_a_role_that_expires_meanwhile_is_noticed(world, follow):
    """Nothing changes at the broker, and yet a State becomes unreadable."""
    now = [world.now]
    client, broker = follow(world, now=lambda: now[0])
    known = client.refresh()
    assert known.valid_until == world.now + 7 * DAY
    late = world.now + YEAR
    just_before = _aged(world, late - 10)
    now[0] = late - 10
    broker.serve(just_before)
    known = client.refresh()
    assert known.unreadable == frozenset()
    assert known.valid_until == late
    assert client.refresh() is known
    now[0] = late
    assert client.refresh().unreadable == {"fr", "fr-law"}


# Form


def test_malformed_files_are_refused(world):
    bad = {
        "Not strict": b'{"v":1,"v":1}',
        "Must": b'{"v":1}',
        "Not JSON": b"{",
    }
    for match, data in bad.items():
        targets = {PATH: data}
        lied = lie(world, {"fr": world.next_role("fr", targets)}, targets)
        assert refused("directory", lambda lied=lied: load(lied), match).code == "directory"


def test_a_key_listed_twice_is_refused(world):
    stolen = replace(world.agencies[CUSTOMS].sealing_record(), participant=ParticipantId("de/police"))
    state = edit.enter_keys(world.state("de"), ParticipantId("de/police"), [stolen])
    refused("directory", lambda: load(lying_state(world, "de", state)), "twice")


def test_a_file_that_is_too_large_is_refused(world):
    def change(signed: Targets) -> None:
        signed.targets[PATH].length = (8 << 20) + 1

    refused("directory", lambda: load(lying_role(world, "fr", change)), "more than")


@pytest.mark.parametrize("name", ["timestamp.json", "5.snapshot.json", "1.targets.json", "1.fr.json"])
def test_metadata_that_is_none_is_refused(world, name):
    for data in (b"", b"{}", b"\xff", world.root):
        refused("directory", lambda data=data: load(world.with_files({name: data})))


@pytest.mark.parametrize("name", ["timestamp.json", "5.snapshot.json", "1.targets.json", "1.fr-law.json"])
def test_files_that_are_not_served_are_refused(world, name):
    files = {other: data for other, data in world.repository.files.items() if other != name}
    refused("directory", lambda: load_directory(files, world.root, origin=world.origin, now=world.now), "not served")


def test_an_oversized_timestamp_is_refused(world):
    refused("directory", lambda: load(world.with_files({"timestamp.json": b" " * 20_000})), "another length")


# The line, the store


def test_a_broker_that_is_away_changes_nothing(world, follow):
    client, broker = follow(world)
    broker.away = True
    with pytest.raises(DirectoryAwayError) as caught:
        client.refresh()
    assert caught.value.status == 503
    broker.away = False
    known = client.refresh()
    broker.away = True
    refused("broker-away", client.refresh)
    assert client.stored() is known


def test_a_broker_that_loses_its_timestamp(world, follow):
    client, broker = follow(world)
    known = client.refresh()
    del broker.files["timestamp.json"]
    refused("directory", client.refresh)
    broker.files["timestamp.json"] = b"{}"
    refused("directory", client.refresh)
    assert client.stored() is known


def test_a_timestamp_of_somebody_else_is_refused(world, follow):
    client, broker = follow(world)
    client.refresh()
    forged = files_of.read(world.file("timestamp.json"), Timestamp).signed
    forged.version += 1
    broker.files["timestamp.json"] = files_of.signed(forged, world.snapshot_key)
    refused("unverified", client.refresh)


def test_stores_that_cannot_be_read(world, follow, tmp_path):
    client, _ = follow(world)
    client.refresh()
    path = tmp_path / "store" / "directory.zip"
    good = path.read_bytes()
    for bad in (b"", good[:-10], good.replace(b"store.json", b"stare.json"), good.replace(b'"v":1', b'"v":0')):
        path.write_bytes(bad)
        assert refused("directory", follow(world)[0].stored, "damaged").hint.startswith("Remove directory.zip")
    swapped = good.replace(b'"verified_at"', b'"verified_by"')
    path.write_bytes(swapped)
    refused("directory", follow(world)[0].stored)


def test_a_store_with_flipped_bits_is_whole_or_damaged(tmp_path):
    store = DirectoryStore(tmp_path)
    kept = Stored(7, {"timestamp.json": b"{}"})
    store.write(kept)
    path = tmp_path / "directory.zip"
    good = path.read_bytes()
    for at in range(8 * len(good)):
        bad = bytearray(good)
        bad[at // 8] ^= 1 << at % 8
        path.write_bytes(bad)
        try:
            found = store.read()
        except DirectoryError as error:
            assert error.hint.startswith("Remove directory.zip")
        else:
            assert found is not None
            assert set(found.files.values()) <= {b"{}"}


def test_a_newer_store_is_refused(world, follow, tmp_path):
    store = DirectoryStore(tmp_path / "store")
    assert store.read() is None
    store.write(Stored(7, {"a": b"b", "timestamp.json": b""}))
    assert store.read() == Stored(7, {"a": b"b", "timestamp.json": b""})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("store.json", '{"v":2,"other":1}')
    (tmp_path / "store" / "directory.zip").write_bytes(buffer.getvalue())
    with pytest.raises(Error) as caught:
        store.read()
    assert caught.value.code == "newer-store"


def test_a_store_that_cannot_be_written_keeps_the_last_good(world, follow, tmp_path):
    client, broker = follow(world)
    known = client.refresh()
    broker.serve(world.publish("fr", edit.suspend(world.state("fr"), CUSTOMS)))
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "store").write_bytes(b"in the way")
    with pytest.raises(OSError, match="store"):
        client.refresh()
    assert client.stored() is known
    (tmp_path / "store").unlink()
    assert client.refresh().version == 6


def test_the_machines_clock_is_the_default(world, tmp_path, monkeypatch):
    client = DirectoryClient(world.repository.files.get, tmp_path, world.root, world.origin)
    monkeypatch.setattr("time.time", lambda: world.now + 6 * 3600 + 0.5)
    refused("directory-frozen", client.refresh)
    monkeypatch.setattr("time.time", lambda: world.now + 0.5)
    assert client.refresh().version == 5


# Warnings


def test_expiry_warnings(world):
    files = world.repository.files
    assert expiry_warnings(files, world.now) == ()
    ends = world.now + YEAR
    for days, within in ((61, None), (60, 60), (31, 60), (30, 30), (8, 30), (7, 7), (1, 7), (0, 0), (-3, 0)):
        warnings = expiry_warnings(files, ends - days * DAY)
        if within is None:
            assert warnings == ()
            continue
        assert [warning.name for warning in warnings] == ["de", "de-law", "fr", "fr-law", "root", "targets"]
        assert {(warning.days, warning.within) for warning in warnings} == {(days, within)}
    renewed = world.publish("fr", world.state("fr"), now=world.now + 5)
    warnings = expiry_warnings(renewed.repository.files, ends - 60 * DAY)
    assert [warning.name for warning in warnings] == ["de", "de-law", "fr-law", "root", "targets"]
    assert warnings[0].expires == "2028-01-15T08:00:00Z"


def test_a_state_can_enter_without_a_role(world, follow):
    client, broker = follow(world)
    client.refresh()
    targets = edit.renew(world.role_file("targets"), now=world.now)
    law = (TufKey.generate().public, TufKey.generate().public)
    targets = delegate(targets, RoleKeys(Role("it"), (TufKey.generate().public,), law))
    broker.serve(lie(world, {"targets": _signed(targets, world.holders[:3])}))
    directory = client.refresh()
    assert directory.role_versions["targets"] == 2
    assert "it" not in directory.roles


def test_a_repository_goes_on_from_its_files_alone(world):
    again = Repository(dict(world.repository.files), world.snapshot_key, world.timestamp_key)
    assert again.load(world.now).snapshot == world.directory().snapshot
