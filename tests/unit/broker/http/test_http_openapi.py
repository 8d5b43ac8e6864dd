"""The OpenAPI document: complete, valid, its examples real."""

import asyncio
import json

import jsonschema
import pytest

from broker.http import openapi
from broker.http.api import create_api, create_app, describe
from broker.telemetry import Figures, Telemetry
from keys.log import proof
from keys.log.note import parse_note
from schemas import encoding
from schemas.delivery import Delivery
from schemas.encoding import b64decode
from schemas.envelope import Envelope
from schemas.leaf import Leaf
from schemas.problems import PROBLEMS
from schemas.statement import Statement
from tests.asgi import request

DOCUMENT = describe(create_app())
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}
OPEN = {"publish", "publishMany", "uploadRole", "directoryMetadata", "directoryTarget", "checkpoint", "tile", "entries"}
OPEN |= {"livez", "readyz"}


def check(instance, schema):
    jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(instance)


def contents():
    """Yield every declared body of every operation."""
    for name, (_, _, operation) in OPERATIONS.items():
        yield from ((name, "request", *pair) for pair in operation.get("requestBody", {}).get("content", {}).items())
        for status, answer in operation["responses"].items():
            yield from ((name, status, *pair) for pair in answer["content"].items())


def test_the_operations():
    assert set(OPERATIONS) == OPEN | {
        *("notice", "proof", "feed", "feedStream", "held", "subscriptions", "auditStatements", "logObject"),
        *("resolveRecipients", "ownStatements"),
    }
    for name, (_, _, operation) in OPERATIONS.items():
        assert ("security" in operation) is (name not in OPEN), name
        assert operation["summary"]


def test_the_document_is_served_as_it_is():
    app = create_api(object(), Telemetry(Figures))
    answer = asyncio.run(request(app, "GET", "/openapi.json"))
    assert (answer.status, answer.json()) == (200, json.loads(json.dumps(DOCUMENT)))


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_status_that_any_request_may_meet_is_declared(name):
    operation = OPERATIONS[name][2]
    assert {"400", "408", "431", "500", "503"} <= operation["responses"].keys()
    if "parameters" in operation and any(item["in"] == "query" for item in operation["parameters"]):
        assert "422" in operation["responses"]
    if "security" in operation:
        assert {"401", "403", "422"} <= operation["responses"].keys()
    if "requestBody" in operation:
        assert {"413", "415"} <= operation["responses"].keys()
        # What is wrong with one line is said of that line.
        assert ("422" in operation["responses"]) is (name != "publishMany")


def test_problems_are_declared_with_their_own_status():
    for _, status, media_type, content in contents():
        if media_type == "application/problem+json":
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            for code, example in content["examples"].items():
                assert PROBLEMS[code].status == int(status)
                check(example["value"], DOCUMENT["components"]["schemas"]["Problem"])


def test_every_body_has_an_example_of_its_form():
    seen = 0
    for _, _, media_type, content in contents():
        if media_type == "application/json":
            check(content["example"], content["schema"])
            seen += 1
        else:
            assert "example" in content or "examples" in content
    assert seen > 10


def test_lines_are_declared_like_bodies_with_an_example_of_each_status():
    seen = set()
    for _, status, media_type, content in contents():
        if media_type == "application/x-ndjson":
            examples = (
                [content["example"]] if "example" in content else [e["value"] for e in content["examples"].values()]
            )
            for text in examples:
                assert text.endswith("\n")
                for line in text.splitlines():
                    check(json.loads(line), content["x-line-schema"])
                    if status != "request":
                        seen.add(json.loads(line)["status"])
                    else:
                        Envelope.parse(line.encode())
    alone = {int(status) for status in OPERATIONS["publish"][2]["responses"]}
    # What comes from the connection is about no line, and so is a body of another type.
    assert seen == alone - {408, 415, 431, 500}
    whole = OPERATIONS["publishMany"][2]["responses"].keys()
    assert whole == {"200", "400", "408", "413", "415", "431", "500", "503"}


def test_events_are_declared_one_by_one_with_an_example_of_each():
    content = OPERATIONS["feedStream"][2]["responses"]["200"]["content"]["text/event-stream"]
    kinds = {kind["properties"]["event"]["const"]: kind for kind in content["schema"]["oneOf"]}
    assert kinds.keys() == content["examples"].keys()
    for name, example in content["examples"].items():
        check(example["value"], content["schema"])
        data = json.loads(example["value"]["data"])
        check(data, kinds[name]["properties"]["data"]["contentSchema"])
        if name == "delivery":
            data["inclusion"]["checkpoint"] = openapi.example("delivery")["inclusion"]["checkpoint"]
            assert data == openapi.example("delivery")


def test_schemas_are_schemas():
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_examples_are_read_by_the_readers_of_the_wire():
    envelope = Envelope.parse(encoding.encode(openapi.example("envelope")))
    delivery = Delivery.parse(encoding.encode(openapi.example("delivery")))
    assert envelope.statement == delivery.statement
    subscription = openapi.example("subscription")
    assert Statement.parse(b64decode(subscription["statement"])).act == "subscribe"
    assert Leaf.parse(b64decode(openapi.example("audited")["leaf"]))
    assert len(parse_note(openapi.example("checkpoint").encode()).signatures) == 2
    assert proof.parse(openapi.example("proof").encode()).index == 3


def test_nothing_of_the_framework_is_left():
    text = json.dumps(DOCUMENT)
    assert "HTTPValidationError" not in text
    assert "ValidationError" not in text
