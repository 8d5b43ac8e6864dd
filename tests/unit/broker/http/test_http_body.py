"""Strict body reading: claims first, then size and time, and never a byte more than the limit kept."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.http.body import Disconnected, read_body
from schemas.errors import Error, TooLargeError

JSON = (b"content-type", b"application/json")


def read(parts, headers=(JSON,), *, limit=100, seconds=5.0, end=None):
    """Read a body that arrives in `parts`; `end` is a message that stands for the last part."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if end is None:
        messages[-1]["more_body"] = False
    else:
        messages.append(end)
    taken = iter(messages)

    async def receive():
        message = next(taken, None)
        if message is None:
            await asyncio.Event().wait()
        return message

    return asyncio.run(read_body({"headers": list(headers)}, receive, limit=limit, seconds=seconds))


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6))
def test_a_body_is_its_parts_or_too_large(parts):
    whole = b"".join(parts)
    if len(whole) > 100:
        with pytest.raises(TooLargeError):
            read(parts)
    else:
        assert read(parts) == whole


def test_the_limit_itself_is_allowed():
    assert len(read([b"x" * 100])) == 100
    with pytest.raises(TooLargeError):
        read([b"x" * 101])


def test_endless_parts_end_at_the_limit():
    taken = 0

    async def receive():
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * 10, "more_body": True}

    with pytest.raises(TooLargeError):
        asyncio.run(read_body({"headers": [JSON]}, receive, limit=100))
    assert taken == 11


def test_a_body_that_does_not_end_times_out():
    with pytest.raises(Error) as refused:
        read([b"{"], seconds=0.01, end={"type": "http.request", "body": b"", "more_body": True})
    assert (refused.value.code, refused.value.status) == ("request-timeout", 408)


def test_nobody_is_answered_who_has_gone():
    with pytest.raises(Disconnected):
        read([b"{"], end={"type": "http.disconnect"})


@pytest.mark.parametrize(
    "kind",
    [
        b"application/json",
        b"Application/JSON",
        b"application/json;charset=utf-8",
        b'application/json ; charset="UTF-8"',
    ],
)
def test_json_is_accepted(kind):
    assert read([b"{}"], [(b"content-type", kind)]) == b"{}"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"application/json; charset=latin-1")],
        [(b"content-type", b"application/json, text/plain")],
        [(b"content-type", b"application/jsonx")],
        [(b"content-type", b"")],
        [JSON, JSON],
        [JSON, (b"content-encoding", b"gzip")],
        [JSON, (b"content-encoding", b"identity")],
        [(b"content-encoding", b"br")],
    ],
)
def test_other_types_and_codings_are_refused(headers):
    with pytest.raises(Error) as refused:
        read([b"{}"], headers)
    assert refused.value.code == "unsupported-media-type"


@pytest.mark.parametrize("length", [b"101", b"9" * 5000, b"-1", b"+5", b"1_0", b"", b"\xb2"])
def test_a_length_that_is_too_large_is_refused_before_reading(length):
    async def receive():
        pytest.fail("nothing is read")

    with pytest.raises(TooLargeError):
        asyncio.run(read_body({"headers": [JSON, (b"content-length", length)]}, receive, limit=100))
