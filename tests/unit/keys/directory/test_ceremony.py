"""Root, targets and delegations as the holders make them; roles and files as their holders edit them."""

from dataclasses import replace

import pytest

from keys.directory import edit
from keys.directory import metadata as files_of
from keys.directory.ceremony import Ceremony, RoleKeys, TufKey, TufPublic, delegate
from keys.directory.errors import DirectoryError, DirectoryScopeError
from keys.directory.records import Names
from keys.directory.tuf_api import Root, Targets, Timestamp
from schemas.errors import FormError
from schemas.ids import ParticipantId, Role

A, B, C, D = (TufKey.generate().public for _ in range(4))


def test_tuf_keys_are_kept_and_shown():
    key = TufKey.generate()
    again = TufKey.from_bytes(key.to_bytes())
    assert len(key.to_bytes()) == 32
    assert again.keyid == key.keyid == TufPublic.parse(key.public.encode()).keyid
    assert TufPublic.parse(key.public.encode()) == key.public


def test_the_root_says_who_signs_what(world):
    root = files_of.read(world.root, Root).signed
    held = [key.keyid for key in world.holders]
    assert root.roles["root"].keyids == root.roles["targets"].keyids == held
    assert root.roles["root"].threshold == root.roles["targets"].threshold == 3
    assert root.roles["snapshot"].keyids == [world.snapshot_key.keyid]
    assert root.roles["timestamp"].keyids == [world.timestamp_key.keyid]
    assert root.expires == files_of.expiry(world.now, 365 * 24 * 3600)
    assert root.consistent_snapshot is True


@pytest.mark.parametrize(
    ("holders", "snapshot", "timestamp", "threshold"),
    [
        ((A, A), C, D, 1),
        ((A, B), A, D, 1),
        ((A, B), C, C, 1),
        ((A, B), C, D, 0),
        ((A, B), C, D, 3),
        ((), C, D, 1),
    ],
)
def test_ceremonies_that_cannot_be(holders, snapshot, timestamp, threshold):
    with pytest.raises(DirectoryError):
        Ceremony(holders, snapshot, timestamp, threshold)


@pytest.mark.parametrize(
    ("role", "keys", "law", "threshold"),
    [
        ("fr", (A,), None, 1),
        ("audit", (A,), (B, C), 1),
        ("int-unodc", (A,), (B, C), 1),
        ("fr", (A,), (A, B), 1),
        ("fr", (A,), (B, B), 1),
        ("fr", (A, A), (B, C), 1),
        ("fr", (A,), (B, C), 2),
        ("fr", (A,), (B, C), 0),
        ("fr", (), (B, C), 1),
        ("fr-law", (A,), (B, C), 1),
        ("france", (A,), None, 1),
    ],
)
def test_role_keys_that_cannot_be(role, keys, law, threshold):
    with pytest.raises(DirectoryError):
        RoleKeys(Role(role), keys, law, threshold)


def test_other_names_are_a_matter_of_scope():
    with pytest.raises(DirectoryScopeError):
        RoleKeys(Role("France"), (A,))


def test_a_state_is_delegated_its_law_first(world):
    targets = delegate(world.role_file("targets"), RoleKeys(Role("it"), (A,), (B, C)))
    signed = files_of.read(targets, Targets)
    assert signed.signatures == {}
    assert signed.signed.version == 1
    assert list(signed.signed.delegations.roles)[-2:] == ["it-law", "it"]
    law = signed.signed.delegations.roles["it-law"]
    assert (law.keyids, law.threshold, law.terminating, law.paths) == ([B.keyid, C.keyid], 2, True, ["it/law.json"])


def test_a_role_may_be_delegated_anew(world):
    before = files_of.read(world.role_file("targets"), Targets).signed.delegations
    targets = delegate(world.role_file("targets"), RoleKeys(Role("fr"), (A, D), (B, C), threshold=2))
    after = files_of.read(targets, Targets).signed.delegations
    assert list(after.roles) == list(before.roles)
    assert after.roles["fr"].threshold == 2
    assert world.role_keys["fr"].keyid in before.keys.keys() - after.keys.keys()
    assert {A.keyid, B.keyid, C.keyid, D.keyid} <= after.keys.keys()


def test_a_targets_file_may_begin_without_delegations(world):
    targets = delegate(edit.new_role(world.network, now=world.now), RoleKeys(Role("audit"), (A,)))
    assert list(files_of.read(targets, Targets).signed.delegations.roles) == ["audit"]


def test_a_law_is_signed_by_one_and_countersigned_by_the_other(world):
    officer, focal_point = world.law_keys["fr"]
    unsigned = edit.new_role({"fr/law.json": b"{}"}, now=world.now)
    first = edit.sign_role(unsigned, officer)
    both = edit.sign_role(first, focal_point)
    assert list(files_of.read(first, Targets).signatures) == [officer.keyid]
    assert list(files_of.read(both, Targets).signatures) == [officer.keyid, focal_point.keyid]
    assert edit.sign_role(edit.sign_role(both, officer), officer) != both  # ML-DSA is hedged
    assert set(files_of.read(edit.sign_role(both, officer), Targets).signatures) == {officer.keyid, focal_point.keyid}


def test_renewing_and_setting_drop_signatures(world):
    renewed = edit.renew(world.role_file("fr"), now=world.now + 5)
    changed = edit.set_target(renewed, "fr/directory.json", b"other")
    signed = files_of.read(changed, Targets)
    assert signed.signatures == {}
    assert signed.signed.version == 2
    assert signed.signed.targets["fr/directory.json"].length == 5
    assert signed.signed.expires == files_of.expiry(world.now + 5, 365 * 24 * 3600)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"signed":{"_type":"x"}}', b"[" * 100_000])
def test_what_is_no_metadata_is_refused(data, world):
    for work in (
        lambda: edit.sign_role(data, world.holders[0]),
        lambda: edit.renew(data, now=0),
        lambda: edit.set_target(data, "a/b", b""),
    ):
        with pytest.raises(DirectoryError):
            work()


def test_other_types_of_metadata_are_refused(world):
    with pytest.raises(DirectoryError, match="type targets"):
        edit.sign_role(world.file("timestamp.json"), world.holders[0])
    with pytest.raises(DirectoryError, match="type timestamp"):
        files_of.read(world.role_file("fr"), Timestamp)
    with pytest.raises(DirectoryError, match="type targets"):
        files_of.read(world.role_file("fr").replace(b'"version":1', b'"version":true'), Targets)


# The file


def test_participants_are_added_and_replaced(world, new_participant):
    state = edit.new_state(Names.same("Italy"), ("it",))
    for name in ("it/police", "it/customs"):
        state = edit.set_participant(state, new_participant(ParticipantId(name)), Role("it"))
    assert [one.id for one in state.participants] == ["it/customs", "it/police"]
    state = edit.set_participant(state, new_participant(ParticipantId("it/police"), kind="border"), Role("it"))
    assert [one.kind for one in state.participants] == ["customs", "border"]
    with pytest.raises(FormError):
        edit.set_participant(state, new_participant(ParticipantId("fr/police")), Role("it"))


def test_keys_are_entered_once(world):
    who = ParticipantId("fr/customs")
    state = world.state("fr")
    records = world.agencies[who].records()
    assert edit.enter_keys(state, who, records) == state
    with pytest.raises(DirectoryError, match="another participant"):
        edit.enter_keys(state, ParticipantId("fr/focal-point"), records)
    with pytest.raises(DirectoryError, match="no such participant"):
        edit.enter_keys(state, ParticipantId("fr/nobody"), ())


def test_keys_are_closed_by_any_of_their_ids(world):
    state = world.state("fr")
    for kid in world.agencies["fr/customs"].signing.kids:
        closed = edit.close_key(state, kid, 77)
        assert [record.life.closed_at for record in closed.participants[0].keys] == [77, None, None]
        assert closed.participants[1] == state.participants[1]
    with pytest.raises(DirectoryError, match="has the key"):
        edit.close_key(state, world.agencies["de/police"].request.kid, 1)


def test_focal_point_and_suspension(world):
    state = world.state("fr")
    who = ParticipantId("fr/customs")
    assert edit.set_focal_point(state, who).focal_point == who
    assert edit.suspend(state, who).participant(who).suspended
    assert edit.suspend(edit.suspend(state, who), who, suspended=False) == state
    for work in (edit.set_focal_point, edit.suspend):
        with pytest.raises(DirectoryError):
            work(replace(state, focal_point=None), ParticipantId("de/police"))
