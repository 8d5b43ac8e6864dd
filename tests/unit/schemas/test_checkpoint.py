"""The three lines of a checkpoint: exactly one text for each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import checkpoint as checkpoints
from schemas.checkpoint import Checkpoint
from schemas.errors import FormError, MalformedError
from schemas.limits import LIMITS

# The example of C2SP tlog-checkpoint.
EXAMPLE = b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

origins = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9./_-]{0,199}", fullmatch=True)
checkpoint = st.builds(Checkpoint, origins, st.integers(0, LIMITS.integer), st.binary(min_size=32, max_size=32))


def test_the_specifications_example():
    read = checkpoints.parse(EXAMPLE)
    assert (read.origin, read.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert read.root.hex() == "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62"
    assert checkpoints.encode(read) == EXAMPLE


@given(checkpoint)
def test_a_checkpoint_reads_back(value):
    assert checkpoints.parse(checkpoints.encode(value)) == value


@given(checkpoint, st.data())
def test_an_altered_text_is_refused_or_is_the_one_text_of_something_else(value, data):
    text = bytearray(checkpoints.encode(value))
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        other = checkpoints.parse(bytes(text))
    except (MalformedError, FormError):
        return
    assert checkpoints.encode(other) == text


@given(st.binary(max_size=200))
def test_only_our_errors_escape(data):
    with pytest.raises((MalformedError, FormError)):
        checkpoints.parse(data)


ROOT = EXAMPLE.splitlines()[2]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        EXAMPLE[:-1],
        EXAMPLE + b"\n",
        EXAMPLE + b"extension line\n",
        EXAMPLE.replace(b"\n", b"\r\n"),
        b"\n" + EXAMPLE,
        EXAMPLE.replace(b"20852163", b""),
        EXAMPLE.replace(b"20852163", b"020852163"),
        EXAMPLE.replace(b"20852163", b"00"),
        EXAMPLE.replace(b"20852163", b"+1"),
        EXAMPLE.replace(b"20852163", b"-1"),
        EXAMPLE.replace(b"20852163", b"1_0"),
        EXAMPLE.replace(b"20852163", b"1.0"),
        EXAMPLE.replace(b"20852163", b"9" * 17),
        EXAMPLE.replace(b"20852163", "١".encode()),
        EXAMPLE.replace(b"I=", b"J="),  # loose trailing bits
        EXAMPLE.replace(b"I=", b"I"),
        EXAMPLE.replace(b"I=", b"I=="),
        EXAMPLE.replace(b"/Xajj", b"_Xajj"),
        EXAMPLE.replace(ROOT, ROOT[4:]),
        EXAMPLE.replace(ROOT, b"AAAA" + ROOT),
    ],
)
def test_another_form_is_malformed(text):
    with pytest.raises(MalformedError):
        checkpoints.parse(text)


@pytest.mark.parametrize(
    "origin", [b"example.com/a b", b"example.com/a+b", b"/example", b"\xff\xfe", "exämple".encode(), b"a" * 201]
)
def test_an_origin_must_be_one(origin):
    with pytest.raises(FormError):
        checkpoints.parse(origin + b"\n1\n" + ROOT + b"\n")


@pytest.mark.parametrize("size", [-1, LIMITS.integer + 1])
def test_sizes_have_bounds(size):
    with pytest.raises(FormError, match="size"):
        Checkpoint("example.com/log", size, bytes(32))


def test_a_text_with_a_size_beyond_is_refused():
    with pytest.raises(FormError, match="size"):
        checkpoints.parse(EXAMPLE.replace(b"20852163", str(LIMITS.integer + 1).encode()))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_root_has_32_bytes(length):
    with pytest.raises(FormError, match="root"):
        Checkpoint("example.com/log", 1, bytes(length))
