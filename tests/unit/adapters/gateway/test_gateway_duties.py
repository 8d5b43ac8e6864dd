"""What is owed for a received notice: it arises, has its time, is met, escalates, deletes by itself and is certified.

Everything is real but the TCP connection and the gateways' clocks.
"""

import asyncio
from dataclasses import replace

import pytest

from adapters.gateway import awaited, duties
from adapters.gateway.keeping import DUTY, ESCALATED, OVERDUE, UNCERTIFIED, Keeper
from adapters.gateway.request import (
    AskUseRequest,
    ConditionRequest,
    DelegationRequest,
    LabelRequest,
    PermitRequest,
    RecallRequest,
    RefuseRequest,
)
from adapters.gateway.status import DutyState, InboxState, State, Via
from adapters.gateway.store import opened
from keys.custody.cells import Cells
from keys.directory import edit
from schemas.codes import code_list
from schemas.encoding import from_seconds, to_seconds
from schemas.errors import Error, FormError
from schemas.ids import Code
from tests.gateway_world import a_request, arrived, scene, sent, until
from tests.unit.adapters.gateway.test_gateway_originator import came, duty_of, settled
from tests.world import LABEL, make_world, put_role

SENDER, POINT, READER, OTHER, POLICE = "kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point", "tj/police"
FAST = {"duty_seconds": 0.05}
COPY = """
[[condition]]
id = "copy"
instrument = "Act on Police Co-operation"
article = "8"
effect = "oblige"
obligation = "copy-to-focal-point"
applies_to = { direction = "receive", kinds = ["seizure"] }
[condition.explanation]
en = "A copy goes to the focal point."
"""
RETAIN = COPY.replace("copy-to-focal-point", "keep-within-retention").replace('"copy"', '"retention"')


# Clocks


@pytest.mark.parametrize(("urgency", "seconds"), [("8h", 28800), ("3d", 259200), ("7d", 604800)])
def test_an_urgency_is_a_clock_in_utc(tmp_path, urgency, seconds):
    async def scenario():
        async with scene(tmp_path, SENDER, POLICE) as made:
            first = await sent(made, SENDER, a_request(to=(POLICE,), label=LabelRequest(urgency=urgency)))
            (item,) = await arrived(made, POLICE)
            duty = duty_of(item, "reply")
            assert duty.state is DutyState.OPEN
            due = to_seconds(first.published_at) + seconds
            assert (duty.due, duty.escalates) == (from_seconds(due), from_seconds(due))
            assert duty.deputy_at == from_seconds(due + max(3600, seconds // 4))
            assert await made[POLICE].dealings.duties(POLICE, DutyState.OPEN) == (duty,)

    asyncio.run(scenario())


def test_a_time_for_the_reply_counts_more_than_the_urgency_and_nothing_is_asked_for_information(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            due = from_seconds(made.world.now + 5000)
            label = LabelRequest(urgency="8h", reply_due=due)
            first = await sent(made, SENDER, a_request(to=(READER,), label=label))
            second = await sent(made, SENDER, a_request(to=(READER,), label=LabelRequest(urgency="informative")))
            one, two = await arrived(made, READER, 2)
            assert (one.notice_id, duty_of(one, "reply").due) == (first.id, due)
            assert (two.notice_id, [duty.code for duty in two.duties]) == (second.id, ["only-against-crime"])

    asyncio.run(scenario())


def test_an_answer_in_time_meets_it_for_the_agency_and_for_its_focal_point(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, POLICE, OTHER, **FAST) as made:
            first = await sent(made, SENDER, a_request(to=(POLICE,), label=LabelRequest(urgency="8h")))
            assert {one.participant for one in first.recipients} >= {POLICE, OTHER, POINT}
            await arrived(made, POLICE)
            await arrived(made, OTHER)
            answer = await sent(made, POLICE, a_request(to=(SENDER,), ref=first.id))
            assert {one.participant: one.via for one in answer.recipients}[OTHER] is Via.FOCAL_POINT
            for who in (POLICE, OTHER):
                duty = await until(lambda who=who: _met(made, who, first.id))
                assert (duty.state, duty.met_by) == (DutyState.MET, answer.notice_id)

            async def told():
                status = await made[SENDER].status(SENDER, first.id)
                return status if status.answered_by else None

            status = await until(told)
            assert (status.answered_by, status.reply_due) == ((POLICE,), duty.due)
            assert not [alarm for alarm in await made[POLICE].alarms() if alarm.kind.startswith("reply")]

    asyncio.run(scenario())


async def _met(made, who, notice_id):
    found = await made[who].dealings.duties(who, DutyState.MET)
    return next((one for one in found if one.notice_id == notice_id and one.code == "reply"), None)


def test_a_refusal_answers_too(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            first = await sent(made, SENDER, a_request(to=(READER,), label=LabelRequest(urgency="3d")))
            await arrived(made, READER)
            await settled(made, READER, await made[READER].dealings.refuse(READER, first.id, RefuseRequest(), None))
            await until(lambda: _met(made, READER, first.id))

    asyncio.run(scenario())


async def keep_at(gateway, ms):
    """Do what is due at a time, as the gateway's own loop would."""
    keeper = Keeper(
        store=gateway.store,
        alarms=gateway._alarms,
        follower=gateway._follower,
        defaults=gateway.defaults,
        participants=gateway.participants,
        now_ms=lambda: ms,
        seconds=1,
        wake=gateway._wake,
    )
    await keeper.keep(gateway.network)


async def called(gateway):
    return {alarm.kind for alarm in await gateway.alarms() if alarm.kind in (OVERDUE, ESCALATED, DUTY)}


def test_without_an_answer_the_agency_is_called_then_the_focal_point_then_the_deputy(tmp_path):
    """Each gateway by itself, from what it holds: no message could be held back between them."""

    async def scenario():
        world = make_world((SENDER, POINT, OTHER, POLICE, "tj/customs"))
        async with scene(tmp_path, SENDER, OTHER, POLICE, "tj/customs", world=world) as made:
            since, end = from_seconds(world.now - 3600), from_seconds(world.now + 7 * 86400)
            request = DelegationRequest(to=POLICE, from_=since, until=end)
            await settled(made, OTHER, await made[OTHER].dealings.delegate(OTHER, request))
            await until(lambda: made[SENDER].network.delegations and made[POLICE].network.delegations)
            found = made[POLICE].dealings.delegations(POLICE)
            assert [(one.by, one.body.to, one.body.until) for one in found] == [(OTHER, POLICE, end)]
            label = LabelRequest(urgency="8h")
            first = await sent(made, SENDER, a_request(to=("tj/customs",), label=label))
            via = {one.participant: one.via for one in first.recipients}
            assert (via[OTHER], via[POLICE]) == (Via.FOCAL_POINT, Via.DEPUTY)
            for who in (OTHER, POLICE, "tj/customs"):
                (item,) = await arrived(made, who)
            duty = duty_of(item, "reply")
            due, deputy = to_seconds(duty.due) * 1000, to_seconds(duty.deputy_at) * 1000
            steps = [
                (due - 1000, (set(), set(), set())),
                (due, ({OVERDUE}, {ESCALATED}, {OVERDUE})),
                (deputy - 1000, ({OVERDUE}, {ESCALATED}, {OVERDUE})),
                (deputy, ({OVERDUE}, {ESCALATED}, {ESCALATED})),
            ]
            for ms, expected in steps:
                for who, kinds in zip(("tj/customs", OTHER, POLICE), expected, strict=True):
                    await keep_at(made[who], ms)
                    assert await called(made[who]) == kinds, (ms, who)
            item = await made[POLICE].inbox_item(POLICE, first.id)
            assert duty_of(item, "reply").state is DutyState.OVERDUE
            assert (await made[OTHER].alarms())[0].detail.endswith(f"{OTHER} {first.id}.")
            # The focal point answers for the agency: late, and everybody's alarm is over.
            answer = await sent(made, OTHER, a_request(to=(SENDER, "tj/customs", POLICE), ref=first.id))
            assert answer.state is State.PUBLISHED
            for who in ("tj/customs", OTHER, POLICE):
                await until(lambda who=who: _met(made, who, first.id))
                await keep_at(made[who], deputy + 1000)
                assert await called(made[who]) == set()

    asyncio.run(scenario())


def test_a_gateway_whose_clock_is_an_hour_behind_goes_by_the_log(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            due = from_seconds(made.world.now + 30)
            first = await sent(made, SENDER, a_request(to=(READER,), label=LabelRequest(reply_due=due)))
            await arrived(made, READER)
            behind = (made.world.now - 3600) * 1000
            await keep_at(made[READER], behind)
            assert await called(made[READER]) == set()
            # The log's newest checkpoint says that it is later.
            made.broker.clock.ms += 40_000
            await sent(made, SENDER, a_request(to=(POINT,)))
            await until(lambda: made[READER].network.checkpoint.at >= to_seconds(due))
            await keep_at(made[READER], behind)
            assert await called(made[READER]) == {ESCALATED}
            item = await made[READER].inbox_item(READER, first.id)
            assert duty_of(item, "reply").state is DutyState.OVERDUE

    asyncio.run(scenario())


def test_a_deputy_that_the_directory_names_is_one_too(tmp_path):
    async def scenario():
        world = make_world((SENDER, POINT, OTHER, POLICE))
        state = world.directory.roles["tj"]
        deputy = replace(next(one for one in state.participants if one.id == POLICE), roles=(Code("deputy"),))
        put_role(world, "tj", edit.set_participant(state, deputy, "tj").encode())
        async with scene(tmp_path, SENDER, world=world) as made:
            network = made[SENDER].network
            assert network.deputies("tj", from_seconds(world.now)) == (POLICE,)
            assert network.deputies("kz", from_seconds(world.now)) == ()
            first = await sent(made, SENDER, a_request(to=(OTHER,), label=LabelRequest(urgency="3d")))
            assert {one.participant: one.via for one in first.recipients}[POLICE] is Via.DEPUTY

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("who", "change", "error"),
    [
        (SENDER, {}, "forbidden"),
        (POINT, {"to": OTHER}, "/to"),
        (POINT, {"to": POINT}, "/to"),
        (POINT, {"from_": 90, "until": 60}, "/from"),
        (POINT, {"from_": -90, "until": -60}, "/until"),
        (POINT, {"until": 367 * 86400}, "/until"),
    ],
)
def test_what_is_no_delegation_is_said_at_once(tmp_path, who, change, error):
    async def scenario():
        async with scene(tmp_path, SENDER, POINT) as made:
            times = {"from_": -60, "until": 60, **{k: v for k, v in change.items() if k != "to"}}
            request = DelegationRequest(
                to=change.get("to", SENDER), **{k: from_seconds(made.world.now + v) for k, v in times.items()}
            )
            with pytest.raises(Error) as raised:
                await made[who].dealings.delegate(who, request)
            assert error in (raised.value.code, raised.value.pointer)

    asyncio.run(scenario())


# Copies


def test_a_law_that_asks_for_a_copy_gets_one_for_its_focal_point(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, POLICE, OTHER, world=make_world(laws={"tj": COPY})) as made:
            first = await sent(made, SENDER, a_request(to=(POLICE, READER)))
            assert {one.participant: one.via for one in first.recipients} == {
                SENDER: Via.SENDER,
                POLICE: Via.NAMED,
                READER: Via.NAMED,
                OTHER: Via.FOCAL_POINT,
            }
            (item,) = await arrived(made, POLICE)
            assert duty_of(item, "copy-to-focal-point").state is DutyState.WITH_SENDER
            (copy,) = await arrived(made, OTHER)
            assert duty_of(copy, "copy-to-focal-point").state is DutyState.MET
            assert copy.notice == item.notice

    asyncio.run(scenario())


# Deletion


def test_a_text_is_deleted_by_its_day_and_its_sender_gets_a_certificate(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            day = from_seconds(made.world.now + 3 * 86400)[:10]
            label = LabelRequest(handling=("h3",), conditions=(ConditionRequest(code="delete-by", values=(day,)),))
            first = await sent(made, SENDER, a_request(to=(READER,), label=label))
            (item,) = await arrived(made, READER)
            duty = duty_of(item, "delete-by")
            assert (duty.state, duty.due) == (DutyState.OPEN, f"{day}T00:00:00Z")
            due = to_seconds(duty.due) * 1000
            await keep_at(made[READER], due - 1)
            assert (await made[READER].inbox_item(READER, first.id)).state is InboxState.OPENED
            await keep_at(made[READER], due)
            item = await made[READER].inbox_item(READER, first.id)
            assert (item.state, item.notice, item.deleted_at) == (InboxState.DELETED, None, f"{day}T00:00:00Z")
            assert duty_of(item, "delete-by").state is DutyState.MET
            (certificate,) = (await made[READER].statuses(READER))[0]
            assert (certificate.act, certificate.ref) == ("certify", first.id)
            await keep_at(made[READER], due + 1)
            assert len((await made[READER].statuses(READER))[0]) == 1
            await until(lambda: _own_state(made, READER, certificate.id))

    asyncio.run(scenario())


async def acknowledged(made, who, name):
    """Have a reader acknowledge a notice, and wait until its sender knows."""
    await made[who].acknowledge(who, (name,))

    async def told():
        return (await made[SENDER].status(SENDER, name)).acknowledged_by or None

    await until(told)


async def uncertified(made):
    """Return what the sender's alarm says of certificates that are lacking, None where it is not on."""
    return next((alarm.detail for alarm in await made[SENDER].alarms() if alarm.kind == UNCERTIFIED), None)


async def certified(made, name):
    return (await made[SENDER].status(SENDER, name)).certified_by or None


def test_a_certificate_that_does_not_come_is_called_for(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER, duty_seconds=3600) as made:
            day = from_seconds(made.world.now + 3 * 86400)[:10]
            label = LabelRequest(handling=("h3",), conditions=(ConditionRequest(code="delete-by", values=(day,)),))
            first = await sent(made, SENDER, a_request(to=(READER, OTHER), label=label))
            await arrived(made, READER)
            await acknowledged(made, READER, first.id)
            due = to_seconds(f"{day}T00:00:00Z") * 1000
            await keep_at(made[SENDER], due + awaited.WITHIN_MS - 1)
            assert await uncertified(made) is None
            await keep_at(made[SENDER], due + awaited.WITHIN_MS)
            # Who never saw it owes no certificate.
            assert f"{first.id} by {READER}." in await uncertified(made)
            await keep_at(made[READER], due)
            assert await until(lambda: certified(made, first.id)) == (READER,)
            await keep_at(made[SENDER], due + awaited.WITHIN_MS)
            assert await uncertified(made) is None
            assert await made[SENDER].store.read(lambda tx: awaited.past(tx, due * 2, limit=9)) == ()

    asyncio.run(scenario())


def test_a_recall_is_certified_within_a_day_or_somebody_is_called(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, duty_seconds=3600) as made:
            first = await sent(made, SENDER, a_request(to=(READER,)))
            await arrived(made, READER)
            await acknowledged(made, READER, first.id)
            recall = await settled(made, SENDER, await made[SENDER].recall(SENDER, first.id, RecallRequest()))
            await came(made, READER, "recall")
            due = to_seconds(recall.published_at) * 1000 + 1000 + awaited.WITHIN_MS
            await keep_at(made[SENDER], due - 2000)
            assert await uncertified(made) is None
            await keep_at(made[SENDER], due)
            assert READER in await uncertified(made)
            await keep_at(made[READER], due)
            await until(lambda: certified(made, first.id))
            await keep_at(made[SENDER], due)
            assert await uncertified(made) is None

    asyncio.run(scenario())


async def _own_state(made, who, name):
    status = await made[who].status(who, name)
    return status.sealed_at


def test_what_may_be_kept_for_so_long_is_kept_no_longer(tmp_path):
    """By the days that the law gives, or as long as the notice itself lives."""

    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, world=make_world(laws={"tj": RETAIN})) as made:
            end = from_seconds(made.world.now + 5 * 86400)
            await sent(made, SENDER, a_request(to=(OTHER,), expires_at=end))
            (item,) = await arrived(made, OTHER)
            assert duty_of(item, "keep-within-retention").due == end
            assert (await arrived(made, OTHER))[0].state is InboxState.OPENED
            await keep_at(made[OTHER], to_seconds(end) * 1000)
            assert (await arrived(made, OTHER))[0].state is InboxState.DELETED

    asyncio.run(scenario())


def test_a_recalled_text_is_owed_nothing_but_its_certificate(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, **FAST) as made:
            day = from_seconds(made.world.now + 3 * 86400)[:10]
            label = LabelRequest(
                handling=("h1", "h3"), urgency="8h", conditions=(ConditionRequest(code="delete-by", values=(day,)),)
            )
            first = await sent(made, SENDER, a_request(to=(READER,), label=label))
            await arrived(made, READER)
            await settled(made, SENDER, await made[SENDER].recall(SENDER, first.id, RecallRequest()))
            await came(made, SENDER, "certify")
            item = await made[READER].inbox_item(READER, first.id)
            assert [(duty.code, duty.state) for duty in item.duties] == [("delete-by", DutyState.MET)]
            await keep_at(made[READER], (made.world.now + 9 * 86400) * 1000)
            assert await called(made[READER]) == set()
            found, _ = await made[READER].statuses(READER)
            assert [one.act for one in found] == ["certify"]

    asyncio.run(scenario())


def test_a_sanitised_copy_is_what_may_go_on(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            label = LabelRequest(handling=("h3",), conditions=(ConditionRequest(code="sanitise-before-sharing"),))
            first = await sent(made, SENDER, a_request(to=(READER,), label=label))
            (item,) = await arrived(made, READER)
            assert item.label.nominal
            with pytest.raises(FormError) as raised:
                await made[READER].accept(READER, a_request(to=(OTHER,), ref=first.id))
            assert raised.value.pointer == "/notice/nominal"
            clean = {name: value for name, value in item.notice.items() if name != "nominal"}
            copy = await sent(made, READER, a_request(to=(OTHER,), ref=first.id, notice=clean))
            assert copy.state is State.PUBLISHED, copy.problem

    asyncio.run(scenario())


def test_a_permission_ends_with_its_time(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            first = await sent(made, SENDER, a_request(to=(READER,), label=LabelRequest(handling=("h2",))))
            await arrived(made, READER)
            use = AskUseRequest(use="onward")
            await settled(made, READER, await made[READER].dealings.ask_use(READER, first.id, use, None))
            (question,) = await came(made, SENDER, "ask_use")
            request = PermitRequest(until=from_seconds(made.world.now + 600))
            await settled(made, SENDER, await made[SENDER].dealings.permit(SENDER, question.notice_id, request, None))
            await came(made, READER, "permit")

            def stands(seconds):
                return made[READER].store.read(
                    lambda tx: duties.stands(
                        tx, READER, first.id, duties.SHARING, now=(made.world.now + seconds) * 1000
                    )
                )

            assert not await stands(599)
            assert await stands(600)

    asyncio.run(scenario())


# The table by itself


@pytest.fixture
def store(tmp_path):
    with opened(tmp_path / "gateway.db", Cells(Cells.new_key())) as one:
        yield one


def arise(store, obligations, label=LABEL, act="issue", received_at=1_000_000, expires_at=None, is_focal_point=False):
    async def work():
        await store.write(
            lambda tx: duties.arise(
                tx,
                READER,
                "n",
                act,
                label,
                obligations,
                received_at=received_at,
                issued_at=from_seconds(900),
                expires_at=expires_at,
                is_focal_point=is_focal_point,
            )
        )
        return await store.read(lambda tx: duties.of(tx, READER, "n"))

    return asyncio.run(work())


def why(code, **parameters):
    return {"obligation": code, "parameters": parameters}


def test_of_two_times_for_the_same_duty_the_earlier_counts(store):
    retention = "keep-within-retention"
    (duty,) = arise(store, [why(retention, days="30"), why(retention, days="10"), why(retention, days="20")])
    assert duty.due == from_seconds(900 + 10 * 86400)
    (duty,) = arise(store, [why(retention, days="5")])
    assert duty.due == from_seconds(900 + 5 * 86400)
    (duty,) = arise(store, [why(retention, days="4")], expires_at="1970-01-02T00:00:00Z")
    assert duty.due == "1970-01-02T00:00:00Z"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"days": "x"}, "2026-12-24T00:00:00Z"),
        ({"days": "999999"}, "2026-12-24T00:00:00Z"),
        ({}, "2026-12-24T00:00:00Z"),
    ],
)
def test_a_retention_without_days_ends_with_the_notice(store, parameters, expected):
    (duty,) = arise(store, [why("keep-within-retention", **parameters)], expires_at="2026-12-24T00:00:00Z")
    assert duty.due == expected


def test_a_leap_day_is_a_day(store):
    (duty,) = arise(store, [why("delete-by", values=["2028-02-29"])])
    assert (duty.state, duty.due) == (DutyState.OPEN, "2028-02-29T00:00:00Z")


def test_what_has_no_time_stands_and_what_is_to_be_done_is_open(store):
    found = arise(
        store, [why("intelligence-only"), why("certify-deletion"), why("report-outcome"), {"obligation": None}]
    )
    assert {duty.code: duty.state for duty in found} == {
        "intelligence-only": DutyState.STANDING,
        "certify-deletion": DutyState.OPEN,
        "report-outcome": DutyState.OPEN,
    }
    (duty,) = [one for one in arise(store, [why("delete-by", values=["nonsense"])]) if one.code == "delete-by"]
    assert (duty.state, duty.due) == (DutyState.STANDING, None)


def test_days_count_from_receipt_where_no_end_of_a_delivery_is_known(store):
    found = arise(store, [why(code, days="30") for code in ("certify-deletion", "report-outcome", "tacit-consent")])
    assert {(duty.code, duty.state) for duty in found} == {
        ("certify-deletion", DutyState.OPEN),
        ("report-outcome", DutyState.OPEN),
        ("tacit-consent", DutyState.STANDING),
    }
    assert {duty.due for duty in found} == {from_seconds(1000 + 30 * 86400)}


@pytest.mark.parametrize(("whose", "state"), [("recipient", "met"), ("both", "met"), ("sender", "with-sender")])
def test_a_focal_point_that_has_the_copy_owes_none(store, whose, state):
    (duty,) = arise(store, [why("copy-to-focal-point", whose=whose)], is_focal_point=True)
    assert duty.state == state


def test_only_what_may_be_answered_has_a_clock(store):
    label = replace(LABEL, urgency=Code("8h"))
    assert arise(store, [], label, act="recall") == ()
    assert arise(store, [], replace(LABEL, urgency=Code("unknown"))) == ()
    (duty,) = arise(store, [why("only-against-crime")], label, act="ask_use")
    assert duty.code == "reply"
    assert set(duty.why["reason"]) == {"en", "fr", "de", "it", "ru", "es"}


def test_a_use_without_a_duty_is_permitted_in_vain(store):
    arise(store, [why("ask-before-court")])

    async def permit(use):
        await store.write(lambda tx: duties.permit(tx, READER, "n", use, None, "p", at=2_000_000))
        return (await store.read(lambda tx: duties.of(tx, READER, "n")))[0].state

    assert asyncio.run(permit("unheard-of")) is DutyState.STANDING
    assert asyncio.run(permit("onward")) is DutyState.STANDING
    assert asyncio.run(permit("court")) is DutyState.PERMITTED

    async def forbid(at):
        await store.write(lambda tx: duties.forbid(tx, READER, "n", "court", "r", at=at))
        return (await store.read(lambda tx: duties.of(tx, READER, "n")))[0].state

    # What was said before and comes late takes nothing back.
    assert asyncio.run(forbid(1_999_999)) is DutyState.PERMITTED
    assert asyncio.run(forbid(2_000_001)) is DutyState.STANDING
    assert {entry.extra["obligation"] for entry in code_list("uses").entries.values()} >= {"ask-before-court"}
