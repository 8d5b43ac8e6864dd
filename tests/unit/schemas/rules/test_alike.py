"""What decisions read of times and contents: whoever looks the same is decided on the same, at every limit."""

import random
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.encoding import Time, from_seconds, to_seconds
from schemas.ids import Code, Role, Topic
from schemas.rules.alike import Alike
from schemas.rules.compile import Rules, compile_rules
from schemas.rules.decide import decide
from schemas.rules.facts import Facts
from tests.unit.schemas.rules import worlds
from tests.unit.schemas.rules.laws import law, law_condition
from tests.unit.schemas.rules.test_answer import open_network
from tests.unit.schemas.rules.test_simulate import STATES

ISSUED = Time("2026-03-01T00:00:00Z")


def rules_of(chance: random.Random, laws: dict[str, Any]) -> Rules:
    network = orjson.dumps(open_network(chance))
    return compile_rules(version=1, boundary=None, network=network, laws=worlds.written(laws))


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_who_looks_the_same_is_decided_on_the_same(seed: int) -> None:
    chance = random.Random(seed)
    rules = [rules_of(chance, {state: worlds.law(chance, state) for state in worlds.STATES}) for _ in range(2)]
    alike, label = Alike(*rules), worlds.label(chance)
    sender = chance.choice(list(STATES.values()))
    asked: dict[tuple[object, ...], list[Facts]] = {}
    for _ in range(30):
        facts = Facts(
            "receive", "issue", Topic("osce.routes"), label, sender, None, worlds.moment(chance), worlds.moment(chance)
        )
        facts = replace(facts, content=worlds.content(chance, label.kind) if chance.random() < 0.5 else None)
        asked.setdefault(alike.seen(facts), []).append(facts)
    for same in asked.values():
        for party in STATES.values():
            for one in rules:
                told = {decide(replace(facts, recipient=party), one, evaluator="x").first_denial() for facts in same}
                assert len(told) == 1


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_second_counts_at_the_limit_and_nowhere_else(more: int) -> None:
    days = law_condition("days", "retention", "limit", {"days": 5})
    laws = {state: law(state, [days] if state == "kz" else []) for state in worlds.STATES}
    alike = Alike(rules_of(random.Random(1), laws))
    label = replace(worlds.label(random.Random(3)), kind=Code("route"), reply_due=None)

    def seen(seconds: int) -> tuple[object, ...]:
        expires = from_seconds(to_seconds(ISSUED) + seconds)
        kz = STATES[Role("kz")]
        return alike.seen(Facts("publish", "issue", Topic("osce.routes"), label, kz, None, ISSUED, expires))

    limit = 5 * 86_400
    assert (seen(limit) == seen(limit + more)) is (more == 0)
    assert seen(limit + 2) == seen(limit + 1_000)
    assert seen(1) == seen(limit - 2)
