"""Remembered decisions against fresh ones, over random networks, laws, labels and participants."""

import random
from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import decisions
from broker.decisions import EVALUATOR, Decisions
from schemas.rules.compile import compile_rules
from schemas.rules.decide import decide
from schemas.rules.facts import Facts
from tests.unit.schemas.rules import worlds
from tests.world import make_world


@pytest.fixture(scope="module")
def blank():
    """Return a statement whose act, topic and label are to be replaced."""
    return make_world(["kz/customs"]).statement("kz/customs")


def some_parties(chance):
    """Return participants, one for each id: the directory has no two of one name."""
    return {one.id: one for one in (worlds.party(chance) for _ in range(30))}


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), room=st.sampled_from([2, 4096]))
def test_a_remembered_decision_is_what_a_fresh_one_would_be(blank, seed, room):
    """Also where what is remembered has just been forgotten, and whatever was asked in between."""
    chance = random.Random(seed)
    parties = some_parties(chance)
    rules = compile_rules(
        version=7,
        boundary=worlds.boundary(chance),
        network=orjson.dumps(worlds.network(chance)),
        laws=worlds.written(worlds.laws(chance)),
    )
    remembered = Decisions(rules, parties, {})
    asked = []
    for _ in range(8):
        facts = worlds.facts(chance)
        sender = chance.choice(list(parties.values()))
        statement = replace(blank, act=facts.act, topic=facts.topic, label=facts.label)
        times = {"issued_at": facts.issued_at or blank.issued_at, "expires_at": facts.expires_at}
        asked.append((replace(statement, **times), sender))
    held, decisions.REMEMBERED = decisions.REMEMBERED, room
    try:
        for _ in range(60):
            statement, sender = chance.choice(asked)
            about = remembered.about(statement, sender)
            shared = (statement.act, statement.topic, statement.label, sender)
            times = (statement.issued_at, statement.expires_at)
            publishing = decide(Facts("publish", *shared, None, *times), rules, evaluator=EVALUATOR)
            assert (about.publish, about.sender) == (publishing, publishing.first_denial())
            for who in chance.sample(sorted(parties), min(3, len(parties))):
                verdict = decide(Facts("receive", *shared, parties[who], *times), rules, evaluator=EVALUATOR)
                assert about.recipient(who) == verdict.first_denial()
                assert about.told(who).verdict == verdict
    finally:
        decisions.REMEMBERED = held


def test_what_decide_does_not_read_is_not_asked_for_twice(blank):
    world = make_world(["kz/customs", "uz/police"])
    trust = world.trust()
    sender = trust.parties["kz/customs"]
    first = trust.decisions.about(blank, sender)
    other = replace(blank, nonce="A" * 22, notice_id=world.statement("kz/customs").notice_id)
    assert trust.decisions.about(other, sender) is first
    assert trust.decisions.about(replace(blank, act="correct"), sender) is not first
    assert trust.decisions.about(blank, trust.parties["uz/police"]) is not first
    assert trust.decisions.about(replace(blank, topic="central-asia.routes"), sender) is not first
    assert trust.decisions.about(replace(blank, label=replace(blank.label, nominal=True)), sender) is not first


def test_no_more_is_remembered_than_there_is_room_for(blank, monkeypatch):
    monkeypatch.setattr(decisions, "REMEMBERED", 3)
    trust = make_world(["kz/customs"]).trust()
    sender = trust.parties["kz/customs"]
    made = [trust.decisions.about(replace(blank, topic=f"central-asia.t{n}"), sender) for n in range(10)]
    assert len(trust.decisions._known) <= 3
    assert trust.decisions.about(replace(blank, topic="central-asia.t9"), sender) is made[-1]
