import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import encoding
from schemas.encoding import Members, Time
from schemas.errors import FormError, MalformedError, TooLargeError
from tests import strategies as wire

texts = st.text(st.sampled_from([chr(c) for c in range(0x20, 0x7F) if chr(c) not in '"\\<>&']), min_size=1)


@given(st.dictionaries(texts, texts | wire.integers | st.none() | st.booleans() | st.lists(texts)))
def test_parses_what_it_encodes(value):
    assert encoding.parse(encoding.encode(value)) == value


@given(st.binary(max_size=50))
def test_only_our_errors_escape(data):
    try:
        assert encoding.encode(encoding.parse(data)) == data
    except MalformedError:
        pass


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}',
        b'{"a":1} ',
        b'{"a":1,"a":1}',
        b'{"a":"\\u0041"}',
        b'{"a":"<"}',
        b'{"a":"\xc3\xa9"}',
        b'{"a":1e3}',
        b'{"a":01}',
        b'{"a":18446744073709551616}',
        b"[1]",
        b"{",
        b"",
        b'{"a":NaN}',
    ],
)
def test_refuses_other_encodings(data):
    with pytest.raises(MalformedError):
        encoding.parse(data)


@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ('{"a":[', "]}")])
def test_nests_as_deep_as_strict_json(opening, closing):
    levels = 32 // len(closing)
    deepest = f"{opening * levels}1{closing * levels}".encode()
    assert encoding.encode(encoding.parse(deepest)) == deepest
    with pytest.raises(MalformedError):
        encoding.parse(b'{"b":%b}' % deepest)


def test_refuses_too_much():
    with pytest.raises(TooLargeError):
        encoding.parse(b'{"a":1}', limit=6)


@given(st.binary(min_size=1, max_size=100))
def test_base64url_round_trip(data):
    assert encoding.b64decode(encoding.b64encode(data)) == data


@given(st.text(max_size=12))
def test_base64url_has_one_text_for_each_value(text):
    try:
        data = encoding.b64decode(text)
    except MalformedError:
        return
    assert encoding.b64encode(data) == text


@pytest.mark.parametrize(
    "text", ["", "A", "AB", "AAB", "AA==", "A+AA", "A/AA", "AA A", "AAAA\n", "Aé", "AAAAA", "=AAA"]
)
def test_base64url_refuses(text):
    with pytest.raises(MalformedError):
        encoding.b64decode(text)


@given(
    st.lists(st.one_of(st.binary(min_size=1).map(encoding.b64encode), st.text('AQ4-_",=+/ é', max_size=6)), min_size=1)
)
def test_decoding_many_says_what_decoding_each_says(texts):
    try:
        wanted = [encoding.b64decode(text) for text in texts]
    except MalformedError:
        with pytest.raises(MalformedError):
            encoding.b64decode_all(texts)
    else:
        assert encoding.b64decode_all(texts) == wanted


@pytest.mark.parametrize("texts", [['AAAA","AAAA'], ['AAAA"', ",AAAA"], ["AAAA", ""], ["A"], ["AB"], ["AAAA\x00"]])
def test_decoding_many_refuses_what_would_shift(texts):
    with pytest.raises(MalformedError):
        encoding.b64decode_all(texts)


@given(wire.times)
def test_times_round_trip(time):
    assert encoding.is_time(time)
    assert encoding.from_seconds(encoding.to_seconds(time)) == time


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-31T23:59:60Z",
        "2023-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2023-01-01T24:00:00Z",
        "2023-01-01T00:00:00+00:00",
        "2023-01-01T00:00:00.5Z",
        "2023-01-01 00:00:00Z",
        "2023-1-01T00:00:00Z",
        "٢٠٢٣-01-01T00:00:00Z",
    ],
)
def test_no_times(text):
    assert not encoding.is_time(text)


def test_times_beyond_the_calendar_are_clamped():
    assert encoding.from_seconds(10**15) == "9999-12-31T23:59:59Z"
    assert encoding.from_seconds(-(10**15)) == "0001-01-01T00:00:00Z"


def members(**value):
    return Members(value, tuple(value), "/x")


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (lambda m: m.string("a"), 1),
        (lambda m: m.string("a"), ""),
        (lambda m: m.fixed("a", 1), True),
        (lambda m: m.fixed("a", 1), 2),
        (lambda m: m.fixed("a", "x"), "y"),
        (lambda m: m.integer("a"), True),
        (lambda m: m.integer("a"), -1),
        (lambda m: m.integer("a"), 2**53),
        (lambda m: m.integer("a"), 1.0),
        (lambda m: m.integer("a"), "1"),
        (lambda m: m.boolean("a"), 1),
        (lambda m: m.time("a"), "soon"),
        (lambda m: m.binary("a"), "A"),
        (lambda m: m.binary("a", 2), "AAAA"),
        (lambda m: m.items("a"), {}),
        (lambda m: m.null("a"), 0),
        (lambda m: m.sorted_strings("a", str), ["b", "a"]),
        (lambda m: m.sorted_strings("a", str), ["a", "a"]),
        (lambda m: m.sorted_strings("a", str), ["a", 1]),
        (lambda m: m.sorted_strings("a", str), [""]),
        (lambda m: m.sorted_strings("a", str, at_least=1), []),
    ],
)
def test_members_refuse(call, value):
    with pytest.raises(FormError) as caught:
        call(members(a=value))
    assert caught.value.pointer == "/x/a"


def refuse(_):
    raise FormError("No.")


def test_members_pass_on_what_a_check_says():
    for value in ("v", ["v"]):
        with pytest.raises(FormError) as caught:
            members(a=value).matching("a", refuse) if value == "v" else members(a=value).sorted_strings("a", refuse)
        assert (caught.value.detail, caught.value.pointer) == ("No.", "/x/a")


def test_members_read():
    m = Members(
        {"a": "AAAA", "b": 7, "c": None, "d": ["x", "y"], "e": "2020-01-01T00:00:00Z", "f": True}, tuple("abcdef")
    )
    assert (m.binary("a", 3), m.integer("b"), m.absent("c"), m.boolean("f")) == ("AAAA", 7, True, True)
    assert m.sorted_strings("d", str) == ("x", "y")
    assert m.time("e") == Time("2020-01-01T00:00:00Z")
    m.null("c")
    m.fixed("b", 7)


@pytest.mark.parametrize(
    ("value", "pointer"),
    [([], "/x"), ({"a": 1, "c": 1}, "/x/b"), ({"b": 1, "a": 1}, "/x"), ({"a": 1, "b": 1, "c": 1}, "/x")],
)
def test_members_demand_the_exact_members_in_order(value, pointer):
    with pytest.raises(FormError) as caught:
        Members(value, ("a", "b"), "/x")
    assert caught.value.pointer == pointer
