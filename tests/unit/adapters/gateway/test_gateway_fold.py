"""What open statements and events do to what a gateway knows, one leaf at a time; and what an honest log does not hold."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gateway.fold import Found, fold, found, newest_directory
from adapters.gateway.state import LogState, read_log, write_log
from adapters.gateway.store import opened
from keys import digests
from keys.custody.cells import Cells
from keys.log.merkle import Frontier, leaf_hash
from schemas.encoding import b64encode, from_seconds
from schemas.errors import FormError
from schemas.event import Boundary, Day, DirectoryVersion, Erasure, Event, LogKey
from schemas.ids import Code, LedgerIndex, NoticeId, Origin
from schemas.leaf import Leaf, LeafType
from schemas.statement import DelegationBody, RevocationBody, SubscriptionBody
from tests.world import ORIGIN, make_world

NONCE = b64encode(bytes(16))
DIGEST = b64encode(bytes(32))
NOTICE = NoticeId("01935f2e-8c00-7a3b-9c4d-5e6f70819203")
PEOPLE = ("kz/customs", "kz/focal-point", "uz/focal-point", "uz/police")


@pytest.fixture(scope="module")
def world():
    return make_world(PEOPLE)


@pytest.fixture(scope="module")
def directory(world):
    return world.directory


def said(world, signed, index=10) -> Found:
    digest = digests.statement_leaf(signed.statement_bytes, signed.proof_bytes)
    leaf = Leaf(LeafType.OPEN, world.now * 1000, digest)
    return found(LedgerIndex(index), leaf, signed.statement_bytes, signed.proof_bytes)


def happened(what, index=10, origin=ORIGIN, **changes) -> Found:
    event = Event(origin, NONCE, what)
    leaf = Leaf(event.leaf_type, 0, digests.event_leaf(event.encode()))
    return Found(LedgerIndex(index), replace(leaf, **changes), event.encode(), None)


def subscribe(world, who, *patterns, act="subscribe", by=None, index=10) -> Found:
    return said(world, world.open_envelope(by or who, act, SubscriptionBody(who, tuple(sorted(patterns)))), index)


def test_what_is_served_must_be_what_the_leaf_stands_for(world):
    event = Event(ORIGIN, NONCE, Boundary("2026-01-01T00:00:00Z")).encode()
    good = Leaf(LeafType.BOUNDARY, 0, digests.event_leaf(event))
    assert found(LedgerIndex(1), good, event, None).document == event
    for leaf, document, proof in (
        (good, event + b" ", None),
        (good, event, b"proof"),
        (replace(good, type=LeafType.OPEN), event, None),
    ):
        with pytest.raises(FormError):
            found(LedgerIndex(1), leaf, document, proof)


def test_subscriptions_come_and_go(world, directory):
    folded = fold(LogState(), [subscribe(world, "uz/police", "*.*", "osce.routes")], directory, ORIGIN)
    assert folded.changed
    assert folded.state.subscriptions == {"uz/police": {"*.*": 10, "osce.routes": 10}}
    more = [
        subscribe(world, "uz/police", "osce.routes", act="unsubscribe"),
        subscribe(world, "uz/police", "*.seizures", by="uz/focal-point"),
    ]
    folded = fold(folded.state, more, directory, ORIGIN)
    assert set(folded.state.subscriptions["uz/police"]) == {"*.*", "*.seizures"}
    everything = subscribe(world, "uz/police", "*.*", "*.seizures", act="unsubscribe")
    assert fold(folded.state, [everything], directory, ORIGIN).state.subscriptions == {}


def test_what_was_taken_back_cannot_be_brought_again_a_month_later(world, directory):
    once = subscribe(world, "uz/police", "*.*")
    folded = fold(LogState(), [once, subscribe(world, "uz/police", "*.*", act="unsubscribe")], directory, ORIGIN)
    late = replace(once.leaf, received_at=once.leaf.received_at + 30 * 24 * 3600 * 1000)
    again = fold(folded.state, [replace(once, leaf=late, index=LedgerIndex(99))], directory, ORIGIN)
    assert (again.state.subscriptions, len(again.odd)) == ({}, 1)


def test_a_revocation_counts_from_its_leaf_and_once(world, directory):
    kid = world.people["uz/police"].sealing.kid
    body = RevocationBody("uz/police", (kid,), Code("lost"))
    first = said(world, world.open_envelope("uz/focal-point", "revoke_key", body), 5)
    again = said(world, world.open_envelope("uz/police", "revoke_key", body), 9)
    folded = fold(LogState(), [first, again], directory, ORIGIN)
    assert folded.state.revoked == {kid: 5}
    assert folded.odd == ()


def test_what_a_revoked_identity_says_later_is_odd(world, directory):
    person = world.people["uz/police"]
    body = RevocationBody("uz/police", (min(person.signing.kids),), Code("lost"))
    revoke = said(world, world.open_envelope("uz/focal-point", "revoke_key", body), 5)
    folded = fold(LogState(), [revoke, subscribe(world, "uz/police", "*.*")], directory, ORIGIN)
    assert folded.state.subscriptions == {}
    assert len(folded.odd) == 1


@pytest.mark.parametrize("by", ["kz/customs", "kz/focal-point"])
def test_nobody_else_speaks_for_a_participant(world, directory, by):
    folded = fold(LogState(), [subscribe(world, "uz/police", "*.*", by=by)], directory, ORIGIN)
    assert (folded.state.subscriptions, folded.changed) == ({}, False)
    assert "Neither" in folded.odd[0]
    foreign = RevocationBody("kz/customs", (world.people["uz/police"].sealing.kid,), Code("lost"))
    folded = fold(
        LogState(), [said(world, world.open_envelope("kz/customs", "revoke_key", foreign))], directory, ORIGIN
    )
    assert (folded.state.revoked, len(folded.odd)) == ({}, 1)


def test_another_deployments_statements_do_nothing(world, directory):
    other = subscribe(world, "uz/police", "*.*")
    folded = fold(LogState(), [other], directory, Origin("test.invalid/other"))
    assert (folded.changed, len(folded.odd)) == (False, 1)


def delegate(world, to="uz/police", by="uz/focal-point", index=0, since=-60, until=60):
    body = DelegationBody(to, from_seconds(world.now + since), from_seconds(world.now + until))
    return said(world, world.open_envelope(by, "delegate", body), index)


def test_who_stands_in_speaks_for_the_state_as_long_as_it_does(world, directory):
    subscription = subscribe(world, "uz/focal-point", "*.*", by="uz/police", index=9)
    folded = fold(LogState(), [subscription], directory, ORIGIN)
    assert len(folded.odd) == 1
    folded = fold(LogState(), [delegate(world), subscription], directory, ORIGIN)
    assert folded.odd == ()
    assert folded.state.subscriptions == {"uz/focal-point": {"*.*": 9}}
    for other in (
        delegate(world, until=0),
        delegate(world, since=1),
        delegate(world, to="uz/focal-point", by="uz/focal-point"),
    ):
        folded = fold(LogState(), [other, subscription], directory, ORIGIN)
        assert len(folded.odd) == 1
    # Known from before, it counts as well; and it is not another State's affair.
    known = fold(LogState(), [delegate(world)], directory, ORIGIN).state
    assert fold(known, [subscription], directory, ORIGIN).odd == ()
    foreign = subscribe(world, "kz/customs", "*.*", by="uz/police", index=9)
    assert len(fold(known, [foreign], directory, ORIGIN).odd) == 1


def test_only_a_focal_point_has_somebody_stand_in(world, directory):
    for by, to in (("uz/police", "uz/police"), ("kz/customs", "kz/customs"), ("uz/focal-point", "kz/customs")):
        folded = fold(LogState(), [delegate(world, to=to, by=by)], directory, ORIGIN)
        assert (folded.state.delegations, len(folded.odd)) == ((), 1)


def test_the_newest_word_on_a_beginning_counts(world, directory):
    first, second = delegate(world, index=3, until=600), delegate(world, index=5, until=30)
    other = delegate(world, index=7, since=-30)
    folded = fold(LogState(), [first, second, other], directory, ORIGIN)
    assert [(one.index, one.body.until) for one in folded.state.delegations] == [
        (5, from_seconds(world.now + 30)),
        (7, from_seconds(world.now + 60)),
    ]
    assert folded.changed


def test_events_follow_each_other(directory):
    things = [
        happened(DirectoryVersion(1, DIGEST), 1),
        happened(Boundary("2026-01-01T00:00:00Z"), 2),
        happened(DirectoryVersion(2, DIGEST), 3),
        happened(LogKey(1, "k", "AA", "added"), 4),
        happened(Erasure(NOTICE, Code("expired")), 5),
        happened(Day("2026-01-01", 1, DIGEST), 6),
    ]
    folded = fold(LogState(), things, directory, ORIGIN)
    state = folded.state
    assert (state.directory, state.directory_index, state.boundary) == (2, 3, "2026-01-01T00:00:00Z")
    assert [item.notice_id for item in folded.erasures] == [NOTICE]
    assert folded.odd == ()
    assert newest_directory(LogState(), things) == (2, 3, bytes(32))
    assert newest_directory(state, things) is None


@pytest.mark.parametrize(
    "odd",
    [
        happened(DirectoryVersion(2, DIGEST)),
        happened(DirectoryVersion(4, DIGEST)),
        happened(Boundary("2026-01-01T00:00:00Z")),
        happened(Boundary("2025-01-01T00:00:00Z")),
        happened(Boundary("2027-01-01T00:00:00Z"), origin=Origin("test.invalid/other")),
        happened(Boundary("2027-01-01T00:00:00Z"), type=LeafType.KEY),
        Found(LedgerIndex(3), Leaf(LeafType.DIRECTORY, 0, bytes(32)), b"nonsense", None),
    ],
)
def test_what_does_not_follow_is_odd_and_changes_nothing(directory, odd):
    state = LogState(directory=2, boundary="2026-01-01T00:00:00Z")
    folded = fold(state, [odd], directory, ORIGIN)
    assert folded.state == state
    assert len(folded.odd) == 1
    assert newest_directory(state, [odd]) is None


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_what_was_folded_is_read_back_from_the_store_as_it_was(tmp_path_factory, data):
    name = st.sampled_from(["kz/customs", "uz/police"])
    pattern = st.sampled_from(["*.*", "a.b"])
    index = st.integers(0, 2**40)
    state = LogState(
        frontier=Frontier().extend(leaf_hash(bytes([n])) for n in range(data.draw(st.integers(0, 40)))),
        note=data.draw(st.binary(max_size=20)),
        directory=data.draw(index),
        directory_index=data.draw(index),
        snapshot=data.draw(st.none() | st.binary(min_size=32, max_size=32)),
        boundary=data.draw(st.none() | st.just("2026-01-01T00:00:00Z")),
        revoked=data.draw(st.dictionaries(st.sampled_from("ab"), index)),
        subscriptions=data.draw(st.dictionaries(name, st.dictionaries(pattern, index, min_size=1))),
    )
    with opened(tmp_path_factory.mktemp("state") / "gateway.db", Cells(bytes(32))) as store:

        def work(tx):
            write_log(tx, state, changed=True)
            write_log(tx, state, changed=False)
            return read_log(tx)

        assert store.read_now(read_log) == LogState()
        assert store.read_now(work) == state
