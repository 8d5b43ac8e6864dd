"""Two gateways of one participant: what one has said, the other knows, and acts by.

Everything is real but the TCP connection. The gateways share the sealing key, as a participant's do, and nothing else.
"""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson
import pytest

from adapters.client.errors import AnswerError
from adapters.client.transport import Answer
from adapters.gateway import adopting, duties, inbox, outbox
from adapters.gateway.adopting import Said
from adapters.gateway.elsewhere import Elsewhere
from adapters.gateway.inbox import Arrival
from adapters.gateway.request import (
    AskAccessRequest,
    AskUseRequest,
    CorrectionRequest,
    GrantRequest,
    LabelRequest,
    PermitRequest,
    RecallRequest,
    RefuseRequest,
)
from adapters.gateway.status import DutyState, InboxState, State, Text, Via
from adapters.gateway.store import opened
from keys.custody.cells import Cells
from keys.directory import edit
from keys.directory.records import Life, RequestRecord, SigningRecord
from keys.sign import Ed25519Signer, SigningKeys
from schemas.encoding import from_seconds
from schemas.ids import Code, role_of
from schemas.notice import examples
from tests.gateway_world import a_request, a_world, arrived, known, plant, problem, running, scene, sent, until
from tests.unit.adapters.gateway.test_gateway_originator import came, duty_of, settled
from tests.unit.adapters.gateway.test_gateway_sanitised import copied, people
from tests.unit.adapters.gateway.test_gateway_sanitised import world as without_persons
from tests.world import LABEL, make_world, put_role

SENDER, READER, OTHER, POLICE = "kz/customs", "uz/focal-point", "tj/focal-point", "tj/police"
QUICK = {"duty_seconds": 0.05}


def with_second(world, who):
    """Give a participant a second gateway: a signing identity and a request key of its own, the sealing key shared."""
    person = replace(world.people[who], signing=SigningKeys.generate(), request=Ed25519Signer.generate())
    life = Life(from_seconds(world.now))
    role = role_of(who)
    state = world.directory.roles[role]
    one = next(item for item in state.participants if item.id == who)
    added = (
        SigningRecord(who, Code("gate-2"), life, person.signing.kids, person.signing.public),
        RequestRecord(who, Code("gate-2"), life, person.request.kid, person.request.public),
    )
    put_role(world, role, edit.set_participant(state, replace(one, keys=(*one.keys, *added)), role).encode())
    return person


@asynccontextmanager
async def pair(tmp_path, who, *others, world=None):
    """Run two gateways of one participant, and one of each of the others."""
    made_world = world or make_world()
    person = with_second(made_world, who)
    place = plant(made_world, tmp_path / "second", person)
    async with (
        scene(tmp_path, who, *others, world=made_world, **QUICK) as made,
        running(place, made.wire, **QUICK) as second,
    ):
        await known(second)
        yield made, made[who], second


async def stands(gateway, who, name, state):
    """Wait until a gateway has an own notice in a state, and return its status."""

    async def there():
        found = await gateway.status(who, name)
        return found if found is not None and found.state is state else None

    return await until(there)


def test_what_one_gateway_has_sent_the_other_can_correct_grant_and_recall(tmp_path):
    async def scenario():
        async with pair(tmp_path, SENDER, READER, OTHER) as (made, one, two):
            first = await sent(made, SENDER, a_request(to=(READER,)))
            there = await stands(two, SENDER, first.id, State.PUBLISHED)
            assert (there.notice, there.label, there.index, there.thread) == (
                first.notice,
                first.label,
                first.index,
                first.thread,
            )
            assert {item.participant for item in there.recipients} == {SENDER, READER}
            assert there.receipt is None
            # A grant has no stanza of its sender's; whom it is for stands in its envelope.
            kept = await two.dealings.grant(SENDER, first.id, GrantRequest(to=(OTHER,)), None)
            assert (await two.wait_outcome(SENDER, kept.notice_id, 10)).state is State.PUBLISHED

            async def granted():
                found = await one.status(SENDER, first.id)
                return {item.participant: item.via for item in found.recipients}.get(OTHER) is Via.GRANT or None

            await until(granted)
            (item,) = await arrived(made, OTHER)
            assert item.notice_id == first.id
            # What the one corrects goes to whom the other has granted it.
            text = {**examples("seizure"), "reference": "corrected"}
            second = await settled(made, SENDER, await one.correct(SENDER, first.id, CorrectionRequest(notice=text)))
            assert people(second.recipients) == {READER, OTHER}
            assert (await stands(two, SENDER, first.id, State.CORRECTED)).corrected_by == second.notice_id
            kept = await two.recall(SENDER, first.id, RecallRequest())
            status = await two.wait_outcome(SENDER, kept.notice_id, 10)
            assert (status.state, people(status.recipients)) == (State.PUBLISHED, {READER, OTHER})
            assert (await stands(one, SENDER, first.id, State.RECALLED)).notice is None
            await stands(one, SENDER, second.id, State.RECALLED)
            await came(made, READER, "recall")

    asyncio.run(scenario())


def test_what_one_gateway_was_permitted_the_other_is_permitted_too(tmp_path):
    async def scenario():
        async with pair(tmp_path, READER, SENDER, OTHER) as (made, one, two):
            first = await sent(made, SENDER, a_request(to=(READER,), label=LabelRequest(handling=("h2",))))
            await arrived(made, READER)
            use = AskUseRequest(use="onward", **{"for": (OTHER,)})
            await settled(made, READER, await one.dealings.ask_use(READER, first.id, use, None))
            (question,) = await came(made, SENDER, "ask_use")
            kept = await made[SENDER].dealings.permit(SENDER, question.notice_id, PermitRequest(), None)
            await settled(made, SENDER, kept)

            async def permitted():
                item = await two.inbox_item(READER, first.id)
                if item is None or duty_of(item, "ask-before-sharing").state is not DutyState.PERMITTED:
                    return None
                return item

            item = await until(permitted)
            assert [event.act for event in item.history] == ["ask_use", "permit"]
            # And for those whom the other had asked for, and nobody else.
            with pytest.raises(Exception, match="for others"):
                await two.accept(READER, a_request(to=(POLICE,), ref=first.id))
            kept = await two.accept(READER, a_request(to=(OTHER,), ref=first.id))
            assert (await two.wait_outcome(READER, kept.notice_id, 10)).state is State.PUBLISHED

    asyncio.run(scenario())


def test_what_one_gateway_has_answered_or_seen_the_other_need_not(tmp_path):
    async def scenario():
        async with pair(tmp_path, READER, SENDER) as (made, one, two):
            label = LabelRequest(urgency="8h")
            first = await sent(made, SENDER, a_request(to=(READER,), label=label))
            await arrived(made, READER)
            kept = await one.dealings.refuse(READER, first.id, RefuseRequest(), None)
            answer = await one.wait_outcome(READER, kept.notice_id, 10)
            await one.acknowledge(READER, (first.id,))

            async def met():
                item = await two.inbox_item(READER, first.id)
                duty = None if item is None else duty_of(item, "reply")
                return duty if duty is not None and duty.state is DutyState.MET else None

            assert (await until(met)).met_by == answer.notice_id

            async def seen():
                item = await two.inbox_item(READER, first.id)
                return item.acknowledged_at and item.acknowledgement

            await until(seen)
            # It does not tell the sender a second time.
            assert await two.acknowledge(READER, (first.id,)) == []

    asyncio.run(scenario())


def test_a_question_that_one_gateway_has_granted_is_answered_at_the_other(tmp_path):
    async def scenario():
        async with pair(tmp_path, SENDER, READER, OTHER) as (made, one, two):
            first = await sent(made, SENDER, a_request(to=(READER,)))
            ask = AskAccessRequest(sender=SENDER, topic=first.topic, urgency="8h")
            await settled(made, OTHER, await made[OTHER].dealings.ask_access(OTHER, first.id, ask, None))
            (question,) = await came(made, SENDER, "ask_access")
            kept = await one.dealings.grant_asked(SENDER, question.notice_id, GrantRequest(), None)
            await settled(made, SENDER, kept)

            async def met():
                item = await two.inbox_item(SENDER, question.notice_id)
                return (item is not None and duty_of(item, "reply").state is DutyState.MET) or None

            await until(met)

    asyncio.run(scenario())


def test_a_sanitised_copy_is_known_as_one_and_recalled_from_the_other_gateway(tmp_path):
    async def scenario():
        async with pair(tmp_path, SENDER, READER, OTHER, world=without_persons()) as (made, _, two):
            first = await sent(made, SENDER, a_request(to=(READER, OTHER), sanitise=True))
            _, copy = await copied(made, SENDER, first.id)
            found = await stands(two, SENDER, copy.notice_id, State.PUBLISHED)
            assert (found.sanitised_of, found.text) == (first.id, Text.SANITISED)
            kept = await two.recall(SENDER, first.id, RecallRequest())
            await two.wait_outcome(SENDER, kept.notice_id, 10)
            (recall,) = await came(made, OTHER, "recall")
            assert recall.ref == copy.notice_id
            (item,) = (one for one in await arrived(made, OTHER) if one.notice_id == copy.notice_id)
            assert item.state is InboxState.RECALLED
            await stands(made[SENDER], SENDER, copy.notice_id, State.RECALLED)
            assert len(await came(made, OTHER, "recall")) == 1

    asyncio.run(scenario())


def test_a_gateway_alone_does_not_ask_and_an_older_broker_need_not_answer(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, **QUICK) as made:
            await sent(made, SENDER, a_request(to=(READER,)))
            await arrived(made, READER)
            assert not [request for request in made.wire.log if "/v1/statements" in request.url]
        (tmp_path / "other").mkdir()
        async with pair(tmp_path / "other", READER, SENDER) as (made, _, two):
            made.wire.before = lambda request: problem("not-found", 404) if "/v1/statements" in request.url else None
            first = await sent(made, SENDER, a_request(to=(READER,)))

            async def there():
                return await two.inbox_item(READER, first.id)

            await until(there)
            assert [request for request in made.wire.log if "/v1/statements" in request.url]

    asyncio.run(scenario())


def _elsewhere(gateway, who):
    """Return what follows the other gateways of a participant, apart from the gateway's own loops."""
    identity = gateway._identities[who]
    return Elsewhere(
        identity,
        gateway.store,
        gateway._client,
        gateway._follower,
        identity.signer(gateway.enrolled.origin, gateway._now_ms),
        now_ms=gateway._now_ms,
        wake=lambda: None,
    )


@pytest.mark.parametrize("what", ["index", "time", "stanza", "proof"])
def test_nothing_of_it_is_believed_without_its_proof(tmp_path, what):
    async def scenario():
        async with pair(tmp_path, SENDER, READER, OTHER) as (made, _, two):

            def bend(request, answer):
                if "/v1/statements" not in request.url or answer.status != 200:
                    return answer
                page = orjson.loads(answer.body)
                for item in page["statements"]:
                    if what == "index":
                        item["index"] += 1
                    elif what == "time":
                        item["received_at"] += 1
                    elif what == "stanza":
                        # As if it had been sealed to fewer than it was.
                        item["envelope"]["sealed"]["recipients"].pop()
                    else:
                        item["envelope"]["proof"]["index"] ^= 1
                return Answer(answer.status, answer.headers, orjson.dumps(page))

            made.wire.after = bend
            first = await sent(made, SENDER, a_request(to=(READER, OTHER)))
            elsewhere = _elsewhere(two, SENDER)

            async def refused():
                try:
                    await elsewhere.catch_up()
                except AnswerError:
                    return True
                return None  # no checkpoint is over its leaf yet

            await until(refused)
            assert await two.status(SENDER, first.id) is None
            made.wire.after = None
            await stands(two, SENDER, first.id, State.PUBLISHED)

    asyncio.run(scenario())


# The table by itself, in orders that the log allows and a quick network seldom shows


@pytest.fixture
def store(tmp_path):
    with opened(tmp_path / "store", Cells(Cells.new_key())) as made:
        yield made


def arrival(statement, index, notice, obligations=()):
    owed = tuple({"obligation": code, "parameters": {}} for code in obligations)
    return Arrival(statement, bytes(32), index, index * 1000, InboxState.OPENED, notice, obligations=owed)


def said(statement, index, notice, recipients):
    return Said(statement, statement.encode(), index, index * 1000, notice, recipients)


def about(statement):
    return {"ref": statement.notice_id, "thread": statement.thread, "topic": statement.topic}


def test_what_was_permitted_before_the_question_was_known_here_counts_too(store):
    world = a_world()
    notice = world.statement(SENDER)
    question = world.statement(READER, "ask_use", **about(notice))
    permit = world.statement(SENDER, "permit", **about(question))

    def work(tx):
        inbox.put(tx, READER, [arrival(notice, 1, examples("seizure"), ["ask-before-court"])], 2, at=1)
        inbox.put(tx, READER, [arrival(permit, 3, {"kind": "permit"})], 4, at=1)
        (duty,) = duties.of(tx, READER, notice.notice_id)
        assert duty.state is DutyState.STANDING
        asked = said(question, 2, {"kind": "ask_use", "use": "court"}, (READER, SENDER))
        assert adopting.adopt(tx, READER, [asked], 3, at=9) == 0
        (duty,) = duties.of(tx, READER, notice.notice_id)
        assert (duty.state, duty.met_by) == (DutyState.PERMITTED, permit.notice_id)
        # Taken up twice, it is there once.
        adopting.adopt(tx, READER, [asked], 3, at=9)
        assert len(outbox.statuses(tx, READER, after=0, limit=9, state=None)[0]) == 1
        assert adopting.position(tx, READER) == 3

    asyncio.run(store.write(work))


def test_what_was_answered_elsewhere_before_it_arrived_here_is_answered(store):
    world = a_world()
    notice = replace(world.statement(SENDER), label=replace(LABEL, urgency=Code("8h")))
    answer = world.statement(READER, "refuse", **about(notice))

    def work(tx):
        refused = said(answer, 2, {"kind": "refuse", "reason": "not-permitted"}, (READER, SENDER))
        adopting.adopt(tx, READER, [refused], 3, at=9)
        inbox.put(tx, READER, [arrival(notice, 1, examples("seizure"))], 2, at=9)
        (duty,) = duties.of(tx, READER, notice.notice_id)
        assert (duty.code, duty.state, duty.met_by) == ("reply", DutyState.MET, answer.notice_id)

    asyncio.run(store.write(work))


def test_a_grant_of_a_notice_that_is_not_known_here_is_passed_over(store):
    world = a_world()
    grant = world.statement(SENDER, "grant", ref=world.statement(SENDER).notice_id)

    def work(tx):
        assert adopting.adopt(tx, SENDER, [said(grant, 2, None, (READER,))], 3, at=9) == 0
        assert outbox.statuses(tx, SENDER, after=0, limit=9, state=None)[0] == []

    asyncio.run(store.write(work))


def test_a_copy_under_way_here_is_recalled_when_its_notice_was_recalled_elsewhere(store):
    world = a_world()
    notice = replace(world.statement(SENDER), label=replace(LABEL, nominal=True))
    copy = replace(world.statement(SENDER), **about(notice), label=replace(LABEL, nominal=False))
    recall = world.statement(SENDER, "recall", **about(notice))
    clean = {name: value for name, value in examples("seizure").items() if name != "nominal"}

    def work(tx):
        both = [
            said(notice, 1, examples("seizure"), (SENDER, READER)),
            said(copy, 2, clean, (SENDER, OTHER)),
        ]
        adopting.adopt(tx, SENDER, both, 3, at=9)
        assert outbox.status(tx, SENDER, copy.notice_id).sanitised_of == notice.notice_id
        what = said(recall, 3, {"kind": "recall", "reason": "x"}, (SENDER, READER))
        assert adopting.adopt(tx, SENDER, [what], 4, at=9) == 1
        assert outbox.status(tx, SENDER, notice.notice_id).state is State.RECALLED
        (waiting,) = outbox.waiting(tx, SENDER, after=0, limit=9)
        assert (waiting.draft.act, waiting.draft.ref) == ("recall", copy.notice_id)

    asyncio.run(store.write(work))
