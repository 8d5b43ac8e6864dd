"""The strict-input table on every route of the broker that reads a body: a declared problem each time, and soon.

The routes come from the OpenAPI document: one without a genuine body here fails. The broker is the real one, in this
process; what only a connection can do wrong is in `test_strict_wire`.
"""

import json
import time

import pytest

from broker.http import openapi
from keys.http_signature import sign_request
from schemas.limits import LIMITS
from tests.api import strict_bodies as table
from tests.api.conformance import BROKER
from tests.api.genuine import JSON, LINES, MEMBERS, READER, SENDER, UPLOADING, Life, upload
from tests.api.live import AUTHORITY, BASE, live_broker
from tests.api.spoiling import compact
from tests.world import ORIGIN, make_world

READING = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, item in BROKER["paths"].items()
    for method, operation in item.items()
    if "requestBody" in operation
}


class Scene:
    """A broker, and for each operation that reads a body: where it is, its headers, and a body that it takes."""

    def __init__(self, live):
        self.live = live
        self.life = Life(live)
        envelope, line = live.world.envelope(SENDER, [READER]), live.world.envelope(SENDER, [READER])
        self.genuine = {
            "publish": (f"/v1/notices/{envelope.statement.notice_id}", {}, json.loads(envelope.envelope)),
            "publishMany": ("/v1/notices", LINES, json.loads(line.envelope)),
            "resolveRecipients": ("/v1/recipients/resolve", {}, openapi.example("question")),
            "uploadRole": (f"/v1/directory/roles/{UPLOADING}", {"If-Match": '"1"'}, upload(live.world, UPLOADING, 1)),
        }

    def refused(self, name, body, headers=(), *, target=None):
        """Send a body that is refused; return the problem's code and the seconds that it took."""
        method, _, operation = READING[name]
        address, fields, _ = self.genuine[name]
        pairs = [("Host", AUTHORITY), *{**JSON, **fields, **dict(headers)}.items()]
        answer, seconds = self.live.timed(method, target or address, most=table.SECONDS, body=body, headers=pairs)
        return table.declared(answer, operation), seconds


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with live_broker(make_world(MEMBERS), tmp_path_factory.mktemp("broker")) as live:
        yield Scene(live)


def test_every_route_that_reads_a_body_is_here(scene):
    assert scene.genuine.keys() == READING.keys()


@pytest.fixture(params=READING)
def name(request):
    return request.param


@pytest.mark.parametrize("kind", [table.wrong_values, table.wrong_members, table.wrong_wholes])
def test_what_is_no_strict_json(scene, name, kind):
    wrong = {}
    for fault, bodies in kind(scene.genuine[name][2]):
        for body in bodies:
            if name == "publishMany" and compact(scene.genuine[name][2]) in body.split(b"\n"):
                continue  # a line of its own, which is taken
            code, seconds = scene.refused(name, body)
            if code not in table.CODES.get(fault, ("malformed",)) or seconds > table.bar(body):
                wrong[fault] = (code, seconds, body[:200])
    assert not wrong


def test_nothing_at_all(scene, name):
    for body in (b"", [], [b"", b""]):
        assert scene.refused(name, body)[0] == "malformed"
        assert scene.refused(name, body, {"Content-Length": "0"})[0] == "malformed"


def test_one_byte_too_many(scene, name):
    limit = LIMITS.batch if name == "publishMany" else LIMITS.body
    for fault, parts, headers in table.too_large(scene.genuine[name][2], limit):
        code, seconds = scene.refused(name, parts, headers)
        assert (fault, code) == (fault, "too-large")
        assert seconds < table.SECONDS


def test_a_line_of_one_byte_too_many_is_wrong_alone(scene):
    text = compact(scene.genuine["publishMany"][2])
    long = text + b" " * (LIMITS.body + 1 - len(text))
    body = b"\n".join([long, b"{}", long])
    answer, seconds = scene.live.timed(
        "POST", "/v1/notices", most=table.WHOLE_SECONDS, body=body, headers=[("Host", AUTHORITY), *LINES.items()]
    )
    assert [json.loads(line)["status"] for line in answer.body.splitlines()] == [413, 422, 413]
    assert seconds < table.WHOLE_SECONDS


def test_more_lines_than_may_be(scene):
    for body in (b"{}\n" * 101, b"{}\n" * 100 + b"{}", b"\n" * LIMITS.batch):
        assert scene.refused("publishMany", body)[0] == "too-large"
    answer = scene.live.ask("POST", "/v1/notices", b"{}\n" * 100, LINES)
    assert len(answer.body.splitlines()) == 100


def test_as_many_bytes_as_may_be(scene, name):
    text = compact(scene.genuine[name][2])
    # White space is not in the one encoding of envelopes; an upload of this size is only not signed.
    code, _ = scene.refused(name, b" " * (LIMITS.body - len(text)) + text, {"If-Match": '"9"'})
    # A question of this size is only not signed either.
    assert code in ("malformed", "precondition-failed", "unauthenticated")


def test_endless_chunks(scene, name):
    def endless():
        while True:
            yield b" " * 65536

    assert scene.refused(name, endless())[0] == "too-large"


def test_compressed_bodies(scene, name):
    for fault, body, headers in table.codings(scene.genuine[name][2]):
        code, seconds = scene.refused(name, body, headers)
        assert (fault, code) == (fault, "unsupported-media-type")
        assert seconds < table.SECONDS


def test_other_types(scene, name):
    text = compact(scene.genuine[name][2])
    for kind in table.TYPES:
        assert (kind, scene.refused(name, text, {"Content-Type": kind})[0]) == (kind, "unsupported-media-type")
    method, _, operation = READING[name]
    address, fields, _ = scene.genuine[name]
    (own,) = operation["requestBody"]["content"]
    for kinds in ([], [own, own], [own, "text/plain"], *([["application/json"]] if name == "publishMany" else [])):
        others = [pair for pair in fields.items() if pair[0] != "Content-Type"]
        pairs = [*others, *(("Content-Type", kind) for kind in kinds)]
        assert table.declared(scene.live.ask(method, address, text, pairs), operation) == "unsupported-media-type"


def test_nothing_of_the_input_is_in_an_answer(scene, name):
    genuine = scene.genuine[name][2]
    bodies = [table.MARKER.encode(), b'{"%b":1}' % table.MARKER.encode(), b'{"%b":NaN}' % table.MARKER.encode()]
    bodies.append(compact({**genuine, table.MARKER: table.MARKER}))
    for at in table.places_of(genuine, lambda _: True):
        bodies += [table.with_value(genuine, at, raw.replace(b"M", table.MARKER.encode())) for raw in table.HOLDING]
    for body in bodies:
        scene.refused(name, body)
    text = compact(genuine)
    for headers in (
        {"Content-Type": table.MARKER},
        {"Content-Encoding": table.MARKER},
        {"Content-Length": table.MARKER},
        {"If-Match": table.MARKER} if name == "uploadRole" else {"Content-Type": f"{table.MARKER}/json"},
    ):
        scene.refused(name, text, headers)
    address = scene.genuine[name][0]
    if name in ("publishMany", "resolveRecipients"):
        return  # there is nothing in its address
    for target in (
        f"{address.rpartition('/')[0]}/{table.MARKER}",
        f"{address.rpartition('/')[0]}/%22{table.MARKER}%0a",
    ):
        scene.refused(name, text, target=target)


def signature(person, method, address, body):
    """Return the header fields that sign a request and its body."""
    origin, now = ORIGIN, int(time.time())
    return dict(sign_request(method, BASE + address, {}, body, signer=person.request, origin=origin, created=now))


def test_the_genuine_bodies_are_taken(scene):
    for name, (address, fields, genuine) in scene.genuine.items():
        body, signed = compact(genuine), {}
        if name == "resolveRecipients":
            body = compact({**genuine, "recipients": [READER]})  # the example's recipient is of another deployment
            signed = signature(scene.live.world.people[SENDER], "POST", address, body)
        answer = scene.live.ask(READING[name][0], address, body, {**JSON, **fields, **signed})
        assert answer.status in (200, 201), answer.body
        if name == "publishMany":
            assert json.loads(answer.body)["status"] == 201
