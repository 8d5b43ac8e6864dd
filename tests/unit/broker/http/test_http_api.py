"""Every operation over a service that answers what the test says: statuses, forms, headers, and no foreign answer."""

import asyncio
import json
import time
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest

from broker.http.api import create_api
from broker.http.health import MetricsApp
from broker.http.service import (
    AuditedStatement,
    AuditPage,
    DirectoryLeaf,
    FeedPage,
    HeldNotice,
    LogObject,
    Subscription,
)
from broker.publish import Denied
from broker.sequencer import NotPublished, Published
from broker.telemetry import Figures, Telemetry
from keys.http_signature import sign_request
from schemas.encoding import b64encode
from schemas.errors import Error
from schemas.rules.verdict import Determination, Effect
from tests.asgi import request
from tests.world import ORIGIN, make_world, new_person

NOTICE = "01935f2e-8c00-7a3b-9c4d-5e6f70819203"
AUTHORITY = "broker.test"
JSON = {"Content-Type": "application/json"}
WHY = Determination(
    condition="c1",
    layer="law",
    state="kz",
    effect=Effect.DENY,
    instrument="Instrument",
    article="Article 1",
    reason={"en": "Because."},
    evaluated_by="broker",
)


class InTurn(list):
    """Answers that are given one after the other."""


@dataclass
class Double:
    """A service whose answers a test sets; an answer that is an exception is raised."""

    trust: object
    now: int
    origin: str = ORIGIN
    size: int = 7
    note: bytes | None = b"note\n"
    note_size: int = 7
    answers: dict[str, object] = field(default_factory=dict)
    asked: list[tuple] = field(default_factory=list)

    def now_ms(self):
        return self.now * 1000

    def _give(self, name, *asked):
        self.asked.append((name, *asked))
        answer = self.answers[name]
        if isinstance(answer, InTurn):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer

    def readiness(self):
        return self._give("readiness")

    def figures(self):
        return Figures({"tree_size": self.size})


def _method(name):
    async def call(self, *asked):
        return self._give(name, *asked)

    return call


for _name in (
    *("publish", "wait_checkpoint", "feed", "held", "delivery", "proof_text", "subscriptions", "audit_page"),
    *("log_object", "tile", "entries", "directory_file", "upload_role"),
):
    setattr(Double, _name, _method(_name))


@pytest.fixture(scope="module")
def world():
    return make_world(("kz/customs", "kz/focal-point"))


@pytest.fixture(scope="module")
def trust(world):
    return world.trust()


@pytest.fixture
def service(trust, world):
    return Double(trust, world.now)


@pytest.fixture
def telemetry(service):
    return Telemetry(service.figures)


@pytest.fixture
def ask(service, telemetry, world):
    """Send a request, signed by a participant where one is named."""
    app = create_api(service, telemetry)

    def send(method, target, body=b"", headers=(), *, by=None, at=None, **sent):
        pairs = {"Host": AUTHORITY, **dict(headers)}
        if by is not None:
            pairs |= sign_request(
                method,
                f"https://{AUTHORITY}{sent.pop('signed_target', target)}",
                pairs,
                None,
                signer=world.people[by].request,
                origin=ORIGIN,
                created=at or world.now,
            )
        answer = asyncio.run(request(app, method, target, body=body, headers=pairs))
        if answer.status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status
        return answer

    return send


def code(answer):
    return answer.json()["type"].removeprefix("urn:valise:problem:")


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


# Who asks

SIGNED = ("/v1/notices/" + NOTICE, f"/v1/notices/{NOTICE}/proof", "/v1/feed", "/v1/feed/held", "/v1/subscriptions")
SIGNED = (*SIGNED, "/v1/audit/statements", f"/v1/log/objects/{b64encode(bytes(32))}")


@pytest.mark.parametrize("target", SIGNED)
def test_calls_want_a_signature(ask, service, target):
    service.answers["log_object"] = None
    answer = ask("GET", target)
    assert (answer.status, code(answer), "www-authenticate" in answer.headers) == (401, "unauthenticated", True)


@pytest.mark.parametrize("target", SIGNED)
def test_a_signature_for_another_address_is_none(ask, target):
    assert ask("GET", target, by="kz/customs", signed_target=f"{target}?after=1").status == 401


@pytest.mark.parametrize(("seconds", "status"), [(-119, 200), (59, 200), (-3600, 422), (3600, 422)])
def test_whoever_holds_the_key_is_told_of_its_clock(ask, service, world, seconds, status):
    service.answers["held"] = []
    answer = ask("GET", "/v1/feed/held", by="kz/customs", at=world.now + seconds)
    assert answer.status == status
    if status == 422:
        assert code(answer) == "clock-skew"


def test_nobody_else_is_told_of_a_clock(ask, world):
    answer = ask("GET", "/v1/feed/held", by="kz/customs", at=world.now - 3600, signed_target="/v1/feed")
    assert code(answer) == "unauthenticated"


def test_a_revoked_key_is_nobody(ask, service, world):
    kid = world.people["kz/customs"].request.kid
    service.trust = world.trust().__class__(service.trust.directory, service.trust.rules, None, {kid: 3})
    assert code(ask("GET", "/v1/feed/held", by="kz/customs")) == "unauthenticated"
    service.size = 3  # the revocation counts from the leaf after its own
    service.answers["held"] = []
    assert ask("GET", "/v1/feed/held", by="kz/customs").status == 200


def test_an_unknown_key_is_nobody(ask, world):
    world.people["kz/stranger"] = new_person("kz/stranger")
    assert code(ask("GET", "/v1/feed/held", by="kz/stranger")) == "unauthenticated"


def test_the_suspended_are_told(ask, service, trust):
    parties = {who: replace(party, suspended=True) for who, party in trust.parties.items()}
    service.trust = SimpleNamespace(directory=trust.directory, rules=trust.rules, revoked={}, parties=parties)
    answer = ask("GET", "/v1/feed/held", by="kz/customs")
    assert (answer.status, code(answer)) == (403, "forbidden")


@pytest.mark.parametrize(
    "host", ["", "broker.test/v1/feed/held?#", "broker.test#", "a@broker.test", "broker.test:x", "[::1", "\xe9"]
)
def test_a_host_of_another_form_moves_no_signature(ask, host):
    answer = ask("GET", "/v1/feed/held", headers={"Host": host, "Signature": "a=:AA==:", "Signature-Input": "a=()"})
    assert answer.status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Signature": "x"},
        {"Signature-Input": "x"},
        {"Signature": "a=:AA==:", "Signature-Input": 'a=("@method");created=1'},
        {"Signature": "a=:AA==:", "Signature-Input": f'a=("@method");created={"9" * 40};keyid="k"'},
        {"Signature": "a=:AA==:, b=:AA==:", "Signature-Input": "a=(), b=()"},
        {"Signature": "\xff", "Signature-Input": "\xff"},
        {"Signature": "a=:AA==:", "Signature-Input": 'a=("@method";bs "@query-param";name="x");created=1;tag="t"'},
    ],
)
def test_broken_signatures_are_one_answer(ask, service, headers):
    service.answers["log_object"] = LogObject(b"{}", None)
    for target in SIGNED:
        assert code(ask("GET", target, headers=headers)) == "unauthenticated"


_tokens = st.sampled_from(
    [
        "sig",
        "=",
        "(",
        ")",
        '"@method"',
        '"@path"',
        '"content-digest"',
        ";created=1",
        ";created=9999999999999",
        ";keyid=",
    ]
    + [
        ';tag="',
        ORIGIN,
        '"',
        ":",
        ":AAAA:",
        ",",
        " ",
        ";alg=",
        '"ed25519"',
        "1",
        "?0",
        "@5",
        "\\",
        ";bs",
        ";req",
        ";key",
    ]
)


@given(
    st.one_of(st.text(max_size=60), st.lists(_tokens, max_size=20).map("".join)).flatmap(
        lambda first: st.tuples(st.just(first), st.lists(_tokens, max_size=8).map("".join))
    )
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_signature_is_one_answer(ask, pair):
    fields = [text.encode("utf-8", "replace").decode("latin-1") for text in pair]
    answer = ask("GET", "/v1/feed/held", headers={"Signature-Input": fields[0], "Signature": fields[1]})
    assert code(answer) == "unauthenticated"


@pytest.mark.parametrize("created", ["0", "-1", "999999999999999", "253402300800", "1.5", "@1", '"1"', "?1", "9" * 15])
@pytest.mark.parametrize("more", ["", ";expires=999999999999999", ';nonce="x"', ";created=1"])
def test_a_signature_with_another_time_is_one_answer(ask, world, created, more):
    fields = sign_request(
        "GET",
        f"https://{AUTHORITY}/v1/feed/held",
        {},
        None,
        signer=world.people["kz/customs"].request,
        origin=ORIGIN,
        created=world.now,
    )
    fields["Signature-Input"] = fields["Signature-Input"].replace(f"created={world.now}", f"created={created}") + more
    assert code(ask("GET", "/v1/feed/held", headers=fields)) == "unauthenticated"


# What is served


def test_a_delivery_and_its_proof(ask, service):
    service.answers |= {"delivery": b'{"statement":"x"}', "proof_text": b"c2sp.org/tlog-proof@v1\n"}
    answer = ask("GET", f"/v1/notices/{NOTICE}", by="kz/customs")
    assert (answer.status, answer.body) == (200, b'{"statement":"x"}')
    answer = ask("GET", f"/v1/notices/{NOTICE}/proof", by="kz/customs")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert service.asked == [("delivery", "kz/customs", NOTICE), ("proof_text", "kz/customs", NOTICE)]


@pytest.mark.parametrize("part", ["", "/proof"])
def test_what_is_not_for_the_caller_is_not_there(ask, service, part):
    service.answers |= {"delivery": None, "proof_text": None}
    assert ask("GET", f"/v1/notices/{NOTICE}{part}", by="kz/customs").status == 404


def test_a_page_of_the_feed(ask, service):
    service.answers["feed"] = FeedPage(5, 7, [b'{"a":1}', b'{"b":2}'])
    answer = ask("GET", "/v1/feed?after=3&limit=2&topic=central-asia.*", by="kz/customs")
    assert answer.body == b'{"next":5,"size":7,"deliveries":[{"a":1},{"b":2}]}'
    assert answer.headers["link"] == '</v1/feed?after=5&wait=0&limit=2&topic=central-asia.*>; rel="next"'
    assert service.asked == [("feed", "kz/customs", 3, 2, "central-asia.*")]


def test_the_feed_waits_for_something(ask, service):
    def grow():
        service.note_size = 8

    service.answers |= {"feed": InTurn([FeedPage(7, 7, []), FeedPage(8, 8, [b"{}"])]), "wait_checkpoint": grow}
    answer = ask("GET", "/v1/feed?wait=30", by="kz/customs")
    assert answer.json() == {"next": 8, "size": 8, "deliveries": [{}]}
    assert [item[0] for item in service.asked] == ["feed", "wait_checkpoint", "feed"]
    assert service.asked[1][1] == 7
    assert 29 < service.asked[1][2] <= 30
    assert service.asked[2][2] == 7


def test_the_feed_goes_on_waiting_while_nothing_is_for_the_caller(ask, service):
    def grow():
        service.note_size += 1

    pages = InTurn([FeedPage(7, 7, []), FeedPage(8, 8, []), FeedPage(9, 9, [b"{}"])])
    service.answers |= {"feed": pages, "wait_checkpoint": grow}
    assert ask("GET", "/v1/feed?wait=30", by="kz/customs").json()["next"] == 9


def test_the_feed_ends_empty_when_the_time_is_over(ask, service):
    service.answers |= {"feed": FeedPage(7, 7, []), "wait_checkpoint": None}
    assert ask("GET", "/v1/feed?wait=1", by="kz/customs").json() == {"next": 7, "size": 7, "deliveries": []}
    service.asked.clear()
    began = time.monotonic()
    ask("GET", "/v1/feed?wait=0", by="kz/customs")
    assert [item[0] for item in service.asked] == ["feed"]
    assert time.monotonic() - began < 1


def test_a_key_that_is_revoked_while_it_waits_gets_nothing(ask, service, world, trust):
    def revoke():
        service.note_size = service.size = 9
        kid = world.people["kz/customs"].request.kid
        service.trust = trust.__class__(trust.directory, trust.rules, None, {kid: 8})

    service.answers |= {"feed": FeedPage(7, 7, []), "wait_checkpoint": revoke}
    assert code(ask("GET", "/v1/feed?wait=30", by="kz/customs")) == "unauthenticated"
    assert [item[0] for item in service.asked] == ["feed", "wait_checkpoint"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("after=-1", "/query/after"),
        ("after=", "/query/after"),
        ("after=1.0", "/query/after"),
        ("after=1_0", "/query/after"),
        ("after=+1", "/query/after"),
        ("after=%201", "/query/after"),
        ("after=01", "/query/after"),
        ("after=1e3", "/query/after"),
        ("after=%D9%A1", "/query/after"),
        ("after=" + "9" * 12000, "/query/after"),
        ("after=9007199254740992", "/query/after"),
        ("limit=0", "/query/limit"),
        ("limit=201", "/query/limit"),
        ("wait=31", "/query/wait"),
        ("topic=a", "/query/topic"),
        ("topic=A.b", "/query/topic"),
        ("topic=" + "a" * 300 + ".b", "/query/topic"),
        ("topic=%00.a", "/query/topic"),
        ("after=1&after=2", "/query/after"),
        ("secret=1", "/query"),
        ("%FF=%FF", "/query"),
    ],
)
def test_parameters_of_the_wrong_form_are_named(ask, service, query, pointer):
    answer = ask("GET", f"/v1/feed?{query}", by="kz/customs")
    assert (answer.status, code(answer), answer.json()["pointer"]) == (422, "invalid-form", pointer)
    assert "secret" not in answer.body.decode()
    assert not service.asked


def test_the_greatest_cursor_is_one(ask, service):
    service.answers["feed"] = FeedPage(9007199254740991, 7, [])
    assert ask("GET", "/v1/feed?after=9007199254740991&limit=200&wait=0", by="kz/customs").status == 200


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


# The directory


@pytest.mark.parametrize(
    ("target", "name", "immutable"),
    [
        ("metadata/timestamp.json", "metadata/timestamp.json", False),
        ("metadata/1.root.json", "metadata/1.root.json", True),
        ("metadata/12.fr-law.json", "metadata/12.fr-law.json", True),
        (f"targets/fr/{'a' * 64}.directory.json", f"targets/fr/{'a' * 64}.directory.json", True),
        (f"targets/int/unodc/{'0' * 64}.directory.json", f"targets/int/unodc/{'0' * 64}.directory.json", True),
    ],
)
def test_the_directory_is_static(ask, service, target, name, immutable):
    service.answers["directory_file"] = b"{}"
    answer = ask("GET", f"/v1/directory/{target}")
    assert (answer.status, "immutable" in answer.headers["cache-control"]) == (200, immutable)
    assert service.asked == [("directory_file", name)]
    service.answers["directory_file"] = None
    assert ask("GET", f"/v1/directory/{target}").status == 404


@pytest.mark.parametrize(
    "target",
    ["metadata/root.json", "metadata/..", "metadata/0.root.json", "targets/x", "targets/../../etc/passwd", "targets/"]
    + ["metadata/" + "1" * 400 + ".root.json", f"targets/fr/../{'a' * 64}.x", "metadata/timestamp.json%00"],
)
def test_other_names_are_no_files(ask, service, target):
    assert ask("GET", f"/v1/directory/{target}").status == 404
    assert not service.asked


UPLOAD = b'{"metadata":"e30","targets":{"fr/directory.json":"e30"}}'


def test_a_role_is_uploaded(ask, service):
    service.answers["upload_role"] = DirectoryLeaf(12, 4711)
    answer = ask("PUT", "/v1/directory/roles/fr-law", UPLOAD, {**JSON, "If-Match": '"7"'})
    assert (answer.status, answer.json()) == (201, {"version": 12, "index": 4711})
    assert service.asked == [("upload_role", "fr-law", b"{}", {"fr/directory.json": b"{}"}, 7)]


@pytest.mark.parametrize(
    ("if_match", "found"),
    [
        (None, "precondition-required"),
        ("*", "invalid-form"),
        ("7", "invalid-form"),
        ('W/"7"', "invalid-form"),
        ('"7", "8"', "invalid-form"),
        ('"07"', "invalid-form"),
        ('"' + "9" * 5000 + '"', "invalid-form"),
        ('"\xb2"', "invalid-form"),
    ],
)
def test_an_upload_says_what_it_edited(ask, if_match, found):
    headers = {**JSON, **({} if if_match is None else {"If-Match": if_match})}
    answer = ask("PUT", "/v1/directory/roles/fr", UPLOAD, headers)
    assert (code(answer), answer.json()["pointer"]) == (found, "/header/if-match")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"{}", "/metadata"),
        (b"[]", ""),
        (b'{"targets":{},"metadata":"e30"}', ""),
        (b'{"metadata":"e30=","targets":{}}', "/metadata"),
        (b'{"metadata":"e30","targets":[]}', "/targets"),
        (b'{"metadata":"e30","targets":{"secret":"*"}}', "/targets"),
        (b'{"metadata":"e30","targets":{"secret":1}}', "/targets"),
        (b'{"metadata":"e30","targets":{},"more":1}', ""),
    ],
)
def test_an_upload_has_a_form(ask, service, body, pointer):
    answer = ask("PUT", "/v1/directory/roles/fr", body, {**JSON, "If-Match": '"0"'})
    assert (answer.status, code(answer), answer.json()["pointer"]) == (422, "invalid-form", pointer)
    assert b"secret" not in answer.body
    assert not service.asked


@pytest.mark.parametrize("role", ["FR", "fr_law", "a" * 65, "%00"])
def test_a_role_has_a_name(ask, role):
    answer = ask("PUT", f"/v1/directory/roles/{role}", UPLOAD, {**JSON, "If-Match": '"0"'})
    assert (answer.status, answer.json()["pointer"]) == (422, "/path/role")


# Health


def test_health(ask, service):
    assert ask("GET", "/livez").json() == {"live": True}
    service.answers["readiness"] = []
    assert ask("GET", "/readyz").json() == {"ready": True}
    service.answers["readiness"] = ["no checkpoint is signed yet"]
    answer = ask("GET", "/readyz")
    assert (answer.status, answer.json()["reasons"]) == (503, ["no checkpoint is signed yet"])
    assert "retry-after" in answer.headers


def test_metrics_have_an_application_of_their_own(ask, telemetry):
    app = MetricsApp(telemetry)
    assert ask("GET", "/metrics").status == 404
    answer = asyncio.run(request(app, "GET", "/metrics"))
    assert (answer.status, b"valise_tree_size 7.0" in answer.body) == (200, True)
    assert asyncio.run(request(app, "GET", "/")).status == 404
    answer = asyncio.run(request(app, "POST", "/metrics"))
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


# What the framework would say


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("POST", f"/v1/notices/{NOTICE}", "GET, PUT"),
        ("DELETE", "/v1/feed", "GET"),
        ("GET", "/v1/directory/roles/fr", "PUT"),
        ("OPTIONS", "/livez", "GET"),
        ("TRACE", f"/v1/notices/{NOTICE}/proof", "GET"),
        ("PATCH", "/openapi.json", "GET"),
    ],
)
def test_other_methods_are_refused_with_what_is_served(ask, method, target, allow):
    answer = ask(method, target)
    assert (answer.status, code(answer), answer.headers["allow"]) == (405, "method-not-allowed", allow)


@pytest.mark.parametrize(
    "target",
    ["/", "/v1", "/v1/notices", "/v1/notices/", "/livez/", "/docs", "/v1/feed/x/y", "//", "/%0A", "/v1/log/tile/0/%0A"]
    + ["/v1/directory/targets/%0D%0A", "/%00", "/%FF", "/%F0%9F%98%80"],
)
def test_other_addresses_are_not_there(ask, target):
    assert ask("GET", target).status == 404


@pytest.mark.parametrize(
    ("method", "target"), [("PUT", f"/v1/notices/{NOTICE}"), ("GET", "/readyz"), ("GET", "/v1/feed")]
)
def test_what_nobody_foresaw_says_nothing(ask, service, telemetry, capsys, method, target):
    for name in ("publish", "readiness", "feed"):
        service.answers[name] = ZeroDivisionError("secret contents")
    answer = ask(method, target, b"{}", JSON, by="kz/customs")
    assert (answer.status, code(answer)) == (500, "internal")
    assert b"secret" not in answer.body
    printed = capsys.readouterr()
    assert answer.json()["instance"].removeprefix("urn:uuid:") in printed.out
    assert "secret" not in printed.out + printed.err
    assert "ZeroDivisionError" in printed.out
    assert 'status="500"' in generate_latest(telemetry.registry).decode()


def test_requests_are_counted_by_operation_not_by_address(ask, service, telemetry):
    service.answers["delivery"] = None
    ask("GET", f"/v1/notices/{NOTICE}", by="kz/customs")
    ask("GET", "/v1/secret")
    text = generate_latest(telemetry.registry).decode()
    assert 'operation="notice",status="404"' in text
    assert 'operation="none",status="404"' in text
    assert "secret" not in text
