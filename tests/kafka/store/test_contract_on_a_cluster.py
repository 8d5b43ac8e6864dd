"""The ledger's contract on a cluster: the suite of every store, its very functions, with a topic for bodies instead of all."""

import asyncio

import pytest

from broker.ledger.kafka import topics
from broker.ledger.kafka.store import KafkaLedger
from keys.custody import durable
from keys.frame import new_frame_key
from tests.cluster import clear
from tests.kafka.instances import place
from tests.unit.broker.ledger import made_records
from tests.unit.broker.ledger import test_ledger_contract as contract
from tests.unit.broker.ledger.test_ledger_contract import ledger, reopen  # noqa: F401 - fixtures of the suite

pytestmark = pytest.mark.timeout(60)
globals().update({name: found for name, found in vars(contract).items() if name.startswith("test_")})


@pytest.fixture(scope="session")
def made():
    return made_records


@pytest.fixture
def maker(made):
    return made.Maker()


@pytest.fixture
def open_ledger(kafka, tmp_path, made, monkeypatch):
    """Open the ledger of this test's cluster, as often as the test wants; what is still open is closed at the end."""
    monkeypatch.setattr(topics, "body_topics", lambda: iter((topics.DIRECT,)))  # 85 topics would be made each time
    asyncio.run(clear(kafka))
    keys = tmp_path / "frame.keys"
    durable.write(keys, new_frame_key())
    opened = []

    def open_it():
        opened.append(KafkaLedger(tmp_path, made.ORIGIN, place(kafka, keys, "one")))
        return opened[-1]

    yield open_it
    if opened:
        opened.pop().close()  # the earlier ones were closed to be opened again
    asyncio.run(clear(kafka))
