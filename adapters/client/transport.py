"""One HTTP exchange with the broker, bounded in time, size and connections. What the answer means is for `broker` to say.

Nothing is followed, kept or guessed: no redirects, cookies, proxies of the environment, or compressed bodies.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp
from yarl import URL

from adapters.client.errors import AnswerError, BrokerAwayError


@dataclass(frozen=True, slots=True)
class Request:
    """One request: an absolute URL, encoded as it is sent; `seconds` for all of it, `limit` in bytes of the answer."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    seconds: float
    limit: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, whole; `headers` are found by name in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Transport(Protocol):
    """Sends a request and returns the answer, or raises `BrokerAwayError` or `AnswerError`."""

    async def send(self, request: Request) -> Answer:
        """Exchange one request for its answer."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class HttpTransport:
    """A pool of connections over TCP. Make it in a running event loop and close it there."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, connections: int = 32) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=tls or True, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding", "User-Agent", "Accept"),
        )

    async def send(self, request: Request) -> Answer:
        """Exchange one request for its answer; raise `BrokerAwayError`, or `AnswerError` for one that is too large."""
        timeout = aiohttp.ClientTimeout(total=request.seconds, sock_connect=5)
        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                data=request.body,
                headers=request.headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return Answer(response.status, response.headers, await _read(response, request.limit))
        except TimeoutError:
            raise BrokerAwayError("The broker did not answer in time.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise BrokerAwayError(f"The broker cannot be reached ({type(error).__name__}).") from None

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise BrokerAwayError("What answered compresses its bodies, which the broker does not.")
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise AnswerError(f"The broker's answer has more than {limit} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)
