"""The gateway's routes over a gateway of dictionaries."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from adapters.gateway.http.api import create_api
from adapters.gateway.tokens import Tokens
from tests.asgi import Answer, request
from tests.unit.adapters.gateway.http.calls import JSON, Call
from tests.unit.adapters.gateway.http.fake import KZ, FakeService


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path)


@pytest.fixture
def call(service: FakeService, tokens: Tokens) -> Call:
    app = create_api(service, tokens)
    _, token = tokens.new(KZ, "system")

    def send(
        method: str,
        target: str,
        value: Any = None,
        *,
        raw: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
        as_: str | None = token,
    ) -> Answer:
        fields = {} if as_ is None else {"Authorization": f"Bearer {as_}"}
        data: bytes | Iterable[bytes] = b""
        if value is not None or raw is not None:
            fields["Content-Type"] = JSON
            data = json.dumps(value).encode() if raw is None else raw
        return asyncio.run(request(app, method, target, body=data, headers={**fields, **(headers or {})}))

    return send
