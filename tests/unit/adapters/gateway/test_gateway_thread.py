"""The thread: accepted at one gateway, published, delivered, opened in another's inbox, acknowledged, corrected, recalled.

Everything is real but the TCP connection: ceremony, keys, broker, ledger, gateways.
"""

import asyncio

import pytest

from adapters.gateway.recall import NotRecallableError
from adapters.gateway.request import CorrectionRequest, LabelRequest, RecallRequest
from adapters.gateway.status import InboxState, State, Via
from schemas.encoding import b64encode
from schemas.errors import Error, FormError
from schemas.ids import Pattern
from schemas.notice import examples
from tests import broker_world, gateway_world
from tests.gateway_world import Wire, a_request, arrived, known, scene, sent, subscribed, until, upload
from tests.world import denying, make_world, put_law

SENDER, POINT, READER, OTHER = "kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point"
FORBIDS = denying() + 'fr = "Les saisies d\'autrui ne peuvent être conservées ici."\n'


def test_a_notice_is_published_delivered_opened_and_acknowledged(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            await subscribed(made, READER, "central-asia.*")
            status = await sent(made, SENDER, a_request())
            assert status.state is State.PUBLISHED
            assert status.receipt is not None
            assert [(item.participant, item.via) for item in status.recipients] == [
                (SENDER, Via.SENDER),
                (READER, Via.SUBSCRIPTION),
            ]
            (item,) = await arrived(made, READER)
            assert item.notice_id == status.id
            assert item.state is InboxState.OPENED
            assert item.sender == SENDER
            assert item.index == status.index
            assert item.notice["kind"] == "seizure"
            assert item.label == status.label
            assert await made[READER].acknowledge(READER, (item.notice_id,)) == [item.notice_id]
            assert await made[READER].acknowledge(READER, (item.notice_id,)) == []

            async def told():
                now = await made[SENDER].status(SENDER, status.id)
                return now.acknowledged_by

            (by,) = await until(told)
            assert by.participant == READER
            item = await made[READER].inbox_item(READER, item.notice_id)
            assert item.acknowledged_at is not None
            assert item.acknowledgement is not None
            # Acknowledgements are between two: they are in nobody's inbox.
            assert (await made[SENDER].inbox(SENDER))[0] == []

    asyncio.run(scenario())


def test_several_notices_are_acknowledged_in_one_statement(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            await subscribed(made, READER, "*.seizures")
            for _ in range(5):
                await sent(made, SENDER, a_request())
            items = await arrived(made, READER, 5)
            await made[READER].acknowledge(READER, tuple(item.notice_id for item in items))

            async def all_told():
                found, _ = await made[SENDER].statuses(SENDER)
                return all(item.acknowledged_by for item in found)

            await until(all_told)
            found, _ = await made[READER].statuses(READER)
            assert [item.act for item in found] == ["subscribe", "acknowledge"]

    asyncio.run(scenario())


def test_a_correction_stands_beside_the_old_text_and_a_recall_erases_both(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            await subscribed(made, READER, "*.*")
            first = await sent(made, SENDER, a_request())
            await arrived(made, READER)
            text = {**examples("seizure"), "reference": "corrected"}
            kept = await made[SENDER].correct(SENDER, first.id, CorrectionRequest(notice=text))
            second = await made[SENDER].wait_outcome(SENDER, kept.notice_id, 10)
            assert (second.state, second.ref, second.thread) == (State.PUBLISHED, first.id, first.id)
            old, new = await arrived(made, READER, 2)
            assert (old.state, old.superseded_by) == (InboxState.CORRECTED, second.id)
            assert old.notice is not None
            assert new.notice["reference"] == "corrected"
            now = await made[SENDER].status(SENDER, first.id)
            assert (now.state, now.corrected_by) == (State.CORRECTED, second.id)

            kept = await made[SENDER].recall(SENDER, first.id, RecallRequest(reason="withdrawn", text="A mistake."))
            again = await made[SENDER].recall(SENDER, first.id, RecallRequest())
            assert again.notice_id == kept.notice_id
            assert not again.created
            recall = await made[SENDER].wait_outcome(SENDER, kept.notice_id, 10)
            assert recall.state is State.PUBLISHED
            items = await arrived(made, READER, 3)
            assert [item.act for item in items] == ["issue", "correct", "recall"]
            assert [item.state for item in items[:2]] == [InboxState.RECALLED] * 2
            assert [item.notice for item in items[:2]] == [None, None]
            assert items[2].notice == {"kind": "recall", "reason": "withdrawn", "text": "A mistake."}
            states = [(await made[SENDER].status(SENDER, item)).state for item in (first.id, second.id)]
            assert states == [State.RECALLED, State.RECALLED]
            with pytest.raises(NotRecallableError):
                await made[SENDER].correct(SENDER, first.id, CorrectionRequest(notice=text))

    asyncio.run(scenario())


def test_only_an_own_published_notice_can_be_recalled_or_corrected(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            await subscribed(made, READER, "*.*")
            status = await sent(made, SENDER, a_request())
            await arrived(made, READER)
            with pytest.raises(NotRecallableError):
                await made[READER].recall(READER, status.id, RecallRequest())
            practice = examples("practice")
            with pytest.raises(FormError) as raised:
                await made[SENDER].correct(SENDER, status.id, CorrectionRequest(notice=practice))
            assert raised.value.pointer == "/notice/kind"

    asyncio.run(scenario())


def test_a_state_whose_law_forbids_it_does_not_get_it_and_the_sender_is_told_the_article(tmp_path):
    async def scenario():
        world = make_world(laws={"tj": FORBIDS})
        async with scene(tmp_path, SENDER, READER, OTHER, world=world) as made:
            await subscribed(made, READER, "*.*")
            await subscribed(made, OTHER, "*.*")
            preview = await made[SENDER].preview(SENDER, a_request())
            assert preview.would_send
            denied = next(item for item in preview.candidates if item.participant == OTHER)
            assert not denied.permitted
            assert denied.verdict.first_denial().article == "12(3)"
            status = await sent(made, SENDER, a_request())
            assert status.state is State.PUBLISHED
            assert [item.participant for item in status.recipients] == [SENDER, READER]
            (left,) = status.left_out
            assert (left.participant, left.via) == (OTHER, Via.SUBSCRIPTION)
            assert (left.denied.state, left.denied.instrument, left.denied.article) == (
                "tj",
                "Act on Secrets",
                "12(3)",
            )
            # Whom a person named, a person gives up: nothing leaves the house.
            named = await sent(made, SENDER, a_request(to=(OTHER,)))
            assert named.state is State.RETURNED
            assert named.problem.code == "denied"
            assert [item.article for item in named.problem.denied] == ["12(3)"]
            assert named.recipients == (()) or all(item.participant != OTHER for item in named.recipients)
            assert (await made[OTHER].inbox(OTHER))[0] == []

    asyncio.run(scenario())


def test_a_law_that_changed_is_obeyed_when_it_is_sealed(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            await subscribed(made, READER, "*.*")
            await subscribed(made, OTHER, "*.*")
            app, made.wire.app = made.wire.app, None
            kept = await made[SENDER].accept(SENDER, a_request())
            await until(lambda: made[SENDER].readiness().reasons)
            world = made.world
            before = world.repository
            put_law(world, "tj", world.law("tj", FORBIDS))
            await upload(made.broker, world, "tj-law", "tj/law.json", before)
            made.wire.app = app
            status = await made[SENDER].wait_outcome(SENDER, kept.notice_id, 20)
            assert status.state is State.PUBLISHED
            assert [item.participant for item in status.recipients] == [SENDER, READER]
            assert status.left_out[0].denied.article == "12(3)"

    asyncio.run(scenario())


def test_nobody_to_send_it_to_gives_it_back(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER) as made:
            status = await sent(made, SENDER, a_request())
            assert status.state is State.RETURNED
            assert status.problem.code == "no-recipients"
            unknown = await sent(made, SENDER, a_request(to=("uz/nobody",)))
            assert (unknown.state, unknown.problem.code) == (State.RETURNED, "recipients")

    asyncio.run(scenario())


def test_a_notice_with_a_clock_goes_to_the_focal_points_too(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, "tj/police") as made:
            label = LabelRequest(urgency="8h")
            status = await sent(made, SENDER, a_request(to=("tj/police",), label=label))
            assert status.state is State.PUBLISHED, status.problem
            via = {item.participant: item.via for item in status.recipients}
            assert via == {
                SENDER: Via.SENDER,
                "tj/police": Via.NAMED,
                POINT: Via.FOCAL_POINT,
                OTHER: Via.FOCAL_POINT,
            }

    asyncio.run(scenario())


def test_an_answer_stands_in_the_thread_of_what_it_answers(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            status = await sent(made, SENDER, a_request(to=(READER,)))
            await arrived(made, READER)
            answer = await sent(made, READER, a_request(to=(SENDER,), ref=status.id))
            assert (answer.state, answer.thread) == (State.PUBLISHED, status.id)
            (item,) = await arrived(made, SENDER)
            assert (item.ref, item.thread) == (status.id, status.id)
            with pytest.raises(FormError) as raised:
                await made[READER].accept(READER, a_request(to=(SENDER,), ref="01935f2e-8c00-7a3b-9c4d-5e6f70819203"))
            assert raised.value.pointer == "/ref"

    asyncio.run(scenario())


def test_an_ended_subscription_gets_nothing_more(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            await subscribed(made, READER, "*.*")
            await subscribed(made, OTHER, "*.seizures", "*.routes")
            shown = await made[OTHER].subscriptions(OTHER)
            assert [item.pattern for item in shown] == ["*.routes", "*.seizures"]
            assert all(item.index is not None for item in shown)
            await made[OTHER].unsubscribe(OTHER, Pattern("*.seizures"))
            assert [item.pattern for item in await made[OTHER].subscriptions(OTHER)] == ["*.routes"]
            await until(lambda: set(made[SENDER].network.subscriptions[OTHER]) == {"*.routes"})
            status = await sent(made, SENDER, a_request())
            assert [item.participant for item in status.recipients] == [SENDER, READER]
            assert await made[OTHER].unsubscribe(OTHER, Pattern("*.seizures")) is None
            assert await made[OTHER].subscribe(OTHER, (Pattern("*.routes"),)) == []

    asyncio.run(scenario())


def test_a_subscription_that_the_rules_deny_is_refused_at_once(tmp_path):
    async def scenario():
        world = make_world(without_law=("tj",))
        async with scene(tmp_path, OTHER, world=world) as made:
            with pytest.raises(Error) as raised:
                await made[OTHER].subscribe(OTHER, (Pattern("*.*"),))
            assert raised.value.code in ("denied", "no-profile")

    asyncio.run(scenario())


def test_the_same_request_with_its_key_is_one_notice(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            first = await made[SENDER].accept(SENDER, a_request(to=(READER,)), "key-1")
            again = await made[SENDER].accept(SENDER, a_request(to=(READER,)), "key-1")
            assert (again.notice_id, again.created) == (first.notice_id, False)
            with pytest.raises(Error) as raised:
                await made[SENDER].accept(SENDER, a_request(to=(POINT,)), "key-1")
            assert raised.value.code == "idempotency-conflict"
            await made[SENDER].wait_outcome(SENDER, first.notice_id, 10)
            assert len(await arrived(made, READER)) == 1

    asyncio.run(scenario())


def test_one_gateway_serves_two_participants(tmp_path):
    async def scenario():
        world = make_world()
        (tmp_path / "broker").mkdir()
        async with broker_world.running(world, tmp_path / "broker") as broker:
            wire = Wire(gateway_world.api(broker))
            place = gateway_world.plant(world, tmp_path / "both", SENDER, POINT)
            async with gateway_world.running(place, wire) as gateway:
                await known(gateway)
                assert gateway.participants == (SENDER, POINT)
                kept = await gateway.accept(SENDER, a_request(to=(POINT,)))
                assert (await gateway.wait_outcome(SENDER, kept.notice_id, 10)).state is State.PUBLISHED
                assert await gateway.status(POINT, kept.notice_id) is None

                async def there():
                    return (await gateway.inbox(POINT))[0]

                assert len(await until(there)) == 1
                assert (await gateway.inbox(SENDER))[0] == []

    asyncio.run(scenario())


def test_what_stands_in_the_store_is_sealed(tmp_path):
    marker = "ZQ-marker-4711"

    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            text = {**examples("seizure"), "reference": marker}
            await sent(made, SENDER, a_request(to=(READER,), notice=text))
            (item,) = await arrived(made, READER)
            assert item.notice["reference"] == marker

    asyncio.run(scenario())
    for path in tmp_path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert marker.encode() not in data, path
            assert b64encode(marker.encode()).encode() not in data, path
