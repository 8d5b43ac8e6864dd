"""Key records are append-only, at upload and for clients."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.directory import edit
from keys.directory.append_only import check_append_only
from keys.directory.errors import DirectoryAppendOnlyError
from keys.directory.records import Names
from schemas.encoding import Time, from_seconds
from schemas.ids import Code, ParticipantId, Role

CUSTOMS = ParticipantId("fr/customs")
FR = Role("fr")


@pytest.fixture(scope="module")
def state(world):
    return world.state("fr")


@pytest.fixture(scope="module")
def kid(world):
    return world.agencies[CUSTOMS].sealing.kid


def check(old, new, *, tree_size=0, now_s=1_800_000_000, at_upload=True):
    check_append_only(old, new, tree_size=tree_size, now_s=now_s, at_upload=at_upload)


def refused(old, new, match, pointer=None, **more):
    with pytest.raises(DirectoryAppendOnlyError, match=match) as caught:
        check(old, new, **more)
    assert caught.value.code == "directory-append-only"
    assert caught.value.pointer == pointer


def change(state, **changes):
    """Return the file with its first participant's second key, the sealing key, changed."""
    one = state.participants[0]
    keys = (one.keys[0], replace(one.keys[1], **changes), *one.keys[2:])
    return edit.set_participant(state, replace(one, keys=keys), FR)


def test_the_same_is_no_change(state):
    check(state, state)
    check(state, state, now_s=2_000_000_000)


def test_what_is_the_roles_own_may_change(state):
    one = state.participants[0]
    changed = replace(one, names=Names.same("Other"), kind=Code("police"), roles=(Code("a"),), clearance=Code("c"))
    new = edit.set_participant(replace(state, languages=("de",), focal_point=None), changed, FR)
    check(state, new)
    check(state, edit.suspend(state, CUSTOMS))
    check(edit.suspend(state, CUSTOMS), state)


def test_a_participant_is_never_removed(state):
    refused(state, replace(state, participants=state.participants[1:]), "participant was removed")
    for at_upload in (True, False):
        refused(state, replace(state, participants=(), focal_point=None), "removed", at_upload=at_upload)


def test_a_record_is_never_removed(state):
    one = state.participants[0]
    new = edit.set_participant(state, replace(one, keys=one.keys[1:]), FR)
    refused(state, new, "record was removed")
    refused(state, new, "record was removed", at_upload=False)


def test_records_may_stand_in_another_order(state):
    one = state.participants[0]
    check(state, edit.set_participant(state, replace(one, keys=one.keys[::-1]), FR))


@pytest.mark.parametrize("at_upload", [True, False])
def test_a_record_is_never_altered(state, at_upload):
    one = state.participants[0]
    later = replace(one.keys[1].life, from_=Time("2031-01-01T00:00:00Z"))
    pointer = "/participants/0/keys/1"
    refused(state, change(state, life=later), "altered", pointer, at_upload=at_upload)
    signing = replace(one.keys[0], gateway=Code("gate-2"))
    moved = edit.set_participant(state, replace(one, keys=(signing, *one.keys[1:])), FR)
    refused(state, moved, "altered", "/participants/0/keys/0", at_upload=at_upload)


def test_a_record_does_not_move_to_another_participant(state):
    one, other = state.participants
    moved = replace(one.keys[1], participant=other.id)
    new = edit.set_participant(state, replace(one, keys=(one.keys[0], one.keys[2])), FR)
    new = edit.set_participant(new, replace(other, keys=(*other.keys, moved)), FR)
    refused(state, new, "altered", "/participants/1/keys/3")


@given(closed=st.integers(0, 20), tree_size=st.integers(0, 20), at_upload=st.booleans())
def test_a_key_is_closed_at_an_index_that_is_not_reached(state, kid, closed, tree_size, at_upload):
    new = edit.close_key(state, kid, closed)
    if closed >= tree_size:
        check(state, new, tree_size=tree_size, at_upload=at_upload)
    else:
        pointer = "/participants/0/keys/1/closed_at"
        refused(state, new, "not reached", pointer, tree_size=tree_size, at_upload=at_upload)


@pytest.mark.parametrize("then", [None, 4, 6, 500])
def test_a_key_is_closed_once(state, kid, then):
    closed = edit.close_key(state, kid, 5)
    check(closed, closed, tree_size=100)
    new = change(closed, life=replace(closed.participants[0].keys[1].life, closed_at=then))
    refused(closed, new, "once and for ever", "/participants/0/keys/1/closed_at", tree_size=100, at_upload=False)


def test_a_suspicion_may_come_and_go(state, kid):
    flagged = edit.mark_suspect(state, kid, from_seconds(1_700_000_000))
    check(state, flagged)
    check(flagged, edit.mark_suspect(flagged, kid, from_seconds(1_600_000_000)))
    check(flagged, state)


@given(late=st.integers(-1000, 1000))
def test_a_new_record_does_not_begin_in_the_past(world, state, new_agency_once, late):
    new = edit.enter_keys(state, CUSTOMS, [new_agency_once.sealing_record(world.now - late)])
    check(state, new, at_upload=False)
    if late <= 60:
        check(state, new)
    else:
        refused(state, new, "in the past", "/participants/0/keys/3/from")


@pytest.fixture(scope="module")
def new_agency_once(new_agency):
    return new_agency(CUSTOMS)


def test_a_first_file_is_checked_too(state, kid):
    check(None, state)
    refused(None, state, "in the past", "/participants/0/keys/0/from", now_s=1_800_000_061)
    check(None, state, now_s=1_800_000_061, at_upload=False)
    refused(None, edit.close_key(state, kid, 3), "not reached", "/participants/0/keys/1/closed_at", tree_size=4)
