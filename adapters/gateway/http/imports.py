"""Tables in: each row of a CSV file becomes a notice, and what could not be read is reported row by row."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from adapters.gateway.http import body, openapi
from adapters.gateway.http.auth import Caller, Served
from adapters.gateway.http.documents import ImportDocument
from adapters.gateway.http.notices import reply
from adapters.gateway.http.parameters import EachOnce, ImportQuery
from schemas.errors import FormError
from schemas.limits import LIMITS

router = APIRouter()

_TABLE: Final = (
    "REGION;SUBREGION;COUNTRY;ADMINISTRATIVE_DIVISION;PLACE;SEIZURE_DATE;DRUG_NAME;AMOUNT;DRUG_UNIT;HIDING_PLACE;"
    "INSTALLATION;TRANSPORT;PRODUCING_COUNTRY;DEPARTURE_COUNTRY;DESTINATION_COUNTRY;ROUTING\n"
    "Asia;;Kazakhstan;;Almaty;2014-03-02;Heroin;1.5;Kilogram;;Road;;;;;\n"
)
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string", "format": "binary"}, "example": _TABLE},
            "application/gzip": {"schema": {"type": "string", "format": "binary"}, "example": "(gzip of such a table)"},
        },
    }
}


@router.post(
    "/v1/imports",
    operation_id="importTable",
    summary="Import a table of seizures",
    response_class=Response,
    status_code=202,
    responses=openapi.responses(
        {
            200: openapi.answer(ImportDocument, "What would be imported; nothing was sent."),
            202: openapi.answer(ImportDocument, "What was imported; the notices are kept and on their way."),
        },
        *openapi.CALLER,
        *("invalid-form", "too-large", "unsupported-media-type", "import"),
        "storage-full",
    ),
    openapi_extra={**openapi.SECURED, **_BODY},
    dependencies=[EachOnce],
)
async def import_table(
    query: Annotated[ImportQuery, Query()], request: Request, caller: Caller, service: Served
) -> Response:
    """Import a table, plain or gzip: the same file again makes nothing new."""
    data = await body.read(request, types=body.TABLES, limit=LIMITS.import_file, seconds=body.UPLOAD_SECONDS)
    name = _name(query.name, request.headers["content-type"])
    report = await service.import_table(caller, data, name, dry_run=query.dry_run, routes=query.routes)
    return reply(ImportDocument.model_validate(report), 200 if query.dry_run else 202)


def _name(given: str | None, kind: str) -> str:
    """Return the file's name, which says how it is read; raise `FormError` where the body's type says otherwise."""
    packed = kind.partition(";")[0].strip().lower() != "text/csv"
    name = given if given is not None else "table.csv.gz" if packed else "table.csv"
    if name.lower().endswith(".gz") is not packed:
        raise FormError("Must end with .csv for text/csv, with .csv.gz for application/gzip.", pointer="/query/name")
    return name
