"""The vocabulary of `law/1`: each type is whole, and its worked example does what it says, each way."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import orjson
import pytest

from schemas.codes import LANGUAGES, code_list
from schemas.encoding import Time
from schemas.ids import ParticipantId, Role, Topic
from schemas.label import Label
from schemas.rules.answer import answer
from schemas.rules.aspects import ASPECTS
from schemas.rules.changes import WAYS, changed
from schemas.rules.checks import CHECKS
from schemas.rules.compile import Rules, compile_rules
from schemas.rules.condition_types import CHANGES, CONDITION_TYPES, UNITS, ConditionType
from schemas.rules.content import Content
from schemas.rules.decide import GATEWAYS, decide
from schemas.rules.facts import Facts, Party
from schemas.rules.flaws import allowed_codes
from schemas.rules.network import default_network
from schemas.rules.verdict import Effect, Verdict
from schemas.rules.vocabulary import OBLIGATIONS, vocabulary
from tests.unit.schemas.rules.laws import law, law_condition
from tests.unit.schemas.rules.oracle_conditions import TYPES

KNOWN = vocabulary()
EVERY = list(CONDITION_TYPES.values())
ISSUED = Time("2026-03-01T00:00:00Z")


CASES = [pytest.param(kind, one, id=f"{kind.id}-{one['effect']}") for kind in EVERY for one in kind.examples]


def rules_with(kind: ConditionType, example: Mapping[str, Any]) -> Rules:
    condition = law_condition(
        "c", kind.id, example["effect"], example["parameters"], applies_to=example["applies_to"], inputs=kind.inputs
    )
    laws = {
        Role("al"): orjson.dumps(law("al", [condition])),
        Role("it"): orjson.dumps(law("it", [law_condition("x", "duty", "oblige", {"obligation": "report-outcome"})])),
        Role("uz"): orjson.dumps(law("uz", [law_condition("x", "duty", "oblige", {"obligation": "report-outcome"})])),
    }
    return compile_rules(version=1, boundary=None, network=default_network(), laws=laws)


def party(role: str, kind: str = "police", clearance: str | None = "top-secret") -> Party:
    return Party(ParticipantId(f"{role}/one"), Role(role), kind, (), clearance, suspended=False)


def facts_of(case: Mapping[str, Any], *, content: bool = True) -> Facts:
    label = {
        "kind": "route",
        "handling": [],
        "tlp": "amber",
        "pap": "amber",
        "classification": None,
        "urgency": None,
        "purpose": "investigation",
        "legal_basis": "untoc",
        "nominal": False,
        "exercise": False,
        "reply_due": None,
        "conditions": [],
        **case.get("label", {}),
    }
    seen: dict[str, Any] = {
        name: tuple(value) if name == "births" else frozenset(value) if isinstance(value, list) else value
        for name, value in case.get("content", {}).items()
    }
    if "grams" in seen:
        seen["grams"] = Fraction(seen["grams"])
    return Facts(
        "receive",
        "issue",
        Topic("osce.routes"),
        Label.from_json(label),
        party("al"),
        party(**{"role": "it", **case.get("recipient", {})}),
        ISSUED,
        Time(case.get("expires_at", "2026-03-08T00:00:00Z")),
        Content(label["kind"], **seen) if content else None,
    )


def said(verdict: Verdict) -> set[Effect]:
    return {item.effect for item in (*verdict.determining, *verdict.obligations) if item.condition == "c"}


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_the_examples_of_each_type_do_what_they_say_each_way(kind: ConditionType, example: Mapping[str, Any]) -> None:
    rules, effect = rules_with(kind, example), Effect(str(example["effect"]))
    silent = decide(facts_of(example["silent"]), rules, evaluator="x")
    speaks = decide(facts_of(example["speaks"]), rules, evaluator="x")
    assert silent.permitted, silent.determining
    assert said(silent) == ({Effect.OBLIGE} if effect is Effect.LIMIT and kind.obligation else set())
    assert said(speaks) == {effect}
    assert speaks.permitted is (effect is Effect.OBLIGE)


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_who_does_not_see_the_content_says_so_and_claims_nothing(
    kind: ConditionType, example: Mapping[str, Any]
) -> None:
    verdict = decide(facts_of(example["speaks"], content=False), rules_with(kind, example), evaluator="broker")
    if kind.inputs == "content":
        assert verdict.permitted
        assert [(item.condition, item.evaluated_by) for item in verdict.unseen] == [("c", GATEWAYS)]
        assert said(verdict) == set()
    else:
        assert verdict.unseen == ()
        assert said(verdict)


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_a_content_that_states_nothing_denies_and_says_what_is_lacking(
    kind: ConditionType, example: Mapping[str, Any]
) -> None:
    if kind.inputs != "content":
        return
    case = {**example["speaks"], "content": {}}
    verdict = decide(facts_of(case), rules_with(kind, example), evaluator="sender-gateway")
    assert not verdict.permitted
    (why,) = verdict.determining
    assert why.condition == "unevaluable"
    assert why.parameters["condition"] == "c"
    assert why.parameters["lacking"] in ASPECTS
    assert (why.missing, why.reason_in("fr")) == (None, why.reason["fr"])
    # Where the notice could say it, the member is named in every language.
    facts = facts_of(case)
    assert facts.content is not None
    content = replace(facts.content, missing=((str(why.parameters["lacking"]), "/terms/x"),))
    (why,) = decide(replace(facts, content=content), rules_with(kind, example), evaluator="sender-gateway").determining
    assert why.missing == "/terms/x"
    assert why.reasons == {language: f"{text} (/terms/x)" for language, text in why.reason.items()}
    assert why.reason_in("xx") == f"{why.reason['en']} (/terms/x)"


@pytest.mark.parametrize(("kind", "example"), CASES)
@pytest.mark.parametrize("content", [True, False])
def test_what_is_said_to_make_it_lawful_does(kind: ConditionType, example: Mapping[str, Any], content: bool) -> None:
    case = {**example["speaks"], **({} if content else {"content": {}})}
    rules, facts = rules_with(kind, example), facts_of(case)
    found = answer(facts, rules, evaluator="sender-gateway")
    for changes in found.changes:
        assert decide(changed(facts, changes), rules, evaluator="sender-gateway").permitted
    # Where a code or a yes would do, somebody there can always say it.
    if kind.check in ("some-of", "is") and kind.aspect and ASPECTS[kind.aspect].way and not found.verdict.permitted:
        assert found.changes


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.id)
def test_each_type_is_whole(kind: ConditionType) -> None:
    assert set(kind.says) == set(LANGUAGES)
    assert all(sentence.strip() == sentence and len(sentence) > 8 for sentence in kind.says.values())
    assert set(kind.effects) <= {"deny", "require", "oblige", "limit"}
    assert sorted(str(one["effect"]) for one in kind.examples) == sorted(kind.effects)
    assert kind.kinds is None or set(kind.kinds) <= KNOWN.kinds
    assert (kind.aspect is None) is (kind.check is None)
    assert kind.aspect is None or kind.aspect in ASPECTS
    assert kind.check is None or kind.check in CHECKS
    # Without a check nothing could meet a demand, and without an obligation nothing would be owed.
    assert kind.aspect is not None or set(kind.effects) <= {"deny", "oblige"}
    assert "oblige" not in kind.effects or kind.obligation is not None
    names = [parameter.name for parameter in kind.parameters]
    if not isinstance(kind.operand, bool):
        assert {name for name in kind.operand if not name.startswith("=")} <= set(names)
    for parameter in kind.parameters:
        assert (parameter.form == "number") is (parameter.unit in UNITS)
        assert parameter.form in ("states", "number") or parameter.list is None or allowed_codes(parameter, KNOWN)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.id)
def test_rules_say_what_their_decisions_read(kind: ConditionType) -> None:
    rules = rules_with(kind, kind.examples[0])
    aspects = [ASPECTS[name] for name in (kind.aspect, kind.when) if name is not None]
    assert rules.open is (kind.inputs == "content")
    assert rules.timed is any(aspect.timed for aspect in aspects)


def test_the_readme_has_each_type_as_it_is() -> None:
    assert set(TYPES) == set(CONDITION_TYPES)
    for name, kind in CONDITION_TYPES.items():
        told = TYPES[name]
        assert (told["effects"], told["inputs"], told["when"]) == (list(kind.effects), kind.inputs, kind.when)
        assert told["kinds"] == (None if kind.kinds is None else list(kind.kinds))
        assert list(told["parameters"]) == [parameter.name for parameter in kind.parameters]


def test_every_aspect_is_used_and_every_way_has_its_words() -> None:
    used = {name for kind in EVERY for name in (kind.aspect, kind.when) if name}
    assert used == set(ASPECTS)
    ways = {aspect.way for aspect in ASPECTS.values()} - {None}
    assert ways <= set(WAYS)
    assert set(WAYS) == set(CHANGES)
    assert all(set(words) == set(LANGUAGES) for words in CHANGES.values())


def test_every_obligation_has_a_sentence_that_people_read() -> None:
    assert frozenset(code_list("obligations").entries) == OBLIGATIONS
