"""Trust as a value: what is remembered of it equals what it would say afresh."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.directory import edit
from keys.directory.directory import Moment
from keys.directory.records import Life, SealingRecord
from keys.seal import SealingKey
from schemas.encoding import from_seconds
from schemas.ids import Role
from tests.paper import trust_in
from tests.world import make_world

MEMBERS = ("kz/customs", "kz/focal-point", "uz/police", "int/unodc/organisation")


@pytest.fixture(scope="module")
def world():
    return make_world(MEMBERS)


@pytest.fixture(scope="module")
def keys():
    return [SealingKey.generate() for _ in range(4)]


@settings(max_examples=100)
@given(data=st.data())
def test_the_newest_keys_are_the_same_remembered_or_not(world, keys, data):
    """In any order of places and times, also backwards, as a clock may run and a failed chunk is decided again."""
    directory = world.directory
    roles = dict(directory.roles)
    for number, key in enumerate(keys):
        who = ("kz/customs", "uz/police")[number % 2]
        life = Life(from_seconds(world.now + data.draw(st.integers(-3, 6))), data.draw(st.none() | st.integers(0, 8)))
        record = SealingRecord(who, life, key.kid, key.public_key(), key.jwk["pub"])
        roles[Role(who[:2])] = edit.enter_keys(roles[Role(who[:2])], who, [record])
    revoked = data.draw(st.dictionaries(st.sampled_from([key.kid for key in keys]), st.integers(0, 3), max_size=2))
    trust = trust_in(world, replace(directory, roles=roles), revoked=revoked)
    # A trust is made anew when a key is revoked, so no place that it is asked about comes before those.
    places = st.tuples(st.integers(4, 8), st.sampled_from([-1, 0, 999, 1000, 2000, 2001]))
    if data.draw(st.booleans()):
        places = st.tuples(st.integers(4, 8), st.just(1000))
    for index, ms in data.draw(st.lists(places, min_size=3, max_size=8)):
        moment = Moment(index, world.now * 1000 + ms)
        fresh = trust_in(world, trust.directory, revoked=revoked).current(moment)
        assert trust.current(moment) == fresh
        newest = {
            record.kid: who
            for who in trust.directory.participants
            if (record := trust.directory.newest_sealing(who, moment, revoked)) is not None
        }
        assert fresh == newest


def test_what_is_remembered_ends_where_a_key_begins_or_is_closed(world, keys):
    key, role, who = keys[0], Role("kz"), "kz/customs"
    record = SealingRecord(who, Life(from_seconds(world.now + 1), 6), key.kid, key.public_key(), key.jwk["pub"])
    state = edit.enter_keys(world.directory.roles[role], who, [record])
    trust = trust_in(world, replace(world.directory, roles={**world.directory.roles, role: state}))
    before, begin = world.now * 1000 + 999, (world.now + 1) * 1000
    for index, ms, counts in (
        (4, before, False),
        (4, begin, True),
        (5, begin, True),
        (6, begin, False),
        (5, begin, True),
    ):
        assert (trust.current(Moment(index, ms)).get(key.kid) == who) is counts


def test_parties_are_the_directorys(world):
    directory = world.directory
    state = edit.suspend(directory.roles[Role("uz")], "uz/police")
    trust = trust_in(world, replace(directory, roles={**directory.roles, Role("uz"): state}))
    assert sorted(trust.parties) == sorted(MEMBERS)
    assert [who for who, party in trust.parties.items() if party.suspended] == ["uz/police"]
    organisation = trust.parties["int/unodc/organisation"]
    assert (organisation.role, organisation.kind) == ("int-unodc", "organisation")
    assert trust.focal_point(Role("kz")) == "kz/focal-point"
    assert trust.focal_point(Role("uz")) is None
    assert trust.focal_point(Role("fr")) is None
    assert trust.version == (directory.version, None)
