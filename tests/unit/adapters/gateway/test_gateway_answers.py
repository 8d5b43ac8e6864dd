"""What answers a notice with a clock, and what does not: its time goes on until its sender was answered.

Everything is real but the TCP connection and the gateways' clocks.
"""

import asyncio

import pytest

from adapters.gateway.request import ConsentRequest, LabelRequest
from adapters.gateway.status import DutyState, State
from schemas.ids import Code
from tests.gateway_world import a_request, arrived, scene, sent, until
from tests.unit.adapters.gateway.test_gateway_originator import came, duty_of, settled

SENDER, READER, OTHER, POLICE = "kz/customs", "uz/focal-point", "tj/focal-point", "tj/police"
URGENT = LabelRequest(urgency="8h")


async def clocks(made, notice_id, *people):
    """Return how the clocks of some participants stand."""
    items = [await made[who].inbox_item(who, notice_id) for who in people]
    return [duty_of(item, "reply").state for item in items]


@pytest.mark.parametrize("to", [(READER,), (OTHER,), (READER, OTHER)], ids=["abroad", "own focal point", "both"])
def test_to_pass_a_notice_on_or_to_ask_for_advice_answers_nothing(tmp_path, to):
    async def scenario():
        async with scene(tmp_path, SENDER, POLICE, OTHER, READER) as made:
            first = await sent(made, SENDER, a_request(to=(POLICE,), label=URGENT))
            await arrived(made, POLICE)
            await arrived(made, OTHER)
            passed_on = await sent(made, POLICE, a_request(to=to, ref=first.id))
            assert passed_on.state is State.PUBLISHED
            assert {one.participant for one in passed_on.recipients} == {POLICE, *to}
            for who in to:
                await until(lambda who=who: _of(made, who, passed_on.notice_id))
            assert await clocks(made, first.id, POLICE, OTHER) == [DutyState.OPEN] * 2
            # The sender's own answer ends both; it is told who has answered.
            answer = await sent(made, POLICE, a_request(to=(SENDER,), ref=first.id))
            assert Code("answers") in {one.code for one in answer.label.conditions}
            await until(lambda: _of(made, OTHER, answer.notice_id))
            assert await clocks(made, first.id, POLICE, OTHER) == [DutyState.MET] * 2
            await came(made, SENDER, "issue")
            assert (await made[SENDER].status(SENDER, first.id)).answered_by == (POLICE,)

    asyncio.run(scenario())


async def _of(made, who, notice_id):
    return await made[who].inbox_item(who, notice_id)


def test_what_a_colleague_only_says_it_answers_is_refused_where_it_does_not_go_there(tmp_path):
    """The focal point sees no recipients: what it rests on is that the broker lets no such word pass."""

    async def scenario():
        async with scene(tmp_path, SENDER, POLICE, OTHER) as made:
            first = await sent(made, SENDER, a_request(to=(POLICE,), label=URGENT))
            await arrived(made, POLICE)
            await arrived(made, OTHER)
            label = LabelRequest(conditions=({"code": "answers", "values": ()},))
            said = await sent(made, POLICE, a_request(to=(OTHER,), ref=first.id, label=label))
            assert (said.state, said.problem.code, said.problem.pointer) == (
                State.REFUSED,
                "act-refused",
                "/label/conditions",
            )
            # Nor does a sender answer itself.
            own = await sent(made, SENDER, a_request(to=(POLICE,), ref=first.id, label=label))
            assert own.problem.code == "act-refused"
            assert await clocks(made, first.id, POLICE, OTHER) == [DutyState.OPEN] * 2

    asyncio.run(scenario())


def test_a_consent_answers_for_the_state(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, POLICE, OTHER) as made:
            first = await sent(made, SENDER, a_request(to=(POLICE,), label=URGENT))
            await arrived(made, POLICE)
            await arrived(made, OTHER)
            await settled(made, POLICE, await made[POLICE].dealings.consent(POLICE, first.id, ConsentRequest(), None))
            await came(made, OTHER, "consent")
            assert await clocks(made, first.id, POLICE, OTHER) == [DutyState.MET] * 2

    asyncio.run(scenario())
