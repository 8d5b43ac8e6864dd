"""Where an instance's checkpoints come from: its own signer, or another's, held against its own tree."""

import time
from types import SimpleNamespace

import pytest

from broker.checkpoints import PublishedCheckpoints, TakenCheckpoints, demand_signed
from broker.clock import boot_seconds
from broker.ledger.kafka.store import KafkaLedger
from broker.ledger.port import LedgerUnavailableError, Told
from broker.ledger.signer import CheckpointSigner, SignerError
from keys.log.merkle import root_of
from keys.log.note import LogSigner, sign_checkpoint, verify_checkpoint
from schemas.ids import origin

LOG = LogSigner.generate(origin("test.invalid/checkpoints"))
NOW = 1_800_000_000
LEAVES = [b"%d" % number for number in range(20)]


def root(size):
    return root_of(LEAVES[:size])


def other_root(size):
    return root_of([b"other", *LEAVES][:size])


class Store:
    """What instances share: the newest checkpoint, and how often everything was read."""

    def __init__(self):
        self.newest = None
        self.refreshed = 0
        self.trouble = ()

    def refresh(self):
        self.refreshed += 1

    def troubles(self):
        return self.trouble

    def told(self):
        return self.newest

    def tell(self, note):
        self.newest = Told(note, own=True)


def by_another(size, at=NOW, of=root):
    return Told(sign_checkpoint(LOG, size, of(size), at=at), own=False)


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def published(store, tmp_path):
    signer = CheckpointSigner(LOG, tmp_path / "signer")
    yield PublishedCheckpoints(signer, store, store, LOG.keys)
    signer.close()


@pytest.fixture
def taken(store):
    return TakenCheckpoints(store, LOG.keys)


def test_what_the_signer_signs_is_published(store, published):
    signed = published.newest(5, root, NOW)
    assert (signed.note, signed.size) == (store.newest.note, 5)
    assert verify_checkpoint(signed.note, LOG.keys).root == root(5)
    assert published.newest(6, root, NOW).size == 6


def test_everything_is_read_before_anything_is_signed_and_troubles_forbid_it(store, published):
    published.prepare()
    published.prepare()
    assert store.refreshed == 1  # the store's word holds for a second
    store.trouble = ("the cluster does not answer",)
    with pytest.raises(LedgerUnavailableError):
        published.newest(5, root, NOW)


def test_another_signer_is_told_of_whatever_else_is_wrong(store, published):
    published.newest(5, root, NOW)
    store.newest, store.trouble = by_another(6), ("the clock differs from the cluster's",)
    with pytest.raises(SignerError):
        published.newest(6, root, NOW)


def test_a_signer_goes_on_from_where_another_one_ended(store, published):
    before = store.newest = by_another(5)
    assert published.newest(7, root, NOW).size == 7
    store.newest = before  # what it published itself has not come back yet
    assert published.newest(8, root, NOW).size == 8


def test_nothing_that_was_confirmed_before_the_machine_was_suspended_counts(store, published, monkeypatch):
    published.prepare()
    published.prepare()
    assert store.refreshed == 1
    beaten = SimpleNamespace(confirmed=boot_seconds())
    assert not KafkaLedger.stale.fget(beaten)
    real = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda clock: real(clock) + 300 * (clock == time.CLOCK_BOOTTIME))
    assert KafkaLedger.stale.fget(beaten)
    published.prepare()
    assert store.refreshed == 2


def test_two_signers_are_one_too_many(store, published):
    published.newest(5, root, NOW)
    store.newest = by_another(6)
    with pytest.raises(SignerError) as caught:
        published.newest(6, root, NOW)
    assert caught.value.alarm == "second-signer"


def test_a_ledger_that_ends_before_what_another_signed_is_not_signed(store, published):
    store.newest = by_another(9)
    assert published.newest(5, root, NOW) is None  # the rest may be on its way
    with pytest.raises(SignerError) as caught:
        published.newest(5, root, NOW)
    assert caught.value.alarm == "ledger-shorter"


def test_another_root_than_another_signed_is_not_signed(store, published):
    store.newest = by_another(5, of=other_root)
    with pytest.raises(SignerError) as caught:
        published.newest(7, root, NOW)
    assert caught.value.alarm == "root-differs"


def test_what_the_signer_published_is_taken_over_once_the_tree_has_it(store, taken):
    taken.prepare()
    assert not taken.due(NOW)
    assert taken.newest(5, root, NOW) is None
    store.newest = by_another(6)
    assert taken.due(NOW)
    assert taken.newest(5, root, NOW) is None
    assert taken.due(NOW)
    found = taken.newest(6, root, NOW)
    assert (found.note, found.size) == (store.newest.note, 6)
    assert not taken.due(NOW)
    assert taken.newest(7, root, NOW) is None


def test_another_root_is_not_taken_over(store, taken):
    store.newest = by_another(6, of=other_root)
    with pytest.raises(SignerError) as caught:
        taken.newest(8, root, NOW)
    assert caught.value.alarm == "root-differs"


# Starting


class Tree:
    """A view that has one more leaf each time it is told to keep up."""

    def __init__(self, size, grows, of=root):
        self.size, self.grows, self.root = size, grows, of

    def keep_up(self):
        self.size += self.grows


def demand(store, tree):
    demand_signed(store, tree, store, LOG.keys, within=0.05)


def test_nobody_begins_with_less_than_was_signed(store):
    demand(store, Tree(0, 0))  # nothing was
    store.newest = by_another(7)
    demand(store, Tree(7, 0))
    assert store.refreshed == 0
    demand(store, Tree(5, 1))  # it was still to be read
    assert store.refreshed == 2
    with pytest.raises(SignerError) as caught:
        demand(store, Tree(5, 0))
    assert caught.value.alarm == "ledger-shorter"
    with pytest.raises(SignerError) as caught:
        demand(store, Tree(9, 0, other_root))
    assert caught.value.alarm == "root-differs"


def test_an_old_checkpoint_of_a_signer_that_stood_still_is_not_taken_over(store, taken):
    store.newest = by_another(7)
    assert taken.newest(9, root, NOW).size == 7
    store.newest = by_another(6)
    assert taken.due(NOW)
    assert taken.newest(9, root, NOW) is None
    assert not taken.due(NOW)
    store.newest = by_another(5, of=other_root)  # but another root is one
    with pytest.raises(SignerError):
        taken.newest(9, root, NOW)
