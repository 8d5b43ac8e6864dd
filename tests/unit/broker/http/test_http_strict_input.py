"""The strict-input table of the design, on every route that reads a body: a declared 4xx problem each time, and soon.

The routes are found in the OpenAPI document: a route that begins to read a body comes under the table by itself.
"""

import asyncio
import json
import time

import pytest

from broker.answers import NotPublished
from broker.http.api import create_api, create_app, describe
from broker.telemetry import Figures, Telemetry
from schemas.envelope import Envelope
from schemas.errors import Error
from schemas.limits import LIMITS
from tests.asgi import request

NOTICE = "01935f2e-8c00-7a3b-9c4d-5e6f70819203"
ADDRESSES = {
    "/v1/notices": "/v1/notices",
    "/v1/notices/{notice_id}": f"/v1/notices/{NOTICE}",
    "/v1/directory/roles/{role}": "/v1/directory/roles/fr",
    "/v1/recipients/resolve": "/v1/recipients/resolve",
}
LINES = "application/x-ndjson"
DOCUMENT = describe(create_app())
READING = {
    (method.upper(), path): operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if "requestBody" in operation
}
DEEP = LIMITS.depth + 1


def endless():
    while True:
        yield b" " * 65536


BODIES = {
    "nothing": b"",
    "a member twice": b'{"metadata":"e30","metadata":"e30","targets":{}}',
    "a member twice, escaped": b'{"metadata":"e30","met\\u0061data":"e30","targets":{}}',
    "NaN": b'{"statement":NaN}',
    "Infinity": b'{"statement":-Infinity}',
    "a fraction": b'{"statement":1.5}',
    "a lone surrogate": b'{"statement":"\\ud800"}',
    "a raw surrogate": b'{"statement":"\xed\xa0\x80"}',
    "depth 33, objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "depth 33, lists": b"[" * DEEP + b"]" * DEEP,
    "depth 500,000": b"[" * 500_000,
    "10^5 digits": b'{"statement":' + b"9" * 100_000 + b"}",
    "10^5 digits, negative": b'{"statement":-' + b"9" * 100_000 + b"}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"statement":"x"}'.encode("utf-16"),
    "not UTF-8": b'{"statement":"\xff"}',
    "control characters": b'{"statement":"\x00"}',
    "trailing data": b"{}{}",
    "no object": b'"x"',
    "null": b"null",
    "1 MiB + 1": b'{"statement":"' + b"A" * (LIMITS.body - 15) + b'"}',
    "1 MiB of brackets": b"{" * LIMITS.body,
}


class Parsing:
    """A service that reads envelopes as the ledger thread does, and takes no upload."""

    origin = "test.invalid/strict"

    async def publish(self, notice_id, data):
        try:
            Envelope.parse(data)
        except Error as error:
            return NotPublished(error, (), None)
        raise AssertionError("nothing in the table is an envelope")

    async def publish_many(self, lines):
        return [await self.publish(None, line) for line in lines]

    async def upload_role(self, *given):
        raise AssertionError("nothing in the table is an upload")


APP = create_api(Parsing(), Telemetry(Figures))


def headers_of(route):
    """Return header fields with which a genuine body would be read."""
    (kind,) = READING[route]["requestBody"]["content"]
    return {"Content-Type": kind, "If-Match": '"0"'}


def send(route, body, headers=None):
    """Send a body; return the code of the problem that is the answer, or that each line of it is, and the seconds."""
    method, path = route
    began = time.perf_counter()
    headers = headers_of(route) if headers is None else headers
    answer = asyncio.run(request(APP, method, ADDRESSES[path], body=body, headers=headers))
    took = time.perf_counter() - began
    if answer.status == 200:
        found = [json.loads(line) for line in answer.body.splitlines()]
        examples = READING[route]["responses"]["200"]["content"][LINES]["examples"]
        (code,) = {one["type"].removeprefix("urn:valise:problem:") for one in found}
        assert json.loads(examples[code]["value"])["status"] == found[0]["status"]
        return code, took
    assert 400 <= answer.status < 500
    assert str(answer.status) in READING[route]["responses"]
    assert answer.headers["content-type"] == "application/problem+json"
    declared = READING[route]["responses"][str(answer.status)]["content"]["application/problem+json"]["examples"]
    found = answer.json()["type"].removeprefix("urn:valise:problem:")
    assert found in declared
    return found, took


@pytest.mark.parametrize("route", READING, ids=lambda route: route[1])
@pytest.mark.parametrize("name", BODIES)
def test_the_table(route, name):
    found, took = send(route, BODIES[name])
    assert found == "too-large" if "MiB + 1" in name else found in ("malformed", "invalid-form")
    # The bar is 50 ms; a loaded machine gets some more.
    assert took < 0.5


@pytest.mark.parametrize("route", READING, ids=lambda route: route[1])
def test_endless_chunks(route):
    assert send(route, endless())[0] == "too-large"


@pytest.mark.parametrize("route", READING, ids=lambda route: route[1])
@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "gzip"},
        {"Content-Encoding": "identity"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=utf-16"},
    ],
)
def test_compressed_and_other_bodies(route, headers):
    assert send(route, b"{}", {**headers_of(route), **headers})[0] == "unsupported-media-type"


@pytest.mark.parametrize("route", READING, ids=lambda route: route[1])
@pytest.mark.parametrize("length", ["one byte too many", "9" * 40])
def test_a_length_that_is_only_announced(route, length):
    headers = headers_of(route)
    if length == "one byte too many":
        length = str(1 + (LIMITS.batch if headers["Content-Type"] == LINES else LIMITS.body))
    assert send(route, b"{}", {**headers, "Content-Length": length})[0] == "too-large"


def test_every_route_with_a_body_is_in_the_table():
    assert {path for _, path in READING} == ADDRESSES.keys()


def test_routes_that_read_no_body_do_not_mind_one():
    answer = asyncio.run(
        request(APP, "GET", "/livez", body=b"\xff" * 5_000_000, headers={"Content-Type": "application/json"})
    )
    assert (answer.status, json.loads(answer.body)) == (200, {"live": True})
