"""Decisions held against the second evaluator, and properties that hold for all of them."""

import json
import os
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.encoding import Time
from schemas.ids import Code, ParticipantId, Role, Topic, role_of
from schemas.label import Condition, Label
from schemas.rules.compile import Rules, compile_rules
from schemas.rules.condition_types import CONDITION_TYPES
from schemas.rules.decide import decide
from schemas.rules.facts import Facts, Party
from schemas.rules.verdict import Determination, Verdict
from tests.unit.schemas.rules import oracle, worlds

DECISIONS = int(os.environ.get("VALISE_DECISIONS", "20000"))
PER_WORLD = 20

seeds = st.integers(0, 2**32 - 1)


def seen(item: Determination) -> oracle.Finding:
    said = item.to_json()
    parameters = json.dumps(said["parameters"], sort_keys=True)
    return (item.condition, item.layer, item.state, item.effect.value, item.obligation, parameters)


def compiled(network: dict[str, Any], laws: dict[str, worlds.Law | None], boundary: Time | None) -> Rules:
    return compile_rules(version=7, boundary=boundary, network=orjson.dumps(network), laws=worlds.written(laws))


def compare(facts: Facts, rules: Rules, network: dict[str, Any], laws: dict[str, worlds.Law | None]) -> Verdict:
    verdict = decide(facts, rules, evaluator="broker")
    unseen: list[oracle.Finding] = []
    permitted, determining, owed = oracle.evaluate(facts, network, laws, rules.boundary, unseen)
    assert verdict.permitted is permitted
    assert [seen(item) for item in verdict.determining] == determining
    assert [seen(item) for item in verdict.obligations] == owed
    assert [seen(item) for item in verdict.unseen] == unseen
    return verdict


@pytest.mark.no_cover  # thousands of the same: what it reaches is measured elsewhere
def test_random_decisions_agree_with_the_oracle() -> None:
    chance = random.Random(DECISIONS)
    met: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for _ in range(max(DECISIONS // PER_WORLD, 1)):
        network, laws = worlds.network(chance), worlds.laws(chance)
        rules = compiled(network, laws, None)
        for _ in range(PER_WORLD):
            rules = rules.at(worlds.boundary(chance))
            verdict = compare(worlds.facts(chance), rules, network, laws)
            met[str(verdict.permitted)] += 1
            met.update({f"{item.layer} {item.condition}" for item in (*verdict.determining, *verdict.obligations)})
            kinds = {one["id"]: one.get("type", "") for law in laws.values() if law for one in law["conditions"]}
            met.update({kinds.get(item.condition, "") for item in (*verdict.determining, *verdict.obligations)})
            left.update({kinds.get(item.condition, "") for item in verdict.unseen})
    if DECISIONS >= 2000:
        # The comparison is worth something only if the worlds are neither all open nor all shut.
        assert 0.15 < met["True"] / (met["True"] + met["False"]) < 0.85
        expected = (
            "network suspended, network no-grant, network unknown-code, network unevaluable, network own-copy, "
            "law no-profile, law unevaluable, originator unknown-code, originator unevaluable, originator clearance, "
            "originator h0, originator h1, originator h2, originator excluded-states, originator excluded-agencies, "
            "originator delete-by, originator intelligence-only, originator ask-before-action"
        )
        assert {name for name in expected.split(", ") if not met[name]} == set()
    if DECISIONS >= 20_000:
        assert {name for name in CONDITION_TYPES if not met[name]} == set()
    if DECISIONS >= 100_000:
        assert {name for name, kind in CONDITION_TYPES.items() if kind.inputs == "content" and not left[name]} == set()


@given(seeds)
def test_any_world_agrees_with_the_oracle(seed: int) -> None:
    chance = random.Random(seed)
    network, laws = worlds.network(chance), worlds.laws(chance)
    compare(worlds.facts(chance), compiled(network, laws, worlds.boundary(chance)), network, laws)


@given(seeds)
def test_another_boundary_is_the_same_as_compiling_for_it(seed: int) -> None:
    chance = random.Random(seed)
    network, laws = worlds.network(chance), worlds.laws(chance)
    boundary, facts = worlds.boundary(chance), worlds.facts(chance)
    moved = compiled(network, laws, worlds.boundary(chance)).at(boundary)
    assert decide(facts, moved, evaluator="x") == decide(facts, compiled(network, laws, boundary), evaluator="x")


@given(seeds)
def test_another_condition_never_permits_what_was_denied(seed: int) -> None:
    chance = random.Random(seed)
    network, laws = worlds.network(chance), worlds.laws(chance)
    boundary, facts = worlds.boundary(chance), worlds.facts(chance)
    before = decide(facts, compiled(network, laws, boundary), evaluator="x")
    state = chance.choice(worlds.STATES)
    old = laws.get(state)
    if old is not None:
        another = worlds.typed_condition if old["form"] == "law/1" else worlds.condition
        laws[state] = {**old, "conditions": [*old["conditions"], another(chance, 9)]}
    after = decide(facts, compiled(network, laws, boundary), evaluator="x")
    assert before.permitted or not after.permitted
    # Nothing that was said before is unsaid, but for the grant of what is now denied.
    assert {seen(item) for item in before.obligations} <= {seen(item) for item in after.obligations}
    if not before.permitted:
        assert {seen(item) for item in before.determining} <= {seen(item) for item in after.determining}


# H1 is what some laws demand: with it, something may become lawful.
@given(seeds, st.sampled_from(["h0", "h2", "h9"]), st.sampled_from(["excluded-states", "no-administrative-use"]))
def test_another_handling_code_or_condition_never_permits_what_was_denied(seed: int, code: str, name: str) -> None:
    chance = random.Random(seed)
    network, laws = worlds.network(chance), worlds.laws(chance)
    rules, facts = compiled(network, laws, worlds.boundary(chance)), worlds.facts(chance)
    if facts.label is None:
        return
    handling = tuple(sorted({*facts.label.handling, Code(code), Code("h3")}))
    others = [item for item in facts.label.conditions if item.code != name]
    added = Condition(Code(name), (Code("uz"),) if name == "excluded-states" else ())
    kept = next((item for item in facts.label.conditions if item.code == name), added)
    if kept.code == "excluded-states" and kept is not added:
        kept = Condition(kept.code, tuple(sorted({*kept.values, Code("uz")})) if kept.values else kept.values)
    conditions = tuple(sorted([*others, kept], key=lambda item: item.code))
    stricter = replace(facts, label=replace(facts.label, handling=handling, conditions=conditions))
    was_h3_alone = "h3" in facts.label.handling and not facts.label.conditions
    if not was_h3_alone:
        before = decide(facts, rules, evaluator="x").permitted
        assert before or not decide(stricter, rules, evaluator="x").permitted


@given(seeds)
def test_denied_means_that_something_denies_and_permitted_that_nothing_does(seed: int) -> None:
    chance = random.Random(seed)
    rules = compiled(worlds.network(chance), worlds.laws(chance), worlds.boundary(chance))
    verdict = decide(worlds.facts(chance), rules, evaluator="auditor")
    effects = {item.effect.value for item in verdict.determining}
    assert effects == {"permit"} if verdict.permitted else effects <= {"deny", "require", "limit"}
    assert {item.effect.value for item in verdict.obligations} <= {"oblige"}
    assert (verdict.first_denial() is None) is verdict.permitted
    assert {item.evaluated_by for item in (*verdict.determining, *verdict.obligations)} == {"auditor"}


@given(seeds)
def test_the_same_question_gets_the_same_bytes(seed: int) -> None:
    chance = random.Random(seed)
    network, laws, boundary = worlds.network(chance), worlds.laws(chance), worlds.boundary(chance)
    facts = worlds.facts(chance)
    first, second = (
        orjson.dumps(decide(facts, compiled(network, laws, boundary), evaluator="broker").to_json()) for _ in range(2)
    )
    assert first == second
    assert list(json.loads(first)) == [*("permitted", "determining", "obligations", "directory", "boundary", "unseen")]


WORDS = st.text(max_size=12) | st.sampled_from(
    ["issue", "uz/police", "kz", "*", "central-asia.routes", "h3", "precursor"]
)
PARTIES = st.builds(
    Party,
    WORDS.map(ParticipantId),
    WORDS.map(Role),
    WORDS,
    st.lists(WORDS, max_size=2).map(tuple),
    st.none() | WORDS,
    st.booleans(),
)
CODES = WORDS.map(Code)
LABELS = st.builds(
    Label,
    CODES,
    st.lists(CODES, max_size=3).map(tuple),
    CODES,
    CODES,
    st.none() | CODES,
    st.none() | CODES,
    CODES,
    CODES,
    st.booleans(),
    st.booleans(),
    st.none(),
    st.lists(st.builds(Condition, CODES, st.lists(CODES, max_size=2).map(tuple)), max_size=2).map(tuple),
)


@pytest.fixture(scope="module")
def rules() -> Rules:
    chance = random.Random(4)
    return compiled(worlds.network(chance), worlds.laws(chance), None)


@settings(max_examples=200)
@given(
    facts=st.builds(Facts, WORDS, WORDS, st.none() | WORDS.map(Topic), st.none() | LABELS, PARTIES, st.none() | PARTIES)
)
def test_any_facts_get_a_verdict(rules: Rules, facts: Facts) -> None:
    verdict = decide(facts, rules, evaluator="broker")
    assert verdict.determining
    assert isinstance(verdict.to_json()["permitted"], bool)


def test_roles_of_the_worlds_are_what_ids_say() -> None:
    chance = random.Random(1)
    assert all(one.role == role_of(one.id) for one in (worlds.party(chance) for _ in range(50)))
