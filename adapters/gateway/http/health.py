"""How the gateway is: for machines (`/livez`, `/readyz`) without a token, for people (`/v1/doctor`) with one."""

from fastapi import APIRouter, Response

from adapters.gateway.http import openapi
from adapters.gateway.http.auth import Caller, Served
from adapters.gateway.http.documents import AlarmDocument, CheckDocument, DoctorDocument, HealthDocument
from adapters.gateway.http.notices import reply

router = APIRouter()


@router.get(
    "/livez",
    operation_id="live",
    summary="Whether the process answers",
    response_class=Response,
    responses=openapi.responses({200: openapi.answer(HealthDocument, "It answers.")}, *openapi.ANY),
)
async def live() -> Response:
    """Say that the process answers."""
    return reply(HealthDocument(ready=True, reasons=()))


@router.get(
    "/readyz",
    operation_id="ready",
    summary="Whether the gateway serves",
    response_class=Response,
    responses=openapi.responses(
        {
            200: openapi.answer(HealthDocument, "It accepts notices; `reasons` says what it lacks."),
            503: openapi.answer(HealthDocument, "It does not; `reasons` says why."),
        },
        *openapi.CONNECTION,
    ),
)
async def ready(service: Served) -> Response:
    """Say whether notices are accepted. A broker that is away is no reason not to accept them."""
    found = service.readiness()
    return reply(HealthDocument.model_validate(found), 200 if found.ready else 503)


@router.get(
    "/v1/doctor",
    operation_id="doctor",
    summary="How the gateway is, step by step",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.answer(DoctorDocument, "What was looked at, and what to do.")}, *openapi.CALLER
    ),
    openapi_extra=openapi.SECURED,
)
async def doctor(_caller: Caller, service: Served) -> Response:
    """Look at every step from the keys to a receipt, and name the one that is missing."""
    checks = tuple(CheckDocument.model_validate(one) for one in await service.doctor())
    alarms = tuple(AlarmDocument.model_validate(one) for one in await service.alarms())
    well = all(check.state == "ok" for check in checks) and not any(alarm.over is None for alarm in alarms)
    return reply(DoctorDocument(well=well, checks=checks, alarms=alarms))
