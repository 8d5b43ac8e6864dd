"""The networks in which statements are published on paper; no test changes them."""

import pytest

from tests.paper import PaperLedger
from tests.unit.broker.publish.letters import DENY_SEIZURES, MEMBERS
from tests.world import make_world


@pytest.fixture(scope="session")
def world():
    return make_world(MEMBERS, laws={"tj": DENY_SEIZURES.replace('"seizure"', '"route"')})


@pytest.fixture
def ledger(world):
    return PaperLedger(world)


@pytest.fixture(scope="session")
def lawless():
    """A network in which one State has no profile yet."""
    return make_world(MEMBERS, without_law=["uz"], laws={"tj": DENY_SEIZURES})
