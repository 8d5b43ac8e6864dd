"""SIGKILL at random moments of a process that appends: what it said is durable is there, and `fsck` finds nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from broker.ledger.fsck import fsck
from broker.ledger.signer import CheckpointSigner
from broker.ledger.sqlite import SqliteLedger
from broker.view.store import View
from keys.digests import sha256
from keys.log.note import LogSigner, verify_checkpoint
from tests.unit.broker.ledger.made_records import ORIGIN

CHILD = Path(__file__).with_name("ledger_child.py")
ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("VALISE_KILLS", "12"))
"""How often the process is killed; `make soak` asks for more."""


def run_and_kill(folder, seed, seconds):
    """Run the child for some seconds after it is ready, kill it, and return what it said in whole lines."""
    command = [sys.executable, str(CHILD), str(folder), str(seed)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as child:
        try:
            first = child.stdout.readline()
            time.sleep(seconds)
        finally:
            child.send_signal(signal.SIGKILL)
        rest = child.stdout.read()
    assert first, "the child did not come up"
    *lines, _ = (first + rest).split(b"\n")
    return [json.loads(line) for line in lines]


@pytest.mark.timeout(60 + 5 * ROUNDS)
def test_what_was_acknowledged_survives_every_kill(tmp_path):
    log = LogSigner.generate(ORIGIN)
    (tmp_path / "log.key").write_bytes(log.to_bytes())
    moments = random.Random(os.getpid())
    appended, erased, signed = {}, set(), (0, None)
    for seed in range(ROUNDS):
        for line in run_and_kill(tmp_path, seed, moments.uniform(0, 0.25)):
            appended.update(map(tuple, line.get("appended", ())))
            erased.update(line.get("erased", ()))
            signed = tuple(line.get("signed", signed))
        ledger = SqliteLedger(tmp_path / "ledger.sqlite", ORIGIN)
        view = View(tmp_path / "view.sqlite", ORIGIN)
        view.catch_up(ledger)
        signer = CheckpointSigner(log, tmp_path / "signer")
        signer.check(view.size, view.root)
        ledger.erase(view.erased_bodies())
        records = dict(ledger.read(0, 1_000_000))
        assert {position: sha256(records[position].document).hex() for position in appended} == appended
        assert len(records) == view.size  # everything counts, nothing twice
        assert all(ledger.body(bytes.fromhex(digest)) is None for digest in erased)
        if signed[1] is not None:
            assert view.root(signed[0]).hex() == signed[1]
        published = tmp_path / "checkpoint"
        checkpoint = published.read_bytes() if published.exists() else None
        report = fsck(
            ledger, now_ms=view.state.newest, checkpoint=checkpoint, log_keys=log.keys, head=signer.head, view=view
        )
        assert report.findings == ()
        if checkpoint is not None:
            assert verify_checkpoint(checkpoint, log.keys).size <= signer.head.size
        signer.close()
        view.close()
        ledger.close()
    assert len(appended) > ROUNDS
