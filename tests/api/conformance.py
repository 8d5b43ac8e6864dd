"""What schemathesis holds against every answer: no server error, nothing that the OpenAPI document does not declare."""

import gzip
import json
import os
from collections import Counter
from copy import deepcopy

import jsonschema
import schemathesis
from schemathesis import checks
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.meta import TestPhase
from schemathesis.transport.serialization import Binary

from adapters.gateway.http.api import described
from broker.http.api import create_app, describe

EXAMPLES = int(os.environ.get("VALISE_EXAMPLES", "200"))
SEED = int(os.environ.get("VALISE_SEED", "1961"))
"""With the same seed the same requests are made."""

BROKER, GATEWAY = describe(create_app()), json.loads(described())
"""Both OpenAPI documents, as the services describe themselves."""

REFUSED = ["400", "401", "403", "404", "405", "409", "412", "413", "415", "422", "428", "431"]
PROBLEM = "application/problem+json"
LINES = "application/x-ndjson"
PREFIX = "urn:valise:problem:"


def loaded(document, *, credentials=False, coverage=True, examples=EXAMPLES):
    """Return a schema that makes the same examples each time.

    `credentials` says whether it makes some up itself, `coverage` whether it goes through every limit of the schema.
    """
    config = SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "generation": {"max-examples": examples, "database": "none", "with-security-parameters": credentials},
            "phases": {"stateful": {"enabled": False}, "coverage": {"enabled": coverage}},
            "checks": {"negative_data_rejection": {"expected-statuses": REFUSED}},
        }
    )
    schema = schemathesis.openapi.from_dict(deepcopy(document), config=config)
    schema.hook(_some("filter_case"))
    return schema


def _some(name):
    """Return a hook that keeps some of the cases that cover a schema: a notice's has ten thousand of them."""
    counts = Counter()

    def hook(context, case):
        if case.meta is None or case.meta.phase.name is not TestPhase.COVERAGE:
            return True
        counts[context.operation.label] += 1
        number = counts[context.operation.label]
        return number <= EXAMPLES or number % max(1, 5000 // EXAMPLES) == 0

    hook.__name__ = name
    return hook


@schemathesis.serializer("application/gzip")
def _compressed(_context, value):
    """Send what is made up as a file: compressed, and every other one as it is."""
    data = value.data if isinstance(value, Binary) else str(value).encode()
    return gzip.compress(data, mtime=0) if len(data) % 2 else data


@schemathesis.serializer("application/x-ndjson")
def _lines(_context, value):
    """Send what is made up as it is: a line, or several."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def declared_lines(_ctx, response, case):
    """Hold each line of an answer of lines against the results that the operation declares for one."""
    if response.headers.get("content-type") != [LINES]:
        return
    examples = case.operation.definition.raw["responses"]["200"]["content"][LINES]["examples"]
    declared = [json.loads(one["value"]) for one in examples.values()]
    known = {(one["status"], one.get("type")) for one in declared}
    lines = response.content.splitlines()
    assert lines
    for line in lines:
        found = json.loads(line)
        assert (found["status"], found.get("type")) in known, found
        assert found["status"] < 500, found
        jsonschema.Draft202012Validator(
            {"$ref": "#/components/schemas/PublishResult", "components": BROKER["components"]}
        ).validate(found)


def negative_data_rejection(ctx, response, case):
    """Demand that what is wrong is refused; in an answer of lines `declared_lines` has looked at each."""
    if response.headers.get("content-type") == [LINES]:
        return None
    return checks.negative_data_rejection(ctx, response, case)


def declared_problem(_ctx, response, case):
    """Hold a problem's type and status against those that the operation declares, and its headers against its status."""
    if response.headers.get("content-type") != [PROBLEM]:
        return
    found = json.loads(response.content)
    assert found["status"] == response.status_code
    if case.method != case.operation.method.upper():
        # Another method is another operation, which is not there.
        assert found["type"] == f"{PREFIX}method-not-allowed"
        return
    answer = case.operation.definition.raw["responses"].get(str(response.status_code))
    if answer is None:
        return  # `status_code_conformance` says so
    assert found["type"].removeprefix(PREFIX) in answer["content"][PROBLEM]["examples"], found["type"]
    assert (response.status_code == 401) == ("www-authenticate" in response.headers)


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    negative_data_rejection,
    checks.unsupported_method,
    checks.allow_header_conformance,
    declared_problem,
    declared_lines,
]
