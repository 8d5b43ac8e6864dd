"""How many entries go out in one request: more as it goes well, fewer as it does not, one where the broker has no batches.

It begins with one, so that a gateway whom the broker does not know yet, or a line that is slow, is found out by one entry
and not by a hundred. Reads no clock: times are the event loop's seconds, as they are given.
"""

from dataclasses import dataclass, field
from typing import Final

AGAIN_SECONDS: Final = 600.0
"""Seconds after which a broker that had no batches is asked for one again: it may be a newer one by then."""


@dataclass(slots=True)
class Pace:
    """The size of the next batch, from 1 to `most`."""

    most: int
    _next: int = field(init=False, default=1)
    _without: float = field(init=False, default=float("-inf"))

    def size(self, now: float) -> int:
        """Return how many entries may go out together now."""
        return 1 if self.without_batches(now) else self._next

    def without_batches(self, now: float) -> bool:
        """Say whether the broker is known not to take batches."""
        return now < self._without

    def went_well(self) -> None:
        """Note that every entry of a request was published."""
        self._next = min(self.most, self._next * 2)

    def went_badly(self) -> None:
        """Note that a request, or an entry of it, was not answered, or not with a receipt."""
        self._next = max(1, self._next // 2)

    def no_batches(self, now: float) -> None:
        """Note that the broker does not take batches."""
        self._without = now + AGAIN_SECONDS
