"""What every ledger must do, whichever store it is: the port's contract, one suite for all implementations."""

import threading
from dataclasses import replace

import pytest

from broker.ledger.port import Append, Decision, Entry, StoredBody
from broker.ledger.sqlite import SqliteLedger

STORES = {"sqlite": lambda folder, origin: SqliteLedger(folder / "ledger.sqlite", origin)}


@pytest.fixture(params=STORES)
def open_ledger(request, tmp_path, made):
    """Open the store of this test, as often as the test wants; what is still open is closed at the end."""
    opened = []

    def open_it():
        opened.append(STORES[request.param](tmp_path, made.ORIGIN))
        return opened[-1]

    yield open_it
    opened.pop().close()  # the earlier ones were closed to be opened again


@pytest.fixture
def ledger(open_ledger):
    return open_ledger()


@pytest.fixture
def reopen(open_ledger):
    """Close a ledger and open it again."""

    def again(ledger):
        ledger.close()
        return open_ledger()

    return again


def entries(maker, count):
    return tuple(maker.notice() for _ in range(count))


def records(ledger):
    return [record for _, record in ledger.read(0, 1000)]


def test_a_new_ledger_is_empty(ledger, made):
    assert ledger.origin == made.ORIGIN
    assert ledger.length() == 0
    assert ledger.read(0, 10) == []
    assert list(ledger.bodies()) == []
    assert ledger.object_names() == []
    assert ledger.decision_days() == []
    assert ledger.decisions("2026-01-01") == []
    assert ledger.object("a") is None
    assert ledger.body(bytes(32)) is None
    assert ledger.holders(bytes(32)) is None


def test_records_come_back_as_they_were_and_in_their_order(ledger, maker, made):
    first = tuple(made.random_entries(maker, 30))
    second = entries(maker, 2)
    start = ledger.append(Append(first))[0]
    after = ledger.append(Append(second))[0]
    assert after >= start + len(first)
    found = ledger.read(0, 1000)
    assert [record for _, record in found] == [entry.record for entry in (*first, *second)]
    positions = [position for position, _ in found]
    assert positions == sorted(set(positions))
    assert positions[0] == start
    assert positions[len(first)] == after
    assert ledger.length() == positions[-1] + 1


def test_reading_goes_on_where_it_stopped(ledger, maker):
    ledger.append(Append(entries(maker, 7)))
    found, position = [], 0
    while page := ledger.read(position, 3):
        assert len(page) <= 3
        found += page
        position = page[-1][0] + 1
    assert found == ledger.read(0, 100)
    assert ledger.read(ledger.length(), 10) == []


def test_bodies_are_found_by_digest(ledger, maker, made):
    (entry,) = entries(maker, 1)
    ledger.append(Append((entry, maker.next_directory())))
    assert ledger.body(entry.record.body_digest) == entry.body
    assert ledger.holds(entry.record.body_digest)
    assert not ledger.holds(bytes(32))
    assert ledger.holders(entry.record.body_digest) == tuple(sorted(map(made.kid_of, ("fr/customs", "de/police"))))
    asked = ledger.holders_of([bytes(32), entry.record.body_digest])
    assert asked == {entry.record.body_digest: ledger.holders(entry.record.body_digest)}
    assert list(ledger.bodies()) == [StoredBody(entry.record.body_digest, entry.record.leaf.received_at)]


def test_everything_survives_reopening(ledger, reopen, maker):
    batch = entries(maker, 3)
    ledger.append(Append(batch, {"metadata/1.json": b"one"}, (Decision("2026-01-01", b"{}"),)))
    ledger = reopen(ledger)
    assert records(ledger) == [entry.record for entry in batch]
    assert ledger.body(batch[1].record.body_digest) == batch[1].body
    assert ledger.object("metadata/1.json") == b"one"
    assert ledger.decisions("2026-01-01") == [b"{}"]
    (more,) = entries(maker, 1)
    ledger.append(Append((more,)))
    assert records(ledger)[-1] == more.record


def test_objects_are_replaced_and_listed(ledger):
    ledger.append(Append(objects={"metadata/b": b"1", "metadata/a": b"2", "held/x": b"3", "metadat": b"4"}))
    ledger.append(Append(objects={"metadata/b": b"5"}))
    assert ledger.object("metadata/b") == b"5"
    assert ledger.object_names() == ["held/x", "metadat", "metadata/a", "metadata/b"]
    assert ledger.object_names("metadata/") == ["metadata/a", "metadata/b"]
    assert ledger.object_names("%") == []


def test_decisions_are_kept_by_day_and_in_order(ledger):
    first = (Decision("2026-01-02", b'{"n":1}'), Decision("2026-01-01", b'{"n":2}'), Decision("2026-01-02", b'{"n":3}'))
    ledger.append(Append(decisions=first))
    ledger.append(Append(decisions=(Decision("2026-01-02", b'{"n":1}'),)))
    assert ledger.decisions("2026-01-02") == [b'{"n":1}', b'{"n":3}', b'{"n":1}']
    assert ledger.decision_days() == ["2026-01-01", "2026-01-02"]


def test_appending_without_entries_says_where_the_next_would_be(ledger, maker):
    assert ledger.append(Append()) == ()
    assert ledger.length() == 0
    ledger.append(Append(entries(maker, 2)))
    assert ledger.append(Append(objects={"a": b"1"})) == ()
    assert ledger.changed() == []


def test_an_append_is_begun_and_then_finished(ledger, maker):
    batch = entries(maker, 2)
    begun = ledger.begin(Append(batch, {"a": b"1"}))
    assert records(ledger) == []
    places = begun.finish()
    assert [dict(ledger.read(0, 100))[place] for place in places] == [entry.record for entry in batch]
    assert ledger.object("a") == b"1"


def test_an_append_is_all_or_nothing(ledger, maker):
    good = entries(maker, 1)
    ledger.append(Append(good))
    bad = maker.entry_of(maker.statement(), body=b'{"recipients":[]}')
    with pytest.raises(Exception, match="stanzas"):
        ledger.append(Append((*entries(maker, 2), bad), {"a": b"1"}, (Decision("2026-01-01", b"{}"),)))
    assert records(ledger) == [good[0].record]
    assert ledger.length() == ledger.read(0, 10)[-1][0] + 1
    assert ledger.object_names() == []
    assert ledger.decision_days() == []
    assert len(list(ledger.bodies())) == 1
    more = entries(maker, 1)
    ledger.append(Append(more))
    assert records(ledger) == [good[0].record, more[0].record]


def test_erased_bodies_are_gone_and_their_holders_are_not(ledger, reopen, maker):
    kept, gone = entries(maker, 2)
    ledger.append(Append((kept, gone)))
    holders = ledger.holders(gone.record.body_digest)
    ledger.erase([gone.record.body_digest, bytes(32)])
    ledger.erase([gone.record.body_digest])
    ledger.erase([])
    for again in (False, True):
        ledger = reopen(ledger) if again else ledger
        assert ledger.body(gone.record.body_digest) is None
        assert ledger.holders(gone.record.body_digest) == holders
        assert ledger.body(kept.record.body_digest) == kept.body
        assert [item.digest for item in ledger.bodies()] == [kept.record.body_digest]
        assert len(records(ledger)) == 2


def test_a_body_that_was_erased_does_not_come_back_with_a_double(ledger, maker):
    (entry,) = entries(maker, 1)
    ledger.append(Append((entry, entry)))
    assert len(list(ledger.bodies())) == 1
    ledger.erase([entry.record.body_digest])
    ledger.append(Append((entry,)))
    assert ledger.body(entry.record.body_digest) is None
    assert len(records(ledger)) == 3


def test_a_reader_in_another_thread_sees_what_was_appended(ledger, maker):
    reader = ledger.reader()
    seen = []

    def read():
        seen.append((reader.length(), reader.read(0, 10), reader.origin))

    try:
        batch = entries(maker, 2)
        ledger.append(Append(batch, {"a": b"1"}, (Decision("2026-01-01", b"{}"),)))
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        assert seen == [(ledger.length(), ledger.read(0, 10), ledger.origin)]
        assert reader.body(batch[0].record.body_digest) == batch[0].body
        assert reader.holders(batch[0].record.body_digest) == ledger.holders(batch[0].record.body_digest)
        assert reader.object("a") == b"1"
        assert reader.object_names() == ["a"]
        assert reader.decisions("2026-01-01") == [b"{}"]
        assert reader.decision_days() == ["2026-01-01"]
        assert list(reader.bodies()) == list(ledger.bodies())
    finally:
        reader.close()


def test_readers_read_while_the_ledger_grows(ledger, maker):
    batches = [entries(maker, 5) for _ in range(20)]
    stop, lengths, failures = threading.Event(), [], []

    def read():
        reader = ledger.reader()
        try:
            while not stop.is_set():
                found = reader.read(0, 1000)
                lengths.append(len(found))
                assert len(found) % 5 == 0  # never a part of an append
                assert all(reader.body(record.body_digest) is not None for _, record in found[-5:])
        except BaseException as error:
            failures.append(error)
        finally:
            reader.close()

    thread = threading.Thread(target=read)
    thread.start()
    for batch in batches:
        ledger.append(Append(batch))
    stop.set()
    thread.join()
    assert not failures
    assert lengths == sorted(lengths)


def test_an_entry_names_its_body_or_has_none(maker):
    (entry,) = entries(maker, 1)
    with pytest.raises(ValueError, match="digest"):
        Entry(entry.record, None)
    with pytest.raises(ValueError, match="digest"):
        Entry(replace(entry.record, body_digest=None), entry.body)
