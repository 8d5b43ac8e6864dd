"""What an instance makes of what its topics bring: in which order it counts, what is passed over, what is waited for."""

import asyncio
import itertools
import os

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from structlog.testing import capture_logs

from broker.ledger.kafka import follower as module
from broker.ledger.kafka.follower import Follower
from broker.ledger.kafka.payloads import encode_record
from broker.ledger.kafka.topics import CHECKPOINTS, CLOSING_KEY, DECISIONS, DIRECT, LEDGER, OBJECTS
from broker.ledger.port import Append, Decision, LedgerUnavailableError, StoreVersionError, snapshot_object
from broker.ledger.stanzas import stanza_kids
from keys.digests import statement_digest
from tests.faults.deployment import until
from tests.kafka.store.faulty import once, without_space
from tests.kafka.writing import write

pytestmark = pytest.mark.timeout(60)


def in_ledger(keys, entry):
    """Return what a holder of the frame keys writes into the ledger."""
    kids = () if entry.body is None else stanza_kids(entry.body)
    return LEDGER, None, keys.sign(LEDGER, None, encode_record(entry.record, kids))


def in_bodies(keys, entry):
    key = statement_digest(entry.record.document)
    return DIRECT, key, keys.sign(DIRECT, key, entry.body)


async def position(ledger):
    """Return up to where the ledger's consumer has read its topic."""
    consumer = ledger._follower._consumers["ledger"]
    (part,) = consumer.assignment()
    return await consumer.position(part)


def records(ledger):
    return [record for _, record in ledger.read(0, 1000)]


def test_what_is_not_framed_here_is_passed_over_and_counted(ledger, maker, kafka, keys):
    with capture_logs() as lines:
        write(
            kafka,
            (LEDGER, None, b"short"),
            (LEDGER, b"a key", None),
        )
        until(lambda: ledger.condition().skipped.get("malformed") == 2)
        ledger.refresh()  # although nothing of it counts, all of it was read
        assert ledger.length() == 0
        digest = os.urandom(32)
        write(
            kafka,
            (DIRECT, digest, b"short"),
            (DIRECT, digest, None),
            (DIRECT, CLOSING_KEY, None),
            (DIRECT, CLOSING_KEY, b"under the key of tombstones"),
            (OBJECTS, b"\xff\xfe", keys.sign(OBJECTS, b"\xff\xfe", b"a name that is no text")),
            (OBJECTS, b"law", b"short"),
            (DECISIONS, None, b"short"),
            (CHECKPOINTS, b"checkpoint", keys.sign(CHECKPOINTS, b"checkpoint", b"\x05abc")),
        )
        until(lambda: sum(ledger.condition().skipped.values()) == 7 and ledger._follower._at[DIRECT] == 4)
    assert ledger.condition().skipped == {"malformed": 5, "unreadable": 2}
    # Whoever writes many does not fill the disk with lines: one a topic.
    said = [line["topic"] for line in lines if line["event"] == "record.foreign"]
    assert sorted(said) == sorted({LEDGER, DIRECT, OBJECTS, DECISIONS, CHECKPOINTS})
    entry = maker.notice()
    ledger.append(Append((entry,)))
    assert records(ledger) == [entry.record]
    assert ledger.object_names() == []


def test_an_own_body_behind_another_s_is_not_taken_twice(ledger, maker, kafka, keys, monkeypatch):
    follower = ledger._follower
    until(lambda: not ledger.behind)
    monkeypatch.setitem(module.REST_S, "bodies", 30.0)

    def resting():
        ledger._loop.call(lambda: follower._rest("bodies", 30.0))
        return "bodies" in follower._resting

    until(resting)
    other, own = maker.notice(), maker.notice()
    write(kafka, in_bodies(keys, other))
    ledger.append(Append((own,)))
    until(lambda: follower._own)
    ledger._loop.call(lambda: follower._wake("bodies"))
    until(lambda: not follower._own)
    assert ledger.body(own.record.body_digest) == own.body
    until(lambda: ledger.body(other.record.body_digest) == other.body)


def test_own_appends_draw_a_rest_out(ledger):
    follower = ledger._follower
    until(lambda: not ledger.behind)

    async def rise():
        now = asyncio.get_running_loop().time()
        follower._rest("decisions", 20.0)
        follower._appended = now + 5.0
        follower._rise("decisions", now + 20.0)
        drawn_out = "decisions" in follower._resting
        follower._rise("decisions", now)
        return drawn_out, "decisions" in follower._resting

    assert asyncio.run_coroutine_threadsafe(rise(), ledger._loop._loop).result() == (True, False)


def test_a_mirror_is_new_until_a_view_was_told_of_all_of_it(open_ledger, maker):
    first = open_ledger()
    first.append(Append((maker.notice(),)))
    assert first.new
    first.close()
    again = open_ledger()
    assert again.new
    again.filled()
    assert not again.new
    again.close()
    assert not open_ledger().new


def test_what_a_newer_version_wrote_is_where_reading_ends(open_ledger, maker, kafka, keys):
    ledger = open_ledger()
    first, after = maker.notice(), maker.notice()
    ledger.append(Append((first,)))
    write(kafka, (LEDGER, None, keys.sign(LEDGER, None, b"a record of a newer version")), in_ledger(keys, after))
    until(ledger.troubles)
    assert any("newer version" in one for one in ledger.troubles())
    write(kafka, in_ledger(keys, after))  # nor is what comes behind it, whoever can read it
    ledger._follower.hurry()
    until(lambda: asyncio.run_coroutine_threadsafe(position(ledger), ledger._loop._loop).result() == 4)
    with pytest.raises(LedgerUnavailableError):
        ledger.append(Append((after,)))
    assert records(ledger) == [first.record]
    ledger.close()
    for name in ("one", "fresh"):
        with pytest.raises(StoreVersionError):
            open_ledger(name)


def test_a_record_waits_for_its_body_and_not_for_one_that_never_came(ledger, maker, kafka, keys):
    late, lost, after = (maker.notice() for _ in range(3))
    write(kafka, in_bodies(keys, late), in_ledger(keys, late))  # which is read before: it is not waited for so long
    until(lambda: records(ledger) == [late.record])
    assert ledger.body(late.record.body_digest) == late.body
    write(kafka, in_ledger(keys, lost), in_bodies(keys, after), in_ledger(keys, after))
    until(lambda: records(ledger) == [late.record, lost.record, after.record])
    assert ledger.condition().absent == 1
    assert ledger.body(lost.record.body_digest) is None
    assert ledger.body(after.record.body_digest) == after.body


def test_what_was_lost_before_a_start_is_counted_too(open_ledger, maker, kafka, keys):
    lost, whole = maker.notice(), maker.notice()
    open_ledger("first").close()  # which makes the topics
    write(kafka, in_ledger(keys, lost), in_bodies(keys, whole), in_ledger(keys, whole))
    fresh = open_ledger("fresh")
    until(lambda: not fresh.behind)
    assert records(fresh) == [lost.record, whole.record]
    assert fresh.condition().absent == 1


def test_a_directory_version_waits_for_its_files(open_ledger, maker):
    writer, reader = open_ledger("writer"), open_ledger("reader")
    news = []
    reader.on_news(lambda: news.append(reader.object(snapshot_object(1)) is not None))
    version = maker.next_directory(b"{}")
    writer.append(Append((version,), {snapshot_object(1): b"{}"}))
    until(lambda: records(reader) == [version.record])
    assert news[-1]
    until(lambda: reader.changed() == [snapshot_object(1)])
    assert reader.changed() == writer.changed() == []


def test_instances_hear_each_other_and_the_newest_checkpoint(open_ledger):
    signer, other = open_ledger("signer", signer=True), open_ledger("other")
    assert signer.told() is None
    for number in range(2):
        signer.tell(b"note %d" % number)
        until(signer._telling.done)
    until(lambda: other.told() is not None and other.told().note == b"note 1")
    assert not other.told().own
    until(lambda: signer.told() is not None and signer.told().own)
    until(lambda: other.signers() == ["signer"])
    until(lambda: signer.condition().instances == 2)
    assert signer.signers() == []
    assert (signer.condition().signer, other.condition().signer) == (True, False)


def test_a_mirror_without_space_reads_on_once_there_is_some(open_ledger, maker, monkeypatch):
    writer, reader = open_ledger("writer"), open_ledger("reader")
    failed, again = set(), Follower._again

    def noting(follower, kind):
        if follower is reader._follower:
            failed.add(kind)
        again(follower, kind)

    monkeypatch.setattr(Follower, "_again", noting)
    great = os.urandom(200_000)
    opened = [maker.subscribe("de/police", "*.*") for _ in range(60)]
    sealed = maker.notice(filler=200_000)
    with without_space(reader):
        assert writer.append(Append((*opened, sealed), {"great": great}, (Decision("2026-01-01", great),)))
        until(lambda: failed == {"ledger", "bodies", "decisions", "small"})
        assert reader.length() < writer.length()
    until(lambda: records(reader) == [entry.record for entry in (*opened, sealed)])
    until(lambda: reader.object("great") == great and reader.decisions("2026-01-01") == [great])
    assert reader.body(sealed.record.body_digest) == sealed.body
    assert reader.condition().skipped == {}


def test_a_right_to_read_that_is_taken_and_given_back_costs_nothing(open_ledger, maker, monkeypatch):
    writer, reader = open_ledger("writer"), open_ledger("reader")
    with capture_logs() as lines:
        for kind in ("ledger", "bodies", "decisions", "small"):
            once(monkeypatch, reader._follower._consumers[kind], "getmany", TopicAuthorizationFailedError())
        until(lambda: sum(line["event"] == "topics.unreadable" for line in lines) == 4)
    entry = maker.notice()
    writer.append(Append((entry,)))
    until(lambda: records(reader) == [entry.record])
    assert not reader.broken


def test_what_an_instance_appends_alone_is_not_fetched_again(open_ledger, maker, monkeypatch):
    """It rests while it appends, however long that is, and is awake for what another appends."""
    monkeypatch.setattr(module, "REST_S", {"ledger": 0.05, "bodies": 0.1, "decisions": 0.1})
    monkeypatch.setattr(module, "LONGEST_REST_S", 0.3)
    monkeypatch.setattr(module, "OWN", 0)  # keys of bodies that come again are remembered up to a number
    one, other = open_ledger("one"), open_ledger("other")
    until(lambda: not one.behind)
    made = []
    for ledger in itertools.chain([one] * 30, [other], [one] * 3, [other, one] * 3):
        made.append(maker.notice())
        ledger.append(Append((made[-1],), decisions=(Decision("2026-01-01", b"%d" % len(made)),)))
    for ledger in (one, other):
        until(lambda ledger=ledger: records(ledger) == [entry.record for entry in made])
        until(lambda ledger=ledger: len(ledger.decisions("2026-01-01")) == len(made))
        assert all(ledger.body(entry.record.body_digest) == entry.body for entry in made)
