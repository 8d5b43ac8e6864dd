"""The outcome of a delivery is owed once it is over, and no consent and no first answer passes for it.

Everything is real but the TCP connection and the gateways' clocks.
"""

import asyncio

from adapters.gateway import duties
from adapters.gateway.request import ConsentRequest, LabelRequest, RefuseRequest
from adapters.gateway.status import DutyState
from schemas.encoding import from_seconds, to_seconds
from schemas.notice import examples
from tests.gateway_world import a_request, arrived, scene, sent
from tests.unit.adapters.gateway.test_gateway_originator import duty_of, settled
from tests.world import make_world

SENDER, OTHER, READER = "kz/customs", "tj/focal-point", "uz/focal-point"
OUTCOME = """
[[condition]]
id = "outcome"
type = "cd-outcome-report"
instrument = "Code of Criminal Procedure"
article = "8"
parameters = { days = 30 }
[condition.explanation]
en = "The outcome is reported."
"""


def delivery(world, since, until, **changes):
    """A request to let a delivery pass that runs between some seconds from now."""
    window = {"since": from_seconds(world.now + since), "until": from_seconds(world.now + until)}
    notice = {**examples("controlled-delivery"), "window": window}
    return a_request(topic="central-asia.controlled-deliveries", notice=notice, to=(OTHER,), **changes)


async def report(made, notice_id):
    return duty_of(await made[OTHER].inbox_item(OTHER, notice_id), "report-outcome")


def outcomes(folder, scenario):
    async def run():
        async with scene(folder, SENDER, OTHER, world=make_world(laws={"tj": OUTCOME})) as made:
            await scenario(made)

    asyncio.run(run())


def test_it_is_due_so_many_days_after_the_delivery(tmp_path):
    async def scenario(made):
        first = await sent(made, SENDER, delivery(made.world, 86400, 9 * 86400))
        await arrived(made, OTHER)
        assert (await report(made, first.id)).due == from_seconds(made.world.now + 39 * 86400)
        # Of one that was over when the notice came, from then.
        late = await sent(made, SENDER, delivery(made.world, -9 * 86400, -86400))
        await arrived(made, OTHER, 2)
        assert (await report(made, late.id)).due == from_seconds(to_seconds(late.published_at) + 30 * 86400)

    outcomes(tmp_path, scenario)


def test_neither_consent_nor_refusal_nor_what_is_said_before_it_begins_reports_it(tmp_path):
    async def scenario(made):
        first = await sent(made, SENDER, delivery(made.world, 3600, 86400))
        await arrived(made, OTHER)
        dealings = made[OTHER].dealings
        await settled(made, OTHER, await dealings.consent(OTHER, first.id, ConsentRequest(), None))
        await settled(made, OTHER, await dealings.refuse(OTHER, first.id, RefuseRequest(), None))
        await sent(made, OTHER, a_request(to=(SENDER,), ref=first.id))
        assert (await report(made, first.id)).state is DutyState.OPEN
        made.broker.clock.ms += 3600_000
        await sent(made, OTHER, a_request(to=(READER,), ref=first.id))
        assert (await report(made, first.id)).state is DutyState.OPEN
        said = await sent(made, OTHER, a_request(to=(SENDER,), ref=first.id))
        duty = await report(made, first.id)
        assert (duty.state, duty.met_by) == (DutyState.MET, said.notice_id)

    outcomes(tmp_path, scenario)


def test_the_answer_that_a_clock_asks_for_is_not_the_report_as_well(tmp_path):
    async def scenario(made):
        label = LabelRequest(urgency="8h")
        first = await sent(made, SENDER, delivery(made.world, -3600, 86400, label=label))
        await arrived(made, OTHER)
        for state in (DutyState.OPEN, DutyState.MET):
            said = await sent(made, OTHER, a_request(to=(SENDER,), ref=first.id))
            assert (await report(made, first.id)).state is state
        assert (await report(made, first.id)).met_by == said.notice_id
        assert duty_of(await made[OTHER].inbox_item(OTHER, first.id), duties.REPLY).state is DutyState.MET

    outcomes(tmp_path, scenario)
