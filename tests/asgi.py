"""Drive an ASGI application without a socket: one request, one answer, on the event loop of the caller."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

Message = MutableMapping[str, Any]
App = Callable[[Any, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


@dataclass
class Answer:
    """What came back: `headers` by lower-case name, `body` whole."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


async def request(
    app: App,
    method: str,
    target: str,
    *,
    body: bytes | Iterable[bytes] = b"",
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    client: tuple[str, int] | None = ("127.0.0.1", 50000),
) -> Answer:
    """Send one request through `app`; a body of several parts arrives in as many messages.

    After the body the client stays connected until the application has answered.
    """
    scope = scope_of(method, target, headers, client)
    parts = iter([body] if isinstance(body, bytes) else body)
    answer, done = Answer(), asyncio.Event()
    ahead = [next(parts, b"")]

    async def receive() -> Message:
        if not ahead:
            await done.wait()
            return {"type": "http.disconnect"}
        part = ahead.pop()
        following = next(parts, None)
        if following is not None:
            ahead.append(following)
        return {"type": "http.request", "body": part, "more_body": following is not None}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in message["headers"]}
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")
            if not message.get("more_body", False):
                done.set()

    await app(scope, receive, send)
    return answer


def scope_of(
    method: str,
    target: str,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    client: tuple[str, int] | None = ("127.0.0.1", 50000),
) -> dict[str, Any]:
    """Return the scope of a request."""
    path, _, query = target.partition("?")
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.append(("Host", "test.invalid"))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs],
        "client": client,
        "server": ("test.invalid", 80),
        "state": {},
    }


class Streamed:
    """One request whose answer is read as it comes: `read` gives what was sent, nothing at the end.

    The reader has room for one message at a time; `close` goes away, `lose` is a connection that fails.
    """

    def __init__(self, app: App, method: str, target: str, *, headers: Mapping[str, str]) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._sent: asyncio.Queue[bytes] = asyncio.Queue()
        self._gone, self._begun, self._room = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._room.set()
        self._lost = False
        self._task = asyncio.ensure_future(app(scope_of(method, target, headers), self._receive, self._send))
        self._task.add_done_callback(lambda _: self._begun.set())

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in message["headers"]}
            self._begun.set()
            return
        await self._room.wait()
        if not self._gone.is_set():
            if message.get("body"):
                self._room.clear()
                self._sent.put_nowait(message["body"])
            if not message.get("more_body", False):
                self._sent.put_nowait(b"")

    async def started(self) -> None:
        await self._begun.wait()
        if not self.status:
            await self._task

    async def read(self) -> bytes:
        found = b"" if self._lost else await self._sent.get()
        self._room.set()
        if self._lost:
            raise ConnectionError
        return found

    async def rest(self) -> bytes:
        """Return the whole of an answer that has an end."""
        parts = []
        while part := await self.read():
            parts.append(part)
        return b"".join(parts)

    def lose(self) -> None:
        self._lost = True
        self.close()

    def close(self) -> None:
        self._gone.set()
        self._room.set()
        self._sent.put_nowait(b"")
