"""The runbook of the signer's fail-over, carried out as it stands: its commands in their order, on real processes."""

import asyncio
import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from broker.app import SIGNER
from broker.ledger.signer import HEAD
from keys.log.note import verify_checkpoint
from schemas import checkpoint as checkpoints
from tests.cluster import clear
from tests.faults.deployment import COMMAND, ask, closing, start_all, until
from tests.kafka.instances import instances
from tests.world import make_world

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(240)]
SENDER, READER = "kz/customs", "uz/focal-point"
BOOK = Path(__file__).parents[2] / "deploy" / "runbooks" / "signer-failover.md"
CONFIGURATION = 78
FORGOTTEN_SECONDS = 30
LONG = os.environ.get("VALISE_EXHAUSTIVE") == "1"


@pytest.fixture(scope="module")
def world():
    return make_world([SENDER, "kz/focal-point", READER])


@pytest.fixture
def three(world, kafka, tmp_path):
    """Three instances that run, the first of which signs."""
    made = instances(world, tmp_path, kafka, 3)
    with closing(*made):
        start_all(made)
        yield made
    asyncio.run(clear(kafka))


def commands():
    """Return the runbook's commands in their order."""
    part = BOOK.read_text().partition("## What to do")[2].partition("For `second-signer`")[0]
    return [shlex.split(line) for block in re.findall(r"(?ms)^```\n(.*?)^```$", part) for line in block.splitlines()]


class Officer:
    """Types what the runbook says; `old` has signed until now, `new` is to sign."""

    def __init__(self, old, new):
        self.old, self.new = old, new

    def type(self, command):
        match command:
            case ["systemctl", "disable", "--now", "valise-broker"]:
                if self.old.process.poll() is None:
                    self.old.kill()
            case ["install", "-d", "-m", "700", *_, "/var/lib/valise/signer"]:
                (self.new.folder / SIGNER).mkdir(mode=0o700)
            case ["install", "-m", "600", *_, "signed-head", "/var/lib/valise/signer/signed-head"]:
                shutil.copy(self.old.folder / SIGNER / HEAD, self.new.folder / SIGNER / HEAD)
            case ["valise", "broker", "check-config", "--config", "/etc/valise/broker.toml"]:
                self.new.signs(True)
                words = [*COMMAND, "broker", "check-config", "--config", str(self.new.config)]
                assert subprocess.run(words, capture_output=True, check=False).returncode == 0
            case ["systemctl", "restart", "valise-broker"]:
                assert self.new.end() == 0
                until(self._started, FORGOTTEN_SECONDS)
            case _:
                raise AssertionError(command)

    def _started(self):
        """Start it; while it still hears the old signer, it refuses."""
        self.new.launch()
        address = self.new.folder / "address"
        until(lambda: address.exists() or self.new.process.poll() is not None, 40)
        return address.exists() or self.new.process.returncode != CONFIGURATION


def signed(one):
    answer = ask(f"{one.address}/v1/log/checkpoint")
    return verify_checkpoint(answer.body, one.world.directory.log.keys)


def signs(one):
    return b"\nvalise_signer 1.0\n" in one.metrics


@pytest.mark.parametrize("disk", ["readable", "lost"] if LONG else ["lost"])
def test_another_instance_signs_after_the_runbook(world, three, disk):
    old, new, third = three
    before = [old.publish(world.envelope(SENDER, [READER])) for _ in range(5)]
    assert {answer.status for answer in before} == {201}
    until(lambda: len(third.notices(READER)) == 5)
    old.end(signal.SIGKILL)
    head = checkpoints.parse((old.folder / SIGNER / HEAD).read_bytes())

    waiting = world.envelope(SENDER, [READER])
    receipt = new.publish(waiting)
    assert receipt.status == 201, "notices are accepted without a signer"
    assert signed(third).size <= head.size, "and nobody signs"

    officer = Officer(old, new)
    lines = commands()
    assert len(lines) == 5
    for command in lines:
        if disk == "readable" or command[0] != "install":
            officer.type(command)

    for one in (new, third):
        until(lambda one=one: signed(one).size > head.size)
        assert [notice[1] for notice in one.notices(READER)][-1] == waiting.statement.notice_id
        assert until(lambda one=one: (found := one.publish(waiting)).status == 200 and found).body == receipt.body
    assert signs(new)
    assert not signs(third)

    old.launch()  # with its old configuration, against the runbook
    assert old.process.wait(60) == CONFIGURATION
    old.signs(False)
    old.start()
    until(lambda: signed(old).size > head.size)
    assert not signs(old)
    assert old.publish(world.envelope(SENDER, [READER])).status == 201
