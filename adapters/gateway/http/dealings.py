"""What an originator and those who have its notices ask and answer each other, what is owed, and who stands in for whom."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from adapters.gateway.http import body, openapi
from adapters.gateway.http.auth import Caller, Served
from adapters.gateway.http.documents import (
    DelegationDocument,
    DelegationsDocument,
    DutiesDocument,
    DutyDocument,
    InboxItemDocument,
)
from adapters.gateway.http.inbox import PREFIX as INBOX
from adapters.gateway.http.inbox import item_reply
from adapters.gateway.http.notices import KEPT, NoticeIdPath, kept_reply, reply
from adapters.gateway.http.notices import PREFIX as NOTICES
from adapters.gateway.http.parameters import DutiesQuery, EachOnce, IdempotencyKey, Prefer
from adapters.gateway.http.service import Dealing
from adapters.gateway.request import (
    AskAccessRequest,
    AskUseRequest,
    ConsentRequest,
    DelegationRequest,
    DeleteRequest,
    GrantRequest,
    PermitRequest,
    RefuseRequest,
)
from adapters.gateway.status import Kept
from schemas.ids import NoticeId

router = APIRouter()

DELEGATIONS: Final = "/v1/delegations"


@dataclass(frozen=True, slots=True)
class _Act:
    """One act about a notice: where it is asked for, what it reads, and what does it."""

    path: str
    name: str
    summary: str
    doc: str
    request: type[Any]
    run: Callable[[Dealing], Callable[..., Awaitable[Kept]]]
    problems: tuple[str, ...]
    optional: bool = True


_ANSWER: Final = ("not-found", "not-answerable")
_ACTS: Final = (
    _Act(
        f"{NOTICES}/{{id:notice}}/ask-access",
        "askAccess",
        "Ask for access to a notice that one does not have",
        "Ask the sender of a notice for access: it grants or refuses, and the ledger shows both.",
        AskAccessRequest,
        lambda dealing: dealing.ask_access,
        ("not-found",),
        optional=False,
    ),
    _Act(
        f"{NOTICES}/{{id:notice}}/grant",
        "grantNotice",
        "Let others read one's own notice",
        "Grant an own published notice to further readers: they open the original ciphertext.",
        GrantRequest,
        lambda dealing: dealing.grant,
        ("not-found", "not-grantable"),
        optional=False,
    ),
    _Act(
        f"{INBOX}/{{id:notice}}/ask-use",
        "askUse",
        "Ask the originator to permit a use",
        "Ask to use a received notice in court, to pass it on, or for another use that needs permission.",
        AskUseRequest,
        lambda dealing: dealing.ask_use,
        _ANSWER,
        optional=False,
    ),
    _Act(
        f"{INBOX}/{{id:notice}}/grant",
        "grantAsked",
        "Grant what is asked for",
        "Grant the own notice that a question of the inbox is about, to who asks or to those it asks for.",
        GrantRequest,
        lambda dealing: dealing.grant_asked,
        (*_ANSWER, "not-grantable"),
    ),
    _Act(
        f"{INBOX}/{{id:notice}}/permit",
        "permitUse",
        "Permit the use that is asked for",
        "Permit the use that a question of the inbox asks for, perhaps for a time.",
        PermitRequest,
        lambda dealing: dealing.permit,
        _ANSWER,
    ),
    _Act(
        f"{INBOX}/{{id:notice}}/refuse",
        "refuseAsked",
        "Refuse what is asked for",
        "Refuse what a notice of the inbox asks for, with a reason.",
        RefuseRequest,
        lambda dealing: dealing.refuse,
        _ANSWER,
    ),
    _Act(
        f"{INBOX}/{{id:notice}}/consent",
        "consentTo",
        "Consent to what a thread's first notice asks for",
        "Consent, for a controlled delivery say, by a signed statement.",
        ConsentRequest,
        lambda dealing: dealing.consent,
        _ANSWER,
    ),
    _Act(
        f"{INBOX}/{{id:notice}}/withdraw",
        "withdrawConsent",
        "Take a consent back",
        "Withdraw a consent: this is never held up by anybody.",
        RefuseRequest,
        lambda dealing: dealing.withdraw,
        _ANSWER,
    ),
)


def _serve(act: _Act) -> None:
    """Serve one act: what comes back is followed like any notice that was sent."""

    async def answer(
        id_: NoticeIdPath,
        request: Request,
        caller: Caller,
        service: Served,
        key: IdempotencyKey = None,
        prefer: Prefer = None,
    ) -> Response:
        data = await body.read(request, optional=act.optional)
        wanted = act.request.parse(data or b"{}" if act.optional else data)
        kept = await act.run(service.dealings)(caller, NoticeId(id_), wanted, key)
        return await kept_reply(service, caller, kept, prefer)

    answer.__doc__ = act.doc
    router.post(
        act.path,
        operation_id=act.name,
        name=act.name,
        summary=act.summary,
        response_class=Response,
        status_code=202,
        responses=openapi.responses(
            KEPT, *openapi.CALLER, *openapi.BODY, *act.problems, "idempotency-conflict", "storage-full"
        ),
        openapi_extra={
            **openapi.SECURED,
            **openapi.request_body(act.request.__name__, required=not act.optional),
        },
    )(answer)


for _act in _ACTS:
    _serve(_act)


@router.post(
    f"{INBOX}/{{id:notice}}/delete",
    operation_id="deleteText",
    summary="Delete a received text and certify it",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.answer(InboxItemDocument, "What remains of it.")},
        *openapi.CALLER,
        *openapi.BODY,
        *_ANSWER,
        "storage-full",
    ),
    openapi_extra={**openapi.SECURED, **openapi.request_body("DeleteRequest", required=False)},
)
async def delete(id_: NoticeIdPath, request: Request, caller: Caller, service: Served) -> Response:
    """Delete the text here and now; a signed certificate goes to its sender."""
    notice_id = NoticeId(id_)
    wanted = DeleteRequest.parse(await body.read(request, optional=True) or b"{}")
    await service.dealings.delete(caller, notice_id, wanted)
    return await item_reply(service, caller, notice_id)


@router.get(
    "/v1/duties",
    operation_id="listDuties",
    summary="What is owed",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.answer(DutiesDocument, "What is owed for received notices, the nearest time first.")},
        *openapi.CALLER,
        "invalid-form",
    ),
    openapi_extra=openapi.SECURED,
    dependencies=[EachOnce],
)
async def list_duties(query: Annotated[DutiesQuery, Query()], caller: Caller, service: Served) -> Response:
    """List obligations and answers that are due, with their times."""
    found = await service.dealings.duties(caller, query.state)
    return reply(DutiesDocument(duties=tuple(DutyDocument.model_validate(one) for one in found)))


@router.get(
    DELEGATIONS,
    operation_id="listDelegations",
    summary="Who stands in for the focal point",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.answer(DelegationsDocument, "Now or later, by the ledger.")}, *openapi.CALLER
    ),
    openapi_extra=openapi.SECURED,
)
async def list_delegations(caller: Caller, service: Served) -> Response:
    """List who stands in for the focal point of the participant's State, and until when."""
    return reply(
        DelegationsDocument(
            delegations=tuple(
                DelegationDocument.model_validate({"by": one.by, **one.body.to_json(), "index": one.index})
                for one in service.dealings.delegations(caller)
            )
        )
    )


@router.post(
    DELEGATIONS,
    operation_id="delegate",
    summary="Have somebody stand in for the focal point",
    response_class=Response,
    status_code=202,
    responses=openapi.responses(KEPT, *openapi.CALLER, *openapi.BODY, "forbidden", "enrolment", "storage-full"),
    openapi_extra={**openapi.SECURED, **openapi.request_body("DelegationRequest")},
)
async def delegate(request: Request, caller: Caller, service: Served, prefer: Prefer = None) -> Response:
    """Delegate for a time by a signed open statement; it ends by itself. The same beginning again moves the end."""
    wanted = DelegationRequest.parse(await body.read(request))
    return await kept_reply(service, caller, await service.dealings.delegate(caller, wanted), prefer)
