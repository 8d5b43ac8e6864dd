"""Who asks: a signature that holds, or one answer whatever is wrong with it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.http.service import (
    LogObject,
)
from keys.http_signature import sign_request
from schemas.encoding import b64encode
from tests.unit.broker.http.double import AUTHORITY, NOTICE, code
from tests.world import ORIGIN, new_person

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


def test_an_unknown_key_is_nobody(ask, world, monkeypatch):
    monkeypatch.setitem(world.people, "kz/stranger", new_person("kz/stranger"))
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
