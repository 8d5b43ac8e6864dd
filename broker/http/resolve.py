"""`POST /v1/recipients/resolve`: who may get this, who may not, why, and what would make it lawful."""

from typing import Final

import orjson
from fastapi import APIRouter, Request, Response

from broker.http import openapi
from broker.http.auth import Served, authenticate_with_body
from broker.http.body import read_body
from broker.resolve import Question, Questions
from schemas.encoding import from_seconds

router = APIRouter()

_TEXTS: Final[openapi.Node] = {"type": "object", "additionalProperties": {"type": "string"}}
_DETERMINATION: Final = openapi.exactly(
    {
        "condition": {"type": "string"},
        "layer": {"enum": ["network", "law", "originator"]},
        "state": openapi.nullable({"type": "string"}),
        "effect": {"enum": ["permit", "deny", "require", "oblige", "limit"]},
        "instrument": {"type": "string"},
        "article": {"type": "string"},
        "reason": _TEXTS,
        "evaluated_by": {"type": "string"},
        "obligation": openapi.nullable({"type": "string"}),
        "parameters": {"type": "object"},
    }
)
_VERDICT: Final = openapi.exactly(
    {
        "permitted": {"type": "boolean"},
        "determining": openapi.listing(_DETERMINATION),
        "obligations": openapi.listing(_DETERMINATION),
        "directory": openapi.INTEGER,
        "boundary": openapi.nullable(openapi.TIME),
        "unseen": openapi.listing(_DETERMINATION),
    }
)
_CHANGE: Final = openapi.exactly({"way": {"type": "string"}, "value": {"type": "string"}, "says": _TEXTS})
_ANSWERS: Final = openapi.exactly(
    {
        "sender": openapi.PARTICIPANT,
        "directory": openapi.INTEGER,
        "boundary": openapi.nullable(openapi.TIME),
        "evaluator": {"const": "broker"},
        "answers": openapi.listing(
            openapi.exactly(
                {
                    "participant": openapi.PARTICIPANT,
                    "topic": {"type": "string"},
                    "action": {"enum": ["publish", "receive"]},
                    "answer": {"enum": ["yes", "yes-if", "no", "unknown"]},
                    "verdict": _VERDICT,
                    "changes": openapi.listing(openapi.listing(_CHANGE)),
                    "complete": {"type": "boolean"},
                }
            )
        ),
    }
)
_CODE: Final[openapi.Node] = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$", "maxLength": 64}
_CODES: Final = openapi.listing(_CODE, uniqueItems=True)
_LABEL: Final = openapi.exactly(
    {
        "kind": _CODE,
        "handling": _CODES,
        "tlp": _CODE,
        "pap": _CODE,
        "classification": openapi.nullable(_CODE),
        "urgency": openapi.nullable(_CODE),
        "purpose": _CODE,
        "legal_basis": _CODE,
        "nominal": {"type": "boolean"},
        "exercise": {"type": "boolean"},
        "reply_due": openapi.nullable(openapi.TIME),
        "conditions": openapi.listing(openapi.exactly({"code": _CODE, "values": _CODES})),
    }
)
_QUESTION: Final = openapi.exactly(
    {
        "topic": {"type": "string", "description": "region.theme; either may be *"},
        "label": _LABEL,
        "recipients": openapi.listing(openapi.PARTICIPANT, uniqueItems=True),
        "states": {"type": "boolean", "description": "ask about each State's focal point too"},
        "expires_at": openapi.nullable(openapi.TIME),
    }
)


@router.post(
    "/v1/recipients/resolve",
    name="resolve",
    operation_id="resolveRecipients",
    summary="Verdicts over a label: yes, yes if, no",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.json_body(_ANSWERS, openapi.example("resolved"), "An answer for each recipient and topic.")},
        *openapi.CALLER,
        *("malformed", "invalid-form", "too-large", "unsupported-media-type", "rate-limited"),
    ),
    openapi_extra={
        **openapi.SIGNED,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _QUESTION, "example": openapi.example("question")}},
        },
    },
)
async def resolve_recipients(request: Request, service: Served) -> Response:
    """Decide on what the caller would send, by its label alone: nothing is sent, and gateways decide for themselves.

    One question of a participant is answered at a time. What a question may cost is shared among its answers: where it was
    not enough to look for all changes that would make it lawful, `complete` is false.
    """
    data = await read_body(request.scope, request.receive)
    question = Question.parse(data)
    caller = authenticate_with_body(request, service, data).participant
    trust, now = service.trust, from_seconds(service.now_ms() // 1000)
    questions: Questions = request.app.state.questions
    # Up to thousands of decisions: other requests go on meanwhile.
    found = await questions.ask(question, caller, trust, now)
    return Response(orjson.dumps(found), 200, {"Cache-Control": "no-store"}, "application/json")
