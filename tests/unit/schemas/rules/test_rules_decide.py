"""Decisions by example: what a person who reads the design would expect, under the founding network."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from schemas.ids import Code, ParticipantId, Role, Topic, role_of
from schemas.label import Condition, Label
from schemas.rules.compile import Rules, compile_rules
from schemas.rules.decide import decide
from schemas.rules.facts import Action, Facts, Party
from schemas.rules.founding import OSCE
from schemas.rules.network import default_network
from schemas.rules.profile import compile_profile
from schemas.rules.verdict import Verdict

TODAY = date(2026, 1, 1)


def toml(state: str, *conditions: str) -> bytes:
    head = f'form = "law/0"\nstate = "{state}"\nversion = "1"\nillustration = true\n'
    mild = (
        '[[condition]]\nid="mild"\ninstrument="Act"\narticle="1"\neffect="oblige"\nobligation="copy-to-focal-point"\n'
    )
    return (head + mild + 'applies_to={nominal=true}\nexplanation={en="Copy it."}\n' + "".join(conditions)).encode()


def deny(name: str, applies_to: str) -> str:
    return (
        f'[[condition]]\nid="{name}"\ninstrument="Precursor act"\narticle="12(2)"\neffect="deny"\n'
        f'applies_to={{{applies_to}}}\nexplanation={{en="Not over this network."}}\n'
    )


@pytest.fixture(scope="module")
def rules() -> Rules:
    laws = {Role(state): compile_profile(toml(state), today=TODAY) for state in OSCE if state != "sm"}
    for state, applies_to in (
        ("uz", 'direction="receive", kinds=["precursor"], nominal=true'),
        ("tj", 'direction="send", themes=["seizures"], counterparts=["eu", "int-unodc"]'),
        ("fr", 'direction="send", nominal=true, counterparts_except=["coe"]'),
        ("kg", 'direction="both", tlp=["red"]'),
        ("ru", 'counterparts=["no-such-group"], purpose=["training"]'),
    ):
        laws[Role(state)] = compile_profile(toml(state, deny("strict", applies_to)), today=TODAY)
    laws[Role("de")] = b"{}"
    return compile_rules(version=3, boundary=None, network=default_network(), laws=laws)


def party(who: str, kind: str = "customs", **other: Any) -> Party:
    name = ParticipantId(who)
    return replace(Party(name, role_of(name), kind, (), None, suspended=False), **other)


def label(**other: Any) -> Label:
    usual = Label(
        kind=Code("seizure"),
        handling=(),
        tlp=Code("amber"),
        pap=Code("amber"),
        classification=None,
        urgency=None,
        purpose=Code("investigation"),
        legal_basis=Code("untoc"),
        nominal=False,
        exercise=False,
        reply_due=None,
        conditions=(),
    )
    return replace(usual, **other)


def ask(
    rules: Rules,
    action: Action,
    sender: Party,
    recipient: Party | None = None,
    topic: str | None = "central-asia.seizures",
    act: str = "issue",
    **labelled: Any,
) -> Verdict:
    about = None if topic is None or action not in ("publish", "receive") else label(**labelled)
    facts = Facts(action, act, None if topic is None else Topic(topic), about, sender, recipient)
    return decide(facts, rules, evaluator="broker")


def found(verdict: Verdict) -> list[str]:
    return [item.condition for item in verdict.determining]


KZ = party("kz/customs")
UZ = party("uz/police", "police")
KG = party("kg/police", "police")
FOCAL = party("kz/focal-point", "focal-point")
UNODC = party("int/unodc/desk", "organisation")
JAPAN = party("jp/police", "police")
AUDITOR = party("audit/one", "auditor")


def test_a_notice_between_two_states_is_permitted_by_a_named_grant(rules: Rules) -> None:
    asked: tuple[tuple[Action, Party | None], ...] = (("publish", None), ("receive", UZ))
    for action, recipient in asked:
        verdict = ask(rules, action, KZ, recipient)
        assert verdict.permitted
        assert found(verdict) == ["states-exchange"]
        assert "1048" in verdict.determining[0].instrument
        assert (verdict.directory, verdict.boundary, verdict.obligations) == (3, None, ())


def test_a_denial_names_state_instrument_article_reason_and_evaluator(rules: Rules) -> None:
    verdict = ask(rules, "receive", KZ, UZ, "central-asia.precursors", kind=Code("precursor"), nominal=True)
    denial = verdict.first_denial()
    assert denial is not None
    assert (denial.condition, denial.layer, denial.state, denial.effect) == ("strict", "law", "uz", "deny")
    assert (denial.instrument, denial.article, denial.evaluated_by) == ("Precursor act", "12(2)", "broker")
    assert denial.reason_in("fr") == denial.reason_in("en") == "Not over this network."
    # What is owed is said even where it is denied: of both States, the sender's first.
    assert [(item.state, item.obligation) for item in verdict.obligations] == [
        ("kz", "copy-to-focal-point"),
        ("uz", "copy-to-focal-point"),
    ]


@pytest.mark.parametrize(
    "changed", [{"nominal": False}, {"kind": Code("seizure")}], ids=["without nominal data", "another kind"]
)
def test_what_the_condition_is_not_about_stays_permitted(rules: Rules, changed: dict[str, Any]) -> None:
    about: dict[str, Any] = {"kind": Code("precursor"), "nominal": True} | changed
    assert ask(rules, "receive", KZ, UZ, "central-asia.precursors", **about).permitted


def test_the_law_of_the_receiving_state_does_not_bind_what_it_sends(rules: Rules) -> None:
    assert ask(rules, "receive", UZ, KZ, "central-asia.precursors", kind=Code("precursor"), nominal=True).permitted
    assert ask(rules, "publish", UZ, None, "central-asia.precursors", kind=Code("precursor"), nominal=True).permitted


def test_counterparts_are_asked_for_each_recipient_and_not_when_publishing(rules: Rules) -> None:
    tajik = party("tj/customs")
    assert ask(rules, "publish", tajik).permitted
    assert ask(rules, "receive", tajik, UZ).permitted
    assert found(ask(rules, "receive", tajik, party("fr/customs"))) == ["strict"]
    assert found(ask(rules, "receive", tajik, UNODC)) == ["no-grant", "strict"]


def test_all_but_a_group(rules: Rules) -> None:
    french = party("fr/customs")
    assert ask(rules, "receive", french, party("it/customs"), nominal=True).permitted
    assert ask(rules, "receive", french, party("fr/police", "police"), nominal=True).permitted
    assert found(ask(rules, "receive", french, UZ, nominal=True)) == ["strict"]
    assert ask(rules, "receive", french, UZ).permitted


def test_inside_one_state_a_condition_of_both_directions_is_said_once(rules: Rules) -> None:
    verdict = ask(rules, "receive", KG, party("kg/customs"), tlp=Code("red"), nominal=True)
    assert found(verdict) == ["strict"]
    assert [item.condition for item in verdict.obligations] == ["mild"]


def test_a_group_that_the_network_does_not_know_denies_where_it_could_apply(rules: Rules) -> None:
    russian = party("ru/customs")
    verdict = ask(rules, "receive", KZ, russian, purpose=Code("training"))
    assert found(verdict) == ["unevaluable"]
    assert verdict.determining[0].parameters == {"condition": "strict"}
    assert verdict.determining[0].instrument == "Precursor act"
    assert ask(rules, "receive", KZ, russian).permitted


def test_a_state_without_a_profile_and_one_whose_profile_cannot_be_read_take_no_part(rules: Rules) -> None:
    assert rules.unreadable.keys() == {"de"}
    for state, condition in (("sm", "no-profile"), ("de", "unevaluable")):
        there = party(f"{state}/police", "police")
        assert found(ask(rules, "publish", there)) == [condition]
        assert found(ask(rules, "receive", KZ, there)) == [condition]
        assert found(ask(rules, "receive", there, KZ)) == [condition]
        assert found(ask(rules, "subscribe", there, act="subscribe")) == [condition]
        # It may always leave, and take back a key that it lost.
        assert ask(rules, "subscribe", there, act="unsubscribe").permitted
        assert ask(rules, "administer", there, topic=None, act="revoke_key").permitted


def test_a_suspended_participant_neither_sends_nor_receives(rules: Rules) -> None:
    away = replace(UZ, suspended=True)
    assert found(ask(rules, "receive", KZ, away)) == ["suspended"]
    assert found(ask(rules, "receive", away, KZ)) == ["suspended"]
    assert found(ask(rules, "publish", away)) == ["suspended"]
    assert found(ask(rules, "receive", away, away)) == ["suspended"]


def test_organisations_receive_four_themes_and_partners_all(rules: Rules) -> None:
    assert ask(rules, "receive", KZ, UNODC, "osce.routes", kind=Code("route")).permitted
    assert found(ask(rules, "receive", KZ, UNODC, "osce.seizures")) == ["no-grant"]
    laws = {Role(state): compile_profile(toml(state), today=TODAY) for state in ("jp", "kz")}
    with_japan = compile_rules(version=1, boundary=None, network=default_network(), laws=laws)
    assert found(ask(with_japan, "receive", KZ, JAPAN, "osce.controlled-deliveries")) == ["partners-exchange"]
    assert ask(with_japan, "publish", JAPAN).permitted
    assert ask(with_japan, "subscribe", JAPAN, topic="*.precursors", act="subscribe").permitted
    assert not ask(with_japan, "subscribe", JAPAN, topic="osce.controlled-deliveries", act="subscribe").permitted


def test_everybody_may_acknowledge_without_topic_and_label(rules: Rules) -> None:
    for sender, recipient in ((KZ, UZ), (UNODC, KZ), (AUDITOR, KZ)):
        assert ask(rules, "publish", sender, None, None, "acknowledge").permitted
        assert ask(rules, "receive", sender, recipient, None, "acknowledge").permitted


def test_a_pattern_needs_a_grant_for_every_topic_under_it(rules: Rules) -> None:
    assert ask(rules, "subscribe", KZ, KZ, "central-asia.*", "subscribe").permitted
    assert ask(rules, "subscribe", KZ, None, None, "subscribe").permitted
    assert ask(rules, "subscribe", UNODC, None, "*.routes", "subscribe").permitted
    assert found(ask(rules, "subscribe", UNODC, None, "osce.*", "subscribe")) == ["no-grant"]
    assert found(ask(rules, "subscribe", UNODC, None, None, "subscribe")) == ["no-grant"]
    assert found(ask(rules, "subscribe", KZ, None, "atlantis.*", "subscribe")) == ["unknown-code"]


def test_an_organisation_has_a_focal_point_too(rules: Rules) -> None:
    focal = party("int/unodc/focal-point", "focal-point")
    assert ask(rules, "receive", KZ, focal, "osce.routes").permitted
    assert ask(rules, "subscribe", focal, UNODC, "osce.routes", "subscribe").permitted
    assert ask(rules, "subscribe", focal, UNODC, "osce.routes", "unsubscribe").permitted
    assert ask(rules, "administer", focal, UNODC, None, "revoke_key").permitted
    assert found(ask(rules, "administer", focal, party("int/incb/desk", "organisation"), None, "revoke_key")) == [
        "no-grant"
    ]


def test_one_subscribes_for_itself_and_a_focal_point_for_its_state(rules: Rules) -> None:
    assert ask(rules, "subscribe", FOCAL, KZ, act="subscribe").permitted
    assert found(ask(rules, "subscribe", FOCAL, UZ, act="subscribe")) == ["no-grant"]
    assert found(ask(rules, "subscribe", KZ, party("kz/police", "police"), act="subscribe")) == ["no-grant"]
    without = party("sm/focal-point", "focal-point")
    assert "no-profile" in found(ask(rules, "subscribe", FOCAL, without, act="subscribe"))


def test_a_focal_point_administers_its_own_state(rules: Rules) -> None:
    for act in ("revoke_key", "delegate"):
        assert ask(rules, "administer", FOCAL, KZ, None, act).permitted
        assert found(ask(rules, "administer", FOCAL, UZ, None, act)) == ["no-grant"]
    assert ask(rules, "administer", KZ, None, None, "revoke_key").permitted
    assert ask(rules, "administer", KZ, KZ, None, "revoke_key").permitted
    assert found(ask(rules, "administer", KZ, FOCAL, None, "revoke_key")) == ["no-grant"]
    assert found(ask(rules, "administer", KZ, KZ, None, "delegate")) == ["no-grant"]


def test_auditors_audit_and_do_nothing_else(rules: Rules) -> None:
    assert ask(rules, "audit", AUDITOR, None, None, "audit").permitted
    assert ask(rules, "audit", AUDITOR, KZ, None, "audit").permitted
    national = party("kz/audit-office", "auditor")
    assert ask(rules, "audit", national, KZ, None, "audit").permitted
    assert found(ask(rules, "audit", national, UZ, None, "audit")) == ["no-grant"]
    assert found(ask(rules, "audit", national, None, None, "audit")) == ["no-grant"]
    assert found(ask(rules, "audit", KZ, KZ, None, "audit")) == ["no-grant"]
    assert found(ask(rules, "publish", AUDITOR)) == ["no-grant"]
    assert found(ask(rules, "receive", KZ, national)) == ["no-grant"]


def test_who_is_not_in_the_network_has_nothing(rules: Rules) -> None:
    stranger = party("zz/police", "police")
    assert found(ask(rules, "publish", stranger)) == ["no-grant", "no-profile"]
    assert found(ask(rules, "receive", stranger, stranger)) == ["no-grant", "no-profile"]


def test_ones_own_copy_is_stopped_by_no_law_and_no_handling_code(rules: Rules) -> None:
    about: dict[str, Any] = {
        "kind": Code("precursor"),
        "nominal": True,
        "handling": (Code("h2"),),
        "classification": Code("secret"),
    }
    verdict = ask(rules, "receive", UZ, UZ, "central-asia.precursors", **about)
    assert found(verdict) == ["own-copy"]
    assert verdict.obligations == ()
    assert found(ask(rules, "receive", UZ, UZ, "central-asia.precursors", tlp=Code("mauve"))) == ["unknown-code"]


@pytest.mark.parametrize(
    "member",
    ["kind", "tlp", "pap", "classification", "urgency", "purpose", "legal_basis"],
)
def test_an_unknown_code_anywhere_in_the_label_denies(rules: Rules, member: str) -> None:
    asked: tuple[tuple[Action, Party | None], ...] = (
        ("publish", None),
        ("receive", replace(UZ, clearance="top-secret")),
    )
    for action, recipient in asked:
        verdict = ask(rules, action, KZ, recipient, **{member: Code("xyzzy")})
        assert "unknown-code" in found(verdict)
        assert verdict.determining[0].parameters == {"member": f"/label/{member}"}


def test_unknown_regions_themes_handling_codes_and_kinds_of_participant_deny(rules: Rules) -> None:
    for topic in ("atlantis.seizures", "central-asia.unicorns", "*.seizures"):
        assert found(ask(rules, "publish", KZ, None, topic)) == ["unknown-code"]
    assert found(ask(rules, "publish", KZ, handling=(Code("h9"),))) == ["unknown-code", "unevaluable"]
    assert found(ask(rules, "publish", party("kz/circus", "circus"))) == ["unknown-code", "no-grant"]


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        (Condition(Code("excluded-states"), (Code("uz"),)), "excluded-states"),
        (Condition(Code("excluded-states"), (Code("osce"),)), "excluded-states"),
        (Condition(Code("excluded-states"), (Code("jp"), Code("tj"))), None),
        (Condition(Code("excluded-states"), ()), "unevaluable"),
        (Condition(Code("excluded-states"), (Code("moon"),)), "unknown-code"),
        (Condition(Code("excluded-agencies"), (Code("police"),)), "excluded-agencies"),
        (Condition(Code("excluded-agencies"), (Code("uz-police"),)), "excluded-agencies"),
        (Condition(Code("excluded-agencies"), (Code("uz-customs"),)), None),
        (Condition(Code("excluded-agencies"), (Code("moon-base"),)), "unknown-code"),
        (Condition(Code("delete-by"), (Code("2026-02-29"),)), "unevaluable"),
        (Condition(Code("delete-by"), ()), "unevaluable"),
        (Condition(Code("intelligence-only"), (Code("why"),)), "unknown-code"),
        (Condition(Code("sing-a-song"), ()), "unknown-code"),
    ],
)
def test_conditions_of_the_originator(rules: Rules, condition: Condition, outcome: str | None) -> None:
    verdict = ask(rules, "receive", KZ, UZ, handling=(Code("h3"),), conditions=(condition,))
    assert found(verdict) == (["states-exchange"] if outcome is None else [outcome])
    published = ask(rules, "publish", KZ, handling=(Code("h3"),), conditions=(condition,))
    assert published.permitted is (outcome is None or outcome.startswith("excluded-"))


def test_h3_without_a_condition_cannot_be_evaluated(rules: Rules) -> None:
    assert found(ask(rules, "receive", KZ, UZ, handling=(Code("h3"),))) == ["unevaluable"]


def test_handling_codes_and_conditions_oblige_the_recipient(rules: Rules) -> None:
    conditions = (Condition(Code("delete-by"), (Code("2026-12-31"),)), Condition(Code("intelligence-only"), ()))
    about: dict[str, Any] = {"handling": (Code("h0"), Code("h1"), Code("h2"), Code("h3")), "conditions": conditions}
    verdict = ask(rules, "receive", KZ, UZ, **about)
    assert verdict.permitted
    assert [(item.condition, item.obligation, dict(item.parameters)) for item in verdict.obligations] == [
        ("h0", "only-against-crime", {}),
        ("h1", "ask-before-court", {}),
        ("h2", "ask-before-sharing", {}),
        ("delete-by", "delete-by", {"values": ("2026-12-31",)}),
        ("intelligence-only", "intelligence-only", {}),
    ]
    assert ask(rules, "publish", KZ, **about).obligations == ()


@pytest.mark.parametrize(
    ("clearance", "classification", "outcome"),
    [
        (None, None, True),
        (None, "restricted", False),
        ("restricted", "restricted", True),
        ("top-secret", "restricted", True),
        ("confidential", "secret", False),
        ("cosmic", "restricted", False),
    ],
)
def test_a_clearance_reaches_its_own_rank(
    rules: Rules, clearance: str | None, classification: str | None, outcome: bool
) -> None:
    code = None if classification is None else Code(classification)
    verdict = ask(rules, "receive", KZ, replace(UZ, clearance=clearance), classification=code)
    assert verdict.permitted is outcome
    assert outcome or found(verdict) == ["clearance"]


@pytest.mark.parametrize(
    ("action", "act", "topic", "lacking"),
    [
        ("publish", "teleport", "osce.routes", "act"),
        ("publish", "issue", None, "topic"),
        ("receive", "issue", "osce.routes", "recipient"),
    ],
)
def test_a_lacking_fact_denies(rules: Rules, action: Action, act: str, topic: str | None, lacking: str) -> None:
    denial = ask(rules, action, KZ, None, topic, act).first_denial()
    assert denial is not None
    assert (denial.condition, denial.parameters) == ("unevaluable", {"lacking": lacking})


def test_a_lacking_label_denies(rules: Rules) -> None:
    facts = Facts("publish", "issue", Topic("osce.routes"), None, KZ, None)
    denial = decide(facts, rules, evaluator="broker").first_denial()
    assert denial is not None
    assert denial.parameters == {"lacking": "label"}


def test_acts_that_cannot_be_blocked_are_decided_all_the_same(rules: Rules) -> None:
    about: dict[str, Any] = {"kind": Code("precursor"), "nominal": True}
    assert not ask(rules, "receive", KZ, UZ, "central-asia.precursors", "recall", **about).permitted


def test_verdicts_can_be_compared_hashed_and_are_of_stable_form(rules: Rules) -> None:
    first, second = (ask(rules, "receive", KZ, UZ, handling=(Code("h0"),)) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert first.to_json() == {
        "permitted": True,
        "determining": [
            {
                "condition": "states-exchange",
                "layer": "network",
                "state": None,
                "effect": "permit",
                "instrument": "OSCE Permanent Council Decision No. 1048 (2012)",
                "article": "paragraphs 15, 19 and 20",
                "reason": dict(first.determining[0].reason),
                "evaluated_by": "broker",
                "obligation": None,
                "parameters": {},
            }
        ],
        "obligations": [item.to_json() for item in first.obligations],
        "directory": 3,
        "boundary": None,
        "unseen": [],
    }
    assert list(first.determining[0].reason) == ["en", "fr", "de", "it", "ru", "es"]
