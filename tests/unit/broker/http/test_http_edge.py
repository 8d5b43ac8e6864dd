"""The outermost layer: what escapes from below, and what is counted."""

import asyncio
import json

import pytest
from prometheus_client import generate_latest

from broker.http.body import Disconnected
from broker.http.edge import OPERATION, Edge
from broker.telemetry import Figures, Telemetry
from tests.asgi import request

START = {"type": "http.response.start", "status": 200, "headers": []}


def serve(app):
    """Return the answer to one request, and the metrics after it."""
    telemetry = Telemetry(Figures)
    times = iter((1.0, 1.25))
    answer = asyncio.run(request(Edge(app, telemetry, lambda: next(times)), "GET", "/secret"))
    return answer, generate_latest(telemetry.registry).decode()


def test_an_answer_is_timed_to_its_end():
    async def app(scope, _receive, send):
        scope[OPERATION] = "what"
        await send(START)
        await send({"type": "http.response.body", "body": b"x"})

    answer, text = serve(app)
    assert answer.body == b"x"
    assert 'valise_request_seconds_sum{operation="what",status="200"} 0.25' in text


def test_nobody_is_answered_who_has_gone():
    async def app(_scope, _receive, _send):
        raise Disconnected

    answer, text = serve(app)
    assert answer.status == 0
    assert "valise_request_seconds_count" not in text


def test_what_escapes_becomes_a_problem_with_an_id(capsys):
    async def app(_scope, _receive, _send):
        raise ValueError("secret contents")

    answer, text = serve(app)
    printed = capsys.readouterr().out
    assert (answer.status, json.loads(answer.body)["instance"].removeprefix("urn:uuid:") in printed) == (500, True)
    assert "secret" not in printed + text + answer.body.decode()
    assert 'operation="none",status="500"' in text


def test_an_answer_that_has_begun_is_not_answered_again(capsys):
    async def app(_scope, _receive, send):
        await send(START)
        raise ValueError

    answer, text = serve(app)
    assert (answer.status, answer.body) == (200, b"")
    assert "ValueError" in capsys.readouterr().out
    assert 'status="200"' in text


def test_an_error_without_a_trace_is_reported_too(capsys):
    Edge._report({}, ValueError())
    assert "unknown" in capsys.readouterr().out


def test_only_http_is_served():
    with pytest.raises(RuntimeError):
        asyncio.run(Edge(None, Telemetry(Figures))({"type": "lifespan"}, None, None))
