"""Outbox and inbox as tables of states: pages, cursors, counts, and effects that come late or from the wrong hand."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gateway import inbox, outbox, state
from adapters.gateway.draft import Draft
from adapters.gateway.inbox import Arrival
from adapters.gateway.outbox import Addressed, IdempotencyError, Key, Parts, Publication, Sealing
from adapters.gateway.recall import NotRecallableError, recall
from adapters.gateway.request import RecallRequest
from adapters.gateway.status import Addressee, Alarm, Denial, InboxState, LeftOut, State, Trouble, Via
from adapters.gateway.store import opened
from keys.custody.cells import Cells
from schemas.ids import LedgerIndex, new_notice_id
from tests.world import LABEL, make_world

WHO, OTHER = "kz/customs", "uz/focal-point"
DENIAL = Denial(OTHER, "c", "law", "uz", "Act", "1", {"en": "No."}, "broker")
TROUBLE = Trouble("denied", "No.", "Change it.", "/label", (DENIAL,))


@pytest.fixture
def store(tmp_path):
    with opened(tmp_path / "gateway.db", Cells(bytes(32))) as made:
        yield made


def do(store, work):
    """Run work and keep it."""
    import asyncio

    return asyncio.run(store.write(work))


def a_draft(act="issue", **changes) -> Draft:
    return replace(Draft(act, "osce.routes", LABEL, {"kind": "route"}, (), "2030-01-01T00:00:00Z"), **changes)


def accept(tx, number=1, **changes):
    drafts = [(new_notice_id(1000), a_draft()) for _ in range(number)]
    return [item.notice_id for item in outbox.accept(tx, WHO, drafts, at=5000, **changes)]


def seal(tx, name, *to):
    (entry,) = [item for item in outbox.waiting(tx, WHO, after=0, limit=100) if item.id == name]
    parts = Parts(new_notice_id(1000) if entry.sealed_before else name, name.encode(), b"proof", b"sealed")
    people = tuple(Addressee(who, Via.NAMED) for who in (WHO, *to))
    outbox.keep_sealed(tx, [Sealing(entry.seq, parts, Addressed(people))], at=6000)
    return entry.seq, parts


def publish(tx, name, *to, index=7):
    seq, parts = seal(tx, name, *to)
    outbox.mark_published(tx, [Publication(seq, "receipt", LedgerIndex(index), 7000)])
    return parts


def test_the_same_key_is_the_same_entry_and_lasts_a_month(store):
    def work(tx):
        key = Key("k", b"r")
        (first,) = accept(tx, key=key)
        assert outbox.accept(tx, WHO, [(new_notice_id(1), a_draft())], at=6000, key=key)[0].notice_id == first
        with pytest.raises(IdempotencyError):
            accept(tx, key=Key("k", b"other"))
        accept(tx, key=Key("another", b"r"))
        later = 6000 + outbox.KEY_KEPT_MS
        (new,) = outbox.accept(tx, WHO, [(new_notice_id(1), a_draft())], at=later, key=Key("third", b"r"))
        assert new.created
        rows = tx.connection.execute("SELECT count(*) FROM idempotency").fetchone()
        assert rows == (1,)

    do(store, work)


def test_pages_and_counts(store):
    def work(tx):
        names = accept(tx, 5)
        publish(tx, names[1])
        found, cursor = outbox.statuses(tx, WHO, after=0, limit=2, state=None)
        assert [item.id for item in found] == names[:2]
        rest, _ = outbox.statuses(tx, WHO, after=cursor, limit=10, state=None)
        assert [item.id for item in rest] == names[2:]
        kept, _ = outbox.statuses(tx, WHO, after=0, limit=10, state=State.KEPT)
        assert [item.id for item in kept] == [names[0], *names[2:]]
        assert outbox.statuses(tx, "xx/other", after=3, limit=10, state=None) == ([], 3)
        assert outbox.counts(tx) == {(WHO, State.KEPT): 4, (WHO, State.PUBLISHED): 1}
        assert outbox.status(tx, "xx/other", names[0]) is None

    do(store, work)


def test_only_what_is_kept_is_sealed_and_only_what_is_sealed_is_published(store):
    def work(tx):
        (name,) = accept(tx)
        seq, parts = seal(tx, name)
        with pytest.raises(RuntimeError):
            outbox.keep_sealed(tx, [Sealing(seq, parts, Addressed())], at=1)
        outbox.mark_published(tx, [Publication(seq, "r", LedgerIndex(1), 1)])
        for end in (outbox.mark_refused, outbox.mark_expired):
            end(tx, seq, TROUBLE, None)
        outbox.postpone(tx, seq, TROUBLE)
        outbox.free(tx, seq, TROUBLE, Addressed(), "refusal")
        found = outbox.status(tx, WHO, name)
        assert (found.state, found.receipt, found.problem) == (State.PUBLISHED, "r", None)
        assert outbox.waiting(tx, WHO, after=0, limit=9) == []

    do(store, work)


def test_why_it_is_where_it_is_comes_back_as_it_was(store):
    left = Addressed((), (LeftOut(OTHER, Via.SUBSCRIPTION, "No.", DENIAL), LeftOut("xx/y", Via.NAMED, "Gone.")))

    def work(tx):
        one, two, three = accept(tx, 3)
        seq, _ = seal(tx, one)
        outbox.free(tx, seq, TROUBLE, left, "refusal")
        outbox.give_back(tx, seq + 1, TROUBLE, left)
        outbox.mark_expired(tx, seq + 2, TROUBLE, None)
        freed, returned, expired = (outbox.status(tx, WHO, name) for name in (one, two, three))
        assert (freed.state, freed.problem, freed.refusal, freed.left_out) == (
            State.KEPT,
            TROUBLE,
            "refusal",
            left.left_out,
        )
        assert (returned.state, returned.left_out, returned.problem.title) == (
            State.RETURNED,
            left.left_out,
            "The rules deny the sender or some recipients",
        )
        assert expired.state is State.EXPIRED
        (entry,) = outbox.waiting(tx, WHO, after=0, limit=9)
        assert entry.sealed_before
        assert entry.addressed == left

    do(store, work)


def test_a_recall_takes_corrections_and_theirs_along(store):
    def work(tx):
        (first,) = accept(tx)
        publish(tx, first, OTHER)
        previous, chain = first, [first]
        for _ in range(2):
            draft = a_draft("correct", ref=previous, thread=first)
            (kept,) = outbox.accept(tx, WHO, [(new_notice_id(1), draft)], at=1, ref=previous)
            publish(tx, kept.notice_id, OTHER)
            previous = kept.notice_id
            chain.append(previous)
        assert [outbox.status(tx, WHO, name).state for name in chain] == [
            State.CORRECTED,
            State.CORRECTED,
            State.PUBLISHED,
        ]
        assert all(outbox.status(tx, WHO, name).notice for name in chain)
        kept = recall(tx, WHO, first, RecallRequest(), at=1)
        publish(tx, kept.notice_id, OTHER)
        assert {outbox.status(tx, WHO, name).state for name in chain} == {State.RECALLED}
        assert {outbox.status(tx, WHO, name).notice for name in (*chain, kept.notice_id)} == {None}
        assert recall(tx, WHO, first, RecallRequest(), at=2) == replace(kept, created=False)
        with pytest.raises(NotRecallableError):
            recall(tx, WHO, kept.notice_id, RecallRequest(), at=2)

    do(store, work)


def test_an_erasure_by_time_ends_a_notice_and_its_recall(store):
    def work(tx):
        (name,) = accept(tx)
        publish(tx, name, OTHER)
        outbox.mark_erased(tx, name, "recall")
        assert outbox.status(tx, WHO, name).state is State.PUBLISHED
        outbox.mark_erased(tx, name, "expired")
        assert outbox.status(tx, WHO, name).state is State.EXPIRED
        with pytest.raises(NotRecallableError):
            recall(tx, WHO, name, RecallRequest(), at=2)

    do(store, work)


def test_an_acknowledgement_counts_for_a_recipient_and_the_very_statement(store):
    import hashlib

    def work(tx):
        (name,) = accept(tx)
        parts = publish(tx, name, OTHER)
        digest = hashlib.sha256(parts.statement).digest()
        assert not outbox.mark_acknowledged(tx, WHO, OTHER, name, bytes(32), at=1)
        assert not outbox.mark_acknowledged(tx, WHO, "xx/y", name, digest, at=1)
        assert not outbox.mark_acknowledged(tx, OTHER, OTHER, name, digest, at=1)
        assert outbox.mark_acknowledged(tx, WHO, OTHER, name, digest, at=9000)
        assert outbox.mark_acknowledged(tx, WHO, OTHER, name, digest, at=99000)
        (by,) = outbox.status(tx, WHO, name).acknowledged_by
        assert (by.participant, by.acknowledged_at) == (OTHER, "1970-01-01T00:00:09Z")

    do(store, work)


# The inbox


@pytest.fixture(scope="module")
def world():
    return make_world((WHO, OTHER))


def arrival(world, act="issue", sender=OTHER, ref=None, state_=InboxState.OPENED, **changes) -> Arrival:
    statement = world.statement(sender, act)
    if ref is not None:
        statement = replace(statement, ref=ref, thread=ref)
    given = {
        "statement": statement,
        "digest": bytes(32),
        "index": LedgerIndex(1),
        "received_at": 1000,
        "state": state_,
        "notice": {"kind": act},
        "obligations": ({"condition": "h1"},),
    }
    return Arrival(**{**given, **changes})


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(4)), st.lists(st.integers(1, 4), max_size=3))
def test_in_whatever_order_they_come_a_recalled_notice_and_its_correction_are_erased(world, order, again):
    first = arrival(world)
    name = first.statement.notice_id
    correction = arrival(world, "correct", ref=name)
    recalled = arrival(world, "recall", ref=name)
    foreign = arrival(world, "recall", sender=WHO, ref=name)
    everything = [first, correction, recalled, foreign]
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "gateway.db", Cells(bytes(32))) as store:

        def work(tx):
            for number, place in enumerate([*order, *again]):
                inbox.put(tx, WHO, [everything[place % 4]], number, at=2000)
            items, _ = inbox.items(tx, WHO, after=0, limit=10)
            return {item.notice_id: item for item in items}

        found = do(store, work)
    assert len(found) == 4
    for item in (found[name], found[correction.statement.notice_id]):
        assert (item.state, item.notice) == (InboxState.RECALLED, None)
        assert item.recalled_by == recalled.statement.notice_id
    assert found[foreign.statement.notice_id].state is InboxState.OPENED


def test_what_is_unverified_has_no_effect(world, store):
    first = arrival(world)
    name = first.statement.notice_id
    forged = arrival(world, "recall", ref=name, state_=InboxState.UNVERIFIED, reason="bent", evidence=b"e")

    def work(tx):
        inbox.put(tx, WHO, [first, forged], 2, at=1)
        item = inbox.item(tx, WHO, name)
        assert (item.state, item.notice, item.obligations) == (
            InboxState.OPENED,
            {"kind": "issue"},
            ({"condition": "h1"},),
        )
        late = arrival(world, "correct", ref=name)
        inbox.put(tx, WHO, [late], 3, at=1)
        assert inbox.item(tx, WHO, late.statement.notice_id).state is InboxState.OPENED
        assert inbox.item(tx, WHO, forged.statement.notice_id).reason == "bent"
        assert inbox.acknowledge(tx, WHO, [forged.statement.notice_id, name], at=5) == [name]

    do(store, work)


def test_a_recall_does_not_erase_evidence(world, store):
    bent = arrival(world, state_=InboxState.UNVERIFIED, reason="bent", evidence=b"e")
    name = bent.statement.notice_id
    other = arrival(world, "correct", ref=name, state_=InboxState.UNVERIFIED, reason="bent", evidence=b"e")

    def work(tx):
        inbox.put(tx, WHO, [bent, other, arrival(world, "recall", ref=name)], 3, at=1)
        for item in (bent, other):
            assert inbox.item(tx, WHO, item.statement.notice_id).state is InboxState.UNVERIFIED
        assert tx.connection.execute("SELECT count(evidence) FROM inbox").fetchone() == (2,)

    do(store, work)


def test_a_recall_takes_along_as_many_corrections_as_there_are(world, store):
    chain = [arrival(world)]
    for _ in range(1100):
        chain.append(arrival(world, "correct", ref=chain[-1].statement.notice_id))
    recalled = arrival(world, "recall", ref=chain[0].statement.notice_id)

    def work(tx):
        inbox.put(tx, WHO, [*chain, recalled], 1, at=1)
        states = tx.connection.execute("SELECT state, count(*) FROM inbox GROUP BY state ORDER BY state").fetchall()
        assert states == [("opened", 1), ("recalled", 1101)]

    do(store, work)


# Both


def test_no_query_goes_through_a_table(world, store):
    def work(tx):
        key = Key("k", b"r")
        one, two, three = accept(tx, 3, key=key)
        accept(tx, key=Key("l", b"r"), series=outbox.PRACTICE)
        publish(tx, one, OTHER)
        seq, _ = seal(tx, two, OTHER)
        outbox.free(tx, seq, TROUBLE, Addressed(), "refusal")
        outbox.postpone(tx, seq, TROUBLE)
        outbox.give_back(tx, seq, TROUBLE, Addressed())
        outbox.mark_refused(tx, seq + 1, TROUBLE, None)
        kept = recall(tx, WHO, one, RecallRequest(), at=1)
        publish(tx, kept.notice_id, OTHER)
        (correction,) = accept(tx, ref=one)
        tx.connection.execute("UPDATE outbox SET act = 'correct' WHERE id = ?", (correction,))
        publish(tx, correction, OTHER)
        outbox.mark_acknowledged(tx, WHO, OTHER, one, bytes(32), at=1)
        outbox.mark_erased(tx, one, "expired")
        outbox.practice(tx, WHO)
        outbox.open_acts_ahead(tx, WHO, 1)
        for wanted in (None, State.KEPT):
            outbox.statuses(tx, WHO, after=0, limit=9, state=wanted)
        outbox.status(tx, WHO, three)
        outbox.counts(tx)
        first = arrival(world)
        name = first.statement.notice_id
        arrivals = [first, arrival(world, "correct", ref=name), arrival(world, "recall", ref=name)]
        inbox.put(tx, WHO, arrivals, inbox.cursor(tx, WHO) + 1, at=1)
        for unacknowledged in (False, True):
            inbox.items(tx, WHO, after=0, limit=9, unacknowledged=unacknowledged)
        inbox.item(tx, WHO, name)
        inbox.acknowledge(tx, WHO, [name], at=1)
        inbox.told(tx, inbox.owed(tx, WHO, limit=9), name)
        inbox.counts(tx)

    queries: list[str] = []
    store._writer.set_trace_callback(queries.append)
    do(store, work)
    store._writer.set_trace_callback(None)
    queries = [query for query in queries if query.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"))]
    assert len(queries) > 60

    def plans(tx):
        for query in queries:
            for *_, step in tx.connection.execute(f"EXPLAIN QUERY PLAN {query}"):
                # Counting takes a walk through an index, and a recursion one through what it has found so far.
                assert not step.startswith("SCAN") or "COVERING INDEX" in step or step in _WALKS, (query[:200], step)
                assert "WHERE participant = 'kz/customs' AND state IN" not in query or "outbox_waiting" in step

    store.read_now(plans)


_WALKS = ("SCAN chain", "SCAN gone", "SCAN CONSTANT ROW")


def test_pages_of_the_inbox_and_what_is_owed(world, store):
    arrivals = [arrival(world, sender=sender) for sender in (OTHER, OTHER, "tj/focal-point")]
    names = [item.statement.notice_id for item in arrivals]

    def work(tx):
        assert inbox.cursor(tx, WHO) == 0
        assert inbox.put(tx, WHO, arrivals, 7, at=1) == names
        assert inbox.put(tx, WHO, arrivals[:1], 3, at=1) == []
        assert inbox.cursor(tx, WHO) == 7
        found, cursor = inbox.items(tx, WHO, after=0, limit=2)
        assert [item.notice_id for item in found] == names[:2]
        assert inbox.items(tx, WHO, after=cursor, limit=2)[0][0].notice_id == names[2]
        inbox.acknowledge(tx, WHO, names[1:], at=5)
        unseen, _ = inbox.items(tx, WHO, after=0, limit=9, unacknowledged=True)
        assert [item.notice_id for item in unseen] == names[:1]
        owed = inbox.owed(tx, WHO, limit=9)
        assert [(item.notice_id, item.sender) for item in owed] == [(names[1], OTHER), (names[2], "tj/focal-point")]
        inbox.told(tx, owed[:1], names[0])
        assert [item.notice_id for item in inbox.owed(tx, WHO, limit=9)] == [names[2]]
        assert inbox.counts(tx) == {(WHO, "arrived"): 3, (WHO, "unacknowledged"): 1}
        assert inbox.item(tx, OTHER, names[0]) is None

    do(store, work)


def test_alarms_begin_go_on_end_and_begin_again(store):
    def work(tx):
        assert state.raise_alarm(tx, "fork", "a", at=1000, evidence=b"one")
        assert not state.raise_alarm(tx, "fork", "b", at=2000, evidence=b"two")
        (alarm,) = state.alarms(tx)
        assert alarm == Alarm("fork", "1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z", "b", stops=True, over=None)
        assert state.end_alarm(tx, "fork", at=3000)
        assert not state.end_alarm(tx, "fork", at=3000)
        assert state.alarms(tx) == []
        assert state.alarms(tx, over=True)[0].over == "1970-01-01T00:00:03Z"
        assert state.raise_alarm(tx, "fork", "c", at=4000)
        assert state.alarms(tx)[0].since == "1970-01-01T00:00:04Z"
        assert tx.connection.execute("SELECT data FROM evidence").fetchall() == [(b"one",)]

    do(store, work)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_whatever_a_broker_says_of_a_denial_is_read(value):
    assert isinstance(Denial.from_json(value), Denial)
    odd = dict.fromkeys(DENIAL.to_json(), value)
    if not isinstance(value, (str, dict)):
        assert Denial.from_json(odd) == Denial("", "", "", None, "", "", {}, "")


def test_a_denial_and_a_trouble_come_back_as_they_were():
    assert Denial.from_json(DENIAL.to_json()) == DENIAL
    assert Trouble.from_json(TROUBLE.to_json()) == TROUBLE
    assert Trouble("of-tomorrow", "d", "h").title == "of-tomorrow"
