"""Verdicts in words."""

import pytest

from schemas.codes import LANGUAGES
from schemas.encoding import Time
from schemas.ids import Code, Role
from schemas.rules.builtin import CONDITIONS, ENGINE, HANDLING
from schemas.rules.explain import explain, role_name
from schemas.rules.verdict import Determination, Effect, Verdict

DENIAL = Determination(
    condition=Code("precursor-red-in"),
    layer="law",
    state=Role("uz"),
    effect=Effect.DENY,
    instrument="Precursor act",
    article="12(2)",
    reason={"en": "Not over this network.", "ru": "Не по этой сети."},
    evaluated_by="broker",
)
OBLIGATION = Determination(
    condition=Code("delete-by"),
    layer="originator",
    state=None,
    effect=Effect.OBLIGE,
    instrument="Originator's handling condition",
    article="delete-by",
    reason=CONDITIONS[Code("delete-by")].reason,
    evaluated_by="broker",
    obligation=Code("delete-by"),
    parameters={"values": ("2026-12-31",), "by": "clock"},
)


def test_a_denial_names_state_article_and_reason() -> None:
    verdict = Verdict(permitted=False, determining=(DENIAL,), obligations=(), directory=12, boundary=None)
    assert explain(verdict, "en") == (
        "Denied: Uzbekistan, Precursor act, art. 12(2): Not over this network. "
        "[condition precursor-red-in; evaluated by broker]\n"
        "Decided under directory version 12."
    )
    assert explain(verdict, "ru").startswith("Отказано: Узбекистан, Precursor act, ст. 12(2): Не по этой сети. ")


def test_obligations_and_the_boundary_are_named() -> None:
    verdict = Verdict(
        permitted=True,
        determining=(),
        obligations=(OBLIGATION,),
        directory=12,
        boundary=Time("2026-02-01T00:00:00Z"),
    )
    assert explain(verdict, "fr") == (
        "Obligation: Originator's handling condition, delete-by: À supprimer avant la date indiquée. "
        "[condition delete-by: 2026-12-31, clock; évaluée par broker]\n"
        "Décidé selon la version de l'annuaire 12, validité au 2026-02-01T00:00:00Z."
    )


@pytest.mark.parametrize("language", [*LANGUAGES, "nl"])
def test_every_language_has_words_and_any_other_gets_english(language: str) -> None:
    verdict = Verdict(permitted=False, determining=(DENIAL,), obligations=(OBLIGATION,), directory=1, boundary=None)
    said = explain(verdict, language)
    assert len(said.splitlines()) == 3
    assert (said == explain(verdict, "en")) is (language in ("en", "nl"))


def test_roles_have_names() -> None:
    assert role_name(Role("kz"), "es") == "Kazajistán"
    assert role_name(Role("int-unodc"), "en") == "UNODC"
    assert role_name(Role("zz"), "en") == "ZZ"


def test_all_that_the_rules_say_themselves_is_there_in_six_languages() -> None:
    for rule in (*ENGINE.values(), *HANDLING.values(), *CONDITIONS.values()):
        assert tuple(rule.reason) == LANGUAGES
        assert all(rule.reason.values())


def test_a_reason_that_lacks_a_language_is_given_in_english() -> None:
    assert DENIAL.reason_in("de") == "Not over this network."
    assert DENIAL.reason_in("ru") == "Не по этой сети."


def test_a_determination_with_parameters_has_a_stable_form() -> None:
    assert OBLIGATION.to_json()["parameters"] == {"by": "clock", "values": ["2026-12-31"]}
    assert str(OBLIGATION.to_json()["parameters"]).startswith("{'by'")
