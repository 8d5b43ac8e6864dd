"""Compiling: what is in force at which boundary, when the next one is due, and what cannot be read."""

import random
from datetime import date

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codes import CodeList, Entry, code_list
from schemas.encoding import Time
from schemas.errors import FormError
from schemas.ids import Code, ParticipantId, Role, Topic
from schemas.label import Label
from schemas.rules import vocabulary as vocabulary_module
from schemas.rules.compile import Rules, compile_rules, next_boundary
from schemas.rules.decide import decide
from schemas.rules.facts import Facts, Party
from schemas.rules.network import default_network
from schemas.rules.profile import compile_profile
from schemas.rules.vocabulary import Vocabulary, vocabulary
from tests.unit.schemas.rules import worlds

FROM, TO = Time("2026-02-28T23:59:59Z"), Time("2028-02-29T00:00:00Z")


def law(*validity: str) -> bytes:
    conditions = [
        f'[[condition]]\nid = "c{number}"\ninstrument = "Act"\narticle = "1"\neffect = "deny"\n{one}\n'
        'explanation = { en = "No." }\n'
        for number, one in enumerate(validity)
    ]
    head = 'form = "law/0"\nstate = "kz"\nversion = "1"\n'
    return compile_profile((head + "".join(conditions)).encode(), today=date(2026, 1, 1))


def rules(boundary: str | None, *validity: str) -> Rules:
    return compile_rules(
        version=1,
        boundary=None if boundary is None else Time(boundary),
        network=default_network(),
        laws={Role("kz"): law(*validity)},
    )


def denied_by(compiled: Rules) -> list[str]:
    party = Party(ParticipantId("kz/customs"), Role("kz"), "customs", (), None, suspended=False)
    label = Label(
        kind=Code("route"),
        handling=(),
        tlp=Code("red"),
        pap=Code("red"),
        classification=None,
        urgency=None,
        purpose=Code("analysis"),
        legal_basis=Code("untoc"),
        nominal=False,
        exercise=False,
        reply_due=None,
        conditions=(),
    )
    verdict = decide(Facts("publish", "issue", Topic("osce.routes"), label, party, None), compiled, evaluator="broker")
    assert verdict.boundary == compiled.boundary
    return [item.condition for item in verdict.determining if item.layer == "law"]


EDGES = (
    "",
    f'valid_from = "{FROM}"',
    f'valid_to = "{TO}"',
    f'valid_from = "{FROM}"\nvalid_to = "{TO}"',
)


@pytest.mark.parametrize(
    ("boundary", "expected"),
    [
        (None, ["c0", "c2"]),
        ("2026-02-28T23:59:58Z", ["c0", "c2"]),
        (FROM, ["c0", "c1", "c2", "c3"]),
        ("2028-02-28T23:59:59Z", ["c0", "c1", "c2", "c3"]),
        (TO, ["c0", "c1"]),
        ("9999-12-31T23:59:59Z", ["c0", "c1"]),
    ],
)
def test_a_condition_is_in_force_from_its_first_second_to_before_its_last(
    boundary: str | None, expected: list[str]
) -> None:
    assert denied_by(rules(boundary, *EDGES)) == expected
    assert denied_by(rules("2027-01-01T00:00:00Z", *EDGES).at(None if boundary is None else Time(boundary))) == expected


def test_grants_have_a_validity_too() -> None:
    network = orjson.loads(default_network())
    (grant,) = (one for one in network["grants"] if one["id"] == "states-exchange")
    grant["valid_from"], grant["valid_to"] = FROM, TO
    compiled = compile_rules(
        version=1,
        boundary=None,
        network=orjson.dumps(network),
        laws={Role("kz"): law('applies_to = { tlp = ["green"] }')},
    )
    party = Party(ParticipantId("kz/customs"), Role("kz"), "customs", (), None, suspended=False)
    facts = Facts("publish", "issue", Topic("osce.routes"), worlds.label(random.Random(0)), party, None)

    def granted(boundary: Time | None) -> bool:
        verdict = decide(facts, compiled.at(boundary), evaluator="broker")
        return "no-grant" not in [item.condition for item in verdict.determining]

    assert [granted(at) for at in (None, FROM, TO)] == [False, True, False]
    assert compiled.edges == (FROM, TO)


def test_without_any_grant_in_force_nothing_is_permitted() -> None:
    network = orjson.loads(default_network())
    for grant in network["grants"]:
        grant["valid_from"] = FROM
    compiled = compile_rules(version=1, boundary=None, network=orjson.dumps(network), laws={})
    chance = random.Random(1)
    for _ in range(50):
        facts = worlds.facts(chance)
        own = facts.recipient is not None and facts.recipient.id == facts.sender.id
        if not (own and facts.action == "receive"):
            assert not decide(facts, compiled, evaluator="broker").permitted


def test_a_network_without_grants_is_an_error() -> None:
    network = {**orjson.loads(default_network()), "grants": []}
    with pytest.raises(FormError):
        compile_rules(version=1, boundary=None, network=orjson.dumps(network), laws={})


@pytest.mark.parametrize(
    ("after", "until", "expected"),
    [
        (None, "2026-02-28T23:59:58Z", None),
        (None, FROM, FROM),
        (None, "2027-01-01T00:00:00Z", FROM),
        (None, "2030-01-01T00:00:00Z", TO),
        (FROM, "2028-02-28T23:59:59Z", None),
        (FROM, TO, TO),
        ("2027-01-01T00:00:00Z", TO, TO),
        (TO, "2030-01-01T00:00:00Z", None),
        ("2031-01-01T00:00:00Z", "2030-01-01T00:00:00Z", None),
    ],
)
def test_the_next_boundary_is_the_latest_edge_that_has_passed(
    after: str | None, until: str, expected: str | None
) -> None:
    compiled = rules(None, *EDGES)
    assert compiled.edges == (FROM, TO)
    assert next_boundary(compiled, None if after is None else Time(after), Time(until)) == expected


def test_without_edges_there_is_no_boundary() -> None:
    assert next_boundary(rules(None, ""), None, Time("9999-12-31T23:59:59Z")) is None


@given(st.integers(0, 2**32))
def test_nothing_changes_between_two_boundaries(seed: int) -> None:
    chance = random.Random(seed)
    compiled = compile_rules(
        version=1,
        boundary=None,
        network=orjson.dumps(worlds.network(chance)),
        laws=worlds.written(worlds.laws(chance)),
    )
    facts, now = worlds.facts(chance), worlds.boundary(chance)
    if now is None:
        return
    # Whoever appends the boundary that is due decides as if it had looked at the clock itself.
    due = next_boundary(compiled, None, now)
    early, late = (decide(facts, compiled.at(at), evaluator="x") for at in (due, now))
    assert (early.determining, early.obligations) == (late.determining, late.obligations)


def test_another_states_profile_is_not_taken_for_ones_own() -> None:
    compiled = compile_rules(version=1, boundary=None, network=default_network(), laws={Role("uz"): law("")})
    assert dict(compiled.unreadable) == {"uz": "Is another State's profile. (/state)"}
    assert compiled.profiles == {}


def test_an_unreadable_profile_says_what_is_wrong() -> None:
    compiled = compile_rules(version=1, boundary=None, network=default_network(), laws={Role("uz"): b"["})
    assert dict(compiled.unreadable) == {"uz": "Not JSON. (/)"}
    assert compiled.at(FROM).unreadable == compiled.unreadable


def test_rules_show_their_versions_and_not_their_tables() -> None:
    assert repr(rules(FROM, "")) == f"Rules(version=1, boundary='{FROM}')"


def test_the_vocabulary_is_that_of_the_lists() -> None:
    known = vocabulary()
    assert known.clocks == {"8h", "3d", "7d"} < known.urgencies
    assert rules(None, "").clocks == known.clocks
    assert known.classifications == {"restricted": 1, "confidential": 2, "secret": 3, "top-secret": 4}
    assert {"focal-point", "organisation", "auditor", "customs"} < known.agency_kinds
    assert {"h0", "h1", "h2", "h3"} == known.handling
    assert len(known.regions) * len(known.themes) == 80


def test_a_classification_without_a_rank_is_above_every_clearance(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"secret": 3}
    entries = {
        Code(name): Entry(
            Code(name), {"en": name}, (), verified=True, extra={"rank": extra[name]} if name in extra else {}
        )
        for name in ("secret", "odd")
    }
    other = CodeList("classification", "2026-01-01", "", entries, {})
    monkeypatch.setattr(
        vocabulary_module, "code_list", lambda name: other if name == "classification" else code_list(name)
    )
    assert vocabulary().classifications == {"secret": 3, "odd": 3}


def test_other_codes_can_be_given() -> None:
    known = vocabulary()
    narrow = Vocabulary(
        **{name: getattr(known, name) for name in Vocabulary.__slots__ if name != "kinds"}, kinds=frozenset()
    )
    compiled = compile_rules(
        version=1, boundary=None, network=default_network(), laws={Role("kz"): law("")}, known=narrow
    )
    party = Party(ParticipantId("kz/customs"), Role("kz"), "customs", (), None, suspended=False)
    facts = Facts("publish", "issue", Topic("osce.routes"), worlds.label(random.Random(0)), party, None)
    assert "unknown-code" in [item.condition for item in decide(facts, compiled, evaluator="broker").determining]
