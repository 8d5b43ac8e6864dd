"""The event loop that the cluster's clients live on, in a thread of its own; other threads wait for it within bounds."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Final, TypeVar

import uvloop

from broker.ledger.port import LedgerUnavailableError

GRACE_S: Final = 10.0
"""Seconds by which the loop may be late with saying that the time was over."""

T = TypeVar("T")


class LoopThread:
    """A running loop. What is started ends by itself: it raises `LedgerUnavailableError` when its time is over."""

    def __init__(self, name: str) -> None:
        """Start the thread."""
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def start(self, work: Awaitable[T], within: float) -> "Future[T]":
        """Have something done within some seconds."""
        return asyncio.run_coroutine_threadsafe(within_seconds(work, within), self._loop)

    def wait(self, work: "Future[T]", within: float) -> T:
        """Wait for what was started with so many seconds; raise `LedgerUnavailableError` beyond."""
        try:
            return work.result(within + GRACE_S)
        except TimeoutError:
            raise _too_late() from None

    def do(self, work: Awaitable[T], within: float) -> T:
        """Have something done and wait for it."""
        return self.wait(self.start(work, within), within)

    def call(self, run: Callable[[], None]) -> None:
        """Have something run soon."""
        self._loop.call_soon_threadsafe(run)

    def stop(self) -> None:
        """End the thread, within a bound; once is enough."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(GRACE_S)
        if not self._thread.is_alive() and not self._loop.is_closed():
            self._loop.close()

    @property
    def running(self) -> bool:
        """Say whether the thread runs."""
        return self._thread.is_alive()


async def within_seconds(work: Awaitable[T], seconds: float) -> T:
    """Wait for something, for so many seconds; raise `LedgerUnavailableError` beyond."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise _too_late() from None


def _too_late() -> LedgerUnavailableError:
    return LedgerUnavailableError("The cluster does not answer in time.")
