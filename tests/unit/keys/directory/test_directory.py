"""What a verified directory answers: whose key, in force when, which is the newest."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.directory import edit
from keys.directory.directory import Directory, Moment
from keys.directory.errors import DirectoryError
from keys.directory.records import Life
from keys.errors import RevokedKeyError, UnknownKeyError
from keys.sign import Ed25519Signer
from schemas.encoding import from_seconds
from schemas.ids import Kid, ParticipantId, Role

CUSTOMS = ParticipantId("fr/customs")
POLICE = ParticipantId("de/police")
HERE = Moment(10, 1_800_000_000_000)


def test_keys_are_found_by_their_ids(world):
    directory = world.directory()
    agency = world.agencies[CUSTOMS]
    assert directory.signing(agency.signing.kids).public.ed25519 == agency.signing.public.ed25519
    assert directory.signing(agency.signing.kids).participant == CUSTOMS
    assert directory.request(agency.request.kid).public == agency.request.public
    assert directory.sealing(agency.sealing.kid).kid == agency.sealing.kid
    for kid in (*agency.signing.kids, agency.request.kid, agency.sealing.kid):
        assert directory.owner(kid) == CUSTOMS


def test_mixed_pairs_and_other_uses_are_unknown(world):
    directory = world.directory()
    ours, theirs = world.agencies[CUSTOMS], world.agencies[POLICE]
    first, second = ours.signing.kids
    for pair in ((first, theirs.signing.kids[1]), (second, first), (first, first), (ours.request.kid, second)):
        with pytest.raises(UnknownKeyError):
            directory.signing(pair)
    with pytest.raises(UnknownKeyError):
        directory.request(ours.sealing.kid)
    with pytest.raises(UnknownKeyError):
        directory.sealing(ours.request.kid)
    assert directory.owner(Ed25519Signer.generate().kid) is None


def test_participants_and_focal_points(world):
    directory = world.directory()
    assert directory.participant(CUSTOMS).id == CUSTOMS
    assert directory.participant(ParticipantId("fr/nobody")) is None
    assert directory.focal_point(Role("fr")).id == "fr/focal-point"
    assert directory.focal_point(Role("de")) is None
    assert directory.focal_point(Role("it")) is None
    assert directory.laws.keys() == {"fr", "de"}
    assert directory.role_versions["fr-law"] == 1
    assert directory.origin == world.origin
    assert directory.log.keys.origin == world.origin
    assert directory.network == world.network["network/network.json"]


def test_a_directory_cannot_be_changed(world):
    directory = world.directory()
    with pytest.raises(TypeError):
        directory.roles["fr"] = None
    with pytest.raises(TypeError):
        directory.participants[CUSTOMS] = None


_kids = st.sampled_from([Kid("a" * 42 + "A"), Kid("b" * 42 + "A"), Kid("c" * 42 + "A")])


@given(
    begins=st.integers(0, 100),
    closed=st.none() | st.integers(0, 20),
    index=st.integers(0, 20),
    received_at=st.integers(0, 100_000),
    revoked=st.dictionaries(_kids, st.integers(0, 20)),
)
def test_in_force_is_what_the_design_says(world, begins, closed, index, received_at, revoked):
    record = next(iter(world.agencies[CUSTOMS].records()))
    kids = (Kid("a" * 42 + "A"), Kid("b" * 42 + "A"))
    record = replace(record, kids=kids, life=Life(from_seconds(begins), closed))
    expected = (
        begins * 1000 <= received_at
        and (closed is None or index < closed)
        and not any(revoked[kid] < index for kid in kids if kid in revoked)
    )
    moment = Moment(index, received_at)
    assert Directory.in_force(record, moment, revoked) is expected
    if expected:
        Directory.demand_in_force(record, moment, revoked)
    else:
        with pytest.raises(RevokedKeyError):
            Directory.demand_in_force(record, moment, revoked)


def test_the_newest_sealing_key_in_force(world, new_agency):
    others = [new_agency(CUSTOMS) for _ in range(4)]
    begins = (world.now + 100, world.now + 100, world.now + 200, world.now)
    records = [other.sealing_record(when) for other, when in zip(others, begins, strict=True)]
    state = edit.enter_keys(world.state("fr"), CUSTOMS, records)
    directory = world.publish("fr", state).directory()
    own = world.agencies[CUSTOMS].sealing.kid
    twins = sorted((others[0].sealing.kid, others[1].sealing.kid), reverse=True)
    oldest = sorted((others[3].sealing.kid, own), reverse=True)
    order = [others[2].sealing.kid, *twins, *oldest]

    def newest(at: int, revoked: dict[Kid, int]) -> Kid | None:
        record = directory.newest_sealing(CUSTOMS, Moment(10, at * 1000), revoked)
        return None if record is None else record.kid

    assert newest(world.now + 200, {}) == order[0]
    assert newest(world.now + 199, {}) == order[1]
    assert newest(world.now + 99, {}) == order[3]
    assert newest(world.now - 1, {}) is None
    for gone in range(len(order)):
        revoked = dict.fromkeys(order[:gone], 9)
        assert newest(world.now + 200, revoked) == order[gone]
    assert newest(world.now + 200, dict.fromkeys(order, 10)) == order[0]
    assert newest(world.now + 200, dict.fromkeys(order, 9)) is None
    assert directory.newest_sealing(ParticipantId("fr/nobody"), HERE, {}) is None


def test_a_key_id_occurs_once_in_the_whole_directory(world, new_participant):
    stolen = replace(world.agencies[CUSTOMS].sealing_record(), participant=POLICE)
    state = edit.enter_keys(world.state("de"), POLICE, [stolen])
    with pytest.raises(DirectoryError, match="twice") as caught:
        world.publish("de", state)
    assert caught.value.code == "directory"


def test_a_key_id_occurs_once_in_a_participant(world):
    state = world.state("fr")
    one = state.participant(CUSTOMS)
    doubled = edit.set_participant(state, replace(one, keys=(*one.keys, one.keys[0])), Role("fr"))
    with pytest.raises(DirectoryError, match="twice"):
        world.publish("fr", doubled)
