"""An open stream of a feed, read as the pages that a long poll would have brought (spec: the broker's OpenAPI, feedStream).

A page ends where the broker says that everything has been there, or is full; never between deliveries that have one `id`.
What was read and not given out as a page is read again after the next opening, for the cursor has not moved.
"""

import re
from collections import deque
from typing import Final

from adapters.client.answers import Page
from adapters.client.errors import AnswerError
from adapters.client.events import Event, EventReader
from adapters.client.transport import Opened
from schemas import encoding
from schemas.encoding import Members
from schemas.errors import FormError, MalformedError, TooLargeError
from schemas.limits import LIMITS
from schemas.strict_json import Json

PAGE: Final = 100
PAGE_BYTES: Final = 8 << 20
MEDIA_TYPE: Final = "text/event-stream"
_ID: Final = re.compile(rb"0|[1-9][0-9]{0,15}")


class FeedStream:
    """One connection. `page` is for one task at a time; `close` it in any case."""

    def __init__(self, opened: Opened, after: int) -> None:
        """Read from what was opened behind the cursor `after`."""
        self._opened = opened
        self._reader = EventReader()
        self._events: deque[Event] = deque()
        self._next = after
        self._size = 0
        self._checkpoint: str | None = None
        self._deliveries: list[dict[str, Json]] = []  # those that a cursor stands behind already
        self._open: list[dict[str, Json]] = []  # those that wait for theirs
        self._bytes = 0

    async def page(self) -> Page | None:
        """Return the next page, None when the stream has ended in good order.

        Raises `AnswerError` for what is no stream of a feed, `BrokerAwayError` where the connection failed.
        """
        while True:
            while self._events:
                if self._take(self._events.popleft()):
                    return self._give()
            data = await self._opened.read()
            if not data:
                return self._give() if self._deliveries else None
            self._events += self._reader.feed(data)

    def close(self) -> None:
        """Close the connection."""
        self._opened.close()

    def _give(self) -> Page:
        page = Page(self._next, self._size, tuple(self._deliveries))
        self._deliveries, self._bytes = [], 0
        return page

    def _take(self, event: Event) -> bool:
        """Take an event; say whether a page is complete."""
        try:
            if event.name == b"checkpoint":
                m = Members(encoding.parse(event.data), ("size", "checkpoint"))
                self._size, self._checkpoint = m.integer("size"), m.binary("checkpoint")
            elif event.name == b"delivery":
                self._open.append(self._delivery(event.data))
                self._bytes += len(event.data)
                self._demand_room()
            if event.name == b"cursor" or (event.name == b"delivery" and event.id is not None):
                self._move(event.id)
        except (MalformedError, TooLargeError, FormError) as error:
            raise AnswerError(f"What the broker streams is not a feed: {error.detail}") from None
        full = len(self._deliveries) >= PAGE or self._bytes >= PAGE_BYTES
        return event.name == b"cursor" or (full and not self._open)

    def _delivery(self, data: bytes) -> dict[str, Json]:
        """Return a delivery with its checkpoint in its place; whether that is the right one, its verification says."""
        if self._checkpoint is None:
            raise FormError("Must come behind a checkpoint.")
        value = encoding.parse(data, limit=2 * LIMITS.body)
        inclusion = value.get("inclusion")
        if isinstance(inclusion, dict):
            inclusion["checkpoint"] = self._checkpoint
        return value

    def _demand_room(self) -> None:
        if self._bytes > LIMITS.batch:
            raise FormError(f"More than {LIMITS.batch} bytes without a cursor.")

    def _move(self, text: bytes | None) -> None:
        if text is None or not _ID.fullmatch(text) or int(text) > LIMITS.integer:
            raise FormError("An id must be a cursor.")
        position = int(text)
        if position < self._next:
            raise FormError("The cursor went back.")
        self._next = position
        self._deliveries += self._open
        self._open.clear()
