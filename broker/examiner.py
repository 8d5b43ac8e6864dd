"""The examiner thread: parses and verifies ahead of the ledger thread, so that this overlaps with the ledger's writing.

It keeps the order of arrival, and hands on what it took together, for that goes into one commit.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from broker.answers import Answer
from broker.publish import Examined
from keys.heads import HeadMemory
from schemas.ids import NoticeId

TOGETHER: Final = 16
"""Envelopes that are taken at a time: the ledger thread gets them together, and writes them in one commit."""

Examine = Callable[[bytes, NoticeId | None, HeadMemory], Examined]


@dataclass(frozen=True, slots=True)
class _Envelope:
    notice_id: NoticeId | None  # the address that it was put to, where there was one
    data: bytes
    answer: "asyncio.Future[Answer]"


@dataclass(frozen=True, slots=True, eq=False)
class Examination:
    """An examined envelope, its size in bytes, and who waits for its answer."""

    examined: Examined
    answer: "asyncio.Future[Answer]"
    size: int
    again: int = 0
    """How often it was decided under what another instance had changed meanwhile."""


class Examiner:
    """One thread; `put` and `end` are for others. It hands `Examination`s on to a queue, and None at its end."""

    def __init__(self, examine: Examine, onward: "queue.SimpleQueue[Any]") -> None:
        """Examine with a function that this thread alone calls."""
        self._examine = examine
        self._onward = onward
        self._heads = HeadMemory()
        self._arrived: queue.SimpleQueue[_Envelope | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="examiner", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, notice_id: NoticeId | None, data: bytes, answer: "asyncio.Future[Answer]") -> None:
        """Have an envelope examined."""
        self._arrived.put(_Envelope(notice_id, data, answer))

    def end(self) -> None:
        """Finish what has arrived, then end."""
        self._arrived.put(None)

    @property
    def backlog(self) -> int:
        """Return the number of envelopes that wait."""
        return self._arrived.qsize()

    def _run(self) -> None:
        try:
            running = True
            while running:
                arrived = self._take()
                running = None not in arrived
                envelopes = [item for item in arrived if item is not None]
                examined = [self._examine(item.data, item.notice_id, self._heads) for item in envelopes]
                for item, one in zip(envelopes, examined, strict=True):
                    self._onward.put(Examination(one, item.answer, len(item.data)))
        finally:
            self._onward.put(None)

    def _take(self) -> list[_Envelope | None]:
        """Wait for an envelope and return what has arrived, in its order; nothing comes behind the end."""
        arrived = [self._arrived.get()]
        while arrived[-1] is not None and len(arrived) < TOGETHER:
            try:
                arrived.append(self._arrived.get_nowait())
            except queue.Empty:
                break
        return arrived
