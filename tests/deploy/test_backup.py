"""The nightly backup of the runbook: made while the broker writes, it is a whole ledger, and no broker goes on from it."""

import re
import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest

from broker.ledger.fsck import Fault, fsck
from broker.ledger.port import Append
from broker.ledger.signer import CheckpointSigner, SignerError
from broker.ledger.sqlite import SqliteLedger
from broker.view.store import View
from keys.log.note import LogSigner
from tests.deploy.command_lines import DEPLOY
from tests.unit.broker.ledger.made_records import ORIGIN, START, Maker


def back_up(source, target):
    """Do what the runbook's `sqlite3 … ".backup …"` does, with that program where it is installed."""
    (command,) = re.findall(r'(?m)^sqlite3 (\S+) "\.backup (\S+)"$', (DEPLOY / "runbooks" / "restore.md").read_text())
    assert command == ("/var/lib/valise/ledger.sqlite", "/backup/valise/ledger.sqlite")
    program = shutil.which("sqlite3")
    if program is not None:
        subprocess.run([program, str(source), f".backup {target}"], check=True, timeout=60)
        return
    with closing(sqlite3.connect(source)) as ours, closing(sqlite3.connect(target)) as theirs:
        ours.backup(theirs)


def test_a_backup_is_a_whole_ledger_and_an_old_one_is_not_signed(tmp_path):
    maker = Maker(5)
    place, copy = tmp_path / "ledger.sqlite", tmp_path / "backup.sqlite"
    with (
        closing(SqliteLedger(place, ORIGIN)) as ledger,
        closing(View(tmp_path / "view.sqlite", ORIGIN)) as view,
        closing(CheckpointSigner(LogSigner.generate(ORIGIN), tmp_path / "signer")) as signer,
    ):
        ledger.append(Append((maker.next_directory(), *(maker.notice() for _ in range(20)))))
        back_up(place, copy)
        ledger.append(Append(tuple(maker.notice() for _ in range(3))))
        view.catch_up(ledger)
        signer.sign(view.size, view.root(view.size), START // 1000)
    with closing(SqliteLedger(copy, ORIGIN)) as old, closing(View(tmp_path / "other.sqlite", ORIGIN)) as view:
        report = fsck(old, now_ms=START)
        assert report.leaves == 21
        assert {finding.fault for finding in report.findings} <= {Fault.OBJECT_MISSING}, "made up"
        view.catch_up(old)
        with (
            closing(CheckpointSigner(LogSigner.generate(ORIGIN), tmp_path / "signer")) as signer,
            pytest.raises(SignerError) as caught,
        ):
            signer.check(view.size, view.root)
        assert caught.value.alarm == "ledger-shorter"
