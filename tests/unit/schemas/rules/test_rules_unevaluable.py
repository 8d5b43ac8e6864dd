"""Conditions that cannot be evaluated are named, as long as they are in force: they deny, and somebody must know."""

import orjson
import pytest

from schemas.encoding import Time
from schemas.ids import Role
from schemas.rules.compile import Rules, compile_rules
from tests.unit.schemas.rules.laws import law, law_condition
from tests.unit.schemas.rules.test_answer import worlds_network


def rules_of(*conditions: dict[str, object], boundary: str | None = None) -> Rules:
    return compile_rules(
        version=1,
        boundary=None if boundary is None else Time(boundary),
        network=orjson.dumps(worlds_network()),
        laws={Role("al"): orjson.dumps(law("al", list(conditions)))},
    )


GROUP = law_condition("group", "not-permitted", "deny", applies_to={"counterparts": ["no-such-group"]})
STATES = law_condition("states", "embargo", "deny", {"states": ["no-such-group"]})
NEWER = law_condition("newer", "of-a-later-vocabulary", "deny")
SOUND = law_condition("sound", "not-permitted", "deny")


@pytest.mark.parametrize("condition", [GROUP, STATES, NEWER])
def test_each_is_named_by_state_and_id(condition: dict[str, object]) -> None:
    rules = rules_of(condition, SOUND)
    assert rules.unevaluable == {"al": (condition["id"],)}
    assert rules.unreadable == {}


def test_what_can_be_evaluated_is_not() -> None:
    assert rules_of(SOUND).unevaluable == {}


def test_only_what_is_in_force() -> None:
    turn = "2026-07-01T00:00:00Z"
    later = law_condition("newer", "of-a-later-vocabulary", "deny", valid_from=turn)
    rules = rules_of(later, boundary="2026-06-30T23:59:59Z")
    assert rules.unevaluable == {}
    assert rules.at(Time(turn)).unevaluable == {"al": ("newer",)}
