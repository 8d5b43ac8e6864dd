"""The originator's routes: send, see what became of it, preview, recall, correct."""

from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from adapters.gateway.http import body, openapi
from adapters.gateway.http.auth import Caller, Served
from adapters.gateway.http.documents import (
    AcceptedDocument,
    Document,
    NoticeDocument,
    NoticesDocument,
    PreviewDocument,
    PublishedDocument,
)
from adapters.gateway.http.parameters import (
    EachOnce,
    IdempotencyKey,
    NoticesQuery,
    Prefer,
    PreviewQuery,
    missing,
    seconds_of,
)
from adapters.gateway.http.service import Service
from adapters.gateway.request import CorrectionRequest, NoticeRequest, RecallRequest
from adapters.gateway.status import Kept
from schemas.ids import NoticeId, ParticipantId, Pattern

router = APIRouter()

PREFIX: Final = "/v1/notices"
NoticeIdPath = Annotated[str, Path(alias="id", json_schema_extra=openapi.NOTICE_ID)]
_LOCATION: Final = {"Location": "Where the outcome is found."}
KEPT: Final = {
    201: openapi.answer(PublishedDocument, "Published while the caller waited.", headers=_LOCATION),
    202: openapi.answer(AcceptedDocument, "Kept durably; the outcome comes.", headers=_LOCATION),
}


def reply(document: Document, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a document as an answer."""
    fields = {"Cache-Control": "no-store", **(headers or {})}
    return Response(document.model_dump_json(), status, fields, "application/json")


async def kept_reply(service: Service, caller: ParticipantId, kept: Kept, prefer: str | None) -> Response:
    """Answer an accepted request: at once, or once the outcome is there and the caller waits for it."""
    seconds = seconds_of(prefer)
    if seconds:
        found = await service.wait_outcome(caller, kept.notice_id, seconds)
    else:
        found = await service.status(caller, kept.notice_id)
    if found is None:
        raise missing()
    href = f"{PREFIX}/{found.id}"
    headers = {"Location": href, **({"Preference-Applied": f"wait={seconds}"} if seconds else {})}
    if seconds and found.receipt is not None and found.index is not None:
        document = PublishedDocument(
            id=found.id, status=found.state, href=href, receipt=found.receipt, index=found.index
        )
        return reply(document, 201, headers)
    return reply(AcceptedDocument(id=found.id, status=found.state, href=href), 202, headers)


@router.post(
    PREFIX,
    operation_id="sendNotice",
    summary="Send a notice",
    response_class=Response,
    status_code=202,
    responses=openapi.responses(KEPT, *openapi.CALLER, *openapi.BODY, "idempotency-conflict", "storage-full"),
    openapi_extra={**openapi.SECURED, **openapi.request_body("NoticeRequest")},
)
async def send(
    request: Request, caller: Caller, service: Served, key: IdempotencyKey = None, prefer: Prefer = None
) -> Response:
    """Keep a notice durably: it is sealed, signed and sent as soon as the broker can be reached."""
    wanted = NoticeRequest.parse(await body.read(request))
    return await kept_reply(service, caller, await service.accept(caller, wanted, key), prefer)


@router.post(
    f"{PREFIX}/preview",
    operation_id="previewNotice",
    summary="Who would get it, who not, and why",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.answer(PreviewDocument, "The verdicts. Nothing was sent.")},
        *openapi.CALLER,
        *openapi.BODY,
        "enrolment",
    ),
    openapi_extra={**openapi.SECURED, **openapi.request_body("NoticeRequest")},
    dependencies=[EachOnce],
)
async def preview(
    query: Annotated[PreviewQuery, Query()], request: Request, caller: Caller, service: Served
) -> Response:
    """Decide as sending would, by what the gateway knows now, also with the broker away; say what would make it lawful."""
    wanted = NoticeRequest.parse(await body.read(request))
    pattern = None if query.pattern is None else Pattern(query.pattern)
    found = await service.preview(caller, wanted, states=query.states, pattern=pattern)
    return reply(PreviewDocument.model_validate(found))


@router.get(
    PREFIX,
    operation_id="listNotices",
    summary="What became of one's notices",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.answer(NoticesDocument, "A page in the order of acceptance.")}, *openapi.CALLER, "invalid-form"
    ),
    openapi_extra=openapi.SECURED,
    dependencies=[EachOnce],
)
async def list_notices(query: Annotated[NoticesQuery, Query()], caller: Caller, service: Served) -> Response:
    """List notices, corrections, recalls and subscriptions that were accepted from this participant."""
    found, cursor = await service.statuses(caller, after=query.after, limit=query.limit, state=query.status)
    shown = found if query.texts else [replace(one, notice=None) for one in found]
    notices = tuple(NoticeDocument.model_validate(one) for one in shown)
    return reply(NoticesDocument(next=cursor, notices=notices))


@router.get(
    f"{PREFIX}/{{id:notice}}",
    operation_id="getNotice",
    summary="What became of a notice",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.answer(NoticeDocument, "Its status, receipt and recipients.")}, *openapi.CALLER, "not-found"
    ),
    openapi_extra=openapi.SECURED,
)
async def one_notice(id_: NoticeIdPath, caller: Caller, service: Served) -> Response:
    """Show one notice by its id, or by any id that it was sealed under."""
    found = await service.status(caller, NoticeId(id_))
    if found is None:
        raise missing()
    return reply(NoticeDocument.model_validate(found))


@router.post(
    f"{PREFIX}/{{id:notice}}/recall",
    operation_id="recallNotice",
    summary="Take a notice back",
    response_class=Response,
    status_code=202,
    responses=openapi.responses(
        KEPT, *openapi.CALLER, *openapi.BODY, "not-found", "not-recallable", "idempotency-conflict", "storage-full"
    ),
    openapi_extra={**openapi.SECURED, **openapi.request_body("RecallRequest", required=False)},
)
async def recall(
    id_: NoticeIdPath,
    request: Request,
    caller: Caller,
    service: Served,
    key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Recall a published notice: whoever has it is told, the broker erases its body, statement and proof remain."""
    notice_id = NoticeId(id_)
    wanted = RecallRequest.parse(await body.read(request, optional=True) or b"{}")
    return await kept_reply(service, caller, await service.recall(caller, notice_id, wanted, key), prefer)


@router.post(
    f"{PREFIX}/{{id:notice}}/correct",
    operation_id="correctNotice",
    summary="Send a corrected text",
    response_class=Response,
    status_code=202,
    responses=openapi.responses(
        KEPT,
        *openapi.CALLER,
        *openapi.BODY,
        "not-found",
        "not-recallable",
        "idempotency-conflict",
        "storage-full",
    ),
    openapi_extra={**openapi.SECURED, **openapi.request_body("CorrectionRequest")},
)
async def correct(
    id_: NoticeIdPath,
    request: Request,
    caller: Caller,
    service: Served,
    key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Correct a published notice: the new text goes to everybody who has the old one."""
    notice_id = NoticeId(id_)
    wanted = CorrectionRequest.parse(await body.read(request))
    return await kept_reply(service, caller, await service.correct(caller, notice_id, wanted, key), prefer)
