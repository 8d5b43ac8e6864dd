"""What is passed on says whose it is, so that laws on the source's consent are asked, whatever the drafter has thought of.

Everything is real but the TCP connection.
"""

import asyncio

from adapters.gateway.request import ConditionRequest, LabelRequest
from adapters.gateway.status import State
from tests.gateway_world import a_request, arrived, scene, sent, subscribed
from tests.unit.adapters.gateway.test_gateway_originator import came
from tests.world import make_world

SENDER, READER, OTHER, POLICE = "kz/customs", "uz/focal-point", "tj/focal-point", "tj/police"
CONSENT = """
[[condition]]
id = "source"
type = "source-consent"
instrument = "Directive (EU) 2016/680"
article = "35(1)(c)"
applies_to = { direction = "send" }
[condition.explanation]
en = "With the consent of its source only."
"""


def stated(status):
    return {one.code: one.values for one in status.label.conditions}


def test_what_is_passed_on_says_whose_it_is_and_the_law_asks_for_their_consent(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, READER, world=make_world(laws={"tj": CONSENT})) as made:
            label = LabelRequest(conditions=(ConditionRequest(code="received-from", values=("ru",)),))
            first = await sent(made, SENDER, a_request(to=(OTHER,), label=label))
            await arrived(made, OTHER)
            passed_on = await sent(made, OTHER, a_request(to=(READER,), ref=first.id))
            assert (passed_on.state, passed_on.problem.code) == (State.RETURNED, "denied")
            assert [one.condition for one in passed_on.problem.denied] == ["source"]
            assert stated(passed_on)["received-from"] == ("kz", "ru")
            agreed = LabelRequest(conditions=(ConditionRequest(code="consent-of", values=("kz", "ru")),))
            passed_on = await sent(made, OTHER, a_request(to=(READER,), ref=first.id, label=agreed))
            assert passed_on.state is State.PUBLISHED
            (item,) = await came(made, READER, "issue")
            assert {one.code: one.values for one in item.label.conditions} == {
                "consent-of": ("kz", "ru"),
                "received-from": ("kz", "ru"),
            }

    asyncio.run(scenario())


def test_an_answer_goes_back_and_a_colleague_is_asked_without_anybodys_consent(tmp_path):
    """But who only subscribes to the topic is left out of what would send it on."""

    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, READER, world=make_world(laws={"tj": CONSENT})) as made:
            await subscribed(made, READER, "*.*")
            first = await sent(made, SENDER, a_request(to=(OTHER,), topic="osce.practice"))
            await arrived(made, OTHER)
            answer = await sent(made, OTHER, a_request(to=(SENDER,), topic="osce.practice", ref=first.id))
            assert answer.state is State.PUBLISHED, answer.problem
            assert {one.participant for one in answer.recipients} == {OTHER, SENDER}
            assert [(one.participant, one.denied.condition) for one in answer.left_out] == [(READER, "source")]
            advice = await sent(made, OTHER, a_request(to=(POLICE,), ref=first.id))
            assert advice.state is State.PUBLISHED, advice.problem

    asyncio.run(scenario())


def test_what_goes_to_its_source_alone_says_nothing_of_it(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            first = await sent(made, SENDER, a_request(to=(READER,), label=LabelRequest(handling=("h2",))))
            await arrived(made, READER)
            answer = await sent(made, READER, a_request(to=(SENDER,), ref=first.id))
            assert stated(answer) == {}
            own = await sent(made, SENDER, a_request(to=(READER,), ref=first.id))
            assert stated(own) == {}

    asyncio.run(scenario())
