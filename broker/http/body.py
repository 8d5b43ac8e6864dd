"""Strict body reading: what a body claims to be is checked first, then its size while it streams in, within a time.

Nothing is parsed here; the parsers of `schemas` get the bytes. A body of lines is cut while it comes in, piece by piece,
and of a line that is too long no more is kept than shows that it is. What a client still sends after it was refused is read
and thrown away for a moment by `broker.http.protocol`, so that the answer arrives.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Final

from starlette.types import Message, Receive, Scope

from schemas.errors import Error, MalformedError, TooLargeError
from schemas.limits import LIMITS

BODY_SECONDS: Final = 20.0
"""Seconds within which a whole body must have arrived."""

LINES_SECONDS: Final = 60.0
"""Seconds within which a whole body of lines must have arrived."""

NDJSON: Final = "application/x-ndjson"

_JSON: Final = re.compile(rb'application/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE)
_LINES: Final = re.compile(rb'application/x-ndjson[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE)


class Disconnected(Exception):  # noqa: N818 - nobody is left to be told of an error
    """The client went away before its body was complete. There is nobody to answer."""


async def read_body(
    scope: Scope, receive: Receive, *, limit: int = LIMITS.body, seconds: float = BODY_SECONDS
) -> bytes:
    """Read a JSON body of at most `limit` bytes within `seconds`.

    Raises `Error` (415 for another type or any coding, 413 also for a length that is only announced, 408 when it takes
    too long) and `Disconnected`.
    """
    _check_headers(scope, limit, _JSON, "application/json")
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, limit)
    except TimeoutError:
        raise _too_slow(seconds) from None


async def read_lines(
    scope: Scope, receive: Receive, arrived: Callable[[int], None], *, seconds: float = LINES_SECONDS
) -> list[bytes]:
    """Read an NDJSON body of 1 to `LIMITS.batch_lines` lines within `seconds`; the last one may end without a newline.

    A line that is longer than a body may be comes cut off behind its first byte too many. `arrived` is called with the
    size of each part of the body before it is kept, and may raise. Raises as `read_body` does, and `MalformedError` where
    there is no line.
    """
    _check_headers(scope, LIMITS.batch, _LINES, NDJSON)
    lines = _Lines()
    size, more = 0, True
    try:
        async with asyncio.timeout(seconds):
            while more:
                chunk, more = _part(await receive())
                size += len(chunk)
                if size > LIMITS.batch:
                    raise TooLargeError(f"More than {LIMITS.batch} bytes.")
                arrived(len(chunk))
                lines.add(chunk)
    except TimeoutError:
        raise _too_slow(seconds) from None
    if not size:
        raise MalformedError("There is no line.", offset=0)
    return lines.ended()


class _Lines:
    """Lines as they come in."""

    def __init__(self) -> None:
        self._whole: list[bytes] = []
        self._begun = bytearray()

    def add(self, chunk: bytes) -> None:
        """Take a part of the body; raise `TooLargeError` for a line too many."""
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            self._keep(chunk[start:end])
            self._end()
            start = end + 1
        self._keep(chunk[start:])

    def ended(self) -> list[bytes]:
        """Return all lines; raise as `add` does."""
        if self._begun:
            self._end()
        return self._whole

    def _keep(self, part: bytes) -> None:
        self._begun += part[: LIMITS.body + 1 - len(self._begun)]

    def _end(self) -> None:
        if len(self._whole) == LIMITS.batch_lines:
            raise TooLargeError(f"More than {LIMITS.batch_lines} lines.")
        self._whole.append(bytes(self._begun))
        self._begun.clear()


def _too_slow(seconds: float) -> Error:
    return Error(f"The body was not complete after {seconds:g} s.", problem="request-timeout")


def _check_headers(scope: Scope, limit: int, wanted: re.Pattern[bytes], called: str) -> None:
    kind = length = None
    for name, value in scope["headers"]:
        if name == b"content-type":
            # A second one would be for another reader than the first.
            kind = value if kind is None else b""
        elif name == b"content-length":
            length = value
        elif name == b"content-encoding" or (name == b"transfer-encoding" and value.strip().lower() != b"chunked"):
            raise Error("Bodies are sent without compression.", problem="unsupported-media-type")
    if kind is None or not wanted.fullmatch(kind):
        raise Error(f"The body must be {called}.", problem="unsupported-media-type")
    # 16 digits are enough for every length that could be meant; more are not worth turning into a number.
    if length is not None and (not length.isdigit() or len(length) > 16 or int(length) > limit):
        raise TooLargeError(f"More than {limit} bytes.")


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        chunk, more = _part(await receive())
        size += len(chunk)
        if size > limit:
            raise TooLargeError(f"More than {limit} bytes.")
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _part(message: Message) -> tuple[bytes, bool]:
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message.get("body", b""), message.get("more_body", False)
