"""The originator keeps control: asked, granted, permitted, refused, recalled, certified, between real gateways and a broker.

Everything is real but the TCP connection.
"""

import asyncio

import pytest

from adapters.gateway.asking import NotAnswerableError
from adapters.gateway.granting import NotGrantableError
from adapters.gateway.onward import ConsentNeededError
from adapters.gateway.request import (
    AskAccessRequest,
    AskUseRequest,
    ConsentRequest,
    CorrectionRequest,
    DeleteRequest,
    GrantRequest,
    LabelRequest,
    PermitRequest,
    RecallRequest,
    RefuseRequest,
)
from adapters.gateway.status import DutyState, InboxState, State, Via
from schemas.encoding import b64encode, from_seconds
from schemas.errors import Error, FormError
from schemas.notice import examples
from schemas.statement import Statement
from tests.gateway_world import a_request, arrived, scene, sent, subscribed, until
from tests.world import denying, make_world

SENDER, POINT, READER, OTHER, POLICE = "kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point", "tj/police"
H2 = LabelRequest(handling=("h2",))


async def settled(made, who, kept):
    status = await made[who].wait_outcome(who, kept.notice_id, 10)
    assert status.state is State.PUBLISHED, status.problem
    return status


async def came(made, who, act, number=1):
    """Wait for items of an act and return them."""

    async def enough():
        items, _ = await made[who].inbox(who, limit=1000)
        found = [item for item in items if item.act == act]
        return found if len(found) >= number else None

    return await until(enough)


def duty_of(item, code):
    return next(duty for duty in item.duties if duty.code == code)


def asking(status, **changes):
    return AskAccessRequest(**{"sender": SENDER, "topic": status.topic, **changes})


@pytest.mark.parametrize("streams", [False, True], ids=["polled", "streamed"])
def test_who_asks_is_granted_the_original_ciphertext_and_everybody_sees_it(tmp_path, streams):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER, streams=streams) as made:
            first = await sent(made, SENDER, a_request(to=(READER,), label=H2))
            await arrived(made, READER)
            ask = await made[OTHER].dealings.ask_access(OTHER, first.id, asking(first, text="Our case."), None)
            ask = await settled(made, OTHER, ask)
            (question,) = await came(made, SENDER, "ask_access")
            assert (question.sender, question.ref, question.thread) == (OTHER, first.id, first.id)
            assert question.notice == {"kind": "ask_access", "text": "Our case."}
            kept = await made[SENDER].dealings.grant_asked(SENDER, question.notice_id, GrantRequest(), None)
            grant = await settled(made, SENDER, kept)
            (item,) = await came(made, OTHER, "issue")
            assert (item.notice_id, item.sender, item.state) == (first.id, SENDER, InboxState.OPENED)
            assert item.granted_by == grant.notice_id
            assert item.notice["kind"] == "seizure"
            (own,) = await came(made, READER, "issue")
            assert (own.notice, own.statement_digest, own.granted_by) == (item.notice, item.statement_digest, None)
            # At both ends the notice's time says what happened.
            status = await made[SENDER].status(SENDER, first.id)
            assert [(event.act, event.participant, event.own) for event in status.history] == [
                ("ask_access", OTHER, False),
                ("grant", SENDER, True),
            ]
            assert [(who.participant, who.via) for who in status.recipients][-1] == (OTHER, Via.GRANT)
            asked = await made[OTHER].status(OTHER, ask.id)
            assert asked.act == "ask_access"
            # Who was granted it acknowledges it like anybody else.
            await made[OTHER].acknowledge(OTHER, (item.notice_id,))

            async def told():
                now = await made[SENDER].status(SENDER, first.id)
                return [one.participant for one in now.acknowledged_by] == [OTHER] or None

            await until(told)
            # Nobody is granted what it has.
            with pytest.raises(FormError) as raised:
                await made[SENDER].dealings.grant(SENDER, first.id, GrantRequest(to=(OTHER, READER)), None)
            assert raised.value.pointer == "/to"

    asyncio.run(scenario())


def test_who_asks_may_be_refused_with_a_reason(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            first = await sent(made, SENDER, a_request(to=(READER,)))
            ask = await settled(
                made, OTHER, await made[OTHER].dealings.ask_access(OTHER, first.id, asking(first), None)
            )
            (question,) = await came(made, SENDER, "ask_access")
            request = RefuseRequest(reason="source-at-risk", text="Not now.")
            kept = await made[SENDER].dealings.refuse(SENDER, question.notice_id, request, None)
            await settled(made, SENDER, kept)
            (answer,) = await came(made, OTHER, "refuse")
            assert (answer.ref, answer.notice["reason"]) == (ask.notice_id, "source-at-risk")
            asked = await made[OTHER].status(OTHER, ask.id)
            assert [(event.act, event.said, event.text) for event in asked.history] == [
                ("refuse", {"reason": "source-at-risk"}, "Not now.")
            ]
            assert (await made[OTHER].inbox_item(OTHER, first.id)) is None

    asyncio.run(scenario())


def test_a_grant_brings_the_correction_along_and_a_recall_reaches_who_was_granted(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            first = await sent(made, SENDER, a_request(to=(READER,)))
            text = {**examples("seizure"), "reference": "corrected"}
            second = await settled(
                made, SENDER, await made[SENDER].correct(SENDER, first.id, CorrectionRequest(notice=text))
            )
            await made[SENDER].dealings.grant(SENDER, first.id, GrantRequest(to=(OTHER,)), None)
            items = await arrived(made, OTHER, 2)
            assert [(item.notice_id, item.state) for item in items] == [
                (first.id, InboxState.CORRECTED),
                (second.notice_id, InboxState.OPENED),
            ]
            # Who is granted it in the same breath as it is recalled, it or its correction alone, is told as well.
            app, made.wire.app = made.wire.app, None
            await until(lambda: made[SENDER].readiness().reasons)
            kept = [
                await made[SENDER].dealings.grant(SENDER, name, GrantRequest(to=(who,)), None)
                for name, who in ((second.id, POINT), (first.id, POLICE))
            ]
            recall = await made[SENDER].recall(SENDER, first.id, RecallRequest())
            made.wire.app = app
            for one in kept:
                await settled(made, SENDER, one)
            status = await settled(made, SENDER, recall)
            assert {one.participant for one in status.recipients} == {SENDER, READER, OTHER, POINT, POLICE}

            async def gone():
                found = await made[OTHER].inbox(OTHER)
                return all(item.notice is None for item in found[0] if item.act != "recall") or None

            await until(gone)
            with pytest.raises(NotGrantableError):
                await made[SENDER].dealings.grant(SENDER, first.id, GrantRequest(to=(POLICE,)), None)

    asyncio.run(scenario())


def test_what_is_granted_and_recalled_in_one_breath_is_recalled_for_everybody(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            first = await sent(made, SENDER, a_request(to=(READER,)))
            app, made.wire.app = made.wire.app, None
            await until(lambda: made[SENDER].readiness().reasons)
            kept = await made[SENDER].dealings.grant(SENDER, first.id, GrantRequest(to=(POLICE,)), None)
            recall = await made[SENDER].recall(SENDER, first.id, RecallRequest())
            made.wire.app = app
            await settled(made, SENDER, kept)
            status = await settled(made, SENDER, recall)
            assert {one.participant for one in status.recipients} == {SENDER, READER, POLICE}

    asyncio.run(scenario())


def test_a_recall_leaves_a_certificate_of_each_gateway_that_had_opened_it(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER, duty_seconds=0.05) as made:
            first = await sent(made, SENDER, a_request(to=(READER,)))
            await arrived(made, READER)
            await settled(
                made, SENDER, await made[SENDER].dealings.grant(SENDER, first.id, GrantRequest(to=(OTHER,)), None)
            )
            await came(made, OTHER, "issue")
            await settled(made, SENDER, await made[SENDER].recall(SENDER, first.id, RecallRequest()))
            certificates = await came(made, SENDER, "certify", 2)
            assert {item.sender for item in certificates} == {READER, OTHER}
            statement = await made[SENDER].store.read(
                lambda tx: tx.connection.execute(
                    "SELECT statement_digest FROM outbox WHERE id = ?", (first.id,)
                ).fetchone()
            )
            for item in certificates:
                assert item.ref == first.id
                assert item.notice["reason"] == "recalled"
                assert item.notice["statement_digest"] == b64encode(statement[0])
            for who in (READER, OTHER):
                gone = await made[who].inbox_item(who, first.id)
                assert (gone.state, gone.notice) == (InboxState.RECALLED, None)
                assert gone.deleted_at is not None
                assert gone.certificate is not None
            status = await made[SENDER].status(SENDER, first.id)
            assert [event.act for event in status.history].count("certify") == 2

    asyncio.run(scenario())


def test_a_use_is_asked_for_permitted_for_a_time_and_refused_again(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            first = await sent(made, SENDER, a_request(to=(READER,), label=LabelRequest(handling=("h1",))))
            (item,) = await arrived(made, READER)
            assert duty_of(item, "ask-before-court").state is DutyState.STANDING
            dealings = made[READER].dealings
            ask = await settled(
                made, READER, await dealings.ask_use(READER, first.id, AskUseRequest(use="court"), None)
            )
            (question,) = await came(made, SENDER, "ask_use")
            assert question.notice == {"kind": "ask_use", "use": "court"}
            end = from_seconds(made.world.now + 86400)
            kept = await made[SENDER].dealings.permit(
                SENDER, question.notice_id, PermitRequest(until=end, text="In this case."), None
            )
            await settled(made, SENDER, kept)
            (answer,) = await came(made, READER, "permit")
            assert answer.ref == ask.notice_id
            duty = duty_of(await made[READER].inbox_item(READER, first.id), "ask-before-court")
            assert (duty.state, duty.permitted_until, duty.met_by) == (DutyState.PERMITTED, end, answer.notice_id)
            made.broker.clock.ms += 2000
            again = await made[SENDER].dealings.refuse(SENDER, question.notice_id, RefuseRequest(), None)
            await settled(made, SENDER, again)
            await came(made, READER, "refuse")
            item = await made[READER].inbox_item(READER, first.id)
            assert duty_of(item, "ask-before-court").state is DutyState.STANDING
            assert [event.act for event in item.history] == ["ask_use", "permit", "refuse"]
            # What is no question, or no code, is answered at once.
            with pytest.raises(FormError) as raised:
                await dealings.ask_use(READER, first.id, AskUseRequest(use="pleasure"), None)
            assert raised.value.pointer == "/use"
            with pytest.raises(NotAnswerableError):
                await dealings.permit(READER, first.id, PermitRequest(), None)
            with pytest.raises(Error) as missing:
                await dealings.refuse(READER, ask.notice_id, RefuseRequest(), None)
            assert missing.value.code == "not-found"

    asyncio.run(scenario())


def test_a_holder_asks_to_pass_on_and_the_originator_grants_it_to_those_named(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            first = await sent(made, SENDER, a_request(to=(READER,), label=H2))
            (item,) = await arrived(made, READER)
            assert duty_of(item, "ask-before-sharing").state is DutyState.STANDING
            onward = a_request(ref=first.id, to=(OTHER,))
            with pytest.raises(ConsentNeededError) as raised:
                await made[READER].accept(READER, onward)
            assert raised.value.pointer == "/to"
            with pytest.raises(ConsentNeededError):
                await made[READER].preview(READER, onward)
            request = AskUseRequest(use="onward", for_=(OTHER,))
            await settled(made, READER, await made[READER].dealings.ask_use(READER, first.id, request, None))
            (question,) = await came(made, SENDER, "ask_use")
            assert question.notice["for"] == [OTHER]
            kept = await made[SENDER].dealings.grant_asked(SENDER, question.notice_id, GrantRequest(), None)
            await settled(made, SENDER, kept)
            (copy,) = await came(made, OTHER, "issue")
            assert (copy.notice_id, copy.notice) == (first.id, item.notice)
            await came(made, READER, "permit")
            # It may go on to those who were named, and to nobody else.
            assert (await sent(made, READER, onward)).state is State.PUBLISHED
            with pytest.raises(ConsentNeededError):
                await made[READER].accept(READER, a_request(ref=first.id, to=(POLICE,)))

    asyncio.run(scenario())


def test_an_answer_to_what_must_not_be_passed_on_reaches_no_subscriber(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            await subscribed(made, OTHER, "*.*")
            first = await sent(made, SENDER, a_request(to=(READER,), topic="osce.practice", label=H2))
            await until(lambda: first.state is State.PUBLISHED)
            await arrived(made, READER)
            answer = await sent(made, READER, a_request(to=(SENDER,), ref=first.id))
            assert [one.participant for one in answer.recipients] == [READER, SENDER]

    asyncio.run(scenario())


def test_only_the_originators_word_permits(tmp_path):
    """Another holder of the question, or of the notice, permits nothing."""

    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            first = await sent(made, SENDER, a_request(to=(READER, OTHER), label=LabelRequest(handling=("h1",))))
            await arrived(made, READER)
            label = made.world.statement(OTHER).label
            statement: Statement = made.world.statement(
                OTHER, "permit", ref=first.notice_id, thread=first.thread, topic=first.topic, label=label
            )
            unsigned = made.world.sealed(statement, [READER], {"kind": "permit", "use": "court"})
            await made.broker.serving.publish(statement.notice_id, made.world.sign([unsigned])[0].envelope)
            (item,) = await came(made, READER, "permit")
            assert item.state is InboxState.OPENED
            held = await made[READER].inbox_item(READER, first.id)
            assert duty_of(held, "ask-before-court").state is DutyState.STANDING
            # The originator's own, of the notice itself, does.
            statement = made.world.statement(
                SENDER, "permit", ref=first.notice_id, thread=first.thread, topic=first.topic, label=label
            )
            unsigned = made.world.sealed(statement, [READER], {"kind": "permit", "use": "court"})
            await made.broker.serving.publish(statement.notice_id, made.world.sign([unsigned])[0].envelope)
            await came(made, READER, "permit", 2)
            held = await made[READER].inbox_item(READER, first.id)
            assert duty_of(held, "ask-before-court").state is DutyState.PERMITTED

    asyncio.run(scenario())


def test_consent_is_given_and_taken_back(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            notice = examples("controlled-delivery")
            first = await sent(
                made, SENDER, a_request(to=(READER,), topic="central-asia.controlled-deliveries", notice=notice)
            )
            assert first.state is State.PUBLISHED, first.problem
            await arrived(made, READER)
            dealings = made[READER].dealings
            await settled(made, READER, await dealings.consent(READER, first.id, ConsentRequest(text="Agreed."), None))
            await came(made, SENDER, "consent")
            made.broker.clock.ms += 1000
            await settled(
                made, READER, await dealings.withdraw(READER, first.id, RefuseRequest(reason="court-order"), None)
            )
            await came(made, SENDER, "withdraw")
            status = await made[SENDER].status(SENDER, first.id)
            assert [(event.act, event.participant) for event in status.history] == [
                ("consent", READER),
                ("withdraw", READER),
            ]

    asyncio.run(scenario())


def test_a_person_deletes_a_text_and_its_sender_gets_a_certificate(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, duty_seconds=0.05) as made:
            first = await sent(made, SENDER, a_request(to=(READER,)))
            await arrived(made, READER)
            await made[READER].dealings.delete(READER, first.id, DeleteRequest(reason="case-closed"))
            item = await made[READER].inbox_item(READER, first.id)
            assert (item.state, item.notice) == (InboxState.DELETED, None)
            (certificate,) = await came(made, SENDER, "certify")
            assert certificate.notice["reason"] == "case-closed"
            with pytest.raises(NotAnswerableError):
                await made[READER].dealings.delete(READER, first.id, DeleteRequest())
            # A recall that comes later certifies nothing a second time.
            await settled(made, SENDER, await made[SENDER].recall(SENDER, first.id, RecallRequest()))
            await came(made, READER, "recall")
            item = await made[READER].inbox_item(READER, first.id)
            assert item.state is InboxState.RECALLED
            found, _ = await made[READER].statuses(READER)
            assert [one.act for one in found].count("certify") == 1

    asyncio.run(scenario())


def test_a_law_that_denies_the_asker_stops_the_grant_and_says_why(tmp_path):
    async def scenario():
        world = make_world(laws={"tj": denying()})
        async with scene(tmp_path, SENDER, READER, OTHER, world=world) as made:
            first = await sent(made, SENDER, a_request(to=(READER,)))
            await settled(made, OTHER, await made[OTHER].dealings.ask_access(OTHER, first.id, asking(first), None))
            (question,) = await came(made, SENDER, "ask_access")
            kept = await made[SENDER].dealings.grant_asked(SENDER, question.notice_id, GrantRequest(), None)
            status = await made[SENDER].wait_outcome(SENDER, kept.notice_id, 10)
            assert (status.state, status.problem.code) == (State.RETURNED, "denied")
            assert [item.article for item in status.problem.denied] == ["12(3)"]

    asyncio.run(scenario())


def test_a_grant_waits_for_a_broker_that_is_away_and_ends_where_the_notice_is_gone(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            first = await sent(made, SENDER, a_request(to=(READER,)))
            app, made.wire.app = made.wire.app, None
            kept = await made[SENDER].dealings.grant(SENDER, first.id, GrantRequest(to=(OTHER,)), None)
            await until(lambda: made[SENDER].readiness().reasons)
            made.wire.app = app
            await settled(made, SENDER, kept)
            await came(made, OTHER, "issue")
            # One whose notice another gateway of the sender's has recalled comes back.
            about = {"ref": first.notice_id, "thread": first.thread, "topic": first.topic}
            recall = made.world.envelope(SENDER, [READER, OTHER], "recall", **about)
            await made.broker.serving.publish(recall.statement.notice_id, recall.envelope)
            late = await made[SENDER].dealings.grant(SENDER, first.id, GrantRequest(to=(POLICE,)), None)
            status = await made[SENDER].wait_outcome(SENDER, late.notice_id, 10)
            assert (status.state, status.problem.code) == (State.RETURNED, "not-grantable")

    asyncio.run(scenario())
