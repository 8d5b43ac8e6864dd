"""`GET /v1/audit/statements`: statements for auditors, by cursor, within their mandate; each access is itself recorded."""

from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Query, Response

from broker.http import openapi
from broker.http.auth import Caller, Served
from broker.http.query import EachOnce, PageQuery
from broker.http.service import AuditedStatement
from schemas.encoding import b64encode

router = APIRouter()

_PAGE: Final = openapi.exactly(
    {
        "next": openapi.INTEGER,
        "statements": openapi.listing(
            openapi.exactly(
                {
                    "index": openapi.INTEGER,
                    "leaf": openapi.B64,
                    "statement": openapi.B64,
                    "proof": openapi.ref("Proof"),
                    "body_digest": openapi.nullable(openapi.DIGEST),
                    "erased": {"type": "boolean"},
                }
            )
        ),
    }
)


@router.get(
    "/v1/audit/statements",
    name="audit_statements",
    operation_id="auditStatements",
    summary="Statements in the order of the ledger, for auditors",
    response_class=Response,
    dependencies=[EachOnce],
    responses=openapi.responses(
        {
            200: openapi.json_body(
                _PAGE,
                {"next": 4712, "statements": [openapi.example("audited")]},
                "Statements after the cursor; `next` is the cursor to go on from.",
            )
        },
        *openapi.CALLER,
        "invalid-form",
        "storage-full",
    ),
    openapi_extra=openapi.SIGNED,
)
async def statements(query: Annotated[PageQuery, Query()], caller: Caller, service: Served) -> Response:
    """Return a page of statements, never contents: an auditor of the network sees all, a State's what concerns it."""
    page = await service.audit_page(caller.participant, query.after, query.limit)
    body = orjson.dumps({"next": page.next, "statements": [_statement(item) for item in page.statements]})
    return Response(body, 200, {"Cache-Control": "no-store"}, "application/json")


def _statement(item: AuditedStatement) -> dict[str, object]:
    return {
        "index": item.index,
        "leaf": b64encode(item.leaf),
        "statement": b64encode(item.statement),
        "proof": orjson.Fragment(item.proof),
        "body_digest": None if item.body_digest is None else b64encode(item.body_digest),
        "erased": item.erased,
    }
