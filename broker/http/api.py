"""The HTTP application: all routes over one service, as an ASGI application that answers nothing but its own forms.

Publishing goes by the framework; all else is FastAPI, whose own answers for refusals are replaced one by one.
"""

import json
from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from broker.http import (
    audit,
    batch,
    directory,
    feed,
    health,
    log,
    notices,
    openapi,
    own,
    problems,
    publish,
    resolve,
    stream,
)
from broker.http.batch import BatchEndpoint
from broker.http.edge import Edge, request_id
from broker.http.publish import PublishEndpoint
from broker.http.service import Service
from broker.resolve import Questions
from broker.telemetry import Telemetry
from schemas.errors import Error

ROUTERS: Final[tuple[APIRouter, ...]] = (
    notices.router,
    feed.router,
    stream.router,
    directory.router,
    log.router,
    audit.router,
    own.router,
    resolve.router,
    health.router,
)


def create_api(service: Service, telemetry: Telemetry) -> ASGIApp:
    """Return the application for a service, whose requests are counted and timed in `telemetry`."""
    app = create_app()
    app.state.service = service
    app.state.questions = Questions()
    described = json.dumps(describe(app)).encode()

    async def document() -> Response:
        return Response(described, media_type="application/json")

    app.add_api_route("/openapi.json", document, name="openapi", include_in_schema=False)
    endpoints = {
        "PUT": Route(publish.PATH, PublishEndpoint(service, telemetry), methods=["PUT"]),
        "POST": Route(batch.PATH, BatchEndpoint(service, telemetry), methods=["POST"]),
    }
    return Edge(_Front(endpoints, app), telemetry)


class _Front:
    """Publishing to its own routes, one a method; everything else to the framework.

    A `Router` would answer by itself, in plain text, for addresses that no pattern of its matches (line breaks in them).
    """

    def __init__(self, endpoints: Mapping[str, Route], otherwise: ASGIApp) -> None:
        self._endpoints = endpoints
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        endpoint = self._endpoints.get(scope["method"])
        if endpoint is not None:
            match, found = endpoint.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                await endpoint.handle(scope, receive, send)
                return
        await self._otherwise(scope, receive, send)


def describe(app: FastAPI) -> openapi.Node:
    """Return the OpenAPI document of what `create_app` has made, publishing included."""
    beside = ((publish.PATH, "PUT", publish.operation()), (batch.PATH, "POST", batch.operation()))
    return openapi.document(app, _ROUTES, beside)


def create_app() -> FastAPI:
    """Return the FastAPI part, with every handler that could produce another form than ours replaced."""
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(Error, _refused)
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(Exception, _unforeseen)
    return app


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Error)  # registered for these
    return problems.problem(error)


async def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # registered for these
    allowed = _allowed(request, error)
    if allowed and error.status_code == 404:
        # An address that publishing alone has: the router does not know it.
        error = HTTPException(405)
    found = problems.from_framework(error)
    return problems.problem(found, headers={"Allow": allowed} if found.status == 405 else None)


async def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # registered for these
    return problems.problem(problems.from_validation(error))


async def _unforeseen(request: Request, _error: Exception) -> Response:
    # `Edge` logs it when the framework has raised it again.
    return problems.internal(request_id(request.scope))


def _allowed(request: Request, error: HTTPException) -> str:
    """Return the methods that an address serves, publishing's among them, for the `Allow` header.

    The router that refused knows its own only, and so does each route.
    """
    methods = set((error.headers or {}).get("Allow", "").split(", ")) - {""}
    for route in (*_PUBLISH, *_ROUTES):
        if route.path_regex.match(request.scope["path"]):
            methods |= route.methods or set()
    return ", ".join(sorted(methods))


_PUBLISH: Final = (
    Route(publish.PATH, PublishEndpoint, methods=["PUT"]),
    Route(batch.PATH, BatchEndpoint, methods=["POST"]),
)
_ROUTES: Final = tuple(route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))
