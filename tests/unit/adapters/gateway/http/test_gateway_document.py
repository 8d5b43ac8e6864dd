"""The OpenAPI document of the gateway: every route, an example for each body, and answers that are of its form."""

from typing import Any

import jsonschema
import pytest

from adapters.gateway.http.api import MODELS, ROUTERS
from adapters.gateway.http.examples import EXAMPLES
from adapters.gateway.status import InboxState, State
from tests.unit.adapters.gateway.http.calls import REQUEST, Call
from tests.unit.adapters.gateway.http.fake import KZ, FakeService


@pytest.fixture
def described(call: Call) -> dict[str, Any]:
    answer = call("GET", "/openapi.json", as_=None)
    found: dict[str, Any] = answer.json()
    assert found["openapi"] == "3.1.0"
    return found


def test_the_document_has_every_route_and_an_example_for_each_body(described: dict[str, Any]) -> None:
    served = {
        (route.path_format, method.lower()) for router in ROUTERS for route in router.routes for method in route.methods
    }  # type: ignore[attr-defined]
    assert served == {(path, method) for path, item in described["paths"].items() for method in item}
    for path, item in described["paths"].items():
        for operation in item.values():
            assert operation["summary"]
            bodies = [operation["requestBody"]] if "requestBody" in operation else []
            for answer in [*operation["responses"].values(), *bodies]:
                for content in answer["content"].values():
                    assert "example" in content or "examples" in content
            if path.startswith("/v1"):
                assert operation["security"] == [{"token": []}]
                assert {"401", "500", "503"} <= set(operation["responses"])


def _schema(described: dict[str, Any], schema: Any) -> Any:
    return {**schema, "components": described["components"]}


def test_examples_are_of_their_form(described: dict[str, Any]) -> None:
    for model in MODELS:
        if model.__name__ in EXAMPLES:
            jsonschema.validate(
                EXAMPLES[model.__name__], _schema(described, {"$ref": f"#/components/schemas/{model.__name__}"})
            )
    for item in described["paths"].values():
        for operation in item.values():
            bodies = [operation["requestBody"]] if "requestBody" in operation else []
            for answer in [*operation["responses"].values(), *bodies]:
                for kind, content in answer["content"].items():
                    if "json" in kind:
                        samples = (
                            [content["example"]]
                            if "example" in content
                            else [one["value"] for one in content["examples"].values()]
                        )
                        for sample in samples:
                            jsonschema.validate(sample, _schema(described, content["schema"]))


def test_request_examples_are_accepted(call: Call) -> None:
    assert call("POST", "/v1/notices", EXAMPLES["NoticeRequest"]).status == 202
    assert call("PUT", "/v1/subscriptions", EXAMPLES["PatternsRequest"]).status == 200
    sent = call("POST", "/v1/notices", REQUEST).json()["href"]
    assert call("POST", f"{sent}/correct", EXAMPLES["CorrectionRequest"]).status == 202
    assert call("POST", f"{sent}/recall", EXAMPLES["RecallRequest"]).status == 202


def test_answers_are_of_the_form_that_the_document_says(
    call: Call, service: FakeService, described: dict[str, Any]
) -> None:
    sent = call("POST", "/v1/notices", REQUEST).json()["href"]
    service.outcome = State.REFUSED
    refused = call("POST", "/v1/notices", REQUEST).json()["href"]
    arrived = service.arrive(KZ)
    service.arrive(KZ, state=InboxState.UNVERIFIED)
    for path, name in (
        (sent, "NoticeDocument"),
        (refused, "NoticeDocument"),
        ("/v1/notices", "NoticesDocument"),
        ("/v1/inbox", "InboxDocument"),
        (f"/v1/inbox/{arrived}", "InboxItemDocument"),
        ("/v1/subscriptions", "SubscriptionsDocument"),
        ("/v1/doctor", "DoctorDocument"),
        ("/readyz", "HealthDocument"),
        ("/nowhere", "ProblemDocument"),
    ):
        jsonschema.validate(call("GET", path).json(), _schema(described, {"$ref": f"#/components/schemas/{name}"}))
    preview = call("POST", "/v1/notices/preview", REQUEST).json()
    jsonschema.validate(preview, _schema(described, {"$ref": "#/components/schemas/PreviewDocument"}))
