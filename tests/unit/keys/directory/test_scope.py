"""What each role may speak for: every refusal of `scope.py`, on metadata that its signers could well have signed."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys.directory import metadata as files_of
from keys.directory import scope as scopes
from keys.directory.errors import DirectoryError, DirectoryScopeError
from keys.directory.tuf_api import (
    DelegatedRole,
    Delegations,
    MetaFile,
    Root,
    Snapshot,
    SSlibKey,
    TargetFile,
    Targets,
    Timestamp,
)
from keys.directory.tuf_key import TufKey


@pytest.fixture
def targets(world) -> Targets:
    return files_of.read(world.role_file("targets"), Targets).signed


@pytest.fixture
def root(world) -> Root:
    return files_of.read(world.root, Root).signed


def entry(path: str) -> TargetFile:
    return files_of.target_file(path, b"{}")


def refused(check: Callable[..., None], *arguments: object, match: str) -> None:
    with pytest.raises(DirectoryScopeError, match=match) as caught:
        check(*arguments)
    assert caught.value.code == "directory-scope"


@pytest.mark.parametrize(
    ("name", "role", "law", "target", "paths"),
    [
        ("fr", "fr", False, "fr/directory.json", ("fr/*", "fr/*/*")),
        ("fr-law", "fr", True, "fr/law.json", ("fr/law.json",)),
        ("int-unodc", "int-unodc", False, "int/unodc/directory.json", ("int/unodc/*", "int/unodc/*/*")),
        ("int-a-b", "int-a-b", False, "int/a-b/directory.json", ("int/a-b/*", "int/a-b/*/*")),
        ("audit", "audit", False, "audit/directory.json", ("audit/*",)),
    ],
)
def test_scopes(name, role, law, target, paths):
    scope = scopes.scope_of(name)
    assert (scope.role, scope.law, scope.target, scope.paths) == (role, law, target, paths)


@pytest.mark.parametrize(
    "name", ["", "fra", "FR", "f", "fr-laws", "int", "int-", "audit-law", "int-/x", "root", "fr\n"]
)
def test_other_names_are_no_roles(name):
    refused(scopes.scope_of, name, match="must be a State's")


def test_the_ceremonys_targets_are_in_order(targets):
    scopes.check_targets(targets)
    targets.delegations = None
    scopes.check_targets(targets)


@pytest.mark.parametrize(
    "path", ["fr/directory.json", "network.json", "network/a/b.json", "network/../fr/x.json", "network/A.json"]
)
def test_top_level_targets_name_network_files_only(targets, path):
    targets.targets[path] = entry(path)
    refused(scopes.check_targets, targets, match="network/ only")


@pytest.mark.parametrize("path", ["network/log.json", "network/network.json"])
def test_top_level_targets_name_log_and_network(targets, path):
    del targets.targets[path]
    refused(scopes.check_targets, targets, match="must name")


def test_targets_are_given_by_sha256(targets):
    targets.targets["network/log.json"].hashes["sha512"] = "00"
    refused(scopes.check_targets, targets, match="SHA-256")


def test_bins_are_refused(targets):
    targets.delegations = Delegations.from_dict(
        {"keys": {}, "succinct_roles": {"keyids": [], "threshold": 1, "bit_length": 2, "name_prefix": "x"}}
    )
    refused(scopes.check_targets, targets, match="must name their roles")


@pytest.mark.parametrize(
    ("role", "attribute", "value"),
    [
        ("fr", "paths", ["fr/*", "fr/*/*", "de/*"]),
        ("fr", "paths", ["*/*"]),
        ("fr", "paths", ["fr/*"]),
        ("fr", "terminating", True),
        ("fr-law", "terminating", False),
        ("fr-law", "paths", ["fr/*"]),
        ("int-unodc", "paths", ["int/*/*"]),
        ("audit", "paths", ["audit/*", "fr/*"]),
    ],
)
def test_delegations_have_their_own_paths(targets, role, attribute, value):
    setattr(targets.delegations.roles[role], attribute, value)
    refused(scopes.check_targets, targets, match="own paths")


def test_hashed_paths_are_refused(targets):
    role = targets.delegations.roles["fr"]
    role.paths, role.path_hash_prefixes = None, ["00"]
    refused(scopes.check_targets, targets, match="own paths")


def test_a_law_needs_exactly_two_keys_that_both_sign(targets):
    law = targets.delegations.roles["fr-law"]
    law.threshold = 1
    refused(scopes.check_targets, targets, match="exactly two keys")
    law.threshold, law.keyids = 2, [*law.keyids, targets.delegations.roles["audit"].keyids[0]]
    refused(scopes.check_targets, targets, match="exactly two keys")


def test_a_law_stands_before_its_state(targets):
    roles = targets.delegations.roles
    targets.delegations.roles = {name: roles[name] for name in ("fr", "fr-law")}
    refused(scopes.check_targets, targets, match="before its role")
    targets.delegations.roles = {"fr": roles["fr"]}
    refused(scopes.check_targets, targets, match="before its role")


def test_a_key_signs_for_one_role_only(targets):
    roles = targets.delegations.roles
    roles["fr-law"].keyids = [roles["fr"].keyids[0], roles["fr-law"].keyids[1]]
    refused(scopes.check_targets, targets, match="one role only")


def ed25519() -> SSlibKey:
    return SSlibKey.from_crypto(Ed25519PrivateKey.generate().public_key())


def under_another_id() -> SSlibKey:
    key = TufKey.generate().public.key
    return SSlibKey("0" * 64, key.keytype, key.scheme, key.keyval)


def with_a_blank_line() -> SSlibKey:
    key = TufKey.generate().public.key
    return SSlibKey(key.keyid, key.keytype, key.scheme, {"public": "\n" + key.keyval["public"]})


def no_key() -> SSlibKey:
    return SSlibKey("0" * 64, "ml-dsa", "ml-dsa-65/1", {"public": "nothing"})


@pytest.mark.parametrize("make", [ed25519, under_another_id, with_a_blank_line, no_key])
def test_keys_are_ml_dsa_65_under_their_own_ids(targets, root, make):
    key = make()
    targets.delegations.keys[key.keyid] = key
    refused(scopes.check_targets, targets, match="ML-DSA-65")
    root.keys[key.keyid] = key
    refused(scopes.check_root, root, match="ML-DSA-65")


@pytest.mark.parametrize("value", [False, None])
def test_the_root_demands_consistent_snapshots(root, value):
    scopes.check_root(root)
    root.consistent_snapshot = value
    with pytest.raises(DirectoryError, match="consistent"):
        scopes.check_root(root)


def role(*paths: str) -> Targets:
    return Targets(targets={path: entry(path) for path in paths})


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("fr", ("fr/directory.json",)),
        ("fr", ("fr/directory.json", "fr/evidence.p7m", "fr/seals/2026.v1.pdf")),
        ("fr-law", ("fr/law.json",)),
        ("int-unodc", ("int/unodc/directory.json", "int/unodc/a/b.json")),
        ("audit", ("audit/directory.json", "audit/mandate.pdf")),
    ],
)
def test_a_role_names_its_own(name, paths):
    scopes.check_role(name, role(*paths))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("fr", "de/directory.json"),
        ("fr", "fr/../de"),
        ("fr", "fr/.hidden"),
        ("fr", "fr//x"),
        ("fr", "fr/"),
        ("fr", "fr"),
        ("fr", "/fr/x"),
        ("fr", "fr/a/b/c"),
        ("fr", "fr/x\n"),
        ("fr", "fr/X"),
        ("fr", "network/network.json"),
        ("fr-law", "fr/directory.json"),
        ("fr-law", "de/law.json"),
        ("int-unodc", "int/incb/directory.json"),
        ("audit", "audit/a/b"),
    ],
)
def test_a_role_names_nothing_outside_its_paths(name, path):
    refused(scopes.check_role, name, role(scopes.scope_of(name).target, path), match="outside its paths")


def test_a_role_names_its_file():
    refused(scopes.check_role, "fr", role("fr/other.json"), match="must name fr/directory.json")


def test_a_state_does_not_name_its_law():
    refused(scopes.check_role, "fr", role("fr/directory.json", "fr/law.json"), match="law role alone")


def test_a_role_does_not_delegate():
    metadata = role("fr/directory.json")
    metadata.delegations = Delegations({}, {"x": DelegatedRole("x", [], 1, True, ["fr/*"])})
    refused(scopes.check_role, "fr", metadata, match="may not delegate")


def test_a_roles_targets_are_given_by_sha256():
    metadata = role("fr/directory.json")
    metadata.targets["fr/directory.json"].hashes = {"md5": "00"}
    refused(scopes.check_role, "fr", metadata, match="SHA-256")


def test_the_snapshot_lists_what_is_delegated_by_digest(targets):
    meta = files_of.meta_file(1, b"x")
    scopes.check_snapshot(Snapshot(meta={"targets.json": meta, "fr.json": meta}), targets)
    refused(
        scopes.check_snapshot, Snapshot(meta={"targets.json": meta, "it.json": meta}), targets, match="not delegated"
    )
    for poor in (MetaFile(1), MetaFile(1, 5), MetaFile(1, None, {"sha256": "00"}), MetaFile(1, 5, {"sha512": "00"})):
        with pytest.raises(DirectoryError, match="by length and SHA-256"):
            scopes.check_snapshot(Snapshot(meta={"targets.json": poor}), targets)
        with pytest.raises(DirectoryError, match="by length and SHA-256"):
            scopes.check_timestamp(Timestamp(snapshot_meta=poor))
    scopes.check_timestamp(Timestamp(snapshot_meta=meta))
