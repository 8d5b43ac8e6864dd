"""The gateway's routes over a gateway of dictionaries, as an agency's system would call them."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from adapters.gateway.http import body
from adapters.gateway.http.api import ROUTERS, create_api
from adapters.gateway.http.parameters import seconds_of
from adapters.gateway.status import Alarm, Check, Duty, DutyState, InboxState, Readiness, State
from adapters.gateway.tokens import Tokens
from schemas.errors import Error
from schemas.ids import Code
from schemas.notice import examples
from tests.unit.adapters.gateway.http.calls import JSON, REQUEST, Call, problem
from tests.unit.adapters.gateway.http.fake import KZ, NOW, TJ, UZ, FakeService


def test_a_notice_is_kept_and_found_again(call: Call, service: FakeService) -> None:
    answer = call("POST", "/v1/notices", REQUEST)
    assert answer.status == 202
    accepted = answer.json()
    assert accepted == {"id": accepted["id"], "status": "kept", "href": f"/v1/notices/{accepted['id']}"}
    assert answer.headers["location"] == accepted["href"]
    found = call("GET", accepted["href"]).json()
    assert (found["id"], found["kind"], found["topic"]) == (accepted["id"], "seizure", "central-asia.seizures")
    assert found["recipients"][1] == {"participant": "uz/police", "via": "subscription", "acknowledged_at": NOW}
    assert found["left_out"][0]["denied"]["article"] == "16"
    assert service.sent[accepted["id"]].participant == KZ


def test_waiting_gives_the_receipt(call: Call) -> None:
    answer = call("POST", "/v1/notices", REQUEST, headers={"Prefer": "respond-async, wait=10"})
    assert answer.status == 201
    assert answer.json()["receipt"] == "a.b.c"
    assert answer.headers["preference-applied"] == "wait=10"


def test_waiting_for_what_comes_back_gives_its_status(call: Call, service: FakeService) -> None:
    service.outcome = State.RETURNED
    answer = call("POST", "/v1/notices", REQUEST, headers={"Prefer": "wait=1"})
    assert (answer.status, answer.json()["status"]) == (202, "returned")
    found = call("GET", answer.headers["location"]).json()
    assert found["problem"]["code"] == "denied"
    assert found["problem"]["denied"][0]["participant"] == "tj/customs"


def test_an_idempotency_key_makes_one_notice(call: Call, service: FakeService) -> None:
    first = call("POST", "/v1/notices", REQUEST, headers={"Idempotency-Key": "case-17"}).json()
    again = call("POST", "/v1/notices", REQUEST, headers={"Idempotency-Key": "case-17"}).json()
    assert first["id"] == again["id"]
    assert len(service.sent) == 1
    service.failure = Error("Another request.", problem="idempotency-conflict")
    problem(call("POST", "/v1/notices", REQUEST, headers={"Idempotency-Key": "case-17"}), 409, "idempotency-conflict")


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a b", "é"])
def test_an_idempotency_key_has_a_form(call: Call, key: str) -> None:
    found = problem(call("POST", "/v1/notices", REQUEST, headers={"Idempotency-Key": key}), 422, "invalid-form")
    assert found["pointer"] == "/header/Idempotency-Key"


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("wait=5", 5),
        ("wait=99", 30),
        ("wait=99999", 0),
        ("wait=-1", 0),
        ("return=minimal, wait=2; foo", 2),
        ('wait="7"', 7),
        ("waiting=3", 0),
        ("wait=٣", 0),
    ],
)
def test_what_a_caller_prefers(prefer: str | None, seconds: int) -> None:
    assert seconds_of(prefer) == seconds


def test_a_preview_sends_nothing(call: Call, service: FakeService) -> None:
    answer = call("POST", "/v1/notices/preview", {**REQUEST, "to": [TJ]})
    found = answer.json()
    assert answer.status == 200
    assert found["would_send"] is False
    denied = found["candidates"][1]["verdict"]["determining"][0]
    assert (denied["instrument"], denied["article"]) == ("Illustration: law on personal data", "16")
    assert found["candidates"][0]["verdict"]["obligations"][0]["parameters"] == {"who": ["uz/focal"]}
    assert service.sent == {}


def test_a_preview_says_what_would_make_it_lawful_and_who_else_may_have_it(call: Call) -> None:
    found = call("POST", "/v1/notices/preview?states=true", REQUEST).json()
    assert [item["answer"] for item in found["candidates"]] == ["yes-if", "yes-if", "no", "yes-if"]
    assert [item["via"] for item in found["candidates"]][-1] == "asked"
    ways = found["candidates"][1]["changes"]
    assert [[(one["way"], one["value"]) for one in way] for way in ways] == [
        [("nominal", "no")],
        [("consent-of", "tj"), ("purpose", "investigation")],
    ]
    assert ways[0][0]["says"]["de"] == "ohne Daten zu Personen"
    assert found["topics"] == []
    found = call("POST", "/v1/notices/preview?pattern=central-asia.*", REQUEST).json()
    assert [(one["topic"], one["publish"]["permitted"]) for one in found["topics"]] == [("central-asia.*", True)]
    assert call("POST", "/v1/notices/preview?pattern=central-asia", REQUEST).status == 422
    assert call("POST", "/v1/notices/preview?states=yes", REQUEST).status == 422
    assert call("POST", "/v1/notices/preview?states=true&states=true", REQUEST).status == 422


def test_recall_and_correct(call: Call, service: FakeService) -> None:
    sent = call("POST", "/v1/notices", REQUEST).json()
    corrected = call("POST", f"{sent['href']}/correct", {"notice": examples("seizure")})
    assert corrected.status == 202
    recalled = call("POST", f"{sent['href']}/recall")
    assert recalled.status == 202
    assert call("GET", sent["href"]).json()["recalled_by"] == recalled.json()["id"]
    assert call("POST", f"{sent['href']}/recall", {"reason": "wrong", "text": "Sorry."}).status == 202
    service.outcome = State.RETURNED
    waiting = call("POST", "/v1/notices", REQUEST).json()
    problem(call("POST", f"{waiting['href']}/recall", {}), 409, "not-recallable")


def test_what_a_notice_says_is_shown_with_it_and_in_a_list_that_asks_for_texts(call: Call) -> None:
    sent = call("POST", "/v1/notices", REQUEST).json()
    assert call("GET", sent["href"]).json()["notice"] == REQUEST["notice"]
    for query, shown in (("", None), ("?texts=false", None), ("?texts=true", REQUEST["notice"])):
        assert [one["notice"] for one in call("GET", f"/v1/notices{query}").json()["notices"]] == [shown]


def test_pages(call: Call, service: FakeService) -> None:
    for _ in range(5):
        call("POST", "/v1/notices", REQUEST)
    first = call("GET", "/v1/notices?limit=2").json()
    second = call("GET", f"/v1/notices?limit=2&after={first['next']}").json()
    third = call("GET", f"/v1/notices?limit=2&after={second['next']}").json()
    assert [len(page["notices"]) for page in (first, second, third)] == [2, 2, 1]
    assert call("GET", f"/v1/notices?after={third['next']}").json() == {"next": third["next"], "notices": []}
    assert len(call("GET", "/v1/notices?status=kept").json()["notices"]) == 5
    assert call("GET", "/v1/notices?status=refused").json()["notices"] == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=+1",
        "limit=01",
        "after=-1",
        "after=1e3",
        "after=99999999999999999",
        "after=1&after=2",
        "status=lost",
        "unknown=1",
        "limit=",
    ],
)
def test_wrong_pages(call: Call, query: str) -> None:
    found = problem(call("GET", f"/v1/notices?{query}"), 422, "invalid-form")
    assert "99999999999999999" not in json.dumps(found)
    assert "lost" not in json.dumps(found)


def test_the_inbox(call: Call, service: FakeService) -> None:
    first, second = service.arrive(KZ), service.arrive(KZ, state=InboxState.UNREADABLE)
    other = service.arrive(UZ)
    page = call("GET", "/v1/inbox").json()
    assert [item["id"] for item in page["items"]] == [first, second]
    assert page["items"][0]["notice"] == examples("seizure")
    assert (page["items"][1]["status"], page["items"][1]["notice"]) == ("unreadable", None)
    answer = call("POST", f"/v1/inbox/{first}/acknowledge")
    assert (answer.status, answer.json()["acknowledged_at"]) == (200, NOW)
    assert [item["id"] for item in call("GET", "/v1/inbox?unacknowledged=true").json()["items"]] == [second]
    problem(call("GET", "/v1/inbox?unacknowledged=1"), 422, "invalid-form")
    assert call("GET", f"/v1/inbox/{first}").json()["id"] == first
    problem(call("GET", f"/v1/inbox/{other}"), 404, "not-found")
    problem(call("POST", f"/v1/inbox/{other}/acknowledge"), 404, "not-found")
    problem(call("GET", "/v1/inbox/not-an-id"), 404, "not-found")


@pytest.mark.parametrize(
    ("path", "value", "act"),
    [
        ("ask-use", {"use": "court"}, "ask_use"),
        ("grant", None, "grant"),
        ("permit", {"until": "2027-01-01T00:00:00Z"}, "permit"),
        ("refuse", None, "refuse"),
        ("consent", {"text": "Agreed."}, "consent"),
        ("withdraw", None, "withdraw"),
    ],
)
def test_what_is_asked_is_answered(call: Call, service: FakeService, path: str, value: Any, act: str) -> None:
    name = service.arrive(KZ)
    answer = call("POST", f"/v1/inbox/{name}/{path}", value)
    assert (answer.status, answer.json()["status"]) == (202, "kept")
    assert service.dealings.done[-1][:3] == (act, KZ, name)
    href = answer.json()["href"]
    assert answer.headers["location"] == href
    assert call("GET", href).json()["act"] == act
    other = service.arrive(UZ)
    assert call("POST", f"/v1/inbox/{other}/{path}", value).status == 404
    if value:
        assert call("POST", f"/v1/inbox/{name}/{path}", {**value, "more": 1}).json()["pointer"] == ""
        assert call("POST", f"/v1/inbox/{name}/{path}", dict.fromkeys(value, 7)).status == 422


def test_access_is_asked_for_and_granted(call: Call, service: FakeService) -> None:
    wanted = {"sender": "uz/police", "topic": "central-asia.seizures"}
    name = service.arrive(UZ)
    assert call("POST", f"/v1/notices/{name}/ask-access", wanted).status == 202
    assert call("POST", f"/v1/notices/{name}/ask-access").status == 415
    assert call("POST", f"/v1/notices/{name}/ask-access", {}).json()["pointer"] == "/sender"
    own = call("POST", "/v1/notices", REQUEST).json()["id"]
    fields = {"Prefer": "wait=1"}
    answer = call("POST", f"/v1/notices/{own}/grant", {"to": ["uz/police"]}, headers=fields)
    assert (answer.status, answer.json()["receipt"]) == (201, "a.b.c")
    assert call("POST", f"/v1/notices/{name}/grant", {"to": ["uz/police"]}).status == 409
    assert call("POST", f"/v1/notices/{own}/grant", {"to": ["nobody"]}).json()["pointer"] == "/to/0"


def test_a_text_is_deleted(call: Call, service: FakeService) -> None:
    name = service.arrive(KZ)
    answer = call("POST", f"/v1/inbox/{name}/delete", {"reason": "case-closed"})
    assert (answer.status, answer.json()["status"], answer.json()["notice"]) == (200, "deleted", None)
    assert answer.json()["deleted_at"] == NOW
    assert call("POST", f"/v1/inbox/{service.arrive(UZ)}/delete").status == 404


def test_what_is_owed(call: Call, service: FakeService) -> None:
    name = service.arrive(KZ)
    duty = Duty(
        participant=KZ,
        notice_id=name,
        code=Code("reply"),
        state=DutyState.OPEN,
        due=NOW,
        escalates=NOW,
        deputy_at=NOW,
        met_at=None,
        met_by=None,
        permitted_until=None,
        why={"obligation": "reply"},
    )
    service.dealings.owed = (duty, replace(duty, participant=UZ), replace(duty, state=DutyState.MET))
    found = call("GET", "/v1/duties").json()["duties"]
    assert [one["state"] for one in found] == ["open", "met"]
    assert found[0]["due"] == NOW
    assert len(call("GET", "/v1/duties?state=met").json()["duties"]) == 1
    assert call("GET", "/v1/duties?state=done").status == 422


def test_who_stands_in(call: Call) -> None:
    wanted = {"to": "kz/police", "from": "2026-12-24T00:00:00Z", "until": "2027-01-02T00:00:00Z"}
    assert call("GET", "/v1/delegations").json() == {"delegations": []}
    assert call("POST", "/v1/delegations", wanted).status == 202
    (found,) = call("GET", "/v1/delegations").json()["delegations"]
    assert found == {"by": "kz/customs", **wanted, "index": 7}
    assert call("POST", "/v1/delegations", {**wanted, "from_": NOW}).status == 422


def test_subscriptions(call: Call) -> None:
    assert call("GET", "/v1/subscriptions").json() == {"subscriptions": []}
    answer = call("PUT", "/v1/subscriptions", {"patterns": ["central-asia.*", "*.precursors"]})
    assert answer.json() == {
        "subscriptions": [
            {"pattern": "*.precursors", "index": None},
            {"pattern": "central-asia.*", "index": None},
        ]
    }
    assert len(call("DELETE", "/v1/subscriptions/*.precursors").json()["subscriptions"]) == 1
    problem(call("DELETE", "/v1/subscriptions/*.precursors"), 404, "not-found")
    problem(call("DELETE", "/v1/subscriptions/everything"), 404, "not-found")
    found = problem(call("PUT", "/v1/subscriptions", {"patterns": ["x"]}), 422, "invalid-form")
    assert found["pointer"] == "/patterns/0"


def test_an_import(call: Call, service: FakeService) -> None:
    csv = {"Content-Type": "text/csv; charset=utf-8"}
    dry = call("POST", "/v1/imports?dry_run=true&routes=true&name=a.csv", raw=b"bad", headers=csv)
    assert (dry.status, dry.json()["rows_refused"], dry.json()["notices"]) == (200, 1, [])
    assert service.imported == {"data": b"bad", "name": "a.csv", "dry_run": True, "routes": True}
    assert service.sent == {}
    real = call("POST", "/v1/imports", raw=b"\x1f\x8b", headers={"Content-Type": "application/gzip"})
    assert (real.status, len(real.json()["notices"])) == (202, 1)
    assert (service.imported or {})["name"] == "table.csv.gz"
    for name, kind in (("a.csv", "application/gzip"), ("a.csv.gz", "text/csv"), ("a.xlsx", "application/x-gzip")):
        answer = call("POST", f"/v1/imports?name={name}", raw=b"x", headers={"Content-Type": kind})
        assert problem(answer, 422, "invalid-form")["pointer"] == "/query/name"
    answer = call("POST", "/v1/imports", raw=b"x", headers={"Content-Type": "text/plain"})
    assert problem(answer, 415, "unsupported-media-type")["hint"].startswith("Send text/csv ")
    problem(
        call("POST", "/v1/imports", raw=b"x", headers={"Content-Type": "text/csv; charset=latin-1"}),
        415,
        "unsupported-media-type",
    )
    service.failure = Error("No such columns.", problem="import")
    problem(call("POST", "/v1/imports", raw=b"x", headers=csv), 422, "import")


def test_health(call: Call, service: FakeService) -> None:
    assert call("GET", "/livez", as_=None).json() == {"ready": True, "reasons": []}
    assert call("GET", "/readyz", as_=None).status == 200
    service.ready = Readiness(ready=False, reasons=("The disk is full.",))
    answer = call("GET", "/readyz", as_=None)
    assert (answer.status, answer.json()["reasons"]) == (503, ["The disk is full."])


def test_doctor(call: Call, service: FakeService) -> None:
    assert call("GET", "/v1/doctor").json()["well"] is True
    service.found_alarms = (Alarm("fork", NOW, NOW, "Two roots.", stops=True, over=None),)
    assert call("GET", "/v1/doctor").json()["well"] is False
    service.found_alarms = (Alarm("fork", NOW, NOW, "Two roots.", stops=True, over=NOW),)
    assert call("GET", "/v1/doctor").json()["well"] is True
    service.checks = (Check("receipt", "missing", "None yet.", "Send a practice notice."),)
    assert call("GET", "/v1/doctor").json()["checks"][0]["hint"] == "Send a practice notice."


# Who may ask


def _secured() -> list[tuple[str, str]]:
    found = []
    for router in ROUTERS:
        for route in router.routes:
            path = route.path  # type: ignore[attr-defined]
            if path.startswith("/v1"):
                found += [
                    (
                        method,
                        path.replace("{id:notice}", "019ac0de-5e4d-7c1a-9b7e-0d3c5a9f2b11").replace("{pattern}", "*.*"),
                    )
                    for method in route.methods
                ]  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize(("method", "path"), _secured())
def test_nothing_is_told_without_a_token(call: Call, method: str, path: str) -> None:
    answer = call(method, path, as_=None)
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    problem(call(method, path, as_="valise_" + "A" * 43), 401, "unauthenticated")
    problem(call(method, path, as_=None, headers={"Authorization": "Basic YTpi"}), 401, "unauthenticated")


def test_a_revoked_token_and_one_of_another_gateways_participant(call: Call, tokens: Tokens) -> None:
    record, token = tokens.new(KZ, "old")
    assert call("GET", "/v1/inbox", as_=token).status == 200
    tokens.revoke(record.id)
    problem(call("GET", "/v1/inbox", as_=token), 401, "unauthenticated")
    _, foreign = tokens.new(TJ, "elsewhere")
    problem(call("GET", "/v1/inbox", as_=foreign), 401, "unauthenticated")


def test_each_participant_sees_its_own(call: Call, tokens: Tokens, service: FakeService) -> None:
    _, other = tokens.new(UZ, "system")
    sent = call("POST", "/v1/notices", REQUEST).json()
    problem(call("GET", sent["href"], as_=other), 404, "not-found")
    problem(call("POST", f"{sent['href']}/recall", {}, as_=other), 409, "not-recallable")
    assert call("GET", "/v1/notices", as_=other).json()["notices"] == []


# Bad input, on every route that reads a body

READERS = [
    ("POST", "/v1/notices"),
    ("POST", "/v1/notices/preview"),
    ("POST", "/v1/notices/019ac0de-5e4d-7c1a-9b7e-0d3c5a9f2b11/recall"),
    ("POST", "/v1/notices/019ac0de-5e4d-7c1a-9b7e-0d3c5a9f2b11/correct"),
    ("PUT", "/v1/subscriptions"),
]
MALFORMED = {
    "nothing": b"",
    "duplicate member": b'{"topic":"a.b","topic":"c.d"}',
    "nan": b'{"topic":NaN}',
    "infinity": b'{"topic":-Infinity}',
    "float": b'{"topic":1.5}',
    "exponent": b'{"topic":1e400}',
    "lone surrogate": b'{"topic":"\\ud800"}',
    "raw surrogate": b'{"topic":"\xed\xa0\x80"}',
    "depth": b"[" * 33 + b"]" * 33,
    "deep": b"[" * 100_000,
    "long integer": b'{"topic":' + b"9" * 100_000 + b"}",
    "bom": b"\xef\xbb\xbf{}",
    "utf-16": '{"topic":"a.b"}'.encode("utf-16"),
    "trailing": b"{} {}",
    "not an object": b"[]",
    "text": b"topic=a.b",
    "control": b'{"topic":"\x00"}',
}


@pytest.mark.parametrize(("method", "path"), READERS)
@pytest.mark.parametrize("name", sorted(MALFORMED))
def test_what_is_not_strict_json(call: Call, method: str, path: str, name: str) -> None:
    if name == "nothing" and path.endswith("recall"):
        problem(call(method, path, raw=b""), 409, "not-recallable")  # a recall needs no body
        return
    problem(call(method, path, raw=MALFORMED[name]), 400, "malformed")


@pytest.mark.parametrize(("method", "path"), [*READERS, ("POST", "/v1/imports")])
def test_bodies_that_are_not_what_they_must_be(call: Call, method: str, path: str) -> None:
    kind = {"Content-Type": "text/csv"} if path.endswith("imports") else {"Content-Type": JSON}
    limit = 64 << 20 if path.endswith("imports") else 1 << 20
    announced = call(method, path, raw=b"{}", headers={**kind, "Content-Length": str(limit + 1)})
    problem(announced, 413, "too-large")
    problem(call(method, path, raw=b"{}", headers={**kind, "Content-Length": "9" * 30}), 413, "too-large")
    problem(call(method, path, raw=b"{}", headers={**kind, "Content-Encoding": "gzip"}), 415, "unsupported-media-type")
    for other in ("text/html", "", "application/json; charset=utf-16", "application/jsonp"):
        problem(call(method, path, raw=b"{}", headers={"Content-Type": other}), 415, "unsupported-media-type")


@pytest.mark.parametrize(("method", "path"), READERS)
def test_endless_and_slow_bodies(call: Call, method: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless() -> Iterable[bytes]:
        while True:
            yield b" " * 65536

    problem(call(method, path, raw=endless()), 413, "too-large")
    problem(call(method, path, raw=b"1" * ((1 << 20) + 1)), 413, "too-large")


def test_a_slow_body(service: FakeService, tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body.read, "__kwdefaults__", {**body.read.__kwdefaults__, "seconds": 0.01})
    answers = _talk(service, tokens, [{"type": "http.request", "body": b"{", "more_body": True}])
    assert answers[0]["status"] == 408


def test_a_body_that_does_not_come(service: FakeService, tokens: Tokens) -> None:
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    assert _talk(service, tokens, messages)[0]["status"] == 408


def _talk(service: FakeService, tokens: Tokens, messages: list[dict[str, Any]]) -> list[Any]:
    """Post a notice message by message; after the last one the client keeps silent."""
    _, token = tokens.new(KZ, "system")
    app = create_api(service, tokens)
    answers: list[Any] = []

    async def receive() -> Any:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    async def send(message: Any) -> None:
        answers.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/notices",
        "raw_path": b"/v1/notices",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/json")],
        "client": None,
        "server": None,
        "state": {},
    }
    asyncio.run(app(scope, receive, send))
    return answers


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({}, "/notice"),
        ({**REQUEST, "topic": "x"}, "/topic"),
        ({**REQUEST, "more": 1}, ""),
        ({**REQUEST, "to": "uz/police"}, "/to"),
        ({**REQUEST, "to": ["uz"]}, "/to/0"),
        ({**REQUEST, "label": {"tlp": "AMBER"}}, "/label/tlp"),
        ({**REQUEST, "label": {"exercise": "yes"}}, "/label/exercise"),
        ({**REQUEST, "expires_at": "tomorrow"}, "/expires_at"),
        ({**REQUEST, "ref": "x"}, "/ref"),
    ],
)
def test_members_of_the_wrong_form(call: Call, value: Any, pointer: str) -> None:
    found = problem(call("POST", "/v1/notices", value), 422, "invalid-form")
    assert found.get("pointer", "") == pointer


def test_a_fault_says_nothing(service: FakeService, tokens: Tokens) -> None:
    service.failure = ZeroDivisionError("secret")
    answers: list[Any] = []
    with pytest.raises(ZeroDivisionError):  # the server logs it once more
        answers = _talk(service, tokens, [{"type": "http.request", "body": json.dumps(REQUEST).encode()}])
    assert answers == []


def test_addresses_and_methods(call: Call) -> None:
    problem(call("GET", "/v2/notices"), 404, "not-found")
    answer = call("DELETE", "/v1/notices")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, POST"
    problem(call("GET", "/v1/notices/"), 404, "not-found")
    answer = call("GET", "/v1/notices/preview")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"
    problem(call("GET", "/v1/notices/not-an-id", as_=None), 404, "not-found")
