"""`GET /v1/feed`, `/v1/feed/held` and `/v1/subscriptions`: what there is for a participant, by cursor, as a long poll."""

import time
from typing import Annotated, Final
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Query, Response

from broker.deliver import page_bytes
from broker.http import openapi
from broker.http.auth import Authenticated, Caller, Served
from broker.http.query import EachOnce, FeedQuery
from broker.http.service import FeedPage, HeldNotice, Service, Subscription
from schemas.encoding import b64encode
from schemas.ids import Pattern
from schemas.strict_json import Json

router = APIRouter()

_WHY: Final = ("condition", "layer", "state", "instrument", "article", "reason")
"""What a participant is told of the condition that withholds a notice."""

_PAGE: Final = openapi.exactly(
    {"next": openapi.INTEGER, "size": openapi.INTEGER, "deliveries": openapi.listing(openapi.ref("Delivery"))}
)
_HELD: Final = openapi.exactly(
    {
        "held": openapi.listing(
            openapi.exactly(
                {
                    "notice_id": openapi.NOTICE_ID,
                    "index": openapi.INTEGER,
                    "sender": openapi.PARTICIPANT,
                    "topic": openapi.nullable({"type": "string"}),
                    "since": openapi.TIME,
                    "condition": {"type": "string"},
                    "layer": {"enum": ["network", "law", "originator"]},
                    "state": openapi.nullable({"type": "string"}),
                    "instrument": {"type": "string"},
                    "article": {"type": "string"},
                    "reason": {"type": "object", "additionalProperties": {"type": "string"}},
                }
            )
        )
    }
)
_SUBSCRIPTIONS: Final = openapi.exactly(
    {
        "subscriptions": openapi.listing(
            openapi.exactly(
                {
                    "participant": openapi.PARTICIPANT,
                    "pattern": {"type": "string"},
                    "index": openapi.INTEGER,
                    "statement": openapi.B64,
                    "proof": openapi.ref("Proof"),
                }
            )
        )
    }
)


@router.get(
    "/v1/feed",
    name="feed",
    operation_id="feed",
    summary="A page of the caller's feed",
    response_class=Response,
    dependencies=[EachOnce],
    responses=openapi.responses(
        {
            200: openapi.json_body(
                _PAGE,
                {"next": 4712, "size": 4720, "deliveries": [openapi.example("delivery")]},
                "Deliveries in the order of their offers, in the one encoding; `next` is the cursor to go on from.",
                {"Link": "The next page, rel=next."},
            )
        },
        *openapi.CALLER,
        "invalid-form",
        "storage-full",
    ),
    openapi_extra=openapi.SIGNED,
)
async def feed(query: Annotated[FeedQuery, Query()], caller: Caller, service: Served) -> Response:
    """Return what was offered to the caller after a cursor; wait for it where there is nothing yet."""
    page = await _page(query, caller, service)
    following = (
        f"/v1/feed?after={page.next}&wait={query.wait}&limit={query.limit}&topic={quote(query.topic, safe='*.')}"
    )
    headers = {"Link": f'<{following}>; rel="next"', "Cache-Control": "no-store"}
    return Response(page_bytes(page.next, page.size, page.deliveries), 200, headers, "application/json")


async def _page(query: FeedQuery, caller: Authenticated, service: Service) -> FeedPage:
    topic = Pattern(query.topic)
    until = time.monotonic() + query.wait
    page = await service.feed(caller.participant, query.after, query.limit, topic)
    while not page.deliveries and (left := until - time.monotonic()) > 0:
        await service.wait_checkpoint(page.size, left, caller.participant)
        if service.note_size <= page.size:
            break  # the time is over, or the service stops
        # The wait may have outlived the caller's key: what is revoked meanwhile gets nothing more.
        caller.demand_in_force(service)
        page = await service.feed(caller.participant, page.next, query.limit, topic)
    return page


@router.get(
    "/v1/feed/held",
    name="held",
    operation_id="held",
    summary="What a decision withholds from the caller",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.json_body(_HELD, {"held": [openapi.example("held")]}, "Notices that are withheld now, and why.")},
        *openapi.CALLER,
    ),
    openapi_extra=openapi.SIGNED,
)
async def held(caller: Caller, service: Served) -> Response:
    """Return what is held for the caller; it is offered again when the rules change."""
    items: list[Json] = [_held(item) for item in await service.held(caller.participant)]
    return Response(orjson.dumps({"held": items}), 200, {"Cache-Control": "no-store"}, "application/json")


def _held(item: HeldNotice) -> Json:
    why = orjson.loads(item.why)
    return {
        "notice_id": item.notice_id,
        "index": item.index,
        "sender": item.sender,
        "topic": item.topic,
        "since": item.since,
        **{name: why[name] for name in _WHY},
    }


@router.get(
    "/v1/subscriptions",
    name="subscriptions",
    operation_id="subscriptions",
    summary="Who subscribes to what",
    response_class=Response,
    responses=openapi.responses(
        {
            200: openapi.json_body(
                _SUBSCRIPTIONS,
                {"subscriptions": [openapi.example("subscription")]},
                "The folded subscriptions, each with the statement that made it and its proof.",
            )
        },
        *openapi.CALLER,
    ),
    openapi_extra=openapi.SIGNED,
)
async def subscriptions(_caller: Caller, service: Served) -> Response:
    """Return all subscriptions; they are open acts, and every gateway checks them against the log."""
    items = [_subscription(item) for item in await service.subscriptions()]
    body = orjson.dumps({"subscriptions": items})
    return Response(body, 200, {"Cache-Control": "no-store"}, "application/json")


def _subscription(item: Subscription) -> dict[str, object]:
    return {
        "participant": item.participant,
        "pattern": item.pattern,
        "index": item.index,
        "statement": b64encode(item.statement),
        "proof": orjson.Fragment(item.proof),
    }
