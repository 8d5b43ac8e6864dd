"""What the event loop hands to the ledger thread, and how it waits: bounded, and for no longer than there is a thread.

Envelopes go through the examiner first, which keeps their order. Ownership: `ended` and `_taken` are written by the ledger
thread, `_put` by the loop, and `waiting` is added to by the loop and read once by the ledger thread; the queue is everybody's.
"""

import asyncio
import queue
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from broker.answers import LATER, Answer, NotPublished, OverloadedError, as_answer, left_open, settle, stopped
from broker.examiner import Examination, Examine, Examiner
from schemas.ids import NoticeId

CHUNK: Final = 64
"""Envelopes that are decided and appended together at most."""
QUEUE: Final = 2048
QUEUE_BYTES: Final = 128 << 20
"""Bytes of envelopes that wait at most: read, they take several times as much of a memory that others need too."""
ANSWER_S: Final = 15.0
"""Seconds after which a sender is told that the outcome is open: a store of several nodes may be without a leader."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """A function that the ledger thread is to run, and who waits for its result."""

    run: Callable[[], object]
    answer: "asyncio.Future[object]"


@dataclass(frozen=True, slots=True)
class Wake:
    """There is something new to read."""


class Intake:
    """The ledger thread's queue, `jobs`, and who waits for an answer."""

    def __init__(self, examine: Examine, alive: Callable[[], bool]) -> None:
        """Examine envelopes with a function of which one thread is used; `alive` says whether the ledger thread runs."""
        self.jobs: queue.SimpleQueue[Examination | Call | Wake | None] = queue.SimpleQueue()
        self.examiner = Examiner(examine, self.jobs)
        self.waiting: set[asyncio.Future[Any]] = set()
        self.ended = False
        self._alive = alive
        self._put = 0  # bytes of all envelopes so far
        self._taken = 0  # of those that wait no more, whether or not somebody still waits for their answers

    @property
    def backlog(self) -> int:
        """Return the number of jobs that wait."""
        return self.jobs.qsize() + self.examiner.backlog

    async def publish(self, notice_id: NoticeId, data: bytes) -> Answer:
        """Have one envelope published; raise `OverloadedError` when nothing can be decided now."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._demand_room(1, len(data))
        self._put_envelope(notice_id, data, answer)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._await(answer)
        except TimeoutError:
            raise left_open() from None

    async def publish_many(self, lines: Sequence[bytes]) -> list[Answer]:
        """Have envelopes published in their order, each standing alone; raise `OverloadedError` where none was tried.

        Where nothing can be decided on one of them now, what lies a chunk behind it is not tried: whoever sends again from
        there on has published in the same order.
        """
        self._demand_room(len(lines), sum(map(len, lines)))
        answers: list[Answer] = []
        for at in range(0, len(lines), CHUNK):
            answers += await self._publish_piece(lines[at : at + CHUNK])
            if any(isinstance(answer, NotPublished) and answer.error.status in LATER for answer in answers[at:]):
                left = OverloadedError("Not tried: nothing could be decided on one before it.")
                return answers + [NotPublished(left, (), None)] * (len(lines) - len(answers))
        return answers

    async def _publish_piece(self, lines: Sequence[bytes]) -> list[Answer]:
        loop = asyncio.get_running_loop()
        waiting: list[asyncio.Future[Answer]] = [loop.create_future() for _ in lines]
        for data, answer in zip(lines, waiting, strict=True):
            self._put_envelope(None, data, answer)
        self.waiting.update(waiting)
        try:
            if self.ended:
                settle([(answer, stopped()) for answer in waiting if not answer.done()])
            await asyncio.wait(waiting, timeout=ANSWER_S)
            for answer in waiting:
                if not answer.done():
                    answer.set_exception(left_open())
            found = await asyncio.gather(*waiting, return_exceptions=True)
        finally:
            self.waiting.difference_update(waiting)
        return [as_answer(answer) for answer in found]

    async def call(self, run: Callable[[], T]) -> T:
        """Have a function run in the ledger thread; return its result or raise its error."""
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._demand_room()
        self.jobs.put(Call(run, answer))
        return cast("T", await self._await(answer))

    async def _await(self, answer: "asyncio.Future[T]") -> T:
        """Wait for an answer, and for no longer than there is a thread that could give it."""
        self.waiting.add(answer)
        try:
            if self.ended and not answer.done():
                raise stopped()
            return await answer
        finally:
            self.waiting.discard(answer)

    def _put_envelope(self, notice_id: NoticeId | None, data: bytes, answer: "asyncio.Future[Answer]") -> None:
        self._put += len(data)
        self.examiner.put(notice_id, data, answer)

    def _demand_room(self, wanted: int = 1, size: int = 0) -> None:
        if not self._alive():
            raise stopped()
        if self.backlog + wanted > QUEUE or (size and self._put - self._taken + size > QUEUE_BYTES):
            raise OverloadedError("Too many requests are waiting for the ledger.")

    def wake_up(self) -> None:
        """Have the ledger thread look at what others have appended; for any thread."""
        if self.jobs.empty():
            self.jobs.put(Wake())

    # For the ledger thread

    def take(self, seconds: float) -> list[Examination | Call | Wake | None]:
        """Return the jobs that wait, in their order and at most a chunk, having waited so many seconds for the first."""
        jobs: list[Examination | Call | Wake | None] = []
        with suppress(queue.Empty):
            jobs.append(self.jobs.get(timeout=seconds) if seconds else self.jobs.get_nowait())
            while len(jobs) < CHUNK:
                jobs.append(self.jobs.get_nowait())
        self._taken += sum(job.size for job in jobs if isinstance(job, Examination))
        return jobs

    def end(self) -> None:
        """Turn away who still waits, and who comes later: there is no thread any more."""
        self.ended = True
        settle([(answer, stopped()) for answer in list(self.waiting)])
