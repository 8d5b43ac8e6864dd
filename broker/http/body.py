"""Strict body reading: what a body claims to be is checked first, then its size while it streams in, within a time.

Nothing is parsed here; the parsers of `schemas` get the bytes. What a client still sends after it was refused is read
and thrown away for a moment by `broker.http.protocol`, so that the answer arrives.
"""

import asyncio
import re
from typing import Final

from starlette.types import Message, Receive, Scope

from schemas.errors import Error, TooLargeError
from schemas.limits import LIMITS

BODY_SECONDS: Final = 20.0
"""Seconds within which a whole body must have arrived."""

_JSON: Final = re.compile(rb'application/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE)


class Disconnected(Exception):  # noqa: N818 - nobody is left to be told of an error
    """The client went away before its body was complete. There is nobody to answer."""


async def read_body(
    scope: Scope, receive: Receive, *, limit: int = LIMITS.body, seconds: float = BODY_SECONDS
) -> bytes:
    """Read a JSON body of at most `limit` bytes within `seconds`.

    Raises `Error` (415 for another type or any coding, 413 also for a length that is only announced, 408 when it takes
    too long) and `Disconnected`.
    """
    _check_headers(scope, limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, limit)
    except TimeoutError:
        raise Error(f"The body was not complete after {seconds:g} s.", problem="request-timeout") from None


def _check_headers(scope: Scope, limit: int) -> None:
    kind = length = None
    for name, value in scope["headers"]:
        if name == b"content-type":
            # A second one would be for another reader than the first.
            kind = value if kind is None else b""
        elif name == b"content-length":
            length = value
        elif name == b"content-encoding":
            raise Error("Bodies are sent without Content-Encoding.", problem="unsupported-media-type")
    if kind is None or not _JSON.fullmatch(kind):
        raise Error("The body must be application/json.", problem="unsupported-media-type")
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
