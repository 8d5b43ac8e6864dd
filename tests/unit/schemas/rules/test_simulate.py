"""What a change of law would have done: held against deciding each notice for each State, and its cases one by one."""

import random
from dataclasses import replace
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from schemas.encoding import Time
from schemas.ids import Code, ParticipantId, Role, Topic
from schemas.rules.compile import Rules, compile_rules
from schemas.rules.decide import decide
from schemas.rules.facts import Facts, Party
from schemas.rules.simulate import MOST_LISTED, Past, Report, changed_states, simulate
from tests.unit.schemas.rules import worlds
from tests.unit.schemas.rules.laws import law, law_condition
from tests.unit.schemas.rules.test_answer import open_network

seeds = st.integers(0, 2**32 - 1)
STATES = {
    Role(state): Party(ParticipantId(f"{state}/focal-point"), Role(state), "focal-point", (), None, suspended=False)
    for state in worlds.STATES
}


def compiled(network: dict[str, Any], laws: dict[str, Any], boundary: str | None = None, version: int = 1) -> Rules:
    at = None if boundary is None else Time(boundary)
    return compile_rules(version=version, boundary=at, network=orjson.dumps(network), laws=worlds.written(laws))


def notice(chance: random.Random, number: int) -> Past:
    label = worlds.label(chance)
    people = tuple(chance.sample(sorted(STATES.values(), key=lambda one: one.id), chance.randint(1, 3)))
    return Past(
        index=number,
        notice_id=str(number),
        act="issue",
        topic=Topic(f"{chance.choice(worlds.REGIONS)}.{chance.choice(worlds.THEMES)}"),
        label=label,
        sender=chance.choice(list(STATES.values())),
        issued_at=worlds.moment(chance),
        expires_at=worlds.moment(chance),
        recipients=people if chance.random() < 0.7 else None,
        named=frozenset(one.id for one in people if chance.random() < 0.5),
        waiting=people[:1] if chance.random() < 0.5 else (),
        content=worlds.content(chance, label.kind) if chance.random() < 0.5 else None,
    )


def permitted(past: Past, party: Party, rules: Rules) -> bool:
    rest = (past.issued_at, past.expires_at, past.content)
    publish = Facts("publish", past.act, past.topic, past.label, past.sender, None, *rest)
    receive = Facts("receive", past.act, past.topic, past.label, past.sender, party, *rest)
    return decide(publish, rules, evaluator="x").permitted and decide(receive, rules, evaluator="x").permitted


def goes(past: Past, rules: Rules) -> bool:
    people = [one for one in past.recipients or () if one.id != past.sender.id]
    have = {one.id for one in people if permitted(past, one, rules)}
    return bool(have) and all(one.id in have for one in people if one.id in past.named)


@given(seeds)
def test_a_report_is_what_deciding_everything_gives(seed: int) -> None:
    chance = random.Random(seed)
    network, laws = open_network(chance), {state: worlds.law(chance, state) for state in worlds.STATES}
    changed = {**laws, "fr": worlds.law(chance, "fr")}
    old, new = compiled(network, laws), compiled(network, changed, worlds.boundary(chance) if seed % 3 == 0 else None)
    past = [notice(chance, number) for number in range(6)]
    report = simulate([*past, *past], STATES, old, new)
    assert report.notices == 12
    lost: dict[tuple[str, str], int] = {}
    gained: dict[tuple[str, str], int] = {}
    for one in past:
        for role, party in STATES.items():
            if party.id != one.sender.id:
                before, after = permitted(one, party, old), permitted(one, party, new)
                lost[one.sender.role, role] = lost.get((one.sender.role, role), 0) + 2 * (before and not after)
                gained[one.sender.role, role] = gained.get((one.sender.role, role), 0) + 2 * (after and not before)
    for pair, count in lost.items():
        found = report.pairs.get((Role(pair[0]), Role(pair[1])))
        assert (found.lost if found else 0, found.gained if found else 0) == (count, gained[pair])
    refused = {one.notice_id for one in past if one.recipients is not None and goes(one, old) and not goes(one, new)}
    allowed = {one.notice_id for one in past if one.recipients is not None and goes(one, new) and not goes(one, old)}
    assert {one.past.notice_id for one in report.refused} == refused
    assert {one.past.notice_id for one in report.allowed} == allowed
    assert orjson.loads(report.encode()) == report.to_json()


def quiet(state: str) -> dict[str, Any]:
    return law(state, [law_condition("x", "not-permitted", "deny", applies_to={"kinds": ["event"]})])


def three(condition: dict[str, Any] | None, of: str = "kz", version: int = 1) -> Rules:
    laws = {state: quiet(state) for state in worlds.STATES}
    if condition is not None:
        laws[of] = law(of, [condition])
    return compiled(open_network(random.Random(1)), laws, version=version)


def issue(**changes: Any) -> Past:
    label = replace(worlds.label(random.Random(3)), kind=Code("route"), handling=(), conditions=(), classification=None)
    label = replace(label, purpose=Code("prevention"), legal_basis=Code("untoc"), tlp=Code("amber"), pap=Code("amber"))
    label = replace(label, urgency=None, nominal=True, reply_due=None)
    past = Past(7, "n7", "issue", Topic("osce.routes"), label, STATES[Role("kz")], None, None)
    return replace(past, **changes)


PURPOSE = law_condition(
    "purposes", "purpose", "require", {"purposes": ["investigation"]}, applies_to={"direction": "receive"}
)


def test_who_loses_and_by_which_condition() -> None:
    past = [issue(sender=STATES[Role("fr")]) for _ in range(3)] + [issue()]
    report = simulate(past, STATES, three(None), three(PURPOSE, version=2))
    assert (report.changed, report.gains()) == (("kz",), {})
    assert report.loses() == {"kz": 3}
    assert [(a, b, pair.lost, pair.shut) for a, b, pair in report.conflicts()] == [("fr", "kz", 3, True)]
    ((why, count),) = report.conditions.items()
    assert (why.condition, why.state, count) == ("purposes", "kz", 3)
    back = simulate(past, STATES, three(PURPOSE), three(None))
    assert (back.gains(), back.loses(), back.conflicts()) == ({"kz": 3}, {}, [])


def test_what_would_have_been_refused_and_what_becomes_of_the_unfetched() -> None:
    kz, uz = STATES[Role("kz")], STATES[Role("uz")]
    sent = issue(sender=STATES[Role("fr")], recipients=(kz, uz), waiting=(kz, uz))
    named = replace(sent, notice_id="n8", named=frozenset((kz.id,)))
    only = replace(sent, notice_id="n9", recipients=(kz,), waiting=())
    report = simulate([sent, named, only], STATES, three(None), three(PURPOSE))
    assert [(one.past.notice_id, one.denied) for one in report.refused] == [("n8", (kz.id,)), ("n9", (kz.id,))]
    assert [(one.past.notice_id, one.denied) for one in report.withheld] == [("n7", (kz.id,)), ("n8", (kz.id,))]
    back = simulate([sent, named, only], STATES, three(PURPOSE), three(None))
    assert [one.past.notice_id for one in back.allowed] == ["n8", "n9"]
    assert len(back.released) == 2
    listed: Any = report.to_json()["refused"]
    assert listed["listed"][0]["condition"]["article"] == "1"
    assert listed["notices"] == 2


def test_a_state_that_may_not_publish_any_more() -> None:
    never = law_condition("never", "not-permitted", "deny", applies_to={"direction": "send", "kinds": ["route"]})
    report = simulate([issue()], STATES, three(None), three(never))
    assert report.silenced == {"kz": 1}
    assert report.loses() == {"af": 1, "fr": 1, "tj": 1, "uz": 1}


def test_laws_that_count_time_are_simulated_without_contents_by_how_long() -> None:
    days = law_condition("days", "retention", "limit", {"days": 5})
    times = {"issued_at": Time("2026-03-01T00:00:00Z"), "expires_at": Time("2026-03-08T00:00:00Z")}
    later = {"issued_at": Time("2026-04-01T00:00:00Z"), "expires_at": Time("2026-04-08T00:00:00Z")}
    report = simulate([issue(**times), issue(**later), issue()], STATES, three(None), three(days))
    assert report.loses() == {"af": 3, "fr": 3, "tj": 3, "uz": 3}
    # The second is decided by what is remembered of the first; the third states no times, and that denies.
    assert report.decisions == 2 * 2 * (len(STATES) - 1) + 2 * 2


def test_progress_is_told_and_lists_have_an_end() -> None:
    told: list[int] = []
    past = [issue(sender=STATES[Role("fr")], recipients=(STATES[Role("kz")],)) for _ in range(MOST_LISTED + 1)]
    report = simulate(past, STATES, three(None), three(PURPOSE), progress=told.append)
    assert (told[0], told[-1]) == (100, MOST_LISTED + 1)
    listed: Any = report.to_json()["refused"]
    assert (listed["notices"], len(listed["listed"])) == (MOST_LISTED + 1, MOST_LISTED)


def test_whose_decisions_may_differ() -> None:
    same, other = three(None), three(PURPOSE)
    assert changed_states(same, three(None)) == frozenset()
    assert changed_states(same, other) == {"kz"}
    assert changed_states(same, same.at(Time("2026-03-01T00:00:00Z"))) >= set(worlds.STATES)
    another = compiled(open_network(random.Random(2)), {state: quiet(state) for state in worlds.STATES})
    assert changed_states(same, another) >= set(worlds.STATES)
    broken = compiled(open_network(random.Random(1)), {**{s: quiet(s) for s in worlds.STATES}, "uz": None})
    assert changed_states(same, broken) == {"uz"}
    assert Report((1, None), (2, None), ()).to_json()["pairs"] == []
