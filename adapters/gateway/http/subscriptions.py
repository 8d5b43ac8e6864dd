"""Which topics the participant receives: set, ended and listed as the ledger has them."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from adapters.gateway.http import body, openapi
from adapters.gateway.http.auth import Caller, Served
from adapters.gateway.http.documents import SubscriptionDocument, SubscriptionsDocument
from adapters.gateway.http.notices import reply
from adapters.gateway.http.service import Service
from adapters.gateway.request import PatternsRequest
from schemas import ids
from schemas.errors import Error, FormError
from schemas.ids import ParticipantId

router = APIRouter()

PREFIX: Final = "/v1/subscriptions"
_SUCCESS: Final = {200: openapi.answer(SubscriptionsDocument, "What is subscribed; null where it is on its way.")}


async def _now(service: Service, caller: ParticipantId) -> Response:
    found = sorted(await service.subscriptions(caller), key=lambda one: one.pattern)
    documents = tuple(SubscriptionDocument.model_validate(one) for one in found)
    return reply(SubscriptionsDocument(subscriptions=documents))


@router.get(
    PREFIX,
    operation_id="listSubscriptions",
    summary="What is subscribed",
    response_class=Response,
    responses=openapi.responses(_SUCCESS, *openapi.CALLER),
    openapi_extra=openapi.SECURED,
)
async def list_subscriptions(caller: Caller, service: Served) -> Response:
    """List the participant's subscriptions."""
    return await _now(service, caller)


@router.put(
    PREFIX,
    operation_id="setSubscriptions",
    summary="Subscribe to these topics and no others",
    response_class=Response,
    responses=openapi.responses(_SUCCESS, *openapi.CALLER, *openapi.BODY, "denied", "no-profile", "storage-full"),
    openapi_extra={**openapi.SECURED, **openapi.request_body("PatternsRequest")},
)
async def set_subscriptions(request: Request, caller: Caller, service: Served) -> Response:
    """Say by signed statements which topics are subscribed from now on."""
    await service.subscribe(caller, PatternsRequest.parse(await body.read(request)).patterns)
    return await _now(service, caller)


@router.delete(
    f"{PREFIX}/{{pattern}}",
    operation_id="endSubscription",
    summary="End a subscription",
    response_class=Response,
    responses=openapi.responses(_SUCCESS, *openapi.CALLER, "not-found", "storage-full"),
    openapi_extra=openapi.SECURED,
)
async def end_subscription(
    text: Annotated[str, Path(alias="pattern", json_schema_extra=openapi.PATTERN)],
    caller: Caller,
    service: Served,
) -> Response:
    """End one subscription by a signed statement."""
    try:
        pattern = ids.pattern(text)
    except FormError:
        raise _missing() from None
    if await service.unsubscribe(caller, pattern) is None:
        raise _missing()
    return await _now(service, caller)


def _missing() -> Error:
    return Error("There is no subscription to this pattern.", problem="not-found")
