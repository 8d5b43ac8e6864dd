"""Leaves, events, records, receipts, refusals: round trips and what their readers refuse."""

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import encoding
from schemas.errors import Error, FormError
from schemas.event import Boundary, Day, DirectoryVersion, Erasure, Event, LogKey
from schemas.leaf import EVENTS, LENGTH, Leaf, LeafType
from schemas.receipt import Denial, Receipt, Refusal
from schemas.record import Record
from tests import strategies as wire

leaves = st.builds(Leaf, st.sampled_from(LeafType), st.integers(0, 2**64 - 1), st.binary(min_size=32, max_size=32))
happenings = st.one_of(
    st.builds(DirectoryVersion, wire.integers, wire.b64(32)),
    st.builds(Boundary, wire.times),
    st.builds(LogKey, wire.integers, wire.origins, wire.b64(33), st.sampled_from(["added", "closed"])),
    st.builds(Erasure, wire.notice_ids, wire.codes),
    st.builds(Day, wire.times.map(lambda time: time[:10]), wire.integers, wire.b64(32)),
)
events = st.builds(Event, wire.origins, wire.b64(16), happenings)


@st.composite
def records(draw):
    leaf = draw(leaves)
    proof = None if leaf.type in EVENTS else draw(st.binary(min_size=1, max_size=20))
    return Record(
        leaf,
        draw(st.binary(min_size=1, max_size=40)),
        proof,
        draw(st.none() | st.binary(min_size=32, max_size=32)),
        draw(wire.integers),
        draw(st.none() | wire.times),
    )


denials = st.lists(st.builds(Denial, wire.participants, wire.codes), max_size=3, unique=True).map(
    lambda found: tuple(sorted(found, key=lambda one: (one.participant, one.condition)))
)
receipts = st.builds(
    Receipt,
    wire.origins,
    wire.integers,
    leaves,
    wire.b64(32),
    wire.b64(32),
    wire.integers,
    st.none() | wire.times,
    wire.times,
)
refusals = st.builds(Refusal, wire.origins, wire.b64(32), wire.codes, denials, wire.times)


@given(leaves, events, records(), receipts, refusals)
def test_round_trips(leaf, event, record, receipt, refusal):
    assert len(leaf.encode()) == LENGTH
    assert Leaf.parse(leaf.encode()) == leaf
    assert Event.parse(event.encode()) == event
    assert event.leaf_type in EVENTS
    assert Record.parse(record.encode()) == record
    assert Receipt.parse(receipt.encode()) == receipt
    assert Refusal.parse(refusal.encode()) == refusal


@given(st.sampled_from([Leaf.parse, Event.parse, Record.parse, Receipt.parse, Refusal.parse]), st.binary(max_size=60))
def test_only_our_errors_escape(parse, data):
    with pytest.raises(Error):
        parse(b"\xff" + data)


@pytest.mark.parametrize("data", [b"", b"\x00" * 41, b"\x08" + b"\x00" * 40, b"\x01" * 40, b"\x01" * 42])
def test_leaves_refuse(data):
    with pytest.raises(FormError):
        Leaf.parse(data)


def changed(data, **members):
    value = orjson.loads(data)
    value.update(members)
    return encoding.encode(value)


@given(events)
def test_events_refuse(event):
    data = event.encode()
    bad = [{"typ": "other"}, {"typ": 1}, {"v": 2}]
    if isinstance(event.what, LogKey):
        bad += [{"state": "gone"}, {"name": "a b"}]
    if isinstance(event.what, Day):
        bad += [{"day": "2023-02-30"}, {"day": "20230201"}]
    for members in bad:
        with pytest.raises(FormError):
            Event.parse(changed(data, **members))


HEAD = 58
"""Bytes of a record before what only some have."""


@given(records(), st.data())
def test_records_refuse(record, data):
    encoded = record.encode()
    cut = data.draw(st.integers(0, len(encoded) - 1))
    unknown = encoded[:49] + bytes([encoded[49] | 8]) + encoded[50:]
    for bad in (encoded[:cut], encoded + b"x", unknown, encoded[:41] + b"\xff" * 8 + encoded[49:]):
        with pytest.raises(FormError):
            Record.parse(bad)


@given(records())
def test_records_have_a_proof_exactly_for_statements(record):
    other = replace(record, proof=b"{}" if record.proof is None else None).encode()
    unsaid = record.encode()[:49] + bytes([record.encode()[49] ^ 4]) + record.encode()[50:]
    for bad in (other, unsaid):
        with pytest.raises(FormError) as caught:
            Record.parse(bad)
        assert caught.value.pointer == "/proof"


@given(records().filter(lambda record: record.boundary), st.sampled_from([b"2023-02-30T00:00:00Z", b"\xff" * 20]))
def test_records_have_boundaries_that_are_times(record, text):
    encoded = record.encode()
    with pytest.raises(FormError) as caught:
        Record.parse(encoded[:HEAD] + text + encoded[HEAD + 20 :])
    assert caught.value.pointer == "/boundary"


@given(refusals.filter(lambda refusal: len(refusal.denied) > 1))
def test_denials_are_sorted(refusal):
    denied = orjson.loads(refusal.encode())["denied"]
    with pytest.raises(FormError):
        Refusal.parse(changed(refusal.encode(), denied=denied[::-1]))


def test_problems_have_titles_and_hints():
    error = Error("Something.", problem="fork")
    assert (error.status, error.title) == (422, "The statement's checkpoint contradicts this log")
    assert error.hint
