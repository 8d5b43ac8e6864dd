"""Look-ups of statements and events, each against a plain list of what was appended."""

import pytest

from keys.digests import sha256
from schemas.encoding import from_seconds
from schemas.event import Event
from schemas.leaf import LeafType
from schemas.statement import DelegationBody, Statement


def statement_of(entry):
    return Statement.parse(entry.record.document)


def id_of(entry):
    return statement_of(entry).notice_id


@pytest.fixture(params=["writer", "reader"])
def view(request, broker):
    """Ask the writer's connection and a reader's: both must say the same."""
    if request.param == "writer":
        yield lambda: broker.view
        return
    opened = []

    def reader():
        opened.append(broker.view.reader())
        return opened[-1]

    yield reader
    for item in opened:
        item.close()


def test_a_statement_is_known_by_its_digest(broker, maker, made, view):
    entries = made.random_entries(maker, 40)
    broker.append(*entries)
    asked = view()
    for index, entry in enumerate(entries):
        expected = (index, entry.record) if entry.record.proof else None
        assert asked.known(sha256(entry.record.document)) == expected
        assert asked.record(index) == entry.record
    digest = next(sha256(entry.record.document) for entry in entries if entry.record.proof)
    assert asked.known(digest[:8] + bytes(24)) is None
    assert asked.known(bytes(32)) is None
    with pytest.raises(IndexError):
        asked.record(40)


def test_a_notice_is_found_with_what_it_says(broker, maker, view):
    first = maker.notice(sender="it/customs", topic="europe.precursors")
    answer = maker.notice("correct", ref=id_of(first), thread=id_of(first), topic="europe.precursors")
    open_act = maker.subscribe("de/police", "*.*")
    acknowledgement = maker.notice("acknowledge")
    broker.append(first, answer, open_act, acknowledgement)
    asked = view()
    for index, entry in enumerate((first, answer, open_act, acknowledgement)):
        statement, row = statement_of(entry), asked.by_notice(id_of(entry))
        assert row == asked.by_index(index)
        assert (row.index, row.notice_id, row.sender, row.act) == (
            index,
            statement.notice_id,
            statement.sender,
            statement.act,
        )
        assert (row.ref, row.thread, row.topic) == (statement.ref, statement.thread, statement.topic)
        assert (row.expires_at, row.body_digest) == (statement.expires_at, entry.record.body_digest)
        assert row.erased is False
        assert asked.body(row) == entry.body
    assert asked.by_notice(maker.notice_id()) is None
    assert asked.by_index(4) is None


def test_an_erased_notice_keeps_its_row_and_holders(broker, maker, made, view):
    notice, open_act = maker.notice(recipients=["it/customs"]), maker.subscribe("de/police", "*.*")
    broker.append(notice, open_act, maker.erasure(id_of(notice), "recall"), maker.erasure(id_of(open_act)))
    asked = view()
    row = asked.by_notice(id_of(notice))
    assert row.erased
    assert asked.body(row) is None
    assert asked.body_digest(id_of(notice)) == notice.record.body_digest
    assert asked.body_digest(id_of(open_act)) is None
    assert asked.body_digest(maker.notice_id()) is None
    assert asked.holders(id_of(notice)) == {made.kid_of("fr/customs"), made.kid_of("it/customs")}
    assert asked.erasure(id_of(notice)) == (2, "recall")
    assert asked.erasure(maker.notice_id()) is None
    assert not asked.by_notice(id_of(open_act)).erased
    broker.ledger.erase([notice.record.body_digest])
    assert asked.holders(id_of(notice)) == {made.kid_of("fr/customs"), made.kid_of("it/customs")}


def test_holders_are_those_of_the_notice_and_of_its_grants(broker, maker, made, view):
    notice = maker.notice(recipients=["it/customs"])
    answer = maker.notice("correct", recipients=["kz/border"], ref=id_of(notice), thread=id_of(notice))
    grant = maker.entry_of(
        maker.statement("grant", ref=id_of(notice), thread=id_of(notice)), maker.body(["kg/police", "uz/police"])
    )
    broker.append(notice, answer, grant, maker.subscribe("de/police", "*.*"))
    people = ("fr/customs", "it/customs", "kg/police", "uz/police")
    asked = view()
    assert asked.holders(id_of(notice)) == {made.kid_of(who) for who in people}
    assert asked.holders(maker.notice_id()) == frozenset()
    broker.append(open_act := maker.subscribe("de/police", "*.*"))
    assert asked.holders(id_of(open_act)) == frozenset()


def test_answers(broker, maker, view):
    first, other = maker.notice(), maker.notice()
    root = id_of(first)
    second = maker.notice("correct", ref=root, thread=root)
    third = maker.notice(ref=id_of(second), thread=root)
    broker.append(first, second, other, third)
    asked = view()
    assert [row.notice_id for row in asked.children(root)] == [id_of(second)]
    assert [row.notice_id for row in asked.children(id_of(second))] == [id_of(third)]
    assert asked.children(id_of(third)) == []


def test_notices_expire_oldest_first_and_once(broker, maker, view):
    times = [from_seconds(1000 + n) for n in (5, 1, 3, 2, 4)]
    entries = [maker.notice(expires_at=at) for at in times]
    broker.append(*entries, maker.subscribe("de/police", "*.*"), maker.erasure(id_of(entries[3])))
    asked = view()
    ids = [id_of(entry) for entry in entries]
    assert asked.expiring(from_seconds(1005), 10) == [ids[1], ids[2], ids[4]]
    assert asked.expiring(from_seconds(1006), 2) == [ids[1], ids[2]]
    assert asked.expiring(from_seconds(1001), 10) == []
    assert len(asked.expiring(from_seconds(9999), 10)) == 4


def test_recalled_notices_wait_for_their_erasure(broker, maker, view):
    notice, gone, unknown = maker.notice(), maker.notice(), maker.notice_id()
    broker.append(notice, gone, maker.erasure(id_of(gone)))
    recalls = [
        maker.notice("recall", ref=ref, thread=ref) for ref in (id_of(notice), id_of(notice), id_of(gone), unknown)
    ]
    broker.append(*recalls)
    assert view().recalled_unerased() == [id_of(notice)]
    broker.append(maker.erasure(id_of(notice), "recall"))
    assert view().recalled_unerased() == []


def test_erasures_that_a_crash_left_unfinished_are_named_until_they_are_done(broker, maker):
    entries = [maker.notice() for _ in range(4)]
    broker.append(*entries, maker.subscribe("de/police", "*.*"))
    broker.append(*(maker.erasure(id_of(entry)) for entry in entries[:3]), maker.erasure(maker.notice_id()))
    digests = [entry.record.body_digest for entry in entries]
    broker.ledger.erase([digests[1]])
    for _ in range(2):
        assert broker.view.erased_bodies() == [digests[0], digests[2]]
    broker.ledger.erase([digests[0], digests[2]])
    assert broker.view.erased_bodies() == []
    assert broker.view._all("SELECT COUNT(*) FROM erasures WHERE NOT done") == [(0,)]
    assert broker.reopen("another.sqlite").erased_bodies() == []


def test_subscriptions_follow_the_order_of_the_ledger(broker, maker, view):
    broker.append(
        maker.subscribe("de/police", "*.opiates", "europe.*"),
        maker.subscribe("it/customs", "*.*", sender="it/focal-point"),
        maker.subscribe("de/police", "europe.*", "asia.*", act="unsubscribe"),
        maker.subscribe("de/police", "*.opiates"),
    )
    found = [(item.participant, item.pattern, item.index) for item in view().subscriptions()]
    assert found == [("de/police", "*.opiates", 3), ("it/customs", "*.*", 1)]
    broker.append(maker.subscribe("de/police", "*.opiates", act="unsubscribe"), maker.subscribe("fr/douane", "*.*"))
    assert [item.participant for item in view().subscriptions()] == ["fr/douane", "it/customs"]


def test_a_revoked_key_stays_revoked_from_its_first_statement_on(broker, maker, made, view):
    one, two = made.kid_of("a"), made.kid_of("b")
    asked = view()
    assert asked.revoked() == {}
    broker.append(maker.notice(), maker.revoke("de/police", one))
    assert asked.revoked() == {one: 1}
    memo = asked.revoked()
    assert asked.revoked() is memo
    broker.append(maker.revoke("de/police", one, two))
    assert asked.revoked() == {one: 1, two: 2}
    with pytest.raises(TypeError):
        asked.revoked()[one] = 0


def test_events_are_found_by_type(broker, maker, view):
    assert view().latest_event(LeafType.DIRECTORY) is None
    broker.append(maker.next_directory(), maker.next_boundary(), maker.next_directory(), maker.day("2026-01-01"))
    asked = view()
    index, event = asked.latest_event(LeafType.DIRECTORY)
    assert (index, event.what.version) == (2, 2)
    assert isinstance(event, Event)
    assert asked.latest_event(LeafType.BOUNDARY)[0] == 1
    assert asked.latest_event(LeafType.KEY) is None
    assert asked.events(LeafType.DIRECTORY) == [0, 2]
    assert asked.has_day("2026-01-01")
    assert not asked.has_day("2026-01-02")


def test_a_delegation_is_a_statement_and_no_more(broker, maker, all_tables):
    body = DelegationBody("fr/douane", from_seconds(0), from_seconds(1))
    broker.append(maker.entry_of(maker.statement("delegate", body=body)))
    found = all_tables(broker.view)
    assert len(found["statements"]) == 1
    assert found["subscriptions"] == found["revoked"] == found["events"] == []


def test_auditors_read_in_pages_what_their_mandate_covers(broker, maker, made, view):
    sent = [
        ("it/customs", "de/police"),
        ("kz/border", "it/police"),
        ("it/police", "kz/border"),
        ("de/police", "kz/border"),
        ("int/unodc/desk", "kz/border"),
    ]
    entries = [maker.notice(sender=sender, recipients=[recipient]) for sender, recipient in sent * 3]
    subscription, gone = maker.subscribe("it/police", "*.*"), maker.erasure(id_of(entries[0]))
    broker.append(*entries, subscription, gone)
    asked = view()
    everything = asked.page_for_audit(0, 100, None, (), 17)
    assert [row.index for row in everything] == list(range(16))
    assert [row.record for row in everything] == [entry.record for entry in (*entries, subscription)]
    assert [row.erased for row in everything] == [True] + [False] * 15
    kids = [made.kid_of(who) for who in ("it/customs", "it/police", "it/nobody")]
    italian = [n for n, people in enumerate(sent * 3) if any(who.startswith("it/") for who in people)] + [15]
    assert [row.index for row in asked.page_for_audit(0, 100, ["it"], kids, 17)] == italian
    assert [row.index for row in asked.page_for_audit(0, 100, ["int-unodc"], (), 17)] == [4, 9, 14]
    assert asked.page_for_audit(0, 100, ["fr"], (), 17) == []
    paged, after = [], 0
    while page := asked.page_for_audit(after, 2, ["it"], kids, 17):
        assert len(page) <= 2
        paged += [row.index for row in page]
        after = paged[-1] + 1
    assert paged == italian
    assert [row.index for row in asked.page_for_audit(0, 100, None, (), 3)] == [0, 1, 2]
