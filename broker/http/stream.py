"""`GET /v1/feed/stream`: the feed as Server-Sent Events, for as long as the caller may have it and wants to read.

The route is FastAPI's like the feed's, with the same signature and parameters; what it answers with speaks ASGI itself, and
waits for its own reader only.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.types import Receive, Scope, Send

from broker.http import openapi
from broker.http.auth import Caller, Served, Standing
from broker.http.protocol import PARTS
from broker.http.query import Cursor, EachOnce, TopicPattern
from broker.http.service import EventSource
from schemas.errors import Error, FormError
from schemas.ids import Pattern

router = APIRouter()

MEDIA_TYPE: Final = "text/event-stream"
_RESUME: Final = "Last-Event-ID"


class StreamQuery(BaseModel):
    """Where to begin, and of which topics."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: Cursor = 0
    topic: TopicPattern = "*.*"


async def resume_once(request: Request) -> None:
    """Refuse a header that is given twice: readers do not agree on which one counts."""
    if len(request.headers.getlist(_RESUME)) > 1:
        raise FormError("This header is given twice.", pointer=f"/header/{_RESUME}")


class EventStream(Response):
    """Sends a source's events until it has no more, or nobody reads them any more."""

    media_type = MEDIA_TYPE

    def __init__(self, source: EventSource, first: Sequence[bytes] | None) -> None:
        self.status_code = 200
        self.background = None
        self._source = source
        self._first = first
        self.init_headers({"Cache-Control": "no-store"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection: writing waits until the connection has room, and so sets the pace."""
        source, parts = self._source, self._first
        room, write = _writer(scope, send)
        watch = asyncio.create_task(_close_when_gone(source, receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            # What ends it early is said to the next request, which is refused.
            with suppress(Error):
                while parts is not None:
                    await write(parts)
                    # Before the next is decided on, not behind that: the rules may change while a reader is slow.
                    await room()
                    parts = await source.next()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            source.close()
            watch.cancel()


def _writer(
    scope: Scope, send: Send
) -> tuple[Callable[[], Awaitable[None]], Callable[[Sequence[bytes]], Awaitable[None]]]:
    """Return what waits for room on the connection, and what writes parts: by the server's own way, or else by `send`."""
    own = scope.get("extensions", {}).get(PARTS)

    async def write(parts: Sequence[bytes]) -> None:
        if own is None:
            await send({"type": "http.response.body", "body": b"".join(parts), "more_body": True})
        else:
            own["write"](parts)

    async def room() -> None:
        if own is not None:
            await own["room"]()

    return room, write


async def _close_when_gone(source: EventSource, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    source.close()


_ABOUT: Final = """The same deliveries as the feed's, in the same order, by the same decisions, as they come.

Each event's `id` is the feed's cursor behind it: a ledger index + 1, or the offer number of what was held and is released.
To go on exactly where a connection ended, send the last `id` as `Last-Event-ID` (it counts before `after`), with a new
signature. Deliveries that were released together have one `id`, with the last of them: keep them once that has arrived.

* `checkpoint`: `{"size", "checkpoint"}`, the note (base64url) that the deliveries behind it are under; no `id`.
* `delivery`: a delivery whose `inclusion` has no member `checkpoint`. Put the newest checkpoint event's there, as the last
  member, and it is the delivery of the feed, byte by byte.
* `cursor`: `{"next"}`, up to where everything has been there.
* A comment line every 15 seconds at least, where there is nothing else.

Who reads nothing for 30 seconds is cut off. A stream ends after an hour, and at once when its key does not count any more."""


def _data(schema: openapi.Node) -> openapi.Node:
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}


_ID: Final[openapi.Node] = {
    "type": "string",
    "pattern": "^(0|[1-9][0-9]{0,15})$",
    "description": "the cursor behind it",
}
_INCLUSION: Final = openapi.exactly(
    {name: node for name, node in openapi.COMPONENTS["Inclusion"]["properties"].items() if name != "checkpoint"}
)
_DELIVERY: Final = openapi.exactly({**openapi.COMPONENTS["Delivery"]["properties"], "inclusion": _INCLUSION})
_CHECKPOINT: Final = openapi.exactly({"size": openapi.INTEGER, "checkpoint": openapi.B64})
_EVENT: Final[openapi.Node] = {
    "title": "An event",
    "oneOf": [
        openapi.exactly({"event": {"const": "checkpoint"}, "data": _data(_CHECKPOINT)}),
        openapi.exactly({"id": _ID, "event": {"const": "delivery"}, "data": _data(_DELIVERY)}, optional=("id",)),
        openapi.exactly(
            {"id": _ID, "event": {"const": "cursor"}, "data": _data(openapi.exactly({"next": openapi.INTEGER}))}
        ),
    ],
}


def _answer() -> openapi.Node:
    """Return the response: the schema of one event, and events as they follow each other."""
    delivery = dict(openapi.example("delivery"))
    delivery["inclusion"] = inclusion = dict(delivery["inclusion"])
    size, index, note = inclusion["size"], inclusion["index"], inclusion.pop("checkpoint")
    samples: dict[str, openapi.Node] = {
        "checkpoint": {"event": "checkpoint", "data": {"size": size, "checkpoint": note}},
        "delivery": {"id": str(index + 1), "event": "delivery", "data": delivery},
        "cursor": {"id": str(size), "event": "cursor", "data": {"next": size}},
    }
    examples = {
        name: {"summary": f"`{name}`", "value": {**sample, "data": orjson.dumps(sample["data"]).decode()}}
        for name, sample in samples.items()
    }
    return {
        "description": "Server-Sent Events, without an end of their own; the schema is that of one event.",
        "content": {MEDIA_TYPE: {"schema": _EVENT, "examples": examples}},
    }


@router.get(
    "/v1/feed/stream",
    name="feedStream",
    operation_id="feedStream",
    summary="The caller's feed as it comes",
    description=_ABOUT,
    response_class=Response,
    dependencies=[EachOnce, Depends(resume_once)],
    responses=openapi.responses(
        {200: _answer()},
        *openapi.CALLER,
        "invalid-form",
        "rate-limited",
        "storage-full",
    ),
    openapi_extra=openapi.SIGNED,
)
async def feed_stream(
    query: Annotated[StreamQuery, Query()],
    caller: Caller,
    service: Served,
    last: Annotated[
        Cursor | None, Header(alias=_RESUME, description="The last `id` that has arrived; it counts before `after`.")
    ] = None,
) -> Response:
    """Open a stream of what is offered to the caller after a cursor."""
    after = query.after if last is None else last
    source = service.stream(caller.participant, after, Pattern(query.topic), Standing(caller, service).demand)
    try:
        # What is wrong at once is answered with a problem.
        first = await source.next()
    except BaseException:
        source.close()
        raise
    return EventStream(source, first)
