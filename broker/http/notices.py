"""`GET /v1/notices/{notice_id}` and `…/proof`: the caller's own share of a notice, and that it is in the log."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Response

from broker.http import openapi
from broker.http.auth import Caller, Served
from schemas import ids
from schemas.errors import Error, FormError
from schemas.ids import NoticeId

router = APIRouter()

NoticeAddress = Annotated[str, Path(json_schema_extra={"pattern": openapi.NOTICE_ID["pattern"]})]

# One address has another answer for each caller, and no cache knows by whom a request is signed.
_OWN: Final = {"Cache-Control": "no-store"}
_CODES: Final = (*openapi.CALLER, "not-found", "invalid-form")


def notice_address(text: str) -> NoticeId:
    """Read a notice id from an address; raise `FormError`."""
    try:
        return ids.notice_id(text)
    except FormError as error:
        raise FormError(error.detail, pointer="/path/notice_id") from None


@router.get(
    "/v1/notices/{notice_id}",
    name="notice",
    operation_id="notice",
    summary="The caller's delivery of a notice",
    response_class=Response,
    responses=openapi.responses(
        {
            200: openapi.json_body(
                openapi.ref("Delivery"), openapi.example("delivery"), "The delivery, in the one encoding."
            )
        },
        *_CODES,
    ),
    openapi_extra=openapi.SIGNED,
)
async def notice(notice_id: NoticeAddress, caller: Caller, service: Served) -> Response:
    """Return the caller's delivery: also the sender's own, for its records."""
    delivery = await service.delivery(caller.participant, notice_address(notice_id))
    if delivery is None:
        raise Error("There is no such notice, or nothing of it is for you.", problem="not-found")
    return Response(delivery, 200, _OWN, "application/json")


@router.get(
    "/v1/notices/{notice_id}/proof",
    name="proof",
    operation_id="proof",
    summary="The proof that a notice's leaf is in the log",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.bytes_body("text/plain", "A C2SP tlog-proof.", openapi.example("proof"))}, *_CODES
    ),
    openapi_extra=openapi.SIGNED,
)
async def proof(notice_id: NoticeAddress, caller: Caller, service: Served) -> Response:
    """Return a `.tlog-proof`, for the sender, whoever holds the notice, and auditors."""
    text = await service.proof_text(caller.participant, notice_address(notice_id))
    if text is None:
        raise Error("There is no such notice, or nothing of it is for you.", problem="not-found")
    return Response(text, 200, _OWN, "text/plain")
