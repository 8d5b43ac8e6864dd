"""A store that is far away: what comes next is decided while an append is under way, and nothing shows but the speed."""

import asyncio

import pytest

from broker import intake
from broker.ledger.port import LedgerUnavailableError
from schemas.statement import RevocationBody
from tests.broker_world import publish, until
from tests.unit.broker.sequencer.thread import OTHER, SENDER, held, inbox, letters, outcomes, publish_together, sound

pytestmark = pytest.mark.anyio


class Far:
    """The ledger's way to begin, written down; what is in `failing` fails when it is finished."""

    def __init__(self, ledger):
        self._begin = ledger.begin
        self.events = []
        self.failing = set()
        self.begun = 0
        self.when_begun = lambda number: None

    def begin(self, append):
        number, later = self.begun, self._begin(append)
        self.begun += 1
        self.events.append(f"begin {number}")
        self.when_begun(number)

        class Appending:
            @staticmethod
            def finish():
                self.events.append(f"finish {number}")
                if number in self.failing:
                    raise LedgerUnavailableError("The cluster does not answer in time.")
                return later.finish()

        return Appending()


class Others:
    """The other instances: none has anything to say."""

    behind = False

    @staticmethod
    def troubles():
        return []


@pytest.fixture
async def far(broker, monkeypatch):
    """Return what is written down of a broker whose ledger others could append to; a chunk has two envelopes."""
    monkeypatch.setattr(intake, "CHUNK", 2)
    found = Far(broker.ledger)
    broker.ledger.begin = found.begin
    await broker.sequencer.call(lambda: setattr(broker.sequencer, "_shared", Others()))
    return found


async def test_the_next_chunk_is_begun_before_one_is_finished_and_all_keep_their_order(world, broker, far):
    signed = letters(world, 6)
    assert outcomes(await publish_together(broker, signed)) == ["created"] * 6
    assert far.events == ["begin 0", "begin 1", "finish 0", "begin 2", "finish 1", "finish 2"]
    stored = [record.document for _, record in broker.ledger.read(0, 1000)]
    assert stored[-6:] == [one.statement_bytes for one in signed]
    assert len(await inbox(broker, OTHER)) == 6
    sound(broker)


async def test_one_alone_is_not_kept_waiting(world, broker, far):
    (signed,) = letters(world, 1)
    assert outcomes([await publish(broker, signed)]) == ["created"]
    assert far.events == ["begin 0", "finish 0"]


async def test_what_touches_what_is_under_way_is_decided_after_it(world, broker, far):
    one, two, three = letters(world, 3)
    about = one.statement.notice_id
    correction = world.envelope(SENDER, [OTHER], act="correct", ref=about, thread=about)
    twin = world.envelope(SENDER, [OTHER], notice_id=two.statement.notice_id, thread=two.statement.notice_id)
    answers = await publish_together(broker, [one, two, correction, three, twin, one])
    assert outcomes(answers) == ["created", "created", "created", "created", "conflict", "repeated"]
    assert far.events[:3] == ["begin 0", "finish 0", "begin 1"]
    sound(broker)


async def test_an_open_act_takes_effect_before_anything_behind_it_is_decided(world, broker, far):
    before, after = letters(world, 2)
    body = RevocationBody(SENDER, tuple(sorted(world.people[SENDER].signing.kids)), "compromised")
    revocation = world.open_envelope("kz/focal-point", "revoke_key", body)
    answers = await publish_together(broker, [before, revocation, after])
    assert outcomes(answers) == ["created", "created", "revoked-key"]
    assert far.events[:2] == ["begin 0", "finish 0"]


async def test_what_failed_is_said_and_the_next_one_is_published(world, broker, far):
    signed = letters(world, 4)
    far.failing = {0}
    answers = await publish_together(broker, signed)
    assert outcomes(answers) == ["unavailable"] * 2 + ["created"] * 2
    far.failing = set()
    assert outcomes([await publish(broker, one) for one in signed]) == ["created"] * 2 + ["repeated"] * 2
    assert len(await inbox(broker, OTHER)) == 4
    sound(broker)


async def test_nothing_that_was_begun_is_appended_once_the_ledger_is_found_to_be_another(world, broker, far):
    length = broker.ledger.length()
    far.when_begun = lambda number: setattr(broker.sequencer, "alarm", "fork")
    (signed,) = letters(world, 1)
    with pytest.raises(Exception, match="not the one that was signed"):
        await publish(broker, signed)
    assert far.events == ["begin 0"]
    assert broker.ledger.length() == length
    broker.sequencer.alarm = None


async def test_what_was_begun_is_answered_however_many_are_turned_away_behind_it(world, broker, far, monkeypatch):
    signed = letters(world, 6)
    far.when_begun = lambda number: setattr(broker.sequencer, "alarm", "fork")
    finished = []
    finish, demand_sound = broker.sequencer._finish, broker.sequencer.demand_sound
    monkeypatch.setattr(broker.sequencer, "_finish", lambda: (finished.append(len(turned)), finish())[1])
    turned = []

    def demand():
        turned.append(1)
        demand_sound()

    monkeypatch.setattr(broker.sequencer, "demand_sound", demand)
    answers = await publish_together(broker, signed)
    assert outcomes(answers) == ["unavailable"] * 6
    assert len(turned) > 2  # chunks behind the first were turned away
    assert 2 in finished  # and the first was answered with the first of them
    broker.sequencer.alarm = None


async def test_what_waits_at_the_end_is_finished(world, broker, far):
    signed = letters(world, 3)
    tasks = [asyncio.ensure_future(publish(broker, one)) for one in signed]
    await asyncio.sleep(0)
    await asyncio.to_thread(broker.sequencer.stop)
    assert outcomes(await asyncio.gather(*tasks)) == ["created"] * 3


async def test_calls_come_after_what_was_asked_before_them(world, broker, far):
    signed = letters(world, 2)
    size = broker.view.size
    async with held(broker):
        tasks = [asyncio.ensure_future(publish(broker, one)) for one in signed]
        await until(lambda: broker.sequencer.intake.jobs.qsize() == 2)
        call = asyncio.ensure_future(broker.sequencer.call(lambda: broker.view.size))
        await until(lambda: broker.sequencer.intake.jobs.qsize() == 3)
    assert await call == size + 2
    assert outcomes(await asyncio.gather(*tasks)) == ["created"] * 2
