"""The feed: each notice once under its number, held ones not, released ones again, whatever the page size."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.ledger.port import StorageFullError
from broker.view.feed import Offer
from broker.view.held import Held
from schemas.errors import FormError, MalformedError
from schemas.ids import matches
from schemas.leaf import LeafType
from schemas.rules.verdict import Determination, Effect
from schemas.statement import Statement

WHY = Determination(
    condition="no-nominal-data",
    layer="law",
    state="de",
    effect=Effect.DENY,
    instrument="Illustration Act",
    article="12(1)",
    reason={"en": "No.", "fr": "Non, « jamais »."},
    evaluated_by="broker",
    parameters={"groups": ("eu", "coe"), "word": "x"},
)
DE = "de/police"


def id_of(entry):
    return Statement.parse(entry.record.document).notice_id


def offered(view, made, who, *, topic=None, limit=100, size=None, after=0, keys=(0,)):
    """Read a participant's feed page by page as a client does, and return its offers."""
    kids = [made.kid_of(who, number) for number in keys]
    size = view.size if size is None else size
    found = []
    while True:
        page = view.offers(kids, who, after, limit, topic, size)
        found += page
        if len(page) < limit:
            return found
        after = page[-1].number


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), limit=st.integers(1, 12), topic=st.sampled_from((None, "*.opiates", "europe.*")))
def test_pages_hold_exactly_what_a_list_would(made, open_broker, seed, limit, topic):
    maker, broker = made.Maker(seed), open_broker()
    entries = made.random_entries(maker, 40)
    broker.append(*entries)
    gone = {made.Event.parse(e.record.document).what.notice_id for e in entries if e.record.leaf.type == 6}
    size = maker.random.randrange(len(entries) + 1)
    for who in (DE, "it/customs", "nobody/at-all"):
        expected = []
        for index, entry in enumerate(entries[:size]):
            if entry.record.leaf.type is not LeafType.SEALED:
                continue
            statement = Statement.parse(entry.record.document)
            if made.kid_of(who).encode() not in entry.body or statement.sender == who:
                continue
            if statement.notice_id in gone or (topic and not matches(topic, statement.topic)):
                continue
            expected.append(Offer(index + 1, index))
        assert offered(broker.view, made, who, topic=topic, limit=limit, size=size) == expected
    broker.close()


def test_old_and_new_keys_make_one_feed(broker, maker, made):
    entries = [maker.notice(recipients=[DE]) for _ in range(3)]
    newer = [maker.entry_of(maker.statement(), maker.body(["fr/customs", f"{DE}:1"])) for _ in range(2)]
    broker.append(entries[0], newer[0], entries[1], newer[1], entries[2])
    found = offered(broker.view, made, DE)
    assert [offer.index for offer in found] == [0, 2, 4]
    kids = [made.kid_of(DE), made.kid_of(f"{DE}:1")]
    assert [offer.index for offer in broker.view.offers(kids, DE, 0, 100, None, 5)] == [0, 1, 2, 3, 4]
    assert [offer.index for offer in broker.view.offers(kids, DE, 2, 2, None, 5)] == [2, 3]
    assert broker.view.offers([], DE, 0, 100, None, 5) == []


def test_acknowledgements_have_no_topic_and_come_where_none_is_asked_for(broker, maker, made):
    broker.append(maker.notice("acknowledge"), maker.notice())
    assert [offer.index for offer in offered(broker.view, made, DE)] == [0, 1]
    assert [offer.index for offer in offered(broker.view, made, DE, topic="*.*")] == [1]


def held(view, who=None):
    return [(item.held.participant, item.notice.index) for item in view.held(who)]


def test_what_is_held_is_not_offered_until_it_is_released(broker, maker, made):
    entries = [maker.notice() for _ in range(4)]
    broker.append(*entries)
    broker.view.hold([Held(DE, 1, 4, WHY), Held(DE, 2, 4, WHY), Held("it/customs", 0, 4, WHY)])
    assert [offer.index for offer in offered(broker.view, made, DE)] == [0, 3]
    assert held(broker.view, DE) == [(DE, 1), (DE, 2)]
    assert held(broker.view) == [(DE, 1), (DE, 2), ("it/customs", 0)]
    first = broker.view.held(DE)[0]
    assert first.held == Held(DE, 1, 4, WHY)
    assert first.notice == broker.view.by_index(1)
    broker.append(maker.next_directory())
    broker.view.release([(DE, 1, 5), (DE, 3, 5), ("kz/border", 1, 5)])
    broker.view.settle(4)
    assert broker.view.settled == 4
    assert held(broker.view, DE) == [(DE, 2)]
    assert offered(broker.view, made, DE) == [Offer(1, 0), Offer(4, 3), Offer(5, 1)]
    assert offered(broker.view, made, DE, after=4) == [Offer(5, 1)]
    assert offered(broker.view, made, DE, after=4, size=4) == []
    assert offered(broker.view, made, DE, topic="europe.*") == []
    broker.view.hold([Held(DE, 1, 5, WHY)])  # and again
    assert held(broker.view, DE) == [(DE, 1), (DE, 2)]
    assert offered(broker.view, made, DE, after=4) == []
    broker.append(maker.erasure(id_of(entries[2])))
    assert held(broker.view, DE) == [(DE, 1)]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 9])
def test_offers_of_one_number_are_never_split(broker, maker, made, limit):
    broker.append(*(maker.notice() for _ in range(6)), maker.next_directory(), maker.notice(), maker.next_boundary())
    broker.view.hold([Held(DE, index, 6, WHY) for index in (0, 1, 2, 3, 4)])
    broker.view.release([(DE, index, 7) for index in (3, 1, 2)])
    broker.view.release([(DE, index, 9) for index in (0, 4)])
    found = offered(broker.view, made, DE, limit=limit)
    assert found == [Offer(6, 5), Offer(7, 1), Offer(7, 2), Offer(7, 3), Offer(8, 7), Offer(9, 0), Offer(9, 4)]
    after, seen = 0, set()
    while page := broker.view.offers([made.kid_of(DE)], DE, after, limit, None, 9):
        numbers = {offer.number for offer in page}
        assert not numbers & seen
        seen |= numbers
        after = page[-1].number


def test_what_is_held_survives_the_loss_of_the_view(broker, maker, made, all_tables):
    broker.append(*(maker.notice() for _ in range(3)), maker.next_directory())
    broker.view.hold([Held(DE, 0, 3, WHY), Held(DE, 1, 3, WHY)])
    broker.view.release([(DE, 1, 4)])
    broker.view.settle(3)
    before = all_tables(broker.view)
    assert all_tables(broker.reopen()) == before
    rebuilt = broker.reopen("another.sqlite")
    assert rebuilt.settled == -1
    rebuilt.settle(3)
    assert all_tables(rebuilt) == before
    assert offered(rebuilt, made, DE) == [Offer(3, 2), Offer(4, 1)]


def test_what_the_ledger_cannot_keep_is_not_held(broker, maker, made, monkeypatch):
    broker.append(maker.notice())

    def full(_):
        raise StorageFullError("made to fail")

    monkeypatch.setattr(broker.ledger, "append", full)
    with pytest.raises(StorageFullError):
        broker.view.hold([Held(DE, 0, 1, WHY)])
    assert held(broker.view) == []
    broker.view.hold([])
    broker.view.release([(DE, 0, 5)])  # nothing to keep, nothing to fail


def test_what_is_held_is_read_back_as_it_was():
    item = Held(DE, 7, 9, WHY, 12)
    assert Held.parse(item.encode()) == item
    assert item.name == "held/de/police/7"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"index":7', b'"index":"7"'),
        (b'"released":12', b'"released":"12"'),
        (b'"layer":"law"', b'"layer":"lore"'),
        (b'"reason":{', b'"reasons":{'),
    ],
)
def test_what_was_not_written_here_is_not_read(old, new):
    data = Held(DE, 7, 9, WHY, 12).encode()
    assert old in data
    with pytest.raises(FormError):
        Held.parse(data.replace(old, new))
    with pytest.raises(MalformedError):
        Held.parse(data[:-1])
