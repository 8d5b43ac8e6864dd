"""Who signs what, for which paths, and in which form: everything else is refused, whoever serves it."""

from dataclasses import replace

import pytest

from keys.directory import edit
from keys.directory import metadata as files_of
from keys.directory.ceremony import TufKey
from keys.directory.tuf_api import DelegatedRole, Delegations, Targets
from keys.directory.update import load_directory
from schemas.ids import ParticipantId
from tests.unit.keys.directory.lying import CUSTOMS, LAW, PATH, lie, load, lying_role, lying_state, refused, root

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
    client, _ = follow(replace(world, root=root(other, 1)))
    refused("unverified", client.refresh)
    client, _ = follow(replace(world, root=b"{}"))
    refused("directory", client.refresh)
    # The broker brings a second root that only its friends signed.
    refused("unverified", lambda: load(world.with_files({"2.root.json": root(other, 2)})))
    refused("directory-rollback", lambda: load(world.with_files({"2.root.json": root(world, 3)})))


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
