"""`/livez` and `/readyz`, and the metrics' application, which has a listener of its own."""

from typing import Final

import orjson
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import Receive, Scope, Send

from broker.http import openapi, problems
from broker.http.auth import Served
from broker.telemetry import Telemetry
from schemas.errors import Error

router = APIRouter()

_NO_STORE: Final = {"Cache-Control": "no-store"}
_LIVE: Final = openapi.exactly({"live": {"const": True}})
_READY: Final = openapi.exactly({"ready": {"const": True}})


@router.get(
    "/livez",
    name="livez",
    operation_id="livez",
    summary="Whether the process answers",
    response_class=Response,
    responses=openapi.responses({200: openapi.json_body(_LIVE, {"live": True}, "It does.")}),
)
async def livez() -> Response:
    """Answer."""
    return Response(orjson.dumps({"live": True}), 200, _NO_STORE, "application/json")


@router.get(
    "/readyz",
    name="readyz",
    operation_id="readyz",
    summary="Whether the broker can publish and serve",
    response_class=Response,
    responses=openapi.responses({200: openapi.json_body(_READY, {"ready": True}, "It can.")}),
)
async def readyz(service: Served) -> Response:
    """Say whether the broker is ready, or why it is not."""
    reasons = list(service.readiness())
    if reasons:
        return problems.problem(Error("The broker is not ready.", problem="unavailable"), {"reasons": list(reasons)})
    return Response(orjson.dumps({"ready": True}), 200, _NO_STORE, "application/json")


class MetricsApp:
    """Serve `GET /metrics` in Prometheus' text form, and nothing else."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._registry = telemetry.registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["path"] != "/metrics":
            response = problems.problem(Error("Only /metrics is served here.", problem="not-found"))
        elif scope["method"] != "GET":
            error = Error("Only GET is served here.", problem="method-not-allowed")
            response = problems.problem(error, headers={"Allow": "GET"})
        else:
            response = Response(generate_latest(self._registry), 200, _NO_STORE, CONTENT_TYPE_LATEST)
        await response(scope, receive, send)
