"""Strict body reading: what a body claims to be is checked before a byte is read, its size and time while it comes in.

Nothing is parsed here; the forms of `adapters.gateway.request` get the bytes.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request

from schemas.errors import Error, TooLargeError
from schemas.limits import LIMITS

SECONDS: Final = 30
"""Seconds within which a JSON body must be there."""

UPLOAD_SECONDS: Final = 600
"""Seconds within which a file must be there."""

JSON: Final = ("application/json",)
TABLES: Final = ("text/csv", "application/gzip", "application/x-gzip")
_UTF8: Final = re.compile(r'charset\s*=\s*"?utf-8"?', re.IGNORECASE)


async def read(
    request: Request,
    *,
    types: Sequence[str] = JSON,
    limit: int = LIMITS.body,
    seconds: float = SECONDS,
    optional: bool = False,
) -> bytes:
    """Read a body of at most `limit` bytes whose type is one of `types`.

    `optional` lets a request without a body and without a type pass, as nothing. Raises `Error` for type, coding and
    time, `TooLargeError`, and Starlette's `ClientDisconnect` where nobody waits for an answer any more.
    """
    kinds = request.headers.getlist("content-type")
    # A second one would be for another reader than the first.
    kind = None if not kinds else kinds[0] if len(kinds) == 1 else ""
    length = request.headers.get("content-length")
    if not (optional and kind is None):
        _check_type(kind, types)
    codings = {value.strip().lower() for value in request.headers.getlist("transfer-encoding")}
    if "content-encoding" in request.headers or not codings <= {"chunked"}:
        raise Error(
            "The body must not be compressed in transit.",
            hint=f"Send {types[0]} without compression.",
            problem="unsupported-media-type",
        )
    if length is not None and (len(length) > 16 or not length.isascii() or not length.isdigit() or int(length) > limit):
        raise TooLargeError(f"More than {limit} bytes.")
    data = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                if len(data) + len(part) > limit:
                    raise TooLargeError(f"More than {limit} bytes.")
                data += part
    except TimeoutError:
        raise Error("The body did not arrive in time.", problem="request-timeout") from None
    if kind is None and data:
        _check_type(kind, types)
    return bytes(data)


def _check_type(kind: str | None, types: Sequence[str]) -> None:
    name, _, parameters = (kind or "").partition(";")
    # Another character set would be read as something that the sender did not write.
    if name.strip().lower() not in types or (parameters.strip() and not _UTF8.fullmatch(parameters.strip())):
        raise Error(
            f"The body must be {' or '.join(types)}.",
            hint=f"Send {types[0]} without compression.",
            problem="unsupported-media-type",
        )
