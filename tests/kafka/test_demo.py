"""`make demo-kafka`, with few rows: what it counts, and that nothing runs on, however it ends."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from adapters.demo import search, segments
from deploy.kafka.cluster import Cluster
from tests.cluster import skip_without_kafka
from tests.faults.deployment import COMMAND

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(300)]
ROWS = 12
READERS = 3
LONG = os.environ.get("VALISE_EXHAUSTIVE") == "1"


@pytest.fixture(autouse=True)
def _kafka():
    skip_without_kafka()


def demo(folder, *words):
    return subprocess.Popen(
        [*COMMAND, "demo", "--kafka", "--rows", str(ROWS), "--state", str(folder), "--json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def running_in(folder):
    """Return the command lines of processes that have to do with a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:  # ended just now
                continue
            if str(folder) in words:
                found.append(words.replace("\0", " ")[-200:])
    return found


def demand_ended(folder):
    """Demand that nothing runs on; what was killed last may still be listed for a moment."""
    until = time.monotonic() + 60
    while left := running_in(folder):
        assert time.monotonic() < until, left
        time.sleep(0.05)


def test_one_broker_and_one_node_are_killed_and_nothing_is_missing(tmp_path):
    folder = tmp_path / "demo"
    running = demo(folder)
    printed, errors = running.communicate(timeout=280)
    assert running.returncode == 0, errors
    told = json.loads(printed)
    kills = told["published_after_kill_seconds"]
    notices = ROWS + len(kills)  # and one that a law forbids to a State, and one for practice
    assert (told["rows_imported"], told["notices_published"]) == (ROWS, notices + 2)
    assert told["notices_delivered"] == told["notices_opened"] == told["notices_acknowledged"] == READERS * notices + 3
    assert (told["instances"], told["kafka_nodes"]) == (2, 3)
    assert (told["broker_restarts"], told["nodes_killed"], told["kafka_restarts"], len(kills)) == (1, 1, 1, 2)
    assert (told["marker_hits"], told["ledger_sound"], told["evidence_sound"]) == (0, True, True)
    assert told["denied"][0]["state"] == "uz"
    assert errors == ""
    demand_ended(folder)
    # What the operator does see is found where the marker was looked for, also where it is compressed.
    assert search.hits_in(folder / "kafka", "uz/focal-point")[0] > 0
    assert sum(search.hits_in_bytes(data, "uz/focal-point") for data in segments.unpacked(folder / "kafka")) > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP] if LONG else [signal.SIGTERM])
def test_nothing_runs_on_when_it_is_interrupted(tmp_path, number):
    folder = tmp_path / "demo"
    running = demo(folder)
    # Each time at another point: while nodes are made, once brokers run, once everything does.
    points = {
        signal.SIGINT: "kafka/node-3/format.log",
        signal.SIGTERM: "broker-2/address",
        signal.SIGHUP: "token-tj-focal-point",
    }
    file = points[number]
    until = time.monotonic() + 120
    while not (folder / file).exists():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    running.send_signal(number)
    until = time.monotonic() + 60
    for patience in itertools.chain((0.02,), itertools.repeat(1.0)):  # somebody who has little of it
        assert time.monotonic() < until
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.communicate(timeout=patience)
            break
        running.send_signal(number)
    assert running.returncode != 0
    demand_ended(folder)


def test_the_nodes_end_with_a_demonstration_that_is_killed(tmp_path):
    """Only they do: nobody is left to end the others."""
    folder = tmp_path / "demo"
    running = demo(folder)
    until = time.monotonic() + 120
    while not (folder / "frame.keys").exists():  # the nodes serve by then, and no broker runs yet
        assert time.monotonic() < until
        time.sleep(0.02)
    running.kill()
    running.communicate()
    until = time.monotonic() + 60
    while any(node.pid is not None for node in Cluster(folder / "kafka").nodes):
        assert time.monotonic() < until
        time.sleep(0.05)
    demand_ended(folder)
