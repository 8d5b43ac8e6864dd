"""What the broker answers to whom: proofs, objects, tiles, pages for auditors, what is held, and how it is doing."""

import asyncio
from dataclasses import replace

import orjson
import pytest

from broker import offers
from broker import serving as module
from broker.answers import NotPublished, OverloadedError, Published
from broker.telemetry import Figures
from broker.view.held import Held
from keys.directory import edit
from keys.log import proof as tlog_proof
from keys.log.merkle import leaf_hash
from keys.log.note import verify_checkpoint
from keys.log.tiles import Tile
from keys.sign import verify_receipt
from schemas.encoding import b64decode, b64encode, from_seconds
from schemas.errors import Error
from schemas.ids import Pattern
from schemas.statement import SubscriptionBody
from tests import broker_world
from tests.broker_world import HandClock, running, until
from tests.carrying import Carrier, root
from tests.world import NOTICE, denying, make_world, put_role

pytestmark = pytest.mark.anyio
ALL = Pattern("*.*")
MEMBERS = (
    "kz/customs",
    "kz/focal-point",
    "kz/auditor",
    "uz/focal-point",
    "uz/auditor",
    "tj/focal-point",
    "audit/court",
)
SENDER, OTHER, STRANGER = "kz/customs", "uz/focal-point", "tj/focal-point"
DENY = denying("uz-seizures-1")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def founded():
    return make_world(MEMBERS)


@pytest.fixture
def world(founded):
    return replace(founded)


@pytest.fixture
async def broker(world, tmp_path):
    async with running(world, tmp_path, HandClock(world.now * 1000)) as one:
        await one.sequencer.call(lambda: None)
        yield one


async def publish(broker, signed):
    answer = await broker_world.publish(broker, signed)
    if isinstance(answer, Published):
        await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    return answer


async def upload_law(world, broker, role, conditions):
    leaf = await broker_world.upload_law(world, broker, role, conditions)
    await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    return leaf


# Who may see a statement


async def test_proofs_and_objects_are_for_those_whom_a_statement_concerns(world, broker):
    signed = world.envelope(SENDER, [OTHER])
    answer = await publish(broker, signed)
    log = world.directory.log
    receipt = verify_receipt(answer.receipt, log.receipt_kid, log.receipt_public)
    notice_id, digest = signed.statement.notice_id, receipt.leaf.digest
    concerned = {SENDER, OTHER, "kz/auditor", "uz/auditor", "audit/court"}
    for who in MEMBERS:
        proof = await broker.serving.proof_text(who, notice_id)
        found = await broker.serving.log_object(digest, who)
        delivery = await broker.serving.delivery(who, notice_id)
        if who in {SENDER, OTHER}:
            assert Carrier(world).open(delivery, who).notice == NOTICE
        else:
            assert delivery is None
        if who in concerned:
            tlog_proof.verify_proof(tlog_proof.parse(proof), receipt.leaf.encode(), log.keys)
            assert (found.document, found.proof) == (signed.statement_bytes, signed.proof_bytes)
        else:
            assert (proof, found) == (None, None)
    assert await broker.serving.log_object(digest, None) is None
    assert await broker.serving.log_object(bytes(32), SENDER) is None
    missing = world.statement(SENDER).notice_id
    assert await broker.serving.proof_text(SENDER, missing) is None
    assert await broker.serving.delivery(SENDER, missing) is None


async def test_open_acts_are_every_participants_and_events_are_everybodys(world, broker):
    body = SubscriptionBody(OTHER, ("*.precursors",))
    signed = world.open_envelope(OTHER, "subscribe", body)
    answer = await publish(broker, signed)
    log = world.directory.log
    receipt = verify_receipt(answer.receipt, log.receipt_kid, log.receipt_public)
    for who in MEMBERS:
        found = await broker.serving.log_object(receipt.leaf.digest, who)
        assert found.document == signed.statement_bytes
        assert await broker.serving.proof_text(who, signed.statement.notice_id)
        assert await broker.serving.delivery(who, signed.statement.notice_id) is None
    assert await broker.serving.log_object(receipt.leaf.digest, None) is None
    event = broker.view.record(0)
    found = await broker.serving.log_object(event.leaf.digest, None)
    assert (found.document, found.proof) == (event.document, None)
    (subscription,) = await broker.serving.subscriptions()
    assert (subscription.participant, subscription.pattern) == (OTHER, "*.precursors")
    assert (subscription.statement, subscription.proof) == (signed.statement_bytes, signed.proof_bytes)


async def test_who_is_no_participant_sees_no_statement(world, broker):
    signed = world.envelope(SENDER, [OTHER])
    await publish(broker, signed)
    for who in ("xx/nobody", "audit/nobody"):
        assert await broker.serving.proof_text(who, signed.statement.notice_id) is None
        assert await broker.serving.delivery(who, signed.statement.notice_id) is None
        with pytest.raises(Error) as caught:
            await broker.serving.audit_page(who, 0, 10)
        assert caught.value.code == "forbidden"


# Auditors


async def test_national_auditors_see_what_concerns_their_state_and_the_networks_see_all(world, broker):
    """A page at a time, and each look at it is kept for the day's digest."""
    sent = [
        world.envelope(SENDER, [OTHER]),
        world.envelope(SENDER, [STRANGER]),
        world.envelope(OTHER, [STRANGER]),
        world.open_envelope(OTHER, "subscribe", SubscriptionBody(OTHER, ("*.*",))),
    ]
    for signed in sent:
        await publish(broker, signed)
    seen = {}
    for who in ("audit/court", "kz/auditor", "uz/auditor"):
        found, after = [], 0
        while True:
            page = await broker.serving.audit_page(who, after, 2)
            found += [item.statement for item in page.statements]
            for item in page.statements:
                record = broker.view.record(item.index)
                assert (item.leaf, item.proof) == (record.leaf.encode(), record.proof)
                assert (item.body_digest, item.erased) == (record.body_digest, False)
            after = page.next
            if not page.statements:
                break
        assert after == broker.serving.note_size
        seen[who] = [[one.statement_bytes for one in sent].index(statement) for statement in found]
    assert seen == {"audit/court": [0, 1, 2, 3], "kz/auditor": [0, 1], "uz/auditor": [0, 2, 3]}
    (day,) = broker.ledger.decision_days()
    kept = [orjson.loads(item) for item in broker.ledger.decisions(day)]
    looks = [(one["auditor"], one["after"], one["count"]) for one in kept if one["typ"] == "access"]
    assert [who for who, *_ in looks] == sorted([who for who, *_ in looks], key=list(seen).index)
    assert {who: sum(count for other, _, count in looks if other == who) for who in seen} == {
        "audit/court": 4,
        "kz/auditor": 2,
        "uz/auditor": 3,
    }


async def test_an_auditor_that_is_suspended_has_no_mandate(world, broker):
    signed = world.envelope(SENDER, [OTHER])
    await publish(broker, signed)
    assert (await broker.serving.audit_page("kz/auditor", 0, 10)).statements
    path, data = "kz/directory.json", edit.suspend(world.directory.roles["kz"], "kz/auditor").encode()
    put_role(world, "kz", data)
    version = world.repository.version_of("kz")
    metadata = world.repository.files[f"{version}.kz.json"]
    await broker.serving.upload_role("kz", metadata, {path: data}, version - 1)
    with pytest.raises(Error) as caught:
        await broker.serving.audit_page("kz/auditor", 0, 10)
    assert caught.value.code == "forbidden"
    assert await broker.serving.proof_text("kz/auditor", signed.statement.notice_id) is None


async def test_no_page_without_its_record(world, broker):
    await publish(broker, world.envelope(SENDER, [OTHER]))

    def full(*_, **__):
        raise OverloadedError("Full.")

    broker.housekeeping.record_access = full
    with pytest.raises(OverloadedError):
        await broker.serving.audit_page("audit/court", 0, 10)


async def test_an_auditors_cursor_passes_nothing_that_came_while_its_access_was_recorded(world, broker):
    first, second = (world.envelope(SENDER, [OTHER]) for _ in range(2))
    await publish(broker, first)
    real = broker.sequencer.call

    async def slow(run):
        done = await real(run)
        await publish(broker, second)
        return done

    broker.sequencer.call = slow
    page = await broker.serving.audit_page("audit/court", 0, 10)
    broker.sequencer.call = real
    assert [item.statement for item in page.statements] == [first.statement_bytes]
    page = await broker.serving.audit_page("audit/court", page.next, 10)
    assert [item.statement for item in page.statements] == [second.statement_bytes]


@pytest.mark.parametrize("most", [0, 3000, 1 << 20])
async def test_a_page_ends_where_its_bytes_are_enough(world, broker, most, monkeypatch):
    """Clients take no answer of any length: a page that is too long for them would keep a cursor where it is for ever."""
    monkeypatch.setattr(module, "PAGE_BYTES", most)
    letters = world.sign([world.sealed(world.statement(SENDER), [OTHER]) for _ in range(5)])
    await asyncio.gather(*(publish(broker, signed) for signed in letters))
    expected = sorted(b64encode(signed.statement_bytes) for signed in letters)
    found, after, pages = [], 0, 0
    while after < broker.serving.note_size:
        page = await broker.serving.feed(OTHER, after, 100, ALL)
        assert sum(map(len, page.deliveries[:-1])) <= most
        found += [orjson.loads(one)["statement"] for one in page.deliveries]
        assert page.next > after
        after, pages = page.next, pages + 1
    assert sorted(found) == expected
    assert (pages > 1) is (most < 1 << 20)
    found, after = [], 0
    while after < broker.serving.note_size:
        page = await broker.serving.audit_page("audit/court", after, 100)
        assert sum(len(item.statement) + len(item.proof) for item in page.statements[:-1]) <= most
        found += [b64encode(item.statement) for item in page.statements]
        assert page.next > after
        after = page.next
    assert sorted(found) == expected


# The log's files


async def test_tiles_and_entries_reach_as_far_as_the_signed_tree(world, broker):
    for _ in range(3):
        await publish(broker, world.envelope(SENDER, [OTHER]))
    size = broker.serving.note_size
    tile = await broker.serving.tile(Tile(0, 0, size))
    leaves = [broker.view.record(index).leaf.encode() for index in range(size)]
    assert tile == b"".join(map(leaf_hash, leaves))
    entries = await broker.serving.entries(Tile(0, 0, size))
    assert entries == b"".join(b"\0\x29" + leaf for leaf in leaves)
    checkpoint = verify_checkpoint(broker.serving.note, world.directory.log.keys)
    assert (checkpoint.size, checkpoint.root) == (size, root(leaves))
    for beyond in (Tile(0, 0, size + 1), Tile(0, 1, 1), Tile(1, 0, 1)):
        assert await broker.serving.tile(beyond) is None
        if not beyond.level:
            assert await broker.serving.entries(beyond) is None
    # A leaf that is there, and that no checkpoint covers yet, is nobody's to fetch.
    broker.sequencer.signed = replace(broker.sequencer.signed, size=size - 1)
    for fetch in (broker.serving.tile, broker.serving.entries):
        assert await fetch(Tile(0, 0, size)) is None
        assert await fetch(Tile(0, 0, size - 1))


async def test_the_directory_is_served_by_name(world, broker):
    data = await broker.serving.directory_file("metadata/1.root.json")
    assert data == world.repository.root
    assert await broker.serving.directory_file("metadata/999.root.json") is None


# Held


async def test_what_is_held_says_since_when_and_why_and_to_whom(world, broker):
    signed = world.envelope(SENDER, [OTHER, STRANGER])
    await publish(broker, signed)
    broker.clock.ms += 30_000
    await upload_law(world, broker, "uz", DENY)
    found = await broker.serving.feed(OTHER, 0, 10, ALL)
    assert (found.deliveries, found.next) == ([], broker.serving.note_size)
    (held,) = await broker.serving.held(OTHER)
    assert (held.notice_id, held.sender, held.topic) == (signed.statement.notice_id, SENDER, "central-asia.seizures")
    assert held.since == from_seconds(world.now + 30)
    assert orjson.loads(held.why)["condition"] == "uz-seizures-1"
    assert await broker.serving.held(STRANGER) == []
    with pytest.raises(Error) as caught:
        await broker.serving.delivery(OTHER, signed.statement.notice_id)
    assert caught.value.code == "forbidden"
    assert "uz-seizures-1" in caught.value.detail
    # Asked again, it is not kept twice.
    await broker.serving.feed(OTHER, 0, 10, ALL)
    assert len(await broker.serving.held(OTHER)) == 1


async def test_a_cursor_does_not_pass_what_could_not_be_kept_as_held(world, broker):
    await publish(broker, world.envelope(SENDER, [OTHER]))
    await upload_law(world, broker, "uz", DENY)

    def full(_):
        raise OverloadedError("Full.")

    real, broker.view.hold = broker.view.hold, full
    with pytest.raises(OverloadedError):
        await broker.serving.feed(OTHER, 0, 10, ALL)
    broker.view.hold = real
    assert await broker.serving.held(OTHER) == []


async def test_a_decision_under_rules_that_have_just_changed_holds_nothing(world, broker):
    """Else what the new rules allow would stay held until they change again."""
    signed = world.envelope(SENDER, [OTHER])
    await publish(broker, signed)
    await upload_law(world, broker, "uz", DENY)
    old = broker.serving.trust
    why = old.decisions.about(signed.statement, old.parties[SENDER]).recipient(OTHER)
    index = broker.view.by_notice(signed.statement.notice_id).index
    await upload_law(world, broker, "uz", "")
    with pytest.raises(Error) as caught:
        await broker.sequencer.call(lambda: broker.serving._offers._hold([Held(OTHER, index, 1, why)], old))
    assert caught.value.code == "unavailable"
    assert await broker.serving.held(OTHER) == []
    assert len((await broker.serving.feed(OTHER, 0, 10, ALL)).deliveries) == 1


async def test_what_was_erased_since_a_page_was_planned_is_left_out(world, broker):
    letters = [world.envelope(SENDER, [OTHER]) for _ in range(2)]
    for signed in letters:
        await publish(broker, signed)
    reader = broker.serving._view_of_loop
    gone = reader.by_notice(letters[0].statement.notice_id).index
    real = reader.by_index
    reader.by_index = lambda index: None if index == gone else real(index)
    found = await broker.serving.feed(OTHER, 0, 10, ALL)
    assert [orjson.loads(one)["statement"] for one in found.deliveries] == [b64encode(letters[1].statement_bytes)]


async def test_a_leaf_that_no_checkpoint_covers_yet_is_not_delivered(world, broker):
    signed = world.envelope(SENDER, [OTHER])
    await publish(broker, signed)
    covered = broker.sequencer.signed
    broker.sequencer.signed = replace(covered, size=covered.size - 1)
    assert await broker.serving.delivery(OTHER, signed.statement.notice_id) is None
    assert await broker.serving.proof_text(OTHER, signed.statement.notice_id) is None
    assert (await broker.serving.feed(OTHER, 0, 10, ALL)).deliveries == []
    broker.sequencer.signed = replace(covered, note=None)
    assert await broker.serving.delivery(OTHER, signed.statement.notice_id) is None
    assert "no checkpoint is signed yet" in broker.serving.readiness()
    broker.sequencer.signed = covered


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_pages_of_any_length_hold_everything_once(world, broker, limit, monkeypatch):
    monkeypatch.setattr(offers, "PIECE", 2)
    letters = world.sign([world.sealed(world.statement(SENDER), [OTHER]) for _ in range(7)])
    await asyncio.gather(*(publish(broker, signed) for signed in letters))
    found, after = [], 0
    for _ in range(9):
        page = await broker.serving.feed(OTHER, after, limit, ALL)
        found += [orjson.loads(one)["statement"] for one in page.deliveries]
        assert page.next >= after
        after = page.next
    assert sorted(found) == sorted(b64encode(signed.statement_bytes) for signed in letters)
    assert after == broker.serving.note_size


async def test_a_topic_narrows_a_page(world, broker):
    for topic in ("central-asia.seizures", "central-asia.routes"):
        await publish(broker, world.envelope(SENDER, [OTHER], topic=topic))
    for pattern, count in (("*.*", 2), ("*.routes", 1), ("central-asia.*", 2), ("south-east-europe.*", 0)):
        page = await broker.serving.feed(OTHER, 0, 10, Pattern(pattern))
        assert len(page.deliveries) == count, pattern
        assert page.next == broker.serving.note_size


# Waiting, health, the end


async def test_who_waits_is_woken_by_a_checkpoint_by_time_and_by_the_end(world, broker):
    loop = asyncio.get_running_loop()
    size = broker.serving.note_size
    begun = loop.time()
    await broker.serving.wait_checkpoint(size, 0.05)
    assert 0.04 < loop.time() - begun < 2
    waiting = asyncio.ensure_future(broker.serving.wait_checkpoint(size, 30))
    await asyncio.sleep(0.01)
    broker.serving._wake()  # a checkpoint of the same size, its time renewed: it goes on waiting
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await publish(broker, world.envelope(SENDER, [OTHER]))
    await asyncio.wait_for(waiting, 5)
    await broker.serving.wait_checkpoint(size, 30)
    last = asyncio.ensure_future(broker.serving.wait_checkpoint(99, 30))
    await asyncio.sleep(0.01)
    broker.serving.release()
    await asyncio.wait_for(last, 5)
    await asyncio.wait_for(broker.serving.wait_checkpoint(99, 30), 5)
    assert not broker.serving._waiting


async def test_who_waits_is_woken_by_what_may_be_its_business_only(world, broker):
    serving = broker.serving
    size = serving.note_size
    waits = {who: asyncio.ensure_future(serving.wait_checkpoint(size, 30, who)) for who in (OTHER, STRANGER)}
    await asyncio.sleep(0.01)
    woken = []
    real = serving._wake
    serving._wake = lambda addressed=None: (woken.append(addressed), real(addressed))
    await publish(broker, world.envelope(SENDER, [OTHER]))
    await asyncio.wait_for(waits[OTHER], 5)
    await publish(broker, world.open_envelope(SENDER, "subscribe", SubscriptionBody(SENDER, ("*.*",))))
    await until(lambda: len(woken) == 2)
    assert woken == [frozenset(world.people[who].sealing.kid for who in (SENDER, OTHER)), frozenset()]
    assert not waits[STRANGER].done()
    # New rules may release what was held, and new keys may have come: that is everybody's business.
    await upload_law(world, broker, "uz", DENY)
    await asyncio.wait_for(waits[STRANGER], 5)
    # Whose business came out before it began to wait does not wait.
    await asyncio.wait_for(serving.wait_checkpoint(size, 30, STRANGER), 1)


def lag(sequencer, times):
    """Let the next checkpoints be the last one again, as where another instance signs that has read less than this one."""
    real, left = sequencer._checkpoints.newest, [None] * times

    def newest(*given):
        if not left:
            return real(*given)
        left.pop()
        return sequencer.signed

    sequencer._checkpoints.newest = newest
    return left


async def test_a_stream_gets_what_lay_beyond_a_checkpoint_that_was_behind_the_view(world, broker):
    stream = broker.serving.stream(OTHER, 0, Pattern("*.*"), lambda: None)
    while not stream.live:
        await stream.next()
    left = lag(broker.sequencer, 2)
    await publish(broker, world.envelope(SENDER, [OTHER]))
    got = b""
    while b"event: cursor" not in got:
        got += b"".join(await asyncio.wait_for(stream.next(), 5))
    assert b"event: delivery" in got
    assert not left
    stream.close()


async def test_whose_business_came_is_told_until_a_checkpoint_has_reached_it(world, broker):
    serving, told = broker.serving, []
    real = serving._wake
    serving._wake = lambda addressed=None: (told.append(addressed), real(addressed))
    left = lag(broker.sequencer, 1)
    await publish(broker, world.envelope(SENDER, [OTHER]))
    await until(lambda: len(told) == 2)
    assert told == [frozenset(world.people[who].sealing.kid for who in (SENDER, OTHER))] * 2
    left.append(None)
    await upload_law(world, broker, "uz", DENY)
    await until(lambda: len(told) >= 4)
    assert set(told[2:]) == {None}
    told.clear()
    await publish(broker, world.open_envelope(SENDER, "subscribe", SubscriptionBody(SENDER, ("*.*",))))
    await until(lambda: told)
    assert told == [frozenset()]


async def test_figures_and_readiness(world, broker):
    seen = replace(world.statement(SENDER).checkpoint, size=99)
    for _ in range(2):
        answer = await publish(broker, world.envelope(SENDER, [OTHER], checkpoint=seen))
        assert isinstance(answer, NotPublished)
    broker.clock.ms += 1500
    figures = broker.serving.figures()
    assert isinstance(figures, Figures)
    assert figures.gauges["tree_size"] == figures.gauges["checkpoint_size"] == broker.view.size
    assert figures.gauges["checkpoint_age_seconds"] == 1.5
    assert figures.gauges["directory_version"] == world.directory.version
    assert figures.gauges["participants"] == len(MEMBERS)
    assert (figures.gauges["revoked_keys"], figures.gauges["ready"]) == (0, 1)
    assert figures.alarms == {"fork": 2}
    assert broker.serving.readiness() == []
    broker.sequencer._sign = lambda: None  # a signer that hangs
    await broker.serving.publish((signed := world.envelope(SENDER, [OTHER])).statement.notice_id, signed.envelope)
    assert broker.serving.readiness() == []
    broker.clock.ms += module.FRESH_MS
    assert broker.serving.readiness() == ["the newest leaves are not signed"]
    assert broker.serving.figures().gauges["ready"] == 0


async def test_after_the_end_there_is_nothing_to_read(world, tmp_path):
    async with running(world, tmp_path) as broker:
        signed = world.envelope(SENDER, [OTHER])
        await publish(broker, signed)
        await broker.serving.stop()
        with pytest.raises(Error) as caught:
            await broker.serving.delivery(OTHER, signed.statement.notice_id)
        assert caught.value.code == "unavailable"
        with pytest.raises(Error):
            await broker.serving.feed(OTHER, 0, 10, ALL)
        await broker.serving.stop()


async def test_a_checkpoint_that_comes_out_after_the_loop_disturbs_nobody(world, broker):
    loop = asyncio.new_event_loop()
    loop.close()
    held, broker.serving._loop = broker.serving._loop, loop
    broker.serving._announce()
    broker.serving._loop = None
    broker.serving._announce()
    broker.serving._loop = held


async def test_uploads_are_named_by_version_and_leaf(world, broker):
    leaf = await upload_law(world, broker, "uz", "")
    assert (leaf.version, leaf.index) == (world.directory.version, broker.view.size - 1)
    event = orjson.loads(broker.view.record(leaf.index).document)
    assert (event["typ"], event["version"]) == ("directory", leaf.version)
    assert len(b64decode(event["snapshot"])) == 32
