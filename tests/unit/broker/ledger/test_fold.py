"""The fold: a pure function of the records in order, held against an independent model of the design's table."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.ledger.fold import Counted, FoldState, Past, Reason, Skipped, fold
from keys import digests
from keys.log.merkle import leaf_hash, root_of
from schemas.encoding import Time
from schemas.event import Event
from schemas.leaf import Leaf, LeafType
from schemas.statement import Statement

seeds = st.integers(0, 2**32)


def fold_all(records, origin):
    """Fold records from nothing and return the results and the last state."""
    state, past, results = FoldState(origin), Past(), []
    for record in records:
        result = fold(state, record, past)
        if isinstance(result, Counted):
            state = result.state
            past.add(result.what)
        results.append(result)
    return results, state


def counted(records, origin):
    results, _ = fold_all(records, origin)
    return [record for record, result in zip(records, results, strict=True) if isinstance(result, Counted)]


def model(records, origin):
    """Say which records count, from the table alone, with nothing of the fold's."""
    notices, erased, days, counting = set(), set(), set(), []
    directory, boundary, number, newest = 0, "", 0, 0
    for record in records:
        leaf = record.leaf
        if leaf.received_at < newest - 60_000:
            continue
        if leaf.type <= 2:
            statement = Statement.parse(record.document)
            if statement.origin != origin or statement.notice_id in notices:
                continue
            if (record.directory, record.boundary or "") != (directory, boundary):
                continue
            notices.add(statement.notice_id)
        else:
            event = Event.parse(record.document)
            what = event.what.to_json()
            if event.origin != origin:
                continue
            if leaf.type == 3 and what["version"] == directory + 1:
                directory += 1
            elif leaf.type == 4 and what["at"] > boundary:
                boundary = what["at"]
            elif leaf.type == 5 and what["number"] == number + 1:
                number += 1
            elif leaf.type == 6 and what["notice_id"] not in erased:
                erased.add(what["notice_id"])
            elif leaf.type == 7 and what["day"] not in days:
                days.add(what["day"])
            else:
                continue
        newest = max(newest, leaf.received_at)
        counting.append(record)
    return counting


def records_of(made, seed, count=25):
    return [entry.record for entry in made.random_entries(made.Maker(seed), count)]


@settings(max_examples=40)
@given(seed=seeds)
def test_what_instances_append_one_after_the_other_counts(made, seed):
    records = records_of(made, seed)
    results, state = fold_all(records, made.ORIGIN)
    assert [result.index for result in results] == list(range(len(records)))
    assert state.size == len(records)
    assert state.frontier.root() == root_of([record.leaf.encode() for record in records])
    assert state.newest == max(record.leaf.received_at for record in records)
    for index, (record, result) in enumerate(zip(records, results, strict=True)):
        assert result.nodes[0] == (0, index, leaf_hash(record.leaf.encode()))
        assert result.what.encode() == record.document


@settings(max_examples=40)
@given(seed=seeds, data=st.data())
def test_any_order_of_any_records_counts_as_the_table_says(made, seed, data):
    ours = records_of(made, seed)
    foreign = [entry.record for entry in made.random_entries(made.Maker(seed, "test.invalid/other"), 8)]
    doubled = data.draw(st.lists(st.sampled_from(ours), max_size=10))
    order = ours + foreign + doubled
    how = data.draw(st.sampled_from(("as they are", "shuffled", "swapped")))
    if how == "shuffled":
        random.Random(seed).shuffle(order)
    elif how == "swapped":
        at = data.draw(st.integers(0, len(order) - 2))
        order[at], order[at + 1] = order[at + 1], order[at]
    expected = model(order, made.ORIGIN)
    results, state = fold_all(order, made.ORIGIN)
    assert counted(order, made.ORIGIN) == expected
    assert (results, state) == fold_all(order, made.ORIGIN)
    assert state.frontier.root() == root_of([record.leaf.encode() for record in expected])
    assert [result.index for result in results if isinstance(result, Counted)] == list(range(len(expected)))


@settings(max_examples=40)
@given(seed=seeds, data=st.data())
def test_replayed_and_foreign_records_change_nothing(made, seed, data):
    records = records_of(made, seed)
    foreign = [entry.record for entry in made.random_entries(made.Maker(seed, "test.invalid/other"), 5)]
    order = list(records)
    for _ in range(data.draw(st.integers(1, 15))):
        at = data.draw(st.integers(0, len(order)))
        candidates = [record for record in order[:at] if record in records] + foreign
        order.insert(at, data.draw(st.sampled_from(candidates)))
    _, state = fold_all(order, made.ORIGIN)
    assert state == fold_all(records, made.ORIGIN)[1]


@settings(max_examples=40)
@given(seed=seeds, cut=st.integers(0, 25))
def test_the_fold_goes_on_from_any_state(made, seed, cut):
    records = records_of(made, seed)
    state, past = FoldState(made.ORIGIN), Past()
    for part in (records[:cut], records[cut:]):
        for record in part:
            result = fold(state, record, past)
            state = result.state
            past.add(result.what)
        state = replace(state)
    assert state == fold_all(records, made.ORIGIN)[1]


@pytest.fixture
def begun(maker):
    """Return a state and its past behind a directory version, a boundary, a log key and a notice."""
    entries = [maker.next_directory(), maker.next_boundary(), maker.next_key(), maker.notice()]
    results, state = fold_all([entry.record for entry in entries], maker.origin)
    past = Past()
    for result in results:
        past.add(result.what)
    return state, past, entries


def why(begun, entry_or_record):
    record = getattr(entry_or_record, "record", entry_or_record)
    result = fold(begun[0], record, begun[1])
    return result.reason if isinstance(result, Skipped) else None


def test_a_record_may_be_received_up_to_a_minute_before_the_newest(begun, maker):
    maker.now = begun[0].newest - 60_000
    assert why(begun, maker.notice()) is None
    maker.now = begun[0].newest - 60_001
    assert why(begun, maker.notice()) is Reason.LATE
    maker.now = begun[0].newest - 60_001
    assert why(begun, maker.next_directory()) is Reason.LATE


def test_an_earlier_record_does_not_move_the_newest_time_back(begun, maker):
    maker.now = begun[0].newest - 5_000
    assert fold(begun[0], maker.notice().record, begun[1]).state.newest == begun[0].newest


def test_statements_count_under_the_rules_in_force_only(begun, maker):
    record = maker.notice().record
    assert why(begun, record) is None
    assert why(begun, replace(record, directory=record.directory + 1)) is Reason.RULES
    assert why(begun, replace(record, directory=0)) is Reason.RULES
    assert why(begun, replace(record, boundary=None)) is Reason.RULES
    assert why(begun, replace(record, boundary=Time("2000-01-01T00:00:00Z"))) is Reason.RULES


def test_a_notice_id_counts_once(begun, maker):
    taken = Statement.parse(begun[2][3].record.document)
    assert why(begun, begun[2][3]) is Reason.KNOWN
    assert why(begun, maker.notice(notice_id=taken.notice_id, sender="de/police")) is Reason.KNOWN


def test_events_count_in_their_sequence_only(begun, maker, made):
    assert why(begun, begun[2][0]) is Reason.VERSION
    assert why(begun, begun[2][1]) is Reason.BOUNDARY
    assert why(begun, begun[2][2]) is Reason.NUMBER
    assert why(begun, maker.event(made.DirectoryVersion(3, "A" * 43))) is Reason.VERSION
    assert why(begun, maker.event(made.LogKey(3, "k", "AQ", "closed"))) is Reason.NUMBER
    assert why(begun, maker.event(made.Boundary(Time("2000-01-01T00:00:00Z")))) is Reason.BOUNDARY
    assert why(begun, maker.next_directory()) is None
    assert why(begun, maker.next_boundary()) is None
    assert why(begun, maker.next_key()) is None


def test_erasures_and_days_count_once(begun, maker):
    state, past, entries = begun
    for entry in (maker.erasure(Statement.parse(entries[3].record.document).notice_id), maker.day("2026-01-01")):
        result = fold(state, entry.record, past)
        assert result.index == state.size
        past.add(result.what)
        state = result.state
    notice = Statement.parse(entries[3].record.document).notice_id
    assert fold(state, maker.erasure(notice, "recall").record, past) == Skipped(Reason.ERASED)
    assert fold(state, maker.day("2026-01-01", 5).record, past) == Skipped(Reason.DAY)
    assert isinstance(fold(state, maker.day("2026-01-02").record, past), Counted)


def test_foreign_statements_and_events_do_not_count(begun, made):
    other = made.Maker(1, "test.invalid/other")
    other.directory, other.boundary, other.now = 1, begun[0].boundary, begun[0].newest
    assert why(begun, other.notice()) is Reason.ORIGIN
    assert why(begun, other.next_directory()) is Reason.ORIGIN


def test_what_the_leaf_does_not_stand_for_does_not_count(begun, maker):
    notice, event = maker.notice().record, maker.next_directory().record
    assert why(begun, replace(notice, proof=notice.proof + b" ")) is Reason.DIGEST
    assert why(begun, replace(notice, document=maker.notice().record.document)) is Reason.DIGEST
    assert why(begun, replace(event, document=maker.next_key().record.document)) is Reason.DIGEST
    assert why(begun, replace(notice, leaf=replace(notice.leaf, digest=bytes(32)))) is Reason.DIGEST


def resealed(record, *, kind=None, document=None):
    """Return a record whose leaf's digest is right for another type or document."""
    document = record.document if document is None else document
    digest = digests.event_leaf(document) if record.proof is None else digests.statement_leaf(document, record.proof)
    return replace(record, document=document, leaf=Leaf(kind or record.leaf.type, record.leaf.received_at, digest))


def test_what_cannot_be_read_does_not_count(begun, maker):
    notice, subscription, event = (
        maker.notice().record,
        maker.subscribe("de/police", "*.*").record,
        maker.day("2026-01-01").record,
    )
    assert why(begun, resealed(notice, document=b"{}")) is Reason.FORM
    assert why(begun, resealed(event, document=b"{}")) is Reason.FORM
    assert why(begun, resealed(event, document=notice.document)) is Reason.FORM
    assert why(begun, resealed(notice, kind=LeafType.OPEN)) is Reason.FORM
    assert why(begun, resealed(subscription, kind=LeafType.SEALED)) is Reason.FORM
    assert why(begun, resealed(event, kind=LeafType.ERASURE)) is Reason.FORM
    assert why(begun, replace(notice, proof=None)) is Reason.FORM
    assert why(begun, replace(event, proof=b"{}")) is Reason.FORM


def test_a_statement_that_was_parsed_already_is_taken_as_it_is(begun, maker):
    record = maker.notice().record
    parsed = Statement.parse(record.document)
    result = fold(begun[0], record, begun[1], parsed)
    assert result.what is parsed
    assert result == fold(begun[0], record, begun[1])
