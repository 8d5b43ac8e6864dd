"""What the broker accepts: every refusal rule of an upload, and what becomes of what it takes."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest

from keys.directory import edit
from keys.directory import metadata as files_of
from keys.directory.ceremony import RoleKeys, TufKey, delegate
from keys.directory.errors import DirectoryError
from keys.directory.log_target import LogTarget
from keys.directory.records import Names
from keys.directory.repository import Repository
from keys.directory.tuf_api import DelegatedRole, Delegations, Metadata, Root, Snapshot, Targets, Timestamp
from keys.directory.update import load_directory
from keys.log.note import LogSigner
from schemas.errors import Error, FormError, MalformedError
from schemas.ids import Code, ParticipantId, Role

PATH = "fr/directory.json"
LAW = "fr/law.json"
YEAR = 365 * 24 * 3600
CUSTOMS = ParticipantId("fr/customs")


def refused(problem: str, work, match: str | None = None) -> Error:
    with pytest.raises(Error, match=match) as caught:
        work()
    assert caught.value.code == problem
    return caught.value


def upload(world, metadata: bytes, targets: dict, role: str = "fr", **more):
    return lambda: world.upload(role, metadata, targets, **more)


def metadata_of(world, change, *, role: str = "fr", keys=None) -> bytes:
    """Return a role's next metadata, changed before its holder signs it."""
    signed = files_of.read(edit.renew(world.role_file(role), now=world.now), Targets).signed
    change(signed)
    return files_of.signed(signed, *(world.signers(role) if keys is None else keys))


def test_the_ceremonys_directory_is_version_1(world):
    assert files_of.read(world.file("1.snapshot.json"), Snapshot).signed.version == 1
    assert world.directory().version == 5  # the ceremony, two States, two laws
    assert world.repository.origin == world.origin
    assert world.repository.root == world.root


def test_a_role_is_accepted(world):
    state = edit.suspend(world.state("fr"), CUSTOMS)
    targets = {PATH: state.encode()}
    metadata = world.next_role("fr", targets)
    version = world.upload("fr", metadata, targets)
    digest = sha256(targets[PATH]).hexdigest()
    assert set(version.files) == {
        "2.fr.json",
        "6.snapshot.json",
        "6.timestamp.json",
        "timestamp.json",
        f"targets/fr/{digest}.directory.json",
    }
    assert list(version.files)[-1] == "timestamp.json"
    assert version.files["2.fr.json"] == metadata
    assert version.snapshot_version == version.directory.version == 6
    assert version.snapshot_digest == version.directory.snapshot == sha256(version.files["6.snapshot.json"]).digest()
    assert version.directory.participants[CUSTOMS].suspended
    assert not world.directory().participants[CUSTOMS].suspended
    after = world.after(version)
    assert after.repository.version_of("fr") == 2
    assert after.directory().role_versions["fr"] == 2
    assert after.directory().version == 6


def test_a_role_may_keep_its_files(world):
    metadata = world.next_role("fr", {})
    version = world.upload("fr", metadata, {})
    assert set(version.files) == {"2.fr.json", "6.snapshot.json", "6.timestamp.json", "timestamp.json"}


def test_a_role_may_have_other_files(world):
    targets = {"fr/evidence.p7m": b"seal"}
    version = world.upload("fr", world.next_role("fr", targets), targets)
    assert version.files[f"targets/fr/{sha256(b'seal').hexdigest()}.evidence.p7m"] == b"seal"


def test_a_new_states_first_role_is_accepted(world):
    keys = world.role_keys["it"], *world.law_keys["it"]
    targets = edit.renew(world.role_file("targets"), now=world.now)
    targets = delegate(targets, RoleKeys(Role("it"), (keys[0].public,), (keys[1].public, keys[2].public)))
    for holder in world.holders[2:]:
        targets = edit.sign_role(targets, holder)
    version = world.repository.accept_targets(targets, {}, if_match=1, now=world.now)
    entered = world.after(version)
    assert "it" not in entered.directory().roles
    entered = entered.publish("it", edit.new_state(Names.same("Italy"), ("it",)))
    assert entered.directory().roles["it"].names.en == "Italy"
    assert entered.directory().version == 7


def test_organisations_and_auditors_are_accepted(world, new_participant):
    for role, who in (("int-unodc", "int/unodc/desk"), ("audit", "audit/court")):
        state = edit.set_participant(
            edit.new_state(Names.same("X"), ("en",)), new_participant(ParticipantId(who)), Role(role)
        )
        assert who in world.publish(role, state).directory().participants


# Preconditions


def test_an_upload_says_which_version_was_edited(world):
    metadata = world.next_role("fr", {})

    def work(if_match: int | None, role: str = "fr"):
        return lambda: world.repository.accept_role(role, metadata, {}, if_match=if_match, tree_size=0, now=world.now)

    assert refused("precondition-required", work(None)).status == 428
    assert refused("precondition-failed", work(0)).status == 412
    assert refused("precondition-failed", work(2)).status == 412
    for role in ("it", "targets", "root", "snapshot", "x/y", ""):
        assert refused("not-found", work(0, role)).status == 404


@pytest.mark.parametrize("version", [1, 3, 7])
def test_a_role_has_the_next_version(world, version):
    metadata = metadata_of(world, lambda signed: setattr(signed, "version", version))
    refused("directory-rollback", upload(world, metadata, {}))


def test_a_role_lives_a_year(world):
    expired = metadata_of(world, lambda signed: setattr(signed, "expires", files_of.moment(world.now)))
    refused("directory-frozen", upload(world, expired, {}))
    undying = metadata_of(world, lambda signed: setattr(signed, "expires", files_of.expiry(world.now, 2 * YEAR)))
    refused("directory", upload(world, undying, {}), "longer than a year")


# Signatures


def test_the_wrong_states_key_is_refused(world):
    metadata = world.next_role("fr", {}, keys=(world.role_keys["de"],))
    refused("unverified", upload(world, metadata, {}))


def test_the_operators_keys_are_refused(world):
    for key in (world.snapshot_key, world.timestamp_key):
        refused("unverified", upload(world, world.next_role("fr", {}, keys=(key,)), {}))


def test_no_signature_and_a_foreign_one_are_refused(world):
    refused("unverified", upload(world, world.next_role("fr", {}, keys=()), {}))
    both = world.next_role("fr", {}, keys=(world.role_keys["fr"], world.role_keys["de"]))
    refused("unverified", upload(world, both, {}), "not the role's")


def test_another_states_role_is_refused(world):
    refused("unverified", upload(world, world.next_role("fr", {}), {}, role="de"))


def test_a_signature_over_something_else_is_refused(world):
    good = files_of.read(world.next_role("fr", {}), Targets)
    other = files_of.read(metadata_of(world, lambda signed: None), Targets).signed
    other.expires = files_of.expiry(world.now, 5)
    forged = Metadata(other, good.signatures).to_bytes()
    refused("unverified", upload(world, forged, {}))


def test_both_change_a_law(world):
    changed = world.publish("fr-law", b'{"new":1}')
    assert changed.directory().laws["fr"] == b'{"new":1}'
    assert changed.directory().laws["de"] == world.directory().laws["de"]


# Scope


def test_a_role_names_nothing_outside_its_paths(world):
    targets = {"de/directory.json": b"{}"}
    refused("directory-scope", upload(world, world.next_role("fr", targets), targets))


def test_a_states_role_does_not_name_its_law(world):
    targets = {LAW: b"{}"}
    refused("directory-scope", upload(world, world.next_role("fr", targets), targets))


def test_a_role_does_not_delegate(world):
    def change(signed: Targets) -> None:
        signed.delegations = Delegations({}, {"x": DelegatedRole("x", [], 1, False, ["fr/*"])})

    refused("directory-scope", upload(world, metadata_of(world, change), {}))


# Form


def test_uploads_are_strict_json(world):
    metadata = world.next_role("fr", {})
    for bad in (b"", b"\xef\xbb\xbf" + metadata, metadata[:-1], metadata[:-1] + b',"signed":{}}'):
        with pytest.raises(MalformedError):
            world.upload("fr", bad, {})
    value = json.loads(metadata)
    value["more"] = "unsigned"
    refused("directory", upload(world, json.dumps(value).encode(), {}), "beside")
    refused("directory", upload(world, world.file("timestamp.json"), {}), "type targets")


def test_files_are_those_that_the_metadata_names(world):
    state = edit.suspend(world.state("fr"), CUSTOMS).encode()
    metadata = world.next_role("fr", {PATH: state})
    refused("directory", upload(world, metadata, {}), "missing")
    refused("directory", upload(world, metadata, {PATH: state + b" "}), "another length or digest")
    refused("directory", upload(world, metadata, {PATH: state[:-1] + b"]"}), "another length or digest")
    refused("directory", upload(world, metadata, {PATH: state, "fr/x.json": b""}), "does not name")


def test_a_files_form_is_refused_with_its_pointer(world):
    data = world.state("fr").encode().replace(b'"kind":"customs"', b'"kind":"CUSTOMS"')
    with pytest.raises(FormError) as caught:
        world.publish("fr", data)
    assert caught.value.pointer == "/participants/0/kind"


def test_laws_and_network_rules_are_checked_by_those_who_know_them(world):
    def no(*given: object) -> None:
        raise FormError(f"Not this one of {given[0]}." if len(given) == 2 else "Not this one.", pointer="/x")

    strict = replace(world, repository=replace(world.repository, check_law=no))
    with pytest.raises(FormError, match="Not this one of fr"):
        strict.publish("fr-law", b'{"a":1}')
    strict.publish("fr", world.state("fr"))
    with pytest.raises(MalformedError):
        world.publish("fr-law", b"[]")
    targets = {"network/network.json": b'{"v":2}'}
    metadata = world.next_role("targets", targets)
    strict = replace(world.repository, check_network=no)
    with pytest.raises(FormError, match="Not this one"):
        strict.accept_targets(metadata, targets, if_match=1, now=world.now)
    after = world.after(world.repository.accept_targets(metadata, targets, if_match=1, now=world.now))
    assert after.directory().network == b'{"v":2}'
    assert after.directory().version == 6


# Append-only


def test_records_are_never_removed_or_altered(world):
    state = world.state("fr")
    one = state.participants[0]
    removed = edit.set_participant(state, replace(one, keys=one.keys[:2]), Role("fr"))
    refused("directory-append-only", lambda: world.publish("fr", removed))
    altered = replace(one.keys[2], gateway=Code("gate-9"))
    altered = edit.set_participant(state, replace(one, keys=(*one.keys[:2], altered)), Role("fr"))
    refused("directory-append-only", lambda: world.publish("fr", altered))


def test_records_do_not_begin_in_the_past(world, new_agency):
    new = edit.enter_keys(world.state("fr"), CUSTOMS, [new_agency(CUSTOMS).sealing_record(world.now - 61)])
    refused("directory-append-only", lambda: world.publish("fr", new))
    world.publish("fr", new, now=world.now - 1)


def test_keys_are_closed_ahead_of_the_ledger(world):
    closed = edit.close_key(world.state("fr"), world.agencies[CUSTOMS].request.kid, 9)
    refused("directory-append-only", lambda: world.publish("fr", closed, tree_size=10))
    after = world.publish("fr", closed, tree_size=9)
    assert after.directory().request(world.agencies[CUSTOMS].request.kid).life.closed_at == 9
    refused("directory-append-only", lambda: after.publish("fr", world.state("fr"), tree_size=20))


def test_expired_roles_are_remembered(world, new_participant):
    """While a State's role has expired, nobody takes its keys, and its records stay what they were."""
    late = world.now + YEAR
    renewed = world.publish("de", world.state("de"), now=late - 100).publish("de-law", b"{}", now=late - 100)
    for role in ("root", "targets"):
        renewed = _renew(renewed, role, late - 100)
    assert renewed.directory(late).unreadable == {"fr", "fr-law"}
    stolen = replace(world.agencies[CUSTOMS].sealing_record(late), participant=ParticipantId("de/police"))
    theft = edit.enter_keys(renewed.directory(late).roles["de"], ParticipantId("de/police"), [stolen])
    refused("directory", lambda: renewed.publish("de", theft, now=late), "twice")
    harmless = edit.suspend(renewed.directory(late).roles["de"], ParticipantId("de/police"))
    renewed.publish("de", harmless, now=late)
    emptied = replace(world.state("fr"), participants=(), focal_point=None)
    refused("directory-append-only", lambda: renewed.publish("fr", emptied, now=late))
    back = renewed.publish("fr", world.state("fr"), now=late).directory(late)
    assert back.unreadable == {"fr-law"}
    assert CUSTOMS in back.participants


def _renew(world, name: str, now: int):
    if name == "targets":
        metadata = edit.renew(world.role_file("targets"), now=now)
        for key in world.holders[:3]:
            metadata = edit.sign_role(metadata, key)
        version = world.repository.version_of("targets")
        return world.after(world.repository.accept_targets(metadata, {}, if_match=version, now=now))
    metadata = world.ceremony().root(now=now, version=2)
    for key in world.holders[:3]:
        metadata = edit.sign_role(metadata, key)
    keys = {"snapshot_key": world.snapshot_key, "timestamp_key": world.timestamp_key}
    return world.after(world.repository.accept_root(metadata, **keys, now=now))


# Targets and root


def test_the_targets_need_the_holders_threshold(world):
    metadata = edit.renew(world.role_file("targets"), now=world.now)
    for key in world.holders[:2]:
        metadata = edit.sign_role(metadata, key)

    def accept(data: bytes):
        return lambda: world.repository.accept_targets(data, {}, if_match=1, now=world.now)

    refused("unverified", accept(metadata))
    refused("unverified", accept(edit.sign_role(metadata, world.snapshot_key)), "not the role's")
    world.repository.accept_targets(edit.sign_role(metadata, world.holders[4]), {}, if_match=1, now=world.now)


def test_targets_keep_who_was_delegated(world):
    def change(signed: Targets) -> None:
        del signed.delegations.roles["audit"]

    metadata = metadata_of(world, change, role="targets")
    refused(
        "directory-append-only",
        lambda: world.repository.accept_targets(metadata, {}, if_match=1, now=world.now),
        "may only be suspended",
    )


def test_targets_name_network_files_only(world):
    targets = {PATH: world.state("fr").encode()}
    metadata = world.next_role("targets", targets)
    refused("directory-scope", lambda: world.repository.accept_targets(metadata, targets, if_match=1, now=world.now))


def test_targets_with_the_wrong_precondition_or_version(world):
    metadata = world.next_role("targets", {})
    accept = world.repository.accept_targets
    refused("precondition-required", lambda: accept(metadata, {}, if_match=None, now=world.now))
    refused("precondition-failed", lambda: accept(metadata, {}, if_match=2, now=world.now))
    refused("directory-rollback", lambda: accept(world.role_file("targets"), {}, if_match=1, now=world.now))


def test_a_redelegated_role_must_verify(world):
    """Root holders who swap a State's keys cannot keep its present file: it would be unsigned."""
    other = TufKey.generate()
    laws = world.law_keys["fr"]
    targets = edit.renew(world.role_file("targets"), now=world.now)
    targets = delegate(targets, RoleKeys(Role("fr"), (other.public,), (laws[0].public, laws[1].public)))
    for key in world.holders[:3]:
        targets = edit.sign_role(targets, key)
    refused("unverified", lambda: world.repository.accept_targets(targets, {}, if_match=1, now=world.now))


def test_the_log_cannot_be_swapped(world):
    receipt = world.directory().log
    other = LogTarget(LogSigner.generate("elsewhere.invalid").keys, receipt.receipt_kid, receipt.receipt_public)
    targets = {"network/log.json": other.encode()}
    metadata = world.next_role("targets", targets)
    version = world.repository.accept_targets(metadata, targets, if_match=1, now=world.now)
    files = {**world.repository.files, **version.files}
    refused("wrong-log", lambda: load_directory(files, world.root, origin=world.origin, now=world.now))


def test_root_is_rotated_with_the_operators_keys(world):
    snapshot_key, timestamp_key, newcomer = TufKey.generate(), TufKey.generate(), TufKey.generate()
    holders = (*world.holders[1:], newcomer)
    ceremony = replace(
        world.ceremony(),
        holders=tuple(key.public for key in holders),
        snapshot=snapshot_key.public,
        timestamp=timestamp_key.public,
    )
    metadata = ceremony.root(now=world.now, version=2)
    for key in (*holders[2:], world.holders[1]):
        metadata = edit.sign_role(metadata, key)
    keys = {"snapshot_key": snapshot_key, "timestamp_key": timestamp_key, "now": world.now}
    # Two of the three who signed the targets still hold the root: not enough.
    refused("unverified", lambda: world.repository.accept_root(metadata, **keys))
    targets = edit.renew(world.role_file("targets"), now=world.now)
    for key in holders[2:]:
        targets = edit.sign_role(targets, key)
    version = world.repository.accept_root(metadata, **keys, targets=targets)
    assert set(version.files) == {
        "2.root.json",
        "2.targets.json",
        "6.snapshot.json",
        "6.timestamp.json",
        "timestamp.json",
    }
    assert [*version.files][::4] == ["2.root.json", "timestamp.json"]
    assert version.directory.role_versions["root"] == 2
    rooted = replace(world.repository.after(version), snapshot_key=snapshot_key, timestamp_key=timestamp_key)
    assert rooted.load(world.now).version == 6
    assert rooted.renew_snapshot(world.now).directory.version == 7


def test_roots_that_are_refused(world):
    keys = {"snapshot_key": world.snapshot_key, "timestamp_key": world.timestamp_key}

    def accept(data: bytes, **more):
        return lambda: world.repository.accept_root(data, **{**keys, **more}, now=world.now)

    def signed(version: int, signers, now: int = world.now, change=lambda root: None) -> bytes:
        root = files_of.read(world.ceremony().root(now=now, version=version), Root).signed
        change(root)
        return files_of.signed(root, *signers)

    three = world.holders[:3]
    refused("directory-rollback", accept(world.root))
    refused("directory-rollback", accept(signed(3, three)))
    refused("unverified", accept(signed(2, three[:2])))
    refused("directory-frozen", accept(signed(2, three, world.now - 2 * YEAR)))
    refused("directory", accept(signed(2, three, change=lambda root: setattr(root, "consistent_snapshot", False))))
    refused("unverified", accept(signed(2, three), timestamp_key=TufKey.generate()))
    refused("directory", accept(world.role_file("fr")))
    with pytest.raises(MalformedError):
        accept(b"{")()
    # Signed by itself, not by the root before.
    others = tuple(TufKey.generate() for _ in range(3))
    coup = replace(world.ceremony(), holders=tuple(key.public for key in others)).root(now=world.now, version=2)
    for key in others:
        coup = edit.sign_role(coup, key)
    refused("unverified", accept(coup))


# The beginning


def test_the_beginning_is_checked_like_the_rest(world):
    start = Repository({"1.root.json": world.root}, world.snapshot_key, world.timestamp_key)
    targets = world.role_file("targets")
    version = start.begin(targets, world.network, now=world.now)
    assert version.directory.version == 1
    assert version.directory.roles == {}
    refused("directory", lambda: start.begin(targets, {}, now=world.now), "missing")
    bare = edit.new_role({}, now=world.now)
    refused("directory-scope", lambda: start.begin(bare, {}, now=world.now))
    refused(
        "unverified", lambda: start.begin(edit.new_role(world.network, now=world.now), world.network, now=world.now)
    )
    wrong = replace(start, snapshot_key=world.timestamp_key)
    refused("unverified", lambda: wrong.begin(targets, world.network, now=world.now))
    other = {**world.network, "network/log.json": b"{}"}
    refused("directory", lambda: start.begin(targets, other, now=world.now))


# Renewal


def test_the_timestamp_is_renewed(world):
    later = world.now + 6 * 3600
    refused("directory-frozen", lambda: world.directory(later))
    files = world.repository.renew_timestamp(later)
    assert set(files) == {"timestamp.json"}
    renewed = world.with_files(files).directory(later)
    assert renewed.version == world.directory().version
    assert renewed.snapshot == world.directory().snapshot
    before = files_of.read(world.file("timestamp.json"), Timestamp).signed.version
    assert files_of.read(files["timestamp.json"], Timestamp).signed.version == before + 1


def test_the_snapshot_is_renewed_in_time(world):
    half = world.now + 7 * 24 * 3600 // 2
    assert not world.repository.snapshot_due(half - 1)
    assert world.repository.snapshot_due(half)
    late = world.now + 8 * 24 * 3600
    stale = world.with_files(world.repository.renew_timestamp(late))
    refused("directory-frozen", lambda: stale.directory(late))
    version = stale.repository.renew_snapshot(late)
    assert version.directory.version == 6
    assert version.directory.participants.keys() == world.directory().participants.keys()


def test_an_older_version_can_be_loaded_at_its_time(world):
    newer = world.publish("fr", edit.suspend(world.state("fr"), CUSTOMS), now=world.now + 5)
    files = newer.repository.files

    def load(version: int | None, now: int = world.now + 5):
        return load_directory(files, world.root, origin=world.origin, now=now, version=version)

    assert load(None).version == 6
    assert load(6).participants[CUSTOMS].suspended
    assert load(5).snapshot == world.directory().snapshot
    assert load(2).roles.keys() == {"fr"}
    refused("directory-frozen", lambda: load(5, world.now + 6 * 3600))
    refused("directory", lambda: load(7), "do not hold")


def test_refusals_change_nothing(world):
    before = dict(world.repository.files)
    with pytest.raises(DirectoryError):
        world.upload("fr", world.next_role("fr", {}, keys=()), {})
    assert dict(world.repository.files) == before
