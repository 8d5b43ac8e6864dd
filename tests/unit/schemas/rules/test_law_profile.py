"""Profiles of `law/1` as their authors write them: each mistake with its own problem, and what reads oddly."""

import re
from datetime import date
from typing import Any

import orjson
import pytest

from schemas.codes import LANGUAGES
from schemas.errors import FormError
from schemas.ids import Role
from schemas.rules.authoring import compile_profile
from schemas.rules.condition import (
    LabelProfile,
    LawProfile,
    encode_profile,
    own_profile,
    parse_profile,
    sentence,
    sentences,
)
from schemas.rules.flaws import check_flawless, profile_flaws
from schemas.rules.remarks import SENTENCES
from schemas.rules.review import check_profile
from schemas.rules.vocabulary import vocabulary
from tests.unit.schemas.rules.laws import law, law_condition

TODAY = date(2026, 12, 1)
HEAD = 'form = "law/1"\nstate = "kz"\nversion = "1"\n'


def condition(type_: str, *lines: str, id_: str = "one") -> str:
    start = f'\n[[condition]]\nid = "{id_}"\ntype = "{type_}"\ninstrument = "An act"\narticle = "1"\n'
    return start + "".join(f"{line}\n" for line in lines)


PURPOSES = 'parameters = { purposes = ["prosecution", "investigation"] }'
FULL = 'explanation = { en = "A", fr = "B", de = "C", it = "D", ru = "E", es = "F" }'


def made(text: str) -> LawProfile:
    profile = parse_profile(compile_profile(text.encode(), today=TODAY))
    assert isinstance(profile, LawProfile)
    return profile


def test_what_the_type_says_need_not_be_written() -> None:
    (item,) = made(
        HEAD + condition("cd-authority", 'parameters = { authorities = ["prosecutor", "court"] }')
    ).conditions
    assert (item.effect, item.inputs, item.explanation) == ("require", "content", None)
    assert item.parameters == {"authorities": ("court", "prosecutor")}
    assert sentence(item, "de").startswith("Eine kontrollierte Lieferung braucht")


def test_the_states_own_sentence_comes_first_and_the_types_stands_in_for_languages_that_lack() -> None:
    (item,) = made(HEAD + condition("purpose", PURPOSES, 'explanation = { en = "Only so." }')).conditions
    said = sentences(item)
    assert (said["en"], said["fr"][:6]) == ("Only so.", "La loi")
    assert sentence(item, "xx") == "Only so."


def test_reading_and_writing_are_inverse() -> None:
    data = compile_profile((HEAD + condition("retention", "parameters = { days = 30 }")).encode(), today=TODAY)
    assert encode_profile(parse_profile(data)) == data


@pytest.mark.parametrize(
    ("text", "problem", "pointer", "line", "says"),
    [
        ("{ purposes = [1] }", "invalid-form", "/conditions/0/parameters/purposes", 10, "list of codes"),
        ("{ purposes = [] }", "invalid-form", "/conditions/0/parameters/purposes", 10, "list of codes"),
        (
            '{ purposes = ["border-security", "border-security"] }',
            "invalid-form",
            "/conditions/0/parameters/purposes",
            10,
            "once",
        ),
        ("{ purposes = true }", "invalid-form", "/conditions/0/parameters/purposes", 10, "list of codes"),
        ("{ purposes = -1 }", "invalid-form", "/conditions/0/parameters/purposes", 10, "list of codes"),
        ("{ purposes = 5 }", "invalid-form", "/conditions/0/parameters/purposes", 10, "list of codes"),
        ('{ purposes = "investigation" }', "invalid-form", "/conditions/0/parameters/purposes", 10, "list of codes"),
        ("{ Purposes = 5 }", "invalid-form", "/conditions/0/parameters", 10, "lower-case"),
        ('{ more = "a" }', "invalid-form", "/conditions/0/parameters", 10, "It has: purposes"),
        ("{}", "invalid-form", "/conditions/0/parameters/purposes", 10, "Purposes that are permitted"),
        ('{ purposes = ["gossip"] }', "law-unknown-code", "/conditions/0/parameters/purposes", 10, "border-security"),
        ("3", "invalid-form", "/conditions/0/parameters", 10, "object"),
    ],
)
def test_parameters_are_held_against_their_type(text: str, problem: str, pointer: str, line: int, says: str) -> None:
    with pytest.raises(FormError) as refused:
        made(HEAD + condition("purpose", f"parameters = {text}"))
    error = refused.value
    assert (error.code, error.pointer, error.offset) == (problem, pointer, line)
    assert says in error.detail


@pytest.mark.parametrize(
    ("text", "problem", "pointer", "says"),
    [
        (condition("purpose", PURPOSES, 'effect = "permit"'), "law-scope", "/conditions/0/effect", "stricter"),
        (condition("purpose", PURPOSES, 'state = "de"'), "law-scope", "/conditions/0/effect", "stricter"),
        (condition("purpose", PURPOSES, 'effect = "oblige"'), "invalid-form", "/conditions/0/effect", "require"),
        (condition("purpose", PURPOSES, 'inputs = "content"'), "invalid-form", "/conditions/0/inputs", "label"),
        (condition("no-such"), "law-unknown-code", "/conditions/0/type", "retention"),
        (condition("retention", "parameters = { days = 0 }"), "invalid-form", "/conditions/0/parameters/days", "36500"),
        (
            condition("retention", 'parameters = { days = "x" }'),
            "invalid-form",
            "/conditions/0/parameters/days",
            "days",
        ),
        (
            condition("clearance", "parameters = { least = 3 }"),
            "invalid-form",
            "/conditions/0/parameters/least",
            "one code",
        ),
        (
            condition("cd-language", 'parameters = { languages = ["deutsch"] }'),
            "law-unknown-code",
            "/conditions/0/parameters/languages",
            "such as de",
        ),
        (condition("cd-last-resort", "parameters = { x = 1 }"), "invalid-form", "/conditions/0/parameters", "none"),
        (condition("purpose", PURPOSES) * 2, "law-overlap", "/conditions/1/valid_from", "same id"),
        (
            condition("purpose", PURPOSES, "valid_to = 2027-01-01")
            + condition("purpose", PURPOSES, "valid_from = 2026-12-31"),
            "law-overlap",
            "/conditions/1/valid_from",
            "same id",
        ),
        (condition("purpose", PURPOSES, id_="no-grant"), "invalid-form", "/conditions/0/id", "rules themselves"),
        (
            condition("purpose", PURPOSES, "valid_from = 2027-01-01", "valid_to = 2027-01-01"),
            "invalid-form",
            "/conditions/0/valid_to",
            "later",
        ),
    ],
)
def test_each_mistake_has_its_problem(text: str, problem: str, pointer: str, says: str) -> None:
    with pytest.raises(FormError) as refused:
        made(HEAD + text)
    error = refused.value
    assert (error.code, error.pointer) == (problem, pointer)
    assert error.offset is not None
    assert says in error.detail


def test_the_head_is_read_too() -> None:
    for head, pointer in (
        (HEAD.replace("law/1", "law/7"), "/form"),
        (HEAD.replace('form = "law/1"\n', ""), "/form"),
        (HEAD + 'simulation = "abc"\n', "/simulation"),
        (HEAD + 'source = ""\n', "/source"),
    ):
        with pytest.raises(FormError) as refused:
            made(head + condition("purpose", PURPOSES))
        assert refused.value.pointer == pointer
    with pytest.raises(FormError) as refused:
        compile_profile((HEAD + condition("purpose", PURPOSES)).encode(), today=TODAY, state=Role("fr"))
    assert refused.value.code == "law-scope"


def test_conditions_that_are_not_tables_have_no_line_rather_than_a_wrong_one() -> None:
    inline = 'condition = [{ id = "one", type = "purpose", instrument = "A", article = "1" }]\n'
    with pytest.raises(FormError) as refused:
        made(HEAD + inline)
    assert (refused.value.pointer, refused.value.offset) == ("/conditions/0/parameters/purposes", None)


def test_a_later_text_of_the_same_provision_begins_where_the_earlier_ends() -> None:
    first = condition("retention", "parameters = { days = 90 }", "valid_to = 2027-01-01")
    then = condition("retention", "parameters = { days = 30 }", "valid_from = 2027-01-01")
    profile = made(HEAD + then + first)
    assert [item.parameters for item in profile.conditions] == [{"days": 90}, {"days": 30}]
    turned: dict[str, Any] = orjson.loads(encode_profile(profile))
    turned["conditions"].reverse()
    with pytest.raises(FormError, match="sorted"):
        parse_profile(orjson.dumps(turned))


def test_another_states_profile_is_no_states_own() -> None:
    data = orjson.dumps(law("it", [law_condition("c", "death-penalty", "require")]))
    assert own_profile(Role("it"), data).state == "it"
    with pytest.raises(FormError) as refused:
        own_profile(Role("al"), data)
    assert refused.value.code == "law-scope"


def test_what_a_newer_version_wrote_can_be_read_and_is_flawed() -> None:
    known = vocabulary()
    newer = parse_profile(orjson.dumps(law("it", [law_condition("c", "brand-new", "require", {"x": 1})])))
    assert [(number, flaw.member) for number, flaw in profile_flaws(newer, known)] == [(0, "type")]
    assert sentence(newer.conditions[0], "en") == ""
    assert "type has a code that is not in the list" in check_profile(newer)[0].text()
    with pytest.raises(FormError) as refused:
        check_flawless(newer, known)
    assert refused.value.pointer == "/conditions/0/type"
    with pytest.raises(FormError) as refused:
        parse_profile(orjson.dumps({**law("it", []), "form": "law/9"}))
    assert refused.value.pointer == "/form"
    old = {**law("it", [])}
    for name in ("source", "simulation"):
        del old[name]
    label = {
        **law_condition("c", "x", "oblige", explanation=dict.fromkeys(("fr", "de", "it", "ru", "es"))),
        "obligation": "sing",
    }
    label["explanation"] = {"en": "So.", **label["explanation"]}
    order = (
        "id",
        "instrument",
        "article",
        "applies_to",
        "effect",
        "obligation",
        "explanation",
        "valid_from",
        "valid_to",
        "inputs",
    )
    older = parse_profile(orjson.dumps({**old, "form": "law/0", "conditions": [{name: label[name] for name in order}]}))
    assert isinstance(older, LabelProfile)
    assert (older.conditions[0].type, older.conditions[0].parameters) == ("duty", {"obligation": "sing"})
    assert [(number, flaw.member) for number, flaw in profile_flaws(older, known)] == [(0, "obligation")]


def warnings(*conditions: str) -> list[str]:
    return [one.text() for one in check_profile(made(HEAD + "".join(conditions)), today=TODAY)]


@pytest.mark.parametrize(
    ("conditions", "says"),
    [
        ([condition("purpose", PURPOSES)], "has no explanation of its own"),
        ([condition("purpose", PURPOSES, 'explanation = { en = "A" }')], "no explanation in fr, de, it, ru, es"),
        (
            [condition("cd-last-resort", FULL, 'applies_to = { kinds = ["route"] }')],
            "can never apply: the type cd-last-resort is about controlled-delivery only",
        ),
        (
            [
                condition(
                    "minors", FULL, 'effect = "deny"', "parameters = { years = 18 }", "applies_to = { nominal = false }"
                )
            ],
            "can never apply: the type minors is about nominal notices only",
        ),
        ([condition("purpose", PURPOSES, FULL, 'applies_to = { purpose = ["investigation"] }')], "can never deny"),
        ([condition("purpose", PURPOSES, FULL, 'applies_to = { purpose = ["prevention"] }')], "always denies"),
        (
            [condition("cd-forbidden", FULL), condition("cd-last-resort", FULL, id_="two")],
            "two: never decides anything: wherever it applies, one denies.",
        ),
        (
            [
                condition("purpose", PURPOSES, FULL),
                condition("purpose", FULL, 'parameters = { purposes = ["prevention"] }', id_="two"),
            ],
            "two: contradicts one: nothing meets both.",
        ),
        (
            [
                condition("cd-substitution", FULL, 'parameters = { rule = "mandatory" }'),
                condition("cd-substitution", FULL, 'parameters = { rule = "forbidden" }', id_="two"),
            ],
            "two: contradicts one: nothing meets both.",
        ),
    ],
)
def test_what_reads_oddly_is_said(conditions: list[str], says: str) -> None:
    assert any(says in one for one in warnings(*conditions)), warnings(*conditions)


def test_what_reads_well_is_left_alone() -> None:
    other = 'parameters = { purposes = ["investigation", "prevention"] }'
    assert warnings(condition("purpose", PURPOSES, FULL), condition("purpose", other, FULL, id_="two")) == []
    narrow = condition(
        "purpose", 'parameters = { purposes = ["prevention"] }', FULL, 'applies_to = { themes = ["online"] }'
    )
    apart = condition("purpose", PURPOSES, FULL, 'applies_to = { themes = ["routes"] }', id_="two")
    assert warnings(narrow, apart) == []
    leave = condition("evidence-consent", 'effect = "oblige"', FULL)
    online = condition(
        "evidence-consent", 'effect = "require"', FULL, 'applies_to = { themes = ["online"] }', id_="two"
    )
    assert warnings(leave, online) == []
    partly = condition("purpose", PURPOSES, FULL, 'applies_to = { purpose = ["investigation", "prevention"] }')
    assert warnings(partly) == []


def test_flaws_of_a_profile_that_is_not_ones_own_text_are_warnings() -> None:
    flawed = parse_profile(orjson.dumps(law("it", [law_condition("c", "retention", "limit", {"days": 0})])))
    assert any("c: parameters/days: Must be a number of days" in one.text() for one in check_profile(flawed))


@pytest.mark.parametrize("code", SENTENCES)
def test_every_remark_says_the_same_values_in_six_languages(code: str) -> None:
    said = SENTENCES[code]
    assert tuple(said) == LANGUAGES
    assert len(set(said.values())) == len(LANGUAGES)
    places = [sorted(re.findall(r"{(\w+)}", text)) for text in said.values()]
    assert places == [places[0]] * len(LANGUAGES)


def test_a_remark_is_read_in_the_readers_language() -> None:
    (found,) = check_profile(made(HEAD + condition("purpose", PURPOSES)), today=TODAY)
    assert found.text("de") == "one: hat keine eigene Erklärung: gezeigt wird der allgemeine Satz des Typs purpose."
