"""Code lists: the shipped ones hold what they promise; loading refuses everything else."""

import copy
import json
import re
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codes import LANGUAGES, LISTS, code_list, is_cas, load, lookup, replace
from schemas.errors import Error, FormError
from schemas.ids import code

SMALL: dict[str, Any] = {
    "list": "tlp",
    "edition": "2026-01-01",
    "source": "Somewhere.",
    "verified": True,
    "form": "code",
    "entries": [
        {"code": "red", "names": {"en": "Red", "fr": "Rouge"}, "aliases": ["the red one"], "extra": {"rank": 1}},
        {"code": "green", "names": {"en": "Green"}, "unverified": True},
    ],
}

LABEL_LISTS = sorted(set(LISTS) - {"countries", "units"})


def changed(path: tuple[str | int, ...], value: object) -> bytes:
    lists = copy.deepcopy(SMALL)
    here: Any = lists
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return json.dumps(lists).encode()


def test_every_file_is_a_list_and_every_list_a_file() -> None:
    shipped = {
        entry.name.removesuffix(".json") for entry in files("schemas.codes").iterdir() if entry.name.endswith(".json")
    }
    assert shipped == set(LISTS)


@pytest.mark.parametrize("name", LISTS)
def test_a_shipped_list_is_dated_and_says_its_source(name: str) -> None:
    shipped = code_list(name)
    assert shipped.name == name
    assert re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", shipped.edition)
    assert shipped.source.endswith(".")
    assert "://" not in shipped.source
    assert code_list(name) is shipped


@pytest.mark.parametrize("name", LISTS)
def test_every_word_of_a_shipped_list_leads_to_its_code(name: str) -> None:
    shipped = code_list(name)
    for entry in shipped.entries.values():
        for word in (entry.code, *entry.names.values(), *entry.aliases):
            assert shipped.lookup(f"  {word.upper()} ") in (entry.code, shipped.lookup(word))
            assert lookup(name, word) == entry.code


@pytest.mark.parametrize("name", sorted(set(LISTS) - {"substances"}))
def test_names_are_there_in_all_six_languages(name: str) -> None:
    for entry in code_list(name).entries.values():
        assert tuple(entry.names) == LANGUAGES, entry.code


@pytest.mark.parametrize("name", LABEL_LISTS)
def test_codes_are_label_codes(name: str) -> None:
    assert [code(entry) for entry in code_list(name).entries] == list(code_list(name).entries)


def test_home_regions_cover_the_57_participating_states_and_11_partners() -> None:
    states = code_list("states").entries.values()
    participating = [state for state in states if state.extra["status"] == "participating"]
    partners = [state for state in states if state.extra["status"] == "partner"]
    assert (len(participating), len(partners), len(list(states))) == (57, 11, 68)
    regions = code_list("regions").entries
    for state in participating:
        homes = state.extra["regions"]
        assert isinstance(homes, list)
        assert homes
        assert set(homes) <= set(regions)
        assert homes[0] != "mediterranean"
    assert all(partner.extra["regions"] == [] for partner in partners)
    assert {state.code.upper() for state in states} <= set(code_list("countries").entries)


@pytest.mark.parametrize(
    ("word", "country"),
    [
        ("Iran, Islamic Republic of", "IR"),
        ("Libyan Arab Jamahiriya", "LY"),
        ("Macedonia, the former Yugoslav Republic of", "MK"),
        ("turkey", "TR"),
        ("CÔTE D’IVOIRE", "CI"),
        ("Unknown", "ZZ"),
        ("Kosovo under UNSCR 1244", "XK"),
        ("Швейцария", "CH"),
        ("ESP", "ES"),
    ],
)
def test_countries_are_known_by_the_names_that_reports_use(word: str, country: str) -> None:
    assert lookup("countries", word) == country


def test_all_of_iso_3166_is_there() -> None:
    assigned = [entry for entry in code_list("countries").entries.values() if "status" not in entry.extra]
    assert len(assigned) == 249


def test_substances_have_right_cas_numbers_and_complete_tables() -> None:
    tables: dict[object, int] = {}
    for entry in code_list("substances").entries.values():
        if "cas" in entry.extra:
            cas = entry.extra["cas"]
            assert isinstance(cas, str)
            assert is_cas(cas), entry.code
            assert lookup("substances", cas) == entry.code
        control = entry.extra.get("control")
        assert control is None or control in code_list("control").entries
        tables[control] = tables.get(control, 0) + 1
        if control in ("table-i", "table-ii"):
            assert tuple(entry.names) == LANGUAGES
    assert tables["table-i"] == 33
    assert tables["table-ii"] == 8
    assert {"npp", "anpp", "norfentanyl", "4-piperidone"} <= set(code_list("substances").entries)


def test_evaluation_grades_spell_out_their_schemes() -> None:
    schemes = code_list("evaluation").entries
    found: dict[object, set[tuple[object, object]]] = {}
    for entry in code_list("evaluation-grades").entries.values():
        found.setdefault(entry.extra["scheme"], set()).add((entry.extra["part"], entry.extra["grade"]))
    assert {scheme: len(grades) for scheme, grades in found.items()} == {
        "europol-4x4": 8,
        "admiralty-6x6": 12,
        "uk-3x5x2": 10,
    }
    assert set(found) == set(schemes)


def test_urgencies_that_set_a_clock_say_how_long() -> None:
    clocks = {entry.code: entry.extra["clock_seconds"] for entry in code_list("urgency").entries.values()}
    assert clocks == {"8h": 8 * 3600, "3d": 3 * 86400, "7d": 7 * 86400, "informative": None}


def test_conditions_say_what_values_they_take() -> None:
    taken = {entry.code: entry.extra["values"] for entry in code_list("conditions").entries.values()}
    assert taken.pop("excluded-states") == "state"
    assert taken.pop("excluded-agencies") == "agency"
    assert taken.pop("delete-by") == "date"
    assert taken.pop("authorised-by") == "authority"
    assert taken.pop("transfer-basis") == "transfer-basis"
    assert {taken.pop(name) for name in ("consent-of", "received-from")} == {"state"}
    assert set(taken.values()) == {"none"}
    assert len(taken) == 6


def test_an_entry_has_an_english_name_where_another_is_missing() -> None:
    small = load(json.dumps(SMALL).encode())
    red, green = small.entries.values()
    assert (red.name(), red.name("fr"), red.name("ru"), green.name("fr")) == ("Red", "Rouge", "Red", "Green")
    assert (red.verified, green.verified) == (True, False)
    assert red.extra == {"rank": 1}
    assert small.lookup("THE  red\tone") == "red"
    assert small.lookup("blue") is None


def test_entries_of_an_unverified_list_are_unverified() -> None:
    assert not any(entry.verified for entry in load(changed(("verified",), False)).entries.values())


def test_an_operator_replaces_a_list() -> None:
    shipped = code_list("tlp")
    new = load(json.dumps(SMALL).encode())
    try:
        replace(new)
        assert code_list("tlp") is new
        assert lookup("tlp", "amber") is None
    finally:
        replace(shipped)
    assert lookup("tlp", "amber") == "amber"


def test_unknown_lists_are_refused() -> None:
    with pytest.raises(FormError):
        code_list("nonsense")


@pytest.mark.parametrize(
    ("path", "value", "pointer"),
    [
        (("list",), "nonsense", "/list"),
        (("list",), 1, "/list"),
        (("edition",), "2026-02-30", "/edition"),
        (("edition",), "2026", "/edition"),
        (("source",), "  ", "/source"),
        (("verified",), 1, "/verified"),
        (("form",), "other", "/form"),
        (("form",), None, "/form"),
        (("entries",), {}, "/entries"),
        (("entries",), [], "/entries"),
        (("more",), 1, ""),
        (("entries", 0), 1, "/entries/0"),
        (("entries", 0), {"code": "x"}, "/entries/0"),
        (("entries", 0, "more"), 1, "/entries/0"),
        (("entries", 0, "code"), "Red", "/entries/0/code"),
        (("entries", 1, "code"), "red", "/entries/1"),
        (("entries", 1, "aliases"), ["ROUGE"], "/entries/1"),
        (("entries", 0, "names"), [], "/entries/0/names"),
        (("entries", 0, "names"), {"fr": "Rouge"}, "/entries/0/names"),
        (("entries", 0, "names", "pt"), "Vermelho", "/entries/0/names"),
        (("entries", 0, "names", "en"), "", "/entries/0/names/en"),
        (("entries", 0, "aliases"), "x", "/entries/0/aliases"),
        (("entries", 0, "aliases"), ["x", 2], "/entries/0/aliases/1"),
        (("entries", 0, "extra"), [], "/entries/0/extra"),
        (("entries", 0, "unverified"), 1, "/entries/0/unverified"),
    ],
)
def test_other_files_are_refused_by_pointer(path: tuple[str | int, ...], value: object, pointer: str) -> None:
    with pytest.raises(FormError) as caught:
        load(changed(path, value))
    assert caught.value.pointer == pointer


@given(
    st.binary(max_size=200)
    | st.builds(lambda value: json.dumps(value).encode(), st.recursive(st.none() | st.text(), st.lists))
)
def test_arbitrary_files_raise_only_our_errors(data: bytes) -> None:
    with pytest.raises(Error):
        load(data)
