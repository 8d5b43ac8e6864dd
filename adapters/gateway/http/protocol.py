"""uvicorn's HTTP/1.1 connection with limits that it lacks: size and time of headers, an end for bodies that were refused.

A gateway stands in an agency's own network; this keeps one mad client from holding it up. It knows no routes.
"""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from adapters.gateway.http import problems
from schemas.errors import Error
from schemas.limits import LIMITS

HEADER_SECONDS: Final = 10.0
"""Seconds within which a request's headers must be complete."""

DRAIN_SECONDS: Final = 2.0
"""Seconds for which a body that was refused is read on, so that closing does not take the answer down with it."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection. Its timers belong to the event loop's thread, and end with it."""

    _bytes = 0
    _idle_bytes = 0
    _in_headers = False
    _in_body = False
    _refused = False
    _timer: asyncio.TimerHandle | None = None
    _drain: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and stop the timers."""
        for timer in (self._timer, self._drain):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser and look at how many bytes of headers are there."""
        if self._refused:
            return
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._in_headers:
            self._bytes += len(data)
            if self._bytes > LIMITS.headers:
                self._refuse(Error(f"More than {LIMITS.headers} bytes of headers.", problem="headers-too-large"))
        elif self._in_body and self._idle_bytes > LIMITS.headers:
            # A chunk's length, its extension or a trailer without an end: the parser would put it together for ever.
            self._refused = True
            self.transport.abort()
        if (self._in_headers or self._idle()) and self._timer is None and not self._refused:
            # Idle too: line breaks before a request end the server's own wait for one.
            self._timer = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def on_message_begin(self) -> None:
        """Start to count a request's headers."""
        self._in_headers, self._bytes = True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; those after a chunked body would be kept without a bound, and nobody reads them."""
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request on, unless its headers are too large."""
        self._in_headers, self._in_body = False, True
        self._idle_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > LIMITS.headers:
            self._refuse(Error(f"More than {LIMITS.headers} bytes of headers.", problem="headers-too-large"))
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
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None
        if not self._refused:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request; a body that is still coming in gets a moment to end."""
        super().on_response_complete()
        if self._in_body and self.cycle.response_complete and self._drain is None:
            self._drain = self.loop.call_later(DRAIN_SECONDS, self.transport.abort)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the server's own words are not used
        """Refuse what is not HTTP/1.1."""
        self._refuse(Error("This is not a valid HTTP/1.1 request.", problem="bad-request"))

    def _idle(self) -> bool:
        return self.cycle is None or (self.cycle.response_complete and not self._in_body)

    def _too_slow(self) -> None:
        self._refuse(Error("The headers did not arrive in time.", problem="request-timeout"))

    def _refuse(self, error: Error) -> None:
        """Answer with a problem and close; where another answer is under way, only close."""
        self._refused = True
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        answer = problems.response(error)
        head = b"".join(b"%b: %b\r\n" % field for field in answer.raw_headers)
        self.transport.write(STATUS_LINE[error.status] + head + b"connection: close\r\n\r\n" + bytes(answer.body))
        self.transport.close()
