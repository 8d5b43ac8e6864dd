"""What the sender makes of every answer but a receipt: retried unchanged, sealed anew, given back, or refused for good."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import orjson
import pytest
from multidict import CIMultiDict

from adapters.client.errors import BrokerAwayError
from adapters.client.transport import Answer
from adapters.gateway import outbox
from adapters.gateway.send import MOST_SEALS, Backoff
from adapters.gateway.status import State, Via
from keys.sign import Ed25519Signer
from schemas.encoding import from_seconds
from schemas.envelope import Envelope
from tests.broker_world import upload_law
from tests.gateway_world import SkewedClock, a_request, arrived, problem, refuse, scene, sent, subscribed, until
from tests.world import make_world

SENDER, POINT, READER, OTHER = "kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(Backoff, "after", lambda _self, asked=None: 0.02)


class Publishes:
    """Answers the first publishes of notices (not of open acts) in place of the broker, and remembers all of them."""

    def __init__(self, made, *answers) -> None:
        self.made, self.answers, self.seen = made, list(answers), []
        made.wire.before = self

    def __call__(self, request):
        if request.method != "PUT" or Envelope.parse(request.body).sealed is None:
            return None
        self.seen.append(request)
        if not self.answers:
            return None
        answer = self.answers.pop(0)
        return answer(request) if callable(answer) else answer

    @property
    def bodies(self) -> list[bytes]:
        return [request.body for request in self.seen]


def away(_request):
    raise BrokerAwayError("The line is cut.")


def test_it_is_sent_again_unchanged_until_there_is_an_answer(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            other = Ed25519Signer.generate()
            publishes = Publishes(
                made,
                away,
                problem("unavailable", 503, {"Retry-After": "1"}),
                problem("rate-limited", 429),
                problem("storage-full", 507),
                Answer(502, CIMultiDict({"Content-Type": "text/html"}), b"<h1>Bad gateway</h1>"),
                Answer(403, CIMultiDict({"Content-Type": "text/html"}), b"<h1>Proxy</h1>"),
                Answer(201, CIMultiDict(), b'{"receipt":"aaa.bbb.ccc"}'),
                Answer(201, CIMultiDict(), b"{}"),
                lambda request: refuse(made.world, request, "conflict", signer=other),
                lambda request: _saying(refuse(made.world, request, "conflict"), type="urn:valise:problem:expired"),
                lambda request: _saying(refuse(made.world, request, "denied", [READER]), denied=[]),
                problem("unknown-key", 401),
            )
            status = await sent(made, SENDER, a_request(to=(READER,)))
            assert status.state is State.PUBLISHED
            assert len(publishes.seen) == 13
            assert len(set(publishes.bodies)) == 1
            assert status.attempts == 1  # the one that a person may want to know of
            (item,) = await arrived(made, READER)
            assert item.notice_id == status.id
            assert not {"not-publishing", "odd-answer", "not-accepted"} & set(made[SENDER]._alarms.on)

    asyncio.run(scenario())


def _saying(answer, **members):
    """Return an answer whose problem says something else than the refusal that is signed."""
    return Answer(answer.status, answer.headers, orjson.dumps({**orjson.loads(answer.body), **members}))


def test_a_receipt_that_could_not_be_recorded_is_asked_for_again_without_anything_more_to_send(tmp_path, monkeypatch):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            mark_published, failures = outbox.mark_published, [1]

            def failing(tx, publications):
                if failures:
                    failures.pop()
                    raise OSError(5, "Input/output error")
                mark_published(tx, publications)

            monkeypatch.setattr(outbox, "mark_published", failing)
            status = await sent(made, SENDER, a_request(to=(READER,)))
            assert (status.state, failures) == (State.PUBLISHED, [])
            assert made[SENDER]._alarms.on["fault"] == f"send {SENDER}: OSError"

    asyncio.run(scenario())


def test_an_answer_that_was_lost_gives_the_same_receipt(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            lost = []

            def lose(request, answer):
                if request.method == "PUT" and len(lost) < 3:
                    lost.append(orjson.loads(answer.body)["receipt"])
                    raise BrokerAwayError("The line was cut behind the commit.")
                return answer

            made.wire.after = lose
            before = made.broker.view.size
            status = await sent(made, SENDER, a_request(to=(READER,)))
            assert status.state is State.PUBLISHED
            assert [status.receipt] * 3 == lost
            assert made.broker.view.size == before + 1
            assert len(await arrived(made, READER)) == 1

    asyncio.run(scenario())


def test_a_denied_subscriber_is_left_out_under_a_new_id_and_both_are_reported(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            await subscribed(made, READER, "*.*")
            await subscribed(made, OTHER, "*.*")
            publishes = Publishes(made, lambda request: refuse(made.world, request, "denied", [OTHER]))
            status = await sent(made, SENDER, a_request())
            assert status.state is State.PUBLISHED
            assert len(publishes.seen) == 2
            assert status.notice_id != status.id
            assert status.aliases == (status.id,)
            assert [item.participant for item in status.recipients] == [SENDER, READER]
            (left,) = status.left_out
            assert (left.participant, left.via, left.denied.condition) == (OTHER, Via.SUBSCRIPTION, "no-grant")
            assert status.refusal is not None
            assert await made[SENDER].status(SENDER, status.notice_id) == status
            (item,) = await arrived(made, READER)
            assert item.notice_id == status.notice_id

    asyncio.run(scenario())


def test_a_denied_one_that_a_person_named_gives_it_back(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            await subscribed(made, READER, "*.*")
            publishes = Publishes(made, lambda request: refuse(made.world, request, "denied", [OTHER, READER]))
            status = await sent(made, SENDER, a_request(to=(OTHER,)))
            assert status.state is State.RETURNED
            assert len(publishes.seen) == 1
            assert [item.participant for item in status.problem.denied] == [READER, OTHER][::-1]
            assert {item.participant: item.via for item in status.left_out} == {
                READER: Via.SUBSCRIPTION,
                OTHER: Via.NAMED,
            }
            assert status.refusal is not None

    asyncio.run(scenario())


def test_a_sender_that_is_denied_itself_gets_it_back(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            Publishes(made, lambda request: refuse(made.world, request, "denied", [SENDER]))
            status = await sent(made, SENDER, a_request(to=(READER,)))
            assert (status.state, status.problem.denied[0].participant) == (State.RETURNED, SENDER)

    asyncio.run(scenario())


@pytest.mark.parametrize("code", ["recipients", "clock-skew"])
def test_keys_that_moved_and_seals_that_grew_old_are_cured_by_a_new_seal(tmp_path, code):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            answers = [lambda request: refuse(made.world, request, code)] * 3
            publishes = Publishes(made, *answers)
            status = await sent(made, SENDER, a_request(to=(READER,)))
            assert status.state is State.PUBLISHED
            assert len({request.url for request in publishes.seen}) == 4
            assert len(status.aliases) == 3

    asyncio.run(scenario())


def test_what_a_new_seal_does_not_cure_is_refused_after_a_few(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            publishes = Publishes(made, *[lambda request: refuse(made.world, request, "recipients")] * 20)
            status = await sent(made, SENDER, a_request(to=(READER,)))
            assert (status.state, status.problem.code) == (State.REFUSED, "recipients")
            assert len(publishes.seen) == 6

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("conflict", State.REFUSED),
        ("act-refused", State.REFUSED),
        ("unverified", State.REFUSED),
        ("expired", State.EXPIRED),
    ],
)
def test_a_definite_refusal_ends_it_and_the_next_one_goes_on(tmp_path, code, state):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            publishes = Publishes(made, lambda request: refuse(made.world, request, code))
            first = await made[SENDER].accept(SENDER, a_request(to=(READER,)))
            second = await sent(made, SENDER, a_request(to=(READER,)))
            first = await made[SENDER].status(SENDER, first.notice_id)
            assert (first.state, first.problem.code) == (state, code)
            assert first.refusal is not None
            assert second.state is State.PUBLISHED
            assert len(publishes.seen) == 2

    asyncio.run(scenario())


def test_a_problem_before_the_sender_was_authenticated_ends_it_without_a_second_seal(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            publishes = Publishes(made, problem("malformed", 400))
            status = await sent(made, SENDER, a_request(to=(READER,)))
            assert (status.state, status.problem.code, status.refusal) == (State.REFUSED, "malformed", None)
            assert len(publishes.seen) == 1

    asyncio.run(scenario())


def test_a_fork_that_the_broker_sees_stops_sending_until_a_person_has_looked(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            Publishes(made, lambda request: refuse(made.world, request, "fork"))
            kept = await made[SENDER].accept(SENDER, a_request(to=(READER,)))
            await until(lambda: "fork" in made[SENDER]._alarms.on)
            assert not made[SENDER].readiness().ready
            status = await made[SENDER].wait_outcome(SENDER, kept.notice_id, 0.3)
            assert status.state in (State.KEPT, State.SEALED)
            assert await made[SENDER].dismiss_alarm("fork")
            status = await made[SENDER].wait_outcome(SENDER, kept.notice_id, 10)
            assert status.state is State.PUBLISHED

    asyncio.run(scenario())


def test_what_expires_before_it_can_be_sent_is_expired(tmp_path):
    async def scenario():
        clock = SkewedClock()
        async with scene(tmp_path, SENDER, READER, now_ms=clock) as made:
            made.wire.app, app = None, made.wire.app
            await until(lambda: "broker-away" in made[SENDER]._alarms.on)
            request = a_request(to=(READER,), expires_at=from_seconds(clock() // 1000 + 100))
            kept = await made[SENDER].accept(SENDER, request)
            clock.seconds = 101
            made.wire.app = app
            status = await made[SENDER].wait_outcome(SENDER, kept.notice_id, 10)
            assert (status.state, status.problem.code) == (State.EXPIRED, "expired")

    asyncio.run(scenario())


def test_a_key_that_is_not_in_force_yet_is_waited_for(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            sender = made[SENDER]._senders[SENDER]
            late = made[SENDER].network
            early = replace(late, revoked={made.world.people[SENDER].sealing.kid: 0})
            networks = [early, early]

            async def wait():
                return networks.pop() if networks else late

            sender._follower = SimpleNamespace(wait=wait)
            status = await sent(made, SENDER, a_request(to=(READER,)))
            assert status.state is State.PUBLISHED
            assert "cannot-seal" in {item.kind for item in await made[SENDER].alarms(over=True)}
            assert "cannot-seal" not in made[SENDER]._alarms.on

    asyncio.run(scenario())


def test_with_the_broker_away_for_long_the_order_is_kept(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            made.wire.app, app = None, made.wire.app
            await until(lambda: "broker-away" in made[SENDER]._alarms.on)
            kept = [await made[SENDER].accept(SENDER, a_request(to=(READER,))) for _ in range(30)]
            preview = await made[SENDER].preview(SENDER, a_request(to=(READER,)))
            assert preview.would_send
            readiness = made[SENDER].readiness()
            assert readiness.ready
            assert readiness.reasons
            found, _ = await made[SENDER].statuses(SENDER)
            # Nothing is sealed before it is about to be sent.
            assert {item.state for item in found} == {State.KEPT}
            made.wire.app = app
            last = await made[SENDER].wait_outcome(SENDER, kept[-1].notice_id, 20)
            assert last.state is State.PUBLISHED
            found, _ = await made[SENDER].statuses(SENDER)
            assert [item.id for item in found] == [item.notice_id for item in kept]
            indices = [item.index for item in found]
            assert indices == sorted(indices)
            items = await arrived(made, READER, 30)
            assert [item.notice_id for item in items] == [item.notice_id for item in kept]

    asyncio.run(scenario())


COPY = """
[[condition]]
id = "copy"
type = "copy-to-focal-point"
instrument = "Act on Police Co-operation"
article = "8"
parameters = { whose = "recipient" }
applies_to = { direction = "receive" }
"""
POLICE = "tj/police"


def test_a_law_that_asks_for_a_copy_while_it_is_on_its_way_gets_one(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, world=make_world()) as made:
            cut = Cut(made)
            kept = await made[SENDER].accept(SENDER, a_request(to=(POLICE,)))
            await until(lambda: cut.seen)
            await upload_law(made.world, made.broker, "tj", COPY)
            await until(lambda: made[SENDER].network.rules.version == made.world.directory.version)
            cut.mended = True
            status = await made[SENDER].wait_outcome(SENDER, kept.notice_id, 10)
            assert status.state is State.PUBLISHED, status.problem
            assert {one.participant: one.via for one in status.recipients} == {
                SENDER: Via.SENDER,
                POLICE: Via.NAMED,
                OTHER: Via.FOCAL_POINT,
            }
            assert len(status.aliases) == 1  # the first seal was refused, for good
            (copy,) = await arrived(made, OTHER)
            assert copy.notice_id == status.notice_id

    asyncio.run(scenario())


class Cut:
    """A line that carries no notice until it is mended."""

    def __init__(self, made) -> None:
        self.mended, self.seen = False, 0
        made.wire.before = self

    def __call__(self, request):
        if self.mended or request.method != "PUT" or Envelope.parse(request.body).sealed is None:
            return None
        self.seen += 1
        return away(request)


def test_who_was_left_out_and_is_owed_a_copy_now_is_left_out_no_longer(tmp_path):
    """The broker says who lacks one; a denial of before does not keep it away."""

    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, world=make_world(laws={"tj": COPY})) as made:
            answers = [
                lambda request: refuse(made.world, request, "denied", [OTHER]),
                lambda request: refuse(made.world, request, "copy-lacking", [OTHER]),
            ]
            publishes = Publishes(made, *answers)
            status = await sent(made, SENDER, a_request(to=(POLICE,)))
            assert status.state is State.PUBLISHED, status.problem
            assert len(publishes.seen) == 3
            assert OTHER in {one.participant for one in status.recipients}
            assert status.left_out == ()

    asyncio.run(scenario())


def test_a_copy_that_is_asked_for_again_and_again_ends_with_a_reason(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, world=make_world(laws={"tj": COPY})) as made:
            publishes = Publishes(made, *[lambda request: refuse(made.world, request, "copy-lacking", [OTHER])] * 20)
            status = await sent(made, SENDER, a_request(to=(POLICE,)))
            assert (status.state, status.problem.code) == (State.REFUSED, "copy-lacking")
            assert [one.participant for one in status.problem.denied] == [OTHER]
            assert len(publishes.seen) == MOST_SEALS + 1

    asyncio.run(scenario())
