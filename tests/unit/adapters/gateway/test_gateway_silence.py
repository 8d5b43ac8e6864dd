"""An oral request waits for its confirmation in writing, and silence counts as consent from its time on.

What a gateway does is shown between real gateways; no kind of notice that is served yet asks for tacit consent, so that is
shown at the store.
"""

import asyncio
from dataclasses import replace

import pytest

from adapters.gateway import deletions, duties
from adapters.gateway.keeping import DUTY
from adapters.gateway.request import CorrectionRequest
from adapters.gateway.status import DutyState
from adapters.gateway.store import opened
from keys.custody.cells import Cells
from schemas.encoding import from_seconds
from schemas.notice import examples
from tests.gateway_world import a_request, arrived, scene, sent
from tests.unit.adapters.gateway.test_gateway_duties import called, keep_at
from tests.unit.adapters.gateway.test_gateway_originator import came, duty_of, settled
from tests.world import LABEL, make_world

SENDER, OTHER, POLICE = "kz/customs", "tj/focal-point", "tj/police"
DAY = 86400
ORAL = """
[[condition]]
id = "oral"
type = "cd-oral-request"
instrument = "Code of Criminal Procedure"
article = "9"
parameters = { days = 10 }
[condition.explanation]
en = "An oral request is confirmed in writing."
"""


def asked(until=None, **changes):
    """A request for a controlled delivery; oral where it says until when it is confirmed."""
    notice = examples("controlled-delivery")
    terms = {**notice["terms"], **({} if until is None else {"oral_until": until})}
    return a_request(
        topic="central-asia.controlled-deliveries", notice={**notice, "terms": terms}, to=(OTHER,), **changes
    )


async def confirmation(made, notice_id):
    return duty_of(await made[OTHER].inbox_item(OTHER, notice_id), "confirm-in-writing")


def test_an_oral_request_is_due_in_writing_when_it_says_and_overdue_after_that(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, world=make_world(laws={"tj": ORAL})) as made:
            until = from_seconds(made.world.now + 3 * DAY)
            first = await sent(made, SENDER, asked(until))
            await arrived(made, OTHER)
            duty = await confirmation(made, first.id)
            assert (duty.state, duty.due) == (DutyState.OPEN, until)
            # Another notice, and another oral request, confirm nothing.
            await sent(made, SENDER, a_request(to=(OTHER,), ref=first.id))
            await sent(made, SENDER, asked(until, ref=first.id))
            await arrived(made, OTHER, 3)
            assert (await confirmation(made, first.id)).state is DutyState.OPEN
            await keep_at(made[OTHER], (made.world.now + 3 * DAY) * 1000)
            assert await called(made[OTHER]) == {DUTY}
            assert (await confirmation(made, first.id)).state is DutyState.OVERDUE
            written = await sent(made, SENDER, asked(ref=first.id))
            await arrived(made, OTHER, 4)
            duty = await confirmation(made, first.id)
            assert (duty.state, duty.met_by) == (DutyState.MET, written.notice_id)

    asyncio.run(scenario())


def test_a_correction_confirms_it_too(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, world=make_world(laws={"tj": ORAL})) as made:
            first = await sent(made, SENDER, asked(from_seconds(made.world.now + 3 * DAY)))
            await arrived(made, OTHER)
            request = CorrectionRequest(notice=examples("controlled-delivery"))
            await settled(made, SENDER, await made[SENDER].correct(SENDER, first.id, request))
            await came(made, OTHER, "correct")
            assert (await confirmation(made, first.id)).state is DutyState.MET

    asyncio.run(scenario())


# At the store


@pytest.fixture
def store(tmp_path):
    with opened(tmp_path / "gateway.db", Cells(Cells.new_key())) as kept:
        asyncio.run(kept.write(_arise))
        yield kept


def _arise(tx):
    why = {"obligation": "tacit-consent", "parameters": {"days": "15"}}
    duties.arise(
        tx,
        OTHER,
        "n",
        "issue",
        replace(LABEL, kind="pre-export"),
        [why],
        received_at=1000,
        issued_at=from_seconds(0),
        expires_at=None,
        is_focal_point=False,
    )


DUE = 1000 + 15 * DAY * 1000


def after(store, *work):
    async def run():
        for one in work:
            await store.write(one)
        return await store.read(lambda tx: duties.of(tx, OTHER, "n"))

    return [(one.code, one.state, one.met_at, one.met_by) for one in asyncio.run(run())]


def passes(ms):
    return lambda tx: duties.silent(tx, OTHER, ms) and duties.take_effect(tx, OTHER, ms)


def answers(at):
    return lambda tx: duties.answered(tx, OTHER, "n", "a", act="refuse", at=at)


def a_colleague_answers(at):
    return lambda tx: duties.answered_for(tx, OTHER, POLICE, "n", "a", at=at)


def test_silence_is_consent_from_its_time_on_and_not_before(store):
    assert after(store, passes(DUE - 1)) == [("tacit-consent", DutyState.STANDING, None, None)]
    effective = [("tacit-consent", DutyState.EFFECTIVE, from_seconds(DUE // 1000), None)]
    assert after(store, passes(DUE)) == effective
    # What is said too late takes nothing back.
    assert after(store, answers(DUE), passes(DUE + 1)) == effective


@pytest.mark.parametrize("answer", [answers, a_colleague_answers])
def test_who_answers_in_time_was_not_silent(store, answer):
    met = [("tacit-consent", DutyState.MET, from_seconds(1), "a")]
    assert after(store, answer(1500), passes(DUE)) == met


def test_an_answer_in_time_that_is_heard_of_late_undoes_it(store):
    assert after(store, passes(DUE), a_colleague_answers(DUE - 1))[0][1] is DutyState.MET


@pytest.mark.parametrize(("reason", "left"), [("case-closed", ["tacit-consent"]), ("recalled", [])])
def test_a_deletion_is_no_objection_and_a_recall_ends_it(store, reason, left):
    found = after(store, lambda tx: deletions.note(tx, OTHER, "n", reason, at=2000), passes(DUE))
    assert [code for code, *_ in found] == left
