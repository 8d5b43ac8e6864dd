"""What a determination says, and in which languages."""

from schemas.codes import LANGUAGES
from schemas.ids import Code, Role
from schemas.rules.builtin import CONDITIONS, ENGINE, HANDLING
from schemas.rules.verdict import Determination, Effect

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
