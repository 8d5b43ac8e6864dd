"""Moving an embedded ledger into a real cluster, with interruptions, and what a fresh instance finds there afterwards."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from contextlib import closing

import pytest

from broker.app import SIGNER
from broker.init import LEDGER, PUBLIC, BrokerKeys
from broker.ledger.files import lock
from broker.ledger.fsck import Fault, fsck
from broker.ledger.kafka.store import KafkaLedger
from broker.ledger.port import Append, LedgerUnavailableError
from broker.ledger.signer import HEAD
from broker.ledger.sqlite import SqliteLedger
from broker.migrate import MARK, DamagedSourceError, ForeignTargetError, Moved
from broker.moving import MIRROR, move_ledger
from broker.settings import ConfigurationError, Kafka, Settings
from broker.shared import open_ledger
from keys.custody import durable
from keys.frame import new_frame_key
from schemas import checkpoint as checkpoints
from schemas.checkpoint import Checkpoint
from schemas.statement import Statement
from tests.cluster import clear
from tests.unit.broker.ledger.made_records import ORIGIN, START, Maker
from tests.unit.broker.test_migrate import demand_same, fill

TOPIC = "central-asia.seizures"


@pytest.fixture(scope="module")
def public():
    return BrokerKeys.generate(ORIGIN).public.encode()


@pytest.fixture
def instance(kafka, tmp_path, public):
    """Return a function that makes a new folder, and settings of the instance that signs, where nothing else is said."""
    frame_keys = tmp_path / "frame.keys"
    durable.write(frame_keys, new_frame_key())
    numbers = itertools.count()

    def make(**changes):
        state = tmp_path / f"instance-{next(numbers)}"
        durable.make_folder(state)
        durable.write(state / PUBLIC, public)
        own = {"bootstrap": kafka.bootstrap, "instance": "signer", "signer": True, "replication": 1}
        return Settings(
            state=state, origin=ORIGIN, demo=True, kafka=Kafka(**{**own, "frame_keys": frame_keys, **changes})
        )

    yield make
    asyncio.run(clear(kafka))


@pytest.fixture
def source(tmp_path):
    """Make a ledger with everything in it: sealed and open statements, events, erased bodies, objects, decisions."""
    maker = Maker(3)
    entries = [maker.next_directory(), *(maker.notice(topic=TOPIC) for _ in range(20))]
    ids = [Statement.parse(entry.record.document).notice_id for entry in entries[1:]]
    entries += [maker.subscribe("de/police", "*.*"), maker.next_boundary()]
    entries += [maker.erasure(notice) for notice in ids[:5]]
    entries += [maker.notice(topic=TOPIC) for _ in range(20)]
    entries += [maker.day("2026-01-01"), *(maker.notice("acknowledge") for _ in range(3))]
    path = tmp_path / LEDGER
    with closing(SqliteLedger(path, ORIGIN)) as ledger:
        fill(ledger, maker, entries, repeated={4, 25})
    return path


def demand_moved(source, settings):
    """Demand that an instance whose mirror is empty finds all that the source has; return its ledger's checked tree."""
    with closing(SqliteLedger(source, ORIGIN)) as ours, closing(open_ledger(settings, ORIGIN)) as theirs:
        theirs.refresh()
        until = time.monotonic() + 30
        while theirs.behind:
            assert time.monotonic() < until
            time.sleep(0.05)
        demand_same(ours, theirs)
        assert theirs.object(MARK) is not None
        report = fsck(theirs, now_ms=START)
        assert {finding.fault for finding in report.findings} <= {Fault.OBJECT_MISSING, Fault.DAY_DIGEST}, "made up"
        return report.leaves, report.root


def sign(settings, leaves, root):
    """Put into an instance's folder what it would have signed last."""
    durable.make_folder(settings.state / SIGNER)
    durable.write(settings.state / SIGNER / HEAD, checkpoints.encode(Checkpoint(ORIGIN, leaves, root)))


def cut_off(monkeypatch):
    """Have every step fail behind its records."""
    take = KafkaLedger.take

    def failing(self: KafkaLedger, moved: Sequence[Moved]) -> None:
        take(self, moved)
        raise LedgerUnavailableError("The answer was lost.")

    monkeypatch.setattr(KafkaLedger, "take", failing)


def test_a_ledger_moves_into_a_cluster_and_every_instance_finds_it_there(instance, source, monkeypatch):
    monkeypatch.setattr("broker.migrate.BATCH", 10)
    first = instance()
    with monkeypatch.context() as patched:
        cut_off(patched)
        for _ in range(2):
            with pytest.raises(LedgerUnavailableError):
                move_ledger(first, source)
    settings, heard = instance(), []  # another machine goes on, whose mirror is empty
    move = move_ledger(settings, source, lambda *told: heard.append(told))
    assert (move.added, move.records, move.erased) == (34, 54, 5)
    assert heard[-1] == (54, 54)
    assert demand_moved(source, instance()) == (move.leaves, move.root)
    sign(settings, move.leaves, move.root)
    assert move_ledger(settings, source).added == 0
    with closing(open_ledger(instance(), ORIGIN)) as living:
        living.append(Append((Maker(9).notice(topic=TOPIC),)))
    assert move_ledger(settings, source).added == 0, "what lives is left alone"
    with closing(SqliteLedger(source, ORIGIN)) as ours:
        ours.append(Append((Maker(10).notice(topic=TOPIC),)))
    with pytest.raises(ForeignTargetError, match="record 54"):
        move_ledger(settings, source)


def test_a_mirror_fills_a_cluster_that_was_lost(kafka, instance, source):
    old = instance()
    move = move_ledger(old, source)
    asyncio.run(clear(kafka))
    new = instance()
    sign(new, move.leaves + 1, move.root)
    with pytest.raises(DamagedSourceError, match="signed"):
        move_ledger(new, old.state / MIRROR)
    sign(new, move.leaves, move.root)
    again = move_ledger(new, old.state / MIRROR)
    assert (again.leaves, again.root, again.bodies, again.erased) == (move.leaves, move.root, move.bodies, move.erased)
    assert demand_moved(source, instance()) == (move.leaves, move.root)


def test_a_move_that_was_cut_off_before_there_were_topics_begins_again(instance, source, monkeypatch):
    settings = instance()

    def cut_off(*_, **__):
        raise LedgerUnavailableError("Away.")

    with monkeypatch.context() as patched:
        patched.setattr("broker.ledger.kafka.store.prepare", cut_off)
        with pytest.raises(LedgerUnavailableError):
            move_ledger(settings, source)
    assert (settings.state / MIRROR).exists()
    assert move_ledger(settings, source).added == 54


def test_a_mirror_that_was_cut_off_while_it_was_made_is_made_anew(instance, source):
    settings = instance()
    (settings.state / MIRROR).touch()
    assert move_ledger(settings, source).added == 54
    assert move_ledger(settings, source).added == 0


def test_a_source_that_a_broker_has_open_is_left_alone(instance, source, monkeypatch):
    monkeypatch.setattr(KafkaLedger, "__init__", None)  # nobody gets as far
    lock(source.with_name(f"{source.name}.lock"))
    with pytest.raises(LedgerUnavailableError, match="open"):
        move_ledger(instance(), source)


def test_only_who_signs_moves(instance, source):
    with pytest.raises(ConfigurationError) as caught:
        move_ledger(instance(signer=False), source)
    assert caught.value.pointer == "/kafka/signer"
    with closing(open_ledger(instance(instance="other"), ORIGIN)), pytest.raises(ConfigurationError) as caught:
        move_ledger(instance(), source)
    assert caught.value.pointer == "/kafka/signer"


def test_there_must_be_something_to_move_and_somewhere_to_move_it(instance, source, public):
    for settings in (
        instance(),
        instance(bootstrap=None),
        instance().model_copy(update={"origin": "test.invalid/other"}),
    ):
        file = source if settings.kafka.bootstrap is None or settings.origin != ORIGIN else None
        with pytest.raises(ConfigurationError):
            move_ledger(settings, file)
