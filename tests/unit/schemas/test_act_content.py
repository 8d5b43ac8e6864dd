"""What acts say inside the seal: read as the specification's table says, and nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.act_content import ACTS, KINDS, LONGEST_TEXT, ActContent
from schemas.codes import code_list
from schemas.errors import FormError
from schemas.rules.vocabulary import OBLIGATIONS, vocabulary
from tests.formed import b64

FULL = {
    "use": "court",
    "for": ["tj/police", "uz/police"],
    "reason": "withdrawn",
    "until": "2026-12-01T00:00:00Z",
    "deleted_at": "2026-12-01T00:00:00Z",
    "statement_digest": b64(bytes(32)),
    "text": "Пример. Ünïcode.",
}
MEMBERS = {
    "recall": ("reason text", "reason"),
    "ask_access": ("text", ""),
    "ask_use": ("use for text", "use"),
    "permit": ("use for until text", ""),
    "refuse": ("reason text", "reason"),
    "certify": ("reason deleted_at statement_digest text", "reason deleted_at statement_digest"),
    "consent": ("until text", ""),
    "withdraw": ("reason text", "reason"),
}


def content(act, names):
    return {"kind": act, **{name: FULL[name] for name in names}}


def test_every_act_of_the_table_is_read():
    assert set(MEMBERS) == ACTS
    assert set(KINDS) == ACTS - {"recall"}
    assert set(KINDS.values()) <= vocabulary().kinds


@given(st.data(), st.sampled_from(sorted(MEMBERS)))
def test_what_is_of_the_form_is_read_and_written_back(data, act):
    allowed, required = (text.split() for text in MEMBERS[act])
    names = data.draw(st.permutations(sorted({*required, *data.draw(st.sets(st.sampled_from(allowed)))})))
    value = content(act, names)
    read = ActContent.from_json(act, value)
    assert read.act == act
    assert read.to_json() == value
    assert next(iter(read.to_json())) == "kind"


@pytest.mark.parametrize("act", sorted(MEMBERS))
def test_what_is_lacking_too_much_null_or_of_another_kind_is_refused(act):
    allowed, required = (text.split() for text in MEMBERS[act])
    whole = content(act, allowed)
    for name in required:
        with pytest.raises(FormError) as caught:
            ActContent.from_json(act, {key: value for key, value in whole.items() if key != name})
        assert caught.value.pointer == f"/{name}"
    for name in {*FULL, "label", "other"} - set(allowed):
        with pytest.raises(FormError):
            ActContent.from_json(act, {**whole, name: FULL.get(name, "x")})
    for name in allowed:
        for wrong in (None, 7, "", [], True, {}):
            with pytest.raises(FormError) as caught:
                ActContent.from_json(act, {**whole, name: wrong})
            assert caught.value.pointer == f"/{name}"
    for kind in ("other", None, 1):
        with pytest.raises(FormError):
            ActContent.from_json(act, {**whole, "kind": kind})
    with pytest.raises(FormError):
        ActContent.from_json(act, {key: value for key, value in whole.items() if key != "kind"})


@pytest.mark.parametrize(
    ("act", "change"),
    [
        ("ask_use", {"use": "In Court"}),
        ("ask_use", {"for": ["uz/police", "tj/police"]}),
        ("ask_use", {"for": ["uz/police", "uz/police"]}),
        ("ask_use", {"for": ["nobody"]}),
        ("permit", {"until": "2026-02-30T00:00:00Z"}),
        ("certify", {"statement_digest": b64(bytes(31))}),
        ("recall", {"text": "x" * (LONGEST_TEXT + 1)}),
    ],
)
def test_forms_within_are_checked(act, change):
    with pytest.raises(FormError):
        ActContent.from_json(act, {**content(act, MEMBERS[act][0].split()), **change})


@pytest.mark.parametrize("act", ["issue", "grant", "acknowledge", "stop", ""])
def test_acts_without_a_content_of_their_own_are_refused(act):
    with pytest.raises(FormError):
        ActContent.from_json(act, {"kind": act})


def test_every_use_lifts_an_obligation_that_the_rules_know():
    for entry in code_list("uses").entries.values():
        assert entry.extra["obligation"] in OBLIGATIONS
        assert re.fullmatch("[a-z-]+", entry.code)
