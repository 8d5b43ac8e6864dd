"""Bodies of before the start come back whatever fails while they are read."""

import asyncio

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from structlog.testing import capture_logs

from broker.ledger.kafka import backlog, follower
from broker.ledger.kafka.mirror import Mirror
from broker.ledger.kafka.topics import DIRECT
from broker.ledger.port import Append, LedgerUnavailableError, StorageFullError
from tests.faults.deployment import until
from tests.kafka.store.faulty import once
from tests.kafka.store.test_another_ledger import delete_before

pytestmark = pytest.mark.timeout(60)
COUNT = 30


@pytest.fixture
def written(open_ledger, maker, monkeypatch):
    """Return the entries of a ledger whose bodies are read in windows of a few."""
    for module in (backlog, follower):
        monkeypatch.setattr(module, "WINDOW", 4)
    monkeypatch.setattr(backlog, "PAGE", 3)  # so that it takes more than one page to read a window
    entries = tuple(maker.notice() for _ in range(COUNT))
    writer = open_ledger("writer")
    writer.append(Append(entries))
    writer.close()
    return entries


def test_errors_of_cluster_and_disk(written, open_ledger, monkeypatch):
    unreadable = once(
        monkeypatch, backlog.AIOKafkaConsumer, "getmany", TopicAuthorizationFailedError(), lambda one: running("older")
    )
    full = once(
        monkeypatch, Mirror, "take", StorageFullError("full"), lambda _, batch: running("older") and batch.bodies
    )
    noted = once(
        monkeypatch,
        Mirror,
        "take",
        LedgerUnavailableError("busy"),
        lambda _, batch: running("older") and DIRECT in batch.next,
    )
    with capture_logs() as lines:
        fresh = open_ledger("fresh")
        until(lambda: not fresh.behind and noted)
    assert unreadable
    assert full
    assert [line.get("kind", line.get("problem")) for line in lines if line["log_level"] == "warning"] == [
        "older",
        "storage-full",
        "unavailable",
    ]
    assert all(fresh.body(entry.record.body_digest) == entry.body for entry in written)
    assert not fresh.broken


def running(kind):
    """Say whether it is a task of the follower's that calls."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        return False
    return task is not None and task.get_name() == f"follow-{kind}"


def test_what_was_deleted_meanwhile_is_not_waited_for(written, open_ledger, kafka):
    asyncio.run(delete_before(kafka, DIRECT, COUNT - 6))
    fresh = open_ledger("fresh")
    until(lambda: not fresh.behind)
    found = [fresh.body(entry.record.body_digest) == entry.body for entry in written]
    assert found == [False] * (COUNT - 6) + [True] * 6
