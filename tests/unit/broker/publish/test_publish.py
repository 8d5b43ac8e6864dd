"""Publishing as a function: what is accepted and with which record, and each refusal in the order of the checks."""

import json
from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import publish as module
from broker.publish import ReceiptDigests, Refused, Repeated, decide_on, examine, publish, receipt_of
from keys import digests
from keys.directory import edit
from keys.envelope import open_act
from keys.sign import SigningKeys
from schemas.acts import ACTS
from schemas.encoding import b64encode, encode, from_seconds, to_seconds
from schemas.ids import Role
from schemas.leaf import Leaf, LeafType
from schemas.limits import LIMITS
from schemas.record import Record
from schemas.statement import (
    Attachment,
    SubscriptionBody,
)
from tests import strategies as wire
from tests.carrying import sha
from tests.formed import b64
from tests.paper import PaperLedger, trust_in
from tests.unit.broker.publish.letters import OTHER, POINT, SENDER, accepted, letter, refused
from tests.world import ORIGIN, new_person

# What is accepted


@settings(max_examples=25)
@given(data=st.data())
def test_an_issue_is_accepted_with_a_record_that_says_what_was_decided_on(world, data):
    ledger = PaperLedger(world)
    to = data.draw(st.sets(st.sampled_from(["uz/focal-point", "uz/police", "tj/police", "kz/police"]), min_size=1))
    now_ms = world.now * 1000 + data.draw(st.integers(0, 999))
    signed = world.envelope(SENDER, to)
    trust = world.trust()
    outcome = accepted(ledger.publish(signed, trust, now_ms=now_ms))
    record, envelope = outcome.record, json.loads(signed.envelope)
    body = json.dumps(envelope["sealed"], separators=(",", ":")).encode()
    assert (record.document, record.proof, outcome.body) == (signed.statement_bytes, signed.proof_bytes, body)
    assert record.body_digest == sha(body)
    digest = sha(b"\x00" + sha(signed.statement_bytes) + sha(signed.proof_bytes))
    assert record.leaf == Leaf(LeafType.SEALED, now_ms, digest)
    assert (record.directory, record.boundary) == (world.directory.version, None)
    assert Record.parse(record.encode()) == record
    decision = orjson.loads(outcome.decision)
    owners = {world.people[who].sealing.kid: who for who in {SENDER, *to}}
    assert decision == {
        "typ": "decision",
        "at": from_seconds(now_ms // 1000),
        "statement": b64(sha(signed.statement_bytes)),
        "notice_id": signed.statement.notice_id,
        "sender": SENDER,
        "act": "issue",
        "outcome": "accepted",
        "recipients": [owners[kid] for kid in sorted(owners)],
        "denied": [],
        "directory": world.directory.version,
        "boundary": None,
        "evaluator": "broker",
        "verdicts": decision["verdicts"],  # test_publish_verdicts
    }
    # The same from bytes alone: the address is a check, not an input.
    again = publish(signed.envelope, None, ORIGIN, trust, PaperLedger(world), now_ms=now_ms)
    assert again == outcome


def test_open_acts_are_leaves_of_their_own_type_without_a_body(world, ledger):
    body = SubscriptionBody(SENDER, ("*.precursors",))
    outcome = accepted(ledger.publish(world.open_envelope(SENDER, "subscribe", body)))
    assert outcome.record.leaf.type is LeafType.OPEN
    assert (outcome.body, outcome.record.body_digest) == (None, None)


records = st.builds(
    Record,
    st.builds(Leaf, st.sampled_from([LeafType.SEALED, LeafType.OPEN]), st.integers(0, 2**47), st.just(bytes(32))),
    st.binary(min_size=1, max_size=30),
    st.binary(min_size=1, max_size=30),
    st.none(),
    wire.integers,
    st.none() | wire.times,
)


@given(records, wire.integers)
def test_a_receipt_is_a_function_of_its_record(record, index):
    receipt = receipt_of(ORIGIN, index, record, ReceiptDigests.of(record))
    copy = Record.parse(record.encode())
    assert receipt.encode() == receipt_of(ORIGIN, index, copy, ReceiptDigests.of(copy)).encode()
    assert (receipt.statement, receipt.proof) == (b64(sha(record.document)), b64(sha(record.proof)))
    assert (receipt.index, receipt.leaf, receipt.origin) == (index, record.leaf, ORIGIN)
    assert (receipt.directory, receipt.boundary) == (record.directory, record.boundary)
    assert to_seconds(receipt.due) == record.leaf.received_at // 1000 + 86400


def test_an_accepted_statements_receipt_is_that_of_its_record(world, ledger):
    outcome = accepted(ledger.publish(world.envelope(SENDER, [OTHER])))
    assert outcome.receipt == ReceiptDigests.of(outcome.record)


# Step 2: a statement that is known


def test_what_is_in_the_ledger_gets_its_receipt_whatever_has_become_of_its_sender(world, ledger):
    signed = world.envelope(SENDER, [OTHER])
    record = accepted(ledger.fill(3).publish(signed)).record
    kid = world.people[SENDER].signing.kids[0]
    role = Role("kz")
    directory = world.directory
    closed = replace(directory, roles={**directory.roles, role: edit.close_key(directory.roles[role], kid, 4)})
    suspended = replace(directory, roles={**directory.roles, role: edit.suspend(directory.roles[role], SENDER)})
    gone = replace(directory, roles={name: state for name, state in directory.roles.items() if name != role})
    for trust in (
        trust_in(world, revoked={kid: 3}),
        trust_in(world, closed),
        trust_in(world, suspended),
        trust_in(world, gone),
    ):
        # Years later too: neither the clock nor the key is looked at.
        for at in (world.now, world.now + 10**9):
            assert ledger.publish(signed, trust, now_ms=at * 1000) == Repeated(3, record)
        # What is new does not get through.
        assert isinstance(ledger.publish(world.envelope(SENDER, [OTHER]), trust), Refused)


def test_of_a_repeated_statement_the_first_proof_counts(world, ledger):
    unsigned = [world.sealed(world.statement(SENDER), [OTHER]) for _ in range(3)]
    first = world.sign(unsigned[:1])[0]
    record = accepted(ledger.publish(first)).record
    batch = world.sign(unsigned)[0]
    assert batch.statement_bytes == first.statement_bytes
    assert batch.proof_bytes != first.proof_bytes
    assert ledger.publish(batch) == Repeated(0, record)
    assert record.proof == first.proof_bytes
    # Not even a proof that holds is asked for, only one of the right form.
    broken = json.loads(first.envelope)
    broken["proof"]["head"]["signatures"][0]["signature"] = b64(bytes(64))
    assert ledger.publish(json.dumps(broken, separators=(",", ":")).encode()) == Repeated(0, record)


# Steps 1 and 3 to 5: nobody is authenticated yet, so nothing is signed and nothing is kept


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"statement":"","proof":{},"sealed":null}', b"[" * 10**5])
def test_what_is_no_envelope(ledger, data):
    outcome = ledger.publish(data)
    assert isinstance(outcome, Refused)
    assert outcome.error.code in ("malformed", "invalid-form")
    assert (outcome.refusal, outcome.decision, outcome.denied) == (None, None, ())


def test_what_is_too_large(ledger):
    refused(ledger.publish(b" " * (1 << 20) + b"{"), "too-large", definite=False)


def test_the_address_is_the_notices(world):
    signed, other = world.envelope(SENDER, [OTHER]), world.statement(SENDER)
    outcome = publish(
        signed.envelope, other.notice_id, ORIGIN, world.trust(), PaperLedger(world), now_ms=world.now * 1000
    )
    refused(outcome, "invalid-form", "/notice_id", definite=False)


def test_another_deployments_statement(world, ledger):
    refused(ledger.publish(world.envelope(SENDER, [OTHER], origin="test.invalid/x")), "wrong-origin", definite=False)


def test_an_empty_list_of_recipients_is_no_envelope(world, ledger):
    value = json.loads(world.envelope(SENDER, [OTHER]).envelope)
    value["sealed"]["recipients"] = []
    data = json.dumps(value, separators=(",", ":")).encode()
    refused(ledger.publish(data), "invalid-form", "/sealed/recipients", definite=False)


def test_a_sender_that_is_not_authentic(world, ledger):
    unsigned = world.sealed(world.statement(SENDER), [OTHER])
    stranger = new_person("kz/stranger")
    kid = world.people[SENDER].signing.kids[1]
    ledger.fill(5)
    refused(ledger.publish(world.sign([unsigned], OTHER)[0]), "unverified", definite=False)
    refused(ledger.publish(world.sign([unsigned])[0], trust_in(world, revoked={kid: 4})), "revoked-key", definite=False)
    accepted(ledger.publish(world.sign([unsigned])[0], trust_in(world, revoked={kid: 5})))
    unknown = replace(world, people={**world.people, SENDER: replace(stranger, id=SENDER)})
    other = world.sealed(world.statement(SENDER), [OTHER])
    refused(ledger.publish(unknown.sign([other])[0]), "unknown-key", definite=False)


def test_a_key_that_is_closed_from_an_index_on(world, ledger):
    role = Role("kz")
    directory = world.directory
    kid = world.people[SENDER].signing.kids[0]
    trust = trust_in(
        world, replace(directory, roles={**directory.roles, role: edit.close_key(directory.roles[role], kid, 2)})
    )
    for index in range(4):
        outcome = PaperLedger(world).fill(index).publish(world.envelope(SENDER, [OTHER]), trust)
        if index < 2:
            accepted(outcome)
        else:
            refused(outcome, "revoked-key", definite=False)


def test_what_was_examined_under_another_trust_is_examined_again(world, ledger):
    """The examiner runs ahead: a key that ends before the statement has its place ends it, and the other way round."""
    signed = world.envelope(SENDER, [OTHER])
    kid = world.people[SENDER].signing.kids[0]
    ledger.fill(5)
    plain, revoked, moment = trust_in(world), trust_in(world, revoked={kid: 3}), world.moment(3)
    now_ms = world.now * 1000
    for before, after, code in (
        (plain, revoked, "revoked-key"),
        (trust_in(world, revoked={kid: 2}), plain, None),
        (plain, trust_in(world, replace(world.directory, roles={})), "unknown-key"),
        (plain, trust_in(world, replace(world.directory)), None),
    ):
        examined = examine(signed.envelope, signed.statement.notice_id, ORIGIN, before, moment)
        outcome = decide_on(examined, ORIGIN, after, ledger, now_ms=now_ms)
        if code is None:
            accepted(outcome)
        else:
            refused(outcome, code, definite=False)


def test_what_no_place_mends_is_verified_once(world, ledger, monkeypatch):
    """The ledger thread does not pay again for what the examiner has found to be forged."""
    signed = world.envelope(SENDER, [OTHER])
    envelope = json.loads(signed.envelope)
    signature = envelope["proof"]["head"]["signatures"][0]["signature"]
    envelope["proof"]["head"]["signatures"][0]["signature"] = ("B" if signature[0] == "A" else "A") + signature[1:]
    trust = trust_in(world)
    examined = examine(encode(envelope), signed.statement.notice_id, ORIGIN, trust, world.moment(0))
    other = trust_in(world, replace(world.directory))
    refused(decide_on(examined, ORIGIN, other, ledger, now_ms=world.now * 1000), "unverified", definite=False)
    monkeypatch.setattr(module, "verify_envelope", None)
    refused(decide_on(examined, ORIGIN, trust, ledger, now_ms=world.now * 1000), "unverified", definite=False)


def test_two_halves_of_identities_are_no_sender(world, ledger):
    one, two = world.people[SENDER].signing, world.people[POINT].signing
    mixed = SigningKeys(one._ed25519, two._mldsa65)
    body = SubscriptionBody(SENDER, ("*.*",))
    people = {**world.people, SENDER: replace(world.people[SENDER], signing=mixed)}
    statement = world.statement(SENDER, "subscribe", body=body)
    signed = replace(world, people=people).sign([open_act(statement)])[0]
    refused(ledger.publish(signed), "unknown-key", definite=False)
    assert digests.statement_digest(signed.statement_bytes) not in ledger.records


# Step 6: notice id, clock, and what is served


def test_a_taken_notice_id(world, ledger):
    one = world.envelope(SENDER, [OTHER])
    accepted(ledger.publish(one))
    taken = {"notice_id": one.statement.notice_id, "thread": one.statement.notice_id}
    refused(ledger.publish(world.envelope(SENDER, [OTHER], **taken)), "conflict", "/notice_id")
    # It comes before the clock, as the order says.
    refused(ledger.publish(world.envelope(SENDER, [OTHER], issued_at=from_seconds(0), **taken)), "conflict")


@pytest.mark.parametrize(
    ("issued", "expires", "problem"),
    [
        (300, 99, None),
        (301, 99, ("clock-skew", "/issued_at")),
        (-14 * 86400, 99, None),
        (-14 * 86400 - 1, 99, ("clock-skew", "/issued_at")),
        (0, 1, None),
        (0, 0, ("expired", "/expires_at")),
        (0, LIMITS.longest_expiry, None),
        (0, LIMITS.longest_expiry + 1, ("act-refused", "/expires_at")),
        (-20 * 86400, -1, ("clock-skew", "/issued_at")),
    ],
)
def test_the_clock(world, ledger, issued, expires, problem):
    times = {"issued_at": from_seconds(world.now + issued), "expires_at": from_seconds(world.now + expires)}
    outcome = ledger.publish(world.envelope(SENDER, [OTHER], **times), now_ms=world.now * 1000 + 999)
    accepted(outcome) if problem is None else refused(outcome, *problem)


def test_an_open_act_has_a_clock_too(world, ledger):
    body = SubscriptionBody(SENDER, ("*.*",))
    old = world.open_envelope(SENDER, "subscribe", body, issued_at=from_seconds(world.now - 14 * 86400 - 1))
    refused(ledger.publish(old), "clock-skew")


@pytest.mark.parametrize("act", [name for name, act in ACTS.items() if not act.served])
def test_acts_that_are_parsed_and_not_served(world, ledger, act):
    ref = world.statement(SENDER).notice_id
    signed = world.envelope(SENDER, [OTHER], act, ref=ref, thread=ref)
    refused(ledger.publish(signed), "act-not-served", "/act")


def test_attachments_are_not_carried(world, ledger):
    signed = world.envelope(SENDER, [OTHER], attachments=(Attachment(b64(bytes(32)), 1),))
    refused(ledger.publish(signed), "act-not-served", "/attachments")


@given(st.integers(0, 6), st.integers(0, 8), st.booleans())
@settings(max_examples=30)
def test_a_checkpoint_of_another_log_is_a_fork(world, leaves, size, honest):
    ledger = PaperLedger(world).fill(leaves)
    root = ledger.root(min(size, leaves)) if honest else bytes(32)
    seen = replace(world.statement(SENDER).checkpoint, size=size, root=b64encode(root))
    outcome = ledger.publish(world.envelope(SENDER, [OTHER], checkpoint=seen))
    if honest and size <= leaves:
        accepted(outcome)
    else:
        refused(outcome, "fork", "/checkpoint")


# The order


def test_the_first_failure_ends_it(world, ledger):
    """Each is wrong in everything that comes after, too."""
    first = letter(ledger)
    seen = replace(world.statement(SENDER).checkpoint, size=99)
    bad = {"topic": "nowhere.seizures", "ref": world.statement(SENDER).notice_id}
    order = [
        ({"notice_id": first.notice_id, "thread": first.notice_id}, "conflict"),
        ({"issued_at": from_seconds(world.now + 999)}, "clock-skew"),
        ({"expires_at": from_seconds(world.now - 1)}, "expired"),
        ({"attachments": (Attachment(b64(bytes(32)), 1),)}, "act-not-served"),
        ({"checkpoint": seen}, "fork"),
    ]
    for number, (_, code) in enumerate(order):
        change = dict(bad)
        for later, _ in reversed(order[number:]):
            change |= later
        refused(ledger.publish(world.envelope(SENDER, [], **change)), code)
    refused(ledger.publish(world.envelope(SENDER, [], **bad)), "recipients")
    refused(ledger.publish(world.envelope(SENDER, [OTHER], **bad)), "act-refused")
