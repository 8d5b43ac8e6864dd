"""Clocks that differ: what is too far off is refused in so many words, what is not is accepted, and nothing is spoiled.

Broker and gateways with clocks of their own in one process, and the same as processes under libfaketime where that is
installed. A sender's time may lie 300 s ahead and 14 days back; a request's signature lives 60 s.
"""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.gateway.request import NoticeRequest
from adapters.gateway.status import InboxState, State
from broker.answers import NotPublished, OverloadedError
from broker.ledger.fsck import fsck
from broker.ledger.signer import CheckpointSigner
from keys.http_signature import sign_request
from keys.sign import verify_receipt, verify_refusal
from schemas.encoding import from_seconds
from schemas.errors import Error
from schemas.leaf import LeafType
from schemas.notice import examples
from schemas.statement import SubscriptionBody
from tests import asgi, broker_world, gateway_world
from tests.broker_world import HandClock
from tests.faults.deployment import BrokerService, GatewayService, ask, closing, notice
from tests.faults.deployment import until as wait_until
from tests.gateway_world import Wire, known, until
from tests.world import ORIGIN, make_world, put_law

SENDER, READER = "kz/customs", "uz/focal-point"
HOUR = 3600
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


@dataclass
class Clocks:
    """Seconds by which each clock is ahead of the time at which the world was made."""

    now: int
    broker: HandClock
    gateway: HandClock

    def set(self, *, broker: int = 0, gateway: int = 0) -> None:
        self.broker.ms = (self.now + broker) * 1000
        self.gateway.ms = (self.now + gateway) * 1000


@pytest.fixture(scope="module")
def world():
    # The keys count from two hours ago on, so that a clock one hour behind finds them in force.
    return make_world(["kz/customs", "kz/focal-point", READER], now=int(time.time()) - 2 * HOUR)


@pytest.fixture
def now():
    return int(time.time())


@asynccontextmanager
async def running(world, folder, now, *people):
    """Run a broker, and a gateway for each participant, that all know the network while their clocks still agree."""
    (folder / "broker").mkdir()
    clocks = Clocks(now, HandClock(now * 1000), HandClock(now * 1000))
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(broker_world.running(world, folder / "broker", clocks.broker))
        app = gateway_world.api(broker)
        gateways = []
        for who in people:
            place = gateway_world.plant(world, folder / who.replace("/", "-"), who)
            gateway = await stack.enter_async_context(
                gateway_world.running(place, Wire(app), now_ms=clocks.gateway.now_ms)
            )
            await known(gateway)
            gateways.append(gateway)
        yield broker, app, clocks, *gateways


def issued(world, seconds_ahead, now):
    return world.envelope(SENDER, [READER], issued_at=from_seconds(now + seconds_ahead))


def wanted() -> NoticeRequest:
    return NoticeRequest(topic="central-asia.seizures", notice=examples("seizure"), to=(READER,))


async def publish(broker, signed):
    return await broker.serving.publish(signed.statement.notice_id, signed.envelope)


async def read(world, app, created):
    """Read the feed with a signature of a clock that shows `created`."""
    fields = sign_request(
        "GET",
        "http://broker.test/v1/feed?after=0",
        {},
        None,
        signer=world.people[READER].request,
        origin=ORIGIN,
        created=created,
    )
    return await asgi.request(app, "GET", "/v1/feed?after=0", headers={"Host": "broker.test", **fields})


# The sender's clock


@pytest.mark.parametrize("ahead", [50, 299, 300, -60, -HOUR, -14 * 24 * HOUR])
def test_a_sender_whose_clock_is_off_by_so_much_publishes(tmp_path, world, now, ahead):
    async def scenario():
        async with running(world, tmp_path, now) as (broker, *_):
            answer = await publish(broker, issued(world, ahead, now))
            log = world.directory.log
            receipt = verify_receipt(answer.receipt, log.receipt_kid, log.receipt_public)
            assert receipt.leaf.received_at // 1000 == now  # the broker's word, not the sender's

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("ahead", "says"), [(301, "300 s ahead"), (HOUR, "300 s ahead"), (-14 * 24 * HOUR - 1, "14 days")]
)
def test_a_sender_whose_clock_is_further_off_is_refused_and_told(tmp_path, world, now, ahead, says):
    async def scenario():
        async with running(world, tmp_path, now) as (broker, *_):
            size = broker.view.size
            signed = world.envelope(
                SENDER,
                [READER],
                issued_at=from_seconds(now + ahead),
                expires_at=from_seconds(now + 86400),
            )
            answer = await publish(broker, signed)
            assert isinstance(answer, NotPublished)
            assert answer.error.code == "clock-skew"
            assert says in answer.error.detail
            assert answer.error.pointer == "/issued_at"
            log = world.directory.log
            assert verify_refusal(answer.refusal, log.receipt_kid, log.receipt_public).reason == "clock-skew"
            assert broker.view.size == size

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("off", "status"), [(0, 200), (60, 200), (-120, 200), (61, 422), (-121, 422), (301, 422), (-HOUR, 422)]
)
def test_a_signed_read_says_that_the_clock_is_off(tmp_path, world, now, off, status):
    async def scenario():
        async with running(world, tmp_path, now) as (_, app, *_):
            answer = await read(world, app, now + off)
            assert answer.status == status, answer.body
            if status != 200:
                assert answer.json()["type"] == "urn:valise:problem:clock-skew"
                assert "clock" in answer.json()["detail"]

    asyncio.run(scenario())


def test_a_signed_read_of_a_stranger_does_not_learn_that_its_clock_is_off(tmp_path, world, now):
    async def scenario():
        async with running(world, tmp_path, now) as (_, app, *_):
            strangers = make_world(["kz/customs", "kz/focal-point", READER])
            answer = await read(strangers, app, now - HOUR)
            assert answer.json()["type"] == "urn:valise:problem:unauthenticated"

    asyncio.run(scenario())


# The gateway's clock


def test_a_gateway_301_seconds_ahead_is_told_and_sends_once_its_clock_is_set(tmp_path, world, now):
    async def scenario():
        async with running(world, tmp_path, now, SENDER) as (broker, _, clocks, gateway):
            clocks.set(gateway=301)
            kept = await gateway.accept(SENDER, wanted())
            await until(lambda: "clock-skew" in gateway._alarms.on)

            async def told():
                found = await gateway.status(SENDER, kept.notice_id)
                return found.problem and found.refusal and found

            status = await until(told)
            assert (status.state in (State.KEPT, State.SEALED), status.problem.code) == (True, "clock-skew")
            assert broker.view.latest_event(LeafType.DIRECTORY) is not None
            assert all(record.leaf.type is not LeafType.SEALED for _, record in broker.ledger.read(0, 1000))
            clocks.set()
            status = await gateway.wait_outcome(SENDER, kept.notice_id, 60)
            assert status.state is State.PUBLISHED
            assert kept.notice_id == status.id
            await until(lambda: "clock-skew" not in gateway._alarms.on)

    asyncio.run(scenario())


def test_a_gateway_50_seconds_ahead_notices_nothing(tmp_path, world, now):
    async def scenario():
        async with running(world, tmp_path, now, SENDER, READER) as (_, _, clocks, sender, reader):
            clocks.set(gateway=50)
            kept = await sender.accept(SENDER, wanted())
            assert (await sender.wait_outcome(SENDER, kept.notice_id, 20)).state is State.PUBLISHED
            await until(lambda: arrived(reader, 1))
            assert "clock-skew" not in {*sender._alarms.on, *reader._alarms.on}

    asyncio.run(scenario())


async def arrived(reader, number):
    items, _ = await reader.inbox(READER)
    return len(items) == number and all(item.state is InboxState.OPENED for item in items)


async def subscribe(broker, world):
    signed = world.open_envelope(READER, "subscribe", SubscriptionBody(READER, ("*.*",)))
    assert not isinstance(await publish(broker, signed), NotPublished)


def test_a_gateway_one_hour_behind_publishes_and_is_told_that_it_cannot_read(tmp_path, world, now):
    async def scenario():
        async with running(world, tmp_path, now, SENDER, READER) as (broker, _, clocks, sender, reader):
            clocks.set(gateway=-HOUR)
            kept = await sender.accept(SENDER, wanted())
            status = await sender.wait_outcome(SENDER, kept.notice_id, 20)
            assert status.state is State.PUBLISHED, status.problem
            # The page that the reader waited for when its clock went wrong was asked for in time; the next one was not.
            detail = await until(lambda: reader._alarms.on.get("not-receiving"), 40)
            assert "clock" in detail
            kept = await sender.accept(SENDER, wanted())
            assert (await sender.wait_outcome(SENDER, kept.notice_id, 20)).state is State.PUBLISHED
            # Nor does what is openly in the log stop it: it knows that it is its own clock.
            await subscribe(broker, world)
            await until(lambda: "clock-skew" in sender._alarms.on)
            last = await sender.accept(SENDER, wanted())
            assert (await sender.wait_outcome(SENDER, last.notice_id, 20)).state is State.PUBLISHED
            there = {item.notice_id for item in (await reader.inbox(READER))[0]}
            assert there.isdisjoint({kept.notice_id, last.notice_id})
            clocks.set()
            await until(lambda: arrived(reader, 3))
            await until(lambda: not {"not-receiving", "clock-skew"} & {*reader._alarms.on, *sender._alarms.on})
            await until(lambda: set(sender.network.subscriptions.get(READER, ())) == {"*.*"})

    asyncio.run(scenario())


# The broker's clock


def test_a_broker_301_seconds_ahead_publishes_and_does_not_let_read(tmp_path, world, now):
    async def scenario():
        async with running(world, tmp_path, now) as (broker, app, clocks):
            clocks.set(broker=301)
            answer = await publish(broker, issued(world, 0, now))
            assert not isinstance(answer, NotPublished)
            assert (await read(world, app, now)).json()["type"] == "urn:valise:problem:clock-skew"

    asyncio.run(scenario())


def test_a_broker_that_starts_one_hour_behind_refuses_what_comes_from_its_future(tmp_path, world, now):
    async def scenario():
        (tmp_path / "broker").mkdir()
        behind = HandClock((now - HOUR) * 1000)
        async with broker_world.running(world, tmp_path / "broker", behind) as broker:
            answer = await publish(broker, issued(world, 0, now))
            assert answer.error.code == "clock-skew"
            answer = await publish(broker, issued(world, -HOUR + 50, now))
            assert not isinstance(answer, NotPublished)

    asyncio.run(scenario())


@pytest.mark.parametrize("back", [61, HOUR, 30 * 24 * HOUR])
def test_a_broker_whose_clock_runs_back_says_so_and_keeps_its_ledger_clean(tmp_path, world, now, back):
    async def scenario():
        async with running(world, tmp_path, now) as (broker, app, clocks):
            first = issued(world, 0, now)
            assert not isinstance(await publish(broker, first), NotPublished)
            records, size, root = broker.ledger.length(), broker.view.size, broker.view.root(broker.view.size)

            clocks.set(broker=-back)
            for _ in range(3):
                with pytest.raises(OverloadedError) as raised:
                    await publish(broker, issued(world, -back, now))
                assert "clock" in raised.value.detail
                assert raised.value.status == 503
            with pytest.raises(Error) as raised:
                await broker.serving.upload_role(*upload(world))
            assert "clock" in raised.value.detail
            await asyncio.sleep(1.2)  # a round of housekeeping
            assert (broker.ledger.length(), broker.view.size) == (records, size)
            assert any("clock" in reason for reason in broker.serving.readiness())
            assert broker.serving.figures().alarms["clock-ran-back"] == 1
            assert (await asgi.request(app, "GET", "/readyz")).status == 503
            assert (await asgi.request(app, "GET", "/livez")).status == 200
            if back <= HOUR:  # who reads is served, by that clock; a month ago nobody's key counted
                assert (await read(world, app, now - back)).status == 200

            clocks.set(broker=1)
            assert (await publish(broker, first)).created is False
            await until(lambda: not broker.serving.readiness())
            assert broker.view.root(size) == root
            assert broker.view.skipped == {}
            assert fsck(broker.ledger, now_ms=clocks.broker.ms, view=broker.view).findings == ()

    asyncio.run(scenario())


def test_a_gateway_waits_until_the_brokers_clock_is_set(tmp_path, world, now):
    async def scenario():
        async with running(world, tmp_path, now, SENDER) as (broker, _, clocks, gateway):
            assert not isinstance(await publish(broker, issued(world, 0, now)), NotPublished)
            clocks.set(broker=-HOUR)
            kept = await gateway.accept(SENDER, wanted())
            await until(lambda: "not-publishing" in gateway._alarms.on)
            clocks.set(broker=1, gateway=1)
            status = await gateway.wait_outcome(SENDER, kept.notice_id, 60)
            assert status.state is State.PUBLISHED, status

    asyncio.run(scenario())


def upload(world):
    """Return what a legal officer and a focal point upload, without doing it."""
    before, edited = world.repository, world.repository.version_of("uz-law")
    law = world.law("uz", "")
    try:
        put_law(world, "uz", law)
        version = world.repository.version_of("uz-law")
        return "uz-law", world.repository.files[f"{version}.uz-law.json"], {"uz/law.json": law}, edited
    finally:
        world.repository = before


def test_a_clock_that_ran_back_by_less_than_a_minute_is_nobodys_trouble(tmp_path, world, now):
    async def scenario():
        async with running(world, tmp_path, now) as (broker, _, clocks):
            for back in (0, 59, 30, 60):
                clocks.set(broker=-back)
                assert not isinstance(await publish(broker, issued(world, 0, now)), NotPublished)
            assert fsck(broker.ledger, now_ms=now * 1000, view=broker.view).findings == ()
            assert broker.view.skipped == {}

    asyncio.run(scenario())


def test_a_broker_that_was_started_with_a_clock_that_ran_back_goes_on_once_it_is_set(tmp_path, world, now):
    async def scenario():
        folder = tmp_path / "broker"
        folder.mkdir()
        async with broker_world.running(world, folder, HandClock(now * 1000)) as broker:
            assert not isinstance(await publish(broker, issued(world, 0, now)), NotPublished)
            records = broker.ledger.length()
        async with broker_world.running(world, folder, HandClock((now - HOUR) * 1000)) as broker:
            with pytest.raises(OverloadedError):
                await publish(broker, issued(world, -HOUR, now))
            assert broker.ledger.length() == records
            broker.clock.ms = (now + 2) * 1000
            assert not isinstance(await publish(broker, issued(world, 0, now)), NotPublished)
        signer = CheckpointSigner(world.log, folder / "signer")
        assert signer.head.size == records + 1
        signer.close()

    asyncio.run(scenario())


def test_a_key_that_a_broker_with_a_late_clock_takes_for_none_yet_is_waited_for(tmp_path):
    fresh = make_world(["kz/customs", "kz/focal-point", READER])

    async def scenario():
        now = fresh.now
        async with running(fresh, tmp_path, now, SENDER) as (_, _, clocks, gateway):
            clocks.set(broker=-50)  # by which its keys count in 50 seconds only
            kept = await gateway.accept(SENDER, wanted())
            await until(lambda: "not-accepted" in gateway._alarms.on)
            assert (await gateway.status(SENDER, kept.notice_id)).state is State.SEALED
            clocks.set(broker=1)
            status = await gateway.wait_outcome(SENDER, kept.notice_id, 60)
            assert status.state is State.PUBLISHED, status

    asyncio.run(scenario())


# Processes


def faked(seconds: int) -> dict[str, str]:
    if FAKETIME is None:
        pytest.skip("libfaketime is not installed")
    return {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.loopback
@pytest.mark.parametrize(("off", "publishes", "reads"), [(400, False, False), (50, True, True), (-HOUR, True, False)])
def test_a_gateway_process_with_another_clock(tmp_path, world, off, publishes, reads):
    environment = faked(off)
    broker = BrokerService(world, tmp_path / "broker")
    broker.start()
    gateway = GatewayService(world, tmp_path / "gateway", SENDER, broker=broker.address)
    with closing(broker, gateway):
        gateway.start(environment)
        sent = gateway.send(SENDER, notice("one", READER)).json()["id"]

        def outcome():
            status = gateway.call(SENDER, f"/v1/notices/{sent}").json()
            return status if status["receipt"] or status["problem"] else None

        status = wait_until(outcome, 30)
        assert (status["status"] == "published") is publishes, status
        if not publishes:
            assert status["problem"]["code"] == "clock-skew"
        expected = set() if reads else {"clock-skew"}
        wait_until(lambda: expected <= gateway.alarms(SENDER).keys())
        assert ("not-receiving" in gateway.alarms(SENDER)) is not reads
        assert gateway.end() == 0


@pytest.mark.loopback
@pytest.mark.parametrize("off", [301, 50, -HOUR])
def test_a_broker_process_with_another_clock(tmp_path, world, off):
    environment = faked(off)
    broker = BrokerService(world, tmp_path / "broker")
    with closing(broker):
        broker.start(environment)
        now = int(time.time())
        answer = broker.publish(issued(world, 0, now))
        if off == -HOUR:
            assert (answer.status, answer.code) == (422, "clock-skew")
        else:
            assert answer.status == 201, answer.body
        answer = broker.signed(READER, "/v1/feed?after=0&limit=10")
        assert answer.status == (200 if off == 50 else 422), answer.body
        assert broker.signed(READER, "/v1/feed?after=0&limit=10", created=now + off).status == 200
        assert ask(f"{broker.address}/readyz").status == 200
        assert broker.end() == 0


@pytest.mark.loopback
def test_a_broker_process_that_is_started_again_with_a_clock_that_ran_back(tmp_path, world):
    environment = faked(-HOUR)
    broker = BrokerService(world, tmp_path / "broker")
    with closing(broker):
        broker.start()
        now = int(time.time())
        signed = issued(world, 0, now)
        assert broker.publish(signed).status == 201
        assert broker.end() == 0
        broker.start(environment)
        answer = broker.publish(issued(world, -HOUR, now))
        assert (answer.status, answer.code) == (503, "unavailable")
        assert answer.headers["Retry-After"]
        assert "clock" in answer.json()["detail"]
        assert "clock" in ask(f"{broker.address}/readyz").json()["reasons"][0]
        assert b"clock-ran-back" in broker.metrics
        assert broker.end() == 0
        broker.start()
        assert broker.publish(signed).status == 200
        assert broker.publish(issued(world, 0, now)).status == 201
