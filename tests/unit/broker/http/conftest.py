"""The interface over a service that answers what a test says."""

import asyncio

import pytest

from broker.http.api import create_api
from broker.telemetry import Telemetry
from keys.http_signature import sign_request
from tests.asgi import request
from tests.unit.broker.http.double import AUTHORITY, Double
from tests.world import ORIGIN, make_world


@pytest.fixture(scope="session")
def world():
    return make_world(("kz/customs", "kz/focal-point"))


@pytest.fixture(scope="session")
def trust(world):
    return world.trust()


@pytest.fixture
def service(trust, world):
    return Double(trust, world.now)


@pytest.fixture
def telemetry(service):
    return Telemetry(service.figures)


@pytest.fixture
def ask(service, telemetry, world):
    """Send a request, signed by a participant where one is named."""
    app = create_api(service, telemetry)

    def send(method, target, body=b"", headers=(), *, by=None, at=None, **sent):
        pairs = {"Host": AUTHORITY, **dict(headers)}
        if by is not None:
            pairs |= sign_request(
                method,
                f"https://{AUTHORITY}{sent.pop('signed_target', target)}",
                pairs,
                None,
                signer=world.people[by].request,
                origin=ORIGIN,
                created=at or world.now,
            )
        answer = asyncio.run(request(app, method, target, body=body, headers=pairs))
        if answer.status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status
        return answer

    return send
