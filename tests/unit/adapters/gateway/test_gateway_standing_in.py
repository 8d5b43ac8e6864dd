"""Whoever has to answer for a State can read what it is asked, also who was named after it was sent.

Everything is real but the TCP connection and the gateways' clocks.
"""

import asyncio

import pytest

from adapters.gateway.keeping import ESCALATED, OVERDUE
from adapters.gateway.request import ConditionRequest, CorrectionRequest, DelegationRequest, LabelRequest, RecallRequest
from adapters.gateway.status import DutyState, Via
from schemas.encoding import from_seconds, to_seconds
from schemas.notice import examples
from tests.gateway_world import a_request, arrived, scene, sent, until
from tests.unit.adapters.gateway.test_gateway_duties import called, keep_at
from tests.unit.adapters.gateway.test_gateway_originator import came, duty_of, settled
from tests.world import make_world

SENDER, POINT, OTHER, POLICE, CUSTOMS = "kz/customs", "kz/focal-point", "tj/focal-point", "tj/police", "tj/customs"
PEOPLE = (SENDER, POINT, OTHER, POLICE, CUSTOMS)
URGENT = LabelRequest(urgency="8h")
FAST = {"duty_seconds": 0.05}


async def delegated(made, since, end):
    """Let the police stand in for its focal point between some seconds from now, and wait until all know."""
    now = made.world.now
    request = DelegationRequest(to=POLICE, from_=from_seconds(now + since), until=from_seconds(now + end))
    await settled(made, OTHER, await made[OTHER].dealings.delegate(OTHER, request))
    for gateway in made.gateways.values():
        await until(lambda gateway=gateway: gateway.network.delegations)


async def called_at(gateway, time_ms, kind):
    await keep_at(gateway, time_ms)
    return kind in await called(gateway)


def test_a_deputy_that_is_named_after_a_notice_was_sent_is_called_for_it(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, POLICE, world=make_world(PEOPLE), **FAST) as made:
            first = await sent(made, SENDER, a_request(to=(CUSTOMS,), label=URGENT))
            text = {**examples("seizure"), "reference": "corrected"}
            request = CorrectionRequest(notice=text, label=URGENT)
            await settled(made, SENDER, await made[SENDER].correct(SENDER, first.id, request))
            plain = await sent(made, SENDER, a_request(to=(CUSTOMS,)))
            await arrived(made, OTHER, 2)
            await delegated(made, -3600, 7 * 86400)
            items = await came(made, POLICE, "issue") + await came(made, POLICE, "correct")
            assert [item.notice.get("reference") == "corrected" for item in items] == [False, True]
            assert await made[POLICE].inbox_item(POLICE, plain.id) is None
            held = await made[OTHER].inbox_item(OTHER, first.id)
            duty = duty_of(items[0], "reply")
            assert (duty.due, duty.deputy_at) == (duty_of(held, "reply").due, duty_of(held, "reply").deputy_at)
            due, deputy = to_seconds(duty.due) * 1000, to_seconds(duty.deputy_at) * 1000
            # Its own keeper looks by the real time meanwhile, and ends what is called for too early.
            await until(lambda: called_at(made[POLICE], due, OVERDUE))
            await until(lambda: called_at(made[POLICE], deputy + 60_000, ESCALATED))
            # It is granted once.
            acts = [one.act for one in (await made[SENDER].statuses(SENDER))[0]]
            assert acts.count("grant") == 2
            for _ in range(3):
                await keep_at(made[SENDER], made.world.now * 1000)
            assert [one.act for one in (await made[SENDER].statuses(SENDER))[0]] == acts

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["answered", "recalled"])
def test_what_is_answered_or_recalled_is_granted_to_nobody(tmp_path, how):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, POLICE, world=make_world(PEOPLE)) as made:
            first = await sent(made, SENDER, a_request(to=(OTHER,), label=URGENT))
            await arrived(made, OTHER)
            if how == "answered":
                await sent(made, OTHER, a_request(to=(SENDER,), ref=first.id))
                await came(made, SENDER, "issue")
            else:
                await settled(made, SENDER, await made[SENDER].recall(SENDER, first.id, RecallRequest()))
            await delegated(made, -3600, 7 * 86400)
            await keep_at(made[SENDER], made.world.now * 1000)
            assert "grant" not in [one.act for one in (await made[SENDER].statuses(SENDER))[0]]

    asyncio.run(scenario())


def test_who_stands_in_by_the_time_that_it_is_called_gets_it_at_once(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, world=make_world(PEOPLE)) as made:
            # A deputy is called ten hours after an eight hours' notice.
            await delegated(made, 9 * 3600, 86400)
            first = await sent(made, SENDER, a_request(to=(OTHER,), label=URGENT))
            assert {one.participant: one.via for one in first.recipients}[POLICE] is Via.DEPUTY
            soon = LabelRequest(reply_due=from_seconds(made.world.now + 3600))
            second = await sent(made, SENDER, a_request(to=(OTHER,), label=soon))
            assert POLICE not in {one.participant for one in second.recipients}

    asyncio.run(scenario())


def test_who_begins_to_stand_in_while_nobody_has_answered_is_granted_it_then(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, POLICE, world=make_world(PEOPLE)) as made:
            await delegated(made, 3 * 86400, 9 * 86400)
            first = await sent(made, SENDER, a_request(to=(OTHER,), label=URGENT))
            assert POLICE not in {one.participant for one in first.recipients}
            await keep_at(made[SENDER], made.world.now * 1000)
            assert "grant" not in [one.act for one in (await made[SENDER].statuses(SENDER))[0]]
            await keep_at(made[SENDER], (made.world.now + 4 * 86400) * 1000)
            (item,) = await came(made, POLICE, "issue")
            assert (item.notice_id, duty_of(item, "reply").state) == (first.id, DutyState.OPEN)

    asyncio.run(scenario())


def test_a_deputy_who_may_not_have_it_is_granted_nothing_and_nothing_is_left_over(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, world=make_world(PEOPLE)) as made:
            but = ConditionRequest(code="excluded-agencies", values=("tj-police",))
            label = LabelRequest(urgency="8h", handling=("h3",), conditions=(but,))
            first = await sent(made, SENDER, a_request(to=(OTHER,), label=label))
            second = await sent(made, SENDER, a_request(to=(OTHER,), label=URGENT))
            await delegated(made, -3600, 86400)
            await keep_at(made[SENDER], made.world.now * 1000)
            found = (await made[SENDER].statuses(SENDER))[0]
            assert [(one.act, one.ref) for one in found[2:]] == [("grant", second.id)]
            assert found[0].id == first.id

    asyncio.run(scenario())
