"""Sanitised copies: who may not have the nominal part gets the notice without it, from the sender or from who passes it on.

Everything is real but the TCP connection.
"""

import asyncio
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.gateway import copies, outbox, sanitising
from adapters.gateway.draft import Draft
from adapters.gateway.entries import Addressed, Parts, Publication, Sealing
from adapters.gateway.recipients import OFFER, Chooser
from adapters.gateway.request import ConditionRequest, CorrectionRequest, LabelRequest, NoticeRequest, RecallRequest
from adapters.gateway.status import Addressee, InboxState, State, Text, Via
from adapters.gateway.store import opened
from keys.custody.cells import Cells
from schemas.errors import FormError
from schemas.ids import LedgerIndex
from schemas.notice import examples
from schemas.rules.decide import decide
from schemas.rules.facts import Facts
from tests.gateway_world import a_request, arrived, refuse, scene, sent, subscribed, until
from tests.unit.adapters.gateway.test_gateway_originator import came, settled
from tests.unit.adapters.gateway.test_gateway_recipients import network_of
from tests.world import LABEL, denying, make_world

SENDER, READER, OTHER, POLICE = "kz/customs", "uz/focal-point", "tj/focal-point", "tj/police"
NO_PERSONS = """
[[condition]]
id = "no-persons"
instrument = "Act on Personal Data"
article = "7"
effect = "deny"
applies_to = { direction = "receive", nominal = true }
[condition.explanation]
en = "Without persons."
"""
WHOLE = examples("seizure")
CLEAN = {name: value for name, value in WHOLE.items() if name != "nominal"}
SANITISE = LabelRequest(handling=("h3",), conditions=(ConditionRequest(code="sanitise-before-sharing"),))


def world():
    return make_world(laws={"tj": NO_PERSONS})


async def copied(made, who, name):
    """Wait until a notice's copy is published, and return the notice's status and the copy's."""

    async def there():
        status = await made[who].status(who, name)
        copy = status.sanitised
        done = copy is not None and copy.state is State.PUBLISHED
        return (status, await made[who].status(who, copy.id)) if done else None

    return await until(there)


def people(addressees):
    return {item.participant for item in addressees} - {SENDER}


# The sender's


def test_who_may_not_have_the_nominal_part_gets_a_copy_without_it(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER, world=world()) as made:
            first = await sent(made, SENDER, a_request(to=(READER, OTHER), sanitise=True))
            assert first.state is State.PUBLISHED, first.problem
            status, copy = await copied(made, SENDER, first.id)
            # The drafter sees who has which text.
            assert (status.text, people(status.recipients), status.left_out) == (Text.FULL, {READER}, ())
            assert people(status.sanitised.recipients) == {OTHER}
            assert (status.sanitised_of, copy.sanitised_of, copy.text) == (None, first.id, Text.SANITISED)
            assert (copy.act, copy.ref, copy.thread) == ("issue", first.notice_id, first.notice_id)
            assert copy.id != first.id
            assert copy.label == replace(first.label, nominal=False)
            assert copy.notice == CLEAN
            (whole,) = await arrived(made, READER)
            assert (whole.notice["nominal"], whole.label.nominal) == (WHOLE["nominal"], True)
            (clean,) = await arrived(made, OTHER)
            assert (clean.notice_id, clean.state, clean.label.nominal) == (copy.notice_id, InboxState.OPENED, False)
            assert "nominal" not in clean.notice
            assert b"Example" not in orjson.dumps(clean.notice)
            await made[OTHER].acknowledge(OTHER, (clean.notice_id,))

            async def told():
                now = await made[SENDER].status(SENDER, first.id)
                (one,) = (item for item in now.sanitised.recipients if item.participant == OTHER)
                return one.acknowledged_at

            await until(told)

    asyncio.run(scenario())


def test_without_being_asked_for_it_is_offered_and_nothing_is_sent(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, world=world()) as made:
            request = a_request(to=(READER, OTHER))
            preview = await made[SENDER].preview(SENDER, request)
            assert not preview.would_send
            offer = preview.sanitised
            assert (offer.asked, offer.alone, offer.recipients) == (False, False, (OTHER,))
            assert (offer.left_out, offer.notice, offer.label.nominal) == (("/notice/nominal",), CLEAN, False)
            assert {item.participant: item.text for item in preview.candidates} == {READER: Text.FULL, OTHER: None}
            kept = await sent(made, SENDER, request)
            assert (kept.state, kept.problem.code, kept.problem.hint) == (State.RETURNED, "denied", OFFER)
            assert kept.sanitised is None
            wished = await made[SENDER].preview(SENDER, request.model_copy(update={"sanitise": True}))
            assert (wished.would_send, wished.sanitised.asked) == (True, True)
            assert {item.participant: item.text for item in wished.candidates} == {
                READER: Text.FULL,
                OTHER: Text.SANITISED,
            }
            # Where everybody may have it, and where nobody is named in it, there is nothing to offer.
            assert (await made[SENDER].preview(SENDER, a_request(to=(READER,)))).sanitised is None
            clean = a_request(to=(READER, OTHER), notice=CLEAN)
            assert (await made[SENDER].preview(SENDER, clean)).sanitised is None

    asyncio.run(scenario())


def test_where_nobody_may_have_the_whole_notice_the_sanitised_text_goes_in_its_place(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, world=world()) as made:
            request = a_request(to=(OTHER,), sanitise=True)
            assert (await made[SENDER].preview(SENDER, request)).sanitised.alone
            first = await sent(made, SENDER, request)
            assert (first.state, first.text, first.sanitised) == (State.PUBLISHED, Text.SANITISED, None)
            assert (first.label.nominal, first.notice, first.ref, first.thread) == (False, CLEAN, None, first.notice_id)
            (item,) = await arrived(made, OTHER)
            assert (item.notice_id, item.label.nominal) == (first.notice_id, False)

    asyncio.run(scenario())


def test_a_subscriber_gets_a_copy_and_is_left_out_where_it_may_not_have_that_either(tmp_path):
    async def scenario():
        laws = {"tj": NO_PERSONS, "uz": denying()}
        async with scene(tmp_path, SENDER, READER, OTHER, POLICE, world=make_world(laws=laws)) as made:
            for who in (READER, OTHER):
                await subscribed(made, who, "*.seizures")
            first = await sent(made, SENDER, a_request(to=("kz/focal-point",), sanitise=True))
            status, copy = await copied(made, SENDER, first.id)
            assert people(status.recipients) == {"kz/focal-point"}
            assert [(item.participant, item.denied.state) for item in status.left_out] == [(READER, "uz")]
            assert [(item.participant, item.via) for item in copy.recipients[1:]] == [(OTHER, Via.SUBSCRIPTION)]

    asyncio.run(scenario())


def test_with_a_clock_the_focal_point_gets_the_copy_too(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, POLICE, world=world()) as made:
            label = LabelRequest(urgency="8h")
            first = await sent(made, SENDER, a_request(to=(READER, POLICE), label=label, sanitise=True))
            status, copy = await copied(made, SENDER, first.id)
            assert people(status.recipients) == {READER, "kz/focal-point"}
            assert people(copy.recipients) == {POLICE, OTHER, "kz/focal-point"}
            for who in (OTHER, POLICE):
                (item,) = await arrived(made, who)
                assert "reply" in {duty.code for duty in item.duties}

    asyncio.run(scenario())


def test_what_happens_to_the_notice_happens_to_its_copy(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER, world=world(), duty_seconds=0.05) as made:
            first = await sent(made, SENDER, a_request(to=(READER, OTHER), sanitise=True))
            _, copy = await copied(made, SENDER, first.id)
            text = {**WHOLE, "reference": "corrected"}
            await settled(made, SENDER, await made[SENDER].correct(SENDER, first.id, CorrectionRequest(notice=text)))
            (_, second) = await arrived(made, OTHER, 2)
            assert (second.act, second.ref, second.notice["reference"]) == ("correct", copy.notice_id, "corrected")
            assert "nominal" not in second.notice
            corrected = await made[SENDER].status(SENDER, copy.id)
            assert corrected.state is State.CORRECTED
            (_, whole) = await arrived(made, READER, 2)
            assert whole.notice["nominal"] == WHOLE["nominal"]
            kept = await made[SENDER].recall(SENDER, first.id, RecallRequest(reason="wrong-person"))
            await settled(made, SENDER, kept)
            (recall,) = await came(made, OTHER, "recall")
            assert (recall.ref, recall.notice["reason"]) == (copy.notice_id, "wrong-person")
            items, _ = await made[OTHER].inbox(OTHER)
            assert [item.notice for item in items if item.act != "recall"] == [None, None]
            # A copy is recalled once, however often that is asked for.
            again = await made[SENDER].recall(SENDER, first.id, RecallRequest())
            assert not again.created
            assert len(await came(made, OTHER, "recall")) == 1
            await came(made, SENDER, "certify", 4)

    asyncio.run(scenario())


def test_whom_the_broker_denies_gets_a_copy_where_one_is_asked_for(tmp_path):
    """The broker may know a law that the gateway has not read yet."""

    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            denied = []

            def before(request):
                if request.method == "PUT" and "/notices/" in request.url and not denied:
                    denied.append(request)
                    return refuse(made.world, request, "denied", (OTHER,))
                return None

            made.wire.before = before
            first = await sent(made, SENDER, a_request(to=(READER, OTHER), sanitise=True))
            status, copy = await copied(made, SENDER, first.id)
            assert (people(status.recipients), people(copy.recipients)) == ({READER}, {OTHER})
            (item,) = await arrived(made, OTHER)
            assert not item.label.nominal

    asyncio.run(scenario())


# Who passes it on


def test_a_holder_passes_on_what_is_left_and_gives_the_whole_back(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            first = await sent(made, SENDER, a_request(to=(READER,), label=SANITISE))
            (item,) = await arrived(made, READER)
            with pytest.raises(FormError) as raised:
                await made[READER].preview(READER, a_request(to=(OTHER,), ref=first.id))
            assert raised.value.pointer == "/notice/nominal"
            assert "sanitise" in raised.value.detail
            request = a_request(to=(OTHER, SENDER), ref=first.id, sanitise=True)
            preview = await made[READER].preview(READER, request)
            assert {one.participant: one.text for one in preview.candidates} == {
                OTHER: Text.SANITISED,
                SENDER: Text.FULL,
            }
            answer = await sent(made, READER, request)
            status, copy = await copied(made, READER, answer.id)
            assert {one.participant for one in status.recipients} == {READER, SENDER}
            assert {one.participant for one in copy.recipients} == {READER, OTHER}
            # The copy answers what the whole answers: that is what others look for.
            assert (copy.ref, copy.thread) == (first.id, first.thread)
            (whole,) = await arrived(made, SENDER)
            (clean,) = await arrived(made, OTHER)
            assert (is_clean(whole), is_clean(clean)) == (False, True)
            # At the holder's the duty stands, and what was passed on under it is in the notice's time.
            item = await made[READER].inbox_item(READER, first.id)
            assert [duty.state for duty in item.duties] == ["standing"]
            assert {event.notice_id for event in item.history} == {answer.notice_id, copy.notice_id}

    asyncio.run(scenario())


def is_clean(item):
    return not item.label.nominal and "nominal" not in item.notice


def test_to_others_alone_and_to_subscribers_only_what_is_left_goes(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            await subscribed(made, OTHER, "*.seizures")
            first = await sent(made, SENDER, a_request(to=(READER,), label=SANITISE, topic="osce.routes"))
            await arrived(made, READER)
            answer = await sent(made, READER, a_request(ref=first.id, sanitise=True))
            assert (answer.state, answer.text) == (State.PUBLISHED, Text.SANITISED)
            (item,) = await arrived(made, OTHER)
            assert is_clean(item)

    asyncio.run(scenario())


# The choice by itself

PEOPLE = ("kz/customs", "kz/focal-point", "uz/focal-point", "uz/police", "tj/focal-point", "tj/police", "kg/police")


@pytest.fixture(scope="module")
def network():
    laws = {"tj": NO_PERSONS, "kg": denying(), "kz": NO_PERSONS.replace('"receive"', '"send", counterparts = ["uz"]')}
    return network_of(make_world(PEOPLE, laws=laws).trust())


@given(st.lists(st.sampled_from(PEOPLE[1:]), unique=True), st.none() | st.frozensets(st.sampled_from(PEOPLE[1:])))
def test_nobody_has_more_than_it_may_and_everybody_as_much(network, to, whole_for):
    label = replace(LABEL, nominal=True)
    draft = Draft("issue", "central-asia.seizures", label, WHOLE, tuple(to), None, sanitise=True)
    if whole_for is not None:
        draft = replace(draft, whole_for=tuple(whole_for))

    def may(who, nominal):
        facts = Facts(
            "receive",
            "issue",
            draft.topic,
            replace(label, nominal=nominal),
            network.parties["kz/customs"],
            network.parties[who],
        )
        return decide(facts, network.rules, evaluator="sender-gateway").permitted

    whole = {who for who in to if may(who, True) and (whole_for is None or who in whole_for)}
    clean = {who for who in to if who not in whole and may(who, False)}
    choice = Chooser(network, "kz/customs", network.moment(0)).choose(draft)
    if whole:
        assert {item.participant for item in choice.addressed.sealed} == whole
        assert {item.participant for item in choice.addressed.copies} == clean
        assert choice.instead is None
    elif clean:
        assert {item.participant for item in choice.addressed.sealed} == clean
        assert (choice.instead.label.nominal, choice.instead.notice) == (False, CLEAN)
    # Whom a person named and who may have neither is for that person to give up.
    assert (choice.trouble is None) is (bool(to) and whole | clean == set(to))


def test_a_draft_that_cannot_be_read_has_no_copy(network):
    label = replace(LABEL, nominal=True)
    draft = Draft("issue", "central-asia.seizures", label, {"kind": "seizure"}, ("tj/police",), None, sanitise=True)
    choice = Chooser(network, "kz/customs", network.moment(0)).choose(draft)
    assert (choice.instead, choice.addressed.copies, choice.trouble.code) == (None, (), "denied")
    with pytest.raises(FormError):
        sanitising.sanitised(replace(draft, label=None))


# The table by itself


@pytest.fixture
def store(tmp_path):
    with opened(tmp_path / "store", Cells(Cells.new_key())) as made:
        yield made


def _kept(tx):
    """Return what is kept, by id, with its act and what it refers to."""
    return [(item.id, item.draft) for item in outbox.waiting(tx, SENDER, after=0, limit=100)]


def _publish(tx, name, index, recipients=(Addressee(SENDER, Via.SENDER),), for_copy=()):
    entry = next(item for item in outbox.waiting(tx, SENDER, after=0, limit=100) if item.id == name)
    parts = Parts(name, b"s", b"p", b"b")
    outbox.keep_sealed(tx, [Sealing(entry.seq, parts, Addressed(recipients, (), for_copy))], at=1)
    published = [Publication(entry.seq, "r", LedgerIndex(index), 1)]
    outbox.mark_published(tx, published)
    return copies.follow(tx, SENDER, published, at=2)


def _name(number):
    return f"019ac0de-5e4d-7c1a-9b7e-0000000000{number:02d}"


def _accept(tx, number, draft, ref=None):
    outbox.accept(tx, SENDER, [(_name(number), draft)], at=1, ref=ref)
    return _name(number)


ISSUE = Draft("issue", "central-asia.seizures", replace(LABEL, nominal=True), WHOLE, (OTHER,), None)
FOR = (Addressee(OTHER, Via.NAMED),)


def test_what_was_done_while_a_copy_was_under_way_is_done_to_it_at_once(store):
    def work(tx):
        first = _accept(tx, 1, ISSUE)
        assert _publish(tx, first, 1, for_copy=FOR) == 1
        ((copy, draft),) = _kept(tx)
        assert (draft.copy_for, draft.ref, draft.closed, draft.to) == (FOR, first, True, ())
        correction = _accept(
            tx,
            2,
            replace(ISSUE, act="correct", ref=first, thread=first, notice={**WHOLE, "reference": "two"}),
            ref=first,
        )
        assert _publish(tx, correction, 2) == 0  # there is no copy that could be corrected
        assert _publish(tx, copy, 3) == 1
        ((second, draft),) = _kept(tx)
        assert (draft.act, draft.ref, draft.notice["reference"]) == ("correct", copy, "two")
        assert draft.label.nominal is False
        # A correction of the correction reaches the copy's correction.
        third = replace(ISSUE, act="correct", ref=correction, thread=first)
        third = _accept(tx, 3, third, ref=correction)
        assert _publish(tx, third, 4) == 0
        assert _publish(tx, second, 5) == 1
        ((fourth, draft),) = _kept(tx)
        assert draft.ref == second
        assert _publish(tx, fourth, 6) == 0
        assert _kept(tx) == []

    asyncio.run(store.write(work))


def test_a_copy_whose_notice_was_recalled_meanwhile_is_recalled_as_soon_as_it_is_published(store):
    def work(tx):
        first = _accept(tx, 1, ISSUE)
        _publish(tx, first, 1, for_copy=FOR)
        ((copy, _),) = _kept(tx)
        said = Draft("recall", ISSUE.topic, LABEL, {"kind": "recall", "reason": "x"}, (), None, ref=first, thread=first)
        recall = _accept(tx, 2, said, ref=first)
        assert copies.recall(tx, SENDER, first, said, at=1) == 0
        assert _publish(tx, copy, 2) == 1
        drafts = dict(_kept(tx))
        del drafts[recall]
        ((name, draft),) = drafts.items()
        assert (draft.act, draft.ref, draft.notice) == ("recall", copy, said.notice)
        _publish(tx, name, 3)
        assert outbox.status(tx, SENDER, copy).state is State.RECALLED

    asyncio.run(store.write(work))


def test_a_notice_without_copies_has_none_and_a_draft_of_an_older_version_wishes_none():
    kept = orjson.loads(ISSUE.encode())
    for name in ("sanitise", "whole_for", "sanitised", "copy_for"):
        del kept[name]
    assert Draft.parse(orjson.dumps(kept)) == ISSUE
    full = replace(ISSUE, sanitise=True, whole_for=(OTHER,), sanitised=True, copy_for=FOR)
    assert Draft.parse(full.encode()) == full


def test_a_request_that_does_not_ask_reads_as_it_always_did():
    """So that one under an idempotency key of before is still the same request."""
    assert "sanitise" not in a_request().model_dump_json()
    assert NoticeRequest.parse(a_request(sanitise=True).model_dump_json().encode()).sanitise
