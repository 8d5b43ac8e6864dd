"""Nodes of Kafka for the demonstration, where they cannot be had: what is said, and that nothing stays."""

import asyncio
import os

import pytest

from adapters.demo import kafka
from adapters.demo.kafka import Nodes
from schemas.errors import Error


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Let something else stand in for what starts Kafka."""

    def write(text):
        path = tmp_path / "dev.py"
        path.write_text(text)
        monkeypatch.setattr(kafka, "_PROGRAM", path)

    return write


def nodes(folder, said):
    return Nodes(folder / "kafka", 3, folder / "kafka.log", said.append)


def test_without_the_checkout_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(kafka, "_PROGRAM", tmp_path / "nothing.py")
    with pytest.raises(Error) as raised:
        asyncio.run(nodes(tmp_path, []).start())
    assert raised.value.code == "configuration"
    assert "checkout" in raised.value.hint


def test_what_the_program_says_is_why(tmp_path, program):
    program("import sys\nprint('Fetching …', file=sys.stderr)\nprint('kafka: No Java:\\nget one', file=sys.stderr)\n")
    said = []

    async def run():
        one = nodes(tmp_path, said)
        with pytest.raises(Error) as raised:
            await one.start()
        await one.stop()
        return raised.value

    error = asyncio.run(run())
    assert (error.code, error.detail) == ("configuration", "No Java:\nget one")
    assert said == ["Kafka: Fetching …"]
    assert "Fetching" in (tmp_path / "kafka.log").read_text()


HOLDS = """
import sys
from pathlib import Path
try:
    print("127.0.0.1:1,127.0.0.1:2", flush=True)
    said = sys.stdin.readline()
except KeyboardInterrupt:
    said = "interrupted"
Path(__file__).with_name("said").write_text(said)
"""


@pytest.mark.parametrize(("leave", "told"), [(True, "keep\n"), (False, "interrupted")])
def test_they_end_or_are_left(tmp_path, program, leave, told):
    program(HOLDS)

    async def run():
        one = nodes(tmp_path, [])
        assert await one.start() == "127.0.0.1:1,127.0.0.1:2"
        await (one.leave() if leave else one.stop())
        await one.stop()  # a second time does nothing
        return one._holding.pid

    pid = asyncio.run(run())
    assert (tmp_path / "said").read_text() == told
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_that_does_not_end_is_killed_and_said(tmp_path, program, monkeypatch):
    program(
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('a:1', flush=True)\ntime.sleep(60)\n"
    )
    monkeypatch.setattr(kafka, "STOP_SECONDS", 0.1)

    async def run():
        one = nodes(tmp_path, [])
        await one.start()
        with pytest.raises(Error) as raised:
            await one.stop()
        assert str(one.folder) in raised.value.hint
        await one._holding.wait()

    asyncio.run(run())


def test_a_node_that_cannot_be_killed_is_said(tmp_path, program):
    program("import sys\nsys.exit(1)\n")
    with pytest.raises(Error) as raised:
        asyncio.run(nodes(tmp_path, []).kill(2))
    assert "Node 2" in raised.value.detail
