"""A correction reaches everybody who may have it: one holder who may not keeps it from nobody else.

Everything is real but the TCP connection.
"""

import asyncio

from adapters.gateway.request import ConditionRequest, CorrectionRequest, LabelRequest
from adapters.gateway.status import InboxState, State, Via
from schemas.notice import examples
from tests.broker_world import upload_law
from tests.gateway_world import a_request, arrived, scene, sent, until
from tests.unit.adapters.gateway.test_gateway_originator import came, settled
from tests.unit.adapters.gateway.test_gateway_taken_back import forbidden
from tests.world import HARMLESS

SENDER, READER, OTHER, POLICE = "kz/customs", "uz/focal-point", "tj/focal-point", "tj/police"
TEXT = {**examples("seizure"), "reference": "corrected"}
CONTENT = """
[[condition]]
id = "no-minors"
type = "minors"
instrument = "Act on Data"
article = "7"
effect = "deny"
parameters = { years = 30 }
applies_to = { direction = "receive" }
[condition.explanation]
en = "Not of minors."
"""


async def corrected(made, first, **label):
    kept = await made[SENDER].correct(SENDER, first.id, CorrectionRequest(notice=TEXT, label=LabelRequest(**label)))
    return await made[SENDER].wait_outcome(SENDER, kept.notice_id, 10)


async def states(made, first, *people):
    return [(await made[who].inbox_item(who, first.id)).state for who in people]


async def known(made):
    version = made.broker.serving.trust.directory.version
    for gateway in made.gateways.values():
        await until(lambda gateway=gateway: gateway.network.directory.version == version)


def test_a_holder_whose_law_denies_it_keeps_it_from_nobody_and_gets_it_when_it_may(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, READER, duty_seconds=0.05) as made:
            first = await sent(made, SENDER, a_request(to=(OTHER, READER)))
            await arrived(made, OTHER)
            await arrived(made, READER)
            await forbidden(made, "seizure")
            status = await corrected(made, first)
            assert status.state is State.PUBLISHED, status.problem
            assert [one.participant for one in status.recipients] == [SENDER, READER]
            (out,) = status.left_out
            assert (out.participant, out.via, out.denied.condition) == (OTHER, Via.HOLDER, "not-seizure")
            await came(made, READER, "correct")
            assert await states(made, first, OTHER, READER) == [InboxState.OPENED, InboxState.CORRECTED]
            await upload_law(made.world, made.broker, "tj", HARMLESS)
            (correction,) = await came(made, OTHER, "correct")
            assert correction.notice["reference"] == "corrected"
            assert await states(made, first, OTHER) == [InboxState.CORRECTED]

    asyncio.run(scenario())


def test_a_holder_whom_only_the_content_denies_is_left_out_too(tmp_path):
    """The broker cannot see that, and does not insist on what it cannot see."""

    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, READER) as made:
            first = await sent(made, SENDER, a_request(to=(OTHER, READER)))
            await arrived(made, OTHER)
            await upload_law(made.world, made.broker, "tj", CONTENT)
            await known(made)
            persons = [{**person, "born": "2015-03-01"} for person in TEXT["nominal"]["persons"]]
            notice = {**TEXT, "nominal": {**TEXT["nominal"], "persons": persons}}
            kept = await made[SENDER].correct(SENDER, first.id, CorrectionRequest(notice=notice))
            status = await settled(made, SENDER, kept)
            assert [one.participant for one in status.left_out] == [OTHER]
            await came(made, READER, "correct")

    asyncio.run(scenario())


def test_whom_the_broker_alone_denies_is_left_out_at_the_next_seal(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, READER, poll_seconds=0.05) as made:
            first = await sent(made, SENDER, a_request(to=(OTHER, READER)))
            await arrived(made, OTHER)
            before = made[SENDER].network
            await forbidden(made, "seizure")
            made[SENDER]._follower.network = before
            status = await corrected(made, first)
            assert status.state is State.PUBLISHED, status.problem
            assert [(one.participant, one.via) for one in status.left_out] == [(OTHER, Via.HOLDER)]

    asyncio.run(scenario())


def test_who_may_have_it_is_left_out_by_nobody(tmp_path):
    """A gateway cannot let some holders have the new text and others not."""

    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, READER) as made:
            first = await sent(made, SENDER, a_request(to=(OTHER, READER)))
            about = {"ref": first.notice_id, "thread": first.thread, "topic": first.topic}
            correction = made.world.envelope(SENDER, [READER], "correct", **about)
            outcome = await made.broker.serving.publish(correction.statement.notice_id, correction.envelope)
            assert outcome.error.code == "act-refused"
            # Where nobody may have it, it comes back.
            excluding = ConditionRequest(code="excluded-states", values=("tj", "uz"))
            status = await corrected(made, first, handling=("h3",), conditions=(excluding,))
            assert (status.state, status.problem.code) == (State.RETURNED, "no-recipients")
            # A clock that a State's focal point may not have is for a person to give up.
            excluding = ConditionRequest(code="excluded-agencies", values=("tj-focal-point",))
            notice = await sent(made, SENDER, a_request(to=(POLICE,)))
            label = {"urgency": "8h", "handling": ("h3",), "conditions": (excluding,)}
            status = await corrected(made, notice, **label)
            assert (status.state, status.problem.code) == (State.RETURNED, "recipients")

    asyncio.run(scenario())
