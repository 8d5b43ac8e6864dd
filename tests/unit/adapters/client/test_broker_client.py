"""What goes out in each call, and what each answer becomes."""

import asyncio

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from adapters.client import answers
from adapters.client.broker import BrokerClient
from adapters.client.errors import AnswerError, BrokerAwayError, NoBatchesError, NoStreamError, RefusedError
from adapters.client.transport import Answer
from keys.log.tiles import Tile, encode_bundle
from schemas.encoding import b64encode
from schemas.errors import Error

BASE = "http://broker.test:8480"
NOTICE = "01935f2e-8c00-7a3b-9c4d-5e6f70819203"


class Canned:
    """Gives one answer to everything, and remembers what was asked."""

    def __init__(self, status=200, body=b"", headers=()):
        self.answer = Answer(status, CIMultiDict(headers), body)
        self.asked = []
        self.closed = False

    async def send(self, request):
        self.asked.append(request)
        return self.answer

    async def close(self):
        self.closed = True


def call(canned, work):
    async def run():
        async with BrokerClient(BASE, transport=canned) as client:
            return await work(client)

    return asyncio.run(run())


PROBLEM = {"Content-Type": "application/problem+json; charset=utf-8"}


def sign(method, url, body):
    return {"Signature": f"{method} {url} {len(body or b'')}"}


def problem(code, **extra):
    return orjson.dumps({"type": f"urn:valise:problem:{code}", "title": "t", "status": 0, "detail": "Why.", **extra})


def test_a_publish_is_put_unsigned_and_gives_the_receipt():
    canned = Canned(201, b'{"receipt":"a.b.c"}')
    assert call(canned, lambda client: client.publish(NOTICE, b"{}")) == "a.b.c"
    (request,) = canned.asked
    assert (request.method, request.url) == ("PUT", f"{BASE}/v1/notices/{NOTICE}")
    assert request.body == b"{}"
    assert request.headers["Content-Type"] == "application/json"
    assert "Signature" not in request.headers
    assert canned.closed


# Batches


def lines(*results):
    return b"".join(one + b"\n" for one in results)


OK = b'{"status":201,"receipt":"a.b.c"}'


def test_a_batch_is_posted_unsigned_one_envelope_a_line_and_gives_a_receipt_for_each():
    canned = Canned(200, lines(OK, b'{"status":200,"receipt":"d.e-_.f"}', b'{ "status": 200, "receipt": "spaced" }'))
    found = call(canned, lambda client: client.publish_many([b"{1}", b"{2}", b"{3}"]))
    assert found == ["a.b.c", "d.e-_.f", "spaced"]
    (request,) = canned.asked
    assert (request.method, request.url, request.body) == ("POST", f"{BASE}/v1/notices", b"{1}\n{2}\n{3}")
    assert request.headers["Content-Type"] == "application/x-ndjson"
    assert "Signature" not in request.headers
    assert request.seconds > 30


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (422, "denied", RefusedError),
        (409, "conflict", RefusedError),
        (400, "malformed", RefusedError),
        (404, "not-found", RefusedError),
        (401, "unknown-key", RefusedError),
        (408, "request-timeout", BrokerAwayError),
        (429, "rate-limited", BrokerAwayError),
        (500, "internal", BrokerAwayError),
        (503, "unavailable", BrokerAwayError),
        (507, "storage-full", BrokerAwayError),
    ],
)
def test_what_a_line_is_answered_is_what_it_would_be_answered_alone(status, code, kind):
    document = problem(code, hint="h", pointer="/p", refusal="r.e.f", denied=[{"participant": "x"}])
    document = document.replace(b'"status":0', b'"status":%d' % status)
    canned = Canned(200, lines(OK, document, OK), {"Retry-After": "7"})
    first, error, last = call(canned, lambda client: client.publish_many([b"1", b"2", b"3"]))
    assert (first, last) == ("a.b.c", "a.b.c")
    with pytest.raises(kind) as alone:
        call(Canned(status, document, {**PROBLEM, "Retry-After": "7"}), lambda client: client.publish(NOTICE, b"2"))
    assert type(error) is type(alone.value) is kind
    assert error.detail == alone.value.detail
    for name in ("code", "pointer", "remote", "denied", "refusal", "retry_after", "hint"):
        assert getattr(error, name, None) == getattr(alone.value, name, None)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"receipt":"a.b.c"}',
        b'{"status":201}',
        b'{"status":202,"receipt":"a.b.c"}',
        b'{"status":"201","receipt":"a.b.c"}',
        b'{"status":201,"receipt":"a.b.c","more":1}',
        b'{"status":201,"receipt":7}',
        b'{"status":true,"type":"urn:valise:problem:denied"}',
        b'{"status":600,"type":"urn:valise:problem:denied"}',
        b'{"status":399,"type":"urn:valise:problem:denied"}',
        b'{"status":422,"status":422}',
        b"\xff",
    ],
)
def test_a_line_that_is_no_result_is_odd_alone(line):
    first, odd, last = call(Canned(200, lines(OK, line, OK)), lambda client: client.publish_many([b"1", b"2", b"3"]))
    assert (first, last) == ("a.b.c", "a.b.c")
    assert isinstance(odd, AnswerError)


@pytest.mark.parametrize("body", [b"", OK, lines(OK), lines(OK, OK, OK), lines(OK, OK) + OK, lines(OK, OK) + b"\n"])
def test_another_number_of_results_says_nothing_of_any(body):
    with pytest.raises(AnswerError):
        call(Canned(200, body), lambda client: client.publish_many([b"1", b"2"]))


@pytest.mark.parametrize("status", [404, 405, 415])
@pytest.mark.parametrize("headers", [PROBLEM, {"Content-Type": "text/html"}])
def test_an_older_broker_has_no_batches(status, headers):
    with pytest.raises(NoBatchesError):
        call(Canned(status, problem("not-found"), headers), lambda client: client.publish_many([b"1", b"2"]))


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (413, PROBLEM, RefusedError),
        (503, PROBLEM, BrokerAwayError),
        (413, {"Content-Type": "text/html"}, BrokerAwayError),
        (201, PROBLEM, RefusedError),
        (302, {}, BrokerAwayError),
    ],
)
def test_what_is_said_of_a_batch_as_a_whole(status, headers, kind):
    with pytest.raises(kind):
        call(Canned(status, problem("too-large"), headers), lambda client: client.publish_many([b"1", b"2"]))


# Reading


def test_a_page_of_the_feed_is_asked_for_signed_with_its_very_query():
    canned = Canned(body=b'{"next":7,"size":9,"deliveries":[{"a":1}]}')
    page = call(canned, lambda client: client.feed(sign, after=3, wait=20, limit=50, topic="*.precursors"))
    assert page == answers.Page(7, 9, ({"a": 1},))
    (request,) = canned.asked
    assert request.url.startswith(f"{BASE}/v1/feed?after=3&wait=20&limit=50&topic=")
    assert request.headers["Signature"] == f"GET {request.url} 0"
    assert request.seconds > 20


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"next":7,"size":9}',
        b'{"next":-1,"size":9,"deliveries":[]}',
        b'{"next":7,"size":9,"deliveries":[1]}',
        b'{"next":7,"size":9,"deliveries":{}}',
        b'{"next": 7,"size":9,"deliveries":[]}',
    ],
)
def test_what_is_no_page_is_said_to_be_none(body):
    with pytest.raises(AnswerError):
        call(Canned(body=body), lambda client: client.feed(sign, after=0))


def test_answers_about_recipients_are_read():
    verdict = {"permitted": True, "determining": [], "obligations": [], "directory": 1, "boundary": None, "unseen": []}
    row = {"participant": "it/police", "topic": "osce.routes", "action": "receive", "answer": "yes", "verdict": verdict}
    body = {"sender": "al/police", "directory": 1, "boundary": None, "evaluator": "broker"}
    body["answers"] = [{**row, "changes": [], "complete": True}]
    canned = Canned(body=orjson.dumps(body))
    found = call(canned, lambda client: client.resolve(sign, b"{}"))
    assert (found.sender, found.boundary, found.answers[0]["participant"]) == ("al/police", None, "it/police")
    for wrong in ({"participant": "it"}, {"verdict": None}, {"verdict": {}}):
        spoilt = {**body, "answers": [{**body["answers"][0], **wrong}]}
        with pytest.raises(AnswerError):
            call(Canned(body=orjson.dumps(spoilt)), lambda client: client.resolve(sign, b"{}"))


def test_held_notices_and_subscriptions_and_statements_are_read():
    row = {
        "notice_id": NOTICE,
        "index": 4,
        "sender": "kz/customs",
        "topic": None,
        "since": "2026-01-01T00:00:00Z",
        "condition": "c",
        "layer": "law",
        "state": "tj",
        "instrument": "Act",
        "article": "1",
        "reason": {"en": "No.", "fr": 3},
    }
    (held,) = call(Canned(body=orjson.dumps({"held": [row]})), lambda client: client.held(sign))
    assert (held.notice_id, held.topic, held.reason) == (NOTICE, None, {"en": "No."})
    with pytest.raises(AnswerError):
        call(Canned(body=orjson.dumps({"held": [{**row, "index": "4"}]})), lambda client: client.held(sign))
    one = {"participant": "kz/customs", "pattern": "*.*", "index": 1, "statement": b64encode(b"s"), "proof": {"p": 1}}
    (found,) = call(Canned(body=orjson.dumps({"subscriptions": [one]})), lambda client: client.subscriptions(sign))
    assert (found.pattern, found.statement, found.proof) == ("*.*", b"s", b'{"p":1}')
    leaf = b"\x01" + bytes(40)
    row = {
        "index": 1,
        "leaf": b64encode(leaf),
        "statement": b64encode(b"s"),
        "proof": {},
        "body_digest": None,
        "erased": False,
    }
    page = call(Canned(body=orjson.dumps({"next": 2, "statements": [row]})), lambda client: client.audit(sign, after=0))
    assert (page.next, page.statements[0].leaf.type, page.statements[0].body_digest) == (2, 1, None)
    bad = orjson.dumps({"next": 2, "statements": [{**row, "proof": "x"}]})
    with pytest.raises(AnswerError):
        call(Canned(body=bad), lambda client: client.audit(sign, after=0))


def test_the_log_is_read_as_it_is_served():
    served = call(
        Canned(body=b"note", headers={"Date": "Tue, 24 Nov 2026 00:00:00 GMT"}), lambda client: client.checkpoint()
    )
    assert (served.note, served.date) == (b"note", 1795478400)
    beyond = (
        {"Date": f"Mon, 01 Jan {year} 00:00:00 {zone}"} for year, zone in (("9" * 20, "GMT"), (2026, "+" + "9" * 17))
    )
    for date in ({}, {"Date": "yesterday"}, *beyond):
        assert call(Canned(body=b"note", headers=date), lambda client: client.checkpoint()).date is None
    bundle = encode_bundle([b"a", b"b"])
    canned = Canned(body=bundle)
    assert call(canned, lambda client: client.entries(Tile(0, 1234, 2))) == [b"a", b"b"]
    assert canned.asked[0].url == f"{BASE}/v1/log/tile/entries/x001/234.p/2"
    for tile, body in ((Tile(0, 0, 3), bundle), (Tile(0, 0, 2), bundle[:-1])):
        with pytest.raises(AnswerError):
            call(Canned(body=body), lambda client, tile=tile: client.entries(tile))
    assert call(Canned(body=bytes(64)), lambda client: client.tile(Tile(1, 0, 2))) == bytes(64)
    with pytest.raises(AnswerError):
        call(Canned(body=bytes(63)), lambda client: client.tile(Tile(1, 0, 2)))
    event = call(Canned(body=orjson.dumps({"event": b64encode(b"e")})), lambda client: client.log_object(b"d" * 32))
    assert event == answers.LogObject(b"e", None)
    body = orjson.dumps({"statement": b64encode(b"s"), "proof": {"a": 1}})
    statement = call(Canned(body=body), lambda client: client.log_object(b"d" * 32, sign))
    assert statement == answers.LogObject(b"s", b'{"a":1}')
    for body in (b"{}", b'{"event":1}', b'{"statement":"cw","proof":[]}'):
        with pytest.raises(AnswerError):
            call(Canned(body=body), lambda client: client.log_object(b"d" * 32))


def test_deliveries_and_proofs_are_handed_on_as_they_are():
    assert call(Canned(body=b"{}"), lambda client: client.notice(NOTICE, sign)) == b"{}"
    assert call(Canned(body=b"proof"), lambda client: client.proof(NOTICE, sign)) == b"proof"


def test_files_of_the_directory_and_uploads():
    canned = Canned(body=b"file")
    assert call(canned, lambda client: client.directory_file("timestamp.json")) == b"file"
    assert call(canned, lambda client: client.directory_file("targets/fr/ab.directory.json")) == b"file"
    urls = [request.url for request in canned.asked]
    assert urls == [
        f"{BASE}/v1/directory/metadata/timestamp.json",
        f"{BASE}/v1/directory/targets/fr/ab.directory.json",
    ]
    missing = Canned(404, problem("not-found"), PROBLEM)
    assert call(missing, lambda client: client.directory_file("9.root.json")) is None
    with pytest.raises(RefusedError):
        call(Canned(403, problem("forbidden"), PROBLEM), lambda client: client.directory_file("9.root.json"))
    canned = Canned(201, b'{"version":9,"index":70}')
    made = call(canned, lambda client: client.upload_role("fr", b"m", {"fr/directory.json": b"t"}, edited=8))
    assert (made.version, made.index) == (9, 70)
    (request,) = canned.asked
    assert request.headers["If-Match"] == '"8"'
    assert orjson.loads(request.body) == {
        "metadata": b64encode(b"m"),
        "targets": {"fr/directory.json": b64encode(b"t")},
    }
    with pytest.raises(AnswerError):
        call(Canned(201, b"{}"), lambda client: client.upload_role("fr", b"m", {}, edited=8))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507, 599])
def test_no_definite_answer_is_away(status):
    canned = Canned(status, problem("unavailable"), {**PROBLEM, "Retry-After": "7"})
    with pytest.raises(BrokerAwayError) as raised:
        call(canned, lambda client: client.publish(NOTICE, b"{}"))
    assert (raised.value.retry_after, raised.value.remote) == (7.0, "unavailable")
    assert raised.value.status == 503


@pytest.mark.parametrize(
    ("asked", "waits"),
    [("0", 0.0), ("301", 300.0), ("9" * 12, None), ("soon", None), ("-1", None), ("1.5", None), ("٣", None)],
)
def test_how_long_to_wait_is_believed_within_bounds(asked, waits):
    with pytest.raises(BrokerAwayError) as raised:
        call(Canned(503, b"", {"Retry-After": asked}), lambda client: client.checkpoint())
    assert raised.value.retry_after == waits


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (302, {"Location": "http://elsewhere"}, b""),
        (403, {"Content-Type": "text/html"}, b"<h1>no</h1>"),
        (422, PROBLEM, b"<h1>no</h1>"),
        (422, PROBLEM, b'{"type":7}'),
        (422, PROBLEM, b'{"a":1,"a":2}'),
        (401, {}, problem("unauthenticated")),
    ],
)
def test_what_is_no_problem_of_the_broker_is_no_answer_of_it(status, headers, body):
    with pytest.raises(BrokerAwayError):
        call(Canned(status, body, headers), lambda client: client.publish(NOTICE, b"{}"))


def test_a_refusal_says_all_that_the_broker_said():
    denied = [{"participant": "tj/focal-point", "condition": "c"}, 7]
    body = problem("denied", denied=denied, refusal="a.b.c", pointer="/label", hint="Do this.")
    with pytest.raises(RefusedError) as raised:
        call(Canned(422, body, PROBLEM), lambda client: client.publish(NOTICE, b"{}"))
    error = raised.value
    assert (error.remote, error.code, error.refusal, error.pointer, error.hint, error.detail) == (
        "denied",
        "denied",
        "a.b.c",
        "/label",
        "Do this.",
        "Why.",
    )
    assert error.denied == ({"participant": "tj/focal-point", "condition": "c"},)


def test_a_problem_that_is_not_known_yet_keeps_its_name():
    body = orjson.dumps({"type": "urn:valise:problem:of-tomorrow", "denied": 1, "refusal": 2, "detail": 3})
    with pytest.raises(RefusedError) as raised:
        call(Canned(422, body, PROBLEM), lambda client: client.publish(NOTICE, b"{}"))
    assert (raised.value.remote, raised.value.code, raised.value.denied) == ("of-tomorrow", "internal", ())


@pytest.mark.parametrize("base", ["ftp://x", "broker", "http://", "unix:/x"])
def test_an_address_that_is_none_is_refused(base):
    with pytest.raises(Error) as raised:
        BrokerClient(base, transport=Canned())
    assert raised.value.code == "configuration"


@settings(max_examples=200, deadline=None)
@given(st.integers(100, 599), st.binary(max_size=60), st.sampled_from([{}, PROBLEM]))
def test_whatever_is_answered_only_our_errors_come_out(status, body, headers):
    canned = Canned(status, body, headers)
    for work in (
        lambda client: client.publish(NOTICE, b"{}"),
        lambda client: client.feed(sign, after=0),
        lambda client: client.log_object(b"d" * 32),
        lambda client: client.entries(Tile(0, 0, 2)),
        lambda client: client.held(sign),
    ):
        try:
            call(canned, work)
        except Error:
            pass


class Begun(Canned):
    """Gives answers in turn to whoever opens a stream; an exception is raised."""

    def __init__(self, *given):
        super().__init__()
        self.given = list(given)
        self.headers = CIMultiDict({"Content-Type": "text/event-stream; charset=utf-8"})

    async def open(self, request):
        self.asked.append(request)
        one = self.given.pop(0)
        if isinstance(one, Exception):
            raise one
        return one


def two(canned, work):
    async def run():
        async with BrokerClient(f"{BASE},http://other.test", transport=canned) as client:
            return await work(client)

    return asyncio.run(run())


def test_a_stream_is_asked_for_signed_and_at_the_next_address_where_one_is_away():
    canned = Begun(BrokerAwayError("Away."), Answer(503, CIMultiDict(), b""))
    with pytest.raises(BrokerAwayError, match="503"):
        two(canned, lambda client: client.open_stream(sign, after=7))
    canned.given = [BrokerAwayError("Away."), canned]
    assert two(canned, lambda client: client.open_stream(sign, after=7)) is not None
    urls = [request.url for request in canned.asked]
    assert urls == [f"{base}/v1/feed/stream?after=7" for base in (BASE, "http://other.test")] * 2
    assert canned.asked[0].headers["Signature"] == f"GET {urls[0]} 0"
    assert canned.asked[0].headers["Accept"] == "text/event-stream"


def test_a_broker_without_streams_says_so_and_a_refusal_is_one():
    for status in (404, 405, 406, 501):
        with pytest.raises(NoStreamError):
            call(Begun(Answer(status, CIMultiDict(), b"")), lambda client: client.open_stream(sign, after=0))
    refused = Answer(401, CIMultiDict(PROBLEM), problem("unauthenticated"))
    with pytest.raises(RefusedError):
        two(Begun(refused), lambda client: client.open_stream(sign, after=0))


def test_what_is_of_another_type_is_no_stream():
    canned = Begun()
    canned.headers = CIMultiDict({"Content-Type": "text/html"})
    canned.close = lambda: None
    canned.given = [canned]

    async def work(client):
        with pytest.raises(AnswerError):
            await client.open_stream(sign, after=0)

    async def run():
        await work(BrokerClient(BASE, transport=canned))

    asyncio.run(run())
