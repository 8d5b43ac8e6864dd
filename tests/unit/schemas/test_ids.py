import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import ids
from schemas.errors import FormError
from tests import strategies as wire

READERS = {
    ids.participant: wire.participants,
    ids.code: wire.codes,
    ids.topic: wire.topics,
    ids.pattern: wire.patterns,
    ids.notice_id: wire.notice_ids,
    ids.kid: wire.kids,
    ids.origin: wire.origins,
}


@given(st.data())
def test_reads_what_the_grammar_makes(data):
    for reader, strategy in READERS.items():
        text = data.draw(strategy)
        assert reader(text) == text


@pytest.mark.parametrize("reader", list(READERS))
@pytest.mark.parametrize("text", ["", "É", "a b", "*", "a\n", "fr/customs\n", "/", "a+b"])
def test_nothing_reads(reader, text):
    with pytest.raises(FormError):
        reader(text)


@pytest.mark.parametrize("text", ["a/b/c/d", "fr/", "fr/A", "f/x", "fra/x", "FR/x", "audit/x/y", "int/x"])
def test_no_participants(text):
    with pytest.raises(FormError):
        ids.participant(text)


@pytest.mark.parametrize("text", ["a.b.c", "a", "a.", ".a", "A.b", "**.a", "a.*b"])
def test_no_patterns(text):
    for reader in (ids.pattern, ids.topic):
        with pytest.raises(FormError):
            reader(text)


def test_an_origin_has_a_bound():
    with pytest.raises(FormError):
        ids.origin("x" * 201)


def test_participants():
    assert ids.role_of(ids.participant("fr/customs")) == "fr"
    assert ids.role_of(ids.participant("int/unodc/desk")) == "int-unodc"
    assert ids.role_of(ids.participant("audit/court")) == "audit"
    assert ids.is_state(ids.Role("fr"))
    assert not ids.is_state(ids.Role("audit"))
    with pytest.raises(FormError):
        ids.participant("int/unodc")


@given(wire.topics, st.sampled_from(["*.*", "r.*", "*.t", "same"]))
def test_patterns_match(topic, shape):
    region, theme = topic.split(".")
    pattern = {"*.*": "*.*", "r.*": f"{region}.*", "*.t": f"*.{theme}", "same": topic}[shape]
    assert ids.matches(ids.Pattern(pattern), topic)
    assert not ids.matches(ids.Pattern(f"{region}x.{theme}"), topic)
    assert not ids.matches(ids.Pattern(f"{region}.{theme}x"), topic)


@given(st.integers(0, 2**48 - 1))
def test_new_notice_ids_are_uuid7_and_ascend_with_time(now):
    made = ids.new_notice_id(now)
    assert ids.notice_id(made) == made
    parsed = uuid.UUID(made)
    assert (parsed.version, parsed.variant, parsed.int >> 80) == (7, uuid.RFC_4122, now)


def test_kids_have_zero_trailing_bits():
    with pytest.raises(FormError):
        ids.kid("A" * 42 + "B")
