"""What schemathesis holds against every answer: no server error, nothing that the OpenAPI document does not declare."""

import json
import os
from copy import deepcopy

import schemathesis
from schemathesis import checks
from schemathesis.config import SchemathesisConfig

EXAMPLES = int(os.environ.get("VALISE_EXAMPLES", "200"))
SEED = int(os.environ.get("VALISE_SEED", "1961"))
"""With the same seed the same requests are made."""

PROBLEM = "application/problem+json"
PREFIX = "urn:valise:problem:"


def loaded(document, *, credentials=False):
    """Return a schema that makes the same examples each time; `credentials` says whether it makes some up itself."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "generation": {"max-examples": EXAMPLES, "database": "none", "with-security-parameters": credentials},
            "phases": {"stateful": {"enabled": False}},
        }
    )
    return schemathesis.openapi.from_dict(deepcopy(document), config=config)


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
    answer = case.operation.definition.raw["responses"][str(response.status_code)]
    assert found["type"].removeprefix(PREFIX) in answer["content"][PROBLEM]["examples"], found["type"]
    assert (response.status_code == 401) == ("www-authenticate" in response.headers)


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
    checks.allow_header_conformance,
    declared_problem,
]
