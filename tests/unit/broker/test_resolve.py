"""Who may get what, asked at the broker: one, a list, a pattern, all States; by labels, without claiming more."""

import json
from dataclasses import replace

import pytest

from broker import resolve as module
from broker.resolve import Question, resolve
from schemas.encoding import Time
from schemas.errors import Error, FormError
from schemas.ids import Code
from schemas.rules.decide import GATEWAYS
from tests.world import LABEL, make_world

NOW = Time("2026-12-01T00:00:00Z")
LAW = """
[[condition]]
id = "purposes"
type = "purpose"
instrument = "Act"
article = "3"
parameters = { purposes = ["investigation"] }
applies_to = { themes = ["seizures"] }

[[condition]]
id = "days"
type = "retention"
instrument = "Act"
article = "4"
parameters = { days = 10 }

[[condition]]
id = "surveillance"
type = "cd-constant-surveillance"
instrument = "Act"
article = "5"
"""


@pytest.fixture(scope="module")
def trust():
    return make_world(("kz/customs", "kz/focal-point", "uz/focal-point", "tj/police"), laws={"uz": LAW}).trust()


def question(**given):
    asked = {
        "topic": "central-asia.seizures",
        "label": replace(LABEL, purpose=Code("prevention")).to_json(),
        "recipients": ["uz/focal-point"],
        "states": False,
        "expires_at": "2026-12-05T00:00:00Z",
        **given,
    }
    return Question.parse(json.dumps(asked).encode())


def answers(trust, **given):
    found = resolve(question(**given), "kz/customs", trust, NOW)
    return {(item["participant"], item["topic"], item["action"]): item for item in found["answers"]}


def test_a_denial_comes_with_its_article_and_what_would_make_it_lawful(trust):
    found = answers(trust)
    assert found["kz/customs", "central-asia.seizures", "publish"]["answer"] in ("yes", "yes-if")
    said = found["uz/focal-point", "central-asia.seizures", "receive"]
    assert (said["answer"], said["verdict"]["permitted"]) == ("yes-if", False)
    assert [item["article"] for item in said["verdict"]["determining"]] == ["3"]
    assert [[(one["way"], one["value"]) for one in way] for way in said["changes"]] == [[("purpose", "investigation")]]
    assert said["verdict"]["determining"][0]["evaluated_by"] == "broker"


def test_times_count_from_now(trust):
    label = replace(LABEL, purpose=Code("investigation")).to_json()
    (_, said) = answers(trust, label=label, expires_at="2026-12-12T00:00:00Z").values()
    assert [[(one["way"], one["value"]) for one in way] for way in said["changes"]] == [
        [("expires-at", "2026-12-11T00:00:00Z")]
    ]
    (_, said) = answers(trust, label=label, expires_at=None).values()
    assert said["verdict"]["determining"][0]["condition"] == "unevaluable"


def test_what_only_a_gateway_sees_is_named_and_not_claimed(trust):
    label = replace(LABEL, kind=Code("controlled-delivery"), purpose=Code("investigation")).to_json()
    (_, said) = answers(trust, label=label, topic="central-asia.controlled-deliveries").values()
    assert said["verdict"]["permitted"]
    assert [(one["condition"], one["evaluated_by"]) for one in said["verdict"]["unseen"]] == [
        ("surveillance", GATEWAYS)
    ]


def test_all_states_and_a_pattern(trust):
    found = answers(trust, recipients=[], states=True, topic="central-asia.*")
    assert {who for who, _, action in found if action == "receive"} == {"kz/focal-point", "uz/focal-point"}
    denied = {topic for (who, topic, _), said in found.items() if who == "uz/focal-point" and said["answer"] != "yes"}
    assert "central-asia.seizures" in denied
    assert len({topic for _, topic, _ in found}) == len(trust.rules.known.themes)


def test_one_question_has_its_bounds(trust, monkeypatch):
    monkeypatch.setattr(module, "MOST_ANSWERS", 3)
    with pytest.raises(FormError) as refused:
        answers(trust, topic="central-asia.*")
    assert refused.value.pointer == "/recipients"


def test_nobody_that_is_not_there_is_answered_for(trust):
    with pytest.raises(FormError) as refused:
        answers(trust, recipients=["uz/focal-point", "uz/nobody"])
    assert refused.value.pointer == "/recipients/1"


@pytest.mark.parametrize(
    "changed",
    [
        {"recipients": ["uz/b", "uz/a"]},
        {"recipients": ["nonsense"]},
        {"topic": "nowhere"},
        {"states": "yes"},
        {"expires_at": "tomorrow"},
        {"label": None},
        {"more": 1},
    ],
)
def test_other_forms_are_refused(changed):
    with pytest.raises(Error):
        question(**changed)
