"""Each system call of one append fails once, with EIO, with ENOSPC and with KILL; then the ledger is opened and checked."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from broker.ledger.fsck import fsck
from broker.ledger.port import Append
from broker.ledger.sqlite import SqliteLedger
from tests.unit.broker.ledger.made_records import ORIGIN, Maker

CHILD = Path(__file__).with_name("append_child.py")
ROOT = Path(__file__).parents[2]
CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "fallocate")
MOST = 40


@pytest.fixture(scope="module")
def server():
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    command = [sys.executable, str(CHILD)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        yield process
        process.stdin.close()


def say(server, line):
    server.stdin.write(f"{line}\n")
    server.stdin.flush()


def trial(server, path, seed, inject):
    """Append once while one system call fails; return what the child said and whether the fault came."""
    say(server, f"{path} {seed}")
    pid = server.stdout.readline().split()[1]
    command = ["strace", "-f", "-p", pid, "-e", f"trace={inject.split(':')[0]}", "-e", f"inject={inject}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        if "attached" not in (first := strace.stderr.readline()):
            say(server, "go")
            server.stdout.readline(), server.stdout.readline()
            pytest.skip(f"processes cannot be traced here: {first.strip()}")
        say(server, "go")
        answer = server.stdout.readline().strip()
        if answer != "done":
            server.stdout.readline()
        traced = strace.stderr.read()
    return answer, "INJECTED" in traced or "killed by SIGKILL" in traced


@pytest.mark.parametrize("how", ["error=EIO", "error=ENOSPC", "signal=KILL"])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_an_append_survives_the_failure_of_each_of_its_calls(server, tmp_path, how, checkpointed):
    path = tmp_path / "ledger.sqlite"
    maker = Maker(1)
    seed, faults = 0, 0
    for call in CALLS:
        for when in range(1, MOST):
            ledger = SqliteLedger(path, ORIGIN)
            ledger.append(Append((maker.notice(),)))
            if not checkpointed:  # what lies in the write-ahead log stays there: no orderly close
                shutil.copytree(tmp_path, tmp_path.with_name("kept"), dirs_exist_ok=True)
            before = ledger.length()
            ledger.close()
            if not checkpointed:
                shutil.copytree(tmp_path.with_name("kept"), tmp_path, dirs_exist_ok=True)
            seed += 1
            answer, came = trial(server, path, seed, f"{call}:{how}:when={when}")
            ledger = SqliteLedger(path, ORIGIN)
            persisted = ledger.length() > before
            assert ledger.length() in (before, before + 3)
            assert (ledger.object("file") == b"%d" % seed) is persisted
            if answer.startswith("ok"):
                assert persisted
            elif answer == "StorageFullError":
                assert not persisted
            else:
                assert answer == ("done" if how == "signal=KILL" else "LedgerUnavailableError")
            maker.now += 10_000_000
            report = fsck(ledger, now_ms=maker.now)
            assert report.findings == ()
            ledger.append(Append((maker.notice(),)))
            ledger.close()
            if not came:
                break
            faults += 1
    assert faults >= 10
