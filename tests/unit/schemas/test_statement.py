from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import encoding
from schemas.acts import ACTS, Ref
from schemas.errors import Error, FormError
from schemas.label import Label
from schemas.statement import BOUND, MEMBERS, DelegationBody, Statement
from tests import strategies as wire
from tests.unit.broker.ledger import made_records


@given(wire.statements())
def test_parses_what_it_encodes(statement):
    assert Statement.parse(statement.encode()) == statement
    assert tuple(orjson.loads(statement.encode())) == MEMBERS
    assert tuple(orjson.loads(statement.bound())) == BOUND


@pytest.mark.parametrize("act", list(ACTS))
@settings(max_examples=5)
@given(data=st.data())
def test_every_act_parses(act, data):
    statement = data.draw(wire.statements(st.just(ACTS[act])))
    assert Statement.parse(statement.encode()) == statement
    assert statement.form is ACTS[act]


@given(wire.statements(), st.data())
@settings(max_examples=200)
def test_every_single_byte_change_reads_as_something_else_or_not_at_all(statement, data):
    encoded = bytearray(statement.encode())
    where = data.draw(st.integers(0, len(encoded) - 1))
    encoded[where] ^= 1 << data.draw(st.integers(0, 7))
    try:
        assert Statement.parse(bytes(encoded)) != statement
    except Error:
        pass


def read(parse, data):
    """Return what a reader makes of bytes, or what it says of them."""
    try:
        return parse(data)
    except Error as error:
        return error.code, error.detail, error.pointer, error.offset


def by_members(data):
    return Statement.from_json(encoding.parse(data))


plain = wire.statements().map(lambda statement: replace(statement, attachments=()))
ODD = [None, True, 0, 2**53 - 1, 2**53, 10**17, "", "a", "{", "}", "[", "null",        "x/y.z", [], {}, {"a": {}}, [[{}]], "A" * 22, "A" * 43, "z" * 5000]  # fmt: skip
TIMES = [
    "2024-02-29T23:59:59Z",
    "2023-02-29T00:00:00Z",
    "2023-02-28T24:00:00Z",
    "2023-02-28T23:59:60Z",
    "2023-13-01T00:00:00Z",
]


@given(plain, st.data())
@settings(max_examples=400)
def test_the_quick_way_to_read_makes_the_same_of_everything(statement, data):
    encoded = statement.encode()
    value = orjson.loads(encoded)
    match data.draw(st.sampled_from(["as-it-is", "bit", "cut", "member", "inner", "number", "time", "order"])):
        case "bit":
            where = data.draw(st.integers(0, len(encoded) - 1))
            encoded = bytearray(encoded)
            encoded[where] ^= 1 << data.draw(st.integers(0, 7))
        case "cut":
            encoded = encoded[: data.draw(st.integers(0, len(encoded)))] + data.draw(st.binary(max_size=3))
        case "member":
            encoded = orjson.dumps(value | {data.draw(st.sampled_from(MEMBERS)): data.draw(st.sampled_from(ODD))})
        case "inner":
            inner = data.draw(st.sampled_from(["label", "sealed", "checkpoint"]))
            if value[inner] is not None:
                value[inner][data.draw(st.sampled_from(list(value[inner])))] = data.draw(st.sampled_from(ODD))
            encoded = orjson.dumps(value)
        case "number":
            inner, name = data.draw(
                st.sampled_from([("sealed", "length"), ("sealed", "recipient_count"), ("checkpoint", "size")])
            )
            if value[inner] is not None:
                value[inner][name] = data.draw(st.sampled_from([0, 1, 2**20, 2**20 + 1, 2**53 - 1, 2**53, 10**16]))
            encoded = orjson.dumps(value)
        case "time":
            name = data.draw(st.sampled_from(["issued_at", "expires_at"]))
            encoded = orjson.dumps(value | {name: data.draw(st.sampled_from(TIMES))})
        case "order":
            encoded = orjson.dumps(dict(data.draw(st.permutations(list(value.items())))))
    assert read(Statement.parse, bytes(encoded)) == read(by_members, bytes(encoded))


def test_a_long_label_is_read_too():
    label = Label("x" * 3000, (), "a", "a", None, None, "a", "a", False, False, None, ())
    statement = made_records.Maker().statement(label=label)
    assert Statement.parse(statement.encode()) == statement


@given(wire.statements())
def test_bound_members_and_no_others_are_bound(statement):
    assert replace(statement, issued_at="2020-01-01T00:00:00Z", sealed=None).bound() == statement.bound()
    assert replace(statement, sender="xx/other-one").bound() != statement.bound()


def changed(statement, **members):
    value = orjson.loads(statement.encode())
    value.update(members)
    return encoding.encode(value)


def refused_at(data):
    with pytest.raises(FormError) as caught:
        Statement.parse(data)
    return caught.value.pointer


@given(wire.statements(), st.data())
def test_the_acts_row_says_what_is_null(statement, data):
    act = statement.form
    for name in ("thread", "topic", "label", "expires_at", "sealed", "ref"):
        value = getattr(statement, name)
        if name == "ref" and act.ref is Ref.OPTIONAL:
            continue
        if value is not None:
            assert refused_at(changed(statement, **{name: None})).startswith(f"/{name}")
    if statement.ref is None and act.ref is Ref.NONE:
        assert refused_at(changed(statement, ref=data.draw(wire.notice_ids))) == "/ref"
    if not act.open:
        assert refused_at(changed(statement, body={"participant": "fr/x", "patterns": ["*.*"]})) == "/body"
    else:
        assert refused_at(changed(statement, body=None)) == "/body"


ISSUE = wire.statements(st.just(ACTS["issue"])).filter(lambda statement: statement.ref is None)


@given(ISSUE, wire.notice_ids)
def test_an_issue_without_ref_begins_its_own_thread(statement, other):
    if other != statement.notice_id:
        assert refused_at(changed(statement, thread=other)) == "/thread"


@pytest.mark.parametrize("name", ["grant", "acknowledge", "subscribe"])
@given(data=st.data())
def test_some_acts_have_no_attachments(name, data):
    statement = data.draw(wire.statements(st.just(ACTS[name])))
    attached = [{"digest": "A" * 43, "length": 1}]
    assert refused_at(changed(statement, attachments=attached)) == "/attachments"


@given(ISSUE)
def test_forms(statement):
    sealed = orjson.loads(statement.encode())["sealed"]
    assert refused_at(changed(statement, v=2)) == "/v"
    assert refused_at(changed(statement, act="speak")) == "/act"
    assert refused_at(changed(statement, sealed={**sealed, "recipient_count": 0})) == "/sealed/recipient_count"
    assert refused_at(changed(statement, extra=1)) == ""
    assert refused_at(changed(statement, checkpoint={"size": -1, "root": "A" * 43})) == "/checkpoint/size"


def test_a_delegation_counts_from_its_beginning_and_not_at_its_end():
    body = DelegationBody("kz/police", "2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z")
    assert [
        body.covers(time)
        for time in ("2026-02-28T23:59:58Z", "2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z", "2027-01-01T00:00:00Z")
    ] == [False, True, False, False]


@given(wire.statements(st.just(ACTS["delegate"])))
def test_a_delegation_ends_after_it_begins(statement):
    body = orjson.loads(statement.encode())["body"]
    assert refused_at(changed(statement, body={**body, "until": body["from"]})) == "/body/from"


@given(wire.labels)
def test_labels_round_trip(label):
    assert Label.from_json(label.to_json()) == label


@given(wire.labels.filter(lambda label: len(label.conditions) > 1))
def test_conditions_are_sorted(label):
    value = label.to_json()
    value["conditions"].reverse()
    with pytest.raises(FormError) as caught:
        Label.from_json(value)
    assert caught.value.pointer == "/label/conditions"
