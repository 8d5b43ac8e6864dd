"""Problem documents (RFC 9457): the one form in which the gateway says no, also for what the framework refuses.

A problem says a stable code, what happened, what to do, and where; never a part of the input.
"""

from collections.abc import Mapping
from typing import Final

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from schemas.errors import Error, FormError
from schemas.problems import TYPE_PREFIX
from schemas.strict_json import Json

MEDIA_TYPE: Final = "application/problem+json"
CHALLENGE: Final = 'Bearer realm="valise gateway"'
RETRY_AFTER: Final = {429: "1", 503: "5", 507: "30"}
_FRAMEWORK: Final = {404: "not-found", 405: "method-not-allowed"}


def response(error: Error, *, extra: Mapping[str, Json] | None = None) -> Response:
    """Return the answer for an error; `extra` members stand after the standard ones."""
    body: dict[str, Json] = {
        "type": TYPE_PREFIX + error.code,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "hint": error.hint,
    }
    if error.pointer is not None:
        body["pointer"] = error.pointer
    if error.offset is not None:
        body["offset"] = error.offset
    headers = {"Cache-Control": "no-store"}
    if error.status in RETRY_AFTER:
        headers["Retry-After"] = RETRY_AFTER[error.status]
    if error.status == 401:
        headers["WWW-Authenticate"] = CHALLENGE
    return Response(orjson.dumps({**body, **(extra or {})}), error.status, headers, MEDIA_TYPE)


def of_framework(failure: HTTPException) -> Error:
    """Translate what the router refuses: no such address, or no such method there."""
    code = _FRAMEWORK.get(failure.status_code, "bad-request")
    detail = {404: "No such address.", 405: "This address does not serve this method."}
    return Error(detail.get(failure.status_code, "The request cannot be understood."), problem=code)


def of_parameters(failure: RequestValidationError) -> Error:
    """Translate a query parameter or header of the wrong form, without what it held."""
    first = failure.errors()[0]
    location = [str(step) for step in first["loc"][:2]]
    if first["type"] == "extra_forbidden":
        # The name is one that the caller made up.
        return FormError("There is a parameter that is not known here.", pointer=f"/{location[0]}")
    message = str(first["msg"]).removeprefix("Value error, ").removesuffix(".")
    return FormError(f"{message}.", pointer="/" + "/".join(location))
