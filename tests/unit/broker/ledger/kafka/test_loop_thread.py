"""The loop's thread: what is asked of it ends in time, and it ends once."""

import asyncio
import threading

import pytest

from broker.ledger.kafka import loop as module
from broker.ledger.kafka.loop import LoopThread, within_seconds
from broker.ledger.port import LedgerUnavailableError


@pytest.fixture
def thread():
    made = LoopThread("of a test")
    yield made
    made.stop()
    assert not made.running


async def answer(value):
    return value


def test_what_is_done_comes_back_and_what_is_called_runs(thread):
    ran = threading.Event()
    assert thread.do(answer(3), 5) == 3
    thread.call(ran.set)
    assert ran.wait(5)
    assert thread.running


def test_what_takes_too_long_is_given_up_by_the_loop(thread):
    with pytest.raises(LedgerUnavailableError, match="in time"):
        thread.do(asyncio.Event().wait(), 0.01)


def test_what_fails_by_itself_says_how():
    async def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(within_seconds(fail(), 5))


def test_a_loop_that_stands_still_keeps_nobody(thread, monkeypatch):
    """Neither who asks nor who ends it; once it goes on, it can be ended."""
    monkeypatch.setattr(module, "GRACE_S", 0.05)
    stands, goes_on = threading.Event(), threading.Event()

    def stand():
        stands.set()
        goes_on.wait()

    thread.call(stand)
    assert stands.wait(5)
    with pytest.raises(LedgerUnavailableError, match="in time"):
        thread.do(answer(1), 0.01)
    thread.stop()
    assert thread.running
    monkeypatch.undo()
    goes_on.set()
    for _ in range(2):
        thread.stop()
        assert not thread.running
