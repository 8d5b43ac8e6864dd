"""How the tests of this folder call the gateway's routes, and read problems."""

from collections.abc import Callable
from typing import Any

from schemas.notice import examples
from tests.asgi import Answer

Call = Callable[..., Answer]
REQUEST = {"topic": "central-asia.seizures", "notice": examples("seizure")}
JSON = "application/json"


def problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (answer.status, found["status"], found["type"]) == (status, status, f"urn:valise:problem:{code}")
    return found
