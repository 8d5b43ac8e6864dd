import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import strict_json
from schemas.errors import MalformedError, TooLargeError
from tests import strategies as wire


@given(wire.json_values, st.booleans())
def test_reads_what_strict_json_writes(value, ascii_only):
    assert strict_json.parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=60))
def test_only_our_errors_escape(data):
    try:
        strict_json.parse(data)
    except MalformedError as error:
        assert error.status == 400


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"a":{"b":[{"c":1,"c":2}]}}',
        b"[NaN]",
        b"[Infinity]",
        b"[-Infinity]",
        b"1.0",
        b"1e3",
        b"-0",
        b"9007199254740992",
        b"-9007199254740992",
        b'"\\ud800"',
        b'["\\udc00x"]',
        b'{"\\ud800":1}',
        b'{"a":{"b":"\\ud834"}}',
        b"\xef\xbb\xbf{}",
        b"\xff",
        b'"\xed\xa0\x80"',
        b"[" * 33 + b"]" * 33,
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b"[" * 100_000,
        b"{} {}",
        b"",
        b" ",
        b"'a'",
        b"[1,]",
        b'"a\nb"',
        b"01",
        b"+1",
    ],
)
def test_refuses(data):
    with pytest.raises(MalformedError) as caught:
        strict_json.parse(data)
    assert caught.value.code == "malformed"


def test_accepts_depth_32_and_escaped_pairs():
    assert strict_json.parse(b"[" * 32 + b"]" * 32)
    assert strict_json.parse(b'"\\ud834\\udd1e"') == "\U0001d11e"
    assert strict_json.parse(b'["\\u00e9",1,null,{"[[":"]]"}]') == ["é", 1, None, {"[[": "]]"}]


@given(st.text('[]{}"\\\\ a', max_size=30), st.text('[]{}"\\\\ a', max_size=30))
def test_brackets_count_towards_the_depth_outside_strings_only(name, value):
    inner = json.dumps({name: value, "b": [value]}).encode()
    assert strict_json.parse(b"[" * 30 + inner + b"]" * 30)
    with pytest.raises(MalformedError, match="Nested deeper"):
        strict_json.parse(b"[" * 31 + inner + b"]" * 31)


def test_a_huge_integer_is_refused_at_once():
    begun = time.perf_counter()
    with pytest.raises(MalformedError):
        strict_json.parse(b"9" * 1_000_000)
    assert time.perf_counter() - begun < 1


def test_limits():
    with pytest.raises(TooLargeError) as caught:
        strict_json.parse(b" " * (1 << 20) + b"{}")
    assert caught.value.status == 413
    assert strict_json.parse(b"{}" + b" " * 10, limit=12) == {}


def test_objects_only():
    assert strict_json.parse_object(b'{"a":[]}') == {"a": []}
    with pytest.raises(MalformedError):
        strict_json.parse_object(b"[]")


def test_errors_never_echo_the_input():
    with pytest.raises(MalformedError) as caught:
        strict_json.parse(b'{"secret-member":1,"secret-member":2}')
    assert "secret" not in str(caught.value)
    assert "secret" not in caught.value.hint
