"""The memory of notices: bounded in bytes and in time, and silent about what is erased."""

from dataclasses import replace

import orjson
import pytest

from broker import notice_memory as module
from broker.deliver import deliver_parts, whole
from broker.notice_memory import NoticeMemory
from broker.view.statements import StatementRow
from tests.paper import PaperLedger
from tests.world import make_world

READER = "uz/focal-point"
NOTE = b"note"


@pytest.fixture(scope="module")
def world():
    return make_world(["kz/customs", READER])


class View:
    """A reader of as many notices as a test wants, all of them the same."""

    def __init__(self, world):
        signed = world.envelope("kz/customs", [READER])
        outcome = PaperLedger(world).publish(signed)
        self.record_, self.body_, self.reads, self.paths = outcome.record, outcome.body, 0, 0
        statement = signed.statement
        self.row = StatementRow(
            0,
            statement.notice_id,
            statement.sender,
            statement.act,
            None,
            statement.thread,
            statement.topic,
            statement.expires_at,
            b"",
            erased=False,
        )

    def at(self, index):
        return replace(self.row, index=index)

    def body(self, row):
        self.reads += 1
        return None if row.erased or row.body_digest is None else self.body_

    def record(self, index):
        return self.record_

    def inclusion(self, index, size):
        self.paths += 1
        return (bytes(32),) * 3


def test_a_notice_is_read_once_and_its_inclusion_once_a_size(world):
    view = View(world)
    memory = NoticeMemory(view)
    first = memory.find(view.at(3), 10, NOTE)
    assert memory.find(view.at(3), 10, NOTE) == first
    assert (view.reads, view.paths) == (1, 1)
    notice, inclusion = memory.find(view.at(3), 12, NOTE)
    assert (view.reads, view.paths) == (1, 2)
    trust = world.trust()
    parts = deliver_parts(notice, READER, {world.people[READER].sealing.kid}, trust)
    delivery = orjson.loads(whole(parts, inclusion, b"bm90ZQ"))
    assert delivery["inclusion"] == {
        "received_at": view.record_.leaf.received_at,
        "index": 3,
        "size": 12,
        "path": ["A" * 43] * 3,
        "checkpoint": "bm90ZQ",
    }


def test_what_is_erased_is_not_found_though_it_is_there(world):
    view = View(world)
    memory = NoticeMemory(view)
    assert memory.find(view.at(3), 10, NOTE) is not None
    assert memory.find(replace(view.at(3), erased=True), 10, NOTE) is None
    assert memory.find(replace(view.at(4), body_digest=None), 10, NOTE) is None


def test_it_forgets_what_is_old_and_what_is_too_much(world, monkeypatch):
    view, now = View(world), [0.0]
    memory = NoticeMemory(view, lambda: now[0])
    monkeypatch.setattr(module, "MOST_BYTES", 3 * len(view.body_))
    for index in range(5):
        memory.find(view.at(index), 10, NOTE)
        now[0] += 1
    assert list(memory._kept) == [2, 3, 4]
    assert memory._bytes == 3 * len(view.body_)
    now[0] = 3 + module.SECONDS
    memory.prune()
    assert list(memory._kept) == [4]
    now[0] += 10
    memory.prune()
    memory.prune()
    assert (memory._kept, memory._bytes) == ({}, 0)
    # One that is larger than all that is kept is still found.
    monkeypatch.setattr(module, "MOST_BYTES", 1)
    assert memory.find(view.at(7), 10, NOTE) is not None
    assert list(memory._kept) == [7]
