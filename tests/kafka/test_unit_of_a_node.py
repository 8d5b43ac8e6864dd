"""The systemd unit of a Kafka node: its own command line starts a node, whose system calls are all among the allowed."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from deploy.kafka import software
from tests import cluster
from tests.deploy.test_systemd_sandbox import allowed, tools  # noqa: F401 - a fixture
from tests.deploy.test_systemd_units import one

pytestmark = pytest.mark.loopback
SECONDS = 60
STARTED = "Kafka Server started"


@pytest.fixture
def node():
    """Make a cluster of one, formatted and stopped."""
    cluster.skip_without_kafka()
    with cluster.running(security="tls") as made:
        made.stop()
        yield made


def test_the_unit_starts_a_node_that_does_nothing_forbidden(node, tmp_path):
    assert one("valise-kafka", "Environment").startswith("HEAP=")
    words = one("valise-kafka", "ExecStart").replace("${HEAP}", "256m")
    words = words.replace("/opt/kafka/libs/*", f"{software.HERE.parents[1] / 'build' / 'kafka' / 'libs'}/*")
    words = words.replace("/etc/kafka/server.properties", str(node.nodes[0].folder / "server.properties"))
    words = words.replace("/usr/bin/java", str(software._java()))
    log, calls = tmp_path / "log", tmp_path / "calls"
    with log.open("wb") as out:
        traced = subprocess.Popen(["strace", "-f", "-c", "-o", calls, *words.split()], stdout=out, stderr=out)
    children = Path(f"/proc/{traced.pid}/task/{traced.pid}/children")
    try:
        until = time.monotonic() + SECONDS
        while STARTED not in log.read_text(errors="replace"):
            assert traced.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < until
            time.sleep(0.2)
        assert node.serving(1) == 1
        (child,) = children.read_text().split()
        os.kill(int(child), signal.SIGTERM)
        assert traced.wait(SECONDS) == int(one("valise-kafka", "SuccessExitStatus"))
    finally:
        if traced.poll() is None:
            for child in children.read_text().split():
                os.kill(int(child), signal.SIGKILL)
            traced.wait(10)
    used = {line.split()[-1] for line in calls.read_text().splitlines() if re.match(r"\s*\d", line)} - {"total"}
    assert len(used) > 40
    assert used - allowed("valise-kafka") == set()
