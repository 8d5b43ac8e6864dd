"""The ledger thread when things go wrong: who waits is answered, what is published stays, and it goes on by itself."""

import asyncio
import threading
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson
import pytest

from broker import sequencer as module
from broker.ledger.fsck import fsck
from broker.ledger.port import LedgerUnavailableError, StorageFullError
from broker.ledger.signer import SignerError
from broker.quota import Quota
from broker.sequencer import NotPublished, OverloadedError, Published
from broker.view.store import Applied
from keys.directory import edit
from keys.sign import verify_receipt, verify_refusal
from schemas import encoding
from schemas.delivery import Delivery
from schemas.encoding import b64encode, from_seconds
from schemas.errors import Error
from schemas.ids import Code, Pattern, Role
from schemas.statement import RevocationBody, SubscriptionBody
from tests.broker_world import HandClock, running
from tests.carrying import Carrier
from tests.world import NOTICE, make_world, put_law

pytestmark = pytest.mark.anyio
ALL = Pattern("*.*")
MEMBERS = ("kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point")
SENDER, OTHER = "kz/customs", "uz/focal-point"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def founded():
    return make_world(MEMBERS)


@pytest.fixture
def world(founded):
    """Return a world of the test's own: what it uploads is no other's."""
    return replace(founded)


@pytest.fixture
def clock(world):
    return HandClock(world.now * 1000)


@pytest.fixture
async def broker(world, tmp_path, clock):
    async with running(world, tmp_path, clock) as one:
        await one.sequencer.call(lambda: None)  # the first round of housekeeping is done
        yield one


def fail(target, name, *errors, after=False):
    """Make the next calls of a method fail, before it does anything or after it has done all of it."""
    real = getattr(target, name)
    left = list(errors)

    def failing(*arguments, **named):
        if not left:
            return real(*arguments, **named)
        if after:
            real(*arguments, **named)
        raise left.pop(0)

    setattr(target, name, failing)
    return left


@asynccontextmanager
async def held(broker):
    """Hold the ledger thread where it is, so that what is asked meanwhile becomes one chunk."""
    entered, go = threading.Event(), threading.Event()

    def wait():
        entered.set()
        assert go.wait(10)

    call = asyncio.ensure_future(broker.sequencer.call(wait))
    await asyncio.to_thread(entered.wait, 10)
    try:
        yield
    finally:
        go.set()
        await call


async def publish(broker, signed):
    return await broker.serving.publish(signed.statement.notice_id, signed.envelope)


async def publish_together(broker, letters):
    """Publish letters as one chunk, in this order; return what each was answered, errors as values."""
    async with held(broker):
        tasks = []
        for number, signed in enumerate(letters):
            tasks.append(asyncio.ensure_future(publish(broker, signed)))
            while broker.sequencer._jobs.qsize() <= number:  # until the examiner has handed it on
                await asyncio.sleep(0.001)
    return await asyncio.gather(*tasks, return_exceptions=True)


def outcomes(answers):
    return [
        "created" if isinstance(one, Published) and one.created
        else "repeated" if isinstance(one, Published)
        else one.error.code if isinstance(one, NotPublished)
        else one.code
        for one in answers
    ]  # fmt: skip


async def inbox(broker, who):
    await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    found = await broker.serving.feed(who, 0, 1000, ALL)
    return [orjson.loads(one)["statement"] for one in found.deliveries]


async def until(true, seconds=5.0):
    for _ in range(int(seconds / 0.01)):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


def sound(broker):
    assert fsck(broker.ledger, now_ms=broker.clock.ms, view=broker.view).findings == ()


def letters(world, count, to=(OTHER,), **changes):
    return [world.envelope(SENDER, to, **changes) for _ in range(count)]


# Faults of the stores


async def test_a_full_disk_is_said_to_everybody_who_waits_and_left_by_itself(world, broker, clock):
    first, *others = letters(world, 6)
    assert outcomes([await publish(broker, first)]) == ["created"]
    size = broker.view.size
    fail(broker.ledger, "append", StorageFullError("There is no space left."))
    answers = await publish_together(broker, [first, *others])
    assert outcomes(answers) == ["storage-full"] * 6
    assert {one.status for one in answers} == {507}
    assert broker.view.size == size
    assert broker.serving.readiness() == ["the last attempt to write failed: storage-full"]
    # Reads go on, and so does publishing.
    assert len(await inbox(broker, OTHER)) == 1
    assert outcomes(await publish_together(broker, [first, *others])) == ["repeated"] + ["created"] * 5
    assert broker.serving.readiness() == []
    assert len(await inbox(broker, OTHER)) == 6
    sound(broker)


async def test_nobody_needs_to_publish_for_the_broker_to_be_ready_again(world, broker, clock):
    full = fail(broker.ledger, "append", *[StorageFullError("There is no space left.")] * 3)
    assert outcomes(await publish_together(broker, letters(world, 1))) == ["storage-full"]
    assert len(full) == 2
    for _ in range(4):
        await asyncio.sleep(0.02)
        clock.ms += 1001
        await broker.sequencer.call(lambda: None)
    await until(lambda: broker.serving.readiness() == [])
    assert full == []


async def test_an_append_that_failed_late_was_an_append(world, broker):
    """It is open then whether anything was appended; whoever sends again learns it."""
    signed = letters(world, 3)
    fail(broker.ledger, "append", LedgerUnavailableError("Disk I/O error."), after=True)
    assert outcomes(await publish_together(broker, signed)) == ["unavailable"] * 3
    assert outcomes(await publish_together(broker, signed)) == ["repeated"] * 3
    assert len(await inbox(broker, OTHER)) == 3
    sound(broker)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [StorageFullError("Full."), LedgerUnavailableError("Broken.")])
async def test_what_is_appended_is_published_although_the_view_failed(world, broker, error, after):
    signed = letters(world, 3)
    fail(broker.view, "apply", error, after=after)
    # Not `storage-full`, which says that nothing was accepted.
    assert outcomes(await publish_together(broker, signed)) == ["unavailable"] * 3
    receipts = await publish_together(broker, signed)
    assert outcomes(receipts) == ["repeated"] * 3
    log = world.directory.log
    for one, answer in zip(signed, receipts, strict=True):
        receipt = verify_receipt(answer.receipt, log.receipt_kid, log.receipt_public)
        assert broker.view.record(receipt.index).document == one.statement_bytes
    assert len(await inbox(broker, OTHER)) == 3
    broker.clock.ms += 1001
    await until(lambda: broker.serving.readiness() == [])
    sound(broker)


async def test_a_view_that_fails_longer_keeps_everybody_waiting_and_loses_nothing(world, broker):
    signed = letters(world, 2)
    fail(broker.view, "apply", LedgerUnavailableError("Broken."))
    left = fail(broker.view, "catch_up", *[LedgerUnavailableError("Broken.")] * 2)
    assert outcomes([*(await publish_together(broker, signed))]) == ["unavailable"] * 2
    with pytest.raises(LedgerUnavailableError):
        await broker.sequencer.call(lambda: pytest.fail("it must not run before the view is up to date"))
    assert left
    with pytest.raises(LedgerUnavailableError):
        await publish(broker, signed[0])
    assert outcomes(await publish_together(broker, signed)) == ["repeated"] * 2
    sound(broker)


async def upload_law(world, broker, conditions):
    """Upload a State's law, as the world has it from now on."""
    data = world.law("uz", conditions)
    put_law(world, "uz", data)
    version = world.repository.version_of("uz-law")
    metadata = world.repository.files[f"{version}.uz-law.json"]
    return await broker.serving.upload_role("uz-law", metadata, {"uz/law.json": data}, version - 1)


DENY = """
[[condition]]
id = "uz-seizures-1"
instrument = "Illustration"
article = "12(2)"
effect = "deny"
applies_to = { direction = "receive", kinds = ["seizure"] }
[condition.explanation]
en = "Not during the audit."
"""


async def test_an_upload_after_a_failure_leaves_nothing_out(world, broker):
    """The view was behind by a notice when the next thing came that appends."""
    (signed,) = letters(world, 1)
    fail(broker.view, "apply", LedgerUnavailableError("Broken."))
    assert outcomes(await publish_together(broker, [signed])) == ["unavailable"]
    await upload_law(world, broker, "")
    assert broker.view.by_notice(signed.statement.notice_id) is not None
    assert outcomes([await publish(broker, signed)]) == ["repeated"]
    sound(broker)


@pytest.mark.parametrize("late", ["append", "apply"])
async def test_a_directory_version_that_is_in_the_ledger_is_in_force_although_its_upload_failed(world, broker, late):
    error = LedgerUnavailableError("Broken.")
    fail(broker.ledger, "append", error, after=True) if late == "append" else fail(broker.view, "apply", error)
    before = broker.sequencer.trust.version
    with pytest.raises(LedgerUnavailableError):
        await upload_law(world, broker, DENY)
    answer = await publish(broker, letters(world, 1)[0])
    assert [(item.participant, item.why.condition) for item in answer.denied] == [(OTHER, "uz-seizures-1")]
    assert broker.sequencer.trust.version[0] == before[0] + 1
    assert broker.view.state.directory == before[0] + 1
    # Who uploads again learns that it is there; the next version follows it.
    version = world.repository.version_of("uz-law")
    metadata = world.repository.files[f"{version}.uz-law.json"]
    with pytest.raises(Error) as caught:
        await broker.serving.upload_role("uz-law", metadata, {}, version - 1)
    assert caught.value.code == "precondition-failed"
    await upload_law(world, broker, "")
    assert outcomes([await publish(broker, letters(world, 1)[0])]) == ["created"]
    sound(broker)


async def test_a_revocation_counts_at_once_although_what_follows_it_failed(world, broker):
    """Nothing is decided under the trust of before."""
    body = RevocationBody(SENDER, tuple(sorted(world.people[SENDER].signing.kids)), Code("theft"))
    revocation = world.open_envelope(SENDER, "revoke_key", body)
    (signed,) = letters(world, 1)
    # The first failure is the revocation's own, the second one that of trying again before anything else.
    fail(broker.housekeeping, "follow", *[LedgerUnavailableError("Broken.")] * 2)
    for one, error in ((revocation, OverloadedError), (signed, LedgerUnavailableError)):
        with pytest.raises(error):
            await publish(broker, one)
    assert outcomes([await publish(broker, signed)]) == ["revoked-key"]
    assert outcomes([await publish(broker, revocation)]) == ["repeated"]
    sound(broker)


@pytest.mark.parametrize("step", ["apply", "follow", "boundary"])
async def test_an_upload_that_is_in_the_ledger_is_not_said_to_be_refused(world, broker, step):
    """The disk fills up between the version's leaf and what follows it, and is still full at the next attempt."""
    full = StorageFullError("Full.")
    if step == "boundary":
        fail(broker.housekeeping, "_pass_boundary", full)
    else:
        fail(broker.view if step == "apply" else broker.housekeeping, step, full)
    with pytest.raises(OverloadedError) as caught:
        await upload_law(world, broker, DENY)
    assert (caught.value.status, caught.value.code) == (503, "unavailable")
    answer = await publish(broker, letters(world, 1)[0])
    assert [(item.participant, item.why.condition) for item in answer.denied] == [(OTHER, "uz-seizures-1")]
    sound(broker)


async def test_what_is_still_to_be_done_is_no_refusal_either(world, broker):
    signed = letters(world, 1)
    fail(broker.view, "apply", StorageFullError("Full."))
    fail(broker.view, "catch_up", *[StorageFullError("Full.")] * 2)
    assert outcomes(await publish_together(broker, signed)) == ["unavailable"]
    for ask in (publish(broker, signed[0]), broker.sequencer.call(lambda: None)):
        with pytest.raises(OverloadedError):
            await ask
    assert outcomes(await publish_together(broker, signed)) == ["repeated"]


async def test_an_upload_that_nothing_was_kept_of_is_refused(world, broker):
    fail(broker.ledger, "append", StorageFullError("Full."))
    size = broker.ledger.length()
    with pytest.raises(StorageFullError):
        await upload_law(world, broker, DENY)
    assert broker.ledger.length() == size


async def test_a_round_that_fails_after_a_boundary_has_moved_the_rules(tmp_path):
    now = 1_800_000_000
    begins = DENY.replace("applies_to", f'valid_from = "{from_seconds(now + 10)}"\napplies_to')
    world = make_world(MEMBERS, now=now, laws={"uz": begins})
    async with running(world, tmp_path, HandClock(now * 1000)) as broker:
        await broker.sequencer.call(lambda: None)
        fail(broker.housekeeping, "_expire", StorageFullError("Full."))
        broker.clock.ms += 10_000
        await until(lambda: broker.view.state.boundary == from_seconds(now + 10))
        assert outcomes([await publish(broker, letters(world, 1)[0])]) == ["denied"]


async def test_no_cursor_passes_what_is_still_to_be_released(world, broker, clock):
    """The rules allow a notice again, and the disk is full when it is to be offered again."""
    (signed,) = letters(world, 1)
    assert outcomes([await publish(broker, signed)]) == ["created"]
    await upload_law(world, broker, DENY)
    assert await inbox(broker, OTHER) == []
    fail(broker.view, "release", StorageFullError("Full."))
    with pytest.raises(OverloadedError):
        await upload_law(world, broker, "")
    await asyncio.sleep(3 * module.SIGN_EVERY_S)
    cursor = (await broker.serving.feed(OTHER, 0, 1000, ALL)).next
    # The checkpoint that is out stays fresh meanwhile.
    note = broker.serving.note
    clock.ms += 61_000
    await until(lambda: broker.serving.note != note)
    await broker.sequencer.call(lambda: None)
    await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    found = await broker.serving.feed(OTHER, cursor, 1000, ALL)
    assert [orjson.loads(one)["statement"] for one in found.deliveries] == [b64encode(signed.statement_bytes)]
    sound(broker)


async def test_a_checkpoint_that_cannot_be_kept_is_signed_later(world, broker):
    note = broker.serving.note
    fail(broker.sequencer._signer, "sign", StorageFullError("Full."), StorageFullError("Full."))
    assert outcomes([await publish(broker, letters(world, 1)[0])]) == ["created"]
    await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    assert broker.serving.note_size == broker.view.size
    assert broker.serving.note != note


# Alarm: the ledger is not the one that was signed


async def test_after_an_alarm_nothing_is_signed_or_appended_and_reads_go_on(world, broker, clock):
    first, second = letters(world, 2)
    assert outcomes([await publish(broker, first)]) == ["created"]
    assert len(await inbox(broker, OTHER)) == 1
    note, size, length = broker.serving.note, broker.serving.note_size, broker.ledger.length()
    fail(broker.sequencer._signer, "sign", SignerError("root-differs", "It was changed."))
    clock.ms += 61_000  # the checkpoint's time is renewed each minute
    await until(lambda: broker.sequencer.alarm is not None)
    with pytest.raises(OverloadedError) as caught:
        await publish(broker, second)
    assert (caught.value.status, caught.value.code) == (503, "unavailable")
    with pytest.raises(OverloadedError):
        await upload_law(world, broker, DENY)
    assert "the ledger is not the one that was signed: root-differs" in broker.serving.readiness()
    assert broker.serving.figures().alarms == {"root-differs": 1}
    # Neither days nor boundaries nor checkpoints come to it by themselves, however long it lasts.
    for _ in range(3):
        clock.ms += 86_400_000
        for _ in range(2):
            await broker.sequencer.call(lambda: None)
    assert broker.ledger.length() == length
    assert (broker.serving.note, broker.serving.note_size) == (note, size)
    # Reads.
    assert len(await inbox(broker, OTHER)) == 1
    delivery = await broker.serving.delivery(OTHER, first.statement.notice_id)
    assert Carrier(world).open(delivery, OTHER).notice == NOTICE
    assert await broker.serving.held(OTHER) == []
    assert await broker.serving.proof_text(OTHER, first.statement.notice_id)


# Chunks


async def test_what_refers_to_the_same_chunk_is_decided_once_that_has_its_place(world, broker):
    first = world.envelope(SENDER, [OTHER])
    same = {"ref": first.statement.notice_id, "thread": first.statement.thread}
    correction = world.envelope(SENDER, [OTHER], "correct", **same)
    of_it = {"ref": correction.statement.notice_id, "thread": first.statement.thread}
    recall = world.envelope(SENDER, [OTHER], "recall", **of_it)
    late = world.envelope(SENDER, [OTHER], "correct", **same)
    twin = world.envelope(SENDER, [OTHER], notice_id=first.statement.notice_id, thread=first.statement.thread)
    answers = await publish_together(broker, [first, first, twin, correction, recall, first, late, recall])
    assert outcomes(answers) == [
        "created",
        "repeated",
        "conflict",
        "created",
        "created",
        "repeated",
        "created",
        "repeated",
    ]
    assert broker.view.by_notice(correction.statement.notice_id).erased
    sound(broker)


async def test_each_of_a_chunk_is_decided_at_its_own_place(world, broker, clock):
    """A key that is closed from an index on signs what comes before it, and nothing after."""
    kid = world.people[SENDER].signing.kids[0]
    role = Role("kz")
    closing = edit.close_key(world.directory.roles[role], kid, broker.view.size + 3)
    path, data = "kz/directory.json", closing.encode()
    version = world.repository.version_of("kz")
    metadata = edit.renew(world.repository.files[f"{version}.kz.json"], now=world.now)
    metadata = edit.sign_role(edit.set_target(metadata, path, data), world.state_keys[role])
    uploaded = await broker.serving.upload_role("kz", metadata, {path: data}, version)
    # Two places are left: the directory's own leaf has taken the first of the three.
    assert broker.view.size == uploaded.index + 1
    answers = await publish_together(broker, letters(world, 4))
    assert outcomes(answers) == ["created", "created", "revoked-key", "revoked-key"]
    sound(broker)


async def test_what_comes_after_an_open_act_is_decided_under_it(world, broker):
    body = RevocationBody(SENDER, tuple(sorted(world.people[SENDER].signing.kids)), Code("theft"))
    before, after = letters(world, 2)
    revocation = world.open_envelope("kz/focal-point", "revoke_key", body)
    subscribe = world.open_envelope(OTHER, "subscribe", SubscriptionBody(OTHER, ("*.*",)))
    answers = await publish_together(broker, [before, revocation, subscribe, after, before])
    assert outcomes(answers) == ["created", "created", "created", "revoked-key", "repeated"]
    assert answers[3].refusal is None


async def test_calls_keep_their_place_between_publishes(world, broker):
    one, two = letters(world, 2)
    sizes = []
    async with held(broker):
        tasks = [asyncio.ensure_future(publish(broker, one))]
        await until(lambda: broker.sequencer._jobs.qsize() == 1)
        tasks.append(asyncio.ensure_future(broker.sequencer.call(lambda: sizes.append(broker.view.size))))
        await asyncio.sleep(0)
        tasks.append(asyncio.ensure_future(publish(broker, two)))
        await until(lambda: broker.sequencer._jobs.qsize() == 3)
        size = broker.view.size
    await asyncio.gather(*tasks)
    assert sizes == [size + 1]
    assert broker.view.size == size + 2


async def test_more_than_a_chunk_is_answered_in_order(world, broker, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 4)
    signed = letters(world, 11)
    answers = await publish_together(broker, signed)
    assert outcomes(answers) == ["created"] * 11
    assert await inbox(broker, OTHER) == [b64encode(one.statement_bytes) for one in signed]


async def test_an_error_of_a_call_is_its_callers(broker):
    with pytest.raises(ZeroDivisionError):
        await broker.sequencer.call(lambda: 1 // 0)
    assert await broker.sequencer.call(lambda: 7) == 7


# Quotas


async def test_more_than_the_quota_is_refused_and_strangers_use_up_nothing(world, broker, clock):
    broker.sequencer._quota = Quota(1)
    signed = letters(world, 4)
    value = orjson.loads(signed[3].envelope)
    value["proof"]["head"]["signatures"][0]["signature"] = b64encode(bytes(64))
    forged = replace(signed[3], envelope=orjson.dumps(value))
    answers = await publish_together(broker, [forged] * 5 + signed)
    assert outcomes(answers) == ["unverified"] * 5 + ["created"] * 2 + ["rate-limited"] * 2
    assert {one.error.status for one in answers[-2:]} == {429}
    assert answers[-1].refusal is None  # it is no definite one: the same bytes may come again
    # What is known costs nothing, another's is another bucket, and a second later there is one more.
    assert outcomes([await publish(broker, signed[0])]) == ["repeated"]
    assert outcomes([await publish(broker, world.envelope(OTHER, [SENDER]))]) == ["created"]
    clock.ms += 1000
    assert outcomes(await publish_together(broker, signed[2:])) == ["created", "rate-limited"]


# Who hears what


async def test_the_denied_are_named_to_the_sender_only(tmp_path):
    world = make_world(MEMBERS, laws={"uz": DENY})
    async with running(world, tmp_path) as broker:
        signed = world.envelope(SENDER, [OTHER, "tj/focal-point"])
        answer = await publish(broker, signed)
        assert outcomes([answer]) == ["denied"]
        assert [item.participant for item in answer.denied] == [OTHER]
        log = world.directory.log
        refusal = verify_refusal(answer.refusal, log.receipt_kid, log.receipt_public)
        assert [(item.participant, item.condition) for item in refusal.denied] == [(OTHER, "uz-seizures-1")]
        # Neither the denied nor the permitted recipient learns that there was anything.
        notice_id = signed.statement.notice_id
        for who in MEMBERS:
            assert await inbox(broker, who) == []
            assert await broker.serving.held(who) == []
            assert await broker.serving.delivery(who, notice_id) is None
            assert await broker.serving.proof_text(who, notice_id) is None
        # It is kept for auditors, and nothing is in the ledger.
        (day,) = broker.ledger.decision_days()
        (decision,) = broker.ledger.decisions(day)
        assert orjson.loads(decision)["denied"] == [{"participant": OTHER, "condition": "uz-seizures-1"}]
        assert broker.view.known(bytes(32)) is None
        assert broker.view.size == world.directory.version


# Clock


async def test_a_clock_that_ran_back_is_said_and_counted(world, broker, clock):
    one, two, three = letters(world, 3)
    clock.ms += 100_000
    assert outcomes([await publish(broker, one)]) == ["created"]
    assert len(await inbox(broker, OTHER)) == 1
    length = broker.ledger.length()
    clock.ms -= 60_001
    for _ in range(2):
        with pytest.raises(OverloadedError) as caught:
            await publish(broker, two)
        assert caught.value.code == "unavailable"
    with pytest.raises(OverloadedError):
        await upload_law(world, broker, DENY)
    assert broker.serving.readiness() == ["the clock has run back behind the newest leaf"]
    assert broker.serving.figures().alarms == {"clock-ran-back": 1}
    assert len(await inbox(broker, OTHER)) == 1
    clock.ms += 1
    assert outcomes([await publish(broker, three)]) == ["created"]
    assert outcomes([await publish(broker, two)]) == ["created"]
    await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    assert broker.serving.readiness() == []
    assert broker.ledger.length() == length + 2
    assert broker.view.skipped == {}


async def test_a_record_that_does_not_count_is_not_published(world, broker):
    """One writer does not come to it; were it to, nobody would get a receipt for nothing."""
    (signed,) = letters(world, 1)
    real = broker.view.apply
    broker.view.apply = lambda items, _: [Applied(position, None, "rules") for position, _, _ in items]
    answer = await publish(broker, signed)
    broker.view.apply = real
    assert outcomes([answer]) == ["unavailable"]
    assert (answer.refusal, answer.denied) == (None, ())
    assert broker.serving.figures().counters == {"skipped_records": 1}
    assert outcomes([await publish(broker, signed)]) == ["repeated"]


async def test_a_boundary_passes_by_itself_and_what_comes_after_is_decided_under_it(tmp_path):
    now = 1_800_000_000
    begins = DENY.replace("applies_to", f'valid_from = "{from_seconds(now + 10)}"\napplies_to')
    world = make_world(MEMBERS, now=now, laws={"uz": begins})
    async with running(world, tmp_path, HandClock(now * 1000)) as broker:
        assert outcomes([await publish(broker, letters(world, 1)[0])]) == ["created"]
        broker.clock.ms += 10_000
        await until(lambda: broker.sequencer.trust.boundary == from_seconds(now + 10))
        assert outcomes([await publish(broker, letters(world, 1)[0])]) == ["denied"]
        assert broker.sequencer.trust.version == (world.directory.version, from_seconds(now + 10))
        sound(broker)


# Room, and the end


async def test_a_full_queue_is_said_at_once(world, broker, monkeypatch):
    monkeypatch.setattr(module, "QUEUE", 8)
    signed = letters(world, 6)
    async with held(broker):
        tasks = [asyncio.ensure_future(publish(broker, one)) for one in signed[:4]]
        await until(lambda: broker.sequencer.backlog == 4)
        for ask in (publish(broker, signed[4]), broker.sequencer.call(lambda: None)):
            with pytest.raises(OverloadedError) as caught:
                await ask
            assert caught.value.status == 503
        assert broker.serving.figures().gauges["queue"] == 4
    assert outcomes(await asyncio.gather(*tasks)) == ["created"] * 4
    assert outcomes([await publish(broker, signed[5])]) == ["created"]


async def test_who_goes_away_disturbs_nobody(world, broker):
    one, two = letters(world, 2)
    async with held(broker):
        gone = asyncio.ensure_future(publish(broker, one))
        call = asyncio.ensure_future(broker.sequencer.call(lambda: None))
        await until(lambda: broker.sequencer.backlog == 2)
        gone.cancel()
        call.cancel()
        for task in (gone, call):
            with pytest.raises(asyncio.CancelledError):
                await task
    assert outcomes([await publish(broker, two)]) == ["created"]
    assert outcomes([await publish(broker, one)]) == ["repeated"]
    assert not broker.sequencer._waiting


async def test_who_comes_while_the_thread_ends_is_turned_away(world, broker):
    """Between the last look at who waits and the end of the thread."""
    broker.sequencer._ended = True
    for ask in (publish(broker, letters(world, 1)[0]), broker.sequencer.call(lambda: None)):
        with pytest.raises(OverloadedError):
            await ask
    assert not broker.sequencer._waiting
    broker.sequencer._ended = False


async def test_what_is_queued_is_finished_and_what_comes_later_turned_away(world, tmp_path):
    signed = letters(world, 70)
    async with running(world, tmp_path) as broker:
        async with held(broker):
            tasks = [asyncio.ensure_future(publish(broker, one)) for one in signed]
            await until(lambda: broker.sequencer.backlog == 70)
            stopping = asyncio.ensure_future(asyncio.to_thread(broker.sequencer.stop))
            await until(lambda: broker.sequencer._arrived.qsize() == 0 and not broker.sequencer._examiner.is_alive())
            late = asyncio.ensure_future(publish(broker, world.envelope(SENDER, [OTHER])))
            await asyncio.sleep(0.01)
        await stopping
        assert outcomes(await asyncio.gather(*tasks)) == ["created"] * 70
        with pytest.raises(OverloadedError):
            await late
        for ask in (publish(broker, signed[0]), broker.sequencer.call(lambda: None)):
            with pytest.raises(OverloadedError) as caught:
                await ask
            assert caught.value.code == "unavailable"
        assert not broker.sequencer.alive
        assert broker.serving.readiness()[0] == "the ledger thread has stopped"
        # The last thing that it did was to sign over all of it.
        assert broker.serving.note_size == broker.view.size
        broker.sequencer.stop()
        sound(broker)
    async with running(world, tmp_path) as broker:
        assert len(await inbox(broker, OTHER)) == 70


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("where", ["ledger", "examiner"])
async def test_nobody_waits_for_a_thread_that_an_unforeseen_error_has_ended(world, broker, monkeypatch, where):
    def broken(*_, **__):
        raise ZeroDivisionError

    signed = letters(world, 3)
    async with held(broker):
        monkeypatch.setattr(module, "decide_on" if where == "ledger" else "examine", broken)
        tasks = [asyncio.ensure_future(publish(broker, one)) for one in signed]
        await asyncio.sleep(0.05)
    answers = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert outcomes(answers) == ["unavailable"] * 3
    await until(lambda: not broker.sequencer.alive)
    assert "the ledger thread has stopped" in broker.serving.readiness()
    with pytest.raises(OverloadedError):
        await publish(broker, signed[0])


async def test_pages_hold_what_was_published_in_the_ledgers_order(world, broker):
    signed = letters(world, 20)
    answers = await asyncio.gather(*(publish(broker, one) for one in signed))
    log = world.directory.log
    indices = [verify_receipt(one.receipt, log.receipt_kid, log.receipt_public).index for one in answers]
    order = [one.statement_bytes for _, one in sorted(zip(indices, signed, strict=True), key=lambda pair: pair[0])]
    assert await inbox(broker, OTHER) == [b64encode(one) for one in order]
    found = await broker.serving.feed(OTHER, 0, 1000, ALL)
    for data in found.deliveries:
        assert Delivery.from_json(encoding.parse(data)).inclusion.size == found.size
