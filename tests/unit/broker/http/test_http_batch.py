"""Publishing lines over a service that answers what the test says: what is read as a line, and what is answered to each."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from broker.answers import NotPublished, Published
from broker.http import body as body_module
from broker.http.api import create_api
from broker.http.batch import BatchEndpoint
from broker.http.body import Disconnected, read_lines
from broker.publish import Denied
from schemas.errors import Error, MalformedError, TooLargeError
from schemas.limits import LIMITS
from tests.asgi import request
from tests.unit.broker.http.double import NOTICE, WHY, code

KIND = b"application/x-ndjson"
LINES = {"Content-Type": KIND.decode()}


def read(parts, kind=KIND, *, seconds=5.0, end=None, arrived=lambda _: None):
    """Read lines that arrive in parts; `end` is a message that stands for the last part."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if end is None:
        messages[-1]["more_body"] = False
    else:
        messages.append(end)
    taken = iter(messages)

    async def receive():
        message = next(taken, None)
        if message is None:
            await asyncio.Event().wait()
        return message

    return asyncio.run(read_lines({"headers": [(b"content-type", kind)]}, receive, arrived, seconds=seconds))


# Reading


@given(
    st.lists(st.lists(st.binary(max_size=6).map(lambda part: part.replace(b"\n", b"")), max_size=4), min_size=1),
    st.data(),
)
def test_lines_are_what_stands_between_newlines_however_they_arrive(lines, data):
    whole = b"\n".join(b"".join(parts) for parts in lines)
    if data.draw(st.booleans()):
        whole += b"\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    parts = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    if not whole:
        with pytest.raises(MalformedError):
            read(parts)
        return
    expected = whole.removesuffix(b"\n").split(b"\n")
    # What follows the last newline is a line only where there is something.
    assert read(parts) == (
        expected if whole.endswith(b"\n") else whole.split(b"\n") if whole.split(b"\n")[-1] else expected
    )


def test_a_hundred_lines_and_no_more():
    assert read([b"x\n" * LIMITS.batch_lines]) == [b"x"] * 100
    assert len(read([b"x\n" * 99 + b"x"])) == 100
    for body in (b"x\n" * 101, b"x\n" * 100 + b"x", b"\n" * 5_000_000):
        with pytest.raises(TooLargeError):
            read([body])


def test_of_a_line_that_is_too_long_no_more_is_kept_than_shows_it():
    long = b"a" * (2 * LIMITS.body)
    lines = read([b"{}\n", long, long, b"\n", b"b" * LIMITS.body, b"\n", b"{}"])
    assert [len(line) for line in lines] == [2, LIMITS.body + 1, LIMITS.body, 2]


def test_the_whole_has_a_limit_too():
    part = b" " * 65536
    sizes = []
    with pytest.raises(TooLargeError):
        read([part] * (LIMITS.batch // 65536) + [b"x"], arrived=sizes.append)
    assert sum(sizes) == LIMITS.batch
    with pytest.raises(TooLargeError):
        asyncio.run(
            read_lines(
                {"headers": [(b"content-type", KIND), (b"content-length", str(LIMITS.batch + 1).encode())]},
                lambda: pytest.fail("nothing is read"),
                sizes.append,
            )
        )


def test_what_does_not_end_times_out_and_who_has_gone_is_not_answered():
    with pytest.raises(Error) as refused:
        read([b"{}\n"], seconds=0.01, end={"type": "http.request", "body": b"", "more_body": True})
    assert (refused.value.code, body_module.LINES_SECONDS) == ("request-timeout", 60)
    with pytest.raises(Disconnected):
        read([b"{}\n"], end={"type": "http.disconnect"})


@pytest.mark.parametrize("kind", [b"application/x-ndjson;charset=utf-8", b'Application/X-NDJSON ; charset="UTF-8"'])
def test_lines_are_accepted(kind):
    assert read([b"{}"], kind) == [b"{}"]


@pytest.mark.parametrize(
    "kind", [b"application/json", b"application/x-ndjsonx", b"application/jsonl", b"text/plain", b""]
)
def test_other_types_are_refused(kind):
    with pytest.raises(Error) as refused:
        read([b"{}"], kind)
    assert refused.value.code == "unsupported-media-type"


# Answering


def results(answer):
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-ndjson")
    assert answer.body.endswith(b"\n")
    return [json.loads(line) for line in answer.body.splitlines()]


def test_each_line_is_answered_in_its_place(ask, service, telemetry):
    denied = NotPublished(
        Error("One may not.", problem="denied", pointer="/sealed"), (Denied("uz/police", WHY),), "r.e.f"
    )
    single = service.answers["publish"] = denied
    service.answers["publish_many"] = [
        Published("a.b.c", created=True),
        NotPublished(Error("No.", problem="malformed"), (), None),
        single,
        Published("d.e.f", created=False),
    ]
    found = results(ask("POST", "/v1/notices", b"1\n2\n3\n4\n", LINES))
    assert found[0] == {"status": 201, "receipt": "a.b.c"}
    assert (found[1]["status"], found[1]["type"]) == (400, "urn:valise:problem:malformed")
    # The very document that the single address would have answered.
    assert found[2] == ask("PUT", f"/v1/notices/{NOTICE}", b"{}", {"Content-Type": "application/json"}).json()
    assert found[3] == {"status": 200, "receipt": "d.e.f"}
    assert service.asked[0] == ("publish_many", [b"1", b"2", b"3", b"4"])
    text = generate_latest(telemetry.registry).decode()
    assert 'valise_publishes_total{outcome="created"} 1.0' in text
    assert 'valise_publishes_total{outcome="malformed"} 1.0' in text
    assert 'valise_request_seconds_count{operation="publish_many",status="200"} 1.0' in text


def test_lines_that_may_come_again_say_when(ask, service):
    def busy(problem):
        return NotPublished(Error("Later.", problem=problem), (), None)

    service.answers["publish_many"] = [busy("rate-limited"), busy("storage-full"), busy("unavailable")]
    answer = ask("POST", "/v1/notices", b"1\n2\n3", LINES)
    assert [one["status"] for one in results(answer)] == [429, 507, 503]
    assert answer.headers["retry-after"] == "30"
    service.answers["publish_many"] = [Published("a.b.c", created=True)]
    assert "retry-after" not in ask("POST", "/v1/notices", b"1", LINES).headers


def test_where_none_was_tried_the_whole_is_refused(ask, service, telemetry):
    service.answers["publish_many"] = Error("Full.", problem="unavailable")
    answer = ask("POST", "/v1/notices", b"1\n2", LINES)
    assert (answer.status, code(answer), answer.headers["retry-after"]) == (503, "unavailable", "5")
    assert code(ask("POST", "/v1/notices", b"", LINES)) == "malformed"
    assert code(ask("POST", "/v1/notices", b"1\n" * 101, LINES)) == "too-large"
    assert code(ask("POST", "/v1/notices", b"1", {"Content-Type": "application/json"})) == "unsupported-media-type"
    assert 'outcome="unavailable"' in generate_latest(telemetry.registry).decode()


def test_what_nobody_foresaw_is_said_of_the_whole(ask, service, capsys):
    service.answers["publish_many"] = ZeroDivisionError("secret")
    answer = ask("POST", "/v1/notices", b"1", LINES)
    assert (answer.status, code(answer)) == (500, "internal")
    assert "secret" not in capsys.readouterr().out


def test_batches_share_a_room(service, telemetry):
    """What is under way takes its bytes from all; what does not fit is told to come again, and what has ended gives back."""
    service.answers["publish_many"] = [Published("a.b.c", created=True)]
    endpoint = BatchEndpoint(service, telemetry, room=100)
    statuses = []

    async def post(size, before_answer=None):
        async def held(lines):
            if before_answer is not None:
                await before_answer.wait()
            return [Published("a.b.c", created=True) for _ in lines]

        service.publish_many = held
        statuses.append((await request(endpoint, "POST", "/v1/notices", body=b"x" * size, headers=LINES)).status)

    async def scenario():
        go = asyncio.Event()
        first = asyncio.ensure_future(post(70, go))
        await asyncio.sleep(0.01)
        await post(31)
        await post(30)
        go.set()
        await first
        await post(100)
        await post(101)
        assert endpoint._left == 100

    asyncio.run(scenario())
    assert statuses == [503, 200, 200, 200, 503]


def test_a_client_that_goes_away_gives_its_room_back(service, telemetry):
    endpoint = BatchEndpoint(service, telemetry, room=100)
    messages = iter([{"type": "http.request", "body": b"x" * 60, "more_body": True}, {"type": "http.disconnect"}])

    async def receive():
        return next(messages)

    async def send(_):
        pytest.fail("nobody is left")

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", KIND)]}
    with pytest.raises(Disconnected):
        asyncio.run(endpoint(scope, receive, send))
    assert endpoint._left == 100


def test_a_batch_is_no_business_of_the_framework(service, telemetry):
    service.answers["publish_many"] = [Published("a.b.c", created=True)]
    app = create_api(service, telemetry)
    for target in ("/v1/notices/", "/v1/notices//", "/v1/noticesx"):
        answer = asyncio.run(request(app, "POST", target, body=b"1", headers=LINES))
        assert answer.status in (404, 405), target
        assert answer.headers["content-type"] == "application/problem+json"
    assert service.asked == []
