"""Problem documents: every code, the headers that go with it, and no echo."""

import json

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from broker.http import problems
from schemas.errors import Error, FormError
from schemas.problems import PROBLEMS


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_problem_has_its_document(code):
    response = problems.problem(Error("It went wrong.", problem=code))
    document = json.loads(response.body)
    assert document == {
        "type": f"urn:valise:problem:{code}",
        "title": PROBLEMS[code].title,
        "status": PROBLEMS[code].status,
        "detail": "It went wrong.",
        "hint": PROBLEMS[code].hint,
    }
    assert response.status_code == PROBLEMS[code].status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert ("retry-after" in response.headers) is (response.status_code in (429, 503, 507))
    assert ("www-authenticate" in response.headers) is (response.status_code == 401)


def test_pointer_offset_and_extra_members():
    document = json.loads(
        problems.document(FormError("No.", pointer="/label/kind", offset=3), {"refusal": "a.b.c", "denied": []})
    )
    assert list(document)[5:] == ["pointer", "offset", "refusal", "denied"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "not-found"),
        (405, "method-not-allowed"),
        (413, "too-large"),
        (415, "unsupported-media-type"),
        (400, "bad-request"),
        (418, "bad-request"),
    ],
)
def test_the_framework_speaks_our_language(status, code):
    assert problems.from_framework(HTTPException(status, detail="secret")).code == code
    assert "secret" not in problems.from_framework(HTTPException(status, detail="secret")).detail


@pytest.mark.parametrize(
    ("kind", "location", "message", "pointer", "detail"),
    [
        ("value_error", ("query", "after"), "Value error, Must be it", "/query/after", "Must be it."),
        ("less_than_equal", ("query", "wait"), "Too big", "/query/wait", "Too big."),
        ("missing", ("query", "x"), "Field required", "/query/x", "This parameter is required."),
        (
            "extra_forbidden",
            ("query", "<b>x</b>"),
            "Extra",
            "/query",
            "There is a parameter that is not known here.",
        ),
    ],
)
def test_parameters_are_named_and_not_echoed(kind, location, message, pointer, detail):
    error = problems.from_validation(
        RequestValidationError([{"type": kind, "loc": location, "msg": message, "input": "secret"}])
    )
    assert (error.code, error.pointer, error.detail) == ("invalid-form", pointer, detail)
