"""What waits together goes out together, each is dealt with by itself, and an older broker gets them one by one."""

import asyncio
from collections import Counter
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from adapters.client.errors import BrokerAwayError
from adapters.client.transport import Answer
from adapters.gateway import together
from adapters.gateway.entries import Entry, Parts
from adapters.gateway.pace import AGAIN_SECONDS, Pace
from adapters.gateway.request import RecallRequest
from adapters.gateway.send import BATCH, Backoff
from adapters.gateway.status import State
from schemas.envelope import Envelope
from tests.gateway_world import Scene, a_request, arrived, problem, refuse, scene, sent, subscribed, until

SENDER, READER, OTHER = "kz/customs", "uz/focal-point", "tj/focal-point"
TABLE = Path(__file__).parents[4] / "adapters" / "demo" / "sample.csv"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(Backoff, "after", lambda _self, asked=None: 0.02)


def posts(made: Scene):
    """Return how many envelopes each request carried, in the order of the requests, of sealed ones alone."""
    return [size for request in made.wire.log if (size := _size(request))]


def _size(request):
    if request.method == "POST" and request.url.endswith("/v1/notices"):
        return len(request.body.split(b"\n"))
    if request.method == "PUT" and "/v1/notices/" in request.url:
        return int(Envelope.parse(request.body).sealed is not None)
    return 0


async def backlog(made: Scene, count: int, *, to=(READER,), between=None) -> list[str]:
    """Have notices accepted while the broker is away, then bring it back; return their ids.

    One that is no matter goes ahead of them: the sender has it in its hands already, alone.
    """
    made.wire.app, app = None, made.wire.app
    await until(lambda: "broker-away" in made[SENDER]._alarms.on)
    await made[SENDER].accept(SENDER, a_request(to=(READER,)))
    await until(lambda: not made[SENDER]._senders[SENDER]._more.is_set())
    await made[SENDER].store.read(lambda _: None)  # behind the sender's own
    kept = []
    for number in range(count):
        if between is not None:
            await between(number)
        kept.append((await made[SENDER].accept(SENDER, a_request(to=to))).notice_id)
    made.wire.log.clear()
    made.wire.app = app
    return kept


async def outcomes(made: Scene, kept: list[str], seconds: float = 20):
    await made[SENDER].wait_outcome(SENDER, kept[-1], seconds)

    async def settled():
        found = [await made[SENDER].status(SENDER, name) for name in kept]
        return found if not {State.KEPT, State.SEALED} & {one.state for one in found} else None

    return await until(settled, seconds)


class Results:
    """Stands behind the broker and changes results of the first batches: `changes` maps a line to another result."""

    def __init__(self, made: Scene, *changes: dict[int, object]) -> None:
        self.changes, self.seen = list(changes), []
        made.wire.after = self

    def __call__(self, request, answer):
        if request.method != "POST" or not request.url.endswith("/v1/notices") or answer.status != 200:
            return answer
        self.seen.append(request.body.split(b"\n"))
        change = self.changes.pop(0) if self.changes else {}
        lines = answer.body.splitlines()
        for number, what in change.items():
            if number < len(lines):
                lines[number] = what(self.seen[-1][number]) if callable(what) else what
        return Answer(answer.status, answer.headers, b"".join(line + b"\n" for line in lines))


def started(pace: int, monkeypatch):
    """Let batches begin at a size."""
    real = Pace.__init__

    def begin(self, most):
        real(self, most)
        self._next = pace

    monkeypatch.setattr(Pace, "__init__", begin)


# Together


def test_a_backlog_goes_out_in_ever_larger_requests_and_in_its_order(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            kept = await backlog(made, 40)
            found = await outcomes(made, kept)
            assert {one.state for one in found} == {State.PUBLISHED}
            indices = [one.index for one in found]
            assert indices == sorted(indices)
            assert posts(made) == [1, 2, 4, 8, 16, 10]
            # One signature pair for what was sealed together.
            (last,) = [request for request in made.wire.log if _size(request) == 16]
            assert len({Envelope.parse(line).proof.head for line in last.body.split(b"\n")}) == 1
            items = await arrived(made, READER, 41)
            assert [item.notice_id for item in items[1:]] == kept
            # A single notice keeps its own way.
            made.wire.log.clear()
            assert (await sent(made, SENDER, a_request(to=(READER,)))).state is State.PUBLISHED
            assert [request.method for request in made.wire.log if _size(request)] == ["PUT"]

    asyncio.run(scenario())


def test_an_import_goes_out_in_batches(tmp_path, monkeypatch):
    async def scenario():
        started(BATCH, monkeypatch)
        async with scene(tmp_path, SENDER, READER) as made:
            await subscribed(made, READER, "*.*")
            made.wire.log.clear()
            data = b"\n".join(TABLE.read_bytes().splitlines()[:221]) + b"\n"
            report = await made[SENDER].import_table(SENDER, data, "table.csv")
            after = await made[SENDER].accept(SENDER, a_request(to=(READER,)))
            found = await outcomes(made, [*report.notices, after.notice_id])
            assert {one.state for one in found} == {State.PUBLISHED}
            found = found[:-1]
            assert len(found) >= 200
            sizes = posts(made)
            assert sum(sizes) == len(found) + 1
            assert len(sizes) <= 7
            # What was accepted after the table comes after all of it.
            behind = await made[SENDER].status(SENDER, after.notice_id)
            assert behind.index > max(one.index for one in found)
            items = await arrived(made, READER, len(found) + 1)
            assert Counter(item.notice_id for item in items[:-1]) == Counter(one.notice_id for one in found)

    asyncio.run(scenario())


def test_what_depends_on_another_goes_alone(tmp_path, monkeypatch):
    async def scenario():
        started(BATCH, monkeypatch)
        async with scene(tmp_path, SENDER, READER) as made:
            first = await sent(made, SENDER, a_request(to=(READER,)))

            async def between(number):
                if number == 3:
                    await made[SENDER].recall(SENDER, first.id, RecallRequest(reason="withdrawn"))
                if number == 6:
                    await made[SENDER].subscribe(SENDER, ("*.precursors",))

            kept = await backlog(made, 9, between=between)
            found = await outcomes(made, kept)
            indices = [one.index for one in found]
            assert indices == sorted(indices)
            assert posts(made) == [1, 3, 1, 3, 3]

            async def recalled():
                return (await made[SENDER].status(SENDER, first.id)).state is State.RECALLED

            await until(recalled)

    asyncio.run(scenario())


@given(
    st.lists(st.tuples(st.integers(0, 3 << 20), st.integers(0, 3 << 20)), min_size=1, max_size=12), st.integers(1, 12)
)
def test_a_request_takes_as_many_as_fit_and_at_least_one(sizes, count):
    entries = [
        Entry(n, "i", SENDER, State.SEALED, None, None, None, 0, False, Parts("i", b"s", b"p" * proof, b"b" * body))
        for n, (proof, body) in enumerate(sizes)
    ]
    found = together.fitting(entries, count)
    assert found == entries[: len(found)]
    assert 1 <= len(found) <= count
    weights = [1 + proof + body for proof, body in sizes]
    assert len(found) == 1 or sum(weights[: len(found)]) <= together.MOST_BYTES
    if len(found) < min(count, len(entries)):
        assert sum(weights[: len(found) + 1]) > together.MOST_BYTES


# Each by itself


def test_each_result_is_dealt_with_as_if_it_had_come_alone(tmp_path, monkeypatch):
    async def scenario():
        started(BATCH, monkeypatch)
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            await subscribed(made, OTHER, "*.*")

            def signed(code, denied=()):
                return lambda line: refuse(made.world, _Request(line), code, denied).body

            def unsigned(code, status):
                return problem(code, status).body

            results = Results(
                made,
                {
                    1: signed("conflict"),
                    2: unsigned("malformed", 400),
                    3: signed("denied", [READER]),
                    4: signed("denied", [OTHER]),
                    5: signed("expired"),
                    6: unsigned("unavailable", 503),
                    7: b'{"status":201,"receipt":"aaa.bbb.ccc"}',
                    8: b"{}",
                    9: unsigned("storage-full", 507),
                },
            )
            kept = await backlog(made, 11)
            found = await outcomes(made, kept)
            assert [one.state for one in found] == [
                *(State.PUBLISHED, State.REFUSED, State.REFUSED, State.RETURNED, State.PUBLISHED, State.EXPIRED),
                *(State.PUBLISHED, State.PUBLISHED, State.PUBLISHED, State.PUBLISHED, State.PUBLISHED),
            ]
            assert [None if one.problem is None else one.problem.code for one in found[1:4]] == [
                *("conflict", "malformed", "denied"),
            ]
            assert found[1].refusal is not None
            assert found[2].refusal is None
            # Sealed anew without the subscriber that was denied, under a new id; it had been published under the old one.
            assert found[4].notice_id != found[4].id
            assert OTHER not in {item.participant for item in found[4].recipients}
            assert len(results.seen[0]) == 11
            # What could not be decided on came again unchanged, together, and what was odd by itself.
            assert results.seen[1] == [results.seen[0][6], results.seen[0][9]]
            again = [request.body for request in made.wire.log if request.method == "PUT" and _size(request)]
            assert [results.seen[0][7], results.seen[0][8]] == again[2:]
            assert not {"not-publishing", "odd-answer", "not-accepted"} & set(made[SENDER]._alarms.on)

    asyncio.run(scenario())


class _Request:
    def __init__(self, body):
        self.body = body


def test_answers_that_are_lost_give_the_same_receipts(tmp_path, monkeypatch):
    async def scenario():
        started(BATCH, monkeypatch)
        async with scene(tmp_path, SENDER, READER) as made:
            lost = []

            def lose(request, answer):
                if _size(request) > 1 and len(lost) < 2:
                    lost.append([orjson.loads(line)["receipt"] for line in answer.body.splitlines()])
                    raise BrokerAwayError("The line was cut behind the commit.")
                return answer

            made.wire.after = lose
            before = made.broker.view.size
            kept = await backlog(made, 12)
            found = await outcomes(made, kept)
            assert [one.receipt for one in found] == lost[0]
            assert lost[1] == lost[0][: len(lost[1])]
            assert made.broker.view.size == before + 13
            # After each failure half as many may go at once.
            assert posts(made) == [1, 12, 12, 12]
            assert len(await arrived(made, READER, 13)) == 13

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        problem("too-large", 413),
        problem("malformed", 400),
        Answer(200, CIMultiDict({"Content-Type": "application/x-ndjson"}), b"{}\n"),
        Answer(413, CIMultiDict({"Content-Type": "text/html"}), b"<h1>Too large</h1>"),
    ],
    ids=["too large", "malformed", "odd", "a proxy"],
)
def test_what_is_said_of_all_is_found_out_one_by_one(tmp_path, monkeypatch, answer):
    async def scenario():
        started(BATCH, monkeypatch)
        async with scene(tmp_path, SENDER, READER) as made:

            def before(request):
                return answer if request.method == "POST" and request.url.endswith("/v1/notices") else None

            made.wire.before = before
            kept = await backlog(made, 5)
            found = await outcomes(made, kept)
            assert {one.state for one in found} == {State.PUBLISHED}
            indices = [one.index for one in found]
            assert indices == sorted(indices)

    asyncio.run(scenario())


# An older broker


@pytest.mark.parametrize("status", [404, 405, 415])
def test_an_older_broker_gets_them_one_by_one_and_is_not_asked_again_at_once(tmp_path, monkeypatch, status):
    async def scenario():
        started(BATCH, monkeypatch)
        async with scene(tmp_path, SENDER, READER) as made:
            await subscribed(made, READER, "*.*")
            asked = []

            def before(request):
                if request.method != "POST" or not request.url.endswith("/v1/notices"):
                    return None
                asked.append(request)
                return problem("not-found", status)

            made.wire.before = before
            kept = await backlog(made, 5)
            found = await outcomes(made, kept)
            assert {one.state for one in found} == {State.PUBLISHED}
            indices = [one.index for one in found]
            assert indices == sorted(indices)
            data = b"\n".join(TABLE.read_bytes().splitlines()[:41]) + b"\n"
            report = await made[SENDER].import_table(SENDER, data, "table.csv")
            found = await outcomes(made, list(report.notices))
            assert {one.state for one in found} == {State.PUBLISHED}
            assert len(asked) == 1

    asyncio.run(scenario())


# Pace


def test_the_pace_goes_up_and_down_between_its_ends():
    pace = Pace(100)
    sizes = []
    for _ in range(9):
        sizes.append(pace.size(0.0))
        pace.went_well()
    assert sizes == [1, 2, 4, 8, 16, 32, 64, 100, 100]
    for _ in range(9):
        pace.went_badly()
    assert pace.size(0.0) == 1


def test_a_broker_without_batches_is_asked_again_later():
    pace = Pace(8)
    pace.went_well()
    assert not pace.without_batches(0.0)
    pace.no_batches(5.0)
    assert (pace.size(5.0), pace.without_batches(5.0)) == (1, True)
    assert (pace.size(4.9 + AGAIN_SECONDS), pace.size(5.0 + AGAIN_SECONDS)) == (1, 2)
