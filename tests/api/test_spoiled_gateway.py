"""Almost right requests to the gateway: genuine bodies and tables with faults, and every known address.

Whatever an agency's system sends, the answer is one that the OpenAPI document declares.
"""

import gzip
import json

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from schemas.notice import KINDS, examples
from tests.api.conformance import CHECKS, EXAMPLES, GATEWAY, SEED, loaded
from tests.api.genuine_gateway import MEMBERS, PEOPLE, READER, SENDER, TABLE, Life, asker
from tests.api.live import BASE, Bearer, live_gateway
from tests.api.spoiling import compact, spoiled
from tests.world import make_world

SCHEMA = loaded(GATEWAY)
BODIES = (
    *("sendNotice", "previewNotice", "correctNotice", "recallNotice", "acknowledgeNotices", "setSubscriptions"),
    *("askAccess", "askUse", "grantNotice", "grantAsked", "permitUse", "refuseAsked", "consentTo", "withdrawConsent"),
    *("deleteText", "delegate"),
)
often = settings(max_examples=EXAMPLES, database=None, print_blob=False)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with live_gateway(make_world(MEMBERS), tmp_path_factory.mktemp("gateway"), *PEOPLE) as live:
        yield live


@pytest.fixture(scope="module")
def send(live):
    """Send a request that is held against an operation of the document."""
    with live.session() as session:

        def sending(method, route, who=SENDER, *, body=None, headers=(), query=None, **parameters):
            case = SCHEMA[route][method].Case(path_parameters=parameters, query=query or {})
            fields = {**({"Content-Type": "application/json"} if body is not None else {}), **dict(headers)}
            given = {} if body is None else {"data": body}
            answer = case.call_and_validate(
                BASE, session, headers=fields, checks=CHECKS, auth=Bearer(live.tokens[who]), **given
            )
            return answer.status_code, json.loads(answer.content)

        yield sending


@pytest.fixture(scope="module")
def life(live, send):
    made = Life(live)
    yield made
    # Whatever was accepted meanwhile, all of it can be read.
    read_everything(send)


def read_everything(send):
    for who in PEOPLE:
        for route, member in (("/v1/notices", "notices"), ("/v1/inbox", "items")):
            after, found = "0", []
            while True:
                status, page = send("GET", route, who, query={"after": after, "limit": "200"})
                assert status == 200
                found += page[member]
                if not page[member]:
                    break
                after = str(page["next"])
            for one in found[:50]:
                assert send("GET", f"{route}/{{id}}", who, id=one["id"])[1]["id"] == one["id"]
        assert send("GET", "/v1/subscriptions", who)[0] == 200
        assert send("GET", "/v1/doctor", who)[0] == 200
    for route in ("/livez", "/readyz"):
        assert send("GET", route)[0] == 200


def test_every_known_address(send, life):
    read_everything(send)
    assert send("POST", "/v1/inbox/{id}/acknowledge", READER, id=life.corrected)[1]["acknowledged_at"]
    assert send("POST", "/v1/inbox/{id}/acknowledge", SENDER, id=life.corrected)[0] == 404
    assert send("DELETE", "/v1/subscriptions/{pattern}", READER, pattern="*.*")[0] == 200


def test_the_examples_of_the_document_are_taken(send, life):
    table = GATEWAY["paths"]["/v1/imports"]["post"]["requestBody"]["content"]["text/csv"]["example"]
    status, report = send(
        "POST", "/v1/imports", body=table.encode(), headers={"Content-Type": "text/csv"}, query={"dry_run": "true"}
    )
    assert (status, report["rows_imported"], report["refused"]) == (200, 1, [])


def test_the_genuine_bodies_are_taken(send, life):
    assert set(life.bodies) == set(BODIES)
    for name, (method, target, body) in life.bodies.items():
        route, parameters = _route(target)
        assert send(method, route, asker(name, target), body=compact(body), **parameters)[0] < 300


def _route(target):
    """Return the document's path of an address, and its parameters."""
    parts = target.split("/")
    if len(parts) == 5:
        return "/".join([*parts[:3], "{id}", parts[4]]), {"id": parts[3]}
    return target, {}


@seed(SEED)
@often
@given(data=st.data(), name=st.sampled_from(BODIES), kind=st.sampled_from(sorted(KINDS)))
def test_a_body_with_faults(send, life, data, name, kind):
    method, target, genuine = life.bodies[name]
    if "notice" in genuine:
        genuine = {**genuine, "notice": examples(kind)}
    route, parameters = _route(target)
    headers = {"Prefer": data.draw(st.sampled_from(["wait=0", "wait", "wait=x", "respond-async", "wait=00"]))}
    if data.draw(st.booleans()):
        headers["Idempotency-Key"] = data.draw(st.sampled_from(["a", "b"]))
    send(method, route, body=compact(data.draw(spoiled(genuine))), headers=headers, **parameters)


@seed(SEED)
@often
@given(data=st.data(), dry=st.booleans(), compressed=st.booleans())
def test_a_table_with_faults(send, life, data, dry, compressed):
    table = bytearray(TABLE)
    for _ in range(data.draw(st.integers(1, 4))):
        # Most faults stand in the rows: one in the header refuses the whole file.
        place = data.draw(
            st.integers(min(TABLE.index(b"\n") + 1, len(table) - 1), len(table) - 1) | st.integers(0, len(table) - 1)
        )
        new = data.draw(st.sampled_from(PIECES) | st.text(max_size=5).map(str.encode))
        table[place : place + data.draw(st.integers(0, 8))] = new
    body = bytes(table)
    if compressed:
        packed = bytearray(gzip.compress(body, mtime=0))
        if data.draw(st.booleans()):
            packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        body = bytes(packed)
    headers = {"Content-Type": "application/gzip" if compressed else "text/csv"}
    send("POST", "/v1/imports", body=body, headers=headers, query={"dry_run": str(dry).lower()})


PIECES = (
    *(b";", b",", b"\t", b'"', b"\n", b"\r", b"\r\n", b"\0", b"\xef\xbb\xbf", b"=1+1", b"\xc2\x85", b"\xe2\x80\xa8"),
    *(b"9" * 5000, b"1e999", b"1e-999", b"NaN", b"-0", b"0000-00-00", b"99999-01-01", b"\xed\xa0\x80", b"31.02.2014"),
    *(b";" * 500, TABLE, b"\n" * 300),
)
