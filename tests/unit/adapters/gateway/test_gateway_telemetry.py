"""Log lines and metrics of a gateway: names, ids and numbers, never contents."""

import asyncio
import io
import json
import logging
import warnings

import pytest
import structlog

from adapters.gateway.http.api import create_api
from adapters.gateway.http.edge import Edge, MetricsApp
from adapters.gateway.service import Stats
from adapters.gateway.status import State
from adapters.gateway.telemetry import WITHHELD, Telemetry, configure_logging
from adapters.gateway.tokens import Tokens
from tests import asgi
from tests.unit.adapters.gateway.http.fake import KZ, FakeService

STATS = Stats(
    outbox={("kz/customs", State.PUBLISHED): 3},
    inbox={("kz/customs", "opened"): 2},
    log_size=17,
    directory=4,
    checkpoint_age=2,
    alarms=("broker-away",),
)


@pytest.fixture
def log():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logging(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = handlers, level


def fail(error: Exception) -> None:
    raise error


def test_what_is_no_id_is_withheld(log):
    logger = structlog.get_logger("gateway")
    logger.info("notice.sent", notice="019ac0de", size=5, kinds=["seizure", "two words"], text="Ten kilogrammes.")
    logger.info("A sentence with contents", other={"a": 1}, nothing=None, good=True)
    logger.debug("too.detailed")
    first, second = log()
    assert first["event"] == "notice.sent"
    assert (first["notice"], first["size"], first["kinds"], first["text"]) == (
        "019ac0de",
        5,
        ["seizure", WITHHELD],
        WITHHELD,
    )
    assert (second["event"], second["other"], second["nothing"], second["good"]) == (
        "event.unnamed",
        WITHHELD,
        None,
        True,
    )


def test_an_error_is_logged_by_type_and_place(log):
    logger = structlog.get_logger("gateway")
    try:
        fail(ValueError("Ten kilogrammes"))
    except ValueError as error:
        logger.exception("loop.failed")
        kept = error
    logger.error("loop.failed", exc_info=kept)
    logger.error("loop.failed", exc_info=ValueError("never raised"))
    first, second, third = log()
    assert (first["error"], first["line"].split(":")[0]) == ("ValueError", "fail")
    assert second["line"] == first["line"]
    assert third["line"] == "unknown"
    assert "kilogrammes" not in json.dumps([first, second, third])


def test_libraries_and_warnings_lose_their_sentences(log):
    logging.getLogger("uvicorn.error").error("Exception with %s", "contents")
    try:
        fail(OSError("contents"))
    except OSError:
        logging.getLogger("aiohttp").exception("contents")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("contents", stacklevel=1)
    lines = log()
    assert [line["library"] for line in lines] == ["uvicorn.error", "aiohttp", "py.warnings"]
    assert lines[1]["error"] == "OSError"
    assert "contents" not in json.dumps(lines)


class _Gateway:
    async def stats(self) -> Stats:
        return STATS


def ask(app, target: str, method: str = "GET"):
    return asyncio.run(asgi.request(app, method, target))


def test_metrics_are_numbers():
    app = MetricsApp(_Gateway(), Telemetry())
    answer = ask(app, "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.body.decode()
    assert 'valise_gateway_outbox{participant="kz/customs",state="published"} 3.0' in text
    assert 'valise_gateway_inbox{participant="kz/customs",state="opened"} 2.0' in text
    assert "valise_gateway_checkpoint_age_seconds 2.0" in text
    assert 'valise_gateway_alarm{kind="broker-away"} 1.0' in text
    assert ask(app, "/").status == 404
    assert ask(app, "/metrics", "POST").status == 404


def test_metrics_before_anything_is_known():
    empty = Stats(outbox={}, inbox={}, log_size=0, directory=0, checkpoint_age=None, alarms=())
    assert b"checkpoint_age" not in Telemetry().text(empty)


def test_requests_are_counted_by_operation(log):
    async def fails(scope, _receive, send):
        if scope["path"] == "/late":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError("contents")

    telemetry = Telemetry()
    app = Edge(fails, telemetry)
    answer = ask(app, "/soon")
    assert answer.status == 500
    assert answer.json()["type"] == "urn:valise:problem:internal"
    assert ask(app, "/late").status == 200
    text = telemetry.text(STATS).decode()
    assert 'valise_gateway_requests_total{operation="none",status="500"} 1.0' in text
    assert [line["event"] for line in log()] == ["request.failed", "request.failed"]
    assert "contents" not in json.dumps(log())


def test_what_nobody_foresaw_is_logged_once(log, tmp_path):
    service = FakeService()
    service.failure = ZeroDivisionError("contents")
    tokens = Tokens(tmp_path)
    _, token = tokens.new(KZ, "test")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/csv"}
    app = Edge(create_api(service, tokens), Telemetry())
    answer = asyncio.run(asgi.request(app, "POST", "/v1/imports", headers=headers))
    assert (answer.status, answer.json()["type"]) == (500, "urn:valise:problem:internal")
    assert [(line["event"], line["operation"]) for line in log()] == [("request.failed", "importTable")]
