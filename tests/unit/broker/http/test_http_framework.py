"""What no operation answers: health, metrics, other methods and addresses, and what nobody foresaw."""

import asyncio

import pytest
from prometheus_client import generate_latest

from broker.http.health import MetricsApp
from tests.asgi import request
from tests.unit.broker.http.double import JSON, NOTICE, code

# Health


def test_health(ask, service):
    assert ask("GET", "/livez").json() == {"live": True}
    service.answers["readiness"] = []
    assert ask("GET", "/readyz").json() == {"ready": True}
    service.answers["readiness"] = ["no checkpoint is signed yet"]
    answer = ask("GET", "/readyz")
    assert (answer.status, answer.json()["reasons"]) == (503, ["no checkpoint is signed yet"])
    assert "retry-after" in answer.headers


def test_metrics_have_an_application_of_their_own(ask, telemetry):
    app = MetricsApp(telemetry)
    assert ask("GET", "/metrics").status == 404
    answer = asyncio.run(request(app, "GET", "/metrics"))
    assert (answer.status, b"valise_tree_size 7.0" in answer.body) == (200, True)
    assert asyncio.run(request(app, "GET", "/")).status == 404
    answer = asyncio.run(request(app, "POST", "/metrics"))
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


# What the framework would say


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("POST", f"/v1/notices/{NOTICE}", "GET, PUT"),
        ("DELETE", "/v1/feed", "GET"),
        ("GET", "/v1/directory/roles/fr", "PUT"),
        ("OPTIONS", "/livez", "GET"),
        ("TRACE", f"/v1/notices/{NOTICE}/proof", "GET"),
        ("PATCH", "/openapi.json", "GET"),
        ("GET", "/v1/notices", "POST"),
        ("PUT", "/v1/notices", "POST"),
    ],
)
def test_other_methods_are_refused_with_what_is_served(ask, method, target, allow):
    answer = ask(method, target)
    assert (answer.status, code(answer), answer.headers["allow"]) == (405, "method-not-allowed", allow)


@pytest.mark.parametrize(
    "target",
    ["/", "/v1", "/v1/notices/", "/livez/", "/docs", "/v1/feed/x/y", "//", "/%0A", "/v1/log/tile/0/%0A"]
    + ["/v1/directory/targets/%0D%0A", "/%00", "/%FF", "/%F0%9F%98%80"],
)
def test_other_addresses_are_not_there(ask, target):
    assert ask("GET", target).status == 404


@pytest.mark.parametrize(
    ("method", "target"), [("PUT", f"/v1/notices/{NOTICE}"), ("GET", "/readyz"), ("GET", "/v1/feed")]
)
def test_what_nobody_foresaw_says_nothing(ask, service, telemetry, capsys, method, target):
    for name in ("publish", "readiness", "feed"):
        service.answers[name] = ZeroDivisionError("secret contents")
    answer = ask(method, target, b"{}", JSON, by="kz/customs")
    assert (answer.status, code(answer)) == (500, "internal")
    assert b"secret" not in answer.body
    printed = capsys.readouterr()
    assert answer.json()["instance"].removeprefix("urn:uuid:") in printed.out
    assert "secret" not in printed.out + printed.err
    assert "ZeroDivisionError" in printed.out
    assert 'status="500"' in generate_latest(telemetry.registry).decode()


def test_requests_are_counted_by_operation_not_by_address(ask, service, telemetry):
    service.answers["delivery"] = None
    ask("GET", f"/v1/notices/{NOTICE}", by="kz/customs")
    ask("GET", "/v1/secret")
    text = generate_latest(telemetry.registry).decode()
    assert 'operation="notice",status="404"' in text
    assert 'operation="none",status="404"' in text
    assert "secret" not in text
