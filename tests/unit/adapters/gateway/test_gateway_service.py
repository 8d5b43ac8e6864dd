"""The gateway as a whole: what it says of itself, whom it serves, and what becomes of a loop that fails."""

import asyncio
import re
import shutil
from types import SimpleNamespace

import pytest

from adapters.gateway import doctor
from adapters.gateway.labels import LabelDefaults
from adapters.gateway.send import Backoff
from adapters.gateway.status import State
from schemas.errors import Error
from schemas.ids import Code
from tests import gateway_world
from tests.gateway_world import Wire, a_request, a_world, arrived, known, scene, sent, subscribed, until
from tests.world import make_world

SENDER, POINT, READER = "kz/customs", "kz/focal-point", "uz/focal-point"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(Backoff, "after", lambda _self, asked=None: 0.02)


def test_figures_and_defaults(tmp_path):
    async def scenario():
        defaults = {SENDER: LabelDefaults(purpose=Code("analysis"), tlp=Code("green"), days=3)}
        async with scene(tmp_path, SENDER, READER, defaults=defaults) as made:
            await subscribed(made, READER, "*.*")
            status = await sent(made, SENDER, a_request())
            assert (status.label.purpose, status.label.tlp) == ("analysis", "green")
            await arrived(made, READER)
            stats = await made[SENDER].stats()
            assert stats.outbox == {(SENDER, State.PUBLISHED): 1}
            assert stats.log_size == made[SENDER].network.size
            assert stats.directory == made[SENDER].network.directory.version
            assert abs(stats.checkpoint_age) < 30
            assert stats.alarms == ()
            assert (await made[READER].stats()).inbox[(READER, "arrived")] == 1
            assert made[SENDER].readiness().ready

    asyncio.run(scenario())


def test_a_gateway_serves_its_own_participants_alone(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER) as made:
            with pytest.raises(Error) as raised:
                await made[SENDER].accept(READER, a_request(to=(SENDER,)))
            assert raised.value.code == "forbidden"

    asyncio.run(scenario())


def test_before_it_is_enrolled_or_started_it_says_so(tmp_path):
    async def scenario():
        place = gateway_world.plant(a_world(), tmp_path, SENDER)
        gateway = gateway_world.Gateway.open(gateway_world.options(place), gateway_world.PASSPHRASE)
        readiness = gateway.readiness()
        assert not readiness.ready
        assert len(readiness.reasons) == 2
        for call in (gateway.preview(SENDER, a_request()), gateway.practise(SENDER)):
            with pytest.raises(Error) as raised:
                await call
            assert raised.value.code == "enrolment"
        with pytest.raises(Error) as raised:
            await gateway.held(SENDER)
        assert raised.value.code == "unavailable"
        assert await gateway.subscriptions(SENDER) == ()
        assert (await gateway.stats()).checkpoint_age is None
        (kept,) = await gateway.subscribe(SENDER, ("*.*",))
        assert [item.index for item in await gateway.subscriptions(SENDER)] == [None]
        await gateway.stop()
        await gateway.stop()
        # What was accepted before it ever ran is sent once it does.
        async with gateway_world.scene(tmp_path / "later", READER) as made:
            shutil.copytree(place.path / "keys", tmp_path / "again" / "keys")
            again = gateway_world.Folder(tmp_path / "again")
            for name in ("gateway.json", "root.json", "gateway.db"):
                shutil.copy(place.path / name, again.path / name)
            async with gateway_world.running(again, made.wire) as started:
                status = await started.wait_outcome(SENDER, kept.notice_id, 10)
                assert status.state is State.PUBLISHED

    (tmp_path / "later").mkdir()
    asyncio.run(scenario())


def test_a_loop_that_fails_begins_again_and_says_where_without_values(tmp_path, capsys):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            sender = made[SENDER]._senders[SENDER]
            publish, failures = sender._publish, [1, 1]

            async def failing(entry):
                if failures:
                    failures.pop()
                    raise ZeroDivisionError("secret text of a notice")
                return await publish(entry)

            sender._publish = failing
            status = await sent(made, SENDER, a_request(to=(READER,)))
            assert status.state is State.PUBLISHED
            assert made[SENDER]._alarms.on["fault"] == f"send {SENDER}: ZeroDivisionError"
            assert await made[SENDER].dismiss_alarm("fault")
            assert not await made[SENDER].dismiss_alarm("fault")
            past = await made[SENDER].alarms(over=True)
            assert [item.kind for item in past if item.over] == ["fault"]

    asyncio.run(scenario())
    printed = capsys.readouterr().out
    assert "loop.failed" in printed
    assert re.search(r"ZeroDivisionError.*'test_gateway_service\.py:[0-9]+', 'send\.py:[0-9]+'", printed)
    assert "secret text" not in printed


def test_a_full_disk_does_not_end_anything(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            store = made[SENDER].store
            pages = (await store.write(lambda tx: tx.connection.execute("PRAGMA page_count").fetchone()))[0]
            store._writer.execute(f"PRAGMA max_page_count={pages}")
            full = []
            for _ in range(50):
                try:
                    await made[SENDER].accept(SENDER, a_request(to=(READER,)))
                except Error as error:
                    full.append(error.status)
                    break
            assert full == [507]
            assert await made[SENDER].statuses(SENDER)
            store._writer.execute("PRAGMA max_page_count=1000000")
            status = await sent(made, SENDER, a_request(to=(READER,)))
            assert status.state is State.PUBLISHED

    asyncio.run(scenario())


def test_waiting_for_an_outcome_ends_in_time(tmp_path):
    async def scenario():
        place = gateway_world.plant(a_world(), tmp_path, SENDER)
        async with gateway_world.running(place, Wire(None)) as gateway:
            kept = await gateway.accept(SENDER, a_request(to=(READER,)))
            first, second = await asyncio.gather(
                gateway.wait_outcome(SENDER, kept.notice_id, 0.05), gateway.wait_outcome(SENDER, kept.notice_id, 0.1)
            )
            assert first.state is second.state is State.KEPT
            assert await gateway.wait_outcome(SENDER, "01935f2e-8c00-7a3b-9c4d-5e6f70819203", 1) is None
            assert gateway._outcomes._waiting == {}

    asyncio.run(scenario())


def test_a_focal_point_sends_no_practice_notice_to_itself(tmp_path):
    async def scenario():
        world = make_world((POINT, "tj/police"))
        async with scene(tmp_path, POINT, "tj/police", world=world, practice_notice=True) as made:
            assert await made[POINT].practise(POINT) is None
            assert await made["tj/police"].practise("tj/police") is None
            found = {item.name: item for item in await made["tj/police"].doctor()}
            assert found["practice tj/police"].state == "ok"
            assert found["focal-point tj/police"].state == "warning"

    asyncio.run(scenario())


def test_the_doctor_sees_a_full_disk_a_wrong_clock_and_alarms(tmp_path, monkeypatch):
    async def scenario():
        async with scene(tmp_path, SENDER) as made:
            gateway = made[SENDER]
            monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _path: SimpleNamespace(free=1))
            await gateway._alarms.start("clock-skew", "An hour.")
            await gateway._alarms.start("foreign-key", "A key.")
            await gateway._alarms.start("fork", "A fork.")
            await gateway._alarms.start("reads-refused", "No.")
            found = {item.name: item.state for item in await gateway.doctor()}
            assert found["disk"] == "warning"
            assert found["clock"] == "missing"
            assert found["request-key"] == "missing"
            assert found["alarm foreign-key"] == "warning"
            assert found["alarm fork"] == "missing"

    asyncio.run(scenario())


def test_it_takes_up_what_it_knew_and_goes_on(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            await subscribed(made, READER, "*.*")
            await made.gateways.pop(SENDER).stop()
            await subscribed(made, READER, "*.routes", "*.seizures")
            place = gateway_world.Folder(tmp_path / "kz-customs")
            async with gateway_world.running(place, made.wire) as again:
                await known(again)
                await until(lambda: set(again.network.subscriptions[READER]) == {"*.routes", "*.seizures"})

    asyncio.run(scenario())
