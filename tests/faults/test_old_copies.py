"""An old copy of the broker is put back: its signer, its gateways and its senders know better."""

import asyncio
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from broker.answers import NotPublished
from broker.init import LEDGER
from broker.ledger.signer import CheckpointSigner, SignerError
from broker.ledger.sqlite import SqliteLedger
from broker.view.store import View
from keys.sign import verify_refusal
from schemas.encoding import b64encode
from schemas.leaf import LeafType
from schemas.statement import SeenCheckpoint
from tests import broker_world
from tests.broker_world import HandClock
from tests.faults.between import READER, SENDER, Scene, alarm, scene, stays_here
from tests.faults.deployment import COMMAND, BrokerService, closing
from tests.gateway_world import until
from tests.world import ORIGIN, World, make_world


def test_an_old_copy_is_not_signed_by_a_signer_that_knows_better(tmp_path):
    world = make_world()
    old = tmp_path / "old"

    async def scenario():
        async with scene(tmp_path, world) as made:
            await made.publish()
            await made.stop_broker()
            shutil.copytree(tmp_path / "broker", old)
            await made.start_broker()
            await made.publish()
            await made.publish()
            size = made.broker.serving.size
            await made.stop_broker()
            # Everything is put back but what the signer has on a disk of its own.
            signer = tmp_path / "signer"
            shutil.move(tmp_path / "broker" / "signer", signer)
            shutil.rmtree(tmp_path / "broker")
            shutil.copytree(old, tmp_path / "broker")
            shutil.rmtree(tmp_path / "broker" / "signer")
            shutil.copytree(signer, tmp_path / "broker" / "signer")
            with pytest.raises(SignerError) as raised:
                await made.start_broker()
            assert raised.value.alarm == "ledger-shorter"
            assert str(size) in raised.value.detail

    asyncio.run(scenario())


def test_an_old_copy_that_grew_otherwise_is_not_signed_either(tmp_path):
    world = make_world()

    async def scenario():
        async with scene(tmp_path, world) as made:
            await made.publish()
            await made.stop_broker()
            shutil.copytree(tmp_path / "broker", tmp_path / "copy")
            await made.start_broker()
            await made.publish()
            await made.stop_broker()
            signer = CheckpointSigner(world.log, tmp_path / "broker" / "signer")
            head = signer.head
            signer.close()
            # A copy that was written to by somebody who kept the signer out, until it was larger than what was signed.
            async with scene_over(world, tmp_path / "copy") as broker:
                for _ in range(3):
                    signed = world.envelope(SENDER, [READER])
                    await broker.serving.publish(signed.statement.notice_id, signed.envelope)
                assert broker.serving.size > head.size
            ledger = SqliteLedger(tmp_path / "copy" / "ledger.sqlite", ORIGIN)
            view = View(tmp_path / "copy" / "view.sqlite", ORIGIN)
            view.catch_up(ledger)
            signer = CheckpointSigner(world.log, tmp_path / "broker" / "signer")
            with pytest.raises(SignerError) as raised:
                signer.check(view.size, view.root)
            assert raised.value.alarm == "root-differs"
            for closed in (signer, view, ledger):
                closed.close()

    asyncio.run(scenario())


def scene_over(world: World, folder: Path):
    return broker_world.running(world, folder, HandClock(int(time.time()) * 1000))


@pytest.mark.loopback
def test_the_process_says_which_alarm_it_is_and_changes_nothing(tmp_path):
    world = make_world(["kz/customs", "kz/focal-point", READER])
    folder = tmp_path / "broker"
    process = BrokerService(world, folder)
    with closing(process):
        process.start()
        process.end()
        old = (folder / LEDGER).read_bytes()
        process.start()
        process.end()
    signer = CheckpointSigner(world.log, folder / "signer")
    signer.sign(99, bytes(32), int(time.time()))  # what a longer ledger, that is lost, was signed as
    signer.close()
    (folder / LEDGER).write_bytes(old)
    before = (folder / "signer" / "signed-head").read_bytes()
    done = subprocess.run(
        [*COMMAND, "broker", "run", "--config", str(process.config)], capture_output=True, timeout=30, check=False
    )
    assert done.returncode != 0
    assert b"99" in done.stderr
    assert b"Traceback" not in done.stderr
    assert (folder / "signer" / "signed-head").read_bytes() == before
    ledger = SqliteLedger(folder / LEDGER, ORIGIN)
    assert {record.leaf.type for _, record in ledger.read(0, 1000)} == {LeafType.DIRECTORY}
    ledger.close()


async def copied(made: Scene) -> None:
    """Copy all that the broker has while it is stopped, and let it publish something that the copy lacks."""
    await made.stop_broker()
    shutil.copytree(made.folder / "broker", made.folder / "old")
    await made.start_broker(ahead=1)
    await made.publish()


async def put_back(made: Scene, *, ahead: int) -> None:
    """Stop the broker, put a copy of everything back, its signer's folder too, and start it, some seconds later."""
    await made.stop_broker()
    shutil.rmtree(made.folder / "broker")
    shutil.copytree(made.folder / "old", made.folder / "broker")
    await made.start_broker(ahead=ahead)


@pytest.mark.parametrize("gateway_runs", [True, False], ids=["gateway-runs", "gateway-stopped-meanwhile"])
def test_a_gateway_notices_that_the_log_has_gone_back(tmp_path, gateway_runs):
    async def scenario():
        async with scene(tmp_path) as made:
            await copied(made)
            first = await made.gateway(SENDER)
            await until(lambda: first.network and first.network.size == made.broker.serving.size)
            if gateway_runs:
                gateway = first
                await put_back(made, ahead=2)
            else:
                await first.stop()
                await put_back(made, ahead=2)
                gateway = await made.gateway(SENDER)
            assert await alarm(gateway, "rollback")
            kept = await stays_here(made, gateway)
            evidence = gateway.store.read_now(
                lambda tx: tx.connection.execute("SELECT data FROM evidence WHERE kind = 'rollback'").fetchone()[0]
            )
            assert evidence.count(ORIGIN.encode() + b"\n") == 2  # both notes
            # It is no better once the log has grown again: a person must look.
            for _ in range(3):
                await made.publish()
            await asyncio.sleep(0.3)
            assert "rollback" in gateway._alarms.on
            assert (await gateway.status(SENDER, kept.notice_id)).receipt is None
            # Nor after a restart.
            await gateway.stop()
            again = await made.gateway(SENDER)
            await asyncio.sleep(0.3)
            assert {"rollback", "fork"} & set(again._alarms.on)
            assert (await again.status(SENDER, kept.notice_id)).receipt is None

    asyncio.run(scenario())


def test_a_gateway_notices_a_fork_once_the_old_copy_has_grown(tmp_path):
    async def scenario():
        async with scene(tmp_path) as made:
            await copied(made)
            gateway = await made.gateway(SENDER)
            await until(lambda: gateway.network and gateway.network.size == made.broker.serving.size)
            app_is_away = made.between.wire
            await put_back(made, ahead=2)
            app, app_is_away.app = app_is_away.app, None
            for _ in range(3):
                await made.publish()
            await until(lambda: made.broker.serving.note_size == made.broker.serving.size)
            app_is_away.app = app
            assert await alarm(gateway, "fork")
            await stays_here(made, gateway)

    asyncio.run(scenario())


def test_a_sender_that_has_seen_more_than_the_old_copy_is_refused_and_can_prove_it(tmp_path):
    async def scenario():
        async with scene(tmp_path) as made:
            await copied(made)
            view = made.broker.view
            size = made.broker.serving.size
            seen = SeenCheckpoint(size, b64encode(view.root(size)))
            await put_back(made, ahead=2)
            for grown in range(2):
                signed = made.world.envelope(SENDER, [READER], checkpoint=seen)
                answer = await made.broker.serving.publish(signed.statement.notice_id, signed.envelope)
                assert isinstance(answer, NotPublished)
                assert answer.error.code == "fork"
                log = made.world.directory.log
                assert verify_refusal(answer.refusal, log.receipt_kid, log.receipt_public).reason == "fork"
                assert made.broker.serving.figures().alarms["fork"] == grown + 1
                await made.publish()

    asyncio.run(scenario())
