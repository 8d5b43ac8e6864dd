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
    path, _, query = target.partition("?")
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.append(("Host", "test.invalid"))
    scope: dict[str, Any] = {
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
