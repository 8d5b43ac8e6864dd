"""To grant a notice to some of those who were asked for permits passing it on to these alone.

Everything is real but the TCP connection.
"""

import asyncio

import pytest

from adapters.gateway.asking import NotAnswerableError
from adapters.gateway.onward import ConsentNeededError
from adapters.gateway.request import AskUseRequest, DeleteRequest, GrantRequest, LabelRequest
from adapters.gateway.status import DutyState, State
from tests.gateway_world import a_request, arrived, scene, sent
from tests.unit.adapters.gateway.test_gateway_originator import came, duty_of, settled

SENDER, READER, OTHER, POLICE = "kz/customs", "uz/focal-point", "tj/focal-point", "tj/police"


async def granted(made, request, to):
    """Let the reader ask for a use of a notice of handling code H2, and its sender grant it; return notice and permit."""
    first = await sent(made, SENDER, a_request(to=(READER,), label=LabelRequest(handling=("h2",))))
    await arrived(made, READER)
    await settled(made, READER, await made[READER].dealings.ask_use(READER, first.id, request, None))
    (question,) = await came(made, SENDER, "ask_use")
    kept = await made[SENDER].dealings.grant_asked(SENDER, question.notice_id, GrantRequest(to=to), None)
    await settled(made, SENDER, kept)
    (permit,) = await came(made, READER, "permit")
    return first, permit


@pytest.mark.parametrize("asked", [(OTHER, POLICE), ()], ids=["some of them", "nobody was named"])
def test_a_grant_to_some_permits_nothing_towards_the_others(tmp_path, asked):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            first, permit = await granted(made, AskUseRequest(use="onward", for_=asked), (OTHER,))
            # Who asked is told what became of it.
            assert permit.notice == {"kind": "permit", "use": "onward", "for": [OTHER]}
            item = await made[READER].inbox_item(READER, first.id)
            assert duty_of(item, "ask-before-sharing").state is DutyState.PERMITTED
            assert [event.said.get("for") for event in item.history if event.act == "permit"] == [[OTHER]]
            for to in ((POLICE,), (OTHER, POLICE)):
                with pytest.raises(ConsentNeededError):
                    await made[READER].accept(READER, a_request(to=to, ref=first.id))
            assert (await sent(made, READER, a_request(to=(OTHER,), ref=first.id))).state is State.PUBLISHED

    asyncio.run(scenario())


def test_who_deletes_a_permission_has_none(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            first, permit = await granted(made, AskUseRequest(use="onward", for_=(OTHER, POLICE)), (OTHER,))
            await made[READER].dealings.delete(READER, permit.notice_id, DeleteRequest())
            for to in ((POLICE,), (OTHER,)):
                with pytest.raises(ConsentNeededError):
                    await made[READER].accept(READER, a_request(to=to, ref=first.id))

    asyncio.run(scenario())


def test_to_grant_a_notice_permits_no_other_use(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            first = await sent(made, SENDER, a_request(to=(READER,), label=LabelRequest(handling=("h1",))))
            await arrived(made, READER)
            request = AskUseRequest(use="court", for_=(OTHER,))
            await settled(made, READER, await made[READER].dealings.ask_use(READER, first.id, request, None))
            (question,) = await came(made, SENDER, "ask_use")
            for to in ((), (OTHER,)):
                with pytest.raises(NotAnswerableError):
                    await made[SENDER].dealings.grant_asked(SENDER, question.notice_id, GrantRequest(to=to), None)

    asyncio.run(scenario())
