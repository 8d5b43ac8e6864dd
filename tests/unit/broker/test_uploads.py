"""Roles that are handed to the instance that signs: there and back, and refusals as they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.uploads import Upload, Uploaded, encode_refusal, parse_answer
from schemas.encoding import encode
from schemas.errors import Error

names = st.from_regex(r"[a-z]{2}/[a-z]{1,20}\.json", fullmatch=True)


@given(
    role=st.sampled_from(["uz", "kz", "unodc"]),
    metadata=st.binary(min_size=1, max_size=300),
    targets=st.dictionaries(names, st.binary(min_size=1, max_size=300), max_size=4),
    if_match=st.none() | st.integers(0, 10_000),
)
def test_an_upload_comes_back_as_it_was(role, metadata, targets, if_match):
    upload = Upload(role, metadata, targets, if_match)
    assert Upload.parse(upload.encode()) == upload


@pytest.mark.parametrize("names_and_data", [(["a"], []), ("a", []), ([], "a"), ([1], ["YQ"])])
def test_what_is_no_upload_is_refused(names_and_data):
    said, data = names_and_data
    with pytest.raises(Error):
        Upload.parse(encode({"role": "uz", "metadata": "", "names": said, "data": data, "if_match": 1}))


def test_an_answer_is_a_version_or_the_refusal_that_the_signer_gave():
    assert parse_answer(Uploaded(7, 12).encode()) == Uploaded(7, 12)
    with pytest.raises(Error) as caught:
        parse_answer(encode_refusal(Error("Another version was edited.", problem="conflict")))
    assert (caught.value.code, caught.value.detail) == ("conflict", "Another version was edited.")


def test_a_problem_of_a_newer_version_is_still_a_refusal():
    with pytest.raises(Error) as caught:
        parse_answer(encode({"version": None, "index": None, "problem": "not-known-yet", "detail": "No."}))
    assert caught.value.code == "internal"
