"""The ledger thread when a store fails: who waits is answered, what is published stays, and it goes on by itself."""

import asyncio

import orjson
import pytest

from broker import sequencer as module
from broker import serving
from broker.answers import OverloadedError
from broker.checkpoints import OwnCheckpoints, SignedTree
from broker.ledger.port import LedgerUnavailableError, StorageFullError
from broker.ledger.signer import SignerError
from broker.view.store import Applied
from keys.sign import verify_receipt
from schemas.encoding import b64encode, from_seconds
from schemas.errors import Error
from schemas.ids import Code
from schemas.statement import RevocationBody
from tests.broker_world import HandClock, publish, running, until, upload_law
from tests.carrying import Carrier
from tests.unit.broker.sequencer.thread import (
    ALL,
    DENY,
    MEMBERS,
    OTHER,
    SENDER,
    fail,
    held,
    inbox,
    letters,
    outcomes,
    publish_together,
    sound,
)
from tests.world import NOTICE, make_world

pytestmark = pytest.mark.anyio


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
    left = fail(broker.view, "keep_up", *[LedgerUnavailableError("Broken.")] * 2)
    assert outcomes([*(await publish_together(broker, signed))]) == ["unavailable"] * 2
    with pytest.raises(LedgerUnavailableError):
        await broker.sequencer.call(lambda: pytest.fail("it must not run before the view is up to date"))
    assert left
    with pytest.raises(LedgerUnavailableError):
        await publish(broker, signed[0])
    assert outcomes(await publish_together(broker, signed)) == ["repeated"] * 2
    sound(broker)


async def test_an_upload_after_a_failure_leaves_nothing_out(world, broker):
    """The view was behind by a notice when the next thing came that appends."""
    (signed,) = letters(world, 1)
    fail(broker.view, "apply", LedgerUnavailableError("Broken."))
    assert outcomes(await publish_together(broker, [signed])) == ["unavailable"]
    await upload_law(world, broker, "uz", "")
    assert broker.view.by_notice(signed.statement.notice_id) is not None
    assert outcomes([await publish(broker, signed)]) == ["repeated"]
    sound(broker)


@pytest.mark.parametrize("late", ["append", "apply"])
async def test_a_directory_version_that_is_in_the_ledger_is_in_force_although_its_upload_failed(world, broker, late):
    error = LedgerUnavailableError("Broken.")
    fail(broker.ledger, "append", error, after=True) if late == "append" else fail(broker.view, "apply", error)
    before = broker.sequencer.trust.version
    with pytest.raises(LedgerUnavailableError):
        await upload_law(world, broker, "uz", DENY)
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
    await upload_law(world, broker, "uz", "")
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
        await upload_law(world, broker, "uz", DENY)
    assert (caught.value.status, caught.value.code) == (503, "unavailable")
    answer = await publish(broker, letters(world, 1)[0])
    assert [(item.participant, item.why.condition) for item in answer.denied] == [(OTHER, "uz-seizures-1")]
    sound(broker)


async def test_what_is_still_to_be_done_is_no_refusal_either(world, broker):
    """The disk is full while the view should follow: only what is in the ledger already is left open."""
    signed, other = letters(world, 2)
    fail(broker.view, "apply", StorageFullError("Full."))
    fail(broker.view, "keep_up", *[StorageFullError("Full.")] * 4)
    assert outcomes(await publish_together(broker, [signed])) == ["unavailable"]
    with pytest.raises(OverloadedError):
        await publish(broker, signed)
    for ask in (publish(broker, other), broker.sequencer.publish(other.statement.notice_id, b"{}")):
        with pytest.raises(StorageFullError):
            await ask
    with pytest.raises(StorageFullError):
        await broker.sequencer.call(lambda: None)
    assert outcomes(await publish_together(broker, [signed, other])) == ["repeated", "created"]


async def test_an_upload_that_the_view_could_not_follow_is_left_open(world, broker):
    fail(broker.view, "apply", StorageFullError("Full."))
    fail(broker.view, "keep_up", *[StorageFullError("Full.")] * 2)
    for ask in (upload_law(world, broker, "uz", DENY), broker.sequencer.call(lambda: None)):
        with pytest.raises(OverloadedError):
            await ask
    sound(broker)


async def test_an_upload_that_nothing_was_kept_of_is_refused(world, broker):
    fail(broker.ledger, "append", StorageFullError("Full."))
    size = broker.ledger.length()
    with pytest.raises(StorageFullError):
        await upload_law(world, broker, "uz", DENY)
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
    await upload_law(world, broker, "uz", DENY)
    assert await inbox(broker, OTHER) == []
    fail(broker.view, "release", StorageFullError("Full."))
    with pytest.raises(OverloadedError):
        await upload_law(world, broker, "uz", "")
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
    fail(broker.sequencer._checkpoints, "newest", StorageFullError("Full."), StorageFullError("Full."))
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
    fail(broker.sequencer._checkpoints, "newest", SignerError("root-differs", "It was changed."))
    clock.ms += 61_000  # the checkpoint's time is renewed each minute
    await until(lambda: broker.sequencer.alarm is not None)
    with pytest.raises(OverloadedError) as caught:
        await publish(broker, second)
    assert (caught.value.status, caught.value.code) == (503, "unavailable")
    with pytest.raises(OverloadedError):
        await upload_law(world, broker, "uz", DENY)
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
        await upload_law(world, broker, "uz", DENY)
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


async def test_what_could_not_take_effect_yet_is_no_ledger_that_is_shorter(broker, monkeypatch):
    """Before its first signature an instance has no tree of its own to hold against what another one has signed."""
    signed, asked = broker.sequencer.signed, []
    async with held(broker):
        with monkeypatch.context() as patch:
            patch.setattr(broker.sequencer._checkpoints, "newest", lambda size, *_: asked.append(size))
            patch.setattr(broker.sequencer, "_followed", False)
            broker.sequencer.signed = SignedTree(None, 0)
            broker.sequencer._sign()
            assert asked == []
            broker.sequencer.signed = signed
            broker.sequencer._sign()  # its own last one is renewed meanwhile
            assert asked == [signed.size]


async def test_a_checkpoint_that_nobody_renews_is_said_to_be_old(broker, clock, monkeypatch):
    """As where only reading hangs: heartbeats are written, and no newer checkpoint is heard of."""
    with monkeypatch.context() as patch:
        patch.setattr(OwnCheckpoints, "due", lambda *_: False)
        clock.ms += serving.OLD_MS - 1000
        assert broker.serving.readiness() == []
        clock.ms += 2000
        assert broker.serving.readiness() == ["the newest checkpoint is old"]
        assert broker.serving.figures().gauges["ready"] == 0
    await until(lambda: broker.serving.readiness() == [])


async def test_what_another_instance_has_overtaken_is_decided_again_and_not_for_ever(world, broker):
    """Its record does not count under rules that were changed between decision and append."""
    (signed,) = letters(world, 1)
    real, asked = broker.view.follow, []

    def overtaken(items, statements=None):
        real(items, statements)
        asked.append(len(items))
        return [Applied(position, None, "rules") for position, _, _ in items]

    known = broker.view.known
    broker.view.known = lambda digest: None
    broker.view.by_notice, by_notice = lambda notice_id: None, broker.view.by_notice
    broker.view.follow = overtaken
    answer = await publish(broker, signed)
    assert outcomes([answer]) == ["unavailable"]
    assert asked == [1] * (1 + module.TRIES)
    broker.view.follow, broker.view.known, broker.view.by_notice = real, known, by_notice
    assert outcomes([await publish(broker, signed)]) == ["repeated"]


async def test_a_record_that_does_not_count_is_not_published(world, broker):
    """One writer does not come to it; were it to, nobody would get a receipt for nothing."""
    (signed,) = letters(world, 1)
    real = broker.view.apply
    broker.view.apply = lambda items, _: [Applied(position, None, "late") for position, _, _ in items]
    answer = await publish(broker, signed)
    broker.view.apply = real
    assert outcomes([answer]) == ["unavailable"]
    assert (answer.refusal, answer.denied) == (None, ())
    assert broker.serving.figures().counters == {"skipped_records": 1}
    assert outcomes([await publish(broker, signed)]) == ["repeated"]
