"""Publishing and reading over a service that answers what the test says: statuses, forms, headers, no foreign answer."""

import json

import pytest
from prometheus_client import generate_latest

from broker.answers import NotPublished, Published
from broker.http.service import (
    AuditedStatement,
    AuditPage,
    HeldNotice,
    LogObject,
    OwnPage,
    OwnStatement,
    Subscription,
)
from broker.publish import Denied
from schemas.encoding import b64encode
from schemas.errors import Error
from tests.unit.broker.http.double import JSON, NOTICE, WHY, InTurn, code

# Publishing


def test_a_receipt_for_a_new_statement_and_for_a_known_one(ask, service, telemetry):
    service.answers["publish"] = InTurn([Published("a.b.c", created=True), Published("a.b.c", created=False)])
    for status in (201, 200):
        answer = ask("PUT", f"/v1/notices/{NOTICE}", b"{}", JSON)
        assert (answer.status, answer.json()) == (status, {"receipt": "a.b.c"})
        assert answer.headers["content-type"] == "application/json"
    assert service.asked == [("publish", NOTICE, b"{}")] * 2
    text = generate_latest(telemetry.registry).decode()
    assert 'valise_publishes_total{outcome="created"} 1.0' in text
    assert 'valise_request_seconds_count{operation="publish",status="201"} 1.0' in text


def test_a_definite_refusal_is_signed_and_names_the_denied(ask, service):
    error = Error("Two may not.", problem="denied", pointer="/sealed")
    denied = (Denied("uz/police", WHY), Denied("kz/customs", WHY))
    service.answers["publish"] = NotPublished(error, denied, "r.e.f")
    answer = ask("PUT", f"/v1/notices/{NOTICE}", b"{}", JSON)
    document = answer.json()
    assert (answer.status, code(answer), document["pointer"], document["refusal"]) == (
        422,
        "denied",
        "/sealed",
        "r.e.f",
    )
    assert document["denied"][0] == {
        "participant": "kz/customs",
        "condition": "c1",
        "layer": "law",
        "state": "kz",
        "instrument": "Instrument",
        "article": "Article 1",
        "reason": {"en": "Because."},
        "evaluated_by": "broker",
    }
    assert [item["participant"] for item in document["denied"]] == ["kz/customs", "uz/police"]


def test_a_refusal_before_the_sender_is_known_is_plain(ask, service):
    service.answers["publish"] = NotPublished(Error("No.", problem="unknown-key"), (), None)
    answer = ask("PUT", f"/v1/notices/{NOTICE}", b"{}", JSON)
    assert (answer.status, set(answer.json())) == (401, {"type", "title", "status", "detail", "hint"})


def test_overload_says_when_to_come_back(ask, service, telemetry):
    service.answers["publish"] = Error("Full.", problem="unavailable")
    answer = ask("PUT", f"/v1/notices/{NOTICE}", b"{}", JSON)
    assert (answer.status, int(answer.headers["retry-after"]) > 0) == (503, True)
    assert 'outcome="unavailable"' in generate_latest(telemetry.registry).decode()


@pytest.mark.parametrize("address", ["1", NOTICE.upper(), NOTICE.replace("-7", "-4"), f"{NOTICE}x", "%C3%A9"])
def test_the_address_is_a_notice_id(ask, address):
    answer = ask("PUT", f"/v1/notices/{address}", b"{}", JSON)
    assert (answer.status, answer.json()["pointer"]) == (422, "/path/notice_id")
    assert ask("GET", f"/v1/notices/{address}", by="kz/customs").json()["pointer"] == "/path/notice_id"


# What is served


def test_a_delivery_and_its_proof(ask, service):
    service.answers |= {"delivery": b'{"statement":"x"}', "proof_text": b"c2sp.org/tlog-proof@v1\n"}
    answer = ask("GET", f"/v1/notices/{NOTICE}", by="kz/customs")
    assert (answer.status, answer.body) == (200, b'{"statement":"x"}')
    assert answer.headers["cache-control"] == "no-store"
    answer = ask("GET", f"/v1/notices/{NOTICE}/proof", by="kz/customs")
    assert answer.headers["cache-control"] == "no-store"
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert service.asked == [("delivery", "kz/customs", NOTICE), ("proof_text", "kz/customs", NOTICE)]


@pytest.mark.parametrize("part", ["", "/proof"])
def test_what_is_not_for_the_caller_is_not_there(ask, service, part):
    service.answers |= {"delivery": None, "proof_text": None}
    assert ask("GET", f"/v1/notices/{NOTICE}{part}", by="kz/customs").status == 404


def test_what_is_held(ask, service):
    why = json.dumps(WHY.to_json()).encode()
    service.answers["held"] = [HeldNotice(NOTICE, 3, "kz/customs", "a.b", "2026-01-01T00:00:00Z", why)]
    assert ask("GET", "/v1/feed/held", by="kz/customs").json() == {
        "held": [
            {
                "notice_id": NOTICE,
                "index": 3,
                "sender": "kz/customs",
                "topic": "a.b",
                "since": "2026-01-01T00:00:00Z",
                "condition": "c1",
                "layer": "law",
                "state": "kz",
                "instrument": "Instrument",
                "article": "Article 1",
                "reason": {"en": "Because."},
            }
        ]
    }


def test_subscriptions_and_statements_carry_exact_proofs(ask, service):
    service.answers["subscriptions"] = [Subscription("kz/customs", "a.*", 4, b"st", b'{"b":1,"a":2}')]
    body = ask("GET", "/v1/subscriptions", by="kz/customs").body
    assert body == (
        b'{"subscriptions":[{"participant":"kz/customs","pattern":"a.*","index":4,"statement":"c3Q",'
        b'"proof":{"b":1,"a":2}}]}'
    )
    statements = [
        AuditedStatement(4, b"l" * 41, b"st", b"{}", bytes(32), erased=True),
        AuditedStatement(5, b"l" * 41, b"st", b"{}", None, erased=False),
    ]
    service.answers["audit_page"] = AuditPage(6, statements)
    answer = ask("GET", "/v1/audit/statements?after=4&limit=2", by="kz/customs").json()
    assert answer["next"] == 6
    assert answer["statements"][0] == {
        "index": 4,
        "leaf": b64encode(b"l" * 41),
        "statement": "c3Q",
        "proof": {},
        "body_digest": b64encode(bytes(32)),
        "erased": True,
    }
    assert (answer["statements"][1]["body_digest"], answer["statements"][1]["erased"]) == (None, False)
    assert service.asked[-1] == ("audit_page", "kz/customs", 4, 2)


def test_own_statements_are_whole_envelopes(ask, service):
    service.answers["own_page"] = OwnPage(6, [OwnStatement(4, 1_000, b'{"statement":"c3Q","proof":{},"sealed":null}')])
    answer = ask("GET", "/v1/statements?after=4&limit=2", by="kz/customs")
    assert answer.body == (
        b'{"next":6,"statements":[{"index":4,"received_at":1000,"envelope":{"statement":"c3Q","proof":{},"sealed":null}}]}'
    )
    assert service.asked[-1] == ("own_page", "kz/customs", 4, 2)


def test_the_log_is_static(ask, service):
    assert ask("GET", "/v1/log/checkpoint").body == b"note\n"
    assert ask("GET", "/v1/log/checkpoint").headers["cache-control"] == "no-cache"
    service.answers |= {"tile": b"h" * 32, "entries": b"e"}
    for target in ("/v1/log/tile/0/000", "/v1/log/tile/2/x001/234.p/5", "/v1/log/tile/entries/x001/234.p/5"):
        answer = ask("GET", target)
        assert (answer.status, "immutable" in answer.headers["cache-control"]) == (200, True)
    assert [(item[0], item[1].level, item[1].index, item[1].width) for item in service.asked] == [
        ("tile", 0, 0, 256),
        ("tile", 2, 1234, 5),
        ("entries", 0, 1234, 5),
    ]
    service.note = None
    assert ask("GET", "/v1/log/checkpoint").status == 503


@pytest.mark.parametrize(
    "target", ["0/0", "0/000.p/256", "00/000", "99/000", "entries/1", "entries/", "0/", "0/x000/001", "%2e%2e/000"]
)
def test_other_names_are_no_tiles(ask, service, target):
    assert ask("GET", f"/v1/log/tile/{target}").status == 404
    assert not service.asked


@pytest.mark.parametrize("target", ["0/000", "entries/000"])
def test_tiles_beyond_the_checkpoint_are_not_there(ask, service, target):
    service.answers |= {"tile": None, "entries": None}
    answer = ask("GET", f"/v1/log/tile/{target}")
    assert (answer.status, answer.headers["cache-control"]) == (404, "no-store")


def test_events_are_open_and_statements_are_not(ask, service):
    target = f"/v1/log/objects/{b64encode(bytes(32))}"
    service.answers["log_object"] = LogObject(b"ev", None)
    assert ask("GET", target).json() == {"event": "ZXY"}
    service.answers["log_object"] = LogObject(b"st", b'{"b":1}')
    assert ask("GET", target, by="kz/customs").body == b'{"statement":"c3Q","proof":{"b":1}}'
    service.answers["log_object"] = None
    assert ask("GET", target).status == 401
    assert ask("GET", target, by="kz/customs").status == 404
    assert service.asked[0] == ("log_object", bytes(32), None)
    service.asked.clear()
    assert ask("GET", "/v1/log/objects/AAAA", by="kz/customs").status == 404
    assert ask("GET", "/v1/log/objects/***").status == 401
    assert not service.asked
