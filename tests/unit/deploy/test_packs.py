"""`deploy/packs`: each pack is an illustration that says so, in six languages, and each of its conditions works."""

import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from adapters.demo import case_cast
from adapters.demo.ceremony import law_of
from adapters.gateway import labels
from adapters.gateway.labels import LabelDefaults
from adapters.gateway.request import NoticeRequest
from schemas.codes import LANGUAGES
from schemas.encoding import Time
from schemas.ids import Code, ParticipantId, Role
from schemas.label import Condition, Label
from schemas.notice import parse_notice
from schemas.rules.answer import Answer, answer
from schemas.rules.compile import Rules, compile_rules
from schemas.rules.condition import LawProfile, parse_profile
from schemas.rules.content import Content, content_of
from schemas.rules.facts import Facts, Party
from schemas.rules.founding import CARICC, CIS, COE, EU, OSCE, SELEC
from schemas.rules.network import default_network, parse_network
from schemas.rules.profile import check_profile, compile_profile

PACKS = Path(__file__).parents[3] / "deploy" / "packs"
TODAY = date(2026, 12, 1)
NOW, LATER = Time("2026-12-01T00:00:00Z"), Time("2027-03-01T00:00:00Z")
BASELINES = {"eu": "fr", "coe": "rs"}
"""Packs that name no State, and one that takes each over."""
NAMES = ("al", "at", "be", "coe", "de", "eu", "it", "kz", "nl", "tj", "uz")
SILENT = """
form = "law/1"
state = "{state}"
version = "Says nothing of what is asked here"
adopted = 2026-01-01
[[condition]]
id = "of-practice"
type = "not-permitted"
instrument = "An act"
article = "1"
applies_to = {{ kinds = ["practice"] }}
"""


def text(name: str) -> str:
    return (PACKS / f"{name}.toml").read_text(encoding="utf-8")


@cache
def law(name: str, state: str | None = None) -> bytes:
    return compile_profile(text(name).encode(), today=TODAY, state=Role(state) if state else None)


def profile(name: str) -> LawProfile:
    read = parse_profile(law(name, BASELINES.get(name)))
    assert isinstance(read, LawProfile)
    return read


def on_baseline(state: str) -> bytes:
    """Make a State's law as cases/albania.sh does: its baseline, and its own conditions below."""
    baseline = text("eu" if state in EU else "coe").replace("\nversion", f'\nstate = "{state}"\nversion', 1)
    own = text(state) if state in NAMES else ""
    at = own.find("\n[[condition]]")
    return compile_profile((baseline + (own[at:] if at >= 0 else "")).encode(), today=TODAY)


def test_every_pack_is_tested() -> None:
    assert {path.stem for path in PACKS.glob("*.toml")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_pack_is_an_illustration_and_says_so(name: str) -> None:
    read = profile(name)
    assert read.illustration
    assert read.source
    assert text(name).startswith("# ILLUSTRATION, no statement of ")
    assert read.baseline == (name if name in BASELINES else None)
    assert read.state == BASELINES.get(name, name)
    assert check_profile(read, today=TODAY) == []


@pytest.mark.parametrize("name", NAMES)
def test_each_condition_has_its_source_and_six_languages(name: str) -> None:
    for condition in profile(name).conditions:
        assert condition.instrument.startswith("Illustration")
        assert condition.explanation is not None
        said = condition.explanation.by_language()
        assert tuple(said) == LANGUAGES
        assert len(set(said.values())) == len(LANGUAGES)
    for block in text(name).split("\n[[condition]]\n")[1:]:
        assert re.match(r"# (?:Read|Unverified|Invented)\b", block), block[:80]


def case() -> tuple[Label, Content]:
    request = NoticeRequest.parse((PACKS / "cases" / "albania.json").read_bytes())
    notice = parse_notice(str(request.notice["kind"]), request.notice)
    return labels.complete(request.label, notice, LabelDefaults()), content_of(notice)


def party(state: str, kind: str = "focal-point") -> Party:
    return Party(ParticipantId(f"{state}/{kind}"), Role(state), kind, (), None, suspended=False)


def stated(*conditions: tuple[str, tuple[str, ...]]) -> tuple[Condition, ...]:
    return tuple(Condition(Code(code), tuple(map(Code, values))) for code, values in sorted(conditions))


LAWFUL: dict[str, Any] = {
    "final_interception": True,
    "languages": frozenset({"de", "en"}),
    "conditions": (),
}
"""What the drafter of the worked case would change for all States of the way."""


def question(changes: Mapping[str, Any]) -> Facts:
    """Make the worked case into another question by members of label, content or facts, whichever has them."""
    label, content = case()
    for name, value in changes.items():
        if name in {item.name for item in fields(Label)}:
            label = replace(label, **{name: value})
        if name in {item.name for item in fields(Content)}:
            content = replace(content, **{name: value})
    sender, recipient = changes.get("sender", "al"), changes.get("recipient", "it")
    to = party(recipient, changes.get("recipient_kind", "focal-point"))
    topic = changes.get("topic", "south-eastern-europe.controlled-deliveries")
    expires = changes.get("expires_at", LATER)
    return Facts("receive", "issue", topic, label, party(sender), to, NOW, expires, content)


def rules(laws: Mapping[str, bytes]) -> Rules:
    return compile_rules(
        version=1, boundary=NOW, network=default_network(), laws={Role(state): data for state, data in laws.items()}
    )


def asked(name: str, changes: Mapping[str, Any]) -> Answer:
    facts = question({**LAWFUL, **changes})
    assert facts.recipient is not None
    state = BASELINES.get(name, name)
    assert state in (facts.sender.role, facts.recipient.role)
    others = {role for role in (facts.sender.role, facts.recipient.role) if role != state}
    laws = {role: compile_profile(SILENT.format(state=role).encode(), today=TODAY) for role in others}
    return answer(facts, rules({**laws, state: law(name, BASELINES.get(name))}), evaluator="desk")


def spoken(said: Answer) -> set[str]:
    return {one.condition for one in (*said.verdict.determining, *said.verdict.obligations) if one.layer == "law"}


HEALTH = frozenset({"health"})
FOREVER = Time("2028-03-01T00:00:00Z")
POLICE = frozenset({"head-of-service"})
WAY = ("at", "de", "it", "nl")
CONSENT = stated(("consent-of", ("al", *WAY)))
FROM_IT = stated(("received-from", ("it",)), ("transfer-basis", ("safeguards",)), ("no-death-penalty-use", ()))
GERMAN: dict[str, Any] = {"sender": "de", "recipient": "al"}
DUTCH: dict[str, Any] = {"sender": "nl", "recipient": "al"}
AUSTRIAN: dict[str, Any] = {"sender": "at", "recipient": "it"}
SEIZURE: dict[str, Any] = {"kind": "seizure", "topic": "central-asia.seizures"}
PRECURSOR: dict[str, Any] = {"kind": "precursor", "topic": "central-asia.precursors", "nominal": False}

# Pack, condition, what it is silent about, what it speaks of, whether it denies.
WORKED: list[tuple[str, str, dict[str, Any], dict[str, Any], bool]] = [
    ("eu", "eu-purpose", {"sender": "fr"}, {"sender": "fr", "purpose": "analysis"}, True),
    (
        "eu",
        "eu-competent-recipient",
        {"sender": "fr", "recipient": "gb"},
        {"sender": "fr", "recipient": "gb", "recipient_kind": "regulator"},
        True,
    ),
    (
        "eu",
        "eu-source-consent",
        {"sender": "fr", "recipient": "it", "conditions": FROM_IT},
        {"sender": "fr", "recipient": "gb", "conditions": FROM_IT},
        True,
    ),
    ("eu", "eu-adequacy", {"sender": "fr", "recipient": "gb"}, {"sender": "fr", "recipient": "tj"}, True),
    ("eu", "eu-onward-abroad", {"sender": "fr"}, {"sender": "fr", "recipient": "gb"}, False),
    ("eu", "eu-onward-received", {"recipient": "fr", "nominal": False}, {"recipient": "fr"}, False),
    ("eu", "eu-death-penalty", {"sender": "fr", "recipient": "gb"}, {"sender": "fr", "recipient": "us"}, True),
    ("eu", "eu-special-categories", {"sender": "fr"}, {"sender": "fr", "special_categories": HEALTH}, False),
    ("eu", "eu-retention", {"sender": "fr"}, {"recipient": "fr", "expires_at": FOREVER}, True),
    ("coe", "coe-purpose", {"sender": "rs"}, {"sender": "rs", "purpose": "public-health"}, True),
    ("coe", "coe-adequacy", {"sender": "rs"}, {"sender": "rs", "recipient": "tj"}, True),
    ("coe", "coe-onward", {"sender": "rs"}, {"sender": "rs", "recipient": "tj"}, False),
    ("coe", "coe-death-penalty", {"sender": "rs"}, {"sender": "rs", "recipient": "us"}, True),
    ("coe", "coe-special-categories", {"sender": "rs"}, {"sender": "rs", "special_categories": HEALTH}, False),
    ("coe", "coe-retention", {"sender": "rs"}, {"recipient": "rs", "expires_at": FOREVER}, True),
    ("al", "al-cd-prosecutor", {}, {"authorities": POLICE}, True),
    ("al", "al-cd-otherwise-hopeless", {}, {"last_resort": False}, True),
    ("al", "al-cd-foreign-consent", {"conditions": CONSENT}, {}, False),
    ("al", "al-cd-constant-supervision", {}, {"constant_surveillance": False}, True),
    ("be", "be-cd-prosecutor", {"recipient": "be"}, {"recipient": "be", "authorities": POLICE}, True),
    (
        "be",
        "be-cd-constant-surveillance",
        {"recipient": "be"},
        {"recipient": "be", "constant_surveillance": False},
        True,
    ),
    ("be", "be-cd-intervention", {"recipient": "be"}, {"recipient": "be", "final_interception": False}, True),
    ("be", "be-cd-language", {"recipient": "be"}, {"recipient": "be", "languages": frozenset({"sq"})}, True),
    ("nl", "nl-cd-prosecutor", {"recipient": "nl"}, {"recipient": "nl", "authorities": POLICE}, True),
    ("nl", "nl-cd-minister", {**DUTCH, "authorities": frozenset({"ministry", "prosecutor"})}, DUTCH, True),
    ("nl", "nl-cd-off-the-market", {"recipient": "nl"}, {"recipient": "nl", "final_interception": False}, True),
    ("nl", "nl-cd-language", {"recipient": "nl"}, {"recipient": "nl", "languages": frozenset({"sq"})}, True),
    ("de", "de-cd-prosecutor", {"recipient": "de"}, {"recipient": "de", "authorities": POLICE}, True),
    ("de", "de-cd-border-district", GERMAN, {**GERMAN, "decided_in": frozenset({"destination"})}, True),
    ("de", "de-cd-otherwise-hopeless", {"recipient": "de"}, {"recipient": "de", "last_resort": False}, True),
    ("de", "de-cd-constant-control", {"recipient": "de"}, {"recipient": "de", "constant_surveillance": False}, True),
    ("de", "de-cd-foreign-consent", {"recipient": "de", "conditions": CONSENT}, {"recipient": "de"}, False),
    ("de", "de-cd-goods-seized", GERMAN, {**GERMAN, "final_interception": False}, True),
    ("de", "de-cd-kept-informed", {"recipient": "de"}, GERMAN, False),
    ("at", "at-cd-in-writing", AUSTRIAN, {**AUSTRIAN, "oral": True}, True),
    ("at", "at-cd-approved", AUSTRIAN, {**AUSTRIAN, "authorities": frozenset()}, True),
    ("at", "at-cd-central-office", {"recipient": "at"}, AUSTRIAN, False),
    ("it", "it-cd-in-writing", AUSTRIAN, {**AUSTRIAN, "oral": True}, True),
    ("it", "it-cd-approved", AUSTRIAN, {**AUSTRIAN, "authorities": frozenset({"focal-point"})}, True),
    ("it", "it-cd-central-office", {}, AUSTRIAN, False),
    ("kz", "controlled-delivery-copy", {"recipient": "kz", **SEIZURE}, {"recipient": "kz"}, False),
    ("tj", "nominal-retention", {"recipient": "tj", "nominal": False}, {"recipient": "tj"}, False),
    ("tj", "seizure-copy", {"recipient": "tj"}, {"recipient": "tj", **SEIZURE}, False),
    (
        "uz",
        "precursor-nominal-in",
        {"recipient": "uz", **PRECURSOR},
        {"recipient": "uz", **PRECURSOR, "nominal": True},
        True,
    ),
    ("uz", "precursor-red-in", {"recipient": "uz", **PRECURSOR}, {"recipient": "uz", **PRECURSOR, "tlp": "red"}, True),
]
NEVER = {"al-cd-replacement"}
"""It permits every way of replacing: only its sentence is there, for readers of the law."""


@pytest.mark.parametrize(("name", "condition", "silent", "speaks", "denies"), WORKED, ids=[row[1] for row in WORKED])
def test_a_condition_is_silent_and_speaks(
    name: str, condition: str, silent: dict[str, Any], speaks: dict[str, Any], denies: bool
) -> None:
    assert condition not in spoken(asked(name, silent))
    said = asked(name, speaks)
    assert condition in spoken(said)
    assert (condition in {one.condition for one in said.verdict.determining}) is denies
    assert not denies or not said.verdict.permitted


def test_each_condition_of_each_pack_is_worked() -> None:
    worked = {(name, condition) for name, condition, *_ in WORKED}
    assert worked | {("al", one) for one in NEVER} == {
        (name, condition.id) for name in NAMES for condition in profile(name).conditions
    }


@pytest.mark.parametrize("substitution", ["none", "partial", "complete"])
def test_replacement_is_left_to_the_prosecutor(substitution: str) -> None:
    assert not NEVER & spoken(asked("al", {"substitution": substitution}))


@pytest.mark.parametrize("state", ["al", "at", "be", "de", "it", "nl"])
def test_an_example_fits_on_its_baseline(state: str) -> None:
    read = parse_profile(on_baseline(state))
    assert check_profile(read, today=TODAY) == []
    assert {item.id for item in read.conditions} > {item.id for item in profile(state).conditions}


def test_the_network_file_is_the_founding_network() -> None:
    assert (PACKS / "network" / "network.json").read_bytes() == default_network()


def test_memberships_are_dated_and_fit_together() -> None:
    groups = {group.id: group for group in parse_network(default_network()).groups}
    for name in ("caricc", "cis", "coe", "eu", "osce", "selec"):
        assert groups[name].as_of is not None
        assert groups[name].as_of <= TODAY.isoformat()
        assert len(groups[name].instrument) > len(name)
        assert set(groups[name].members) <= set(OSCE)
    assert set(EU) < set(COE)
    assert set(SELEC) < set(COE)
    assert {"kg", "kz", "tj", "uz"} < set(CARICC) & set(CIS)
    assert not {"ru", "by"} & set(COE)
    assert (len(CARICC), len(CIS), len(SELEC)) == (7, 9, 11)


@pytest.mark.parametrize(
    ("who", "action", "theme", "permitted"),
    [
        ("int-incb", "receive", "precursors", True),
        ("int-incb", "subscribe", "precursors", True),
        ("int-unodc", "receive", "precursors", False),
        ("int-interpol", "subscribe", "precursors", False),
        ("int-osce", "receive", "routes", True),
        ("int-osce", "receive", "seizures", False),
        *((name, "receive", "controlled-deliveries", False) for name in ("int-incb", "int-interpol", "int-unodc")),
        ("jp", "receive", "controlled-deliveries", True),
        ("jp", "subscribe", "controlled-deliveries", False),
        ("jp", "subscribe", "seizures", True),
        ("fr", "subscribe", "controlled-deliveries", True),
    ],
)
def test_organisations_and_partners_have_narrower_rules(who: str, action: Any, theme: str, *, permitted: bool) -> None:
    kind = "organisation" if who.startswith("int-") else "police"
    facts = question({"recipient": who, "recipient_kind": kind, "topic": f"osce.{theme}"})
    if action == "subscribe":
        assert facts.recipient is not None
        facts = replace(facts, action=action, act="subscribe", label=None, sender=facts.recipient)
    laws = {state: compile_profile(SILENT.format(state=state).encode(), today=TODAY) for state in ("al", "fr", "jp")}
    assert answer(facts, rules(laws), evaluator="desk").verdict.permitted is permitted


@cache
def europe() -> Rules:
    return rules({**{state: on_baseline(state) for state in COE}, **{name: law(name) for name in ("kz", "tj", "uz")}})


def test_who_may_receive_what_albania_asks() -> None:
    found = {
        state: answer(question({"recipient": state}), europe(), evaluator="desk") for state in OSCE if state != "al"
    }
    denied = {state: said for state, said in found.items() if not said.verdict.permitted}
    why = {state: {one.condition for one in said.verdict.determining} for state, said in denied.items()}
    assert why.pop("be") == {"be-cd-intervention", "be-cd-language"}
    assert why.pop("nl") == {"nl-cd-off-the-market"}
    for state in ("kz", "tj", "uz"):
        assert why.pop(state) == {"coe-adequacy", "coe-death-penalty"}
    # Whoever has no law profile takes no part; Albania's own law speaks besides.
    assert set(why) == set(OSCE) - set(COE) - {"kz", "tj", "uz"}
    assert all("no-profile" in conditions for conditions in why.values())
    assert all(not denied[state].changes for state in why)
    assert all(found[state].verdict.obligations for state in COE if state != "al")


def test_what_it_says_would_be_lawful_is() -> None:
    mended = {
        **LAWFUL,
        "conditions": stated(("no-death-penalty-use", ()), ("transfer-basis", ("safeguards",))),
    }
    for state in (*COE, "kz", "tj", "uz"):
        if state != "al":
            assert answer(question({**mended, "recipient": state}), europe(), evaluator="desk").verdict.permitted


def test_the_worked_case_goes_through_four_states() -> None:
    label, content = case()
    assert label.nominal
    assert content.states == {"al", *WAY}
    request = json.loads((PACKS / "cases" / "albania.json").read_bytes())
    assert [place["country"] for place in request["notice"]["route"]["transit"]] == ["IT", "AT", "DE"]


def test_the_draft_of_the_case_changes_two_conditions_in_all_languages():
    before, after = (law_of(text.encode()) for text in (case_cast.law_text("al") or "", case_cast.draft_text()))
    old, new = ({one.id: one for one in parse_profile(data).conditions} for data in (before, after))
    assert list(old) == list(new)
    changed = {name for name in old if old[name] != new[name]}
    assert changed == {"coe-adequacy", "coe-death-penalty"}
    assert all(new[name].explanation.missing() == () for name in changed)
    assert all(new[name].explanation != old[name].explanation for name in changed)
