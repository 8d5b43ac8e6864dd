"""The reader's routes: what arrived, opened; and saying that it was read."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from adapters.gateway.http import body, openapi
from adapters.gateway.http.auth import Caller, Served
from adapters.gateway.http.documents import AcknowledgedDocument, InboxDocument, InboxItemDocument
from adapters.gateway.http.notices import NoticeIdPath, reply
from adapters.gateway.http.parameters import EachOnce, InboxQuery, missing
from adapters.gateway.http.service import Service
from adapters.gateway.request import AcknowledgeRequest
from schemas.ids import NoticeId, ParticipantId

router = APIRouter()

PREFIX: Final = "/v1/inbox"


@router.get(
    PREFIX,
    operation_id="listInbox",
    summary="What arrived",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.answer(InboxDocument, "A page in the order of arrival.")}, *openapi.CALLER, "invalid-form"
    ),
    openapi_extra=openapi.SECURED,
    dependencies=[EachOnce],
)
async def list_inbox(query: Annotated[InboxQuery, Query()], caller: Caller, service: Served) -> Response:
    """List notices that arrived for this participant, verified and opened."""
    found, cursor = await service.inbox(
        caller, after=query.after, limit=query.limit, unacknowledged=query.unacknowledged
    )
    return reply(InboxDocument(next=cursor, items=tuple(InboxItemDocument.model_validate(one) for one in found)))


@router.get(
    f"{PREFIX}/{{id:notice}}",
    operation_id="getInboxItem",
    summary="One notice that arrived",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.answer(InboxItemDocument, "The notice in clear.")}, *openapi.CALLER, "not-found"
    ),
    openapi_extra=openapi.SECURED,
)
async def one_item(id_: NoticeIdPath, caller: Caller, service: Served) -> Response:
    """Show one notice of the inbox."""
    return await item_reply(service, caller, NoticeId(id_))


async def item_reply(service: Service, caller: ParticipantId, notice_id: NoticeId) -> Response:
    """Answer with a notice of the inbox; raise `Error` where there is none."""
    found = await service.inbox_item(caller, notice_id)
    if found is None:
        raise missing()
    return reply(InboxItemDocument.model_validate(found))


@router.post(
    f"{PREFIX}/{{id:notice}}/acknowledge",
    operation_id="acknowledgeNotice",
    summary="Say that a notice was read",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.answer(InboxItemDocument, "The notice, acknowledged.")},
        *openapi.CALLER,
        "not-found",
        "storage-full",
    ),
    openapi_extra=openapi.SECURED,
)
async def acknowledge(id_: NoticeIdPath, caller: Caller, service: Served) -> Response:
    """Acknowledge a notice: its sender is told by a signed statement, one for all within the interval."""
    notice_id = NoticeId(id_)
    await service.acknowledge(caller, (notice_id,))
    return await item_reply(service, caller, notice_id)


@router.post(
    f"{PREFIX}/acknowledge",
    operation_id="acknowledgeNotices",
    summary="Say that several notices were read",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.answer(AcknowledgedDocument, "Which of them were not acknowledged before.")},
        *openapi.CALLER,
        *openapi.BODY,
        "storage-full",
    ),
    openapi_extra={**openapi.SECURED, **openapi.request_body("AcknowledgeRequest")},
)
async def acknowledge_all(request: Request, caller: Caller, service: Served) -> Response:
    """Acknowledge up to 1,000 notices at once; ids that the inbox does not have are passed over."""
    notices = AcknowledgeRequest.parse(await body.read(request)).notices
    return reply(AcknowledgedDocument(acknowledged=tuple(await service.acknowledge(caller, notices))))
