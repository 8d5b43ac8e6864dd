"""What a caller may ask for, and what becomes a draft of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.gateway import drafting, labels
from adapters.gateway.draft import Draft
from adapters.gateway.labels import LabelDefaults
from adapters.gateway.request import CorrectionRequest, LabelRequest, NoticeRequest, PatternsRequest, RecallRequest
from schemas.errors import Error, FormError
from schemas.ids import Code
from schemas.notice import examples, parse_notice
from schemas.statement import RevocationBody, SubscriptionBody

NOW = 1_795_478_400_000
GOOD = {"topic": "central-asia.seizures", "notice": examples("seizure")}
WHO = "kz/customs"


def parse(**changes) -> NoticeRequest:
    return NoticeRequest.parse(json.dumps({**GOOD, **changes}).encode())


def refused(work) -> FormError:
    with pytest.raises(FormError) as raised:
        work()
    return raised.value


def issue(**changes) -> Draft:
    return drafting.issue(parse(**changes), WHO, LabelDefaults(), at=NOW)


def test_a_request_with_defaults_becomes_a_complete_draft():
    draft = issue()
    assert draft.act == "issue"
    assert draft.expires_at == "2027-02-22T00:00:00Z"
    label = draft.label
    assert (label.kind, label.handling, label.tlp, label.pap) == ("seizure", ("h0",), "amber", "amber")
    assert (label.purpose, label.legal_basis, label.nominal) == ("prevention", "osce-decision-1048", True)
    assert Draft.parse(draft.encode()) == draft


def test_what_the_caller_says_counts_more_than_the_defaults():
    given = {
        "tlp": "red",
        "pap": "red",
        "handling": ["h3", "h1"],
        "urgency": "3d",
        "purpose": "prosecution",
        "legal_basis": "untoc",
        "classification": "secret",
        "reply_due": "2027-01-01T00:00:00Z",
        "exercise": True,
        "conditions": [
            {"code": "intelligence-only"},
            {"code": "excluded-states", "values": ["uz", "tj", "uz"]},
        ],
    }
    label = issue(label=given).label
    assert label.handling == ("h1", "h3")
    assert [(item.code, item.values) for item in label.conditions] == [
        ("excluded-states", ("tj", "uz")),
        ("intelligence-only", ()),
    ]
    assert (label.tlp, label.classification, label.exercise) == ("red", "secret", True)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"topic": "nowhere.seizures"}, "/topic"),
        ({"topic": "central-asia.nothing"}, "/topic"),
        ({"topic": "central-asia"}, "/topic"),
        ({"topic": 7}, "/topic"),
        ({"to": ["nobody"]}, "/to/0"),
        ({"to": [WHO]}, "/to"),
        ({"to": ["uz/focal-point", "uz/focal-point"]}, "/to"),
        ({"ref": "x"}, "/ref"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "soon"}, "/expires_at"),
        ({"expires_at": "2999-01-01T00:00:00Z"}, "/expires_at"),
        ({"label": {"tlp": "pink"}}, "/label/tlp"),
        ({"label": {"pap": "pink"}}, "/label/pap"),
        ({"label": {"handling": ["h9"]}}, "/label/handling"),
        ({"label": {"handling": ["h1", "h1"]}}, "/label/handling"),
        ({"label": {"urgency": "now"}}, "/label/urgency"),
        ({"label": {"purpose": "fun"}}, "/label/purpose"),
        ({"label": {"legal_basis": "none"}}, "/label/legal_basis"),
        ({"label": {"classification": "cosmic"}}, "/label/classification"),
        ({"label": {"conditions": [{"code": "unheard"}]}}, "/label/conditions"),
        ({"label": {"conditions": [{"code": "intelligence-only"}] * 2}}, "/label/conditions"),
        ({"label": {"reply_due": "tomorrow"}}, "/label/reply_due"),
        ({"label": {"sender": "x"}}, "/label"),
        ({"label": {"tlp": "No Code"}}, "/label/tlp"),
        ({"notice": {}}, "/notice/kind"),
        ({"notice": {"kind": "gossip"}}, "/notice/kind"),
        ({"notice": {"kind": "seizure"}}, None),
        ({"notice": "text"}, "/notice"),
        ({"secret-member": 1}, ""),
    ],
)
def test_what_is_wrong_is_named_at_its_place_and_not_repeated(changes, pointer):
    error = refused(lambda: issue(**changes))
    assert pointer is None or error.pointer == pointer
    assert error.pointer is None or not error.pointer.startswith("/secret")
    for value in ("secret-member", "pink", "nobody", "gossip", "cosmic"):
        assert value not in error.detail


@pytest.mark.parametrize("data", [b"", b"[]", b'{"topic":1,"topic":2}', b"\xff", b'{"a":1.5}'])
def test_strict_json_comes_first(data):
    for form in (NoticeRequest, CorrectionRequest, RecallRequest, PatternsRequest):
        with pytest.raises(Error):
            form.parse(data)


def test_a_recall_may_be_empty_and_patterns_are_of_the_lists():
    assert RecallRequest.parse(b"{}") == RecallRequest(reason=Code("withdrawn"))
    patterns = PatternsRequest.parse(b'{"patterns":["*.*","central-asia.*"]}').patterns
    drafting.check_patterns(patterns)
    for bad, pointer in (
        (("*.*", "*.*"), "/patterns/1"),
        (("moon.*",), "/patterns/0"),
        (("*.moon",), "/patterns/0"),
    ):
        error = refused(lambda bad=bad: drafting.check_patterns(bad))
        assert error.pointer == pointer


def test_drafts_of_open_acts_keep_their_bodies():
    draft = drafting.subscription("subscribe", WHO, ("b.*", "*.a"))
    assert draft.body == SubscriptionBody(WHO, ("*.a", "b.*"))
    assert Draft.parse(draft.encode()) == draft
    body = RevocationBody(WHO, ("k" * 43,), Code("lost"))
    draft = Draft("revoke_key", None, None, None, (), None, body=body)
    assert Draft.parse(draft.encode()) == draft


@given(st.sampled_from(["seizure", "route", "precursor", "controlled-delivery", "practice"]), st.booleans())
def test_every_kind_becomes_a_draft_whose_label_says_what_it_is(kind, exercise):
    draft = drafting.issue(
        NoticeRequest(topic="osce.practice", notice=examples(kind), label=LabelRequest(exercise=exercise)),
        WHO,
        LabelDefaults(),
        at=NOW,
    )
    assert draft.label.kind == kind
    assert draft.label.exercise is exercise
    notice = parse_notice(kind, draft.notice)
    assert labels.complete(LabelRequest(exercise=exercise), notice, LabelDefaults()) == draft.label
    assert Draft.parse(draft.encode()) == draft
