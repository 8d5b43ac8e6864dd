"""Ledgers on a real cluster, in the test's own process, so that each branch of the store can be led to where it is taken."""

import asyncio
from dataclasses import replace

import pytest

from broker.ledger.kafka import topics
from broker.ledger.kafka.frames import read_frame_keys
from broker.ledger.kafka.store import KafkaLedger
from keys.custody import durable
from keys.frame import new_frame_key
from tests.cluster import clear
from tests.kafka.instances import place
from tests.unit.broker.ledger.made_records import ORIGIN, Maker


@pytest.fixture
def maker():
    return Maker(7)


@pytest.fixture
def frame_keys(tmp_path):
    file = tmp_path / "frame.keys"
    durable.write(file, new_frame_key())
    return file


@pytest.fixture
def keys(frame_keys):
    return read_frame_keys(frame_keys)


@pytest.fixture
def open_ledger(kafka, tmp_path, frame_keys, monkeypatch):
    """Open the ledger of an instance, by its name; it is looked after never, where nothing else is said."""
    monkeypatch.setattr(topics, "body_topics", lambda: iter((topics.DIRECT,)))  # 85 topics would be made each time
    asyncio.run(clear(kafka))
    opened = []

    def open_it(name="one", **changes):
        (tmp_path / name).mkdir(exist_ok=True)
        own = replace(place(kafka, frame_keys, name), recheck_s=3600.0)
        ledger = KafkaLedger(tmp_path / name, ORIGIN, replace(own, **changes))
        opened.append(ledger)
        return ledger

    yield open_it
    for ledger in opened:
        if ledger._loop.running:
            ledger.close()
    asyncio.run(clear(kafka))


@pytest.fixture
def ledger(open_ledger):
    return open_ledger()
