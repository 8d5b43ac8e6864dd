"""Who waits for what became of an entry: a request with `Prefer: wait`, or a test."""

import asyncio
from typing import Self

from schemas.ids import NoticeId


class Outcomes:
    """Wakes those who wait for entries to be settled. Used in one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[NoticeId, set[asyncio.Event]] = {}

    def settled(self, notice_id: NoticeId) -> None:
        """Tell that an entry, by its outbox id, is published, refused, returned or expired, and that this is durable."""
        for event in self._waiting.get(notice_id, ()):
            event.set()

    def watch(self, notice_id: NoticeId) -> "Watch":
        """Begin to watch an entry; look at its state after that, or it may be missed."""
        return Watch(self._waiting, notice_id)


class Watch:
    """One who waits for one entry, as a context."""

    def __init__(self, waiting: dict[NoticeId, set[asyncio.Event]], notice_id: NoticeId) -> None:
        self._waiting = waiting
        self._notice_id = notice_id
        self._event = asyncio.Event()

    def __enter__(self) -> Self:
        self._waiting.setdefault(self._notice_id, set()).add(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        watching = self._waiting[self._notice_id]
        watching.discard(self._event)
        if not watching:
            del self._waiting[self._notice_id]

    async def wait(self, seconds: float) -> bool:
        """Wait at most so long; say whether it is settled."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        return True
