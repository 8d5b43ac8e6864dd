"""What is owed for a notice whose text is gone: it was read, so it is not passed on, and its clock goes on.

Everything is real but the TCP connection.
"""

import asyncio

import pytest

from adapters.gateway.onward import ConsentNeededError
from adapters.gateway.request import (
    AskUseRequest,
    ConditionRequest,
    DeleteRequest,
    LabelRequest,
    PermitRequest,
    RecallRequest,
    RefuseRequest,
)
from adapters.gateway.status import DutyState, InboxState, State
from schemas.errors import FormError
from tests.gateway_world import a_request, arrived, scene, sent
from tests.unit.adapters.gateway.test_gateway_originator import came, duty_of, settled

SENDER, READER, OTHER = "kz/customs", "uz/focal-point", "tj/focal-point"
H2 = LabelRequest(handling=("h2",))
SANITISED = LabelRequest(handling=("h3",), conditions=(ConditionRequest(code="sanitise-before-sharing"),))


async def without_text(made, how, label):
    """Let a notice arrive and lose its text; return it."""
    first = await sent(made, SENDER, a_request(to=(READER,), label=label))
    await arrived(made, READER)
    if how == "deleted":
        await made[READER].dealings.delete(READER, first.id, DeleteRequest())
    else:
        await settled(made, SENDER, await made[SENDER].recall(SENDER, first.id, RecallRequest()))
        await came(made, READER, "recall")
    item = await made[READER].inbox_item(READER, first.id)
    assert (item.state, item.notice) == (InboxState(how), None)
    return item


@pytest.mark.parametrize("how", ["deleted", "recalled"])
def test_a_text_that_is_gone_is_passed_on_no_more_than_before(tmp_path, how):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            item = await without_text(made, how, H2)
            assert duty_of(item, "ask-before-sharing").state is DutyState.STANDING
            with pytest.raises(ConsentNeededError):
                await made[READER].accept(READER, a_request(to=(OTHER,), ref=item.notice_id))

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["deleted", "recalled"])
def test_a_text_that_is_gone_is_passed_on_sanitised_only(tmp_path, how):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            item = await without_text(made, how, SANITISED)
            with pytest.raises(FormError) as raised:
                await made[READER].accept(READER, a_request(to=(OTHER,), ref=item.notice_id))
            assert raised.value.pointer == "/notice/nominal"

    asyncio.run(scenario())


def test_the_originator_still_permits_what_was_deleted(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            item = await without_text(made, "deleted", H2)
            request = AskUseRequest(use="onward", for_=(OTHER,))
            await settled(made, READER, await made[READER].dealings.ask_use(READER, item.notice_id, request, None))
            (question,) = await came(made, SENDER, "ask_use")
            kept = await made[SENDER].dealings.permit(SENDER, question.notice_id, PermitRequest(), None)
            await settled(made, SENDER, kept)
            await came(made, READER, "permit")
            passed_on = await sent(made, READER, a_request(to=(OTHER,), ref=item.notice_id))
            assert passed_on.state is State.PUBLISHED

    asyncio.run(scenario())


def test_to_delete_a_text_answers_nothing(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            item = await without_text(made, "deleted", LabelRequest(urgency="8h"))
            assert duty_of(item, "reply").state is DutyState.OPEN
            kept = await made[READER].dealings.refuse(READER, item.notice_id, RefuseRequest(), None)
            await settled(made, READER, kept)
            item = await made[READER].inbox_item(READER, item.notice_id)
            assert duty_of(item, "reply").state is DutyState.MET

    asyncio.run(scenario())


def test_a_recall_ends_the_clock_also_of_a_text_that_was_deleted_before(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            item = await without_text(made, "deleted", LabelRequest(handling=("h2",), urgency="8h"))
            await settled(made, SENDER, await made[SENDER].recall(SENDER, item.notice_id, RecallRequest()))
            await came(made, READER, "recall")
            item = await made[READER].inbox_item(READER, item.notice_id)
            assert [duty.code for duty in item.duties] == ["ask-before-sharing"]

    asyncio.run(scenario())
