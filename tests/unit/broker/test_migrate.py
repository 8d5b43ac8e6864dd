"""Moving a ledger: same leaves and roots, key ids of what is erased too, from any interruption on, and into nothing else."""

from contextlib import closing
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import migrate as migrating
from broker.ledger.database import transaction
from broker.ledger.fsck import Fault, fsck
from broker.ledger.port import Append, Decision, LedgerUnavailableError
from broker.ledger.sqlite import SqliteLedger
from broker.migrate import MARK, DamagedSourceError, ForeignTargetError, migrate
from keys.log.merkle import EMPTY_ROOT
from schemas.checkpoint import Checkpoint
from schemas.event import Erasure, Event
from schemas.leaf import LeafType
from schemas.statement import Statement
from tests.unit.broker.ledger import made_records
from tests.unit.broker.ledger.made_records import ORIGIN, Maker

STEP = 4


class Taking(SqliteLedger):
    """An embedded ledger as a target: what it takes is one transaction."""

    def take(self, moved):
        at = self.length()
        self._next = None
        with transaction(self._db):
            self._db.executemany(
                "INSERT INTO records (position, leaf, document, proof, body_digest, directory, boundary)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (number, one.leaf.encode(), one.document, one.proof, one.body_digest, one.directory, one.boundary)
                    for number, one in enumerate((one.record for one in moved), at)
                ],
            )
            self._db.executemany(
                "INSERT INTO bodies (digest, since, kids, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [
                    (one.record.body_digest, one.record.leaf.received_at, "".join(one.holders), one.body)
                    for one in moved
                    if one.record.body_digest is not None
                ],
            )


class Failing(Taking):
    """A target whose steps fail as those of a cluster do; `faults` says how each step of it goes."""

    def __init__(self, path, origin, faults):
        super().__init__(path, origin)
        self._db.execute("PRAGMA synchronous=OFF")  # interruptions here are of the program, not of the machine
        self.faults = faults

    def _step(self, do, parts=()):
        match next(self.faults, None):
            case "before":
                raise LedgerUnavailableError("Nothing was done.")
            case "after":
                do()
                raise LedgerUnavailableError("It was done, and nobody heard.")
            case "part" if parts:
                parts[0]()
                raise LedgerUnavailableError("Some of it was done.")
            case "twice" if parts:
                do()
                do()
            case "part twice" if parts:
                parts[0]()
                do()
            case _:
                do()

    def append(self, append):
        self._step(lambda: SqliteLedger.append(self, append))

    def erase(self, digests):
        self._step(lambda: SqliteLedger.erase(self, digests))

    def take(self, moved):
        some = moved[: (len(moved) + 1) // 2]
        self._step(lambda: Taking.take(self, moved), (lambda: Taking.take(self, some),))


FAULTS = st.sampled_from(["before", "after", "part", "twice", "part twice", None, None])


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    monkeypatch.setattr(migrating, "BATCH", STEP)
    monkeypatch.setattr(migrating, "BATCH_BYTES", 3000)
    monkeypatch.setattr(migrating, "DOUBLES", 2 * STEP)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return a function that makes a new folder for each ledger."""
    numbers = count()
    base = tmp_path_factory.mktemp("ledgers")

    def new():
        folder = base / str(next(numbers))
        folder.mkdir()
        return folder

    return new


def fill(ledger, maker, entries, repeated=()):
    """Put entries into a ledger as an instance does: erase what erasures name, append some of them again."""
    digests = {}
    for number, entry in enumerate(entries):
        ledger.append(
            Append(
                (entry,),
                {f"metadata/{number % 3}.json": b"%d" % number, "held/x": b"{}"},
                (Decision(f"2026-01-{1 + number % 3:02}", b"%d" % number),),
            )
        )
        if number in repeated:
            ledger.append(Append((entry,)))
        if entry.record.leaf.type is LeafType.SEALED:
            digests[Statement.parse(entry.record.document).notice_id] = entry.record.body_digest
        if entry.record.leaf.type is LeafType.ERASURE:
            what = Event.parse(entry.record.document).what
            assert isinstance(what, Erasure)
            ledger.erase([digests[what.notice_id]])


def demand_same(source, target, *, doubles=False):
    """Demand that two ledgers answer everything alike."""
    ours, theirs = ([record for _, record in ledger.read(0, 10_000)] for ledger in (source, target))
    if doubles:
        assert [one for at, one in enumerate(theirs) if one not in theirs[:at]] == [
            one for at, one in enumerate(ours) if one not in ours[:at]
        ]
    else:
        assert theirs == ours
    assert set(target.bodies()) == set(source.bodies())
    for record in ours:
        if record.body_digest is not None:
            assert target.body(record.body_digest) == source.body(record.body_digest)
            assert target.holders(record.body_digest) == source.holders(record.body_digest)
    assert [name for name in target.object_names() if name != MARK] == source.object_names()
    assert all(target.object(name) == source.object(name) for name in source.object_names())
    assert target.decision_days() == source.decision_days()
    assert all(target.decisions(day) == source.decisions(day) for day in source.decision_days())


def root_of(ledger):
    report = fsck(ledger, now_ms=made_records.START)
    assert {finding.fault for finding in report.findings} <= {Fault.OBJECT_MISSING, Fault.DAY_DIGEST}, "made up"
    return report.leaves, report.root


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    size=st.integers(0, 24),
    repeated=st.sets(st.integers(0, 23), max_size=3),
    faults=st.lists(FAULTS, max_size=25),
)
def test_it_goes_on_from_any_interruption(folders, seed, size, repeated, faults):
    maker = Maker(seed)
    with closing(SqliteLedger(folders() / "l", ORIGIN)) as source:
        source._db.execute("PRAGMA synchronous=OFF")
        fill(source, maker, made_records.random_entries(maker, size), repeated)
        going, place = iter(faults), folders() / "l"
        while True:
            with closing(Failing(place, ORIGIN, going)) as target:
                try:
                    move = migrate(source, target)
                except LedgerUnavailableError:
                    continue
                demand_same(source, target, doubles=True)
                assert (move.leaves, move.root) == root_of(source) == root_of(target)
                assert move.records == source.length()
                assert migrate(source, target).added == 0
                break


def test_a_move_is_told_and_marked(folders):
    maker, heard = Maker(), []
    entries = made_records.random_entries(maker, 20)
    with closing(SqliteLedger(folders() / "l", ORIGIN)) as source, closing(Taking(folders() / "l", ORIGIN)) as target:
        fill(source, maker, entries)
        leaves, root = root_of(source)
        move = migrate(source, target, head=Checkpoint(ORIGIN, leaves, root), progress=lambda *told: heard.append(told))
        demand_same(source, target)
        assert (move.records, move.leaves, move.root, move.added) == (20, leaves, root, 20)
        gone = sum(1 for entry in entries if entry.record.leaf.type is LeafType.ERASURE)
        assert gone
        assert move.erased == gone
        assert move.bodies - gone == len(list(source.bodies()))
        assert heard[-1] == (20, 20)
        assert heard == sorted(heard)
        assert target.object(MARK) is not None


def test_an_empty_ledger_moves(folders):
    with closing(SqliteLedger(folders() / "l", ORIGIN)) as source, closing(Taking(folders() / "l", ORIGIN)) as target:
        assert migrate(source, target, head=Checkpoint(ORIGIN, 0, EMPTY_ROOT)).records == 0


@pytest.fixture
def pair(folders):
    """Return a source of some twenty records, and an empty target."""
    maker = Maker(7)
    with closing(SqliteLedger(folders() / "l", ORIGIN)) as source, closing(Taking(folders() / "l", ORIGIN)) as target:
        fill(source, maker, [maker.next_directory(), *(maker.notice() for _ in range(12))])
        yield source, target, maker


def interrupt(source, target, steps, monkeypatch):
    """Move some steps' worth of records, then fail."""
    left = [None] * steps

    def take(moved):
        if not left:
            raise LedgerUnavailableError("Away.")
        left.pop()
        Taking.take(target, moved)

    with monkeypatch.context() as patched:
        patched.setattr(target, "take", take)
        with pytest.raises(LedgerUnavailableError):
            migrate(source, target)
    assert 0 < target.length() < source.length()


def contents(ledger):
    return (
        ledger.read(0, 1000),
        set(ledger.bodies()),
        {name: ledger.object(name) for name in ledger.object_names()},
        {day: ledger.decisions(day) for day in ledger.decision_days()},
    )


def refused(source, target, match="", **more):
    before = contents(target)
    with pytest.raises(ForeignTargetError, match=match) as caught:
        migrate(source, target, **more)
    assert contents(target) == before, "nothing is written"
    assert caught.value.code == "conflict"


def test_another_origin_is_refused(pair, folders):
    with closing(Taking(folders() / "l", "test.invalid/other")) as other:
        refused(pair[0], other, "origin")


def test_a_target_with_another_record_is_refused(pair):
    source, target, maker = pair
    target.append(Append((maker.notice(),)))
    refused(source, target, "record 0")


def test_a_target_that_has_gone_on_before_it_was_complete_is_refused(pair, monkeypatch):
    source, target, maker = pair
    interrupt(source, target, 2, monkeypatch)
    target.append(Append((maker.notice(),)))
    refused(source, target, "record")


def test_a_target_with_another_object_is_refused(pair):
    source, target, _ = pair
    target.append(Append(objects={"metadata/other": b""}))
    refused(source, target, "1 objects")


def test_a_target_with_other_decisions_is_refused(pair):
    source, target, _ = pair
    target.append(Append(decisions=(Decision("2026-01-02", b"other"),)))
    refused(source, target, "2026-01-02")


def test_a_target_with_decisions_of_another_day_is_refused(pair):
    source, target, _ = pair
    target.append(Append(decisions=(Decision("2025-01-02", b"other"),)))
    refused(source, target, "2025-01-02")


def test_a_complete_target_may_have_gone_on(pair):
    source, target, maker = pair
    migrate(source, target)
    target.append(
        Append((maker.notice(),), {"metadata/0.json": b"newer", "held/y": b""}, (Decision("2026-02-01", b"x"),))
    )
    target.erase([next(iter(source.bodies())).digest])
    before = contents(target)
    move = migrate(source, target)
    assert (move.added, move.records) == (0, source.length())
    assert contents(target) == before, "what lives is left alone"


def test_a_complete_target_and_a_source_that_went_on_are_two_ledgers(pair):
    source, target, maker = pair
    migrate(source, target)
    source.append(Append((maker.notice(),)))
    refused(source, target, "gone on")


def test_a_source_that_went_on_between_two_runs_is_followed(pair, monkeypatch):
    source, target, maker = pair
    interrupt(source, target, 2, monkeypatch)
    moved = next(iter(target.bodies())).digest
    source.append(Append((maker.notice(),), {"metadata/0.json": b"newer"}, (Decision("2026-02-01", b"x"),)))
    source.erase([moved])
    move = migrate(source, target)
    demand_same(source, target)
    assert (move.erased, target.body(moved)) == (1, None)


def test_a_target_that_was_moved_into_can_be_moved_on(pair, folders):
    source, target, maker = pair
    migrate(source, target)
    target.append(Append((maker.notice(),)))
    with closing(Failing(folders() / "l", ORIGIN, iter(["after"]))) as third:
        with pytest.raises(LedgerUnavailableError):
            migrate(target, third)
        assert third.object(MARK) is None, "a mark that was carried over would end the move"
        assert migrate(target, third).added == 14
        assert third.object(MARK) != target.object(MARK)


@pytest.mark.parametrize("size", [-1, 1])
def test_a_source_that_was_not_signed_is_refused(pair, size):
    source, target, _ = pair
    leaves, root = root_of(source)
    wrong = Checkpoint(ORIGIN, leaves + size, root)
    with pytest.raises(DamagedSourceError, match="signed"):
        migrate(source, target, head=wrong)
    assert target.length() == 0


def test_a_source_without_a_body_is_refused(pair):
    source, target, _ = pair
    source._db.execute("DELETE FROM bodies WHERE digest = ?", (next(iter(source.bodies())).digest,))
    with pytest.raises(DamagedSourceError, match="body"):
        migrate(source, target)


def test_a_source_with_another_body_is_refused(pair):
    source, target, _ = pair
    source._db.execute("UPDATE bodies SET body = 'x' WHERE digest = ?", (next(iter(source.bodies())).digest,))
    with pytest.raises(DamagedSourceError, match="body"):
        migrate(source, target)


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("UPDATE records SET proof = x'00' WHERE position = 2", "record 2"),
        ("DELETE FROM records WHERE position = 12", "tree"),
        ("UPDATE bodies SET body = NULL", "bodies"),
        ("UPDATE bodies SET kids = ''", "others"),
    ],
)
def test_what_did_not_arrive_is_not_marked(pair, monkeypatch, statement, match):
    source, target, _ = pair
    monkeypatch.setattr(
        Taking, "take", lambda self, moved, take=Taking.take: (take(self, moved), self._db.execute(statement))
    )
    with pytest.raises(ForeignTargetError, match=match):
        migrate(source, target)
    assert target.object(MARK) is None
