"""Request signatures: what is signed is accepted, and any change, age or omission is not."""

import datetime as dt
from urllib.parse import urlsplit

import pytest
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ED25519
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.errors import RevokedKeyError, UnknownKeyError
from keys.http_signature import UnauthenticatedError, sign_request, verify_request
from keys.sign import Ed25519Signer
from schemas.errors import Error

NOW = 1_800_000_000
ORIGIN = "test.invalid/log"
URL = "https://broker.example:8443/v1/feed?after=3&topic=central-asia.*"
SIGNER = Ed25519Signer.generate()
OTHER = Ed25519Signer.generate()


def resolve(kid: str):
    if kid != SIGNER.kid:
        raise UnknownKeyError("No request key has this id.")
    return SIGNER.public


def signed(method="GET", url=URL, headers=None, body=None, *, signer=SIGNER, origin=ORIGIN, created=NOW):
    return sign_request(method, url, headers or {}, body, signer=signer, origin=origin, created=created)


def verify(headers, method="GET", url=URL, body=None, *, origin=ORIGIN, now=NOW, resolve=resolve, **parts):
    split = urlsplit(url)
    given = {"authority": split.netloc, "path": split.path, "query": split.query, **parts}
    return verify_request(method, headers=headers, body=body, resolve=resolve, origin=origin, now=now, **given)


def refused(*arguments, problem="unauthenticated", **more) -> Error:
    with pytest.raises(Error) as caught:
        verify(*arguments, **more)
    assert caught.value.code == problem
    return caught.value


def test_a_signed_request_is_accepted():
    headers = signed()
    assert set(headers) == {"Signature-Input", "Signature"}
    assert verify(headers) == SIGNER.kid
    assert verify({name.lower(): value for name, value in headers.items()}, body=b"") == SIGNER.kid
    assert verify({**headers, "Accept": "*/*", "X-Forwarded-For": "::1"}) == SIGNER.kid


def test_a_body_is_covered_by_its_digest():
    headers = signed("PUT", body=b"body")
    assert set(headers) == {"Content-Digest", "Signature-Input", "Signature"}
    assert verify(headers, "PUT", body=b"body") == SIGNER.kid
    refused(headers, "PUT", body=b"Body")
    refused(headers, "PUT", body=b"")
    refused(headers, "PUT")
    refused({**headers, "Content-Digest": signed("PUT", body=b"other")["Content-Digest"]}, "PUT", body=b"other")
    bare = {name: value for name, value in headers.items() if name != "Content-Digest"}
    refused(bare, "PUT", body=b"body")
    refused(signed("PUT"), "PUT", body=b"body")
    refused({**signed("PUT"), "Content-Digest": headers["Content-Digest"]}, "PUT", body=b"body")
    refused({**signed("PUT"), "Content-Digest": headers["Content-Digest"]}, "PUT")


def test_a_digest_and_signatures_that_are_there_are_replaced():
    old = {**signed("PUT", body=b"old"), "Accept": "*/*"}
    new = signed("PUT", headers=old, body=b"new")
    assert verify({**old, **new}, "PUT", body=b"new") == SIGNER.kid


_segments = st.text("abcXYZ019-._~!$'()*,;:@+%20", min_size=0, max_size=12).filter(lambda text: "%" not in text)


@settings(max_examples=60)
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
    path=st.lists(_segments, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts)),
    query=_segments,
    body=st.none() | st.binary(max_size=40),
)
def test_what_is_signed_is_accepted_and_its_change_is_not(method, path, query, body):
    url = f"http://127.0.0.1:8080{path}?{query}" if query else f"http://127.0.0.1:8080{path}"
    headers = signed(method, url, body=body)
    there = {"authority": "127.0.0.1:8080", "path": path, "query": query, "body": body, "method": method}
    assert verify(headers, **there) == SIGNER.kid
    changes = {
        "method": "PATCH",
        "authority": "127.0.0.1:8081",
        "path": f"{path}x",
        "query": f"{query}x",
        "body": (body or b"") + b"x",
    }
    for name, value in changes.items():
        refused(headers, **{**there, name: value})


@pytest.mark.parametrize(
    ("age", "good"), [(0, True), (60, True), (120, True), (121, False), (-60, True), (-61, False), (10**10, False)]
)
def test_freshness(age, good):
    headers = signed()
    if good:
        assert verify(headers, now=NOW + age) == SIGNER.kid
    else:
        refused(headers, now=NOW + age)


def test_another_deployments_signature_is_refused():
    refused(signed(origin="other.invalid/log"))
    refused(signed(), origin="other.invalid/log")


def test_keys_are_looked_up_and_refusals_passed_on():
    error = refused(signed(signer=OTHER), problem="unknown-key")
    assert isinstance(error, UnknownKeyError)

    def revoked(kid: str):
        raise RevokedKeyError("The key is not in force.")

    refused(signed(), resolve=revoked, problem="revoked-key")

    def broken(kid: str):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        verify(signed(), resolve=broken)


def test_another_key_under_the_same_id_is_refused():
    refused(signed(), resolve=lambda kid: OTHER.public)


def test_refusals_are_uniform():
    wrong = [
        refused({}),
        refused(signed(), "POST"),
        refused(signed(), now=NOW + 500),
        refused(signed(origin="other.invalid")),
    ]
    assert len({(error.detail, error.pointer, error.hint) for error in wrong}) == 1
    assert wrong[0].status == 401
    assert isinstance(wrong[0], UnauthenticatedError)


class _Key(HTTPSignatureKeyResolver):
    def resolve_private_key(self, key_id: str):
        return SIGNER.private_key()


class _Request:
    method = "GET"
    url = URL

    def __init__(self, headers) -> None:
        self.headers = dict(headers)


def other_way(covered=("@method", "@authority", "@path", "@query"), headers=(), **more) -> dict[str, str]:
    """Sign with the library as another client might."""
    message = _Request(headers)
    given = {"key_id": SIGNER.kid, "created": dt.datetime.fromtimestamp(NOW, dt.UTC), "tag": ORIGIN, **more}
    HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=_Key()).sign(
        message, covered_component_ids=covered, **given
    )
    return message.headers


def test_another_clients_order_and_label_are_accepted():
    assert verify(other_way()) == SIGNER.kid
    assert verify(other_way(("@query", "@path", "@authority", "@method"), label="x")) == SIGNER.kid


LATER = dt.datetime.fromtimestamp(NOW + 30, dt.UTC)


@pytest.mark.parametrize(
    "more",
    [
        {"covered": ("@method", "@authority", "@path")},
        {"covered": ("@method", "@authority", "@target-uri")},
        {"covered": ("@method", "@authority", "@path", "@query", "@scheme")},
        {"covered": ("@method", "@authority", "@path", "@query", "signature"), "headers": {"Signature": "x=:AA==:"}},
        {"covered": ()},
        {"include_alg": False},
        {"expires": LATER},
        {"nonce": "abc"},
        {"tag": "valise"},
        {"key_id": "short"},
        {"key_id": SIGNER.kid[:-1] + "B"},
    ],
)
def test_anything_but_the_form_is_refused(more):
    refused(other_way(**more))


def test_a_signature_beside_ours_is_not_looked_at():
    ours = signed()
    proxy = other_way(("@method",), tag="proxy", label="proxy", key_id="anything")
    both = {name: f"{ours[name]}, {proxy[name]}" for name in ours}
    assert verify(both) == SIGNER.kid
    twice = {name: f"{ours[name]}, {other_way(label='two')[name]}" for name in ours}
    refused(twice)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authority", "broker.example:8443/v1"),
        ("authority", "user@broker.example:8443"),
        ("authority", "broker.example:8443?"),
        ("authority", "broker.example:8443#"),
        ("authority", "broker.example:8443\n"),
        ("authority", "broker.example%2e:8443"),
        ("authority", "broker.example:8443:8443"),
        ("authority", "[broker.example]:8443"),
        ("authority", ":8443"),
        ("authority", ""),
        ("path", "v1/feed"),
        ("path", "/v1/feed?after=3"),
        ("path", ""),
        ("path", "/v1/\nfeed"),
        ("path", "/v1/%zz"),
        ("path", "/v1/ü"),
        ("query", "after=3#x"),
        ("method", "get"),
        ("method", ""),
    ],
)
def test_odd_addresses_are_refused(name, value):
    refused(signed(), **{name: value})


def test_a_prefix_does_not_move_between_host_and_path():
    headers = signed(url="https://broker.example/v1/feed")
    assert verify(headers, url="https://broker.example/v1/feed") == SIGNER.kid
    refused(headers, authority="broker.example/v1", path="/feed", query="")


@given(
    st.dictionaries(
        st.sampled_from(["Signature", "signature-input", "Content-Digest"]),
        st.text(max_size=60) | st.text('()=":;,valise@method-pathcreated0123456789/ ', max_size=60),
    )
)
def test_only_our_errors_escape(headers):
    refused(headers)
    refused({**signed(), **headers, "Signature": "x"})


def test_every_flipped_bit_is_refused():
    headers = signed()
    for name in ("Signature-Input", "Signature"):
        value = headers[name].encode()
        for at in range(len(value)):
            changed = bytearray(value)
            changed[at] ^= 1
            with pytest.raises(Error):
                verify({**headers, name: changed.decode("latin-1")})
