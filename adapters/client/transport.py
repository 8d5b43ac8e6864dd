"""One HTTP exchange with the broker, bounded in time, size and connections. What the answer means is for `broker` to say.

Nothing is followed, kept or guessed: no redirects, cookies, proxies of the environment, or compressed bodies.
"""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


class Opened(Protocol):
    """An answer whose body is read as it comes."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the header fields, found by name in any case."""
        ...

    async def read(self) -> bytes:
        """Return what has arrived, nothing at the end; raise `BrokerAwayError` where the connection failed."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Transport(Protocol):
    """Sends a request and returns the answer, or raises `BrokerAwayError` or `AnswerError`."""

    async def open(self, request: Request) -> Opened | Answer:
        """Send a request and return its answer as soon as it begins, where the status is 200; else whole.

        `seconds` of the request is how long nothing may come.
        """
        ...

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
        with _away():
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                data=request.body,
                headers=request.headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return Answer(response.status, response.headers, await _read(response, request.limit))

    async def open(self, request: Request) -> Opened | Answer:
        """Send a request and return its answer as it comes; raise as `send` does."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=request.seconds)
        with _away():
            response = await self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                timeout=timeout,
                allow_redirects=False,
            )
            try:
                if response.status == 200:
                    _demand_plain(response)
                    return _Opened(response)
                return Answer(response.status, response.headers, await _read(response, request.limit))
            except BaseException:
                response.close()
                raise

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


class _Opened:
    """A response under way."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the header fields."""
        return self._response.headers

    async def read(self) -> bytes:
        """Return what has arrived, nothing at the end."""
        with _away():
            return await self._response.content.readany()

    def close(self) -> None:
        """Close the connection."""
        self._response.close()


@contextmanager
def _away() -> Iterator[None]:
    """Turn what a connection may fail with into `BrokerAwayError`."""
    try:
        yield
    except TimeoutError:
        raise BrokerAwayError("The broker did not answer in time.") from None
    except (aiohttp.ClientError, OSError) as error:
        raise BrokerAwayError(f"The broker cannot be reached ({type(error).__name__}).") from None


def _demand_plain(response: aiohttp.ClientResponse) -> None:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise BrokerAwayError("What answered compresses its bodies, which the broker does not.")


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    _demand_plain(response)
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise AnswerError(f"The broker's answer has more than {limit} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)
