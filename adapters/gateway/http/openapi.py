"""The OpenAPI 3.1 document: every operation, every status that can come, an example for each body.

Schemas of answers come from `documents`, those of notices from `schemas.notice`; those of requests stand here, for they
say more than a model can. FastAPI makes the frame from its routes.
"""

import json
import re
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel

from adapters.gateway.http import problems
from adapters.gateway.http.examples import EXAMPLES
from schemas.errors import Error
from schemas.notice import KINDS, json_schema
from schemas.problems import PROBLEMS

Node = dict[str, Any]
"""A part of an OpenAPI document."""

CONNECTION: Final = ("bad-request", "request-timeout", "headers-too-large", "internal")
"""Problems that any request may meet: they come from the connection, or from nobody having foreseen it."""

ANY: Final = (*CONNECTION, "unavailable")
"""Those, and a gateway that cannot answer now."""

CALLER: Final = ("unauthenticated", *ANY)
"""Problems of every call that needs a token."""

BODY: Final = ("malformed", "invalid-form", "too-large", "unsupported-media-type")
"""Problems of every call that reads a body."""

SECURED: Final[Node] = {"security": [{"token": []}]}
NOTICE_ID: Final[Node] = {
    "type": "string",
    "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
    "description": "UUIDv7 in lower case",
}
CODE: Final[Node] = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$", "maxLength": 64}
PARTICIPANT: Final[Node] = {
    "type": "string",
    "pattern": "^([a-z]{2}/[a-z0-9][a-z0-9-]*|int/[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*|audit/[a-z0-9][a-z0-9-]*)$",
    "maxLength": 200,
}
TOPIC: Final[Node] = {
    "type": "string",
    "pattern": r"^[a-z0-9][a-z0-9-]*\.[a-z0-9][a-z0-9-]*$",
    "maxLength": 130,
    "description": "region.theme",
}
PATTERN: Final[Node] = {
    "type": "string",
    "pattern": r"^(\*|[a-z0-9][a-z0-9-]*)\.(\*|[a-z0-9][a-z0-9-]*)$",
    "maxLength": 130,
    "description": "region.theme, where * may stand for a half",
}
TIME: Final[Node] = {
    "type": "string",
    "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$",
    "description": "a calendar time in UTC (days 29 to 31 too, where the month has them)",
}


def _or_null(schema: Node) -> Node:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: Mapping[str, Node], required: tuple[str, ...], description: str) -> Node:
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: Node, most: int) -> Node:
    return {"type": "array", "items": items, "maxItems": most}


_LABEL: Final = _object(
    {
        "tlp": _or_null(CODE),
        "pap": _or_null(CODE),
        "handling": _or_null(_list(CODE, 64)),
        "urgency": _or_null(CODE),
        "purpose": _or_null(CODE),
        "legal_basis": _or_null(CODE),
        "classification": _or_null(CODE),
        "reply_due": _or_null(TIME),
        "exercise": {"type": "boolean", "default": False},
        "conditions": _list(
            _object({"code": CODE, "values": _list(CODE, 256)}, ("code",), "A handling condition of the originator."),
            64,
        ),
    },
    (),
    "The label as far as it is not the participant's default.",
)
_CORRECTION: Final[Mapping[str, Node]] = {
    "notice": {"$ref": "#/components/schemas/Notice"},
    "label": {"$ref": "#/components/schemas/LabelRequest"},
    "expires_at": _or_null(TIME),
}
_TEXT: Final = _or_null({"type": "string", "minLength": 1, "maxLength": 2000})
_CLOCK: Final[Mapping[str, Node]] = {"text": _TEXT, "urgency": _or_null(CODE), "reply_due": _or_null(TIME)}
REQUESTS: Final[Mapping[str, Node]] = {
    "LabelRequest": _LABEL,
    "CorrectionRequest": _object(_CORRECTION, ("notice",), "A corrected text; the topic stays."),
    "NoticeRequest": _object(
        {
            "topic": TOPIC,
            **_CORRECTION,
            "to": _list(PARTICIPANT, 1000),
            "ref": _or_null(NOTICE_ID),
            "sanitise": {
                "type": "boolean",
                "default": False,
                "description": "Send a copy without the nominal part to those who may have the notice only so.",
            },
        },
        ("topic", "notice"),
        "A notice to send, to the subscribers of its topic and to those named in `to`.",
    ),
    "RecallRequest": _object(
        {"reason": CODE, "text": _or_null({"type": "string", "minLength": 1, "maxLength": 2000})},
        (),
        "Why a notice is taken back.",
    ),
    "AcknowledgeRequest": _object(
        {"notices": {**_list(NOTICE_ID, 1000), "minItems": 1}}, ("notices",), "Notices of the inbox that were read."
    ),
    "AskAccessRequest": _object(
        {"sender": PARTICIPANT, "topic": TOPIC, "thread": _or_null(NOTICE_ID), **_CLOCK},
        ("sender", "topic"),
        "Whose notice it is, on which topic; its thread where it did not begin one.",
    ),
    "AskUseRequest": _object(
        {"use": CODE, "for": _list(PARTICIPANT, 100), **_CLOCK},
        ("use",),
        "For which use, a code of the list `uses`; `for` are those to whom it is to be passed on.",
    ),
    "GrantRequest": _object(
        {"to": _list(PARTICIPANT, 100)},
        (),
        "Who is to be able to read it; in answer to a question nobody need be named.",
    ),
    "PermitRequest": _object({"until": _or_null(TIME), "text": _TEXT}, (), "Until when a use is permitted."),
    "ConsentRequest": _object({"until": _or_null(TIME), "text": _TEXT}, (), "Until when one consents."),
    "RefuseRequest": _object({"reason": CODE, "text": _TEXT}, (), "Why not."),
    "DeleteRequest": _object({"reason": CODE, "text": _TEXT}, (), "Why a text is deleted here."),
    "DelegationRequest": _object(
        {"to": PARTICIPANT, "from": TIME, "until": TIME},
        ("to", "from", "until"),
        "Who stands in for the focal point, from when until when.",
    ),
    "PatternsRequest": _object({"patterns": _list(PATTERN, 256)}, ("patterns",), "All patterns from now on."),
}


def request_body(name: str, *, required: bool = True) -> Node:
    """Return the part of an operation that says which JSON it reads."""
    schema: Node = {"$ref": f"#/components/schemas/{name}"}
    return {
        "requestBody": {
            "required": required,
            "content": {"application/json": {"schema": schema, "example": EXAMPLES[name]}},
        }
    }


def answer(model: type[BaseModel], description: str, *, headers: Mapping[str, str] | None = None) -> Node:
    """Return a response that is a document; `headers` maps names to descriptions."""
    schema: Node = {"$ref": f"#/components/schemas/{model.__name__}"}
    content = {"application/json": {"schema": schema, "example": EXAMPLES[model.__name__]}}
    return {"description": description, "content": content, **_headers(headers or {})}


def responses(success: Mapping[int, Node], *codes: str) -> dict[int | str, Node]:
    """Return an operation's responses: what it answers, and one response a status for the problems that it may meet."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    refused = {status: _problem(status, names) for status, names in sorted(by_status.items())}
    return dict(chain(success.items(), refused.items()))


def _problem(status: int, codes: list[str]) -> Node:
    examples = {}
    for code in codes:
        error = Error("What happened, in a sentence that quotes nothing.", problem=code)
        examples[code] = {
            "summary": PROBLEMS[code].title,
            "value": json.loads(bytes(problems.response(error).body)),
        }
    schema: Node = {"$ref": "#/components/schemas/ProblemDocument"}
    headers = {"WWW-Authenticate": "Which scheme to use."} if status == 401 else {}
    if status in problems.RETRY_AFTER:
        headers = {"Retry-After": "Seconds to wait before the same request may do better."}
    return {
        "description": "; ".join(PROBLEMS[code].title for code in codes) + ".",
        "content": {problems.MEDIA_TYPE: {"schema": schema, "examples": examples}},
        **_headers(headers),
    }


def _headers(headers: Mapping[str, str]) -> Node:
    if not headers:
        return {}
    return {"headers": {name: {"description": about, "schema": {"type": "string"}} for name, about in headers.items()}}


def document(app: FastAPI, routers: Iterable[APIRouter], models: Iterable[type[BaseModel]]) -> Node:
    """Return the whole document for an application, its routers and the models of its answers."""
    found: Node = get_openapi(
        title="Valise gateway",
        version="1",
        openapi_version="3.1.0",
        summary="Plain notices in, plain notices out: the gateway seals, signs, sends, receives and opens.",
        description="Errors are RFC 9457 problems with stable types. Times are RFC 3339 in UTC, ids are UUIDv7.",
        routes=app.routes,
    )
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, APIRoute):
            for method in route.methods or ():
                operation = found["paths"][route.path_format][method.lower()]
                # FastAPI adds a refusal that is never sent here, and takes every null out of examples.
                operation["responses"] = {str(status): one for status, one in route.responses.items()}
                operation.update(route.openapi_extra or {})
    found["components"] = {"schemas": _components(models), "securitySchemes": _SECURITY}
    return found


_SECURITY: Final[Node] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `valise gateway token new`; it belongs to one participant.",
    }
}


def _components(models: Iterable[type[BaseModel]]) -> Node:
    components: Node = dict(REQUESTS)
    for model in models:
        _hoist(components, model.__name__, model.model_json_schema(mode="serialization"), "")
    kinds = []
    for kind in KINDS:
        name = "".join(part.title() for part in kind.split("-"))
        _hoist(components, f"{name}Notice", _told(json_schema(kind)), f"{name}Notice")
        kinds.append({"$ref": f"#/components/schemas/{name}Notice"})
    components["Notice"] = {"description": "A notice of a kind that is served.", "oneOf": kinds}
    return components


def _told(schema: Node) -> Node:
    # Whoever sends a notice says which kind it is; without it no form could be chosen.
    return {**schema, "required": ["kind", *schema.get("required", [])]}


def _hoist(components: Node, name: str, schema: Node, prefix: str) -> None:
    """Put a schema and its `$defs` among the components."""
    inner = schema.pop("$defs", {})
    for key, value in inner.items():
        components[f"{prefix}{key}"] = _moved(value, prefix)
    components[name] = _moved(schema, prefix)


def _moved(node: Any, prefix: str) -> Any:
    if isinstance(node, dict):
        return {
            key: re.sub(r"^#/\$defs/", f"#/components/schemas/{prefix}", value)
            if key == "$ref"
            else _moved(value, prefix)
            for key, value in node.items()
            # A default of a pattern's kind, or a discriminator's mapping, would name what has moved.
            if key != "discriminator"
        }
    if isinstance(node, list):
        return [_moved(item, prefix) for item in node]
    return node
