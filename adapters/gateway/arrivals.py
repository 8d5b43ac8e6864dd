"""Who waits for something to arrive in an inbox, and is woken when it does. For one event loop."""

import asyncio
from typing import Self

from schemas.ids import ParticipantId


class Arrivals:
    """Wakes those who wait, by participant."""

    def __init__(self) -> None:
        self.over = False
        """Whether nobody is to wait any more."""
        self._waiting: dict[ParticipantId, set[asyncio.Event]] = {}

    def tell(self, participant: ParticipantId) -> None:
        """Tell that something has arrived for a participant, durably."""
        for event in self._waiting.get(participant, ()):
            event.set()

    def finish(self) -> None:
        """Wake everybody, for good."""
        self.over = True
        for participant in self._waiting:
            self.tell(participant)

    def watch(self, participant: ParticipantId) -> "InboxWatch":
        """Begin to watch an inbox; look at it after that, or something may be missed."""
        return InboxWatch(self, self._waiting, participant)


class InboxWatch:
    """One who watches one inbox, as a context."""

    def __init__(
        self, arrivals: Arrivals, waiting: dict[ParticipantId, set[asyncio.Event]], participant: ParticipantId
    ) -> None:
        self._arrivals = arrivals
        self._waiting = waiting
        self._participant = participant
        self._event = asyncio.Event()

    def __enter__(self) -> Self:
        self._waiting.setdefault(self._participant, set()).add(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        watching = self._waiting[self._participant]
        watching.discard(self._event)
        if not watching:
            del self._waiting[self._participant]

    @property
    def over(self) -> bool:
        """Say whether nobody is to wait any more."""
        return self._arrivals.over

    async def wait(self, seconds: float) -> bool:
        """Wait until something arrives that was not waited for yet, at most so long; say whether something did."""
        if self.over:
            return False
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
