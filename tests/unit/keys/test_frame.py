"""Frames: they hold where they were made for, and nowhere else."""

import hmac
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.custody.errors import CustodyError
from keys.frame import OVERHEAD, BadFrameError, FrameKeys, new_frame_key
from schemas.encoding import b64encode

KEY, OTHER = b"\x01" * 32, b"\x02" * 32
KEYS = FrameKeys((KEY, OTHER))
topics = st.text(st.characters(codec="utf-8"), max_size=30)
record_keys = st.none() | st.binary(max_size=40)


def line(key):
    name = hmac.digest(key, b"valise/frame-key/1\x00", "sha256")[:8].hex()
    return f"{name} {b64encode(key)}\n".encode()


@given(topics, record_keys, st.binary(max_size=200))
def test_a_frame_opens_in_its_place_and_is_the_formula(topic, key, payload):
    frame = KEYS.sign(topic, key, payload)
    assert KEYS.open(topic, key, frame) == payload
    name = topic.encode()
    under = b"\x00" if key is None else b"\x01" + len(key).to_bytes(4, "big") + key
    said = b"valise/frame/1\x00" + len(name).to_bytes(2, "big") + name + under + payload
    assert frame == bytes.fromhex(KEYS.ids[0]) + hmac.new(KEY, said, sha256).digest() + payload
    assert len(frame) == OVERHEAD + len(payload)


@given(topics, record_keys, topics, record_keys, st.binary(max_size=60))
def test_a_frame_holds_nowhere_else(topic, key, elsewhere, other_key, payload):
    frame = KEYS.sign(topic, key, payload)
    if (topic, key) != (elsewhere, other_key):
        with pytest.raises(BadFrameError) as caught:
            KEYS.open(elsewhere, other_key, frame)
        assert caught.value.code == "unverified"


@given(st.binary(min_size=1, max_size=60), st.data())
def test_one_bit_is_enough(payload, data):
    frame = bytearray(KEYS.sign("t", b"k", payload))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BadFrameError):
        KEYS.open("t", b"k", bytes(frame))


@given(st.binary(max_size=120))
def test_garbage_is_refused(frame):
    with pytest.raises(BadFrameError) as caught:
        KEYS.open("t", None, frame)
    assert caught.value.code == ("malformed" if len(frame) < OVERHEAD else "unknown-key")


def test_a_tombstone_is_no_frame():
    with pytest.raises(BadFrameError) as caught:
        KEYS.open("t", b"k", None)
    assert caught.value.code == "malformed"


def test_the_first_signs_and_all_verify():
    older = FrameKeys((OTHER, KEY))
    assert older.ids == KEYS.ids[::-1]
    assert KEYS.open("t", None, older.sign("t", None, b"x")) == b"x"
    with pytest.raises(BadFrameError) as caught:
        FrameKeys((KEY,)).open("t", None, older.sign("t", None, b"x"))
    assert caught.value.code == "unknown-key"


def test_a_file_of_keys():
    assert FrameKeys.parse(line(KEY) + line(OTHER)).ids == KEYS.ids
    assert FrameKeys.parse(line(KEY).rstrip()).ids == KEYS.ids[:1]
    first, second = new_frame_key(), new_frame_key()
    assert first != second
    keys = FrameKeys.parse(first + second)
    assert keys.open("t", None, FrameKeys.parse(first).sign("t", None, b"x")) == b"x"


@pytest.mark.parametrize(
    ("data", "number"),
    [
        (b"", 1),
        (b"\n", 1),
        (line(KEY) + b"\n", 2),
        (line(KEY) + line(OTHER).upper(), 2),
        (line(KEY).replace(b" ", b"  "), 1),
        (line(KEY).replace(b"\n", b"\r\n"), 1),
        (line(KEY)[:16] + line(OTHER)[16:], 1),
        (line(KEY[:31]), 1),
        (b"\xff" + line(KEY), 1),
        (b"# keys\n" + line(KEY), 1),
        (line(KEY) * 2, None),
    ],
)
def test_a_damaged_file_is_refused_and_says_where(data, number):
    with pytest.raises(CustodyError) as caught:
        FrameKeys.parse(data)
    assert caught.value.offset == number
    assert b64encode(KEY) not in str(caught.value)


def test_keys_are_at_least_one_and_not_shown():
    with pytest.raises(CustodyError):
        FrameKeys(())
    assert KEY.hex() not in repr(KEYS)
