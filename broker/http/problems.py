"""Problem documents (RFC 9457): the one form in which this service says no, also for what the framework refuses.

A problem says a stable code, what happened, what to do about it, and where; never a part of the input. Signed refusals
and denied recipients are added by the publish route. Nothing here decides which problem it is.
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

# Seconds to wait before the same request may do better, by status.
RETRY_AFTER: Final = {429: "1", 503: "5", 507: "30"}

# RFC 9110 wants a challenge beside 401. The scheme is that of RFC 9421 signatures, which has no name in the registry.
CHALLENGE: Final = "Signature"

_BY_STATUS: Final = {
    404: ("not-found", "No such address, or nothing there for you."),
    405: ("method-not-allowed", "This address does not serve this method."),
    413: ("too-large", "The body is larger than its limit."),
    415: ("unsupported-media-type", "The body's type is not accepted here."),
}


def problem(
    error: Error, extra: Mapping[str, Json] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the response for an error; `extra` members stand after the standard ones."""
    status = error.status
    fields = dict(headers or {})
    if status in RETRY_AFTER:
        fields.setdefault("Retry-After", RETRY_AFTER[status])
    if status == 401:
        fields.setdefault("WWW-Authenticate", CHALLENGE)
    fields.setdefault("Cache-Control", "no-store")
    return Response(document(error, extra), status, fields, MEDIA_TYPE)


def document(error: Error, extra: Mapping[str, Json] | None = None) -> bytes:
    """Return the problem document of an error."""
    body: dict[str, Json] = {
        "type": f"{TYPE_PREFIX}{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "hint": error.hint,
    }
    if error.pointer is not None:
        body["pointer"] = error.pointer
    if error.offset is not None:
        body["offset"] = error.offset
    return orjson.dumps({**body, **(extra or {})})


def from_framework(error: HTTPException) -> Error:
    """Translate what the router refuses: no route, no such method, and what else it may come up with."""
    code, detail = _BY_STATUS.get(error.status_code, ("bad-request", "The request cannot be understood."))
    return Error(detail, problem=code)


def from_validation(error: RequestValidationError) -> FormError:
    """Translate a parameter of the wrong form: the pointer names it (`/query/after`), the input is left out."""
    first = error.errors()[0]
    location = [str(step) for step in first["loc"]]
    if first["type"] == "extra_forbidden":
        # The last step is a name that the caller made up.
        return FormError("There is a parameter that is not known here.", pointer=f"/{location[0]}")
    if first["type"] == "missing":
        return FormError("This parameter is required.", pointer="/" + "/".join(location))
    message = str(first["msg"]).removeprefix("Value error, ").removesuffix(".")
    return FormError(f"{message}.", pointer="/" + "/".join(location))


def internal(request_id: str) -> Response:
    """Return the response for what nobody foresaw: an id to look it up in the log by, and nothing about what it was."""
    error = Error("Something failed inside. It has been logged.", problem="internal")
    return problem(error, {"instance": f"urn:uuid:{request_id}"})
