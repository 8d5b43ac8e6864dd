"""The OpenAPI 3.1 document: every operation, every status that can come, an example for each body.

FastAPI makes the frame from its routes; publishing is two routes of its own, which bring their entries.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from broker.http import problems
from schemas.errors import Error
from schemas.limits import LIMITS
from schemas.problems import PROBLEMS, TYPE_PREFIX

Node = dict[str, Any]
"""A part of an OpenAPI document."""

ALWAYS: Final = ("bad-request", "request-timeout", "headers-too-large", "internal", "unavailable")
"""Problems that any request may meet: they come from the connection, or from nobody having foreseen it."""

CALLER: Final = ("unauthenticated", "forbidden", "clock-skew")
"""Problems that a call may meet that wants a signature."""

SIGNED: Final[Node] = {"security": [{"signature": [], "signatureInput": []}]}
"""What an operation says that wants an RFC 9421 signature."""

B64: Final[Node] = {"type": "string", "pattern": "^[A-Za-z0-9_-]+$", "description": "unpadded base64url"}
DIGEST: Final[Node] = {"type": "string", "pattern": "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"}
NOTICE_ID: Final[Node] = {
    "type": "string",
    "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
    "description": "UUIDv7 in lower case",
}
PARTICIPANT: Final[Node] = {
    "type": "string",
    "pattern": "^([a-z]{2}/[a-z0-9][a-z0-9-]*|int/[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*|audit/[a-z0-9][a-z0-9-]*)$",
}
INTEGER: Final[Node] = {"type": "integer", "minimum": 0, "maximum": LIMITS.integer}
TIME: Final[Node] = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}
JWS: Final[Node] = {"type": "string", "pattern": r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"}


def exactly(members: Mapping[str, Node], *, title: str | None = None, optional: tuple[str, ...] = ()) -> Node:
    """Return the schema of an object with exactly these members."""
    schema: Node = {
        "type": "object",
        "properties": dict(members),
        "required": [name for name in members if name not in optional],
        "additionalProperties": False,
    }
    return schema if title is None else {"title": title, **schema}


def listing(item: Node, **limits: int) -> Node:
    """Return the schema of a list."""
    return {"type": "array", "items": item, **limits}


def nullable(schema: Node) -> Node:
    """Return a schema that also takes null."""
    return {"anyOf": [schema, {"type": "null"}]}


def ref(name: str) -> Node:
    """Return a reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


@cache
def example(name: str) -> Any:
    """Return an example body: made with real keys by tests/api/make_examples.py, and parsed by the tests."""
    text = resources.files("broker.http").joinpath("examples.json").read_text(encoding="utf-8")
    return json.loads(text)[name]


def json_body(schema: Node, sample: Any, description: str, headers: Mapping[str, str] | None = None) -> Node:
    """Return a response of JSON; `headers` maps names to descriptions."""
    answer: Node = {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": sample}},
    }
    return _with_headers(answer, headers)


def bytes_body(media_type: str, description: str, sample: str, headers: Mapping[str, str] | None = None) -> Node:
    """Return a response of text or bytes."""
    schema = {"type": "string"} if media_type.startswith("text/") else {"type": "string", "format": "binary"}
    answer: Node = {"description": description, "content": {media_type: {"schema": schema, "example": sample}}}
    return _with_headers(answer, headers)


def _with_headers(answer: Node, headers: Mapping[str, str] | None) -> Node:
    if headers:
        answer["headers"] = {
            name: {"description": about, "schema": {"type": "string"}} for name, about in headers.items()
        }
    return answer


def responses(success: Mapping[int, Node], *codes: str) -> dict[int | str, Node]:
    """Return an operation's responses: what it answers, and one response a status for the problems it may meet."""
    by_status: dict[int, list[str]] = {}
    for code in (*codes, *ALWAYS):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    answers: dict[int | str, Node] = dict(success.items())
    for status, names in sorted(by_status.items()):
        answers[status] = _problem_response(status, names)
    return answers


def _problem_response(status: int, codes: list[str]) -> Node:
    examples = {
        code: {"summary": PROBLEMS[code].title, "value": json.loads(problems.document(sample(code)))} for code in codes
    }
    answer: Node = {
        "description": "; ".join(PROBLEMS[code].title for code in codes) + ".",
        "content": {problems.MEDIA_TYPE: {"schema": ref("Problem"), "examples": examples}},
    }
    if status in problems.RETRY_AFTER:
        return _with_headers(answer, {"Retry-After": "Seconds to wait before the same request may do better."})
    return answer


def sample(code: str) -> Error:
    """Return an error with this code, for an example."""
    return Error("What happened, in a sentence that quotes nothing.", problem=code)


_DENIED: Final = exactly(
    {
        "participant": PARTICIPANT,
        "condition": {"type": "string"},
        "layer": {"enum": ["network", "law", "originator"]},
        "state": nullable({"type": "string"}),
        "instrument": {"type": "string"},
        "article": {"type": "string"},
        "reason": {"type": "object", "additionalProperties": {"type": "string"}},
        "evaluated_by": {"type": "string"},
    }
)

COMPONENTS: Final[dict[str, Node]] = {
    "Problem": exactly(
        {
            "type": {"type": "string", "enum": [f"{TYPE_PREFIX}{code}" for code in PROBLEMS]},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string"},
            "hint": {"type": "string"},
            "pointer": {"type": "string", "description": "RFC 6901 pointer to the member or parameter"},
            "instance": {"type": "string", "pattern": "^urn:uuid:", "description": "the id of this failure in the log"},
            "offset": {"type": "integer", "minimum": 0, "description": "where in the input"},
            "refusal": {**JWS, "description": "the broker's signed refusal, where it is definite"},
            "denied": listing(_DENIED),
            "reasons": listing({"type": "string"}),
        },
        title="A problem document (RFC 9457)",
        optional=("pointer", "offset", "instance", "refusal", "denied", "reasons"),
    ),
    "Head": exactly(
        {
            "payload": B64,
            "signatures": listing(exactly({"protected": B64, "signature": B64}), minItems=2, maxItems=2),
        },
        title="A batch's signed head: a JWS JSON object",
    ),
    "Proof": exactly(
        {"index": INTEGER, "size": INTEGER, "path": listing(DIGEST, maxItems=64), "head": ref("Head")},
        title="How a statement hangs on a signed head",
    ),
    "StanzaHeader": exactly({"alg": {"const": "HPKE-9-KE"}, "kid": DIGEST, "ek": B64}),
    "Sealed": exactly(
        {
            "protected": B64,
            "recipients": listing(exactly({"header": ref("StanzaHeader"), "encrypted_key": B64}), minItems=1),
            "iv": B64,
            "ciphertext": B64,
            "tag": B64,
        },
        title="The sealed notice: a JWE in JSON form",
    ),
    "GrantedKeys": exactly(
        {"recipients": listing(exactly({"header": ref("StanzaHeader"), "encrypted_key": B64}), minItems=1)},
        title="A grant's new stanzas",
    ),
    "Envelope": exactly(
        {
            "statement": B64,
            "proof": ref("Proof"),
            "sealed": {"anyOf": [ref("Sealed"), ref("GrantedKeys"), {"type": "null"}]},
        },
        title="An envelope, in the one encoding (members in this order, nothing between them)",
    ),
    "Inclusion": exactly(
        {"received_at": INTEGER, "index": INTEGER, "size": INTEGER, "path": listing(DIGEST), "checkpoint": B64},
        title="That a leaf stands in the log",
    ),
    "Delivery": exactly(
        {
            "statement": B64,
            "proof": ref("Proof"),
            "sealed": exactly(
                {
                    "protected": B64,
                    "header": ref("StanzaHeader"),
                    "encrypted_key": B64,
                    "iv": B64,
                    "ciphertext": B64,
                    "tag": B64,
                }
            ),
            "recipient": exactly({"index": INTEGER, "size": INTEGER, "path": listing(DIGEST)}),
            "grant": nullable(exactly({"statement": B64, "proof": ref("Proof"), "inclusion": ref("Inclusion")})),
            "inclusion": ref("Inclusion"),
        },
        title="What one recipient gets of a notice",
    ),
    "Receipt": exactly({"receipt": {**JWS, "description": "the broker's signed receipt"}}),
    "PublishResult": {
        "title": "What became of one line of a batch",
        "anyOf": [
            exactly(
                {
                    "status": {"enum": [200, 201], "description": "201: published by this request; 200: it was before"},
                    "receipt": {**JWS, "description": "the broker's signed receipt"},
                }
            ),
            ref("Problem"),
        ],
    },
}

_SECURITY: Final[Node] = {
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "Signature",
        "description": "HTTP Message Signature (RFC 9421) by a request key in force, Ed25519.",
    },
    "signatureInput": {
        "type": "apiKey",
        "in": "header",
        "name": "Signature-Input",
        "description": "Covers @method, @authority, @path, @query, and content-digest where there is a body; `tag` is the log's origin, `created` at most 60 s old.",
    },
}


def document(app: FastAPI, routes: Sequence[APIRoute], beside: Sequence[tuple[str, str, Node]]) -> Node:
    """Return the whole document of an application that has these routes.

    `beside` are the routes that are not among them: path, method and operation of each.
    """
    found: Node = get_openapi(
        title="Valise broker",
        version="1",
        openapi_version="3.1.0",
        summary="A blind broker for signed, sealed notices between States.",
        description="Errors are RFC 9457 problems with stable types. Limits: a body 1 MiB, one of lines 32 MiB, 32 nested "
        "objects and lists.",
        routes=app.routes,
    )
    # FastAPI drops every null from what it was given, in examples too, and adds refusals that are never sent here.
    given = {route.operation_id: route for route in routes}
    for item in found["paths"].values():
        for operation in item.values():
            route = given[operation["operationId"]]
            operation["responses"] = {str(status): answer for status, answer in route.responses.items()}
            if (body := (route.openapi_extra or {}).get("requestBody")) is not None:
                operation["requestBody"] = body
    for path, method, operation in beside:
        found["paths"].setdefault(path, {})[method.lower()] = operation
    found["components"] = {"schemas": COMPONENTS, "securitySchemes": _SECURITY}
    found["paths"] = dict(sorted(found["paths"].items()))
    return found
