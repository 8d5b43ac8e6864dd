"""The mirror: what was read of the topics, whoever of its two writers is first, and what it forgets for good."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ledger.kafka.mirror import Batch, Mirror, ReadBody, ReadDecision, ReadObject, ReadRecord
from broker.ledger.kafka.topics import LEDGER, OBJECTS
from broker.ledger.port import LedgerUnavailableError
from broker.ledger.stanzas import stanza_kids
from keys.digests import statement_digest
from tests.unit.broker.ledger.made_records import ORIGIN, Maker

TOPIC = "valise.notices.direct"


def read(offset, entry):
    return ReadRecord(offset, entry.record, stanza_kids(entry.body))


def body(entry, at=5):
    key = statement_digest(entry.record.document)
    return ReadBody(TOPIC, key, entry.record.body_digest, stanza_kids(entry.body), entry.body, at)


@pytest.fixture
def maker():
    return Maker(1)


@pytest.fixture
def mirror(tmp_path):
    with closing(Mirror(tmp_path / "mirror.sqlite", ORIGIN)) as made:
        yield made


def take(mirror, **what):
    with mirror.lock:
        mirror.take(Batch(**what))


@pytest.mark.parametrize("first", ["record", "body"])
def test_record_and_body_come_in_either_order(mirror, maker, first):
    entry = maker.notice()
    digest = entry.record.body_digest
    steps = {"record": {"records": [read(3, entry)], "next": {LEDGER: 4}}, "body": {"bodies": [body(entry)]}}
    take(mirror, **steps.pop(first))
    assert mirror.has(digest) is (first == "body")
    take(mirror, **next(iter(steps.values())))
    assert mirror.read(0, 10) == [(3, entry.record)]
    assert mirror.length() == mirror.next(LEDGER) == 4
    assert mirror.body(digest) == entry.body
    assert mirror.holders(digest) == stanza_kids(entry.body)
    assert [found.since for found in mirror.bodies()] == [entry.record.leaf.received_at]
    assert mirror.has(digest)
    assert mirror.holds(digest)


def test_what_is_taken_twice_is_there_once_and_nothing_goes_back(mirror, maker):
    entry = maker.notice()
    for _ in range(2):
        take(mirror, records=[read(3, entry)], bodies=[body(entry)], decisions=[ReadDecision(1, "2026-01-01", b"a")])
    take(mirror, next={LEDGER: 4})
    take(mirror, next={LEDGER: 2})
    assert mirror.next(LEDGER) == 4
    assert mirror.read(0, 10) == [(3, entry.record)]
    assert mirror.decisions("2026-01-01") == [b"a"]


@given(offsets=st.permutations(range(6)))
def test_of_an_object_the_newest_counts_in_whatever_order_it_came(tmp_path_factory, offsets):
    with closing(Mirror(tmp_path_factory.mktemp("mirror") / "mirror.sqlite", ORIGIN)) as mirror:
        for offset in offsets:
            take(mirror, objects=[ReadObject(offset, "a", b"%d" % offset)], next={OBJECTS: offset + 1})
        assert mirror.object("a") == b"5"
        assert mirror.next(OBJECTS) == 6


@pytest.mark.parametrize("known", [True, False])
def test_an_erased_body_does_not_come_back(mirror, maker, known):
    entry = maker.notice()
    digest = entry.record.body_digest
    take(mirror, records=[read(0, entry)], bodies=[body(entry)] if known else [])
    assert mirror.holds(digest)
    with mirror.lock:
        assert mirror.places([digest, bytes(32)]) == (
            [(TOPIC, statement_digest(entry.record.document))] if known else []
        )
        mirror.erase([digest, bytes(32)])
    take(mirror, bodies=[body(entry)])
    assert mirror.body(digest) is None
    assert not mirror.holds(digest)
    assert mirror.has(digest)  # nobody is to wait for it
    assert mirror.holders(digest) == stanza_kids(entry.body)
    assert list(mirror.bodies()) == []


def test_what_was_erased_before_it_came_here_has_holders_and_no_body(mirror, maker):
    entry = maker.notice()
    digest, kids = entry.record.body_digest, stanza_kids(entry.body)
    assert mirror.untouched
    with mirror.lock:
        mirror.forget([(digest, 5, kids)])
    assert mirror.has(digest)
    take(mirror, records=[read(0, entry)], bodies=[body(entry)], next={LEDGER: 1})
    assert (mirror.body(digest), mirror.holders(digest), mirror.holds(digest)) == (None, kids, False)
    assert not mirror.untouched


def test_its_bytes_are_gone_from_the_file(tmp_path, maker):
    entry = maker.notice(filler=4000)
    with closing(Mirror(tmp_path / "mirror.sqlite", ORIGIN)) as mirror:
        take(mirror, records=[read(0, entry)], bodies=[body(entry)])
        with mirror.lock:
            mirror.erase([entry.record.body_digest])
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert entry.body[-200:] not in held


def test_bodies_that_no_record_names_are_found_by_their_age(mirror, maker):
    alone, named = maker.notice(), maker.notice()
    take(mirror, bodies=[body(alone, at=5), body(named, at=5)], records=[read(0, named)])
    with mirror.lock:
        assert mirror.alone(5) == []
        found = mirror.alone(6)
    assert found == [(alone.record.body_digest, TOPIC, statement_digest(alone.record.document))]


def test_what_a_record_names_is_not_dropped(mirror, maker):
    alone, named = maker.notice(), maker.notice()
    take(mirror, bodies=[body(alone), body(named)], records=[read(0, named)])
    with mirror.lock:
        mirror.drop([alone.record.body_digest, named.record.body_digest])
    assert mirror.body(named.record.body_digest) == named.body
    assert not mirror.has(alone.record.body_digest)
    take(mirror, bodies=[body(alone)])
    assert mirror.body(alone.record.body_digest) == alone.body


def test_a_body_is_missing_until_it_comes_or_is_erased(mirror, maker):
    late, lost, whole = (maker.notice() for _ in range(3))
    take(mirror, bodies=[body(whole)], records=[read(n, one) for n, one in enumerate((late, lost, whole))])
    assert mirror.missing() == 2
    take(mirror, bodies=[body(late)])
    assert mirror.missing() == 1
    with mirror.lock:
        mirror.erase([lost.record.body_digest])
    assert mirror.missing() == 0


def test_a_reader_sees_what_was_written(mirror, maker):
    with closing(mirror.reader()) as reader:
        entry = maker.notice()
        take(mirror, records=[read(0, entry)])
        assert reader.read(0, 1) == [(0, entry.record)]
        assert reader.holds(entry.record.body_digest)
        assert not reader.holds(bytes(32))


@pytest.mark.parametrize("how", ["origin", "version", "kind", "damage"])
def test_another_file_is_made_anew(tmp_path, maker, how):
    path = tmp_path / "mirror.sqlite"
    with closing(Mirror(path, ORIGIN)) as mirror:
        assert mirror.new
        take(mirror, records=[read(0, maker.notice())])
    with closing(Mirror(path, ORIGIN)) as mirror:
        assert (mirror.new, mirror.length()) == (True, 1)  # nobody was told of it: an instance that failed to start
        with mirror.lock:
            mirror.filled()
        assert not mirror.new
    with closing(Mirror(path, ORIGIN)) as mirror:
        assert (mirror.new, mirror.length()) == (False, 1)
        with mirror.lock:
            mirror.filled()
    if how == "damage":
        path.write_bytes(b"not a database at all" * 1000)
    elif how != "origin":
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA user_version=99" if how == "version" else "PRAGMA application_id=1")
            db.commit()
    with closing(Mirror(path, "test.invalid/another" if how == "origin" else ORIGIN)) as mirror:
        assert (mirror.new, mirror.length(), mirror.next(LEDGER)) == (True, 0, 0)


def test_one_process_at_a_time(mirror, tmp_path):
    with pytest.raises(LedgerUnavailableError):
        Mirror(tmp_path / "mirror.sqlite", ORIGIN)


def test_a_file_that_cannot_be_used_is_left_to_others(tmp_path, monkeypatch):
    path = tmp_path / "mirror.sqlite"
    with monkeypatch.context() as patched:
        patched.setattr("broker.ledger.kafka.mirror._SCHEMA", ("nonsense",))
        with pytest.raises(LedgerUnavailableError):
            Mirror(path, ORIGIN)
    Mirror(path, ORIGIN).close()
