"""What a broker leaves to the gateways: only conditions that the label does not show to be about something else."""

from dataclasses import replace

import orjson

from schemas.ids import Role
from schemas.rules.compile import compile_rules
from schemas.rules.decide import decide
from schemas.rules.network import default_network
from tests.unit.schemas.rules.laws import law, law_condition
from tests.unit.schemas.rules.test_condition_types import facts_of

ORAL = law_condition("oral", "cd-oral-request", "limit", {"days": 3}, inputs="content")
MINORS = law_condition("minors", "minors", "deny", {"years": 18}, inputs="content")


def unseen(**label: object) -> list[str]:
    laws = {Role("al"): orjson.dumps(law("al", [MINORS, ORAL])), Role("it"): orjson.dumps(law("it", [MINORS]))}
    rules = compile_rules(version=1, boundary=None, network=default_network(), laws=laws)
    facts = facts_of({"label": label}, content=False)
    verdict = decide(facts, rules, evaluator="broker")
    assert decide(replace(facts, act="recall"), rules, evaluator="broker").unseen == ()
    return [f"{item.state} {item.condition}" for item in verdict.unseen]


def test_what_the_label_shows_is_not_left_open() -> None:
    assert unseen() == []
    assert unseen(nominal=True) == ["al minors", "it minors"]


def test_what_only_the_content_shows_is() -> None:
    assert unseen(kind="controlled-delivery") == ["al oral"]
