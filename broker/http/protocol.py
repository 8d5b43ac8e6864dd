"""uvicorn's HTTP/1.1 connection with the limits that it lacks: size and time of headers, stalled readers, a full house.

Each limit is answered with a problem document where an answer can still be sent. This module knows no routes.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from broker.http import problems
from broker.http.body import Disconnected
from schemas.errors import Error
from schemas.limits import LIMITS

HEADER_SECONDS: Final = 10.0
"""Seconds within which the headers of a request must have arrived, from its first byte or the connection."""

DRAIN_SECONDS: Final = 2.0
"""Seconds for which a body that was refused is read on, so that closing does not take the answer down with it."""

STALL_SECONDS: Final = 30.0
"""Seconds for which a client may read nothing of its answer."""

CONNECTIONS: Final = 4096
"""Connections at once, the honest and the slow together."""


PARTS: Final = "valise.parts"
"""The extension of the ASGI scope that writes chunks from their parts: `room` waits until one is taken, `write` writes it."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection. All timers belong to the event loop's thread; each is cancelled when what it guards has ended."""

    _in_headers = False
    _in_body = False
    _refused = False
    _header_bytes = 0
    _idle_bytes = 0
    _header_timer: asyncio.TimerHandle | None = None
    _drain_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless the house is full."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            self._refuse(Error("Too many connections.", problem="unavailable"))
        else:
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and stop every timer."""
        for timer in (self._header_timer, self._drain_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, then look at how much of the headers is still missing."""
        if self._refused:
            return
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > LIMITS.headers:
                self._too_many_headers()
        elif self._in_body and self._idle_bytes > LIMITS.headers:
            # A chunk's length, its extension or a trailer without an end: the parser would put it together for ever.
            self._refused = True
            self.transport.abort()
        if (self._in_headers or self._idle()) and self._header_timer is None and not self._refused:
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def on_message_begin(self) -> None:
        """Start to count a request's headers."""
        self._in_headers = True
        self._header_bytes = 0
        super().on_message_begin()
        self.scope["extensions"] = {PARTS: {"room": self._room, "write": self._write_parts}}

    async def _room(self) -> None:
        """Wait until the connection takes more."""
        if self.flow.write_paused:
            await self.flow.drain()

    def _write_parts(self, parts: Sequence[bytes]) -> None:
        """Write a chunk of a chunked answer from its parts, where `send` would copy them together, twice.

        Raises `Disconnected` when nobody is there any more, also where another request waits behind this answer.
        """
        if self.transport.is_closing():
            raise Disconnected
        self.transport.writelines([b"%x\r\n" % sum(map(len, parts)), *parts, b"\r\n"])

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; those after a chunked body would be kept without a bound, and nobody reads them."""
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the application, unless its headers are too large."""
        self._in_headers = False
        self._in_body = True
        self._idle_bytes = 0
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > LIMITS.headers:
            self._too_many_headers()
        if not self._refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; what a refused request still sends is thrown away."""
        self._idle_bytes = 0
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request's body."""
        self._in_body = False
        if self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None
        if not self._refused:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request; a body that is still coming in gets a moment to end."""
        super().on_response_complete()
        if self._in_body and self.cycle.response_complete and self._drain_timer is None:
            self._drain_timer = self.loop.call_later(DRAIN_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        """Wait for a slow reader, but not for ever."""
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the server's own words are not used
        """Refuse what is not HTTP/1.1."""
        self._refuse(Error("This is not a valid HTTP/1.1 request.", problem="bad-request"))

    def _idle(self) -> bool:
        return self.cycle is None or (self.cycle.response_complete and not self._in_body)

    def _too_slow(self) -> None:
        self._refuse(Error(f"The headers were not complete after {HEADER_SECONDS:g} s.", problem="request-timeout"))

    def _too_many_headers(self) -> None:
        self._refuse(Error(f"More than {LIMITS.headers} bytes of headers.", problem="headers-too-large"))

    def _refuse(self, error: Error) -> None:
        """Answer with a problem and close; where another answer is under way, only close."""
        self._refused = True
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        body = problems.document(error)
        head = (
            b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n"
            % (problems.MEDIA_TYPE.encode(), len(body)),
            b"".join(b"%b: %b\r\n" % header for header in self.server_state.default_headers),
        )
        retry = problems.RETRY_AFTER.get(error.status)
        extra = f"retry-after: {retry}\r\n".encode() if retry else b""
        self.transport.write(b"".join((STATUS_LINE[error.status], *head, extra, b"\r\n", body)))
        self.transport.close()
