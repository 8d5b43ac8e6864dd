"""`law.json` and the TOML it is made from: the form, the errors an author meets, and the warnings."""

import random
from collections.abc import Callable
from datetime import date
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Error, FormError, MalformedError, TooLargeError
from schemas.ids import Role
from schemas.limits import LIMITS
from schemas.rules.profile import check_profile, compile_profile, encode_profile, parse_profile
from tests.unit.schemas.rules import worlds

TODAY = date(2026, 1, 1)

HEAD = """form = "law/0"
state = "kz"
version = "1"
"""
ONE = """
[[condition]]
id = "one"
instrument = "An act"
article = "12(2)"
effect = "deny"
explanation = { en = "Not so." }
"""


def made(text: str, **other: Any) -> bytes:
    return compile_profile(text.encode(), today=TODAY, **other)


def law(change: Callable[[Any], Any]) -> bytes:
    document = orjson.loads(made(HEAD + ONE))
    change(document)
    return orjson.dumps(document)


@given(st.integers(0, 2**32))
def test_a_profile_is_read_and_written_the_same(seed: int) -> None:
    data = orjson.dumps(worlds.law(random.Random(seed), "kz"))
    assert encode_profile(parse_profile(data)) == data


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (lambda p: p.update(form="law/2"), "/form"),
        (lambda p: p.update(state="kaz"), "/state"),
        (lambda p: p.update(adopted="2026-13-01"), "/adopted"),
        (lambda p: p.update(conditions=[]), "/conditions"),
        (lambda p: p["conditions"].append(p["conditions"][0]), "/conditions"),
        (lambda p: p["conditions"][0].update(id="no-grant"), "/conditions/0/id"),
        (lambda p: p["conditions"][0].update(id="excluded-states"), "/conditions/0/id"),
        (lambda p: p["conditions"][0].update(inputs="content"), "/conditions/0/inputs"),
        (lambda p: p["conditions"][0].update(effect="require"), "/conditions/0/effect"),
        (lambda p: p["conditions"][0].update(effect="limit"), "/conditions/0/effect"),
        (lambda p: p["conditions"][0].update(effect="permit"), "/conditions/0/effect"),
        (lambda p: p["conditions"][0].update(effect="oblige"), "/conditions/0/obligation"),
        (lambda p: p["conditions"][0].update(obligation="delete-by"), "/conditions/0/obligation"),
        (
            lambda p: p["conditions"][0].update(valid_from="2026-02-01T00:00:00Z", valid_to="2026-01-01T00:00:00Z"),
            "/conditions/0/valid_to",
        ),
        (lambda p: p["conditions"][0]["applies_to"].update(kinds=[]), "/conditions/0/applies_to/kinds"),
        (lambda p: p["conditions"][0]["applies_to"].update(direction="up"), "/conditions/0/applies_to/direction"),
        (lambda p: p["conditions"][0]["applies_to"].update(nominal=1), "/conditions/0/applies_to/nominal"),
    ],
)
def test_what_the_form_does_not_allow_is_refused_with_its_place(change: Callable[[Any], Any], pointer: str) -> None:
    with pytest.raises(FormError) as refused:
        parse_profile(law(change))
    assert refused.value.pointer == pointer


def test_conditions_over_contents_are_refused_by_name() -> None:
    with pytest.raises(FormError, match=r"law/1"):
        parse_profile(law(lambda p: p["conditions"][0].update(inputs="content")))
    with pytest.raises(FormError, match=r"law/1"):
        made(HEAD + ONE + 'inputs = "content"\n')


def test_what_an_author_leaves_out_restricts_nothing() -> None:
    profile = parse_profile(made(HEAD + ONE))
    (condition,) = profile.conditions
    assert (profile.state, profile.adopted, profile.illustration, profile.baseline) == ("kz", "2026-01-01", False, None)
    assert (condition.inputs, condition.obligation, condition.valid_from, condition.valid_to) == (
        "label",
        None,
        None,
        None,
    )
    about = condition.applies_to.model_dump()
    assert about.pop("direction") == "both"
    assert set(about.values()) == {None}
    assert condition.explanation.missing() == ("fr", "de", "it", "ru", "es")


def test_order_of_conditions_and_of_lists_does_not_matter() -> None:
    two = ONE.replace('"one"', '"two"') + 'applies_to = { kinds = ["route", "precursor"], tlp = ["red", "amber"] }\n'
    turned = two.replace('["route", "precursor"]', '["precursor", "route"]').replace(
        '["red", "amber"]', '["amber", "red"]'
    )
    assert made(HEAD + ONE + two) == made(HEAD + turned + ONE)


def test_times_may_be_dates_texts_or_times_with_an_offset() -> None:
    def edges(text: str) -> tuple[str | None, str | None]:
        (condition,) = parse_profile(made(HEAD + ONE + text)).conditions
        return condition.valid_from, condition.valid_to

    expected = ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z")
    assert edges("valid_from = 2026-02-01\nvalid_to = 2026-03-01\n") == expected
    assert edges('valid_from = "2026-02-01"\nvalid_to = "2026-03-01T00:00:00Z"\n') == expected
    assert edges("valid_from = 2026-02-01T05:00:00+05:00\nvalid_to = 2026-03-01T00:00:00Z\n") == expected


def test_a_baseline_pack_gets_its_state_when_it_is_taken_over() -> None:
    pack = (HEAD + ONE).replace('state = "kz"', 'baseline = "eu-coe"')
    profile = parse_profile(made(pack, state=Role("fr")))
    assert (profile.state, profile.baseline) == ("fr", "eu-coe")
    assert made(HEAD + ONE, state=Role("kz")) == made(HEAD + ONE)
    with pytest.raises(FormError) as refused:
        made(HEAD + ONE, state=Role("fr"))
    assert refused.value.pointer == "/state"
    with pytest.raises(FormError) as refused:
        made(pack)
    assert refused.value.pointer == "/state"


@pytest.mark.parametrize(
    ("text", "pointer", "line", "says"),
    [
        (HEAD, "/condition", None, "[[condition]]"),
        (HEAD + 'condition = "none"', "/condition", None, "[[condition]]"),
        (HEAD + "condition = [1]", "/conditions/0", None, "object"),
        (HEAD + "v = 1\n" + ONE, "", None, "condition"),
        (HEAD + "conditions = []\n" + ONE, "", None, "condition"),
        (HEAD + "adopted = 2026-01-02\n" + ONE, "/adopted", 4, "future"),
        (HEAD + "adopted = 12:30:00\n" + ONE, "/adopted", None, "date"),
        (HEAD + "adopted = 1.5\n" + ONE, "/adopted", None, "date"),
        (HEAD + "adopted = 99999999999999999999\n" + ONE, "/adopted", None, "date"),
        (HEAD.replace('"1"', "1") + ONE, "/version", 3, "string"),
        (HEAD + ONE + "valid_from = 2026-02-01T00:00:00\n", "/condition/0/valid_from", None, "offset"),
        (HEAD + ONE + "valid_from = 2026-02-01T00:00:00.5Z\n", "/condition/0/valid_from", None, "whole"),
        (HEAD + ONE + "efect = 1\n", "/conditions/0", 6, "Condition one"),
        (HEAD + ONE + "applies_to = 3\n", "/conditions/0/applies_to", 11, "Condition one, applies_to"),
        (HEAD + ONE.replace("{ en", "{ fr"), "/conditions/0/explanation/en", 10, "Condition one, explanation/en"),
        (HEAD + ONE.replace('{ en = "Not so." }', "3"), "/conditions/0/explanation", 10, "Condition one"),
        (HEAD + ONE + 'applies_to = { tlp = ["red", "red"] }\n', "/conditions/0/applies_to/tlp", 11, "once"),
        (HEAD + ONE + 'applies_to = { tlp = ["mauve"] }\n', "/conditions/0/applies_to/tlp", 11, "amber-strict"),
        (HEAD + ONE + 'applies_to = { kinds = ["gossip"] }\n', "/conditions/0/applies_to/kinds", 11, "seizure"),
        (HEAD + ONE + ONE.replace('"one"', '"two"').replace('"deny"', '"warn"'), "/conditions/1/effect", 16, "two"),
        (HEAD + ONE + ONE, "/conditions", None, "sorted"),
        (HEAD + ONE.replace('id = "one"', "id = 1"), "/conditions/0/id", 6, "string"),
        (HEAD + ONE.replace('id = "one"', 'id = "One"'), "/conditions/0/id", 6, "code"),
        (HEAD + ONE.replace('id = "one"', ""), "/conditions/0/id", 4, "missing"),
        (
            HEAD + ONE.replace('id = "one"', "id = '''one'''").replace('"deny"', '"warn"'),
            "/conditions/0/effect",
            9,
            "one",
        ),
        (
            HEAD + ONE.replace('"deny"', '"oblige"') + 'obligation = "sing"\n',
            "/conditions/0/obligation",
            11,
            "copy-to-focal-point",
        ),
    ],
)
def test_an_author_is_told_what_where_and_what_is_allowed(text: str, pointer: str, line: int | None, says: str) -> None:
    with pytest.raises(FormError) as refused:
        made(text)
    assert (refused.value.pointer, refused.value.offset) == (pointer, line)
    assert says in refused.value.detail


@pytest.mark.parametrize(
    ("text", "line"),
    [(HEAD + "version = 2\n", 4), (HEAD + "[[condition\n", 4), (HEAD + 'baseline = "eu', None)],
)
def test_what_is_not_toml_is_refused_with_its_line(text: str, line: int | None) -> None:
    with pytest.raises(MalformedError) as refused:
        made(text)
    assert refused.value.offset == line


def test_other_encodings_and_sizes_are_refused() -> None:
    with pytest.raises(MalformedError):
        compile_profile(b"\xff", today=TODAY)
    with pytest.raises(TooLargeError):
        compile_profile(b"#" * (LIMITS.body + 1), today=TODAY)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000,
        HEAD + "x = " + "[" * 33 + "]" * 33 + "\n",
        "[" + ".".join(["a"] * 5000) + "]\n",
        "x = " + "1" * 5000,
        "x = 0001-01-01T00:00:00+23:59\n",
    ],
    ids=["open lists", "deep lists", "deep tables", "a long number", "a time before all years"],
)
def test_what_the_toml_library_or_the_calendar_cannot_bear_is_refused(text: str) -> None:
    with pytest.raises((FormError, MalformedError)):
        made(text)


@given(st.text())
def test_no_text_raises_anything_but_our_errors(text: str) -> None:
    try:
        made(text)
    except Error:
        return
    raise AssertionError


def warnings(text: str, today: date | None = None) -> list[str]:
    return [one.text() for one in check_profile(parse_profile(made(HEAD + text)), today=today)]


FULL = ONE.replace(
    '{ en = "Not so." }', '{ en = "No.", fr = "Non.", de = "Nein.", it = "No.", ru = "Нет.", es = "No." }'
)


def test_a_plain_profile_has_no_warnings() -> None:
    assert warnings(FULL) == []


def test_missing_languages_are_named() -> None:
    assert warnings(ONE) == ["one: has no explanation in fr, de, it, ru, es: readers get English."]


def test_expiry_is_named() -> None:
    ends = FULL + "valid_to = 2026-03-01\n"
    last = "From 2026-03-01T00:00:00Z on no condition is in force."
    assert warnings(ends) == ["one: ends on 2026-03-01T00:00:00Z.", last]
    assert warnings(ends, date(2026, 3, 1)) == ["one: has ended on 2026-03-01T00:00:00Z.", last]
    assert warnings(ends, date(2026, 2, 1)) == ["one: ends soon, on 2026-03-01T00:00:00Z.", last]
    assert warnings(ends, date(2025, 2, 1)) == [last]
    assert warnings(ends + FULL.replace('"one"', '"two"') + 'applies_to = { tlp = ["red"] }\n', date(2025, 2, 1)) == []


def test_a_condition_that_never_applies_is_named() -> None:
    text = FULL + 'applies_to = { counterparts = ["fr"], counterparts_except = ["fr", "it"] }\n'
    assert warnings(text) == ["one: can never apply: all its counterparts are excepted."]
    fine = FULL + 'applies_to = { counterparts = ["fr", "uz"], counterparts_except = ["fr"] }\n'
    assert warnings(fine) == []


def test_a_condition_that_applies_at_home_by_oversight_is_named() -> None:
    def about(names: str) -> list[str]:
        return warnings(FULL + f"applies_to = {{ counterparts_except = [{names}] }}\n")

    assert about('"fr", "it"') == ["one: applies inside the State too: except kz if it should not."]
    assert about('"fr", "kz"') == []
    assert about('"coe"') == []


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ("", "", True),
        ('tlp = ["red"]', 'tlp = ["red"], nominal = true', True),
        ('tlp = ["amber", "red"]', 'tlp = ["red"]', True),
        ('tlp = ["red"]', 'tlp = ["amber", "red"]', False),
        ('tlp = ["red"]', "nominal = true", False),
        ('direction = "send"', 'direction = "both"', False),
        ('direction = "both"', 'direction = "send"', True),
        ("nominal = true", "nominal = false", False),
        ('counterparts_except = ["eu"]', 'counterparts_except = ["coe", "eu"]', True),
        ('counterparts_except = ["eu"]', "nominal = true", False),
    ],
)
def test_an_obligation_that_a_denial_covers_is_named(wide: str, narrow: str, covered: bool) -> None:
    oblige = FULL.replace('"one"', '"owed"').replace('"deny"', '"oblige"') + 'obligation = "report-outcome"\n'
    text = FULL + f"applies_to = {{ {wide} }}\n" + oblige + f"applies_to = {{ {narrow} }}\n"
    assert warnings(text) == (["owed: never decides anything: wherever it applies, one denies."] if covered else [])


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ("", "valid_from = 2026-01-01", True),
        ("valid_from = 2026-01-01", "", False),
        ("valid_from = 2026-01-01", "valid_from = 2026-02-01", True),
        ("valid_from = 2026-02-01", "valid_from = 2026-01-01", False),
        ("valid_to = 2026-02-01", "", False),
        ("valid_to = 2026-02-01", "valid_to = 2026-01-01", True),
    ],
)
def test_validity_counts_for_what_covers_what(wide: str, narrow: str, covered: bool) -> None:
    oblige = FULL.replace('"one"', '"owed"').replace('"deny"', '"oblige"') + 'obligation = "report-outcome"\n'
    found = warnings(FULL + f"{wide}\n" + oblige + f"{narrow}\n", date(2020, 1, 1))
    assert ("owed: never decides anything: wherever it applies, one denies." in found) is covered


def test_a_code_that_no_list_knows_is_named_where_json_was_written_by_hand() -> None:
    profile = parse_profile(law(lambda p: p["conditions"][0]["applies_to"].update(kinds=["gossip"])))
    assert check_profile(profile)[0].text() == "one: applies_to/kinds has a code that is not in the list."
