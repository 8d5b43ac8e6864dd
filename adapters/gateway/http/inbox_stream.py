"""`GET /v1/inbox/stream`: what arrives in the inbox, as Server-Sent Events, for agency systems (WHATWG HTML, section 9.2).

The entries, their order and who may have them are those of `GET /v1/inbox`. The token is looked at again before anything is
sent. A reader that is slow waits for itself only: the next entries are read when these have gone.
"""

import asyncio
import time
from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.types import Receive, Scope, Send

from adapters.gateway.http import openapi
from adapters.gateway.http.auth import Caller, Served, caller_of
from adapters.gateway.http.documents import InboxItemDocument
from adapters.gateway.http.examples import EXAMPLES
from adapters.gateway.http.parameters import Cursor, EachOnce, InboxStreamQuery
from adapters.gateway.http.service import Service
from adapters.gateway.status import InboxItem
from schemas.errors import Error, FormError
from schemas.ids import ParticipantId

router = APIRouter()

PATH: Final = "/v1/inbox/stream"
MEDIA_TYPE: Final = "text/event-stream"
BEAT_SECONDS: Final = 15.0
LIFE_SECONDS: Final = 3600.0
PAGE: Final = 50
_RESUME: Final = "Last-Event-ID"
_BEAT: Final = b":\n\n"


async def resume_once(request: Request) -> None:
    """Refuse a header that is given twice: readers do not agree on which one counts."""
    if len(request.headers.getlist(_RESUME)) > 1:
        raise FormError("This header is given twice.", pointer=f"/header/{_RESUME}")


class InboxEvents(Response):
    """Sends entries as they arrive."""

    media_type = MEDIA_TYPE

    def __init__(self, request: Request, service: Service, who: ParticipantId, after: int, *, unread: bool) -> None:
        self.status_code = 200
        self.background = None
        self._request = request
        self._service = service
        self._who = who
        self._after = after
        self._unread = unread
        self.init_headers({"Cache-Control": "no-store"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        del scope
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                # What ends it early is said to the next request, which is refused.
                with suppress(Error):
                    sending.result()
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            sending.cancel()
            leaving.cancel()

    async def _send(self, send: Send) -> None:
        until = time.monotonic() + LIFE_SECONDS
        with self._service.watch_inbox(self._who) as watch:
            await _write(send, _BEAT)
            while time.monotonic() < until:
                items, self._after = await self._service.inbox(
                    self._who, after=self._after, limit=PAGE, unacknowledged=self._unread
                )
                await asyncio.to_thread(caller_of, self._request)
                if items:
                    await _write(send, b"".join(map(_event, items)))
                elif watch.over:
                    return
                elif not await watch.wait(BEAT_SECONDS):
                    await _write(send, _BEAT)


async def _write(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(item: InboxItem) -> bytes:
    # JSON has no line breaks of its own.
    data = InboxItemDocument.model_validate(item).model_dump_json()
    return f"id: {item.seq}\nevent: notice\ndata: {data}\n\n".encode()


_ABOUT: Final = """The entries of `GET /v1/inbox` in the order of arrival, each as it arrives: an event `notice`, whose `id` is the
entry's `seq` and whose data is the entry. To go on exactly where a connection ended, send the last `id` as `Last-Event-ID`
(it counts before `after`). A comment line comes every 15 seconds at least, where there is nothing else. A stream ends after
an hour, and when its token does not count any more. What becomes of an entry later shows in `GET /v1/inbox/{id}`; a recall or
correction is an entry of its own."""

_EVENT: Final[openapi.Node] = {
    "title": "An event",
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^[1-9][0-9]{0,15}$"},
        "event": {"const": "notice"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/InboxItemDocument"},
        },
    },
    "required": ["id", "event", "data"],
    "additionalProperties": False,
}


def _answer() -> openapi.Node:
    """Return the response: the schema of one event, and one as it may come."""
    document = InboxItemDocument.model_validate({**EXAMPLES["InboxItemDocument"]}, by_name=True)
    sample = {"id": str(document.seq), "event": "notice", "data": document.model_dump_json()}
    return {
        "description": "Server-Sent Events, without an end of their own; the schema is that of one event.",
        "content": {MEDIA_TYPE: {"schema": _EVENT, "example": sample}},
    }


@router.get(
    PATH,
    operation_id="streamInbox",
    summary="What arrives, as it arrives",
    description=_ABOUT,
    response_class=Response,
    responses=openapi.responses({200: _answer()}, *openapi.CALLER, "invalid-form"),
    openapi_extra=openapi.SECURED,
    dependencies=[EachOnce, Depends(resume_once)],
)
async def stream_inbox(
    query: Annotated[InboxStreamQuery, Query()],
    caller: Caller,
    service: Served,
    request: Request,
    last: Annotated[
        Cursor | None, Header(alias=_RESUME, description="The last `id` that has arrived; it counts before `after`.")
    ] = None,
) -> Response:
    """Open a stream of the inbox behind an entry."""
    after = query.after if last is None else last
    return InboxEvents(request, service, caller, after, unread=query.unacknowledged)
