"""The thread: accepted at one gateway, published, delivered, opened in another's inbox, acknowledged, corrected, recalled."""

import asyncio

from adapters.gateway.request import CorrectionRequest, NoticeRequest, RecallRequest
from adapters.gateway.status import InboxState, State
from schemas.ids import Pattern
from schemas.notice import examples
from tests import broker_world, gateway_world
from tests.gateway_world import Wire, known, until
from tests.world import make_world

SENDER, READER = "kz/customs", "uz/focal-point"


def request(**changes) -> NoticeRequest:
    return NoticeRequest(topic="central-asia.seizures", notice=examples("seizure"), **changes)


def test_a_notice_travels(tmp_path):
    async def scenario():
        world = make_world()
        (tmp_path / "broker").mkdir()
        async with broker_world.running(world, tmp_path / "broker") as broker:
            wire = Wire(gateway_world.api(broker))
            one = gateway_world.plant(world, tmp_path / "one", SENDER)
            two = gateway_world.plant(world, tmp_path / "two", READER)
            async with (
                gateway_world.running(one, wire) as sender,
                gateway_world.running(two, wire) as reader,
            ):
                await known(reader)
                await reader.subscribe(READER, (Pattern("central-asia.*"),))
                await until(lambda: sender.network and sender.network.subscriptions)
                kept = await sender.accept(SENDER, request())
                status = await sender.wait_outcome(SENDER, kept.notice_id, 10)
                assert status.state is State.PUBLISHED, status
                items, _ = await until(lambda: reader_items(reader))
                assert items[0].notice_id == kept.notice_id
                assert items[0].state is InboxState.OPENED

    asyncio.run(scenario())


async def reader_items(gateway):
    items, cursor = await gateway.inbox(READER)
    return (items, cursor) if items else None
