"""A log with another key, or a directory with another root: said with an alarm, and nothing is sent into it.

What the gateway accepts meanwhile stays with it and goes out once all is well again.
"""

import asyncio
import json
from dataclasses import replace

import pytest

from adapters.client.transport import Answer
from adapters.gateway.status import State
from broker.app import open_broker
from keys.directory.update import root_fingerprint
from keys.log.note import LogSigner, sign_checkpoint, verify_checkpoint
from keys.sign import Ed25519Signer
from schemas import encoding
from schemas.encoding import b64decode, b64encode
from schemas.errors import Error
from schemas.receipt import Receipt
from tests import broker_folder
from tests.faults.between import READER, SENDER, alarm, goes_out, scene, settings, stays_here, wanted
from tests.gateway_world import known
from tests.world import ORIGIN, World, make_world

# Keys of the log


def signed_by(stranger: LogSigner, world: World):
    """Return what signs a checkpoint with another key under the same name."""

    def sign(given: Answer) -> Answer:
        checkpoint = verify_checkpoint(given.body, world.log.keys)
        note = sign_checkpoint(stranger, checkpoint.size, checkpoint.root, at=checkpoint.at)
        return replace(given, body=note)

    return sign


def test_a_log_with_another_key_gets_nothing(tmp_path):
    async def scenario():
        async with scene(tmp_path) as made:
            gateway = await made.gateway(SENDER)
            await known(gateway)
            made.between.wrongs["/log/checkpoint"] = signed_by(LogSigner.generate(ORIGIN), made.world)
            assert await alarm(gateway, "wrong-log")
            assert not gateway.readiness().ready
            kept = await stays_here(made, gateway)
            made.between.wrongs.clear()
            await goes_out(gateway, kept)
            assert "wrong-log" not in gateway._alarms.on

    asyncio.run(scenario())


def test_a_new_gateway_does_not_begin_with_another_logs_key(tmp_path):
    async def scenario():
        async with scene(tmp_path) as made:
            made.between.wrongs["/log/checkpoint"] = signed_by(LogSigner.generate(ORIGIN), made.world)
            gateway = await made.gateway(SENDER)
            assert await alarm(gateway, "wrong-log")
            assert gateway.network is None
            kept = await stays_here(made, gateway)
            made.between.wrongs.clear()
            await goes_out(gateway, kept)

    asyncio.run(scenario())


def test_what_is_delivered_under_another_logs_key_is_not_taken(tmp_path):
    async def scenario():
        async with scene(tmp_path) as made:
            sign = signed_by(LogSigner.generate(ORIGIN), made.world)

            def swap(given: Answer) -> Answer:
                page = encoding.parse(given.body, limit=32 << 20)
                for item in page["deliveries"]:
                    note = b64decode(item["inclusion"]["checkpoint"])
                    item["inclusion"]["checkpoint"] = b64encode(sign(replace(given, body=note)).body)
                return replace(given, body=encoding.encode(page))

            made.between.wrongs["/feed"] = swap
            gateway = await made.gateway(READER)
            await known(gateway)
            await made.publish()
            assert await alarm(gateway, "not-receiving")
            assert (await gateway.inbox(READER))[0] == []

    asyncio.run(scenario())


def test_a_receipt_of_another_key_counts_for_nothing(tmp_path):
    async def scenario():
        async with scene(tmp_path) as made:
            stranger = Ed25519Signer.generate()

            def forge(given: Answer) -> Answer:
                if given.status not in (200, 201):
                    return given
                token = json.loads(given.body)["receipt"]
                receipt = Receipt.parse(b64decode(token.split(".")[1]))
                return replace(given, body=json.dumps({"receipt": stranger.receipt(receipt)}).encode())

            made.between.wrongs["/v1/notices/"] = forge
            gateway = await made.gateway(SENDER)
            await known(gateway)
            kept = await gateway.accept(SENDER, wanted())
            assert await alarm(gateway, "odd-answer")
            status = await gateway.status(SENDER, kept.notice_id)
            assert (status.state, status.receipt) == (State.SEALED, None)

    asyncio.run(scenario())


def test_a_broker_does_not_start_with_another_log_key_than_the_directory_names(tmp_path):
    world = make_world()
    broker_folder.write(replace(world, log=LogSigner.generate(ORIGIN)), tmp_path / "broker")
    with pytest.raises(Error) as raised:
        open_broker(settings(tmp_path / "broker"), broker_folder.PASSPHRASE)
    assert raised.value.code == "wrong-log"


# Another root


def test_a_gateway_that_was_enrolled_with_another_root_believes_nothing(tmp_path):
    stranger = make_world(["kz/customs", "kz/focal-point"])

    async def scenario():
        async with scene(tmp_path) as made:
            root = stranger.repository.files["1.root.json"]
            assert root_fingerprint(root) != root_fingerprint(made.world.repository.files["1.root.json"])
            gateway = await made.gateway(SENDER, root)
            assert "fingerprint" in await alarm(gateway, "wrong-log")
            assert gateway.network is None
            assert not gateway.readiness().ready
            await stays_here(made, gateway)
            assert not any("/feed" in request.url for request in made.between.wire.log)

    asyncio.run(scenario())
