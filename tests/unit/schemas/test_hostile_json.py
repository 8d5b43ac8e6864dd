"""A megabyte of the worst costs a parser little: time grows with the input, not with its square."""

import time

import pytest

from schemas import encoding, strict_json
from schemas.errors import Error
from schemas.limits import LIMITS

SIZE = LIMITS.body
PATTERNS = {
    "escaped quotation marks that never end": (b'["', b'\\"', b""),
    "escaped quotation marks that end": (b'["', b'\\"', b'"]'),
    "backslashes": (b'["', b"\\\\", b"\\"),
    "bare quotation marks": (b"", b'"', b""),
    "quotation marks and letters": (b"", b'"a', b""),
    "a string that never ends": (b'"', b"a", b""),
    "open lists": (b"", b"[", b""),
    "open objects": (b"", b'{"a":', b""),
    "small objects nested": (b"[", b'{"a":{"a":{"a":1}}},', b"0]"),
    "lists as deep as may be": (b"[", b"[" * 31 + b"]" * 31 + b",", b"0]"),
    "lists beside lists": (b"[", b"[],", b"[]]"),
    "digits": (b"[", b"1", b"]"),
    "minus signs": (b"[", b"-", b"]"),
    "exponents": (b"[1e", b"1", b"]"),
    "surrogates": (b'["', b"\\ud800", b'"]'),
    "members": (b"{", b'"a":1,', b'"a":1}'),
    "spaces": (b"[", b" ", b"]"),
    "fractions": (b"[", b"0.1,", b"0]"),
}


@pytest.mark.parametrize("parse", [strict_json.parse, encoding.parse])
@pytest.mark.parametrize(("begin", "middle", "end"), PATTERNS.values(), ids=PATTERNS)
def test_a_megabyte_is_read_or_refused_in_time(parse, begin, middle, end):
    data = begin + middle * ((SIZE - len(begin) - len(end)) // len(middle)) + end
    started = time.process_time()
    try:
        parse(data)
    except Error as error:
        assert error.status == 400
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "inner",
    [b"[" * 2000 + b"]" * 2000, b'{"a":' * 2000 + b"1" + b"}" * 2000, b"[" * 300 + b"]" * 300, b"[0.5]", b"0.5"],
)
def test_the_one_encoding_refuses_depth_and_floats_with_an_error_of_ours(inner):
    with pytest.raises(Error) as refused:
        encoding.parse(b'{"a":' + inner + b"}")
    assert refused.value.code == "malformed"


@pytest.mark.parametrize("parse", [strict_json.parse, encoding.parse])
def test_32_is_the_depth_that_both_accept(parse):
    for depth, fine in ((31, True), (32, False)):
        data = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
        if fine:
            assert parse(data)["a"] is not None
        else:
            with pytest.raises(Error):
                parse(data)
