"""Checking a ledger: a sound one has no findings, and each thing that can be wrong is named."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.ledger.fold import Reason
from broker.ledger.fsck import ORPHAN_MS, Fault, Finding, Report, fsck
from broker.ledger.port import Append, Decision, snapshot_object
from broker.ledger.sqlite import SqliteLedger
from keys import digests
from keys.log.merkle import root_of
from keys.log.note import LogSigner, sign_checkpoint
from schemas.checkpoint import Checkpoint
from schemas.leaf import Leaf
from schemas.statement import Statement


@pytest.fixture
def ledger(tmp_path, made):
    store = SqliteLedger(tmp_path / "ledger.sqlite", made.ORIGIN)
    yield store
    store.close()


@pytest.fixture(scope="module")
def log(made):
    return LogSigner.generate(made.ORIGIN)


def fill(ledger, maker, made, count=30):
    """Append a sound ledger of several kinds of records and return their entries."""
    entries = made.random_entries(maker, count)
    snapshots = {snapshot_object(n): b"snapshot %d" % n for n in range(1, maker.directory + 1)}
    ledger.append(Append(tuple(entries), snapshots))
    digest_of = {
        Statement.parse(entry.record.document).notice_id: entry.record.body_digest
        for entry in entries
        if entry.record.proof
    }
    gone = [made.Event.parse(entry.record.document).what for entry in entries if entry.record.leaf.type == 6]
    ledger.erase([digest_of[what.notice_id] for what in gone])
    return entries


def check(ledger, maker, **named):
    return fsck(ledger, now_ms=maker.now, **named)


def faults(report):
    return [finding.fault for finding in report.findings]


def change(ledger, query, *values):
    assert ledger._db.execute(query, values).rowcount > 0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_sound_ledger_has_no_findings(tmp_path_factory, made, log, seed):
    maker = made.Maker(seed)
    ledger = SqliteLedger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite", made.ORIGIN)
    entries = fill(ledger, maker, made)
    leaves = [entry.record.leaf.encode() for entry in entries]
    root = root_of(leaves)
    ledger.append(Append((entries[0], entries[-1])))  # doubles fold away
    size = maker.random.randrange(len(leaves) + 1)
    part = root_of(leaves[:size])
    done = []
    report = check(
        ledger,
        maker,
        checkpoint=sign_checkpoint(log, size, part, at=1),
        log_keys=log.keys,
        head=Checkpoint(made.ORIGIN, len(leaves), root),
        view=Tree(size, part),
        progress=lambda *at: done.append(at),
    )
    ledger.close()
    assert report == Report(len(leaves) + 2, len(leaves), root, report.skipped, ())
    assert sum(report.skipped.values()) == 2
    assert done == [(len(leaves) + 2, len(leaves) + 2)]


class Tree:
    def __init__(self, size, root):
        self.size, self._root = size, root

    def root(self, size):
        assert size == self.size
        return self._root


def test_an_empty_ledger_is_sound(ledger, maker):
    report = check(ledger, maker)
    assert report == Report(0, 0, digests.sha256(b""), {}, ())


def test_a_checkpoint_is_not_checked_without_keys(ledger, maker):
    with pytest.raises(ValueError, match="keys"):
        check(ledger, maker, checkpoint=b"")


def test_trees_that_are_ahead_or_differ_are_named(ledger, maker, made, log):
    fill(ledger, maker, made, 5)
    ahead = sign_checkpoint(log, 6, bytes(32), at=1)
    head = Checkpoint(made.ORIGIN, 7, bytes(32))
    report = check(ledger, maker, checkpoint=ahead, log_keys=log.keys, head=head, view=Tree(8, bytes(32)))
    assert report.findings == (
        Finding(Fault.CHECKPOINT_AHEAD, "6"),
        Finding(Fault.HEAD_AHEAD, "7"),
        Finding(Fault.VIEW_AHEAD, "8"),
    )
    other = sign_checkpoint(log, 4, bytes(32), at=1)
    head = Checkpoint(made.ORIGIN, 5, bytes(32))
    report = check(ledger, maker, checkpoint=other, log_keys=log.keys, head=head, view=Tree(3, bytes(32)))
    assert report.findings == (
        Finding(Fault.CHECKPOINT_ROOT, "4"),
        Finding(Fault.HEAD_ROOT, "5"),
        Finding(Fault.VIEW_ROOT, "3"),
    )


def test_a_checkpoint_that_does_not_hold_is_named(ledger, maker, made, log):
    stranger = LogSigner.generate(made.ORIGIN)
    note = sign_checkpoint(stranger, 0, digests.sha256(b""), at=1)
    assert faults(check(ledger, maker, checkpoint=note, log_keys=log.keys)) == [Fault.CHECKPOINT_INVALID]


@pytest.mark.parametrize("column", ["document", "proof"])
def test_an_altered_record_is_named(ledger, maker, made, column):
    fill(ledger, maker, made)
    notice = maker.notice()
    position = ledger.append(Append((notice,)))[0]
    change(ledger, f"UPDATE records SET {column} = CAST({column} || ' ' AS BLOB) WHERE position = ?", position)
    report = check(ledger, maker)
    assert Finding(Fault.RECORD, str(position)) in report.findings
    assert report.skipped == {Reason.DIGEST: 1}


def test_a_record_that_nobody_appends_is_named(ledger, maker, made):
    good = maker.notice()
    document = good.record.document + b" "
    leaf = Leaf(good.record.leaf.type, maker.now, digests.statement_leaf(document, good.record.proof))
    unreadable = replace(good, record=replace(good.record, document=document, leaf=leaf))
    foreign = made.Maker(1, "test.invalid/other").next_directory()
    ledger.append(Append((unreadable, foreign)))
    report = check(ledger, maker)
    assert faults(report) == [Fault.RECORD, Fault.RECORD]
    assert report.skipped == {Reason.FORM: 1, Reason.ORIGIN: 1}


def test_a_removed_record_shows_in_the_roots(ledger, maker, made, log):
    entries = fill(ledger, maker, made)
    note = sign_checkpoint(log, 10, root_of([entry.record.leaf.encode() for entry in entries[:10]]), at=1)
    assert not check(ledger, maker, checkpoint=note, log_keys=log.keys).findings
    change(ledger, "DELETE FROM records WHERE position = 4")
    assert Fault.CHECKPOINT_ROOT in faults(check(ledger, maker, checkpoint=note, log_keys=log.keys))


def test_bodies_are_held_against_their_records(ledger, maker):
    entries = [maker.notice() for _ in range(6)]
    kept = maker.erasure(Statement.parse(entries[5].record.document).notice_id)
    ledger.append(Append((*entries, kept)))
    one, two, three, four, *_ = [entry.record.body_digest for entry in entries]
    change(ledger, "DELETE FROM bodies WHERE digest = ?", one)
    change(ledger, "UPDATE bodies SET body = NULL WHERE digest = ?", two)
    change(ledger, "UPDATE bodies SET body = CAST(body || ' ' AS BLOB) WHERE digest = ?", three)
    change(ledger, "UPDATE bodies SET kids = substr(kids, 1, 43) WHERE digest = ?", four)
    assert set(check(ledger, maker).findings) == {
        Finding(Fault.BODY_MISSING, "0"),
        Finding(Fault.BODY_LOST, "1"),
        Finding(Fault.BODY_DIGEST, "2"),
        Finding(Fault.BODY_HOLDERS, "3"),
        Finding(Fault.BODY_KEPT, "5"),
    }
    assert Fault.BODY_DIGEST not in faults(check(ledger, maker, full=False))


def test_a_body_without_stanzas_is_named(ledger, maker):
    notice = maker.notice()
    ledger.append(Append((notice,)))
    change(ledger, "UPDATE bodies SET body = x'7b7d', digest = ?", digests.sha256(b"{}"))
    change(ledger, "UPDATE records SET body_digest = ?", digests.sha256(b"{}"))
    assert faults(check(ledger, maker)) == [Fault.BODY_HOLDERS]


def test_a_body_without_a_record_is_named_after_an_hour(ledger, maker):
    notice = maker.notice()
    ledger.append(Append((notice,)))
    change(ledger, "DELETE FROM records")
    since = notice.record.leaf.received_at
    assert not fsck(ledger, now_ms=since + ORPHAN_MS).findings
    report = fsck(ledger, now_ms=since + ORPHAN_MS + 1)
    assert report.findings == (Finding(Fault.BODY_ORPHAN, notice.record.body_digest.hex()),)


def test_an_erasure_of_what_has_no_body_finds_nothing(ledger, maker):
    open_act = maker.subscribe("de/police", "*.*")
    ids = [Statement.parse(open_act.record.document).notice_id, maker.notice_id()]
    ledger.append(Append((open_act, *(maker.erasure(notice) for notice in ids))))
    assert not check(ledger, maker).findings


def test_snapshots_are_held_against_their_leaves(ledger, maker):
    ledger.append(Append((maker.next_directory(b"one"), maker.next_directory(b"two")), {snapshot_object(2): b"2"}))
    assert check(ledger, maker).findings == (Finding(Fault.OBJECT_MISSING, "1"), Finding(Fault.OBJECT_DIGEST, "2"))


@pytest.mark.parametrize("kept", [(b"1", b"2"), (b"2", b"1"), (b"1",), (), (b"1", b"2", b"3")])
def test_decisions_are_held_against_their_day(ledger, maker, kept):
    leaf = maker.day("2026-01-01", 2, root_of([b"1", b"2"]))
    ledger.append(Append((leaf,), {}, tuple(Decision("2026-01-01", data) for data in kept)))
    expected = [] if kept == (b"1", b"2") else [Fault.DAY_DIGEST]
    assert faults(check(ledger, maker)) == expected
