"""Who gets a notice: an independent look at every choice over made-up networks, and its cases one by one."""

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gateway import recipients
from adapters.gateway.draft import Draft
from adapters.gateway.network import Network
from adapters.gateway.recipients import NO_KEY, Chooser
from adapters.gateway.status import LeftOut, Via
from keys.directory.records import SealingRecord
from keys.log.merkle import EMPTY_ROOT
from keys.log.note import VerifiedCheckpoint
from schemas.encoding import b64encode
from schemas.ids import LedgerIndex, matches, role_of
from schemas.notice import examples
from schemas.rules.decide import decide
from schemas.rules.facts import Facts
from tests.world import LABEL, ORIGIN, denying, make_world

PEOPLE = ("kz/customs", "kz/focal-point", "uz/focal-point", "uz/police", "tj/focal-point", "tj/police", "tm/police")
FORBIDS = denying()
PATTERNS = ("*.*", "*.seizures", "central-asia.*", "central-asia.seizures", "*.routes")

COPY = """
[[condition]]
id = "copy"
instrument = "Act"
article = "8"
effect = "oblige"
obligation = "copy-to-focal-point"
applies_to = { direction = "receive", kinds = ["seizure"] }
[condition.explanation]
en = "A copy."
"""


@pytest.fixture(scope="module")
def trust():
    return make_world(PEOPLE, laws={"tj": FORBIDS}).trust()


def network_of(trust, subscriptions=(), revoked=()) -> Network:
    found: dict = {}
    for number, (who, pattern) in enumerate(subscriptions):
        found.setdefault(who, {})[pattern] = LedgerIndex(number)
    checkpoint = VerifiedCheckpoint(ORIGIN, 1000, b"r" * 32, 4_000_000_000, b"note")
    return Network(trust.directory, trust.rules, found, dict.fromkeys(revoked, LedgerIndex(1)), checkpoint)


def chooser(network, sender="kz/customs") -> Chooser:
    return Chooser(network, sender, network.moment(0))


def draft(to=(), label=LABEL, act="issue", topic="central-asia.seizures") -> Draft:
    return Draft(act, topic, label, {"kind": "seizure"}, tuple(to), None)


def sealing_kids(trust, who) -> list[str]:
    return [key.kid for key in trust.directory.participants[who].keys if isinstance(key, SealingRecord)]


def chosen(choice) -> list[str]:
    return [item.participant for item in choice.addressed.sealed]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_exactly_those_concerned_whom_the_rules_allow(trust, data):
    subscriptions = data.draw(st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(PATTERNS)), unique=True))
    to = data.draw(st.lists(st.sampled_from(PEOPLE[1:]), unique=True))
    topic = data.draw(st.sampled_from(["central-asia.seizures", "osce.seizures", "central-asia.routes"]))
    sender = "kz/customs"
    network = network_of(trust, subscriptions)
    choice = chooser(network).choose(draft(to, topic=topic))
    concerned = [*to]
    concerned += sorted(
        {who for who, pattern in subscriptions if matches(pattern, topic) and who != sender and who not in to}
    )
    allowed = [
        who
        for who in concerned
        if decide(
            Facts("receive", "issue", topic, LABEL, network.parties[sender], network.parties[who]),
            network.rules,
            evaluator="sender-gateway",
        ).permitted
    ]
    assert chosen(choice) == allowed
    assert {item.participant for item in choice.addressed.left_out} == set(concerned) - set(allowed)
    if not set(to) <= set(allowed):
        assert choice.trouble.code in ("denied", "no-profile")
        assert choice.keys == ()
    elif not allowed:
        assert choice.trouble.code == "no-recipients"
    else:
        assert choice.trouble is None
        owners = [trust.directory.owner(key.kid) for key in choice.keys]
        assert owners == [sender, *allowed]


def test_the_same_label_is_decided_once(trust):
    network = network_of(trust, [(who, "*.*") for who in PEOPLE])
    one = chooser(network)
    for _ in range(50):
        one.choose(draft())
    assert len(one._verdicts) == len(PEOPLE)


def test_a_clock_takes_the_focal_points_of_all_concerned_along(trust):
    clock = replace(LABEL, urgency="8h", kind="route")
    network = network_of(trust, [("uz/police", "*.*"), ("tj/police", "*.*"), ("tm/police", "*.*")])
    choice = chooser(network).choose(draft(label=clock, topic="central-asia.routes"))
    via = {item.participant: item.via for item in choice.addressed.sealed}
    assert via == {
        "tj/police": Via.SUBSCRIPTION,
        "tm/police": Via.SUBSCRIPTION,
        "uz/police": Via.SUBSCRIPTION,
        "kz/focal-point": Via.FOCAL_POINT,
        "tj/focal-point": Via.FOCAL_POINT,
        "uz/focal-point": Via.FOCAL_POINT,
    }
    gone = (LeftOut("uz/focal-point", Via.FOCAL_POINT, "denied"),)
    choice = chooser(network).choose(draft(label=clock, topic="central-asia.routes"), excluded=gone)
    left = {item.participant for item in choice.addressed.left_out}
    assert left == {"uz/police", "uz/focal-point"}
    assert "tj/police" in chosen(choice)


def test_without_the_own_focal_point_nothing_with_a_clock_leaves(trust):
    clock = replace(LABEL, reply_due="2030-01-01T00:00:00Z")
    network = network_of(trust, [("uz/focal-point", "*.*")], revoked=sealing_kids(trust, "kz/focal-point"))
    choice = chooser(network).choose(draft(label=clock))
    assert chosen(choice) == []
    assert choice.trouble.code == "no-recipients"


def test_holders_are_decided_on_for_a_correction_and_not_for_a_recall(trust):
    holders = ("kz/customs", "uz/focal-point", "tj/focal-point")
    network = network_of(trust)
    correct = chooser(network).choose(draft(act="correct"), holders)
    assert correct.trouble is None
    assert chosen(correct) == ["uz/focal-point"]
    assert [item.denied.participant for item in correct.addressed.left_out] == ["tj/focal-point"]
    recall = chooser(network).choose(draft(act="recall"), holders)
    assert recall.trouble is None
    assert chosen(recall) == ["uz/focal-point", "tj/focal-point"]
    assert {item.via for item in recall.addressed.sealed} == {Via.HOLDER}
    keyless = network_of(trust, revoked=sealing_kids(trust, "tj/focal-point"))
    recall = chooser(keyless).choose(draft(act="recall"), holders)
    assert recall.trouble is None
    assert chosen(recall) == ["uz/focal-point"]
    assert [item.participant for item in recall.addressed.left_out] == ["tj/focal-point"]
    acknowledge = chooser(network).choose(Draft("acknowledge", None, None, {"notices": []}, ("tj/police",), None))
    assert chosen(acknowledge) == ["tj/police"]
    nobody = chooser(network).choose(Draft("acknowledge", None, None, {"notices": []}, ("xx/nobody",), None))
    assert nobody.trouble.code == "recipients"


def test_who_is_not_in_the_directory_or_has_no_key(trust):
    assert chooser(network_of(trust), "xx/nobody").choose(draft()).trouble.code == "enrolment"
    network = network_of(trust, [("uz/police", "*.*")], revoked=sealing_kids(trust, "kz/customs"))
    assert chooser(network).choose(draft()).trouble.code == "enrolment"
    pairs = [("uz/police", "*.*"), ("tm/police", "*.*")]
    network = network_of(trust, pairs, revoked=sealing_kids(trust, "uz/police"))
    choice = chooser(network).choose(draft())
    assert chosen(choice) == ["tm/police"]
    assert choice.addressed.left_out[0].denied is None
    named = chooser(network).choose(draft(to=["uz/police"]))
    assert named.trouble.code == "recipients"


def test_a_copy_that_is_owed_and_cannot_be_sealed_is_reported():
    trust = make_world(PEOPLE, laws={"tj": COPY}).trust()
    network = network_of(trust, revoked=sealing_kids(trust, "tj/focal-point"))
    choice = chooser(network).choose(draft(to=["tj/police"]))
    assert (choice.trouble, chosen(choice)) == (None, ["tj/police"])
    (left,) = choice.addressed.left_out
    assert (left.participant, left.via, left.detail) == ("tj/focal-point", Via.FOCAL_POINT, NO_KEY)


def test_a_sender_that_the_rules_deny():
    world = make_world(("kz/customs", "uz/police"), without_law=("kz",))
    choice = chooser(network_of(world.trust(), [("uz/police", "*.*")])).choose(draft())
    assert choice.trouble.code == "no-profile"
    assert choice.publish is not None
    assert not choice.publish.permitted


def test_a_network_of_an_empty_log():
    world = make_world(("kz/customs",))
    trust = world.trust()
    network = Network(trust.directory, trust.rules, {}, {}, None)
    assert (network.size, network.seen.root) == (0, b64encode(EMPTY_ROOT))
    assert network.moment(5000).received_at == 5000
    assert network.focal_point("kz") is None


def test_the_order_of_subscriptions_does_not_matter(trust):
    pairs = [(who, pattern) for who, pattern in itertools.product(PEOPLE, PATTERNS[:2])]
    first = chooser(network_of(trust, pairs)).choose(draft())
    random.Random(1).shuffle(pairs)
    assert chooser(network_of(trust, pairs)).choose(draft()).addressed == first.addressed
    assert all(role_of(who) != "tj" for who in chosen(first))


# Laws over contents and times, and what would make it lawful

OPENED = """
[[condition]]
id = "surveillance"
type = "cd-constant-surveillance"
instrument = "Act"
article = "5"

[[condition]]
id = "days"
type = "retention"
instrument = "Act"
article = "6"
parameters = { days = 10 }
applies_to = { kinds = ["controlled-delivery"] }
"""
REQUEST = replace(LABEL, kind="controlled-delivery", nominal=True)
TOPIC = "central-asia.controlled-deliveries"


@pytest.fixture(scope="module")
def opened():
    return network_of(make_world(PEOPLE, laws={"uz": OPENED}).trust())


def request(*, guaranteed=True, expires_at="2026-03-05T00:00:00Z", **notice) -> Draft:
    made = {**examples("controlled-delivery"), **notice}
    made["terms"] = {**made["terms"], "constant_surveillance": guaranteed}
    return Draft("issue", TOPIC, REQUEST, made, ("uz/police",), expires_at)


def choosing(network) -> Chooser:
    return Chooser(network, "kz/customs", network.moment(0), "2026-03-01T00:00:00Z")


def test_what_a_notice_says_is_held_against_the_law_before_it_is_sealed(opened):
    chooser = choosing(opened)
    assert chosen(chooser.choose(request())) == ["uz/police"]
    # What is remembered of the first is not taken for the second, which differs in its content alone.
    denied = chooser.choose(request(guaranteed=False))
    assert denied.trouble.code == "denied"
    (why,) = denied.trouble.denied
    assert (why.condition, why.article, why.evaluated_by) == ("surveillance", "5", "sender-gateway")
    late = chooser.choose(request(expires_at="2026-03-12T00:00:00Z"))
    assert [item.condition for item in late.trouble.denied] == ["days"]


def test_a_draft_that_cannot_be_read_states_nothing_and_is_denied(opened):
    draft = replace(request(), notice={"kind": "controlled-delivery", "offence": 3})
    denied = choosing(opened).choose(draft)
    assert [item.condition for item in denied.trouble.denied] == ["unevaluable"]


def test_what_the_law_asks_and_the_notice_does_not_say_is_named(opened):
    draft = request()
    terms = {name: value for name, value in draft.notice["terms"].items() if name != "constant_surveillance"}
    denied = choosing(opened).choose(replace(draft, notice={**draft.notice, "terms": terms})).trouble
    assert (denied.code, denied.pointer) == ("denied", "/notice/terms/constant_surveillance")
    (why,) = denied.denied
    assert why.condition == "unevaluable"
    assert all(text.endswith(" (/terms/constant_surveillance)") for text in why.reason.values())
    assert set(why.reason) == {"en", "fr", "de", "it", "ru", "es"}


def test_a_choice_is_explained_with_the_smallest_changes_and_all_states_on_request(opened):
    chooser = choosing(opened)
    draft = request(guaranteed=False, expires_at="2026-03-12T00:00:00Z")
    choice = chooser.explained(draft, chooser.choose(draft))
    (one,) = choice.considered
    both = (("constant-surveillance", "yes"), ("expires-at", "2026-03-11T00:00:00Z"))
    assert (one.answer, one.changes) == ("yes-if", (both,))
    asked = chooser.explained(draft, choice, states=True).considered
    assert {(item.participant, item.via) for item in asked if item.via is Via.ASKED} == {
        ("kz/focal-point", Via.ASKED),
        ("tj/focal-point", Via.ASKED),
        ("uz/focal-point", Via.ASKED),
    }
    assert {item.answer for item in asked} <= {"yes", "yes-if"}
    nobody = Chooser(opened, "xx/nobody", opened.moment(0))
    assert nobody.explained(draft, choice, states=True) == choice


def test_each_topic_of_a_pattern_is_answered_as_its_own_preview_would_be(opened):
    chooser = choosing(opened)
    draft = request(guaranteed=False, expires_at="2026-03-12T00:00:00Z")
    found = chooser.elsewhere(draft, "*.controlled-deliveries", states=True)
    assert {one.topic for one in found} == {f"{region}.controlled-deliveries" for region in opened.rules.known.regions}
    for one in found:
        there = replace(draft, topic=one.topic)
        choice = chooser.choose(there)
        assert one.candidates == chooser.explained(there, choice, states=True).considered
        assert (one.publish, one.would_send) == (choice.publish, choice.trouble is None)
        assert one.complete
    (only,) = chooser.elsewhere(draft, draft.topic)
    assert only.candidates == chooser.explained(draft, chooser.choose(draft)).considered


def test_who_has_no_law_over_contents_opens_none(trust, monkeypatch):
    def never(*_):
        raise AssertionError("nothing asks what the notice says")

    monkeypatch.setattr(recipients, "content_of", never)
    assert chosen(chooser(network_of(trust)).choose(draft(to=["uz/police"]))) == ["uz/police"]
