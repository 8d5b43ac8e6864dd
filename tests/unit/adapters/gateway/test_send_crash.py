"""A gateway that dies at any step loses nothing, doubles nothing, and keeps the order of what it accepted.

It is killed before and after every write to its store and every publish: from then on nothing it does gets through. Then
its folder is opened again, as after a SIGKILL, and everything must come out as if it had never died.
"""

import asyncio
import shutil
from pathlib import Path

import pytest

from adapters.gateway import follow
from adapters.gateway.request import NoticeRequest
from adapters.gateway.status import State
from schemas.notice import examples
from tests import broker_world, gateway_world
from tests.gateway_world import Wire, known, until
from tests.unit.adapters.gateway.test_gateway_sanitised import NO_PERSONS
from tests.world import make_world

SENDER, READER = "kz/customs", "uz/focal-point"
TABLE = Path(__file__).parents[4] / "adapters" / "demo" / "sample.csv"


@pytest.fixture(autouse=True)
def _killed(monkeypatch):
    """Do not wait long for what a killed gateway was about: nothing of it ends."""
    monkeypatch.setattr(follow, "REFRESH_ENDS_SECONDS", 0.05)


class Dying:
    """Lets `steps` steps through; the next one, and everything after it, hangs for ever. A step has two sides."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.dead = asyncio.Event()
        self.count = 0

    async def step(self) -> None:
        self.count += 1
        if self.dead.is_set() or self.left == 0:
            self.dead.set()
            await asyncio.Event().wait()
        self.left -= 1

    def over(self, gateway, wire) -> None:
        write, send = gateway.store.write, wire.send

        async def dying_write(work):
            await self.step()
            done = await write(work)
            await self.step()
            return done

        async def dying_send(request):
            if self.dead.is_set():
                await asyncio.Event().wait()
            if request.method not in ("PUT", "POST"):
                return await send(request)
            await self.step()
            answer = await send(request)
            await self.step()
            return answer

        gateway.store.write, wire.send = dying_write, dying_send


async def accept_all(gateway, number: int) -> list[str]:
    kept = []
    for place in range(number):
        text = {**examples("seizure"), "reference": str(place)}
        request = NoticeRequest(topic="central-asia.seizures", notice=text, to=(READER,))
        kept.append((await gateway.accept(SENDER, request, f"key-{place}")).notice_id)
    return kept


async def settled(gateway, number: int):
    async def all_published():
        found, _ = await gateway.statuses(SENDER)
        return found if len(found) == number and all(item.state is State.PUBLISHED for item in found) else None

    return await until(all_published, 20)


async def template(world, app, folder: Path) -> Path:
    """Return the folder of a gateway that knows the network."""
    place = gateway_world.plant(world, folder, SENDER)
    async with gateway_world.running(place, Wire(app)) as gateway:
        await known(gateway)
    return folder


async def die_and_go_on(app, made: Path, folder: Path, steps: int, broker) -> bool:
    """Kill a gateway after some steps, open it again, and look at what came out; say whether it died at all."""
    shutil.copytree(made, folder)
    place = gateway_world.Folder(folder)
    before = broker.view.size
    dying = Dying(steps)
    wire = Wire(app)
    gateway = gateway_world.Gateway.open(gateway_world.options(place), gateway_world.PASSPHRASE)
    await gateway.start(gateway_world.BrokerClient(gateway_world.BASE, transport=wire))
    dying.over(gateway, wire)
    accepting = asyncio.create_task(accept_all(gateway, 3))
    going = asyncio.create_task(settled(gateway, 3))
    dead = asyncio.create_task(dying.dead.wait())
    await asyncio.wait((going, dead), return_when=asyncio.FIRST_COMPLETED)
    died = dying.dead.is_set()
    await asyncio.sleep(0.02)
    for task in (accepting, going, dead):
        task.cancel()
    await asyncio.gather(accepting, going, dead, return_exceptions=True)
    await gateway.stop()

    async with gateway_world.running(place, Wire(app)) as gateway:
        # The agency system got no answer: it asks again with the same keys.
        kept = await accept_all(gateway, 3)
        found = await settled(gateway, 3)
        assert [item.id for item in found] == kept
        indices = [item.index for item in found]
        assert indices == sorted(indices)
        assert len(set(indices)) == 3
        assert [item.attempts for item in found] == [0, 0, 0]
    assert broker.view.size == before + 3
    return died


@pytest.mark.parametrize("part", range(2))
def test_killed_at_any_step_it_goes_on_where_it_was(tmp_path, part):
    async def scenario():
        world = make_world(("kz/customs", "uz/focal-point"))
        (tmp_path / "broker").mkdir()
        async with broker_world.running(world, tmp_path / "broker") as broker:
            app = gateway_world.api(broker)
            made = await template(world, app, tmp_path / "made")
            steps, died = part, True
            while died:
                died = await die_and_go_on(app, made, tmp_path / f"at-{steps}", steps, broker)
                steps += 2
            assert steps > 16

    asyncio.run(scenario())


def test_an_import_that_was_killed_is_complete_after_it_is_imported_again(tmp_path):
    async def scenario():
        world = make_world(("kz/customs", "uz/focal-point"))
        (tmp_path / "broker").mkdir()
        data = b"\n".join(TABLE.read_bytes().splitlines()[:31]) + b"\n"
        async with broker_world.running(world, tmp_path / "broker") as broker:
            app = gateway_world.api(broker)
            place = gateway_world.plant(world, tmp_path / "reader", READER)
            async with gateway_world.running(place, Wire(app)) as reader:
                await known(reader)
                (kept,) = await reader.subscribe(READER, ("*.*",))
                await reader.wait_outcome(READER, kept.notice_id, 10)
                made = await template(world, app, tmp_path / "made")
                for number, steps in enumerate((2, 5, 9, 13, 18)):
                    folder = tmp_path / f"at-{steps}"
                    shutil.copytree(made, folder)
                    before = broker.view.size
                    place = gateway_world.Folder(folder)
                    dying, wire = Dying(steps), Wire(app)
                    gateway = gateway_world.Gateway.open(gateway_world.options(place), gateway_world.PASSPHRASE)
                    await gateway.start(gateway_world.BrokerClient(gateway_world.BASE, transport=wire))
                    await until(lambda gateway=gateway: gateway.network.subscriptions)
                    dying.over(gateway, wire)
                    importing = asyncio.create_task(gateway.import_table(SENDER, data, "table.csv"))
                    await dying.dead.wait()
                    importing.cancel()
                    await asyncio.gather(importing, return_exceptions=True)
                    await gateway.stop()
                    async with gateway_world.running(place, Wire(app)) as again:
                        report = await again.import_table(SENDER, data, "table.csv")
                        assert report.rows_read == report.rows_imported + report.already_known == 30
                        await settled(again, 30)
                        report = await again.import_table(SENDER, data, "table.csv")
                        assert (report.rows_imported, report.already_known, report.notices) == (0, 30, ())
                    assert broker.view.size == before + 30

                    async def arrived(wanted=30 * (number + 1)):
                        return len((await reader.inbox(READER, limit=1000))[0]) == wanted

                    await until(arrived)

    asyncio.run(scenario())


async def accept_copied(gateway) -> str:
    """Have a notice accepted of which one reader may have a sanitised copy only."""
    request = NoticeRequest(
        topic="central-asia.seizures", notice=examples("seizure"), to=(READER, "tj/police"), sanitise=True
    )
    return (await gateway.accept(SENDER, request, "key")).notice_id


async def copied(gateway, name: str):
    async def published():
        found = await gateway.status(SENDER, name)
        copy = None if found is None else found.sanitised
        return (found, copy) if copy is not None and copy.state is State.PUBLISHED else None

    return await until(published, 20)


def test_killed_at_any_step_a_notice_has_one_sanitised_copy(tmp_path):
    async def scenario():
        world = make_world(("kz/customs", "uz/focal-point", "tj/police"), laws={"tj": NO_PERSONS})
        (tmp_path / "broker").mkdir()
        async with broker_world.running(world, tmp_path / "broker") as broker:
            app = gateway_world.api(broker)
            made = await template(world, app, tmp_path / "made")
            steps, died = 0, True
            while died:
                folder = tmp_path / f"at-{steps}"
                shutil.copytree(made, folder)
                before, dying, wire = broker.view.size, Dying(steps), Wire(app)
                options = gateway_world.options(gateway_world.Folder(folder))
                gateway = gateway_world.Gateway.open(options, gateway_world.PASSPHRASE)
                await gateway.start(gateway_world.BrokerClient(gateway_world.BASE, transport=wire))
                dying.over(gateway, wire)

                async def work(gateway=gateway):
                    await copied(gateway, await accept_copied(gateway))

                tasks = [asyncio.create_task(work()), asyncio.create_task(dying.dead.wait())]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                died = dying.dead.is_set()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await gateway.stop()
                async with gateway_world.running(gateway_world.Folder(folder), Wire(app)) as again:
                    found, copy = await copied(again, await accept_copied(again))
                    assert (await again.status(SENDER, copy.id)).ref == found.notice_id
                    assert len((await again.statuses(SENDER))[0]) == 2
                assert broker.view.size == before + 2
                steps += 1
            assert steps > 8

    asyncio.run(scenario())
