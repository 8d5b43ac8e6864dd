"""`POST /v1/notices`: up to a hundred envelopes, one a line, in; as many results, one a line and in their order, out.

Each line stands alone and is answered as `PUT` would answer it; what is wrong with one is no other's business. Where
nothing can be decided now (429, 503, 507), lines that lie further behind are not tried, so that what is sent again keeps
its order. Lines are parsed by the examiner, not here. The format is that of spec/batches.md.
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from broker.answers import Answer, NotPublished
from broker.http import openapi, problems, publish
from broker.http.body import NDJSON, read_lines
from broker.http.edge import OPERATION
from broker.http.service import Service
from broker.telemetry import Telemetry
from schemas.errors import Error
from schemas.limits import LIMITS
from schemas.problems import PROBLEMS

PATH: Final = "/v1/notices"

ROOM: Final = 8 * LIMITS.batch
"""Bytes of batches that are in memory at once, from their arrival until they are answered."""


class BatchEndpoint:
    """Publish batches through a service, and count how each envelope went."""

    def __init__(self, service: Service, telemetry: Telemetry, room: int = ROOM) -> None:
        self._service = service
        self._publishes = telemetry.publishes
        self._left = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope[OPERATION] = "publish_many"
        held = 0

        def arrived(size: int) -> None:
            nonlocal held
            if size > self._left:
                raise Error("Too many batches are under way.", problem="unavailable")
            self._left -= size
            held += size

        try:
            response = self._answered(await self._service.publish_many(await read_lines(scope, receive, arrived)))
        except Error as error:
            self._publishes.labels(error.code).inc()
            response = problems.problem(error)
        finally:
            self._left += held
        await response(scope, receive, send)

    def _answered(self, answers: Sequence[Answer]) -> Response:
        lines, statuses = [], set()
        for answer in answers:
            if isinstance(answer, NotPublished):
                outcome, status = answer.error.code, answer.error.status
                lines.append(problems.document(answer.error, publish.members(answer)))
            else:
                outcome, status = ("created", 201) if answer.created else ("repeated", 200)
                lines.append(b'{"status":%d,"receipt":"%b"}' % (status, answer.receipt.encode("ascii")))
            self._publishes.labels(outcome).inc()
            statuses.add(status)
        later = [int(problems.RETRY_AFTER[status]) for status in statuses if status in problems.RETRY_AFTER]
        headers = {"Retry-After": str(max(later))} if later else None
        return Response(b"".join(line + b"\n" for line in lines), 200, headers, NDJSON)


def operation() -> openapi.Node:
    """Return the OpenAPI operation."""
    line = orjson.dumps(openapi.example("envelope")).decode()
    receipt = openapi.example("receipt")["receipt"]
    answers = openapi.responses(
        {
            200: {
                "description": "A result for each line, in the order of the lines.",
                "headers": {
                    "Retry-After": {
                        "description": "Seconds to wait before the lines that were answered 429, 503 or 507 may do better.",
                        "schema": {"type": "string"},
                    }
                },
                "content": {
                    NDJSON: {
                        "schema": {"type": "string", "description": "PublishResult, one a line"},
                        "x-line-schema": openapi.ref("PublishResult"),
                        "examples": _results(receipt),
                    }
                },
            }
        },
        *("malformed", "too-large", "unsupported-media-type"),
    )
    return {
        "operationId": "publishMany",
        "summary": "Publish envelopes, one a line",
        "description": _ABOUT,
        "requestBody": {
            "required": True,
            "content": {
                NDJSON: {
                    "schema": {"type": "string", "description": "Envelope, one a line"},
                    "x-line-schema": openapi.ref("Envelope"),
                    "example": f"{line}\n",
                }
            },
        },
        "responses": {str(status): answer for status, answer in answers.items()},
    }


def _results(receipt: str) -> dict[str, openapi.Node]:
    """Return an example of every result that a line may have."""
    made: dict[str, openapi.Node] = {}
    for status, summary in ((201, "Published"), (200, "Published before")):
        made[summary] = _example(summary, {"status": status, "receipt": receipt})
    for code in publish.PROBLEMS_OF_ONE:
        extra: dict[str, Any] = {}
        if code in publish.WITH_NAMES:
            extra = {"refusal": receipt, "denied": [openapi.example("denied")]}
        result = {**orjson.loads(problems.document(openapi.sample(code))), **extra}
        made[code] = _example(PROBLEMS[code].title, result)
    return made


def _example(summary: str, result: openapi.Node) -> openapi.Node:
    return {"summary": summary, "value": orjson.dumps(result).decode() + "\n"}


_ABOUT: Final = (
    f"At most {LIMITS.batch_lines} lines of at most 1 MiB each, at most 32 MiB together; the last newline may be missing. "
    "Each line is an envelope in the one encoding and stands alone: its result is what `PUT` answers to it, a receipt with "
    "its status or a problem document. Send the same lines again until each is answered. Statements count against the "
    "quota, not requests. Where a line is answered 429, 503 or 507, lines behind it may be answered 503 without having "
    "been tried."
)
