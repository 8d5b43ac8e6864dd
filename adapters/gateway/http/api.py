"""The HTTP application: all routes over one gateway, answering in no other forms than its own."""

import json
from functools import cache
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from adapters.gateway.http import (
    dealings,
    documents,
    health,
    imports,
    inbox,
    inbox_stream,
    notices,
    openapi,
    problems,
    subscriptions,
)
from adapters.gateway.http.service import Service
from adapters.gateway.subscribing import NotAllowedError
from adapters.gateway.tokens import Tokens
from schemas.errors import Error

ROUTERS: Final[tuple[APIRouter, ...]] = (
    notices.router,
    inbox.router,
    inbox_stream.router,
    dealings.router,
    subscriptions.router,
    imports.router,
    health.router,
)
MODELS: Final[tuple[type[BaseModel], ...]] = (
    documents.ProblemDocument,
    documents.AcceptedDocument,
    documents.PublishedDocument,
    documents.NoticeDocument,
    documents.NoticesDocument,
    documents.PreviewDocument,
    documents.InboxItemDocument,
    documents.InboxDocument,
    documents.SubscriptionsDocument,
    documents.AcknowledgedDocument,
    documents.DutiesDocument,
    documents.DelegationsDocument,
    documents.ImportDocument,
    documents.DoctorDocument,
    documents.HealthDocument,
)


def create_api(service: Service, tokens: Tokens) -> FastAPI:
    """Return the application for a gateway and its tokens."""
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Where it finds an OpenTelemetry library, FastAPI would report requests by itself.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.service = service
    app.state.tokens = tokens
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(Error, _refused)
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unforeseen)
    app.add_api_route("/openapi.json", _document, name="openapi", include_in_schema=False)
    return app


@cache
def described() -> bytes:
    """Return the OpenAPI document's bytes; they are the same for every gateway of this version."""
    frame = FastAPI(openapi_url=None)
    for router in ROUTERS:
        frame.include_router(router)
    return json.dumps(openapi.document(frame, ROUTERS, MODELS)).encode()


async def _document() -> Response:
    return Response(described(), media_type="application/json")


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Error)  # registered for these
    denied = error.denied if isinstance(error, NotAllowedError) else ()
    return problems.response(error, extra={"denied": [item.to_json() for item in denied]} if denied else None)


async def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # registered for these
    answer = problems.response(problems.of_framework(error))
    if error.status_code == 405:
        answer.headers["Allow"] = _allowed(request)
    return answer


async def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # registered for these
    return problems.response(problems.of_parameters(error))


async def _gone(_request: Request, _error: Exception) -> Response:
    # Nobody is left to read this.
    return problems.response(Error("The body did not arrive.", problem="request-timeout"))


async def _unforeseen(_request: Request, _error: Exception) -> Response:
    # `Edge` logs it when the framework has raised it again.
    return problems.response(Error("Something failed inside. It has been logged.", problem="internal"))


def _allowed(request: Request) -> str:
    """Return the methods that an address serves, for the `Allow` header (RFC 9110 section 15.5.6)."""
    methods: set[str] = set()
    for route in (route for router in ROUTERS for route in router.routes):
        if isinstance(route, Route) and route.path_regex.match(request.scope["path"]):
            methods |= route.methods or set()
    return ", ".join(sorted(methods))
