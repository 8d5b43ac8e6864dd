"""`PUT /v1/notices/{notice_id}`: an envelope in, a receipt out. A bare ASGI endpoint, for this is the path that must be fast.

The envelope authenticates itself, so no request signature is asked for. Its OpenAPI entry stands below, beside the code.
"""

from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from broker.answers import NotPublished
from broker.http import openapi, problems
from broker.http.body import read_body
from broker.http.edge import OPERATION
from broker.http.service import Service
from broker.publish import Denied
from broker.telemetry import Telemetry
from schemas import ids
from schemas.errors import Error, FormError
from schemas.strict_json import Json

PATH: Final = "/v1/notices/{notice_id}"

PROBLEMS_OF_ONE: Final = (
    *("malformed", "invalid-form", "too-large"),
    *("unknown-key", "revoked-key", "wrong-origin", "unverified", "conflict", "clock-skew", "expired", "fork"),
    *("act-not-served", "act-refused", "recipients", "denied", "no-profile", "copy-lacking"),
    *("rate-limited", "storage-full", "unavailable"),
)
"""What may be said of one envelope, in whichever way it came."""

WITH_NAMES: Final = ("denied", "copy-lacking")
"""Of these, problems name participants and conditions."""


class PublishEndpoint:
    """Publish envelopes through a service, and count how it went."""

    def __init__(self, service: Service, telemetry: Telemetry) -> None:
        self._service = service
        self._publishes = telemetry.publishes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope[OPERATION] = "publish"
        try:
            response = await self._publish(scope, receive)
        except Error as error:
            self._publishes.labels(error.code).inc()
            response = problems.problem(error)
        await response(scope, receive, send)

    async def _publish(self, scope: Scope, receive: Receive) -> Response:
        try:
            notice_id = ids.notice_id(scope["path_params"]["notice_id"])
        except FormError as error:
            raise FormError(error.detail, pointer="/path/notice_id") from None
        data = await read_body(scope, receive)
        answer = await self._service.publish(notice_id, data)
        if isinstance(answer, NotPublished):
            self._publishes.labels(answer.error.code).inc()
            return refused(answer)
        self._publishes.labels("created" if answer.created else "repeated").inc()
        body = b'{"receipt":"%b"}' % answer.receipt.encode("ascii")
        return Response(body, 201 if answer.created else 200, media_type="application/json")


def refused(answer: NotPublished) -> Response:
    """Return the problem for a statement that was not published."""
    return problems.problem(answer.error, members(answer))


def members(answer: NotPublished) -> dict[str, Json]:
    """Return what its problem document says beside the usual: the signed refusal where it is definite, and the denied."""
    extra: dict[str, Json] = {}
    if answer.refusal is not None:
        extra["refusal"] = answer.refusal
    if answer.denied:
        extra["denied"] = [_denied(item) for item in sorted(answer.denied, key=lambda item: item.participant)]
    return extra


def _denied(item: Denied) -> Json:
    why = item.why
    return {
        "participant": item.participant,
        "condition": why.condition,
        "layer": why.layer,
        "state": why.state,
        "instrument": why.instrument,
        "article": why.article,
        "reason": dict(why.reason),
        "evaluated_by": why.evaluated_by,
    }


def operation() -> openapi.Node:
    """Return the OpenAPI operation."""
    sample = openapi.example("envelope")
    receipt = openapi.example("receipt")
    answers = openapi.responses(
        {
            201: openapi.json_body(
                openapi.ref("Receipt"), receipt, "Published: the statement's leaf is in the ledger."
            ),
            200: openapi.json_body(openapi.ref("Receipt"), receipt, "This very statement was published before."),
        },
        "unsupported-media-type",
        *(code for code in PROBLEMS_OF_ONE if code not in openapi.ALWAYS),
    )
    for code in WITH_NAMES:
        value = answers[422]["content"][problems.MEDIA_TYPE]["examples"][code]["value"]
        value |= {"refusal": receipt["receipt"], "denied": [openapi.example("denied")]}
    return {
        "operationId": "publish",
        "summary": "Publish an envelope",
        "description": _ABOUT,
        "parameters": [{"name": "notice_id", "in": "path", "required": True, "schema": openapi.NOTICE_ID}],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": openapi.ref("Envelope"), "example": sample}},
        },
        "responses": {str(status): answer for status, answer in answers.items()},
    }


_ABOUT: Final = (
    "Naturally idempotent: send the same bytes again until they are answered. The notice id in the address must be the "
    "statement's. Of a definite refusal the broker signs a record (`refusal`); denied recipients are listed to the "
    "sender only (`denied`), and so are, of `copy-lacking`, the focal points that a law obliges to give a copy."
)
