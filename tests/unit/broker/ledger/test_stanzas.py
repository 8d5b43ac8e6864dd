"""The key ids in a sealed body, read where they stand, against a full parse."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ledger.stanzas import stanza_kids
from schemas.errors import FormError


@given(count=st.integers(1, 40), filler=st.integers(1, 500), seed=st.integers(0, 1000))
def test_they_are_those_of_a_full_parse(made, count, filler, seed):
    body = made.Maker(seed).body([f"fr/a{n}" for n in range(count)], filler)
    parsed = [stanza["header"]["kid"] for stanza in orjson.loads(body)["recipients"]]
    assert list(stanza_kids(body)) == parsed
    grant = orjson.dumps({"recipients": orjson.loads(body)["recipients"]})
    assert list(stanza_kids(grant)) == parsed


@given(data=st.data())
def test_a_body_of_another_length_is_refused_or_reads_the_same(made, data):
    body = made.Maker().body(["fr/a", "fr/b", "fr/c"])
    begin, end = body.index(b'"recipients":['), body.index(b'],"iv"')
    at = data.draw(st.integers(begin, end))
    kids = stanza_kids(body)
    try:
        found = stanza_kids(body[:at] + body[at + 1 :])
    except FormError:
        return
    assert len(found) <= len(kids)  # a shorter last field of a stanza is not this reader's business


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"recipients":[]}', b'{"recipients":[{"header":{}}]}', b'"recipients":[']
)
def test_what_is_not_a_list_of_stanzas_is_refused(body):
    with pytest.raises(FormError):
        stanza_kids(body)


def test_a_body_that_is_cut_short_is_refused(maker):
    body = maker.body(["fr/a", "fr/b"])
    end = body.index(b'],"iv"')
    for at in range(end):
        with pytest.raises(FormError):
            stanza_kids(body[:at])
    assert stanza_kids(body[: end + 1]) == stanza_kids(body)
