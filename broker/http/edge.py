"""The outermost layer: it times every answer, and whatever escapes from below becomes a problem without particulars."""

import time
from collections.abc import Callable
from typing import Final
from uuid import uuid4

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.http import problems
from broker.http.body import Disconnected
from broker.telemetry import Telemetry

UNROUTED: Final = "none"
OPERATION: Final = "valise.operation"
"""Where a route leaves its name in the scope."""

_REQUEST_ID: Final = "valise.request"

log = structlog.get_logger("http")


class Edge:
    """Wrap an ASGI application for the metrics and for errors that nobody foresaw."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, clock: Callable[[], float] = time.perf_counter) -> None:
        self._app = app
        self._requests = telemetry.requests
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            raise RuntimeError("Only HTTP is served; lifespan and WebSocket are switched off.")
        status = 0
        began = self._clock()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Disconnected:
            return
        except Exception as error:  # noqa: BLE001 - the last place that can still answer
            self._report(scope, error)
            if not status:
                await problems.internal(request_id(scope))(scope, receive, sending)
        finally:
            if status:
                self._requests.labels(operation_of(scope), str(status)).observe(self._clock() - began)

    @staticmethod
    def _report(scope: Scope, error: Exception) -> None:
        """Log where it happened; the sentence of an unforeseen error may quote what must not be logged."""
        at = error.__traceback__
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        where = "unknown" if at is None else f"{at.tb_frame.f_code.co_name}:{at.tb_lineno}"
        log.error(
            "request.failed",
            request=request_id(scope),
            operation=operation_of(scope),
            error=type(error).__name__,
            line=where,
        )


def request_id(scope: Scope) -> str:
    """Return a request's id, which is made when it is first asked for."""
    if _REQUEST_ID not in scope:
        scope[_REQUEST_ID] = str(uuid4())
    return str(scope[_REQUEST_ID])


def operation_of(scope: Scope) -> str:
    """Return the name of the operation that the router chose, never the address that was asked for."""
    name = scope.get(OPERATION)
    if isinstance(name, str):
        return name
    route = scope.get("route")
    return str(getattr(route, "name", None) or UNROUTED)
