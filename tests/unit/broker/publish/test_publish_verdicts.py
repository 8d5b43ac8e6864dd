"""What is kept of a decision is the whole verdict, for each recipient: held against the rules asked anew."""

from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.ids import Code, Role
from schemas.rules.decide import decide
from schemas.rules.facts import Facts
from schemas.statement import SubscriptionBody
from tests.paper import PaperLedger
from tests.unit.broker.publish.letters import BESIDE, MEMBERS, OTHER, SENDER, accepted, refused
from tests.unit.schemas.rules.laws import law, law_condition
from tests.world import LABEL, make_world, put_law

OTHERS = [who for who in MEMBERS if who != SENDER]


def named(item):
    said = item.to_json()
    return {name: value for name, value in said.items() if name not in ("reason", "evaluated_by")}


def whole(verdict):
    return {
        "permitted": verdict.permitted,
        "determining": [named(item) for item in verdict.determining],
        "owed": [named(item) for item in verdict.obligations],
        "unseen": [named(item) for item in verdict.unseen],
    }


def kept(outcome):
    """Return the verdicts that were kept, by what was asked of whom; each once."""
    found = {}
    for item in orjson.loads(outcome.decision)["verdicts"]:
        for who in item["participants"]:
            assert (item["action"], who) not in found
            found[item["action"], who] = item["verdict"]
    return found


def asked_anew(trust, statement, to):
    def ask(action, recipient):
        times = (statement.issued_at, statement.expires_at)
        facts = Facts(action, statement.act, statement.topic, statement.label, trust.parties[SENDER], recipient, *times)
        return whole(decide(facts, trust.rules, evaluator="broker"))

    return {("publish", SENDER): ask("publish", None)} | {
        ("receive", who): ask("receive", trust.parties[who]) for who in {SENDER, *to}
    }


@pytest.fixture(scope="module")
def strict():
    """A network in which Kazakhstan's law and that of Uzbekistan ask for much, and deny twice."""
    world = make_world(MEMBERS)
    conditions = [
        law_condition(
            "a-purposes", "purpose", "require", {"purposes": ["prevention"]}, applies_to={"kinds": ["route"]}
        ),
        law_condition("b-officers", "not-permitted", "deny", applies_to={"kinds": ["route"], "counterparts": ["kz"]}),
        law_condition("c-copy", "copy-to-focal-point", "oblige", {"whose": "recipient"}),
        law_condition("d-grams", "minors", "deny", {"years": 18}, inputs="content", applies_to={"nominal": False}),
        law_condition("e-newer", "not-yet-known", "deny", applies_to={"kinds": ["practice"]}),
    ]
    put_law(world, Role("uz"), orjson.dumps(law("uz", conditions)))
    return world


@settings(max_examples=25)
@given(data=st.data())
def test_what_is_kept_is_what_the_rules_say_of_each(strict, data):
    ledger, trust = PaperLedger(strict), strict.trust()
    to = data.draw(st.sets(st.sampled_from(OTHERS), min_size=1))
    signed = strict.envelope(SENDER, to)
    assert kept(ledger.publish(signed, trust)) == asked_anew(trust, signed.statement, to)
    # Asked of the same label again, to others: what is remembered is of these.
    others = strict.envelope(SENDER, [BESIDE])
    assert kept(accepted(ledger.publish(others, trust))) == asked_anew(trust, others.statement, [BESIDE])


def test_a_refusal_keeps_every_condition_that_denies_and_who_was_not_denied(strict):
    changes = {"topic": "central-asia.routes", "label": replace(LABEL, kind=Code("route"))}
    signed = strict.envelope(SENDER, [OTHER, BESIDE], **changes)
    outcome = refused(PaperLedger(strict).publish(signed), "denied")
    found = kept(outcome)
    assert found == asked_anew(strict.trust(), signed.statement, [OTHER, BESIDE])
    assert [item["condition"] for item in found["receive", OTHER]["determining"]] == ["a-purposes", "b-officers"]
    assert found["receive", OTHER]["determining"][0]["parameters"] == {"purposes": ["prevention"]}


def test_what_cannot_be_evaluated_is_kept_with_the_condition_it_is_about(strict):
    label = replace(LABEL, kind=Code("practice"))
    outcome = refused(
        PaperLedger(strict).publish(strict.envelope(SENDER, [OTHER], topic="central-asia.routes", label=label)),
        "denied",
    )
    (why,) = kept(outcome)["receive", OTHER]["determining"]
    assert (why["condition"], why["parameters"]) == ("unevaluable", {"condition": "e-newer"})


def test_an_open_act_keeps_its_verdict_too(strict):
    outcome = accepted(
        PaperLedger(strict).publish(
            strict.open_envelope(SENDER, "subscribe", SubscriptionBody(SENDER, ("central-asia.seizures",)))
        )
    )
    (verdict,) = kept(outcome).values()
    assert verdict["permitted"]
    assert verdict["determining"][0]["effect"] == "permit"


def test_what_was_refused_before_the_rules_were_asked_has_no_verdict(strict):
    outcome = refused(PaperLedger(strict).publish(strict.envelope(SENDER, [])), "recipients")
    assert kept(outcome) == {}
