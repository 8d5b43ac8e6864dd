"""Rollback, mix-and-match and removed records: what a client has seen is not taken back."""

from dataclasses import replace

from keys.directory import edit
from keys.directory import metadata as files_of
from keys.directory.ceremony import TufKey
from keys.directory.tuf_api import MetaFile, Snapshot, Targets, Timestamp
from schemas.ids import Code, Role
from tests.unit.keys.directory.lying import CUSTOMS, DAY, YEAR, lie, load, lying_state, refused

# Rollback, mix-and-match


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
