"""What became of a failed send is read from the topic: a record that arrived is not sent once more, one that did not is."""

from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.ledger.kafka.appender import Appender
from broker.ledger.kafka.frames import TopicFrames
from broker.ledger.kafka.loop import LoopThread
from broker.ledger.kafka.mirror import Batch, Mirror, ReadRecord
from broker.ledger.kafka.payloads import encode_record, parse_record
from broker.ledger.kafka.producer import Sent
from broker.ledger.kafka.topics import LEDGER
from broker.ledger.port import Append, LedgerUnavailableError
from keys.frame import FrameKeys, new_frame_key
from tests.unit.broker.ledger.made_records import ORIGIN, Maker

ACKNOWLEDGED, ARRIVED, LOST = "acknowledged", "arrived, and the answer did not", "lost"
FATES = st.lists(st.sampled_from([ACKNOWLEDGED, ARRIVED, LOST]), min_size=1, max_size=6)


class Cluster:
    """Producer, follower and topic in one: the ledger's records have the fates that come next, then all is well."""

    def __init__(self, mirror, keys, loop):
        self.mirror = mirror
        self.frames = TopicFrames(keys, LEDGER)
        self.ledger = []
        self.bodies = 0
        self.fates = []
        self.refreshed = 0
        self.appender = Appender(keys, mirror, mirror.reader(), self, self, loop, self.refresh)

    async def send(self, items, within):
        return [self._send(item) for item in items]

    def _send(self, item):
        if item.topic != LEDGER:
            self.bodies += 1
            return Sent(self.bodies - 1, 1)
        fate = self.fates.pop(0) if self.fates else ACKNOWLEDGED
        if fate != LOST:
            self.ledger.append(item)
        return Sent(len(self.ledger) - 1, 1) if fate == ACKNOWLEDGED else TimeoutError()

    def stranger(self, entry):
        """Let another instance append."""
        value = self.frames.sign(None, encode_record(entry.record, ()))
        self.ledger.append(type("Item", (), {"value": value})())

    def records(self):
        return [parse_record(self.frames.open(None, item.value)) for item in self.ledger]

    def refresh(self):
        """Bring all into the mirror."""
        self.refreshed += 1
        with self.mirror.lock:
            begin = self.mirror.next(LEDGER)
            new = [ReadRecord(at, *found) for at, found in enumerate(self.records()) if at >= begin]
            self.mirror.take(Batch(records=new, next={LEDGER: len(self.ledger)}))

    def hurry(self):
        """Read on, as the follower does once it is told to."""
        self.refresh()

    def pass_over(self, keys, *, alone):
        """Do nothing: nothing is fetched."""

    def append(self, entries):
        return self.appender.begin(Append(tuple(entries))).finish()


@pytest.fixture(scope="module")
def loop():
    made = LoopThread("test")
    yield made
    made.stop()


@pytest.fixture
def keys():
    return FrameKeys.parse(new_frame_key())


@pytest.fixture
def cluster(tmp_path, keys, loop):
    with closing(Mirror(tmp_path / "mirror.sqlite", ORIGIN)) as mirror:
        made = Cluster(mirror, keys, loop)
        yield made
        made.appender._reads.close()


def test_what_is_acknowledged_is_not_looked_for(cluster):
    entries = [Maker(1).notice() for _ in range(3)]
    assert cluster.append(entries) == (0, 1, 2)
    assert cluster.refreshed == 0
    assert [record for record, _ in cluster.records()] == [one.record for one in entries]


def test_what_arrived_without_an_answer_is_found_behind_what_others_append_and_not_sent_again(cluster):
    maker = Maker(2)
    cluster.append([maker.notice()])
    for _ in range(3):
        cluster.stranger(maker.notice())
    cluster.fates = [ARRIVED, ACKNOWLEDGED, ARRIVED]
    entries = [maker.notice() for _ in range(3)]
    assert cluster.append(entries) == (4, 5, 6)
    assert len(cluster.ledger) == 7
    assert cluster.refreshed >= 1


def test_what_did_not_arrive_is_sent_once_more_and_nothing_else(cluster):
    maker = Maker(3)
    cluster.fates = [ACKNOWLEDGED, LOST, ARRIVED]
    entries = [maker.notice() for _ in range(3)]
    assert cluster.append(entries) == (0, 2, 1)
    assert [record for record, _ in cluster.records()] == [entries[at].record for at in (0, 2, 1)]


def test_a_record_counts_as_its_own_only_with_its_leaf_and_its_document(cluster):
    """The same statement that another instance appended meanwhile has another leaf: it is not what was sent here."""
    entry = Maker(4).notice()
    leaf = replace(entry.record.leaf, received_at=entry.record.leaf.received_at + 5000)
    cluster.stranger(replace(entry, record=replace(entry.record, leaf=leaf)))
    cluster.fates = [LOST]
    assert cluster.append([entry]) == (1,)
    assert len(cluster.ledger) == 2


@pytest.mark.parametrize("fate", [ARRIVED, LOST])
def test_what_fails_twice_is_not_known_to_be_there(cluster, fate):
    cluster.fates = [LOST, fate]
    with pytest.raises(LedgerUnavailableError):
        cluster.append([Maker(5).notice()])


@settings(max_examples=40, deadline=None)
@given(fates=FATES, foreign=st.integers(0, 3))
def test_whatever_happens_to_them_each_is_in_the_ledger_once_where_it_is_said_to_be(
    tmp_path_factory, loop, fates, foreign
):
    with closing(Mirror(tmp_path_factory.mktemp("made") / "mirror.sqlite", ORIGIN)) as mirror:
        cluster, maker = Cluster(mirror, FrameKeys.parse(new_frame_key()), loop), Maker(6)
        for _ in range(foreign):
            cluster.stranger(maker.notice())
        entries = [maker.notice() for _ in fates]
        cluster.fates = list(fates)
        places = cluster.append(entries)
        records = [record for record, _ in cluster.records()]
        assert len(records) == foreign + len(entries)
        assert [records[place] for place in places] == [one.record for one in entries]
        cluster.appender._reads.close()


def test_what_must_keep_its_order_is_sent_again_from_the_first_that_is_missing(cluster):
    class Moved:
        def __init__(self, entry):
            self.record, self.body, self.holders = entry.record, entry.body, ()

    maker = Maker(7)
    moved = [Moved(maker.notice()) for _ in range(4)]
    cluster.fates = [ACKNOWLEDGED, LOST, ARRIVED, ACKNOWLEDGED]
    cluster.appender.take(moved)
    found = [record for record, _ in cluster.records()]
    assert found[-3:] == [one.record for one in moved[1:]]
    assert found[0] == moved[0].record
