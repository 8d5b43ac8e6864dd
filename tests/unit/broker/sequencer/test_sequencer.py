"""The ledger thread at work: chunks in their order, quotas, boundaries, a full queue, and the end."""

import asyncio
from dataclasses import replace

import orjson
import pytest

from broker import intake
from broker import sequencer as module
from broker.answers import OverloadedError
from broker.quota import Quota
from keys.directory import edit
from keys.sign import verify_receipt, verify_refusal
from schemas import encoding
from schemas.delivery import Delivery
from schemas.encoding import b64encode, from_seconds
from schemas.ids import Code, Role
from schemas.statement import RevocationBody, SubscriptionBody
from tests.broker_world import HandClock, publish, running, until
from tests.unit.broker.sequencer.thread import (
    ALL,
    DENY,
    MEMBERS,
    OTHER,
    SENDER,
    held,
    inbox,
    letters,
    outcomes,
    publish_together,
    sound,
)
from tests.world import make_world

pytestmark = pytest.mark.anyio


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
        await until(lambda: broker.sequencer.intake.jobs.qsize() == 1)
        tasks.append(asyncio.ensure_future(broker.sequencer.call(lambda: sizes.append(broker.view.size))))
        await asyncio.sleep(0)
        tasks.append(asyncio.ensure_future(publish(broker, two)))
        await until(lambda: broker.sequencer.intake.jobs.qsize() == 3)
        size = broker.view.size
    await asyncio.gather(*tasks)
    assert sizes == [size + 1]
    assert broker.view.size == size + 2


async def test_more_than_a_chunk_is_answered_in_order(world, broker, monkeypatch):
    monkeypatch.setattr(intake, "CHUNK", 4)
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
        (denied,) = orjson.loads(decision)["denied"]
        assert (denied["participant"], denied["condition"], denied["state"]) == (OTHER, "uz-seizures-1", "uz")
        assert denied["instrument"]
        assert denied["article"]
        assert broker.view.known(bytes(32)) is None
        assert broker.view.size == world.directory.version


# Clock


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
    monkeypatch.setattr(intake, "QUEUE", 4)
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


async def test_what_waits_is_bounded_in_bytes_also_when_nobody_waits_for_its_answer_any_more(
    world, broker, monkeypatch
):
    signed = letters(world, 5)
    monkeypatch.setattr(intake, "QUEUE_BYTES", sum(len(one.envelope) for one in signed[:2]) + 100)
    monkeypatch.setattr(intake, "ANSWER_S", 0.05)
    async with held(broker):
        for one in signed[:2]:
            with pytest.raises(OverloadedError):  # whether it will be published is open
                await publish(broker, one)
        for ask in (publish(broker, signed[2]), broker.serving.publish_many([one.envelope for one in signed[2:4]])):
            with pytest.raises(OverloadedError, match="Too many"):
                await ask
    monkeypatch.undo()
    assert outcomes([await publish(broker, one) for one in signed[:4]]) == [
        "repeated",
        "repeated",
        "created",
        "created",
    ]
    assert broker.sequencer.intake._put == broker.sequencer.intake._taken > 0
    sound(broker)


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
    assert not broker.sequencer.intake.waiting


async def test_who_comes_while_the_thread_ends_is_turned_away(world, broker):
    """Between the last look at who waits and the end of the thread."""
    broker.sequencer.intake.ended = True
    for ask in (publish(broker, letters(world, 1)[0]), broker.sequencer.call(lambda: None)):
        with pytest.raises(OverloadedError):
            await ask
    assert not broker.sequencer.intake.waiting
    broker.sequencer.intake.ended = False


async def test_what_is_queued_is_finished_and_what_comes_later_turned_away(world, tmp_path):
    signed = letters(world, 70)
    async with running(world, tmp_path) as broker:
        async with held(broker):
            tasks = [asyncio.ensure_future(publish(broker, one)) for one in signed]
            await until(lambda: broker.sequencer.backlog == 70)
            stopping = asyncio.ensure_future(asyncio.to_thread(broker.sequencer.stop))
            examiner = broker.sequencer.intake.examiner
            await until(lambda: examiner.backlog == 0 and not examiner._thread.is_alive())
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
