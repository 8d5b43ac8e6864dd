"""Lines that come together: each stands alone, their order is kept, and a batch's head is verified once."""

import asyncio
from dataclasses import replace

import orjson
import pytest

from broker import intake
from broker import sequencer as module
from broker.answers import OverloadedError
from broker.ledger.port import StorageFullError
from broker.quota import Quota
from keys import heads
from schemas.encoding import b64encode
from schemas.statement import RevocationBody
from tests.broker_world import publish, until
from tests.unit.broker.sequencer.thread import OTHER, SENDER, fail, held, inbox, letters, outcomes, sound

pytestmark = pytest.mark.anyio


@pytest.fixture
def checked(monkeypatch):
    """Return the list of heads whose signatures were checked."""
    seen = []
    real = heads.verify_pair
    monkeypatch.setattr(heads, "verify_pair", lambda *given: (seen.append(given), real(*given)))
    return seen


def batch(world, count, sender=SENDER, to=OTHER):
    return world.sign([world.sealed(world.statement(sender), [to]) for _ in range(count)])


async def publish_many(broker, signed):
    return await broker.serving.publish_many([one if isinstance(one, bytes) else one.envelope for one in signed])


async def test_a_hundred_lines_under_one_head_are_published_in_their_order(world, broker, checked):
    signed = batch(world, 100)
    answers = await publish_many(broker, signed)
    assert outcomes(answers) == ["created"] * 100
    assert len(checked) == 1
    assert await inbox(broker, OTHER) == [b64encode(one.statement_bytes) for one in signed]
    again = await publish_many(broker, signed)
    assert outcomes(again) == ["repeated"] * 100
    assert [one.receipt for one in again] == [one.receipt for one in answers]
    sound(broker)


async def test_each_line_stands_alone(world, broker):
    good = [*batch(world, 3), *batch(world, 2, OTHER, SENDER)]
    value = orjson.loads(good[1].envelope)
    value["proof"]["head"]["signatures"][1]["signature"] = b64encode(bytes(3309))
    forged = orjson.dumps(value)
    twin = world.envelope(SENDER, [OTHER], notice_id=good[0].statement.notice_id, thread=good[0].statement.notice_id)
    lines = [good[0], b"", forged, good[1], b"{" * 3, good[0], twin, b" " * ((1 << 20) + 1), good[2], good[4], good[3]]
    answers = await publish_many(broker, lines)
    assert outcomes(answers) == [
        *("created", "malformed", "unverified", "created", "malformed", "repeated", "conflict", "too-large"),
        *("created", "created", "created"),
    ]
    assert answers[6].refusal is not None  # the sender was authenticated, and the refusal is definite
    assert [answers[number].refusal for number in (1, 2, 4, 7)] == [None] * 4
    assert await inbox(broker, OTHER) == [b64encode(good[number].statement_bytes) for number in (0, 1, 2)]


async def test_a_revoked_key_is_refused_although_its_head_is_remembered(world, broker, checked):
    signed = batch(world, 6)
    assert outcomes(await publish_many(broker, signed[:2])) == ["created"] * 2
    revocation = world.open_envelope(
        "kz/focal-point", "revoke_key", RevocationBody(SENDER, (world.people[SENDER].signing.kids[1],), "lost")
    )
    # Within one batch too: what stands behind the revocation is decided under it.
    answers = await publish_many(broker, [signed[2], revocation, signed[3], signed[0]])
    assert outcomes(answers) == ["created", "created", "revoked-key", "repeated"]
    assert outcomes(await publish_many(broker, signed[4:])) == ["revoked-key"] * 2
    assert len(checked) == 2


async def test_single_envelopes_know_the_heads_of_batches_and_the_other_way_round(world, broker, checked):
    signed = batch(world, 3)
    assert outcomes([await publish(broker, signed[0])]) == ["created"]
    assert outcomes(await publish_many(broker, signed)) == ["repeated", "created", "created"]
    assert len(checked) == 1


async def test_more_than_the_quota_counts_statements_and_not_requests(world, broker, clock):
    broker.sequencer._quota = Quota(2)
    signed = batch(world, 6)
    answers = await publish_many(broker, signed)
    assert outcomes(answers) == ["created"] * 4 + ["rate-limited"] * 2
    clock.ms += 1000
    assert outcomes(await publish_many(broker, signed)) == ["repeated"] * 4 + ["created"] * 2


async def test_what_lies_behind_one_that_could_not_be_decided_is_not_tried(world, broker, monkeypatch):
    """A disk that has space again must not let the second half come before the first."""
    monkeypatch.setattr(intake, "CHUNK", 4)
    signed = batch(world, 11)
    size = broker.view.size
    left = fail(broker.ledger, "append", *[StorageFullError("Full.")] * 4)
    answers = await publish_many(broker, signed)
    assert set(outcomes(answers[:4])) == {"storage-full"}
    assert outcomes(answers[4:]) == ["unavailable"] * 7
    assert broker.view.size == size
    left.clear()
    assert outcomes(await publish_many(broker, signed)) == ["created"] * 11
    assert await inbox(broker, OTHER) == [b64encode(one.statement_bytes) for one in signed]
    sound(broker)


async def test_there_must_be_room_for_all_of_it(world, broker, monkeypatch):
    monkeypatch.setattr(intake, "QUEUE", 4)
    signed = batch(world, 5)
    with pytest.raises(OverloadedError):
        await publish_many(broker, signed)
    async with held(broker):
        first = asyncio.ensure_future(publish_many(broker, signed[:2]))
        await until(lambda: broker.sequencer.backlog == 2)
        with pytest.raises(OverloadedError):
            await publish_many(broker, signed[2:])
    assert outcomes(await first) == ["created"] * 2


async def test_who_goes_away_disturbs_nobody(world, broker):
    signed = batch(world, 3)
    async with held(broker):
        gone = asyncio.ensure_future(publish_many(broker, signed))
        await until(lambda: broker.sequencer.backlog == 3)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
    assert not broker.sequencer.intake.waiting
    assert outcomes(await publish_many(broker, letters(world, 1))) == ["created"]
    assert outcomes(await publish_many(broker, signed)) == ["repeated"] * 3


async def test_a_fork_is_counted_for_each_line_that_shows_it(world, broker):
    seen = replace(world.statement(SENDER).checkpoint, size=10**6, root=b64encode(bytes(32)))
    signed = world.sign([world.sealed(world.statement(SENDER, checkpoint=seen), [OTHER]) for _ in range(2)])
    assert outcomes(await publish_many(broker, signed)) == ["fork"] * 2
    assert broker.serving.figures().alarms["fork"] == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("where", ["ledger", "examiner"])
async def test_nobody_waits_for_a_thread_that_an_unforeseen_error_has_ended(world, broker, monkeypatch, where):
    def broken(*_, **__):
        raise ZeroDivisionError

    signed = batch(world, 3)
    async with held(broker):
        monkeypatch.setattr(module, "decide_on" if where == "ledger" else "examine", broken)
        asked = asyncio.ensure_future(publish_many(broker, signed))
        await asyncio.sleep(0.05)
    answers = await asyncio.wait_for(asked, 5)
    assert outcomes(answers) == ["unavailable"] * 3
    await until(lambda: not broker.sequencer.alive)
    with pytest.raises(OverloadedError):
        await publish_many(broker, signed)


async def test_who_comes_while_the_thread_ends_is_turned_away(world, broker):
    broker.sequencer.intake.ended = True
    assert outcomes(await publish_many(broker, batch(world, 2))) == ["unavailable"] * 2
    assert not broker.sequencer.intake.waiting
    broker.sequencer.intake.ended = False


async def test_another_error_than_ours_is_nobodys_answer(world, broker, monkeypatch):
    monkeypatch.setattr(broker.sequencer, "_answer", lambda *_: ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await publish_many(broker, batch(world, 1))
