"""A search that cannot go to its end: it still finds one set, says that there may be more, and never says no."""

import random

from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.rules.answer import MOST_CHANGES, MOST_DECISIONS, Answer, answer
from schemas.rules.changes import changed
from schemas.rules.decide import decide
from schemas.rules.facts import Facts
from tests.unit.schemas.rules import oracle, worlds
from tests.unit.schemas.rules.laws import law_condition
from tests.unit.schemas.rules.test_answer import asked, rules_of, world

PURPOSES = sorted(worlds.KNOWN.purposes)
BASES = sorted(worlds.KNOWN.legal_bases)
BROAD = [
    law_condition("a", "purpose", "require", {"purposes": PURPOSES[:-1]}),
    law_condition("b", "legal-basis", "require", {"bases": BASES[:-1]}),
    law_condition("c", "judicial-leave", "require", {"authorities": sorted(worlds.KNOWN.lists["authorities"])}),
    law_condition("d", "evidence-consent", "require"),
    law_condition("e", "death-penalty", "require"),
]
"""Five ordinary conditions that can be met in more ways than a search has decisions for."""


def hard() -> Facts:
    return asked(purpose=PURPOSES[-1], legal_basis=BASES[-1])


def would_do(found: Answer, facts: Facts) -> bool:
    return all(decide(changed(facts, one), rules_of(BROAD), evaluator="x").permitted for one in found.changes)


def test_five_ordinary_conditions_with_many_alternatives_are_a_yes_if() -> None:
    found = answer(hard(), rules_of(BROAD), evaluator="x")
    assert (found.kind, found.complete) == ("yes-if", False)
    assert found.decisions <= MOST_DECISIONS
    assert would_do(found, hard())


def test_few_decisions_are_enough_for_one_set() -> None:
    found = answer(hard(), rules_of(BROAD), evaluator="x", most=20)
    assert (found.kind, len(found.changes), len(found.changes[0])) == ("yes-if", 1, 5)
    assert would_do(found, hard())


def test_more_changes_at_once_than_are_listed_are_said_where_nothing_less_would_do() -> None:
    consent = law_condition("e", "cd-consent-of-states", "require", inputs="content")
    states = ["at", "be", "bg", "cz", "de", "es", "it", "me"]
    found = answer(asked(kind="controlled-delivery", content={"states": states}), rules_of([consent]), evaluator="x")
    assert found.kind == "yes-if"
    assert [len(one) for one in found.changes] == [len(states)]
    assert len(states) > MOST_CHANGES


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_a_no_is_a_no_however_little_was_asked(seed: int, most: int) -> None:
    network, laws, rules, facts = world(random.Random(seed))
    found, whole = (answer(facts, rules, evaluator="x", most=number) for number in (most, MOST_DECISIONS))
    assert found.decisions <= most
    for changes in found.changes:
        assert oracle.evaluate(changed(facts, changes), network, laws, None)[0]
    assume(whole.complete)
    if found.kind == "no":
        assert whole.kind == "no"
    if found.complete:
        assert found.changes == whole.changes


def test_a_change_that_no_label_may_state_is_passed_over_for_one_that_may_be_made() -> None:
    consent = law_condition("e", "cd-consent-of-states", "require", inputs="content", applies_to={"nominal": True})
    facts = asked(kind="controlled-delivery", nominal=True, content={"states": ["qx"]})
    found = answer(facts, rules_of([consent]), evaluator="x")
    assert found.complete
    assert [[tuple(change) for change in one] for one in found.changes] == [[("nominal", "no")]]


def test_of_what_is_not_known_nobody_can_say_what_to_change() -> None:
    consent = law_condition("e", "cd-consent-of-states", "require", inputs="content")
    facts = asked(kind="controlled-delivery", content={"states": None})
    found = answer(facts, rules_of([consent]), evaluator="x")
    assert (found.kind, found.changes, found.complete) == ("no", (), True)
