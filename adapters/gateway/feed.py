"""The feed of one participant as pages: from the broker's stream where there is one, else by long poll.

A stream that ends in good order is opened again without a word. Where the broker has none, or streams open and bring nothing
(a proxy that keeps everything back until the end does this), the long poll is used for a while.
"""

import time
from collections.abc import Callable
from typing import Final

import structlog

from adapters.client.answers import Page
from adapters.client.broker import BrokerClient, Sign
from adapters.client.errors import BrokerAwayError, NoStreamError
from adapters.client.feed_stream import PAGE, FeedStream

WAIT: Final = 25
POLLING_SECONDS: Final = 600.0
BARREN: Final = 2
"""How many streams in a row may bring nothing before the long poll is used."""

_log = structlog.get_logger("gateway")


class Feed:
    """Reads one participant's feed. For one task at a time."""

    def __init__(self, client: BrokerClient, sign: Sign, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._sign = sign
        self._clock = clock
        self._stream: FeedStream | None = None
        self._position = -1
        self._barren = 0
        self._answers = False  # to the long poll, the last time
        self._polling_until = float("-inf")

    async def page(self, position: int) -> Page:
        """Return the next page behind a cursor, waiting for it; raise as the client does."""
        while self._clock() >= self._polling_until:
            try:
                page = await self._streamed(position)
            except NoStreamError:
                self._poll_for_a_while()
                break
            if page is not None:
                return page
        # The first answer is wanted at once: whoever asks is to know that there is one again.
        wait, self._answers = WAIT if self._answers else 0, False
        page = await self._client.feed(self._sign, after=position, wait=wait, limit=PAGE)
        self._answers = True
        return page

    async def _streamed(self, position: int) -> Page | None:
        """Return the next page of the stream, None where it has ended and the next is to be opened."""
        stream = self._stream
        if stream is None or self._position != position:
            self.close()
            if self._barren >= BARREN:
                self._poll_for_a_while()
                return None
            stream = self._stream = await self._client.open_stream(self._sign, after=position)
            self._barren += 1
            self._position = position
        try:
            page = await stream.page()
        except BaseException:
            self._drop(stream)
            raise
        if page is None:
            self._drop(stream)
            if self._barren:
                raise BrokerAwayError("The stream has ended before it brought anything.")
            return None
        self._barren = 0
        self._position = page.next
        return page

    def _poll_for_a_while(self) -> None:
        _log.info("feed.polled")
        self._barren = 0
        self._polling_until = self._clock() + POLLING_SECONDS

    def _drop(self, stream: FeedStream) -> None:
        stream.close()
        if self._stream is stream:
            self._stream = None

    def close(self) -> None:
        """Close the stream, where there is one."""
        if self._stream is not None:
            self._drop(self._stream)
