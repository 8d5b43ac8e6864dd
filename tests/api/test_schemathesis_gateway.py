"""schemathesis against the gateway's OpenAPI document: with a participant's token, and with whatever it makes up."""

from collections import Counter

import pytest

from tests.api.conformance import CHECKS, EXAMPLES, GATEWAY, SEED, loaded
from tests.api.live import BASE, Bearer, live_gateway
from tests.world import make_world

WITH_TOKEN = loaded(GATEWAY)
# Nothing of these requests is read beyond their headers: fewer will do.
WITHOUT = loaded(GATEWAY, credentials=True, coverage=False, examples=max(1, EXAMPLES // 4))
COUNTS = Counter()


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    world = make_world(("kz/customs", "kz/focal-point", "uz/focal-point"))
    with live_gateway(world, tmp_path_factory.mktemp("gateway"), "kz/customs", "uz/focal-point") as live:
        yield live
    print(f"VALISE_SEED={SEED} VALISE_EXAMPLES={EXAMPLES}", dict(COUNTS))


@pytest.fixture(scope="module")
def session(live):
    with live.session() as session:
        yield session


def test_the_document_is_the_one_that_is_served(live):
    assert live.ask("GET", "/openapi.json").json() == GATEWAY


@WITH_TOKEN.parametrize()
def test_with_a_token(case, session, live):
    COUNTS[case.operation.label] += 1
    case.call_and_validate(BASE, session, checks=CHECKS, auth=Bearer(live.tokens["kz/customs"]))


@WITHOUT.parametrize()
def test_without_a_token(case, session):
    COUNTS[case.operation.label] += 1
    case.call_and_validate(BASE, session, checks=CHECKS)
