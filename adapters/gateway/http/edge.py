"""The outermost layer: counts every answer, turns what nobody foresaw into a problem, serves metrics apart."""

from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.gateway.http import problems
from adapters.gateway.service import Gateway
from adapters.gateway.telemetry import Telemetry
from schemas.errors import Error

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_LOG: Final = structlog.get_logger("gateway")


class Edge:
    """Wrap the application for metrics and for errors that nobody foresaw."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._requests = telemetry.requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:  # noqa: BLE001 - the last place that can still answer
            # The sentence of an unforeseen error may quote a notice: the log gets its type and place alone.
            _LOG.error("request.failed", operation=_operation(scope), exc_info=True)
            if not status:
                error = Error("Something failed inside. It has been logged.", problem="internal")
                await problems.response(error)(scope, receive, sending)
        finally:
            self._requests.labels(_operation(scope), str(status)).inc()


class MetricsApp:
    """Serve `GET /metrics` in Prometheus' text form, and nothing else."""

    def __init__(self, gateway: Gateway, telemetry: Telemetry) -> None:
        self._gateway = gateway
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["path"] != "/metrics" or scope["method"] != "GET":
            await problems.response(Error("Only GET /metrics is served here.", problem="not-found"))(
                scope, receive, send
            )
            return
        text = self._telemetry.text(await self._gateway.stats())
        await Response(text, 200, {"Cache-Control": "no-store"}, METRICS_TYPE)(scope, receive, send)


def _operation(scope: Scope) -> str:
    """Return the name of the route that was chosen, never the address that was asked for."""
    return str(getattr(scope.get("route"), "operation_id", None) or "none")
