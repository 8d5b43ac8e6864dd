"""schemathesis against the broker's OpenAPI document: signed by a participant and an auditor, and by nobody."""

import json
from collections import Counter

import pytest

from tests.api.conformance import BROKER, CHECKS, EXAMPLES, SEED, loaded
from tests.api.live import BASE, Signed, live_broker
from tests.world import make_world

SIGNED, UNSIGNED = loaded(BROKER), loaded(BROKER, credentials=True)
COUNTS = Counter()


@pytest.fixture(scope="module")
def world():
    return make_world(("kz/customs", "kz/focal-point", "uz/focal-point", "audit/court"))


@pytest.fixture(scope="module")
def live(world, tmp_path_factory):
    with live_broker(world, tmp_path_factory.mktemp("broker")) as live:
        yield live
    print(f"VALISE_SEED={SEED} VALISE_EXAMPLES={EXAMPLES}", dict(COUNTS))


@pytest.fixture(scope="module")
def session(live):
    with live.session() as session:
        yield session


def test_the_document_is_the_one_that_is_served(live):
    assert live.ask("GET", "/openapi.json").json() == json.loads(json.dumps(BROKER))


@SIGNED.parametrize()
def test_signed(case, session, world):
    who = "audit/court" if case.path.startswith("/v1/audit") else "uz/focal-point"
    COUNTS[case.operation.label] += 1
    case.call_and_validate(BASE, session, checks=CHECKS, auth=Signed(world.people[who]))


@UNSIGNED.parametrize()
def test_unsigned(case, session):
    COUNTS[case.operation.label] += 1
    case.call_and_validate(BASE, session, checks=CHECKS)
