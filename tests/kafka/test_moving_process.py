"""From the embedded ledger to Kafka as an operator does it: receipts stay valid, and there is no way back unnoticed."""

import asyncio
import json
import subprocess

import pytest

from broker.app import SIGNER
from broker.init import LEDGER
from broker.ledger.signer import HEAD
from keys.custody import durable
from keys.frame import new_frame_key
from keys.log.note import verify_checkpoint
from schemas import checkpoint as checkpoints
from tests.broker_folder import PASSPHRASE
from tests.cluster import clear
from tests.faults.deployment import COMMAND, ask, closing, until
from tests.kafka.instances import Instance
from tests.world import make_world

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(180)]
SENDER, READER = "kz/customs", "uz/focal-point"
KILLS = (0.6, 0.9, 1.2, 1.6, 2.0)


@pytest.fixture(scope="module")
def world():
    return make_world([SENDER, "kz/focal-point", READER])


def migrate(one, **more):
    return subprocess.Popen(
        [*COMMAND, "broker", "migrate", "--config", str(one.config), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def published(one):
    return verify_checkpoint(ask(f"{one.address}/v1/log/checkpoint").body, one.world.directory.log.keys)


def test_receipts_stay_valid_and_the_old_ledger_is_refused(world, kafka, tmp_path):
    frame_keys = tmp_path / "frame.keys"
    durable.write(frame_keys, new_frame_key())
    one = Instance(world, tmp_path, "broker-1", kafka, frame_keys)
    embedded = one.config.read_bytes()
    letters = [world.envelope(SENDER, [READER]) for _ in range(40)]
    ledger, moved = one.folder / LEDGER, one.folder / f"{LEDGER}.moved"
    with closing(one):
        one.start()
        receipts = [one.publish(signed).body for signed in letters]
        gone = letters[0].statement.notice_id
        recall = world.envelope(SENDER, [READER], act="recall", ref=gone, thread=gone)
        assert one.publish(recall).status == 201
        # All but the one that was recalled, and the recall.
        until(lambda: len(one.notices(READER)) == len(letters))
        read = one.notices(READER)
        assert gone not in [notice[1] for notice in read]
        assert one.end() == 0
        before = checkpoints.parse((one.folder / SIGNER / HEAD).read_bytes())

        one.signs(True)
        for seconds in KILLS:
            cut = migrate(one)
            try:
                cut.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                cut.kill()
                cut.communicate()
        done = migrate(one)
        out, err = done.communicate(timeout=60)
        assert done.returncode == 0, err
        move = json.loads(out)
        assert (move["leaves"], move["root"], move["erased"]) == (before.size, before.root.hex(), 1)
        ledger.rename(moved)

        one.start()
        assert [one.publish(signed).body for signed in letters] == receipts
        until(lambda: one.notices(READER) == read)
        assert published(one).size >= before.size
        assert one.publish(world.envelope(SENDER, [READER])).status == 201
        assert one.end() == 0

        moved.rename(ledger)
        kafkas = one.config.read_bytes()
        durable.write(one.config, embedded)
        one.launch({"VALISE_DEBUG": "1"})
        assert one.process.wait(30) == 75
        assert "it lost some, or is an old copy" in one.printed
        durable.write(one.config, kafkas)
        again = migrate(one)
        out, err = again.communicate(timeout=60)
        assert again.returncode != 0
        assert PASSPHRASE.decode() not in err
    asyncio.run(clear(kafka))
