import pytest

from tests.unit.broker.ledger import made_records


@pytest.fixture(scope="session")
def made():
    return made_records


@pytest.fixture
def maker(made):
    return made.Maker()
