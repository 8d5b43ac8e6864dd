"""`GET /v1/statements`: what the caller itself has said, by whichever of its gateways, as it was published.

A participant may have several gateways, each with a signing identity of its own. A feed leaves out what its reader has sent;
here one gateway learns what another one has said for both: whole envelopes, whose recipients their sender may know.
"""

from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Query, Response

from broker.http import openapi
from broker.http.auth import Caller, Served
from broker.http.query import EachOnce, PageQuery

router = APIRouter()

_PAGE: Final = openapi.exactly(
    {
        "next": openapi.INTEGER,
        "statements": openapi.listing(
            openapi.exactly(
                {"index": openapi.INTEGER, "received_at": openapi.INTEGER, "envelope": openapi.ref("Envelope")}
            )
        ),
    }
)


@router.get(
    "/v1/statements",
    name="own_statements",
    operation_id="ownStatements",
    summary="What the caller itself has published",
    response_class=Response,
    dependencies=[EachOnce],
    responses=openapi.responses(
        {
            200: openapi.json_body(
                _PAGE,
                {
                    "next": 4712,
                    "statements": [
                        {"index": 4711, "received_at": 1790000000000, "envelope": openapi.example("envelope")}
                    ],
                },
                "Sealed envelopes of the caller's after the cursor, without those that are erased; `next` is the cursor to go on from.",
            )
        },
        *openapi.CALLER,
        "invalid-form",
    ),
    openapi_extra=openapi.SIGNED,
)
async def statements(query: Annotated[PageQuery, Query()], caller: Caller, service: Served) -> Response:
    """Return a page of the caller's own statements, in the order of the ledger."""
    page = await service.own_page(caller.participant, query.after, query.limit)
    found = [
        {"index": item.index, "received_at": item.received_at, "envelope": orjson.Fragment(item.envelope)}
        for item in page.statements
    ]
    body = orjson.dumps({"next": page.next, "statements": found})
    return Response(body, 200, {"Cache-Control": "no-store"}, "application/json")
