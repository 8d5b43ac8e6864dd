"""Publishing as a function: what is accepted and with which record, and each refusal in the order of the checks."""

import json
from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.publish import Accepted, ReceiptDigests, Refused, Repeated, decide_on, examine, publish, receipt_of
from keys import digests
from keys.batch import Unsigned
from keys.directory import edit
from keys.directory.records import Life, SealingRecord
from keys.envelope import open_act, recipients_root, seal_notice
from keys.seal import SealingKey
from keys.sign import SigningKeys
from schemas.acts import ACTS
from schemas.encoding import b64decode, b64encode, encode, from_seconds, to_seconds
from schemas.envelope import GrantedKeys, Stanza
from schemas.ids import Code, ParticipantId, Role
from schemas.leaf import Leaf, LeafType
from schemas.record import Record
from schemas.statement import (
    Attachment,
    DelegationBody,
    RevocationBody,
    SealedDigests,
    SubscriptionBody,
)
from tests import strategies as wire
from tests.carrying import sha
from tests.formed import b64
from tests.paper import PaperLedger, trust_in
from tests.world import LABEL, NOTICE, ORIGIN, make_world, new_person

MEMBERS = (
    "kz/customs",
    "kz/focal-point",
    "kz/police",
    "uz/focal-point",
    "uz/police",
    "tj/police",
    "int/unodc/organisation",
)
SENDER, POINT, OTHER, BESIDE = "kz/customs", "kz/focal-point", "uz/focal-point", "tj/police"
DENY_SEIZURES = """
[[condition]]
id = "no-seizures"
instrument = "Illustration"
article = "7"
effect = "deny"
applies_to = { direction = "receive", kinds = ["seizure"] }
[condition.explanation]
en = "Not here."
"""


@pytest.fixture(scope="module")
def world():
    return make_world(MEMBERS, laws={"tj": DENY_SEIZURES.replace('"seizure"', '"route"')})


@pytest.fixture
def ledger(world):
    return PaperLedger(world)


def refused(outcome, code, pointer=None, *, definite=True):
    """Demand a refusal; a definite one has a payload to sign and a decision to keep, and both say the same."""
    assert isinstance(outcome, Refused), outcome
    assert (outcome.error.code, outcome.error.pointer) == (code, pointer or outcome.error.pointer)
    assert (outcome.refusal is not None) is definite
    assert (outcome.decision is not None) is definite
    if definite:
        decision = orjson.loads(outcome.decision)
        assert outcome.refusal.reason == code == decision["outcome"]
        assert decision["recipients"] == []
        assert [(item.participant, item.condition) for item in outcome.refusal.denied] == [
            (item["participant"], item["condition"]) for item in decision["denied"]
        ]
    return outcome


def accepted(outcome):
    assert isinstance(outcome, Accepted), outcome
    return outcome


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
    if act == "delegate":
        body = DelegationBody(OTHER, from_seconds(world.now), from_seconds(world.now + 9))
        signed = world.open_envelope(POINT, act, body)
    elif act == "grant":
        key = world.people[OTHER].sealing
        stanzas = (Stanza(key.kid, bytes(1120), bytes(48)),)
        sealed = SealedDigests(b64(bytes(32)), 1, b64encode(recipients_root(stanzas)), 1)
        statement = world.statement(SENDER, act, ref=ref, thread=ref, sealed=sealed)
        body = encode(GrantedKeys(stanzas).to_json())
        signed = world.sign([Unsigned(statement, statement.encode(), body)])[0]
    else:
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


# Step 7: recipients


def to_keys(world, keys, sender=SENDER, **changes):
    """Seal to keys as they are given, whosever they are, and the sender's own."""
    life = Life(from_seconds(world.now))
    records = [
        SealingRecord(ParticipantId("xx/any"), life, key.kid, key.public_key(), key.jwk["pub"])
        for key in [*keys, world.people[sender].sealing]
    ]
    return world.sign([seal_notice(world.statement(sender, **changes), NOTICE, records)])[0]


def with_sealing(world, who, *lives):
    """Return new sealing keys of a participant, and the directory that has them beside the first one."""
    role = Role(who[:2])
    keys = [SealingKey.generate() for _ in lives]
    made = [
        SealingRecord(who, life, key.kid, key.public_key(), key.jwk["pub"])
        for key, life in zip(keys, lives, strict=True)
    ]
    directory = world.directory
    state = edit.enter_keys(directory.roles[role], who, made)
    return keys, replace(directory, roles={**directory.roles, role: state})


def test_each_stanza_is_for_a_newest_key_in_force(world, ledger):
    ledger.fill(5)
    now = world.now
    lives = (Life(from_seconds(now - 50)), Life(from_seconds(now + 1)), Life(from_seconds(now + 2), closed_at=5))
    (older, coming, closed), directory = with_sealing(world, OTHER, *lives)
    trust = trust_in(world, directory)
    current = world.people[OTHER].sealing
    position = {"older": older, "coming": coming, "closed": closed}
    accepted(ledger.publish(to_keys(world, [current]), trust))
    for key in position.values():
        for keys in ([key], [key, current]):
            outcome = refused(ledger.publish(to_keys(world, keys), trust), "recipients")
            assert "newest in force" in outcome.error.detail
            assert outcome.error.pointer.startswith("/sealed/recipients/")
    # A second later the next one counts, and the one before it no longer does.
    later = (now + 1) * 1000
    accepted(ledger.publish(to_keys(world, [coming]), trust, now_ms=later))
    refused(ledger.publish(to_keys(world, [current]), trust, now_ms=later), "recipients")


def test_a_revoked_sealing_key_gives_way_to_the_one_before(world, ledger):
    ledger.fill(5)
    (newer,), directory = with_sealing(world, OTHER, Life(from_seconds(world.now)))
    first = world.people[OTHER].sealing
    newest, other = sorted([newer, first], key=lambda key: key.kid, reverse=True)
    accepted(ledger.publish(to_keys(world, [newest]), trust_in(world, directory)))
    refused(ledger.publish(to_keys(world, [other]), trust_in(world, directory)), "recipients")
    revoked = trust_in(world, directory, revoked={newest.kid: 2})
    accepted(ledger.publish(to_keys(world, [other]), revoked))
    refused(ledger.publish(to_keys(world, [newest]), revoked), "recipients")


def test_a_stanza_for_a_key_that_the_directory_lacks(world, ledger):
    outcome = refused(ledger.publish(to_keys(world, [SealingKey.generate()])), "recipients")
    assert "lacks" in outcome.error.detail


def test_a_stanza_for_a_key_of_another_use(world, ledger):
    """A signing key's id is known, and nobody can be sealed to under it."""
    statement = world.statement(SENDER)
    unsigned = world.sealed(statement, [OTHER])
    value = orjson.loads(unsigned.sealed_bytes)
    own = world.people[SENDER].sealing.kid
    other = next(one for one in value["recipients"] if one["header"]["kid"] != own)
    other["header"]["kid"] = world.people[OTHER].request.kid
    value["recipients"].sort(key=lambda one: one["header"]["kid"])
    body = orjson.dumps(value)
    stanzas = [
        Stanza(one["header"]["kid"], b64decode(one["header"]["ek"]), b64decode(one["encrypted_key"]))
        for one in value["recipients"]
    ]
    sealed = replace(unsigned.statement.sealed, recipients_root=b64encode(recipients_root(stanzas)))
    lying = replace(unsigned.statement, sealed=sealed)
    refused(ledger.publish(world.sign([Unsigned(lying, lying.encode(), body)])[0]), "recipients")


def test_nobody_beside_the_sender(world, ledger):
    refused(ledger.publish(world.envelope(SENDER, [])), "recipients", "/sealed/recipients")


@pytest.mark.parametrize(
    "change", [{"urgency": Code("8h")}, {"urgency": Code("7d")}, {"reply_due": from_seconds(2_000_000_000)}]
)
def test_a_clock_demands_the_focal_points(world, ledger, change):
    label = replace(LABEL, **change)
    for to, complete in (
        ([OTHER], False),  # the sender's own State has one too
        ([POINT, "uz/police"], False),
        ([POINT, "uz/police", OTHER], True),
        ([POINT, BESIDE], True),  # tj has named none
        (["kz/police"], False),
        (["kz/police", POINT], True),
    ):
        outcome = ledger.publish(world.envelope(SENDER, to, label=label))
        accepted(outcome) if complete else refused(outcome, "recipients", "/sealed/recipient_count")
    accepted(ledger.publish(world.envelope(SENDER, [OTHER], label=replace(LABEL, urgency=Code("informative")))))


# Step 7: the acts' own rules


def letter(ledger, to=(OTHER, BESIDE), sender=SENDER, **changes):
    signed = ledger.world.envelope(sender, to, **changes)
    accepted(ledger.publish(signed))
    return signed.statement


def about(statement, **changes):
    return {"ref": statement.notice_id, "thread": statement.thread, "topic": statement.topic, **changes}


def test_an_issue_may_go_on_from_what_its_sender_holds(world, ledger):
    first = letter(ledger, [OTHER])
    reply = letter(ledger, [SENDER, BESIDE], OTHER, **about(first, topic="central-asia.routes"))
    letter(ledger, [OTHER], BESIDE, **about(reply))
    stranger = world.envelope("uz/police", [OTHER], **about(first))
    refused(ledger.publish(stranger), "act-refused", "/ref")
    missing = world.statement(OTHER)
    refused(ledger.publish(world.envelope(OTHER, [SENDER], **about(missing))), "act-refused", "/ref")
    other = world.statement(OTHER)
    elsewhere = world.envelope(OTHER, [SENDER], **about(first, thread=other.notice_id))
    refused(ledger.publish(elsewhere), "act-refused", "/thread")


@pytest.mark.parametrize("act", ["correct", "recall"])
def test_only_ones_own_is_corrected_or_recalled_and_to_all_who_hold_it(world, ledger, act):
    first = letter(ledger)
    everybody = [OTHER, BESIDE]

    def send(to, sender=SENDER, **changes):
        return ledger.publish(world.envelope(sender, to, act, **about(first, **changes)))

    refused(send([SENDER, BESIDE], OTHER), "act-refused", "/ref")
    refused(send([OTHER, BESIDE], POINT), "act-refused", "/ref")
    refused(send([OTHER]), "act-refused", "/sealed/recipient_count")
    refused(send(everybody, topic="central-asia.routes"), "act-refused", "/topic")
    refused(send(everybody, thread=world.statement(SENDER).notice_id), "act-refused", "/thread")
    refused(send(everybody, ref=world.statement(SENDER).notice_id), "act-refused", "/ref")
    accepted(send(everybody, label=replace(LABEL, tlp=Code("green"))))
    accepted(send([*everybody, "uz/police"]))
    ledger.rows[first.notice_id].erased = True
    refused(send(everybody), "act-refused", "/ref")


def test_a_correction_is_corrected_and_nothing_else_is(world, ledger):
    first = letter(ledger, [OTHER])
    correction = letter(ledger, [OTHER, BESIDE], act="correct", **about(first))
    letter(ledger, [OTHER, BESIDE], act="correct", **about(correction))
    # Who came to hold it through the correction is asked for as well.
    short = world.envelope(SENDER, [OTHER], "recall", **about(correction))
    refused(ledger.publish(short), "act-refused", "/sealed/recipient_count")
    recall = letter(ledger, [OTHER, BESIDE], act="recall", **about(correction))
    for act in ("correct", "recall"):
        again = world.envelope(SENDER, [OTHER, BESIDE], act, **about(recall))
        refused(ledger.publish(again), "act-refused", "/ref")


def test_holders_of_a_state_that_left_the_directory_are_not_asked_for(world, ledger):
    first = letter(ledger)
    directory = world.directory
    without = replace(directory, roles={role: state for role, state in directory.roles.items() if role != "tj"})
    signed = world.envelope(SENDER, [OTHER], "recall", **about(first))
    accepted(ledger.publish(signed, trust_in(world, without)))


def test_an_acknowledgement_goes_to_exactly_one(world, ledger):
    accepted(ledger.publish(world.envelope(SENDER, [OTHER], "acknowledge")))
    two = world.envelope(SENDER, [OTHER, BESIDE], "acknowledge")
    refused(ledger.publish(two), "act-refused", "/sealed/recipient_count")
    refused(ledger.publish(world.envelope(SENDER, [], "acknowledge")), "recipients")
    # What is acknowledged is nobody's to refer to: it has no thread.
    acknowledgement = world.envelope(SENDER, [OTHER], "acknowledge")
    accepted(ledger.publish(acknowledgement))
    thread = world.statement(SENDER).notice_id
    reply = world.envelope(OTHER, [SENDER], ref=acknowledgement.statement.notice_id, thread=thread)
    refused(ledger.publish(reply), "act-refused", "/thread")


def kids_of(world, *whose):
    return tuple(sorted(kid for who in whose for kid in world.people[who].signing.kids))


@pytest.mark.parametrize(
    ("sender", "problem"),
    [
        (SENDER, None),
        (POINT, None),
        ("kz/police", "/sender"),
        (OTHER, "/sender"),
        ("int/unodc/organisation", "/sender"),
    ],
)
def test_keys_are_revoked_by_their_owner_or_its_focal_point(world, ledger, sender, problem):
    body = RevocationBody(SENDER, kids_of(world, SENDER), Code("theft"))
    outcome = ledger.publish(world.open_envelope(sender, "revoke_key", body))
    accepted(outcome) if problem is None else refused(outcome, "act-refused", problem)


def test_only_the_named_participants_keys_are_revoked(world, ledger):
    for kids in (kids_of(world, SENDER, OTHER), kids_of(world, POINT), (b64(bytes(32)),)):
        body = RevocationBody(SENDER, kids, Code("theft"))
        outcome = ledger.publish(world.open_envelope(POINT, "revoke_key", body))
        refused(outcome, "act-refused", "/body/kids")
    body = RevocationBody("kz/nobody", kids_of(world, SENDER), Code("theft"))
    refused(ledger.publish(world.open_envelope(POINT, "revoke_key", body)), "act-refused", "/body/participant")
    sealing = RevocationBody(SENDER, (world.people[SENDER].sealing.kid,), Code("theft"))
    accepted(ledger.publish(world.open_envelope(SENDER, "revoke_key", sealing)))


@pytest.mark.parametrize("act", ["subscribe", "unsubscribe"])
def test_subscriptions_are_said_by_the_participant_or_its_focal_point(world, ledger, act):
    body = SubscriptionBody("uz/police", ("*.precursors", "central-asia.*"))
    accepted(ledger.publish(world.open_envelope("uz/police", act, body)))
    accepted(ledger.publish(world.open_envelope(OTHER, act, body)))
    for stranger in (POINT, "tj/police"):
        refused(ledger.publish(world.open_envelope(stranger, act, body)), "act-refused", "/sender")
    nobody = SubscriptionBody("uz/nobody", ("*.*",))
    refused(ledger.publish(world.open_envelope(OTHER, act, nobody)), "act-refused", "/body/participant")


@pytest.mark.parametrize(
    ("who", "patterns", "permitted"),
    [
        ("uz/police", ("*.*",), True),
        ("uz/police", ("nowhere.*",), False),
        ("uz/police", ("*.nothing", "central-asia.seizures"), False),
        ("int/unodc/organisation", ("*.routes", "*.substances"), True),
        ("int/unodc/organisation", ("*.routes", "*.seizures"), False),
        ("int/unodc/organisation", ("*.*",), False),
    ],
)
def test_a_subscription_is_to_what_may_be_received(world, ledger, who, patterns, permitted):
    body = SubscriptionBody(who, tuple(sorted(patterns)))
    outcome = ledger.publish(world.open_envelope(who, "subscribe", body))
    if permitted:
        accepted(outcome)
    else:
        assert [item.participant for item in refused(outcome, "denied").denied] == [who]
    # To leave is always possible, also from what is no topic any more.
    accepted(ledger.publish(world.open_envelope(who, "unsubscribe", body)))


# Step 7: access


def denied(outcome, code="denied"):
    return [(item.participant, item.why.condition) for item in refused(outcome, code).denied]


def test_a_denied_recipient_is_named_with_its_condition_and_nobody_else_is(world, ledger):
    label = replace(LABEL, kind=Code("route"))
    topic = {"topic": "central-asia.routes", "label": label}
    outcome = ledger.publish(world.envelope(SENDER, [OTHER, BESIDE, "uz/police"], **topic))
    assert denied(outcome) == [(BESIDE, "no-seizures")]
    (why,) = outcome.denied
    assert (why.why.instrument, why.why.article, why.why.evaluated_by) == ("Illustration", "7", "broker")
    assert "no-seizures" not in outcome.error.detail
    assert BESIDE not in outcome.error.detail
    accepted(ledger.publish(world.envelope(SENDER, [OTHER, "uz/police"], **topic)))


def test_a_sender_that_may_not_publish_is_denied_itself(world, ledger):
    for change in ({"topic": "nowhere.seizures"}, {"label": replace(LABEL, purpose=Code("curiosity"))}):
        found = denied(ledger.publish(world.envelope(SENDER, [OTHER, BESIDE], **change)))
        assert (SENDER, "unknown-code") in found
        assert found == sorted(found)
        assert len({who for who, _ in found}) == len(found)


@pytest.fixture(scope="module")
def lawless():
    """A network in which one State has no profile yet."""
    return make_world(MEMBERS, without_law=["uz"], laws={"tj": DENY_SEIZURES})


def test_a_state_without_a_profile_takes_no_part(lawless):
    ledger = PaperLedger(lawless)
    to_it = ledger.publish(lawless.envelope(SENDER, [OTHER, "uz/police", "kz/police"]))
    assert denied(to_it, "no-profile") == [(OTHER, "no-profile"), ("uz/police", "no-profile")]
    from_it = ledger.publish(lawless.envelope(OTHER, [SENDER]))
    assert ("uz/focal-point", "no-profile") in denied(from_it, "no-profile")
    body = SubscriptionBody(OTHER, ("central-asia.seizures",))
    assert denied(ledger.publish(lawless.open_envelope(OTHER, "subscribe", body)), "no-profile") == [
        (OTHER, "no-profile")
    ]
    both = ledger.publish(lawless.envelope(SENDER, [OTHER, BESIDE]))
    assert denied(both) == [(BESIDE, "no-seizures"), (OTHER, "no-profile")]
    accepted(ledger.publish(lawless.envelope(SENDER, ["kz/police"])))


@pytest.mark.parametrize("act", ["recall", "acknowledge"])
def test_what_must_never_be_blocked_is_not(world, lawless, act):
    """A recipient that may not have it, or a sender whose State has no profile any more: neither is a reason."""
    for where, sender, to in ((lawless, SENDER, OTHER), (lawless, OTHER, SENDER)):
        ledger = PaperLedger(where)
        change = {}
        if act == "recall":
            signed = where.envelope(sender, [to])
            allowed = trust_in(where, replace(where.directory, laws=world.directory.laws))
            accepted(ledger.publish(signed, allowed))
            change = about(signed.statement)
        accepted(ledger.publish(where.envelope(sender, [to], act, **change)))
        # The same as a correction or an issue would be refused.
        if act == "recall":
            assert denied(ledger.publish(where.envelope(sender, [to], "correct", **change)), "no-profile")


def suspended(world, who):
    role = Role(who[:2])
    directory = world.directory
    return trust_in(
        world, replace(directory, roles={**directory.roles, role: edit.suspend(directory.roles[role], who)})
    )


def test_a_suspended_participant_says_nothing_and_gets_nothing(world, ledger):
    trust = suspended(world, OTHER)
    assert denied(ledger.publish(world.envelope(SENDER, [OTHER]), trust)) == [(OTHER, "suspended")]
    assert denied(ledger.publish(world.envelope(OTHER, [SENDER]), trust))[-1] == (OTHER, "suspended")
    # What is never blocked goes to it, and is held; it may say nothing of its own.
    accepted(ledger.publish(world.envelope(SENDER, [OTHER], "acknowledge"), trust))
    own = ledger.publish(world.envelope(OTHER, [SENDER], "acknowledge"), trust)
    assert denied(own) == [(OTHER, "suspended")]
    body = RevocationBody(OTHER, kids_of(world, OTHER), Code("theft"))
    assert denied(ledger.publish(world.open_envelope(OTHER, "revoke_key", body), trust)) == [(OTHER, "suspended")]


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


def test_two_halves_of_identities_are_no_sender(world, ledger):
    one, two = world.people[SENDER].signing, world.people[POINT].signing
    mixed = SigningKeys(one._ed25519, two._mldsa65)
    body = SubscriptionBody(SENDER, ("*.*",))
    people = {**world.people, SENDER: replace(world.people[SENDER], signing=mixed)}
    statement = world.statement(SENDER, "subscribe", body=body)
    signed = replace(world, people=people).sign([open_act(statement)])[0]
    refused(ledger.publish(signed), "unknown-key", definite=False)
    assert digests.statement_digest(signed.statement_bytes) not in ledger.records
